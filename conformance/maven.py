"""Other people's Java programs from Maven Central, in ``build/`` of the repository."""

from __future__ import annotations

import fcntl
import hashlib
import subprocess
from pathlib import Path

BUILD = Path(__file__).resolve().parents[1] / "build"
COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"


def fetch(pom: Path) -> Path | None:
    """The folder with the archives that ``pom`` lists; None, and why is printed, when they cannot be had."""
    folder = BUILD / f"{pom.parent.name}-{hashlib.sha256(pom.read_bytes()).hexdigest()[:12]}"
    if (folder / "complete").exists():
        return folder
    BUILD.mkdir(exist_ok=True)
    with (BUILD / "maven.lock").open("w") as turn:  # two Mavens spoil the local repository for each other
        fcntl.flock(turn, fcntl.LOCK_EX)
        return _copied(pom, folder)


def _copied(pom: Path, folder: Path) -> Path | None:
    command = ["mvn", "-q", "-B", "-ntp", COPY, "-DincludeScope=runtime", f"-DoutputDirectory={folder}"]
    try:
        fetched = subprocess.run(
            command, cwd=pom.parent, timeout=600, check=False, capture_output=True, text=True
        )
    except subprocess.TimeoutExpired:
        print("   Maven Central did not give everything within ten minutes")
        return None
    if fetched.returncode:
        print(fetched.stdout[-1500:])
        return None
    (folder / "complete").touch()
    return folder
