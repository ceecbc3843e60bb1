"""What can go wrong in the log, typed. Texts live in ``data/messages/log.yaml``."""

from __future__ import annotations

from typing import Any

from wantong.ground import i18n
from wantong.ground.problems import Problem


class LogProblem(Problem):
    """The base of every error of this package."""

    slug = "log-failed"


class Malformed(LogProblem):
    """Bytes that are not what they claim to be.

    ``thing`` is what was being read (``note``, ``checkpoint``, ``proof``, ``vkey``, …) and ``reason`` a stable
    code; both are message ids under ``log.thing.`` and ``log.malformed.``.
    """

    slug = "log-malformed"
    status = 400

    def __init__(self, thing: str, reason: str, **params: Any) -> None:
        self.thing = thing
        self.reason = reason
        super().__init__(thing=thing, reason=reason, **params)

    def explain(self, lang: str) -> dict[str, str]:
        named = {
            "thing": i18n.t(f"log.thing.{self.thing}", lang),
            "reason": i18n.t(f"log.malformed.{self.reason}", lang),
        }
        return {p: i18n.t(f"problem.{self.slug}.{p}", lang, **named) for p in ("title", "detail", "next")}


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


class Unproven(LogProblem):
    """A signature, proof or quorum does not hold.

    ``reason`` is a stable code and a message id under ``log.unproven.``.
    """

    slug = "log-unproven"
    status = 422

    def __init__(self, reason: str, **params: Any) -> None:
        self.reason = reason
        super().__init__(reason=reason, **params)

    def explain(self, lang: str) -> dict[str, str]:
        reason = i18n.t(
            f"log.unproven.{self.reason}", lang, **{k: v for k, v in self.params.items() if k != "reason"}
        )
        return {
            p: i18n.t(f"problem.{self.slug}.{p}", lang, reason=reason) for p in ("title", "detail", "next")
        }


class Unreachable(LogProblem):
    """A log that is read over HTTP does not answer as one; ``reason`` as in :class:`WitnessFailed`."""

    slug = "log-unreachable"
    status = 502

    def __init__(self, reason: str, **params: Any) -> None:
        self.reason = reason
        super().__init__(reason=reason, **params)

    def explain(self, lang: str) -> dict[str, str]:
        rest = {k: v for k, v in self.params.items() if k != "reason"}
        reason = i18n.t(f"log.witness.{self.reason}", lang, **rest)
        return {
            p: i18n.t(f"problem.{self.slug}.{p}", lang, reason=reason) for p in ("title", "detail", "next")
        }


class WitnessFailed(LogProblem):
    """A witness did not answer, or answered something that cannot be used.

    ``reason`` is a stable code and a message id under ``log.witness.``.
    """

    slug = "log-witness-failed"
    status = 502

    def __init__(self, witness: str, reason: str, **params: Any) -> None:
        self.witness = witness
        self.reason = reason
        super().__init__(witness=witness, reason=reason, **params)

    def explain(self, lang: str) -> dict[str, str]:
        rest = {k: v for k, v in self.params.items() if k != "reason"}
        reason = i18n.t(f"log.witness.{self.reason}", lang, **rest)
        named = {"witness": self.witness, "reason": reason}
        return {p: i18n.t(f"problem.{self.slug}.{p}", lang, **named) for p in ("title", "detail", "next")}
