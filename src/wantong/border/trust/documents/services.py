"""The verb of documents: ask the authority. Everything else is a function of what is typed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import transaction

from wantong.border.trust.documents import checking, kinds
from wantong.border.trust.documents.checking import Checked
from wantong.border.trust.documents.lines import CLAIMS, Line
from wantong.border.trust.verdict import Verdict
from wantong.ground import clock
from wantong.ground.actors import Actor
from wantong.ground.http.auth import require
from wantong.ground.i18n import pick, t
from wantong.ground.log import services as log
from wantong.ground.problems import Problem


class BadBirthDate(Problem):
    """A date of birth is a year, a month of a year, or a day."""

    slug = "documents-bad-birth-date"
    status = 422


class NotConnected(Problem):
    """This node has no line to the ``authority``, or none for this kind of document."""

    slug = "documents-not-connected"
    status = 409


class NeedsConsent(Problem):
    """The ``authority`` is asked only if the holder of the document has agreed."""

    slug = "documents-needs-consent"
    status = 422


class NeedsClaims(Problem):
    """The ``authority`` wants to be told more: ``missing``."""

    slug = "documents-needs-claims"
    status = 422


class AuthoritySilent(Problem):
    """The ``authority`` gave no answer; ``reason`` is a code."""

    slug = "documents-authority-silent"
    status = 503
    CODES: ClassVar = {"reason": "documents.why"}


def lines() -> dict[str, Line]:
    """The lines of this node, by authority (setting ``WANTONG_AUTHORITIES``)."""
    return dict(getattr(settings, "WANTONG_AUTHORITIES", {}))


def line_for(kind_id: str) -> Line | None:
    """The line by which a document of this kind can be confirmed."""
    kind = kinds.kind(kind_id)
    line = lines().get(kind.authority)
    return line if line and kind_id in line.kinds and checking.connected(kind.authority) else None


@dataclass(frozen=True)
class Asked:
    """An authority's word at a moment. ``verdict`` has the steps of the form before it."""

    checked: Checked
    verdict: Verdict
    basis: str

    @property
    def silent(self) -> str:
        """Why there was no answer: a code; blank if there was one, or if it was not asked."""
        step = self.verdict.steps[-1]
        return step.code if step.name == "authority" and step.outcome == "indeterminate" else ""

    def said(self, lang: str) -> str:
        """Confirmed by whom and when; not; or could not be asked."""
        who = pick(self.checked.kind.authority_names, lang).text
        at = self.verdict.at.astimezone(ZoneInfo(clock.ZONE)).strftime("%Y-%m-%d %H:%M:%S")
        if not self.checked.verdict.passed:
            return t("documents.asked.not", lang, who=who)
        return t(f"documents.asked.{self.verdict.outcome}", lang, who=who, at=at)

    def to_dict(self, lang: str) -> dict[str, Any]:
        """In words; it holds no number."""
        return {
            **self.checked.to_dict(lang),
            "verdict": self.verdict.to_dict(lang),
            "confirmed": self.verdict.passed,
            "said": self.said(lang),
            "at": self.verdict.at.isoformat(),
            "basis": self.basis,
        }


def ask(
    actor: Actor, kind_id: str, number: str, *, name: str = "", birth: str = "", agreed: bool, at: datetime
) -> Asked:
    """Ask the authority whether a document is real and its holder's. Not within a transaction: it waits.

    The log has which authority was asked about which kind, on what basis, and what came of it; of the person nothing,
    not even a digest: numbers of documents are few enough to be guessed. A number that is not well formed is not sent.
    Raises NotAllowed (operators: a register is no place to try numbers), :class:`~.kinds.UnknownKind`,
    :class:`NotConnected`, :class:`NeedsConsent`, :class:`NeedsClaims`.
    """
    require(actor, "operator")
    kind, line = kinds.kind(kind_id), line_for(kind_id)
    if line is None:
        raise NotConnected(authority=kind.authority)
    if line.consent and not agreed:
        raise NeedsConsent(authority=kind.authority)
    claims = {claim: text.strip() for claim, text in zip(CLAIMS, (name, birth), strict=True) if text.strip()}
    if missing := line.needs - claims.keys():
        raise NeedsClaims(authority=kind.authority, missing=", ".join(sorted(missing)))
    checked = checking.check(kind_id, number, at=at)
    verdict = checking.confirm(checked, claims, at=at)
    if checked.verdict.passed:
        _record(line, kind_id, verdict, agreed)
    return Asked(checked, verdict, line.basis)


@transaction.atomic
def _record(line: Line, kind_id: str, verdict: Verdict, agreed: bool) -> None:
    body = {
        "authority": line.authority,
        "document_kind": kind_id,
        "outcome": verdict.outcome,
        "reason": verdict.steps[-1].code,
        "basis": line.basis,
        "consent": agreed,
    }
    log.record("documents.ask", body, verdict.at)
