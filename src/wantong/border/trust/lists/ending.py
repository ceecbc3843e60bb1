"""What ends soon, and when people are to be told of it (pure): certificates of services, lists, countersignatures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from importlib import resources
from pathlib import Path

from wantong.ground import yamlfile


@dataclass(frozen=True)
class Term:
    """Something with an end: its ``kind`` (as in ``endings.yaml``), what it is ``about``, and until when it counts."""

    kind: str
    about: str
    until: datetime


@dataclass(frozen=True)
class Ending:
    """A term that ends within ``mark`` days, the least of those at which people are told; 0: it has ended.

    ``left`` are whole days, 0 on the last and after it; ``urgent`` at the last mark.
    """

    term: Term
    mark: int
    left: int
    urgent: bool

    @property
    def over(self) -> bool:
        return self.mark == 0

    @property
    def tone(self) -> str:
        """How it is marked: ``over``, ``urgent`` or ``soon``."""
        return "over" if self.over else "urgent" if self.urgent else "soon"

    def to_dict(self) -> dict[str, object]:
        """As JSON."""
        return {
            "what": self.term.kind,
            "about": self.term.about,
            "until": self.term.until.isoformat(),
            "left": self.left,
            "state": self.tone,
        }

    @property
    def words(self) -> str:
        """The message that says what it is."""
        return f"trustlist.ending.what.{self.term.kind}"

    @property
    def next(self) -> str:
        """The message that says what to do."""
        return f"trustlist.ending.next.{self.term.kind}"


@cache
def marks() -> Mapping[str, Sequence[int]]:
    """Kind → days before its end at which people are told, the most first."""
    told = yamlfile.load(Path(str(resources.files(__package__))) / "data" / "endings.yaml")["days"]
    return {kind: tuple(sorted(days, reverse=True)) for kind, days in told.items()}


def endings(terms: Iterable[Term], now: datetime) -> tuple[Ending, ...]:
    """Those of ``terms`` of which people are to know now, the next to end first. Raises KeyError for an unknown kind."""
    found = []
    for term in sorted(terms, key=lambda term: (term.until, term.kind, term.about)):
        days = marks()[term.kind]
        left = term.until - now
        reached = [day for day in days if left <= timedelta(days=day)]
        if reached:
            over = left <= timedelta()
            mark = 0 if over else reached[-1]
            found.append(Ending(term, mark, max(left.days, 0), over or mark == days[-1]))
    return tuple(found)
