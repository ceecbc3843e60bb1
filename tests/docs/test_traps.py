"""Every trap that the survey had measured is held by a test that exists, and by none of the libraries left out."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
TRAPS = yaml.safe_load((ROOT / "docs/plan/traps.yaml").read_text("utf-8"))
LEFT_OUT = ("pycose", "ecdsa", "gmssl", "pymdoccbor", "python-stdnum", "django-oauth-toolkit")


def test_every_trap_is_held_by_tests_that_exist():
    there = {
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^ *(?:async )?def (test_\w+)", path.read_text("utf-8"), re.MULTILINE)
    }
    named = {test for row in TRAPS for test in row["tests"]}
    assert not named - there
    folders = {folder for row in TRAPS for folder in row.get("conformance", ())}
    assert not [folder for folder in folders if not (ROOT / "conformance" / folder / "run").exists()]
    assert not [
        row["trap"] for row in TRAPS if not (row["tests"] or row.get("conformance") or row.get("left"))
    ]


def test_libraries_that_were_measured_and_left_out_are_not_there():
    locked = set(
        re.findall(r"^([a-z0-9-]+)==", (ROOT / "requirements.lock").read_text("utf-8"), re.MULTILINE)
    )
    assert len(locked) > 20 and not locked & set(LEFT_OUT)
