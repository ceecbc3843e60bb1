"""From a new state to what is done about it, and from there to a message that has arrived.

The conduct looks at a new state in the transaction that brings it. Each process has one queue, in order. A message
changes the process's state when it is about to leave, before the peer can see it: his next message may be here before
his answer is. If no other waits before it, that is when it is queued. What the peer refuses for good ends the process,
for the protocol asks to terminate when the two sides differ.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import partial
from typing import Any

import structlog
from django.db import transaction
from django.utils import timezone

from wantong.border.exchange import conduct, messages, schemas, signals, wire
from wantong.border.exchange.machine import INITIAL, PROVIDER, IllegalTransition
from wantong.border.exchange.models import Message, Negotiation, Process, Transfer
from wantong.border.exchange.problems import PeerMisbehaves, PeerUnreachable
from wantong.border.exchange.processes import (
    FAMILIES,
    advance,
    base_address,
    family_of,
    is_final,
    lock,
    make_agreement,
)
from wantong.ground.outbox import services as outbox
from wantong.ground.outbox.models import Event

logger = structlog.get_logger(__name__)

# 404: the peer may not have stored the process yet; 409: nor the state that our answer to its last message made;
# 401: a clock may be an hour off, or a pinned card late
NOT_YET = {401: 40, 404: 8, 408: 600, 409: 4, 425: 600, 429: 600}
BEGINNING = ("request", "offer")
Status = Message.Status


def next_move(process: Process) -> None:
    """Let the node's conduct look at the new state of a locked process: now, or after what waits to be sent."""
    if is_final(process):
        return
    if conduct.current().delay or (waiting := _waiting(process)):
        payload = {"family": family_of(process), "pid": process.pid, "version": process.version}
        outbox.publish("exchange.act", process.pid, payload)
    else:
        _move(process, waiting)


def act(event: Event) -> None:
    """Let the conduct look at a state; an event about an older state is void."""
    with transaction.atomic():
        process = lock(FAMILIES[event.payload["family"]].model, event.payload["pid"])
        if process is not None and process.version == event.payload["version"]:
            _move(process)


def _move(process: Process, waiting: bool | None = None) -> None:
    chosen = conduct.current()
    assert isinstance(process, Negotiation | Transfer)
    move = chosen.negotiation(process) if isinstance(process, Negotiation) else chosen.transfer(process)
    match move:
        case conduct.Send():
            queue(process, move, waiting)
        case conduct.Wait(reason):
            process.waiting_for = reason
            process.save(update_fields=["waiting_for", "updated_at"])
        case conduct.Declare():
            outbox.publish("exchange.declare", process.pid, {"pid": process.pid})
        case conduct.Fetch():
            outbox.publish("exchange.fetch", process.pid, {"pid": process.pid})


def queue(process: Process, move: conduct.Send, waiting: bool | None = None) -> Message:
    """Put a message of ours at the end of a locked process's queue, in the caller's transaction.

    If nothing is before it, the process is in its new state when this returns. ``waiting``: whether something is, if
    the caller knows.
    """
    message = Message(
        id=str(uuid.uuid4()),
        family=family_of(process),
        pid=process.pid,
        peer_id=process.peer_id,
        outgoing=True,
        kind=move.kind,
        body=dict(move.content or {}) | ({"reason": [move.reason]} if move.reason else {}),
        status=Status.QUEUED,
    )
    delay = conduct.current().delay
    # before what follows from the new state
    outbox.publish("dsp.send", process.pid, {"message": message.id}, delay=delay)
    known = move.kind in BEGINNING or process.counterpart_pid
    if known and not delay and not (_waiting(process) if waiting is None else waiting):
        _leave(message, process)
    message.save(force_insert=True)
    return message


def _waiting(process: Process) -> bool:
    """Whether messages of the process wait to be sent that have not changed its state yet."""
    return Message.objects.filter(pid=process.pid, outgoing=True, status=Status.QUEUED).exists()


def send(event: Event) -> Callable[[], None] | None:
    """Deliver one queued message; safe to repeat at any point. Returns what is to be stored when it is over."""
    message = Message.objects.get(id=event.payload["message"])
    model = FAMILIES[message.family].model
    if message.status == Status.QUEUED:
        with transaction.atomic():
            locked = lock(model, message.pid)
            assert locked is not None
            _leave(message, locked)
            message.save(update_fields=["body", "status"])
    if message.status != Status.SENDING:
        return None
    process: Process = model._default_manager.select_related("peer").get(pid=message.pid)
    fresh = message.kind in BEGINNING and not process.counterpart_pid
    path = messages.path_for(message.family, message.kind, None if fresh else process.counterpart_pid)
    try:
        answer = wire.call(
            process.peer, "POST", process.address.rstrip("/") + path, message.body, message_id=message.id
        )
    except PeerUnreachable as error:
        raise outbox.Retry(str(error)) from error
    except PeerMisbehaves as error:
        return partial(_refused, message, 0, str(error))
    if answer.ok:
        return partial(_arrived, message, answer, fresh=fresh)
    wire.postpone(answer)
    if answer.status >= 500 or event.attempts < NOT_YET.get(answer.status, 0):
        after = timedelta(seconds=answer.retry_after) if answer.retry_after else None
        raise outbox.Retry(f"answered {answer.status}", after)
    if event.attempts > 1 and _known_there(process):
        # an earlier attempt arrived and its answer was lost; a peer that remembers message ids tells us so itself
        return partial(_arrived, message, answer, fresh=False)
    return partial(_refused, message, answer.status, why(answer))


def _leave(message: Message, process: Process) -> None:
    """Take a locked process to the state that a queued message makes, or drop the message."""
    body = _body(process, message.kind, message.body)
    try:
        advance(process, message.kind, process.role, body)
    except IllegalTransition as error:
        # what came in meanwhile has made it pointless
        logger.info("dsp.dropped", pid=process.pid, kind=message.kind, reason=str(error))
        message.status = Status.DROPPED
    else:
        message.body, message.status = body, Status.SENDING


def _body(process: Process, kind: str, content: Mapping[str, Any]) -> dict[str, Any]:
    family = family_of(process)
    filled = dict(content)
    if kind == "agreement" and isinstance(process, Negotiation) and "agreement" not in filled:
        filled["agreement"] = make_agreement(process, timezone.now())
    if process.counterpart_pid:
        filled |= messages.pids(process.role, process.pid, process.counterpart_pid)
    else:
        filled |= {f"{process.role}Pid": process.pid, "callbackAddress": base_address()}
    if isinstance(process, Transfer) and kind == "request":
        filled |= {"agreementId": process.agreement.id, "format": process.format}
    if (
        isinstance(process, Transfer)
        and kind == "start"
        and process.role == PROVIDER
        and "dataAddress" not in filled
    ):
        from wantong.border.exchange.exporting import data_address

        filled["dataAddress"] = data_address(process)
    body = messages.message(family, kind, **filled)
    schemas.check(body, body["@type"])
    return body


def _arrived(message: Message, answer: wire.Answer, *, fresh: bool) -> None:
    process = lock(FAMILIES[message.family].model, message.pid)
    assert process is not None
    if fresh:
        told = answer.json()
        theirs = (
            told.get("consumerPid" if process.role == "provider" else "providerPid")
            if isinstance(told, dict)
            else None
        )
        if not isinstance(theirs, str) or not 0 < len(theirs) <= 300:
            process.reason = "the peer's answer names no process id"
            logger.warning("dsp.no_pid", pid=process.pid)
        elif not process.counterpart_pid:
            process.counterpart_pid = theirs
        process.save()
    _close(message, Status.SENT, answer.status, None)
    next_move(process)


def _refused(message: Message, status: int, why: str) -> None:
    logger.warning("dsp.refused", pid=message.pid, kind=message.kind, status=status, reason=why)
    process = lock(FAMILIES[message.family].model, message.pid)
    assert process is not None
    _close(message, Status.REFUSED, status, {"reason": why})
    process.reason = f"{message.kind}: {status} {why}"[:2000]
    if not process.counterpart_pid:
        # the peer knows nothing of it, so there is nobody to tell
        process.state, process.version = "TERMINATED", process.version + 1
    process.save()
    if is_final(process):
        signals.moved.send(type(process), process=process)
    if not is_final(process) and message.kind != "termination":
        queue(process, conduct.Send("termination", reason=f"{message.kind} was refused: {why}"[:500]))


def _close(message: Message, status: str, answer_status: int, answer: Any) -> None:
    message.status, message.answer_status, message.answer = status, answer_status, answer
    message.save(update_fields=["status", "answer_status", "answer"])


def _known_there(process: Process) -> bool:
    """Whether the peer's side of the process is in our state already."""
    if not process.counterpart_pid:
        return False
    url = f"{process.address.rstrip('/')}/{family_of(process)}/{process.counterpart_pid}"
    try:
        told = wire.call(process.peer, "GET", url).json()
    except (PeerUnreachable, PeerMisbehaves):
        return False
    return isinstance(told, dict) and told.get("state") == process.state != INITIAL


def why(answer: wire.Answer) -> str:
    told = answer.json()
    reasons = told.get("reason") if isinstance(told, dict) else None
    return "; ".join(map(str, reasons))[:1000] if isinstance(reasons, list) else ""
