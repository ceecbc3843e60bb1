"""What was agreed on is kept: the policies of offers and agreements, decided with what this node knows.

At the provider: an offer that a peer could never use is not shown to him; a request is agreed to only if its terms can
be kept; a transfer starts, and every request to the data plane is answered, only while they are. At the consumer: data
is asked for, taken out, and passed on only within the agreement under which it came.

A use is counted once a delivery. It is taken in the transaction in which the payload is let go, under the agreement's
lock, by the name of the transfer: a retry finds it taken, two transfers at one moment take one after the other, and a
transfer of which no byte has left gives it back.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from django.db import transaction
from django.utils import timezone

from wantong.border.exchange import access, terms
from wantong.border.exchange.machine import PROVIDER
from wantong.border.exchange.messages import PULL
from wantong.border.exchange.models import (
    Agreement,
    Dataset,
    Negotiation,
    ReceivedDataset,
    Standing,
    Transfer,
    Use,
)
from wantong.border.exchange.policies import MalformedPolicy
from wantong.border.exchange.policies.case import FIELD, Case, compiled, delete_by, digest, strange
from wantong.border.exchange.policies.compile import Decision, Why
from wantong.border.exchange.problems import TermsNotUnderstood, TermsUnmet
from wantong.border.gate.declarations.models import Declaration
from wantong.border.trust.models import Peer
from wantong.ground import config

FILE, SUBSCRIPTION, QUERY = "file", "subscription", "query"
"""Ways of delivery, as agreements name them."""
PLACES: Final = {"gd": "CN-GD", "hk": "HK", "mo": "MO"}
"""Where a node is, if nobody has recorded it more closely."""


# --- can it be kept? --------------------------------------------------------------------------------------------


def not_understood(policy: Mapping[str, Any]) -> tuple[str, ...]:
    """The words of a policy that no node could keep; also what makes it no policy."""
    try:
        return strange(policy)
    except MalformedPolicy as problem:
        return (_where(problem),)


def check_understood(policy: Mapping[str, Any]) -> None:
    """Raises :class:`TermsNotUnderstood`."""
    if words := not_understood(policy):
        raise TermsNotUnderstood(words=list(words))


class Viewer:
    """A peer who looks at our catalogue; what is recorded of him is looked up once, and only if an offer asks for it."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer

    @cached_property
    def _known(self) -> tuple[str, tuple[str, ...] | None]:
        return standing(self._peer.participant_id, self._peer)

    def may_take_up(self, offer: Mapping[str, Any], dataset: Dataset) -> bool:
        """Whether he might ever use ``dataset`` under ``offer``: not, if he is the wrong one or it is too late."""
        if not any(rule.get("constraint") for name in terms.RULES for rule in offer.get(name, ())):
            return True
        name = self._peer.participant_id
        try:
            case = _case(
                offer, dataset.id, name, self._peer, dataset=lambda: dataset, known=lambda: self._known
            )
            return case.prospect(timezone.now()).permitted is not False
        except MalformedPolicy:
            return False


def prospect(process: Negotiation) -> Decision:
    """Whether what is on the table of a negotiation can be kept, now or later. Raises MalformedPolicy."""
    if process.role == PROVIDER:
        name, dataset = process.peer.participant_id, _dataset(process.dataset_id)
        case = _case(process.offer, process.dataset_id, name, process.peer, dataset=dataset)
    else:
        case = _case(process.offer, process.dataset_id, config.current().participant_id, None)
    return case.prospect(timezone.now())


def check_request(dataset_id: str, policy: Mapping[str, Any]) -> None:
    """That what this node is about to ask for is understood and not out of the question.

    Raises :class:`TermsNotUnderstood`, :class:`TermsUnmet`.
    """
    check_understood(policy)
    case = _case(policy, dataset_id, config.current().participant_id, None)
    decision = case.prospect(timezone.now())
    if decision.permitted is False:
        raise TermsUnmet.of(decision)


# --- the provider -----------------------------------------------------------------------------------------------


def of_transfer(process: Transfer) -> Case:
    """The case of a transfer, at either end, as things are known now."""
    agreement = process.agreement
    own = process.role != PROVIDER
    receiver = config.current().participant_id if own else process.peer.participant_id
    return _case(
        agreement.policy,
        agreement.dataset_id,
        receiver,
        None if own else process.peer,
        dataset=_dataset("" if own else agreement.dataset_id),
        count=lambda: _ordinal(agreement, process.id) if _is_counted(process) else 1,
        since=agreement.created_at,
        format=process.format,
    )


def admit(process: Transfer) -> Decision:
    """Whether a transfer may go on now; nothing is taken."""
    try:
        return of_transfer(process).decide(timezone.now())
    except MalformedPolicy as problem:
        return _unreadable(problem)


def take(process: Transfer) -> Decision:
    """As :func:`admit`; if so, the use is taken, in the caller's transaction. Idempotent."""
    try:
        if _is_counted(process):
            Agreement.objects.select_for_update().get(id=process.agreement.id)
        case = of_transfer(process)
    except MalformedPolicy as problem:
        return _unreadable(problem)
    decision = case.decide(timezone.now())
    if decision.permitted and _is_counted(process):
        _count(case, process.agreement, process.id)
    return decision


def _unreadable(problem: MalformedPolicy) -> Decision:
    """What no policy is permits nothing; agreements made before policies were read may hold some."""
    return Decision(None, (Why("word", left=_where(problem)),))


def _where(problem: MalformedPolicy) -> str:
    return f"{problem.params['path']}: {problem.params['reason']}"


def _is_counted(process: Transfer) -> bool:
    """Whether a transfer is a use that its agreement counts; what is no file counts what it answers itself."""
    try:
        return process.format == PULL and "count" in compiled(process.agreement.policy).operands
    except MalformedPolicy:
        return False


def took_place(process: Transfer) -> None:
    """A byte has left: whatever was known before, the use is taken. Idempotent."""
    if _is_counted(process):
        with transaction.atomic():
            Agreement.objects.select_for_update().get(id=process.agreement.id)
            _count(of_transfer(process), process.agreement, process.id)


def onward(transfer_id: str) -> str:
    """The key under which passing data on by a transfer is counted."""
    return f"onward:{transfer_id}"


def give_back(key: str) -> None:
    """The use ``key`` did not take place."""
    Use.objects.filter(key=key, returned_at=None).update(returned_at=timezone.now())


def seal(process: Transfer) -> str:
    """Lay the case of a transfer down for the data plane; returns its name, empty if nothing can change the answer."""
    case = of_transfer(process)
    if case.is_open:
        return ""
    sealed = case.seal()
    name = digest(sealed)
    folder = access.terms_folder(config.current().run, process.id)
    if not (folder / name).exists():
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        # whole or not at all: the data plane may look at any moment
        with tempfile.NamedTemporaryFile(dir=folder, delete=False) as draft:
            draft.write(sealed)
        Path(draft.name).rename(folder / name)
    return name


def unseal(process: Transfer) -> None:
    """A transfer is over: what was laid down for it goes."""
    shutil.rmtree(access.terms_folder(config.current().run, process.id), ignore_errors=True)


def next_turn(process: Transfer) -> timedelta | None:
    """How long until the answer for a transfer may change; None if time changes nothing."""
    now = timezone.now()
    turns = of_transfer(process).turns(now)
    return turns[0] - now if turns else None


def retain_until(policy: Mapping[str, Any], start: datetime) -> date | None:
    """The last day on which data received at ``start`` may still be there at its end."""
    try:
        limit = delete_by(policy, start)
    except MalformedPolicy:
        return None
    # the gate deletes at the midnight after that day
    return timezone.localdate(limit) - timedelta(days=1) if limit else None


# --- the consumer -----------------------------------------------------------------------------------------------


def take_out(received: ReceivedDataset, key: str) -> None:
    """Somebody here wants to use what was received; counted once for ``key``. Raises :class:`TermsUnmet`."""
    transfer = received.transfer
    with transaction.atomic():
        agreement = Agreement.objects.select_for_update().get(id=transfer.agreement.id)
        case = _case(
            agreement.policy,
            agreement.dataset_id,
            config.current().participant_id,
            None,
            count=lambda: _ordinal(agreement, key),
            since=agreement.created_at,
            received_at=received.received_at,
            media_type=received.media_type,
        )
        _require(case, agreement, key, "")


def on_onward(
    *, imported: Declaration, receiver: str, purpose: str, fields: Iterable[str], transfer_id: str, **_: Any
) -> None:
    """What came under an agreement is to be passed on: counted once a transfer. Raises :class:`TermsUnmet`."""
    key = onward(transfer_id)
    with transaction.atomic():
        agreement = (
            Agreement.objects.select_for_update()
            .filter(id=imported.agreement_id)
            .exclude(role=PROVIDER)
            .first()
        )
        if agreement is None:
            return
        received = ReceivedDataset.objects.filter(transfer__id=imported.transfer_id).first()
        peer = Peer.objects.filter(participant_id=receiver).first()
        case = _case(
            agreement.policy,
            agreement.dataset_id,
            config.current().participant_id,
            peer,
            recipient=receiver,
            purpose=purpose,
            fields=tuple(fields) or None,
            count=lambda: _ordinal(agreement, key),
            since=agreement.created_at,
            received_at=received.received_at if received else None,
            media_type=imported.media_type,
        )
        _require(case, agreement, key, "distribute")


def outlook(agreement: Agreement) -> tuple[Decision, int | None]:
    """Whether what an agreement is about may be used now, once more; and how often it was, None where nobody counts.

    At the provider: delivered; at the consumer: taken out. Raises MalformedPolicy.
    """
    here = agreement.role == PROVIDER
    taken = Use.objects.filter(agreement=agreement, returned_at=None).count()
    received = ReceivedDataset.objects.filter(transfer__agreement=agreement).order_by("-received_at").first()
    case = _case(
        agreement.policy,
        agreement.dataset_id,
        agreement.peer.participant_id if here else config.current().participant_id,
        agreement.peer if here else None,
        dataset=_dataset(agreement.dataset_id if here else ""),
        count=lambda: taken + 1,
        since=agreement.created_at,
        received_at=received.received_at if received and not here else None,
        media_type=received.media_type if received else "",
    )
    return case.decide(timezone.now()), taken if "count" in case.operands else None


# --- what is known ----------------------------------------------------------------------------------------------


def standing(participant_id: str, peer: Peer | None) -> tuple[str, tuple[str, ...] | None]:
    """Where a participant is and what kinds of body it is (None: not recorded); ``peer`` None: this node."""
    recorded = Standing.objects.filter(participant_id=participant_id).first()
    if recorded is not None:
        return recorded.place, tuple(recorded.kinds)
    jurisdiction = peer.jurisdiction if peer else config.current().jurisdiction
    return PLACES[jurisdiction], None


def _case(
    policy: Mapping[str, Any],
    target: str,
    assignee: str,
    peer: Peer | None,
    *,
    dataset: Callable[[], Dataset | None] = lambda: None,
    recipient: str = "",
    purpose: str | None = None,
    fields: tuple[str, ...] | None = None,
    count: Callable[[], int] = lambda: 1,
    since: datetime | None = None,
    received_at: datetime | None = None,
    media_type: str = "",
    known: Callable[[], tuple[str, tuple[str, ...] | None]] | None = None,
    format: str = "",
) -> Case:
    """The case of ``assignee`` using ``target``, or passing it on to ``recipient`` (whom ``peer`` is, None: us).

    An agreement names its assignee in the words of the other side, who may know us by another name: whoever it
    names there is who holds it. What the policy does not ask for is not looked up. Raises MalformedPolicy.
    """
    asked = compiled(policy).operands
    receiver = recipient or assignee
    place, kinds = "", None
    if asked & {"spatial", "recipient"}:
        # a receiver whom nobody here has recognised: nothing is known of him
        stranger = peer is None and receiver != config.current().participant_id
        if known is not None:
            place, kinds = known()
        elif not stranger:
            place, kinds = standing(receiver, peer)
    columns = fields or tuple(terms.fields_of(policy)) or None
    if asked & {FIELD, "fileFormat"} and (row := dataset()) is not None:
        media_type = row.media_type
        columns = columns or tuple(str(column["name"]) for column in row.fields) or None
    started = since or timezone.now()
    return Case(
        policy=policy,
        target=target,
        assignee=str(policy.get("assignee") or assignee),
        recipient=receiver,
        kinds=kinds,
        place=place,
        purpose=terms.purpose_of(policy) if purpose is None else purpose,
        media_type=media_type,
        fields=columns,
        count=count() if "count" in asked else None,
        starts={"elapsedTime": received_at or started, "delayPeriod": started},
        more=_more(policy, format),
    )


def _dataset(identifier: str) -> Callable[[], Dataset | None]:
    return lambda: Dataset.objects.filter(id=identifier).first()


def _more(policy: Mapping[str, Any], format: str) -> dict[str, str | int]:
    """What the sharing of data and its query service keep by themselves, as far as a transfer shows it."""
    delivery = terms.named(policy, terms.DELIVERY)
    ways = {"": (delivery,), PULL: (FILE, SUBSCRIPTION)}.get(format, (QUERY,))
    found: dict[str, str | int] = {terms.CALLS_PER_DAY: 1}
    found |= {terms.DELIVERY: delivery if delivery in ways else ways[0]}
    found |= {terms.REQUEST: terms.named(policy, terms.REQUEST)}
    return {name: value for name, value in found.items() if value != ""}


# --- counting ---------------------------------------------------------------------------------------------------


def _ordinal(agreement: Agreement, key: str) -> int:
    """The how-manieth use under ``agreement`` that of ``key`` is, or would be."""
    taken = Use.objects.filter(agreement=agreement, returned_at=None)
    own = taken.filter(key=key).first()
    return int(taken.filter(number__lte=own.number).count() if own else taken.count() + 1)


def _count(case: Case, agreement: Agreement, key: str) -> None:
    if "count" not in case.operands:
        return
    used = Use.objects.filter(agreement=agreement, key=key).first()
    if used is not None and used.returned_at is None:
        return
    last = Use.objects.filter(agreement=agreement).order_by("-number").first()
    number = last.number + 1 if last else 1
    Use.objects.update_or_create(
        agreement=agreement,
        key=key,
        defaults={"number": number, "at": timezone.now(), "returned_at": None},
    )


def _require(case: Case, agreement: Agreement, key: str, action: str) -> None:
    decision = case.decide(timezone.now(), action)
    if not decision.permitted:
        raise TermsUnmet.of(decision)
    _count(case, agreement, key)
