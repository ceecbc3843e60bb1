"""Wantong's own addresses beside the protocol, for what the protocol has no message for.

- ``POST /wantong/transfers/<pid>/access``: a fresh token for a payload that may be fetched;
- ``GET  /wantong/transfers/<pid>/receipts``: what this node has logged about a transfer, for its counterparty;
- ``POST /wantong/obligations``: a duty that follows data that has left, such as striking a person who withdrew;
- ``GET  /wantong/processes``: what this node shares with the caller, for one who was restored from a backup;
- ``POST /wantong/negotiations/<pid>/void``: the caller, restored, cannot stand by an agreement of his;
- ``GET  /wantong/card``: this node's card, for everyone.

All but the card are signed like protocol messages; ``<pid>`` is the id of the node that is asked.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from wantong.border.exchange import enforcement, exporting, reconciling, transfer, wire
from wantong.border.exchange.dsp import caller_of, read_body
from wantong.border.exchange.machine import CONSUMER, PROVIDER
from wantong.border.exchange.models import Message, Transfer
from wantong.border.exchange.problems import PeerMisbehaves, PeerUnreachable, TermsUnmet, UnknownProcess
from wantong.border.gate.declarations import receiving as gate
from wantong.border.gate.declarations.models import Action
from wantong.border.trust import services as trust
from wantong.border.trust.verifiers import Caller
from wantong.ground import config
from wantong.ground.actors import Actor
from wantong.ground.log.models import LogEntry
from wantong.ground.outbox import services as outbox
from wantong.ground.outbox.models import Event
from wantong.ground.problems import Problem

LARGEST = 64 << 10


class BadRequest(Problem):
    """The body is not what this address takes: ``reason``, a stable code."""

    slug = "bad-extension-request"
    status = 400
    CODES: ClassVar[Mapping[str, str]] = {"reason": "exchange.bad-request"}


# --- asked ------------------------------------------------------------------------------------------------------


def card(request: HttpRequest) -> HttpResponse:
    """This node's card."""
    return HttpResponse(trust.make_card(config.current()), content_type="application/json")


@csrf_exempt
def fresh_access(request: HttpRequest, pid: str) -> HttpResponse:
    """A new data address for a started transfer of the caller's, while its terms permit it."""
    caller, _ = incoming(request, "POST")
    process = _mine(caller, pid, PROVIDER)
    if process.state != transfer.STARTED:
        raise UnknownProcess(process=pid)
    decision = enforcement.admit(process)
    if not decision.permitted:
        raise TermsUnmet.of(decision)
    return JsonResponse(exporting.data_address(process))


@csrf_exempt
def receipts(request: HttpRequest, pid: str) -> HttpResponse:
    """What this node has logged about a transfer: kind, time, where its receipt is; ``final`` if no more will come."""
    caller, _ = incoming(request, "GET")
    process = _mine(caller, pid)
    # what was lost with the time before a restore nobody logs any more
    final = not process.declaration_id and process.state in transfer.MACHINE.final
    return JsonResponse({"entries": logged(process), "final": final})


@csrf_exempt
def shared(request: HttpRequest) -> HttpResponse:
    """The processes shared with the caller that are open or have changed ``since``, page after page."""
    caller, _ = incoming(request, "GET")
    try:
        since = datetime.fromisoformat(request.GET.get("since", ""))
    except ValueError:
        raise BadRequest(reason="since") from None
    if since.tzinfo is None:
        raise BadRequest(reason="since")
    return JsonResponse(reconciling.told(caller.peer, since, request.GET.get("after", "")))


@csrf_exempt
def void(request: HttpRequest, pid: str) -> HttpResponse:
    """Take back an agreement with the caller that gave this node a right."""
    caller, _ = incoming(request, "POST")
    if not reconciling.void(caller.peer, pid):
        raise UnknownProcess(process=pid[:80])
    return JsonResponse({})


@csrf_exempt
def obligations(request: HttpRequest) -> HttpResponse:
    """A duty on data that came from the caller. The same message again does nothing more."""
    caller, body = incoming(request, "POST")
    duty = json_object(body)
    if duty.get("@type") != "WithdrawalObligation" or not isinstance(duty.get("subject"), str):
        raise BadRequest(reason="duty")
    process = Transfer.objects.filter(
        peer=caller.peer, role=CONSUMER, counterpart_pid=str(duty.get("providerPid", ""))
    ).first()
    if process is None:
        raise UnknownProcess(process=str(duty.get("providerPid", ""))[:80])
    actor = Actor(f"peer:{caller.peer.participant_id}", caller.peer.participant_id)
    rows = gate.enforce_withdrawal(actor, process.id, duty["subject"][:200])
    return JsonResponse({"struck": rows})


def logged(process: Transfer) -> list[dict[str, Any]]:
    """The log entries of this node about a transfer, with the addresses of their receipts."""
    if not process.declaration_id:
        # after a restore: what it once logged is all that this node knows of it
        return [_listed(entry.kind, entry.recorded_at, entry.id) for entry in _recovered(process)]
    actions = Action.objects.filter(declaration=process.declaration_id, log_entry__isnull=False)
    direction = "export" if process.role == PROVIDER else "import"
    return [
        _listed(f"gate.{direction}.{action.act}", action.at, action.log_entry)
        for action in actions.order_by("number")
    ]


def _listed(kind: str, at: datetime, entry: Any) -> dict[str, Any]:
    receipt = f"{config.current().url}/log/receipts/{entry}"
    return {"kind": kind, "time": at.isoformat(), "entry": str(entry), "receipt": receipt}


def _recovered(process: Transfer) -> list[LogEntry]:
    if process.begun_by != "system:reconciliation":
        return []
    entries = LogEntry.objects.filter(kind__startswith="gate.", body__contains=process.id)
    return list(entries.order_by("index"))


# --- asking -----------------------------------------------------------------------------------------------------


def send_withdrawal(event: Event) -> None:
    """Tell the receiver of data that a person in it has withdrawn. Raises Retry until he has it."""
    process = (
        Transfer.objects.filter(id=event.payload["transfer_id"], role=PROVIDER).select_related("peer").first()
    )
    if process is None:
        return
    duty = {
        "@type": "WithdrawalObligation",
        "providerPid": process.pid,
        "consumerPid": process.counterpart_pid,
        "subject": event.payload["subject"],
    }
    url = f"{process.peer.url.rstrip('/')}/wantong/obligations"
    name = f"withdrawal-{event.pk}"
    try:
        answer = wire.call(process.peer, "POST", url, duty, message_id=name)
    except (PeerUnreachable, PeerMisbehaves) as error:
        raise outbox.Retry(str(error)) from error
    wire.postpone(answer)
    if not answer.ok:
        # also a 404: his gate may not have seen the data yet, and a duty is never dropped
        raise outbox.Retry(f"answered {answer.status}")
    Message.objects.get_or_create(
        id=name,
        defaults={
            "family": "transfers",
            "pid": process.pid,
            "peer": process.peer,
            "outgoing": True,
            "kind": "withdrawal",
            # the pseudonym is the receiver's business, not our journal's
            "body": {**duty, "subject": "-"},
            "status": Message.Status.SENT,
            "answer_status": answer.status,
            "answer": answer.json() if isinstance(answer.json(), dict) else None,
            "at": timezone.now(),
        },
    )


def collect_receipts(pid: str) -> bool:
    """Learn what the counterparty has logged about a completed transfer. False while there is more to come."""
    process = Transfer.objects.select_related("peer").get(pid=pid)
    url = f"{process.peer.url.rstrip('/')}/wantong/transfers/{process.counterpart_pid}/receipts"
    try:
        answer = wire.call(process.peer, "GET", url)
    except (PeerUnreachable, PeerMisbehaves):
        return False
    told = answer.json()
    entries = told.get("entries") if answer.ok and isinstance(told, dict) else None
    if not isinstance(entries, list):
        # not one of ours: it has nothing of the kind, now or later
        return answer.status in (404, 405)
    kept = [
        {name: str(entry.get(name, ""))[:300] for name in ("kind", "time", "entry", "receipt")}
        for entry in entries[:100]
        if isinstance(entry, dict)
        and str(entry.get("receipt", "")).startswith(process.peer.url.rstrip("/") + "/")
    ]
    with transaction.atomic():
        Transfer.objects.filter(pid=pid).update(peer_receipts=kept)
    return told.get("final") is True or any(entry["kind"].endswith(".deliver") for entry in kept)


def incoming(request: HttpRequest, method: str) -> tuple[Caller, bytes]:
    """Who sent it, proven, and the body. Raises :class:`BadRequest`, Unauthenticated."""
    if request.method != method:
        raise BadRequest(reason="method", method=method)
    body = read_body(request, LARGEST)
    if body is None:
        raise BadRequest(reason="too-large", most=LARGEST)
    return caller_of(request, body), body


def _mine(caller: Caller, pid: str, role: str | None = None) -> Transfer:
    found = Transfer.objects.filter(pid=pid, peer=caller.peer).select_related("agreement", "peer").first()
    if found is None or (role is not None and found.role != role):
        raise UnknownProcess(process=pid[:80])
    return found


def json_object(body: bytes) -> Mapping[str, Any]:
    """The body as a JSON object. Raises :class:`BadRequest`."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        raise BadRequest(reason="not-json") from None
    if not isinstance(found, Mapping):
        raise BadRequest(reason="not-object")
    return found
