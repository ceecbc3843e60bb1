"""After a restore: ask every peer for what this node shares with him, and bring both sides to the same end.

A node that is brought back from a backup (:func:`begin`) knows its peers' processes as they were then. Until a peer has
been asked, nothing is done about what is shared with him: outbox events of such processes wait (:func:`waits`) and his
messages are answered 503. Then he is asked (:func:`reconcile`), the rules of :mod:`.reconciliation` are applied one
process a transaction, and what was done is logged as ``exchange.reconciled``.

What stands in the node's folder in ``restored.json`` is whom it still has to ask, and since when.
"""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import structlog
from django.core.exceptions import ObjectDoesNotExist
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from wantong.border.exchange import (
    conduct,
    exporting,
    importing,
    messages,
    negotiation,
    processes,
    schemas,
    sending,
    transfer,
    wire,
)
from wantong.border.exchange.machine import CONSUMER, PROVIDER, other
from wantong.border.exchange.models import Agreement, Message, Negotiation, Process, ReceivedDataset, Transfer
from wantong.border.exchange.problems import PeerMisbehaves, PeerUnreachable
from wantong.border.exchange.processes import FAMILIES, family_of, lock
from wantong.border.exchange.reconciliation import Rule, Side, decide
from wantong.border.gate.declarations import outgoing
from wantong.border.gate.declarations import services as gate
from wantong.border.gate.declarations.models import Declaration
from wantong.border.trust import services as trust
from wantong.border.trust.models import Peer
from wantong.ground import config
from wantong.ground.log import services as log
from wantong.ground.log.models import LogEntry
from wantong.ground.log.problems import LogProblem
from wantong.ground.outbox import services as outbox
from wantong.ground.outbox.models import Event

logger = structlog.get_logger(__name__)

MARKER = "restored.json"
# clocks may stand apart by an hour, and what changed just before the backup may not have been stored everywhere
MARGIN = timedelta(hours=2)
PAGE = 100
AGAIN = timedelta(seconds=1.5)
# a peer that tells of more processes than any node has does not come to an end
MOST_PAGES = 10_000
REASON = "one of the two nodes was restored from a backup that did not know it"
LOST = "delivered before a restore, and lost with what was there: ask for it again"
_writing = threading.Lock()


# --- who has still to be asked ----------------------------------------------------------------------------------


def begin(made_at: datetime) -> None:
    """This node has been brought back as it was at ``made_at``: it must ask all its peers. In one transaction."""
    peers = trust.peers()
    if not peers:
        return
    said = {"since": (made_at - MARGIN).isoformat(), "peers": [peer.participant_id for peer in peers]}
    with transaction.atomic():
        for peer in peers:
            topic = "exchange.reconcile"
            outbox.publish(topic, f"reconcile:{peer.participant_id}", {"peer": peer.participant_id})
        _write(said)


def pending() -> frozenset[str]:
    """The peers that have still to be asked; on any other day nobody, for the price of one look at the folder."""
    try:
        return frozenset(json.loads(_marker().read_text())["peers"])
    except FileNotFoundError:
        return frozenset()


def waits(event: Event) -> bool:
    """Whether an event is about a process that this node shares with a peer it has still to ask."""
    if event.topic == "exchange.reconcile" or not (waiting := pending()):
        return False
    return _peer_of(event.payload) in waiting


def _peer_of(payload: Mapping[str, Any]) -> str | None:
    """The participant id of the counterparty in the process that an event's payload names."""
    peer = "peer__participant_id"
    found = None
    if "message" in payload:
        found = Message.objects.filter(id=payload["message"]).values_list(peer, flat=True).first()
    elif "pid" in payload:
        for family in FAMILIES.values():
            found = (
                found or family.model.objects.filter(pid=payload["pid"]).values_list(peer, flat=True).first()
            )
    else:
        transfer_id = payload.get("transfer_id")
        if declaration := payload.get("declaration_id"):
            rows = Declaration.objects.filter(id=declaration)
            transfer_id = transfer_id or rows.values_list("transfer_id", flat=True).first()
        if transfer_id:
            found = Transfer.objects.filter(id=transfer_id).values_list(peer, flat=True).first()
    return found


def _marker() -> Path:
    directory: Path = config.current().directory
    return directory / MARKER


def _write(said: Mapping[str, Any]) -> None:
    draft = _marker().with_suffix(".new")
    draft.write_text(json.dumps(said))
    draft.replace(_marker())


def _done(participant_id: str) -> None:
    with _writing:
        said = json.loads(_marker().read_text())
        said["peers"] = [name for name in said["peers"] if name != participant_id]
        if said["peers"]:
            _write(said)
        else:
            _marker().unlink()


# --- asked ------------------------------------------------------------------------------------------------------


def told(peer: Peer, since: datetime, after: str) -> dict[str, Any]:
    """One page of the processes shared with ``peer`` that are not over or have changed ``since``, for him.

    ``after`` is where the page before ended, empty for the first.
    """
    family, _, last = after.partition(" ")
    found: list[dict[str, Any]] = []
    for name, (model, machine) in FAMILIES.items():
        if family > name:
            continue
        rows = model.objects.filter(Q(updated_at__gte=since) | ~Q(state__in=machine.final), peer=peer)
        rows = rows.exclude(state="").order_by("pid")
        if family == name:
            rows = rows.filter(pid__gt=last)
        if name == "transfers":
            rows = rows.select_related("agreement")
        found += [_described(row) for row in rows[: PAGE + 1 - len(found)]]
        if len(found) > PAGE:
            break
    page = found[:PAGE]
    more = {"next": f"{page[-1]['family']} {page[-1]['pid']}"} if len(found) > PAGE else {}
    return {"processes": page, **more}


def _described(row: Process) -> dict[str, Any]:
    said: dict[str, Any] = {
        "family": family_of(row),
        "pid": row.pid,
        "counterpartPid": row.counterpart_pid,
        "role": row.role,
        "state": row.state,
        "sending": _sending(row),
        "reason": row.reason,
        "createdAt": row.created_at.isoformat(),
    }
    if isinstance(row, Negotiation):
        said |= {"datasetId": row.dataset_id, "title": row.title, "offer": row.offer}
        said |= {"agreement": row.agreement} if row.agreement else {}
    elif isinstance(row, Transfer):
        said |= {"agreementId": row.agreement.id, "format": row.format, "received": row.received_bytes}
    return said


def _sending(row: Process) -> str:
    """The kind of the message that has changed our state and may not have reached the peer."""
    messages = Message.objects.filter(pid=row.pid, outgoing=True, status=Message.Status.SENDING)
    kind: str | None = messages.order_by("-at").values_list("kind", flat=True).first()
    return kind or ""


@transaction.atomic
def void(peer: Peer, pid: str) -> bool:
    """Take an agreement back that its provider, after a restore, cannot stand by; False if there is none of his.

    It gave this node, the consumer, a right that nobody will honour.
    """
    process = lock(Negotiation, pid, peer)
    if process is None or process.role != CONSUMER:
        return False
    if process.state != negotiation.TERMINATED:
        was = process.state
        _end_here(process, "TERMINATED", REASON)
        _record(process, was, Rule.VOID, "")
    return True


# --- asking -----------------------------------------------------------------------------------------------------


def reconcile(participant_id: str) -> None:
    """Ask one peer and settle what is shared with him. Safe to repeat at any point. Raises Retry until he answers."""
    if participant_id not in pending():
        return
    try:
        peer = trust.peer(participant_id)
    except trust.UnknownPeer:
        _done(participant_id)
        return
    try:
        # what the log proves must be here before anything is decided by it
        log.confirm()
    except LogProblem as problem:
        raise outbox.Retry(f"the log is not confirmed: {problem}", AGAIN) from None
    since = datetime.fromisoformat(json.loads(_marker().read_text())["since"])
    seen: set[str] = set()
    try:
        for entry in () if peer.foreign else _ask(peer, since):
            with transaction.atomic():
                seen.add(_settle(peer, entry))
        for family, (model, machine) in FAMILIES.items():
            rows = model.objects.filter(peer=peer).exclude(state__in=[*machine.final, ""])
            for pid in list(rows.exclude(counterpart_pid="").values_list("pid", flat=True)):
                if pid not in seen:
                    _ask_about(peer, family, pid)
    except (PeerUnreachable, PeerMisbehaves) as error:
        raise outbox.Retry(str(error), AGAIN) from None
    _done(participant_id)
    logger.info("exchange.reconciled", peer=participant_id, processes=len(seen))


def _ask(peer: Peer, since: datetime) -> Iterator[Mapping[str, Any]]:
    """What the peer knows. Raises PeerUnreachable, PeerMisbehaves."""
    after = ""
    for _ in range(MOST_PAGES):
        query = urlencode({"since": since.isoformat(), "after": after})
        answer = wire.call(peer, "GET", f"{peer.url.rstrip('/')}/wantong/processes?{query}")
        page = answer.json()
        if not answer.ok or not isinstance(page, dict) or not isinstance(page.get("processes"), list):
            raise PeerUnreachable(peer=peer.participant_id, reason="answered", answer=answer.status)
        for entry in page["processes"]:
            if _is_entry(entry):
                yield entry
        after = page.get("next", "")
        if not isinstance(after, str) or not after:
            return
    raise PeerMisbehaves(peer=peer.participant_id, reason="endless", most=MOST_PAGES)


def _is_entry(entry: Any) -> bool:
    if not isinstance(entry, dict) or entry.get("family") not in FAMILIES:
        return False
    texts = ("pid", "counterpartPid", "role", "state", "sending", "reason")
    if not all(isinstance(entry.get(name), str) and len(entry[name]) <= 2000 for name in texts):
        return False
    return (
        0 < len(entry["pid"]) <= 300
        and entry["role"] in (PROVIDER, CONSUMER)
        and entry["state"] in FAMILIES[entry["family"]].machine.states
    )


def _ask_about(peer: Peer, family: str, pid: str) -> None:
    """Settle one process of which the peer has not told by himself: by the protocol's own question."""
    process = FAMILIES[family].model.objects.get(pid=pid)
    answer = wire.call(peer, "GET", f"{process.address.rstrip('/')}/{family}/{process.counterpart_pid}")
    state = (answer.json() or {}).get("state") if answer.ok and isinstance(answer.json(), dict) else None
    if answer.status >= 500 or (answer.ok and state not in FAMILIES[family].machine.states):
        raise PeerUnreachable(peer=peer.participant_id, reason="answered", answer=answer.status)
    with transaction.atomic():
        found = lock(FAMILIES[family].model, pid)
        assert found is not None
        if state is None:  # he knows nothing of it
            was = found.state
            _end_here(found, "TERMINATED", REASON)
            _record(found, was, Rule.END, "")
        else:
            entry = {"pid": process.counterpart_pid, "state": state, "sending": "", "reason": ""}
            _settle_known(found, entry)


# --- settling ---------------------------------------------------------------------------------------------------


def _settle(peer: Peer, entry: Mapping[str, Any]) -> str:
    """Bring one process of which the peer tells to the same state on both sides; returns our id of it."""
    model = FAMILIES[entry["family"]].model
    role = other(entry["role"])
    process = (
        model.objects.select_for_update().filter(peer=peer, role=role, counterpart_pid=entry["pid"]).first()
    )
    if process is None and entry["counterpartPid"]:
        process = lock(model, entry["counterpartPid"], peer)
    if process is not None:
        if not process.counterpart_pid:
            process.counterpart_pid = entry["pid"]
        _settle_known(process, entry)
        return str(process.pid)
    if not entry["counterpartPid"]:
        return ""  # his first message has not been answered: he sends it again
    try:
        process = (_negotiation if entry["family"] == "negotiations" else _transfer)(peer, role, entry)
    except (KeyError, TypeError, ValueError, schemas.InvalidMessage, ObjectDoesNotExist) as error:
        logger.warning("exchange.not_taken_up", pid=entry["pid"], reason=repr(error)[:300])
        _end_there(peer, role, entry)
        return ""
    process.save(force_insert=True)
    proof = _proof(process, entry)
    rule = decide(
        entry["family"], role, None, Side(entry["state"], entry["sending"]), proven=proof is not None
    )
    _apply(process, "", rule, entry, proof or "")
    return str(process.pid)


def _settle_known(process: Process, entry: Mapping[str, Any]) -> None:
    was = process.state
    proof = _proof(process, entry)
    rule = decide(
        family_of(process),
        process.role,
        Side(was, _sending(process)),
        Side(entry["state"], entry["sending"]),
        proven=proof is not None,
        parcel=_has_parcel(process),
    )
    if rule is Rule.KEEP:
        if isinstance(process, Transfer) and process.role == PROVIDER and entry.get("received"):
            outgoing.claim(config.current().outgoing, process.id)  # it had begun to leave
        process.save()
        return
    _apply(process, was, rule, entry, proof or "")


def _apply(process: Process, was: str, rule: Rule, entry: Mapping[str, Any], proof: str) -> None:
    """Do what the rule says with a locked process, and log it."""
    match rule:
        case Rule.FOLLOW if entry["state"] == negotiation.FINALIZED and isinstance(process, Negotiation):
            _into_force(process, entry, proof)
        case Rule.FOLLOW if entry["state"] == transfer.COMPLETED and isinstance(process, Transfer):
            proof = _completed(process)
        case Rule.FOLLOW:
            _end_here(process, entry["state"], entry["reason"] or REASON)
        case Rule.FETCH:
            assert isinstance(process, Transfer)
            process.state, process.data_address, process.version = transfer.STARTED, None, process.version + 1
            process.save()
            outbox.publish("exchange.fetch", process.pid, {"pid": process.pid})
        case Rule.END:
            if isinstance(process, Transfer) and process.role == PROVIDER and entry.get("received"):
                _has_left(process)
            process.state, process.version, process.waiting_for = entry["state"], process.version + 1, ""
            process.save()
            sending.queue(process, conduct.Send("termination", reason=REASON))
        case Rule.VOID:
            _end_here(process, "TERMINATED", REASON)
            peer, pid = process.peer.participant_id, entry["pid"]
            outbox.publish("exchange.void", f"void:{process.pid}", {"peer": peer, "theirs": pid})
    _record(process, was, rule, proof)


def _record(process: Process, was: str, rule: Rule, proof: str) -> None:
    body: dict[str, Any] = {
        "family": family_of(process),
        "pid": process.pid,
        "peer": process.peer.participant_id,
        "was": was or "unknown",
        "is": process.state,
        "rule": str(rule),
        "proof": proof,
    }
    if isinstance(process, Transfer):
        body |= {"agreement_id": process.agreement.id, "transfer_id": process.id}
        body |= {"dataset_id": process.agreement.dataset_id}
    elif isinstance(process, Negotiation):
        body |= {"agreement_id": process.agreement_id, "dataset_id": process.dataset_id}
    log.record("exchange.reconciled", body, timezone.now())


def _end_here(process: Process, state: str, reason: str) -> None:
    """Set an end that needs no message, with what follows from it."""
    process.state, process.version = state, process.version + 1
    process.waiting_for, process.reason = "", reason[:2000]
    process.save()
    if isinstance(process, Transfer):
        outbox.publish("exchange.ended", process.pid, {"pid": process.pid})


def _end_there(peer: Peer, role: str, entry: Mapping[str, Any]) -> None:
    """Tell the peer that this node cannot take a process up; he ends it. Raises PeerUnreachable, PeerMisbehaves."""
    if entry["state"] in FAMILIES[entry["family"]].machine.final:
        return
    pids = messages.pids(role, entry["counterpartPid"], entry["pid"])
    body = messages.message(entry["family"], "termination", reason=[REASON], **pids)
    url = processes.address_of(peer) + messages.path_for(entry["family"], "termination", entry["pid"])
    wire.call(peer, "POST", url, body)


def send_void(event: Event) -> None:
    """Tell the consumer of an agreement that it is taken back. Raises Retry until he has heard it."""
    peer = trust.peer(event.payload["peer"])
    url = f"{peer.url.rstrip('/')}/wantong/negotiations/{event.payload['theirs']}/void"
    try:
        answer = wire.call(peer, "POST", url, {})
    except (PeerUnreachable, PeerMisbehaves) as error:
        raise outbox.Retry(str(error)) from error
    if not answer.ok and answer.status != 404:
        raise outbox.Retry(f"answered {answer.status}")


# --- agreements -------------------------------------------------------------------------------------------------


def _negotiation(peer: Peer, role: str, entry: Mapping[str, Any]) -> Negotiation:
    """A negotiation that this node has forgotten, as the peer tells it. Raises InvalidMessage, KeyError, …."""
    schemas.check(entry["offer"], "MessageOffer")
    if entry.get("agreement") is not None:
        schemas.check(entry["agreement"], "Agreement")
    return Negotiation(
        pid=_own_pid(entry),
        role=role,
        peer=peer,
        counterpart_pid=entry["pid"],
        address=processes.address_of(peer),
        state=entry["state"],
        begun_by="system:reconciliation",
        dataset_id=str(entry["datasetId"])[:300],
        title=entry["title"] if isinstance(entry["title"], dict) else {},
        offer=entry["offer"],
        agreement=entry.get("agreement"),
        agreement_id=str((entry.get("agreement") or {}).get("@id", ""))[:300],
        created_at=datetime.fromisoformat(entry["createdAt"]),
    )


def _own_pid(entry: Mapping[str, Any]) -> str:
    """Our id of a forgotten process: one of ours, or the peer could have us store anything. Raises ValueError."""
    pid = str(entry["counterpartPid"])
    return f"urn:uuid:{uuid.UUID(pid.removeprefix('urn:uuid:'))}"


def _proof(process: Process, entry: Mapping[str, Any]) -> str | None:
    """Why this node can stand by the agreement that the peer has in force: the log entry; None if it cannot.

    What it once logged it has agreed to. What was lost with it a consumer takes as it is (it gives him a right), and a
    provider if he would agree to it again today without asking anyone.
    """
    if not isinstance(process, Negotiation) or entry["state"] != negotiation.FINALIZED:
        return ""
    agreement = entry.get("agreement")
    try:
        schemas.check(agreement, "Agreement")  # type: ignore[arg-type]  # None fits no schema
    except schemas.InvalidMessage:
        return None
    assert agreement is not None
    terms = processes.terms_digest(agreement)
    for row in LogEntry.objects.filter(kind="exchange.agreement", body__contains=agreement["@id"]):
        said = json.loads(row.body)
        if (said["agreement_id"], said["terms"]["sha256"]) == (agreement["@id"], terms):
            return str(row.id)
    own, theirs = config.current().participant_id, process.peer.participant_id
    parties = (own, theirs) if process.role == PROVIDER else (theirs, own)
    if (agreement.get("assigner"), agreement.get("assignee")) != parties:
        return None
    process.offer = entry.get("offer", process.offer)
    return "" if process.role == CONSUMER or conduct.may_agree(process) else None


def _into_force(process: Negotiation, entry: Mapping[str, Any], proof: str) -> None:
    process.agreement = entry["agreement"]
    process.agreement_id = entry["agreement"]["@id"]
    process.state, process.version, process.waiting_for = negotiation.FINALIZED, process.version + 1, ""
    process.save()
    processes.into_force(process, logged=bool(proof))


# --- transfers --------------------------------------------------------------------------------------------------


def _transfer(peer: Peer, role: str, entry: Mapping[str, Any]) -> Transfer:
    """A transfer that this node has forgotten. Raises KeyError, ValueError, and DoesNotExist without its agreement."""
    pid = _own_pid(entry)
    return Transfer(
        pid=pid,
        id=pid.removeprefix("urn:uuid:"),
        role=role,
        peer=peer,
        counterpart_pid=entry["pid"],
        address=processes.address_of(peer),
        state=entry["state"],
        begun_by="system:reconciliation",
        agreement=Agreement.objects.get(id=entry["agreementId"], peer=peer, role=role),
        format=str(entry["format"])[:80],
        created_at=datetime.fromisoformat(entry["createdAt"]),
    )


def _has_parcel(process: Process) -> bool:
    folder = config.current().outgoing
    return (
        not isinstance(process, Transfer)
        or process.role == CONSUMER
        or process.format != messages.PULL
        or outgoing.ready(folder, process.id) is not None
        or outgoing.has_left(folder, process.id)
    )


def _completed(process: Transfer) -> str:
    """The peer calls it completed: settle it with our gate; returns the log entry that proves the delivery."""
    if process.role == PROVIDER:
        proof, reason = _has_left(process), ""
    else:
        proof = _logged("gate.import.release", process.id)
        here = ReceivedDataset.objects.filter(transfer=process).exists()
        reason = "" if here else LOST
        if not here and process.declaration_id:
            gate.abandoned(exporting.EXCHANGE, process.id, "import", LOST)
        if not here:
            importing.discard(process)
    process.data_address = None
    _end_here(process, transfer.COMPLETED, reason)
    return proof


def _has_left(process: Transfer) -> str:
    """The payload has left, whatever the backup says: it must not leave again. Returns the log entry that says so."""
    proof = _logged("gate.export.deliver", process.id)
    if process.declaration_id and process.format == messages.PULL:
        gate.left_before(exporting.peer_actor(process), process.id, proof, LOST)
    return proof


def _logged(kind: str, transfer_id: str) -> str:
    """The entry of our own log, which the mirrors have given back, that tells ``kind`` of a transfer; or nothing."""
    for row in LogEntry.objects.filter(kind=kind, body__contains=transfer_id):
        if json.loads(row.body).get("transfer_id") == transfer_id:
            return str(row.id)
    return ""
