"""Every benchmark still runs; what it measures at this size says nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SMALL = {
    "exchange": ["--small", "--no-edc", "--postgresql="],
    "log": ["--seconds", "0.05"],
    "opendata": ["--requests", "3", "--rows", "500", "--sizes", "10", "60"],
    "policies": ["--requests", "100", "--rounds", "1"],
    "query": ["--people", "200", "--seconds", "0.2", "--rounds", "1", "--connections", "4"],
    "readers": ["--megabytes", "1"],
    "rules": ["--sheets", "50"],
    "scan": ["--size", "1", "--passes", "1"],
    "trust/passes": ["--passes", "20", "--entries", "2000", "--rounds", "1"],
    "trust/crypto": ["--seconds", "0.01", "--rounds", "1"],
    "trust/signatures": ["--seconds", "0.01", "--rounds", "1"],
    "trust/lists": ["--seconds", "0.01", "--rounds", "1"],
    "trust/paths": ["--entries", "200", "--rounds", "1"],
    "trust/provider": ["--logins", "2", "--calls", "5", "--rounds", "1"],
    "trust/credentials": ["--seconds", "0.01", "--rounds", "1"],
}


def test_each_benchmark_is_tried():
    folder = ROOT / "benchmarks"
    there = {str(path.relative_to(folder).with_suffix("")) for path in folder.glob("*.py")}
    there |= {f"trust/{path.stem}" for path in (folder / "trust").glob("*.py")}
    there |= {path.parent.name for path in folder.glob("*/__main__.py")}
    # what another one runs: the machine's name, and a peer in a process of its own
    assert there - {"processor", "trust/provider_toolkit"} == SMALL.keys()


@pytest.mark.parametrize("name", SMALL)
def test_a_benchmark_runs(name: str, tmp_path: Path):
    # without Go on the path no peer is built: that takes longer than everything else here
    environment = os.environ | {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}", "PATH": "/usr/bin:/bin"}
    path = ROOT / "benchmarks" / f"{name}.py"
    command = [path] if path.exists() else ["-m", f"benchmarks.{name}"]
    done = subprocess.run(
        [sys.executable, *command, *SMALL[name], "--json"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)
