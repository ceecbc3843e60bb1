"""What a seed does: which crossing is played, and what befalls the wire and the machines meanwhile. Pure."""

from __future__ import annotations

import random
from dataclasses import dataclass

PLACES = ("gd", "hk", "mo")
PLANES = ("control", "data", "log")

WIRE = (
    "drop",
    "cut-request",
    "cut-answer",
    "truncate",
    "delay",
    "reorder",
    "half-open",
    "slow",
    "duplicate",
    "replay-first",
)
"""What may befall an exchange on the wire; see :class:`proxy.Proxy`."""


@dataclass(frozen=True)
class Wire:
    """A fault that befalls an exchange on one of ``planes`` with ``probability``; ``strength`` in seconds."""

    kind: str
    planes: frozenset[str]
    probability: float
    strength: float


@dataclass(frozen=True)
class Machine:
    """Something that happens to the node at ``place``, ``at`` so many seconds, undone after ``lasts`` seconds.

    ``kind``: ``kill`` (a process of its), ``kill-node`` (all of them), ``disk`` (full), ``clock`` (``step`` seconds
    off), ``cut-off`` (nobody reaches it), ``restore`` (a backup is made, before the run if ``at`` is negative, and
    ``lasts`` seconds later all that is there is lost and comes back as it was then).
    """

    kind: str
    place: str
    at: float
    lasts: float = 0.0
    step: int = 0


@dataclass(frozen=True)
class Plan:
    """One run. ``crossing`` is a key of :data:`play.CROSSINGS`; faults happen for ``window`` seconds."""

    seed: int
    crossing: str
    source: str
    target: str
    transfers: int
    window: float
    wire: tuple[Wire, ...]
    machine: tuple[Machine, ...]

    def __str__(self) -> str:
        wire = [f"{f.kind} {f.probability:.2f} {'/'.join(sorted(f.planes))}" for f in self.wire]
        machine = [f"{f.kind} {f.place} at {f.at:.1f} s" for f in self.machine]
        return f"{self.crossing} {self.source} to {self.target}: {', '.join(wire + machine)}"

    @property
    def restored(self) -> str:
        """The place whose node is brought back from a backup, if there is one."""
        return next((fault.place for fault in self.machine if fault.kind == "restore"), "")


# how often each happens, out of 100 runs
MACHINES = (("kill", 10), ("kill-node", 2), ("disk", 5), ("clock", 6), ("cut-off", 8), ("restore", 3))
CROSSINGS = (("register", 76), ("large", 8), ("members", 16))


def plan(seed: int) -> Plan:
    """The run of ``seed``: always the same."""
    dice = random.Random(f"faults/{seed}")
    crossing = _weighted(dice, CROSSINGS)
    source, target = ("hk", "mo") if crossing == "members" else dice.sample(PLACES, 2)
    kinds = dice.sample(WIRE, dice.choice((1, 1, 2, 2, 3)))
    wire = tuple(
        Wire(
            kind,
            frozenset(dice.sample(PLANES, dice.choice((1, 2, 3, 3)))),
            dice.choice((0.1, 0.25, 0.5, 0.9)) if kind != "half-open" else dice.choice((0.1, 0.25)),
            dice.choice((0.1, 0.5, 1.0)),
        )
        for kind in kinds
    )
    machine: list[Machine] = []
    for kind, percent in MACHINES:
        if dice.random() * 100 < percent:
            place = dice.choice((source, target)) if kind != "clock" else dice.choice(PLACES)
            machine.append(
                Machine(
                    kind,
                    place,
                    at=dice.uniform(0.0, 1.5) if kind != "restore" else dice.choice((-1.0, -1.0, 0.2, 1.0)),
                    lasts=dice.uniform(0.3, 2.0) if kind != "restore" else dice.uniform(0.2, 8.0),
                    step=dice.choice((-3600, 3600)) if kind == "clock" else 0,
                )
            )
            if kind == "restore" or dice.random() < 0.7:
                break
    return Plan(
        seed=seed,
        crossing=crossing,
        source=source,
        target=target,
        transfers=dice.choice((1, 1, 1, 2)),
        window=dice.uniform(0.8, 2.5),
        wire=wire,
        machine=tuple(sorted(machine, key=lambda fault: fault.at)),
    )


def _weighted(dice: random.Random, choices: tuple[tuple[str, int], ...]) -> str:
    return dice.choices([name for name, _ in choices], [weight for _, weight in choices])[0]
