"""``kill -9`` while a credential is taken, and while it is shown: nothing half is stored, nothing is lost, nothing unsaid."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[4]
pytestmark = pytest.mark.timeout(300)


def run(folder: Path, stage: str, *, killed: bool) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.border.trust.wallet.dying", str(folder), stage],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}, capture_output=True, text=True,
        check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == (-signal.SIGKILL if killed else 0), done.stderr[-3000:]
    return json.loads(done.stdout) if done.stdout.strip() else {}


def test_whoever_is_killed_has_it_whole_or_not_at_all_and_finds_it_again(tmp_path: Path) -> None:
    folder = tmp_path / "node"
    run(folder, "take", killed=True)
    told = run(folder, "show", killed=True)
    # the issuer has issued, once and for all; the space has nothing of it yet but what it asked with
    assert told["issued"] > 0 and told["waiting"] == 1
    assert told["credential"] == told["key"] == told["received"] == 0
    # what was issued is had again by the same keys
    assert told["collected"] == 1 and told["same"]
    told = run(folder, "look", killed=False)
    assert (told["credential"], told["waiting"], told["received"]) == (1, 0, 1)
    assert told["key"] == told["issued"]
    # what was about to be shown stands in the history, though the verifier has not had it
    assert (told["showing"], told["presented"], told["answered"]) == (1, 1, 0)
