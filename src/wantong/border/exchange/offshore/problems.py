"""What can be wrong in an offshore space."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from wantong.ground.problems import Problem


class UnknownSpace(Problem):
    """There is no such ``space``, or nothing of that id in it."""

    slug: ClassVar[str] = "unknown-offshore-space"
    status: ClassVar[int] = 404


class SpaceClosed(Problem):
    """The space is closed: what was in it is deleted."""

    slug: ClassVar[str] = "offshore-space-closed"
    status: ClassVar[int] = 409


class BadSpace(Problem):
    """``field`` cannot be so, for ``reason`` (a code)."""

    slug: ClassVar[str] = "bad-offshore-space"
    status: ClassVar[int] = 422
    CODES: ClassVar[Mapping[str, str]] = {"reason": "offshore.bad-space"}


class NotFromOutside(Problem):
    """The data may not enter the space; ``reason`` (a code) says why."""

    slug: ClassVar[str] = "not-from-outside"
    status: ClassVar[int] = 409
    CODES: ClassVar[Mapping[str, str]] = {"reason": "offshore.inside"}


class SameHand(Problem):
    """Who admitted data or registered a job is not the one who confirms it."""

    slug: ClassVar[str] = "offshore-same-hand"
    status: ClassVar[int] = 403


class NotInThisState(Problem):
    """What was asked for cannot be done any more, or not yet."""

    slug: ClassVar[str] = "offshore-not-now"
    status: ClassVar[int] = 409


class BadJob(Problem):
    """The job is not one SELECT over tables of the space; ``reason`` (a code) says what is wrong."""

    slug: ClassVar[str] = "bad-offshore-job"
    status: ClassVar[int] = 422
    CODES: ClassVar[Mapping[str, str]] = {"reason": "offshore.bad-job"}


class Stale(Problem):
    """What the result was made of has changed since (somebody withdrew, a term ended): it must be made anew."""

    slug: ClassVar[str] = "offshore-stale"
    status: ClassVar[int] = 409
