"""Can what two systems have verified be the same person? A verdict with its steps, from data, without a number. Pure.

One side must name a *bridge*, a document by which one place knows residents of another (``data/linking.yaml``): Home Return
Permit, residence permit, Exit-Entry Permit. The other side names it too, with the same number; or its holder was born on
the same day and has a name alike. Whatever contradicts ends it: two numbers of one kind of document, two dates of birth.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from wantong.border.trust.documents.dates import PartialDate
from wantong.border.trust.identity.accounts.linking import names
from wantong.border.trust.identity.accounts.linking.names import Name
from wantong.border.trust.verdict import Refused, Steps, Unsure, Verdict
from wantong.ground import yamlfile

DATA = Path(str(resources.files(__package__) / "data" / "linking.yaml"))
TOPIC = "linking"


@dataclass(frozen=True)
class Evidence:
    """What one system has verified by one document: ``number`` is a keyed digest, never the number."""

    document: str
    number: str
    names: tuple[Name, ...]
    birth: PartialDate | None
    verified_at: datetime


@dataclass(frozen=True)
class Side:
    """One of two accounts: who vouches for it, its level of identity as it is now, and by what."""

    issuer: str
    ial: int
    evidence: tuple[Evidence, ...]


@dataclass(frozen=True)
class Way:
    """One way to be sure enough: what must agree, and the level of the link then."""

    id: str
    needs: frozenset[str]
    level: int


@dataclass(frozen=True)
class Rules:
    """Which documents bridge, how old a verification may be, which ways there are (the strongest first)."""

    bridges: tuple[str, ...]
    longest: timedelta
    ways: tuple[Way, ...]
    attributes: tuple[str, ...]


@dataclass(frozen=True)
class Match:
    """What came of it; ``bridge`` and ``way`` are blank and ``level`` is 0 unless the verdict passed."""

    verdict: Verdict
    bridge: str = ""
    way: str = ""
    level: int = 0


@cache
def rules() -> Rules:
    """What ``data/linking.yaml`` says."""
    told: Mapping[str, Any] = yamlfile.load(DATA)["matching"]
    return Rules(
        tuple(told["bridges"]),
        timedelta(days=told["longest_days"]),
        tuple(Way(row["id"], frozenset(row["needs"]), row["level"]) for row in told["ways"]),
        tuple(told["attributes"]),
    )


def match(a: Side, b: Side, at: datetime, by: Rules) -> Match:
    """Put two accounts side by side at a moment."""
    steps = Steps(TOPIC)
    fresh = [
        [one for one in side.evidence if timedelta(0) <= at - one.verified_at <= by.longest]
        for side in (a, b)
    ]
    with steps.take("issuers", go_on=True):
        if a.issuer == b.issuer:
            raise Refused("one-issuer")
    with steps.take("proven", go_on=True):
        if min(a.ial, b.ial) < 1:
            raise Refused("unproven")
    bridge = ""
    with steps.take("bridge", go_on=True):
        named = {one.document for side in fresh for one in side}
        bridge = next((kind for kind in by.bridges if kind in named), "")
        if not bridge:
            raise Refused("no-bridge")
    agreed: set[str] = set()
    with steps.take("numbers", go_on=True):
        agreed |= _numbers(fresh[0], fresh[1], bridge)
    with steps.take("births", go_on=True):
        agreed |= _births(fresh[0], fresh[1])
    ours, theirs = (_names(side) for side in fresh)
    if names.written_alike(ours, theirs):
        agreed |= {"name", "name-read"}
    elif names.read_alike(ours, theirs):
        agreed.add("name-read")
    way = next((way for way in by.ways if way.needs <= agreed), None)
    with steps.take("same", go_on=True):
        if way is None:
            raise Unsure("names-differ" if "birth" in agreed and "name-read" not in agreed else "too-little")
    verdict = steps.verdict(at)
    if not verdict.passed or way is None:
        return Match(verdict)
    return Match(verdict, bridge, way.id, min(way.level, a.ial, b.ial))


def _numbers(a: Iterable[Evidence], b: Iterable[Evidence], bridge: str) -> set[str]:
    theirs = {one.document: one.number for one in b}
    common = {one.document: one.number == theirs[one.document] for one in a if one.document in theirs}
    if not all(common.values()):
        raise Refused("other-number")
    return {"number"} if bridge in common else set()


def _births(a: Iterable[Evidence], b: Iterable[Evidence]) -> set[str]:
    """``birth``: nothing that both know of it differs, and both know the year; ``birth-day``: they know the day."""
    ours, theirs = ([one.birth for one in side if one.birth is not None] for side in (a, b))
    if not all(one.agrees(other) for one in ours for other in theirs):
        raise Refused("other-birth")
    if not ours or not theirs:
        return set()
    whole = all(any(one.day is not None for one in side) for side in (ours, theirs))
    return {"birth", "birth-day"} if whole else {"birth"}


def _names(side: Iterable[Evidence]) -> list[Name]:
    return [name for one in side for name in one.names]
