"""What a node costs that has nothing to do: CPU of all its processes while nobody asks it anything."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.exchange.measuring import TICK, resident, tree

GOAL = 0.005  # of one core


@dataclass(frozen=True)
class Measured:
    """CPU of each process by its name, as a share of one core, and the memory (MiB) of all."""

    seconds: float
    shares: dict[str, float]
    resident: float

    @property
    def share(self) -> float:
        return sum(self.shares.values())


def measure(pid: int, seconds: float) -> Measured:
    """Watch the process tree under ``pid`` for ``seconds``.

    The scheduler's own clock (nanoseconds) where there is one: in ticks of 10 ms an idle process has used nothing.
    """
    before = {child: _spent(child) for child in tree(pid)}
    begun = time.monotonic()
    time.sleep(seconds)
    took = time.monotonic() - begun
    spent = {child: _spent(child) for child in tree(pid)}
    shares: dict[str, float] = {}
    for child, used in spent.items():
        name = name_of(child)
        shares[name] = shares.get(name, 0.0) + (used - before.get(child, 0.0)) / took
    return Measured(took, shares, sum(map(resident, spent)))


def name_of(pid: int) -> str:
    """What a process of a node is called."""
    words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    return next(
        (word.removeprefix("wantong.node.") for word in words if word.startswith("wantong.node.")),
        "supervisor",
    )


def _spent(pid: int) -> float:
    """CPU seconds of all threads of a process that live now."""
    total = 0.0
    for thread in Path(f"/proc/{pid}/task").iterdir():
        try:
            total += int((thread / "schedstat").read_text().split()[0]) / 1e9
        except (OSError, IndexError, ValueError):
            fields = (thread / "stat").read_text().rpartition(")")[2].split()
            total += (int(fields[11]) + int(fields[12])) * TICK
    return total
