"""What can go wrong with verification."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from wantong.ground.problems import Problem


class UnknownRegistration(Problem):
    """There is no such registration."""

    slug: ClassVar[str] = "registration-unknown"
    status: ClassVar[int] = 404


class BadRegistration(Problem):
    """``field`` of a registration cannot be as it is: ``reason``, both stable codes."""

    slug: ClassVar[str] = "registration-bad"
    status: ClassVar[int] = 422
    CODES: ClassVar[Mapping[str, str]] = {"field": "verification.field", "reason": "verification.fault"}


class BadBundle(Problem):
    """What was carried is no bundle of document, receipt and salt: ``reason``, a stable code."""

    slug: ClassVar[str] = "bundle-bad"
    status: ClassVar[int] = 422
    CODES: ClassVar[Mapping[str, str]] = {"reason": "verification.fault"}


class DocumentTooLarge(Problem):
    """The document is larger than ``limit`` bytes."""

    slug: ClassVar[str] = "document-too-large"
    status: ClassVar[int] = 413


class ReceiptNotYet(Problem):
    """The receipt is not there yet: the other nodes have not witnessed it."""

    slug: ClassVar[str] = "receipt-not-yet"
    status: ClassVar[int] = 409
