"""What comes in by the Dataspace Protocol: one function a message that begins a process, one for all others.

Everything is committed before the answer leaves. A message that carries the same id again gets the same answer and
does nothing, and so does the last one again of a peer that gives no ids; one that does not fit the state is refused and
changes nothing.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db import IntegrityError, transaction

from wantong.border.exchange import formats, messages
from wantong.border.exchange.machine import CONSUMER, PROVIDER, IllegalTransition, other
from wantong.border.exchange.models import Agreement, Dataset, Message, Negotiation, Offer, Process, Transfer
from wantong.border.exchange.processes import FAMILIES, advance, family_of, lock, new_pid
from wantong.border.exchange.sending import BEGINNING, next_move
from wantong.border.exchange.visibility import visible
from wantong.border.trust.models import Peer
from wantong.border.trust.verifiers import Caller
from wantong.ground.http.reach import plain


class Refused(Exception):
    """A message that is not taken. ``status`` and ``reason`` go to the sender in the family's error body."""

    def __init__(self, status: int, reason: str, pids: Mapping[str, str] | None = None) -> None:
        super().__init__(reason)
        self.status, self.reason, self.pids = status, reason, dict(pids or {})


@dataclass(frozen=True)
class Answer:
    """What the sender gets; ``links`` by relation go into its ``Link`` header."""

    status: int
    body: dict[str, Any] | None = None
    links: Mapping[str, str] = field(default_factory=dict)


def begin(caller: Caller, family: str, message: Mapping[str, Any]) -> Answer:
    """Take a message that begins a process: a request, or a provider's first offer. Raises :class:`Refused`."""
    kind = messages.kind_of(message)
    sender = PROVIDER if kind == "offer" else CONSUMER
    theirs = str(message[f"{sender}Pid"])
    if not 0 < len(theirs) <= 300:
        raise Refused(400, "the process id is empty or too long")
    role = other(sender)

    def known() -> Answer | None:
        found = (
            FAMILIES[family].model.objects.filter(peer=caller.peer, role=role, counterpart_pid=theirs).first()
        )
        return None if found is None else Answer(201, state_of(found, asked=True))

    make = {"negotiations": _new_negotiation, "transfers": _new_transfer}[family]
    try:
        with transaction.atomic():
            if answer := known():
                return answer
            process = make(caller.peer, role, theirs, message)
            advance(process, kind, sender, message)
            answer = Answer(201, state_of(process))
            _journal(process, caller, kind, message, answer)
            next_move(process)
            return answer
    except IntegrityError:
        # the same message at the same moment
        if answer := known():
            return answer
        raise


def proceed(
    caller: Caller, family: str, pid: str, kinds: tuple[str, ...], message: Mapping[str, Any]
) -> Answer:
    """Take a message about a process that exists. Raises :class:`Refused`."""
    kind = messages.kind_of(message)
    try:
        with transaction.atomic():
            process = lock(FAMILIES[family].model, pid, caller.peer)
            if process is None:
                raise Refused(404, "there is no such process")
            if answer := _remembered(caller, process, message):
                return answer
            pids = messages.pids(process.role, process.pid, process.counterpart_pid)
            if kind not in kinds:
                raise Refused(400, f"a {kind} message does not belong here", pids)
            _check_pids(process, message, pids)
            try:
                advance(process, kind, other(process.role), message)
            except IllegalTransition as error:
                if kind not in BEGINNING and _repeated(caller, process, message):
                    return Answer(200, state_of(process))
                raise Refused(400, str(error), pids) from None
            answer = Answer(200, state_of(process))
            _journal(process, caller, kind, message, answer)
            next_move(process)
            return answer
    except IntegrityError:
        raise Refused(400, "another message carries this message id") from None


def state(peer: Peer, family: str, pid: str) -> dict[str, Any]:
    """Where a process stands. Raises :class:`Refused`."""
    process = FAMILIES[family].model.objects.filter(pid=pid, peer=peer).first()
    if process is None:
        raise Refused(404, "there is no such process")
    return state_of(process)


def state_of(process: Process, *, asked: bool = False) -> dict[str, Any]:
    """The protocol's description of a process; ``asked``: as it was when it began."""
    return messages.state(
        family_of(process),
        process.role,
        process.pid,
        process.counterpart_pid,
        ("OFFERED" if process.role == CONSUMER else "REQUESTED") if asked else process.state,
    )


def _check_pids(process: Process, message: Mapping[str, Any], pids: Mapping[str, str]) -> None:
    own, theirs = (
        ("providerPid", "consumerPid") if process.role == PROVIDER else ("consumerPid", "providerPid")
    )
    if message.get(own, process.pid) != process.pid:
        raise Refused(400, f"{own} is not that of this process", pids)
    named = message.get(theirs)
    if not process.counterpart_pid and isinstance(named, str) and 0 < len(named) <= 300:
        # his message has overtaken his answer to our first one
        process.counterpart_pid = named
    elif named is not None and named != process.counterpart_pid:
        raise Refused(400, f"{theirs} is not that of this process", pids)


def _address(peer: Peer, message: Mapping[str, Any]) -> str:
    """Where the peer wants his messages: only at his own node, or we could be made to call on anyone."""
    address = str(message.get("callbackAddress", ""))
    base = peer.url.rstrip("/")
    if len(address) <= 600 and plain(address) and (address == peer.url or address.startswith(base + "/")):
        return address
    raise Refused(400, "callbackAddress is not an address of the node that sent this")


def _new_negotiation(peer: Peer, role: str, theirs: str, message: Mapping[str, Any]) -> Negotiation:
    offer = message["offer"]
    target = str(offer.get("target", ""))
    title: dict[str, str] = {}
    if role == PROVIDER:
        dataset = visible(peer).filter(id=target).first() if target else _offering(peer, offer["@id"])
        if dataset is None or not Offer.objects.filter(dataset=dataset, offer_id=offer["@id"]).exists():
            raise Refused(400, "there is no such offer")
        target, title = dataset.id, dataset.title
    return Negotiation(
        pid=new_pid(),
        role=role,
        peer=peer,
        counterpart_pid=theirs,
        address=_address(peer, message),
        begun_by=f"peer:{peer.participant_id}",
        dataset_id=target[:300],
        title=title,
        offer=dict(offer),
    )


def _offering(peer: Peer, offer_id: str) -> Dataset | None:
    return visible(peer).filter(offers__offer_id=offer_id).first()


def _new_transfer(peer: Peer, role: str, theirs: str, message: Mapping[str, Any]) -> Transfer:
    agreement = Agreement.objects.filter(id=message["agreementId"], peer=peer, role=PROVIDER).first()
    if agreement is None:
        raise Refused(400, "there is no such agreement")
    form, dataset = message["format"], Dataset.objects.filter(id=agreement.dataset_id).first()
    offered = [messages.PULL] if dataset is None else formats.of(dataset)
    if form not in offered:
        raise Refused(400, f"only {', '.join(offered)} is offered")
    if "dataAddress" in message:
        raise Refused(400, "a pull transfer takes no data address")
    identifier = str(uuid.uuid4())
    return Transfer(
        pid=f"urn:uuid:{identifier}",
        id=identifier,
        role=role,
        peer=peer,
        counterpart_pid=theirs,
        address=_address(peer, message),
        begun_by=f"peer:{peer.participant_id}",
        agreement=agreement,
        format=form,
    )


def _remembered(caller: Caller, process: Process, message: Mapping[str, Any]) -> Answer | None:
    if not caller.message_id:
        return None
    before = Message.objects.filter(peer=caller.peer, outgoing=False, message_id=caller.message_id).first()
    if before is None:
        return None
    if before.pid != process.pid or before.body != message:
        raise Refused(400, "another message carries this message id")
    return Answer(before.answer_status or 200, before.answer)


def _repeated(caller: Caller, process: Process, message: Mapping[str, Any]) -> bool:
    """Whether a peer that gives its messages no ids says its last one again, word for word: our answer has not reached it,
    or not before it looked again. (Eclipse's connector does, when our next message crosses its next step.) Of what proposes
    something this does not hold: the protocol's test kit wants the second proposal refused.
    """
    if caller.message_id:
        return False
    last = Message.objects.filter(pid=process.pid, outgoing=False).order_by("at").last()
    return last is not None and last.body == message


def _journal(process: Process, caller: Caller, kind: str, message: Mapping[str, Any], answer: Answer) -> None:
    Message.objects.create(
        id=str(uuid.uuid4()),
        family=family_of(process),
        pid=process.pid,
        peer=caller.peer,
        outgoing=False,
        message_id=caller.message_id or "",
        kind=kind,
        body=message,
        status=Message.Status.RECEIVED,
        answer_status=answer.status,
        answer=answer.body,
    )
