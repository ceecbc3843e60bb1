"""What can go wrong in the log, typed. Texts live in ``data/messages/log.yaml``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from wantong.ground.problems import Problem


class LogProblem(Problem):
    """The base of every error of this package."""

    slug = "log-failed"


class Reasoned(LogProblem):
    """A problem whose ``reason`` is a stable code, with its words in a family of messages (see ``CODES``)."""

    def __init__(self, reason: str, **params: Any) -> None:
        self.reason = reason
        super().__init__(reason=reason, **params)


class Malformed(Reasoned):
    """Bytes that are not what they claim to be. ``thing`` is what was being read (``note``, ``proof``, ``vkey``, …)."""

    slug = "log-malformed"
    status = 400
    CODES: ClassVar[Mapping[str, str]] = {"thing": "log.thing", "reason": "log.malformed"}

    def __init__(self, thing: str, reason: str, **params: Any) -> None:
        super().__init__(reason, thing=thing, **params)


class EntryTooLarge(LogProblem):
    """An entry longer than the 65,535 bytes an entry bundle can hold."""

    slug = "log-entry-too-large"
    status = 413


class EntryUnknown(LogProblem):
    """No entry with that index or id."""

    slug = "log-entry-unknown"
    status = 404


class NotServed(LogProblem):
    """A tile, bundle or size that this tree does not have."""

    slug = "log-not-served"
    status = 404


class ReceiptPending(LogProblem):
    """The entry is in the log, but too few foreign witnesses have seen it yet."""

    slug = "log-receipt-pending"
    status = 409


class StorageFull(LogProblem):
    """The disk has no room; nothing of this batch was stored."""

    slug = "log-storage-full"
    status = 507


class StorageFailed(LogProblem):
    """The log's database could not be read or written; nothing of this batch was acknowledged."""

    slug = "log-storage-failed"
    status = 503


class OriginMismatch(LogProblem):
    """The folder holds the log of another origin or another key."""

    slug = "log-origin-mismatch"
    status = 500


class RolledBack(LogProblem):
    """The database is older than, or differs from, a checkpoint this log has already shown to others."""

    slug = "log-rolled-back"
    status = 500


class Unproven(Reasoned):
    """A signature, proof or quorum does not hold."""

    slug = "log-unproven"
    status = 422
    CODES: ClassVar[Mapping[str, str]] = {"reason": "log.unproven"}


class Unreachable(Reasoned):
    """A log that is read over HTTP does not answer as one."""

    slug = "log-unreachable"
    status = 502
    CODES: ClassVar[Mapping[str, str]] = {"reason": "log.witness"}


class WitnessFailed(Reasoned):
    """A witness did not answer, or answered something that cannot be used."""

    slug = "log-witness-failed"
    status = 502
    CODES: ClassVar[Mapping[str, str]] = {"reason": "log.witness"}

    def __init__(self, witness: str, reason: str, **params: Any) -> None:
        super().__init__(reason, witness=witness, **params)
