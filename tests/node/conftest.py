from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tests.node.test_processes import wantong

from wantong.node.bay import free_ports


@pytest.fixture(scope="session")
def made(tmp_path_factory) -> Path:
    """A node that was made and never run."""
    web, data = free_ports(0, set())
    place = tmp_path_factory.mktemp("made") / "node"
    process = wantong(
        "node", "init", place, "--jurisdiction", "mo", "--url", f"http://127.0.0.1:{web}",
        "--listen", f"127.0.0.1:{web}", "--listen-data", f"127.0.0.1:{data}", "--id", "mo.test.example",
    )  # fmt: skip
    assert process.wait(60) == 0, process.stderr.read()
    return place


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """A node for one test, with the keys and the ports of :func:`made`: none of them runs while another does."""
    return Path(shutil.copytree(made, tmp_path / "node"))
