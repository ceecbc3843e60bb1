"""The examples in docs/capabilities are run, so that they stay true.

In one page all ```python blocks share a namespace and run in order; in a ```console block every line that begins
with ``$ wantong`` is run, and the lines under it must be its output (``…`` stands for anything, also for whole lines).
The working folder is a copy of docs/examples.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs" / "capabilities").glob("*.md"))
BLOCK = re.compile(r"^```(python|console)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def matches(wanted: str, output: str) -> bool:
    pattern = ".*?".join(re.escape(part.strip("\n")) for part in wanted.strip().split("…"))
    lines = "\n".join(line.rstrip() for line in output.strip().splitlines())
    return re.search(rf"\A{pattern}\Z", lines, re.DOTALL) is not None


def run_console(block: str, folder: Path) -> None:
    for step in re.split(r"^(?=\$ )", block, flags=re.MULTILINE):
        if not step.startswith("$ wantong "):
            continue
        command, _, wanted = step.partition("\n")
        environment = os.environ | {
            "PYTHONPATH": str(ROOT / "src"),
            "COLUMNS": "110",
            "NO_COLOR": "1",
            "WANTONG_LANG": "en",
            "PYTHONUTF8": "1",
        }
        done = subprocess.run(
            ["bash", "-c", f"{sys.executable} -m {command.removeprefix('$ ')}"],
            cwd=folder, env=environment, capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        assert matches(wanted, done.stdout + done.stderr), (
            f"{command}\n--- the page says\n{wanted}\n--- it printed\n{done.stdout}{done.stderr}"
        )


@pytest.mark.parametrize("page", PAGES, ids=[page.stem for page in PAGES])
@pytest.mark.django_db
def test_the_examples_of_a_page_are_true(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, node
) -> None:
    blocks = BLOCK.findall(page.read_text("utf-8"))
    assert blocks, f"{page.name} has no worked example"
    folder = tmp_path / "work"
    shutil.copytree(ROOT / "docs" / "examples", folder)
    monkeypatch.chdir(folder)
    namespace: dict[str, object] = {"__name__": page.stem}
    for kind, block in blocks:
        if kind == "python":
            exec(compile(block, page.name, "exec"), namespace)
        else:
            run_console(block, folder)
