"""Bars beside words: what a chart draws, worked out here, so that a page shows it without a script. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Bar:
    """One bar: of which series, how long in percent of the longest of all, and what it says."""

    series: str
    percent: str
    value: Any


@dataclass(frozen=True)
class Group:
    """The bars of one thing; ``label`` a text or a language map."""

    label: Mapping[str, str] | str
    bars: Sequence[Bar]


def bars(rows: Sequence[Mapping[str, Any]], label: str, series: Sequence[str], most: int = 12) -> list[Group]:
    """The last ``most`` of ``rows``, each as one group of bars, one for each of ``series``. What is None has no bar."""
    shown = rows[-most:]
    longest = max((row[name] or 0 for row in shown for name in series), default=0)
    return [
        Group(
            row[label],
            [
                Bar(name, f"{100 * row[name] / longest if longest else 0:.2f}", row[name])
                for name in series
                if row[name] is not None
            ],
        )
        for row in shown
    ]
