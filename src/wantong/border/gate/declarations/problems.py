"""What can go wrong with a declaration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from wantong.border.gate.declarations.workflow import (
    ActIncomplete,
    ActNotAllowed,
    ActNotPossible,
    OwnDataset,
    OwnDeclaration,
    OwnProposal,
)
from wantong.ground.problems import Problem

__all__ = [
    "ActIncomplete",
    "ActNotAllowed",
    "ActNotPossible",
    "BadConsignment",
    "BadDocument",
    "ColumnsMissing",
    "OnwardForbidden",
    "OwnDataset",
    "OwnDeclaration",
    "OwnProposal",
    "PayloadDiffers",
    "PayloadMissing",
    "PayloadUnreadable",
    "TransferReplayed",
    "UnknownDeclaration",
]


class UnknownDeclaration(Problem):
    """There is no such declaration."""

    slug: ClassVar[str] = "declaration-unknown"
    status: ClassVar[int] = 404


class BadConsignment(Problem):
    """``field`` of a consignment cannot be as it is: ``reason``."""

    slug: ClassVar[str] = "consignment-bad"
    status: ClassVar[int] = 422
    CODES: ClassVar[Mapping[str, str]] = {"reason": "gate.bad-consignment"}


class TransferReplayed(Problem):
    """The same transfer was declared before with other content."""

    slug: ClassVar[str] = "transfer-replayed"
    status: ClassVar[int] = 409


class PayloadMissing(Problem):
    """There is no readable payload where the consignment says, or it is empty."""

    slug: ClassVar[str] = "payload-missing"
    status: ClassVar[int] = 422
    CODES: ClassVar[Mapping[str, str]] = {"reason": "gate.payload-missing"}


class PayloadDiffers(Problem):
    """The payload is not the one that was declared or promised."""

    slug: ClassVar[str] = "payload-differs"
    status: ClassVar[int] = 409


class PayloadUnreadable(Problem):
    """The payload is no table that can be read to its end: ``reason``."""

    slug: ClassVar[str] = "payload-unreadable"
    status: ClassVar[int] = 422
    CODES: ClassVar[Mapping[str, str]] = {"reason": "gate.payload-unreadable"}


class ColumnsMissing(Problem):
    """The payload lacks declared ``columns``."""

    slug: ClassVar[str] = "columns-missing"
    status: ClassVar[int] = 422


class BadDocument(Problem):
    """A document given with an act cannot be as it is: ``reason``."""

    slug: ClassVar[str] = "document-bad"
    status: ClassVar[int] = 422
    CODES: ClassVar[Mapping[str, str]] = {"reason": "gate.bad-document"}


class OnwardForbidden(Problem):
    """The data came here under a duty (``obligation``) that forbids this onward transfer."""

    slug: ClassVar[str] = "onward-forbidden"
    status: ClassVar[int] = 403
