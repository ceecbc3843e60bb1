"""Person counts: how many persons' data has a sender exported this year, and how near is a legal threshold?

Counted are distinct persons by their salted commitments; who has sensitive data out counts as sensitive and not as
non-sensitive too. Which figures are thresholds, and from when a warning is due, is data (``data/counting.yaml``); the
figures themselves are dated parameters of the rule base.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

from wantong.border.gate.declarations.decision import DATA
from wantong.border.gate.rules import RuleBase
from wantong.ground import yamlfile


@dataclass(frozen=True)
class Counts:
    """Distinct persons of a sender's year; ``added`` of them are new with the transfer in question."""

    sender: str
    year: int
    sensitive: int
    nonsensitive: int
    added: int = 0

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Nearing:
    """``count`` has come to ``percent`` or more of the ``limit`` that ``parameter`` sets (``citation``)."""

    parameter: str
    count: str
    value: int
    limit: int
    percent: int
    citation: str

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def warnings(counts: Counts, on: dt.date, base: RuleBase | None = None) -> tuple[Nearing, ...]:
    """The thresholds that ``counts`` has nearly or fully reached on that day, each with the highest share passed."""
    table = yamlfile.load(DATA / "counting.yaml")
    base = base or RuleBase.load()
    found = []
    for threshold in table["thresholds"]:
        parameter = base.parameters[threshold["parameter"]]
        dated = next((d for d in parameter.values if on in d.period), None)
        if dated is None:
            continue
        value = getattr(counts, threshold["count"])
        passed = [share for share in (*table["warn_at"], 100) if value * 100 >= dated.value * share]
        if passed:
            found.append(
                Nearing(parameter.name, threshold["count"], value, dated.value, max(passed), dated.citation)
            )
    return tuple(found)


def is_counted(rule_ids: Iterable[str]) -> bool:
    """Whether persons who leave under a decision of these rules are counted."""
    return not _not_counted() & set(rule_ids)


@cache
def _not_counted() -> frozenset[str]:
    return frozenset(yamlfile.load(DATA / "counting.yaml")["not_counted"])
