"""What can go wrong with consent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from wantong.ground.problems import Problem


class UnknownConsent(Problem):
    """There is no such consent."""

    slug: ClassVar[str] = "consent-unknown"
    status: ClassVar[int] = 404


class BadConsent(Problem):
    """``field`` of a consent cannot be as it is: ``reason``."""

    slug: ClassVar[str] = "consent-bad"
    status: ClassVar[int] = 422
    CODES: ClassVar[Mapping[str, str]] = {"reason": "gate.bad-consent"}


class RecordNotGenuine(Problem):
    """A consent record was not signed by this node, or not as it stands."""

    slug: ClassVar[str] = "consent-record-not-genuine"
    status: ClassVar[int] = 422
    CODES: ClassVar[Mapping[str, str]] = {"reason": "gate.record-not-genuine"}
