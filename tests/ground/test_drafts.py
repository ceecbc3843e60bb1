"""Drafts of who was killed are removed by the next; those of the living stay."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from wantong.ground import drafts

MAKER = """
import sys, tempfile
from pathlib import Path
from wantong.ground import drafts
root = Path(sys.argv[1])
drafts.settle_in(root)
Path(tempfile.mkstemp()[1]).write_text("an upload")
with drafts.draft(root) as folder:
    (folder / "half").write_text("half a payload")
    print("made", flush=True)
    sys.stdin.read()
"""


def maker(root: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", MAKER, str(root)],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2] / "src")},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "made\n"
    return process


def files(root: Path) -> list[str]:
    return sorted(path.read_text() for path in root.rglob("*") if path.is_file())


def test_the_drafts_of_the_dead_are_swept_and_those_of_the_living_are_not(tmp_path: Path):
    first, second = maker(tmp_path), maker(tmp_path)
    assert files(tmp_path) == ["an upload", "an upload", "half a payload", "half a payload"]
    assert drafts.sweep(tmp_path) == 0
    first.send_signal(signal.SIGKILL)
    first.wait()
    assert drafts.sweep(tmp_path) == 2
    assert files(tmp_path) == ["an upload", "half a payload"], "the other one lives"
    second.communicate("")
    assert second.returncode == 0
    assert files(tmp_path) == [] and drafts.sweep(tmp_path) == 0, "who ends in order leaves nothing"


def test_a_draft_is_for_this_user_alone_and_gone_with_its_context(tmp_path: Path):
    with drafts.draft(tmp_path / "new") as folder:
        assert folder.stat().st_mode & 0o077 == 0
        (folder / "x").touch()
        (folder / "x").rename(tmp_path / "new" / "kept")
    assert [p.name for p in (tmp_path / "new").iterdir() if p.is_file()] == ["kept"]
    assert list((tmp_path / "new" / drafts.DRAFTS).iterdir()) == []
    assert drafts.sweep(tmp_path / "nowhere") == 0
