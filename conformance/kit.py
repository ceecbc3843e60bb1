"""The kits of Eclipse's dataspace projects, which are Java, against one real node with all its processes."""

from __future__ import annotations

import os
import subprocess
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import nodes

from wantong.node.bay import BayNode, free_ports
from wantong.node.processes import die_with_parent

MAIN = Path(__file__).with_name("Kit.java")
PARTICIPANT = "hk.wantong.example"


def make_node(directory: Path) -> tuple[BayNode, int]:
    """A node of Hong Kong's on free ports, its database ready but nothing started; and a port for the kit."""
    kit_port, _ = free_ports(0, taken := set())
    return nodes.make(BayNode, directory, "hk", PARTICIPANT, taken=taken), kit_port


@dataclass(frozen=True)
class Played:
    """What a kit said: ``lines`` of its output, and everything it wrote for when something is wrong."""

    lines: tuple[str, ...]
    everything: str
    seconds: float

    @property
    def score(self) -> dict[str, str]:
        """The lines that count passed and failed tests, by what they count."""
        counts = ("Passed tests", "Failed tests")
        return {name: line for line in self.lines if (name := line.partition(":")[0]) in counts}


def play(archives: Path, package: str, properties: Path) -> Played | None:
    """Run the tests of a Java package with a kit's properties file; None, and why is printed, if they do not end."""
    begun = time.monotonic()
    command = ["java", "-cp", f"{archives}/*", str(MAIN), str(properties), package]
    try:
        done = subprocess.run(
            command,
            timeout=600,
            check=False,
            capture_output=True,
            text=True,
            preexec_fn=partial(die_with_parent, os.getpid()),
        )
    except subprocess.TimeoutExpired:
        print("   the kit did not come to an end in ten minutes")
        return None
    everything = f"{done.stdout[-20_000:]}\n{done.stderr[-5_000:]}"
    return Played(tuple(done.stdout.splitlines()), everything, time.monotonic() - begun)
