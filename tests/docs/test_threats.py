"""Every test that the threat model names is there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "threat-model.md"


def test_what_the_threat_model_names_exists():
    named = set(re.findall(r"`(test_\w+)`", PAGE.read_text("utf-8")))
    there = {
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^(?:async )?def (test_\w+)", path.read_text("utf-8"), re.MULTILINE)
    }
    assert len(named) > 50
    assert not named - there


def test_every_threat_is_tried_by_something():
    rows = [line for line in PAGE.read_text("utf-8").splitlines() if re.match(r"\| [STRIDE]", line)]
    assert len(rows) > 30
    assert not [row for row in rows if "`" not in row.split("|")[4]]
