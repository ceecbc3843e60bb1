"""One sitting: the only way in which a link comes to be. A pure state machine; its acts stand in ``data/linking.yaml``.

A sitting belongs to one browser, is open for a quarter of an hour, and asks for two sign-ins, each made after it was
opened. Who was signed in before has to show again that it is he.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache

from wantong.border.trust.identity.accounts.linking.matching import DATA, Match
from wantong.border.trust.identity.accounts.problems import LinkRefused
from wantong.ground import workflow
from wantong.ground.actors import Actor, system
from wantong.ground.workflow import Procedure

PERSON = Actor("person:in-this-browser")
SYSTEM = system("accounts")


@dataclass(frozen=True)
class Proof:
    """Somebody has signed in to ``account`` of ``issuer`` in the browser ``browser`` (a digest) at a moment."""

    account: str
    issuer: str
    browser: str
    at: datetime


@dataclass(frozen=True)
class Sitting:
    """Where a sitting stands. ``version`` is that of the procedure it began under."""

    browser: str
    opened_at: datetime
    version: str
    state: str = "opened"
    first: Proof | None = None
    second: Proof | None = None


@dataclass(frozen=True)
class Linked:
    """A link that has come to be: between these two, as sure as ``level``, by the ``bridge`` document."""

    a: Proof
    b: Proof
    bridge: str
    way: str
    level: int


@cache
def procedure(version: str | None = None) -> Procedure:
    """The procedure, by default the current one."""
    return workflow.read(DATA, version, Procedure)


def lasts() -> timedelta:
    """How long a sitting may take."""
    return timedelta(minutes=workflow.document(DATA)["sitting_minutes"])


def opened(browser: str, at: datetime) -> Sitting:
    """A new sitting in one browser."""
    return Sitting(browser, at, procedure().version)


def signed_in(sitting: Sitting, proof: Proof, now: datetime) -> Sitting:
    """A sign-in of this sitting: the first or the second. Raises :class:`LinkRefused`, ActNotPossible."""
    check(sitting, proof.browser, now)
    if not sitting.opened_at <= proof.at <= now:
        raise LinkRefused(reason="not-in-this-sitting")
    if sitting.first is None:
        return replace(sitting, state=_after(sitting, "first", ()), first=proof)
    if proof.issuer == sitting.first.issuer:
        raise LinkRefused(reason="one-issuer")
    return replace(sitting, state=_after(sitting, "second", ()), second=proof)


def consented(
    sitting: Sitting, browser: str, match: Match, consent: bool, now: datetime
) -> tuple[Sitting, Linked]:
    """The person's word, after he has seen ``match``: the link. Raises :class:`LinkRefused`, ActNotPossible, ActIncomplete."""
    check(sitting, browser, now)
    given = [name for name, is_so in (("match", match.verdict.passed), ("consent", consent)) if is_so]
    state = _after(sitting, "consent", given)
    assert sitting.first is not None and sitting.second is not None
    a, b = sorted((sitting.first, sitting.second), key=lambda proof: proof.issuer)
    return replace(sitting, state=state), Linked(a, b, match.bridge, match.way, match.level)


def left(sitting: Sitting) -> Sitting:
    """The person has gone away. Raises ActNotPossible."""
    return replace(sitting, state=_after(sitting, "leave", ()))


def expired(sitting: Sitting) -> Sitting:
    """The time is over. Raises ActNotPossible."""
    return replace(sitting, state=_after(sitting, "expire", (), SYSTEM))


def check(sitting: Sitting, browser: str, now: datetime) -> None:
    """That this is the browser and the time of the sitting. Raises :class:`LinkRefused`."""
    if browser != sitting.browser:
        raise LinkRefused(reason="other-browser")
    if not timedelta(0) <= now - sitting.opened_at <= lasts():
        raise LinkRefused(reason="too-late")


def _after(sitting: Sitting, act: str, given: Iterable[str], actor: Actor = PERSON) -> str:
    told = procedure(sitting.version)
    told.permit(sitting.state, actor, act, given, {}, {})
    return told.after(sitting.state, act)
