"""What a node does by itself when a negotiation or a transfer has come to a new state.

The state machines say what is possible; a :class:`Conduct` says what is done. The default one
(:class:`ByTheBook`) agrees to what the whitelist covers or the dataset is open for, and leaves everything else to
people. Another one is chosen by the setting ``WANTONG_CONDUCT``, for example one that plays a script.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any, Protocol

from django.conf import settings
from django.utils import timezone
from django.utils.module_loading import import_string

from wantong.border.exchange import enforcement, machine, terms
from wantong.border.exchange import negotiation as n
from wantong.border.exchange import transfer as t
from wantong.border.exchange.models import Dataset, Negotiation, Offer, Transfer
from wantong.border.exchange.problems import TermsNotUnderstood, TermsUnmet
from wantong.ground.problems import Problem


@dataclass(frozen=True)
class Send:
    """Send the message ``kind``. ``content`` goes into its body beside the process ids."""

    kind: str
    content: dict[str, Any] | None = None
    reason: str = ""


@dataclass(frozen=True)
class Wait:
    """Do nothing until a person acts; ``reason`` is a message id (``exchange.waiting.<reason>``)."""

    reason: str


@dataclass(frozen=True)
class Declare:
    """Bring a requested export before the gate."""


@dataclass(frozen=True)
class Fetch:
    """Fetch a payload that may be fetched now."""


Move = Send | Wait | Declare | Fetch | None


class Conduct(Protocol):
    """``delay`` is how long a message waits before it is sent for the first time."""

    delay: timedelta

    def negotiation(self, process: Negotiation) -> Move: ...

    def transfer(self, process: Transfer) -> Move: ...


class ByTheBook:
    """The conduct of a real node."""

    delay = timedelta()

    def negotiation(self, process: Negotiation) -> Move:
        match process.role, process.state:
            case (machine.PROVIDER, n.REQUESTED | n.ACCEPTED):
                return against(process) or (Send("agreement") if _covered(process) else Wait("agreement"))
            case (machine.PROVIDER, n.VERIFIED):
                return Send("finalized")
            case (machine.CONSUMER, n.OFFERED):
                return against(process) or Wait("offer")
            case (machine.CONSUMER, n.AGREED):
                agreed = process.agreement or {}
                if words := enforcement.not_understood(agreed):
                    return _end(TermsNotUnderstood(words=list(words)))
                if agreed.get("target") == process.dataset_id and terms.same(agreed, process.offer):
                    return Send("verification")
                return Send("termination", reason="the agreement is not what was asked for")
        return None

    def transfer(self, process: Transfer) -> Move:
        match process.role, process.state:
            case (machine.PROVIDER, t.REQUESTED):
                return Declare()
            case (machine.CONSUMER, t.STARTED):
                return Fetch()
        return None


def against(process: Negotiation) -> Move:
    """What speaks against the terms on the table: not understood or out of the question, they end the negotiation.

    Where something is not known at the provider (what kind of body the peer is, say), a person must find out first.
    """
    if words := enforcement.not_understood(process.offer):
        return _end(TermsNotUnderstood(words=list(words)))
    decision = enforcement.prospect(process)
    if decision.permitted is None:
        return Wait("terms") if process.role == machine.PROVIDER else None
    return None if decision.permitted else _end(TermsUnmet.of(decision))


def _end(problem: Problem) -> Send:
    return Send("termination", {"code": problem.slug}, reason=problem.explain("en")["detail"][:1000])


def may_agree(process: Negotiation) -> bool:
    """Whether the request on the table may be agreed to without asking anyone.

    Its terms must be ones that can be kept, it must take no more than an offer of the dataset gives, and the dataset
    must be open or the whitelist must cover the fields for that purpose and receiver today.
    """
    return against(process) is None and _covered(process)


def _covered(process: Negotiation) -> bool:
    dataset = Dataset.objects.filter(id=process.dataset_id, withdrawn_at=None).first()
    if dataset is None or not any(
        terms.within(process.offer, offer.policy) for offer in Offer.objects.filter(dataset=dataset)
    ):
        return False
    if dataset.is_open:
        return True
    from wantong.border.gate.whitelist import services as whitelist

    fields = terms.fields_of(process.offer) or [column["name"] for column in dataset.fields]
    purpose = terms.purpose_of(process.offer)
    today = timezone.localdate()
    return whitelist.covering(dataset.id, fields, purpose, process.peer.participant_id, today) is not None


@cache
def _conduct(path: str) -> Conduct:
    conduct: Conduct = import_string(path)()
    return conduct


def current() -> Conduct:
    """The conduct of this node."""
    return _conduct(getattr(settings, "WANTONG_CONDUCT", "wantong.border.exchange.conduct.ByTheBook"))
