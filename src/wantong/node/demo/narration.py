"""What the demonstration tells: crossings, their steps, how they ended."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True)
class Step:
    """One thing that happened: in words, with the rule and article it rests on (if any), and after how long.

    ``page`` is where somebody sees it, if it has a page of its own.
    """

    text: str
    seconds: float
    rules: tuple[str, ...] = ()
    citations: tuple[str, ...] = ()
    page: str = ""


@dataclass
class Crossing:
    """One crossing as it unfolds. ``outcome`` is what the gate said in the end; ``expected`` what the law demands."""

    id: str
    title: str
    source: str
    target: str
    expected: str
    outcome: str = "running"
    route: str | None = None
    receipt: str | None = None
    problem: str | None = None
    seconds: float = 0.0
    page: str | None = None
    steps: list[Step] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return self.problem is None and self.outcome == self.expected

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "ok": self.ok}


class Audience(Protocol):
    """Whoever watches: the terminal, a test, nobody."""

    def begins(self, crossing: Crossing) -> None: ...
    def step(self, crossing: Crossing, step: Step) -> None: ...
    def ends(self, crossing: Crossing) -> None: ...


class Narrator:
    """Keeps time, collects the crossings, tells the audience."""

    def __init__(self, audience: Audience) -> None:
        self.audience = audience
        self.crossings: list[Crossing] = []
        self._since = 0.0

    @contextmanager
    def crossing(self, id: str, title: str, source: str, target: str, expected: str) -> Iterator[Crossing]:
        """Tell one crossing; an exception in it becomes its ``problem`` and the next crossing goes on."""
        crossing = Crossing(id, title, source, target, expected)
        self.crossings.append(crossing)
        self.audience.begins(crossing)
        began = self._since = time.perf_counter()
        try:
            yield crossing
        except Exception as error:
            crossing.outcome, crossing.problem = "failed", f"{type(error).__name__}: {error}"
        crossing.seconds = round(time.perf_counter() - began, 3)
        self.audience.ends(crossing)

    def step(
        self, text: str, rules: tuple[str, ...] = (), citations: tuple[str, ...] = (), page: str = ""
    ) -> None:
        """Something happened in the crossing that is being told."""
        now = time.perf_counter()
        step = Step(text, round(now - self._since, 3), rules, citations, page)
        self._since = now
        self.crossings[-1].steps.append(step)
        self.audience.step(self.crossings[-1], step)
