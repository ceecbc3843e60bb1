"""What can go wrong in an exchange, as a person is told. Texts: ``data/messages/exchange.yaml``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar

from wantong.border.exchange.policies import Decision, Party, Since
from wantong.ground.problems import Problem


class UnknownDataset(Problem):
    """There is no dataset ``dataset`` here, or it is not for the one who asks."""

    slug: ClassVar[str] = "unknown-dataset"
    status: ClassVar[int] = 404


class BadMetadata(Problem):
    """What was said about a dataset cannot be: ``reason``, a stable code; ``more`` are further ones with params."""

    slug: ClassVar[str] = "bad-metadata"
    status: ClassVar[int] = 422
    CODES: ClassVar[Mapping[str, str]] = {"reason": "exchange.bad-metadata"}

    @classmethod
    def of(cls, faults: Sequence[Mapping[str, Any]]) -> BadMetadata:
        """With everything that is wrong, each the params of one reason."""
        return cls(**faults[0], **({"more": list(faults[1:])} if faults[1:] else {}))

    def said(self, lang: str) -> Mapping[str, Any]:
        told = super().said(lang)
        if "more" not in self.params:
            return told
        more = [BadMetadata(**fault).said(lang)["reason"] for fault in self.params["more"]]
        return {**told, "reason": ("；" if lang.startswith("zh") else "; ").join([told["reason"], *more])}


class DatasetTaken(Problem):
    """Another dataset is called ``dataset`` already."""

    slug: ClassVar[str] = "dataset-taken"
    status: ClassVar[int] = 409


class UnknownProcess(Problem):
    """No negotiation, agreement or transfer is called ``process``."""

    slug: ClassVar[str] = "unknown-process"
    status: ClassVar[int] = 404


class UnknownFormat(Problem):
    """This node knows no transfer in the form ``format``."""

    slug: ClassVar[str] = "unknown-format"
    status: ClassVar[int] = 422


class NotNow(Problem):
    """``act`` is not possible while the process is in ``state``."""

    slug: ClassVar[str] = "not-now"
    status: ClassVar[int] = 409


class PeerUnreachable(Problem):
    """``peer`` does not answer, or not in time: ``reason``, a stable code."""

    slug: ClassVar[str] = "peer-unreachable"
    status: ClassVar[int] = 502
    CODES: ClassVar[Mapping[str, str]] = {"reason": "exchange.peer"}


class PeerRefused(Problem):
    """``peer`` answered ``answer`` (an HTTP status) and says why in ``reason``."""

    slug: ClassVar[str] = "peer-refused"
    status: ClassVar[int] = 502


class PeerMisbehaves(Problem):
    """``peer`` answered with something that the protocol does not allow: ``reason``, a stable code."""

    slug: ClassVar[str] = "peer-misbehaves"
    status: ClassVar[int] = 502
    CODES: ClassVar[Mapping[str, str]] = {"reason": "exchange.peer"}


class TermsNotUnderstood(Problem):
    """Terms that this node cannot keep: ``words`` in them mean nothing here, or nobody can know their value."""

    slug: ClassVar[str] = "terms-not-understood"
    status: ClassVar[int] = 422

    def said(self, lang: str) -> Mapping[str, Any]:
        return {**self.params, "words": ("、" if lang.startswith("zh") else ", ").join(self.params["words"])}


class TermsUnmet(Problem):
    """The terms do not permit this, or it is not known that they do; ``why`` is a list of reasons (:class:`Why`)."""

    slug: ClassVar[str] = "terms-unmet"
    status: ClassVar[int] = 403

    @classmethod
    def of(cls, decision: Decision) -> TermsUnmet:
        """With the reasons of ``decision``."""
        return cls(
            why=[{name: _plain(value) for name, value in why._asdict().items()} for why in decision.why]
        )

    def said(self, lang: str) -> Mapping[str, Any]:
        from wantong.border.exchange import words

        return {**self.params, "reasons": words.reasons(self.params["why"], lang)}


class BadStanding(Problem):
    """What was recorded of a participant cannot be: ``reason``, a stable code."""

    slug: ClassVar[str] = "bad-standing"
    status: ClassVar[int] = 422
    CODES: ClassVar[Mapping[str, str]] = {"reason": "exchange.bad-standing"}


def _plain(value: object) -> Any:
    if isinstance(value, (str, int, float, bool)) or value is None:
        return value
    if isinstance(value, Party):
        return {"id": value.id, "kinds": None if value.kinds is None else sorted(value.kinds)}
    if isinstance(value, Since):
        seconds = max(int((value.now - value.start).total_seconds()), 0)
        return f"P{seconds // 86400}DT{seconds % 86400 // 3600}H{seconds % 3600 // 60}M"
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds")
    return sorted(map(str, value)) if isinstance(value, (tuple, frozenset)) else str(value)
