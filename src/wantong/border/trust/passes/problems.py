"""What can go wrong with passes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from wantong.ground.problems import Problem


class UnknownRight(Problem):
    """There is no such right to pass, or it is another's."""

    slug = "passes-unknown-right"
    status = 404


class UnknownGate(Problem):
    """No approved gate, or no proposal, is called ``gate``."""

    slug = "passes-unknown-gate"
    status = 404


class UnknownRules(Problem):
    """There is no such set of rules, or it is not approved."""

    slug = "passes-unknown-rules"
    status = 404


class BadPass(Problem):
    """``field`` cannot be as it is: ``reason``, a stable code."""

    slug = "passes-bad-request"
    status = 422
    CODES: ClassVar[Mapping[str, str]] = {"reason": "passes.bad-request"}


class NotInForce(Problem):
    """A right that is ``state`` opens nothing."""

    slug = "passes-not-in-force"
    status = 409


class DecidedAlready(Problem):
    """What is ``state`` is not decided again."""

    slug = "passes-decided"
    status = 409


class SamePerson(Problem):
    """Who proposed it does not approve it."""

    slug = "passes-same-person"
    status = 403


class NoPlace(Problem):
    """All places of the status lists are taken."""

    slug = "passes-no-place"
    status = 507


class BadDevice(Problem):
    """The device's key is none, or it did not prove that it holds it."""

    slug = "passes-bad-device"
    status = 422


class TooManyDevices(Problem):
    """Nobody has more than ``most`` devices."""

    slug = "passes-too-many-devices"
    status = 409
