"""Which superseded evidence still says something (pure): of lists and answers in a row, those that can go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from importlib import resources
from pathlib import Path

from wantong.ground import yamlfile


@dataclass(frozen=True)
class Span:
    """Evidence that was fresh from ``begin`` to ``end`` (None: it does not say); ``marks`` a change that only it tells of."""

    key: int
    begin: datetime
    end: datetime | None
    marks: bool = False


@dataclass(frozen=True)
class Rule:
    """How long everything stays (``grace``), how long anything superseded does (``longest``), and how much is looked at at once."""

    grace: timedelta
    longest: timedelta
    lines: int
    answers: int


@cache
def rule() -> Rule:
    """The rule in ``keeping.yaml``."""
    told = yamlfile.load(Path(str(resources.files(__package__))) / "data" / "keeping.yaml")
    return Rule(
        timedelta(days=told["days"]), timedelta(days=366 * told["years"]), told["lines"], told["answers"]
    )


def superseded(spans: Sequence[Span], now: datetime, by: Rule) -> list[int]:
    """The keys of those of ``spans``, the oldest first, that can go.

    The newest stays, and every one that marks a change. Of the others as many stay as needed that whoever asks for the
    newest that had begun at some moment gets one that was fresh then, if there was any; longer ago than ``by.longest``
    none does.
    """
    gone: list[int] = []
    kept: Span | None = None
    for at, span in enumerate(spans[:-1]):
        following = spans[at + 1]
        if span.marks or span.begin > now - by.grace:
            kept = span
        elif span.begin <= now - by.longest and following.begin <= now - by.longest:
            gone.append(span.key)
        elif kept is not None and kept.end is not None and following.begin <= kept.end:
            # whoever asked for this one gets the one before, which lasts until the next begins
            gone.append(span.key)
        else:
            kept = span
    return gone
