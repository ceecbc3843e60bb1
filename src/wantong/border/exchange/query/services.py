"""The verbs of query services: ask, take what the data plane wrote into the log, open and end.

The provider's half of a call happens in :mod:`.plane`, without this; the worker takes it in afterwards. The asking half
is here: the question is in our log before it leaves, and its outcome after.
"""

from __future__ import annotations

import json
import uuid
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import structlog
from django.db import transaction
from django.db.models import Count, Max, Min, Q
from django.utils import timezone

from wantong.border.exchange import exporting, importing, messages, terms, transfer
from wantong.border.exchange.machine import CONSUMER, PROVIDER
from wantong.border.exchange.models import Transfer
from wantong.border.exchange.problems import PeerMisbehaves
from wantong.border.exchange.query import FORMAT, client, entries, journal
from wantong.border.exchange.query.models import Call, Question, Segment
from wantong.border.exchange.query.problems import BadQuestion, Busy, NoService, TokenRefused
from wantong.border.exchange.query.terms import Terms
from wantong.border.gate.consent import services as consent
from wantong.border.gate.declarations import outgoing
from wantong.border.gate.declarations import services as gate
from wantong.border.gate.declarations.models import Declaration
from wantong.border.gate.declarations.models import State as DeclarationState
from wantong.ground import config
from wantong.ground.actors import Actor
from wantong.ground.http.auth import require
from wantong.ground.log import services as log
from wantong.ground.outbox import services as outbox
from wantong.ground.outbox.models import Event, State
from wantong.ground.problems import Problem
from wantong.ground.turns import Turns

logger = structlog.get_logger(__name__)

BATCH = 1000
# threads of this process that may wait for other nodes' answers at a time
_TURNS = Turns(3, 5.0, Busy)
KEPT = timedelta(hours=6)
"""How long a file of the journal stays after all of it is in the log: longer than a backup takes."""


# --- taking in --------------------------------------------------------------------------------------------------

_seen: dict[Path, tuple[str, int]] = {}


@outbox.source
def look() -> None:
    """Whether the data plane has written calls that are not in the log yet."""
    folder = config.current().queries
    files = journal.segments(folder) if folder.is_dir() else []
    if not files:
        return
    newest = files[-1].name, files[-1].stat().st_size
    if _seen.get(folder) == newest:
        return
    if not Event.objects.filter(topic="query.take", state=State.DUE, leased_until=None).exists():
        with transaction.atomic():
            outbox.publish("query.take", "query.take", {})
    _seen[folder] = newest


def take() -> int:
    """Take all calls that are durable into the log and into the node's own record; returns how many that were.

    Each file's place is moved in the transaction of what was read, so a call is taken once, whenever this is killed.
    """
    folder = config.current().queries
    files = journal.segments(folder) if folder.is_dir() else []
    known = {segment.name: segment for segment in Segment.objects.all()}
    total = 0
    for path in files:
        segment = known.pop(path.name, None) or Segment(name=path.name)
        if segment.done_at is None:
            while taken := _take(path):
                total += taken
            if path != files[-1]:
                Segment.objects.filter(name=path.name).update(done_at=timezone.now())
        elif path != files[-1] and segment.done_at < timezone.now() - KEPT:
            path.unlink()
            segment.delete()
    Segment.objects.filter(name__in=known).delete()
    return total


def _take(path: Path) -> int:
    with transaction.atomic():
        Segment.objects.get_or_create(name=path.name)
        segment = Segment.objects.select_for_update().get(name=path.name)
        lines: list[journal.Line] = []
        for line in journal.read(path, segment.taken):
            lines.append(line)
            if len(lines) == BATCH:
                break
        if not lines:
            return 0
        log.adopt([line.entry for line in lines])
        answered: dict[str, set[str]] = defaultdict(set)
        stopped = {line.private["instead_of"] for line in lines} - {""}
        processes = dict(
            Transfer.objects.filter(id__in={line.private["transfer"] for line in lines}).values_list(
                "id", "pid"
            )
        )
        calls = []
        for line in lines:
            entry, private = json.loads(line.entry), line.private
            why = "stopped" if entry["id"] in stopped else private["why"]
            if private["transfer"] not in processes:
                continue  # of a node that lost its database; the log has it
            calls.append(
                Call(
                    id=entry["id"],
                    transfer_id=processes[private["transfer"]],
                    call=private["call"],
                    commitment=private["commitment"],
                    case=private["case"],
                    fields=entry["fields"],
                    salt=private["salt"],
                    why=why,
                    at=datetime.fromisoformat(entry["time"]),
                )
            )
            if not why:
                answered[private["transfer"]].add(private["commitment"])
        Call.objects.bulk_create(calls, ignore_conflicts=True, batch_size=900)
        Call.objects.filter(id__in=[uuid.UUID(name) for name in stopped], why="").update(why="stopped")
        segment.taken = lines[-1].end
        segment.save(update_fields=["taken"])
        for identifier, persons in answered.items():
            gate.answered(identifier, persons)
        return len(lines)


# --- the transfer -----------------------------------------------------------------------------------------------


def opened(process: Transfer) -> None:
    """Consumer: the service may be asked from now on."""
    with transaction.atomic():
        Transfer.objects.filter(pid=process.pid).update(waiting_for="", reason="")


def ended(process: Transfer) -> None:
    """The transfer is over: nothing is answered any more, and the gate hears whether anything was. Idempotent."""
    if process.role == CONSUMER:
        return
    outgoing.take_back(config.current().outgoing, process.id)
    take()
    released = Declaration.objects.filter(
        transfer_id=process.id, direction="export", state=DeclarationState.RELEASED
    )
    if released.exists() and gate.has_answered(process.id):
        gate.delivered(exporting.peer_actor(process), process.id)
    else:
        gate.abandoned(exporting.EXCHANGE, process.id, "export", process.reason or "the transfer has ended")


# --- asking -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Asked:
    """A question and what was answered: ``records`` are the person's, each a map of the fields asked for."""

    question: Question
    records: list[dict[str, str]]


def open_services() -> list[Transfer]:
    """The query services of other nodes that may be asked from here, newest first."""
    rows = Transfer.objects.filter(role=CONSUMER, format=FORMAT, state=transfer.STARTED)
    return list(rows.select_related("agreement", "peer").order_by("-created_at"))


def service(transfer_id: str) -> Transfer:
    """The open service of this transfer. Raises :class:`NoService`."""
    found = (
        Transfer.objects.filter(id=transfer_id, role=CONSUMER, format=FORMAT, state=transfer.STARTED)
        .select_related("agreement", "peer")
        .first()
    )
    if found is None or not found.data_address:
        raise NoService()
    return found


def described(process: Transfer) -> dict[str, Any]:
    """A service of another node as pages and programs here see it."""
    policy = process.agreement.policy
    return {
        "transfer_id": process.id,
        "agreement_id": process.agreement.id,
        "dataset_id": process.agreement.dataset_id,
        "title": process.agreement.title or {"en": process.agreement.dataset_id},
        "provider": process.peer.participant_id,
        "provider_name": process.peer.name,
        "purpose": terms.purpose_of(policy),
        "fields": terms.fields_of(policy),
        "terms": Terms.of(policy).to_dict(),
        "asked": process.questions.count(),
    }


def own() -> list[dict[str, Any]]:
    """The services of this node: who may ask, and how often he has."""
    rows = (
        Transfer.objects.filter(role=PROVIDER, format=FORMAT)
        .select_related("agreement", "peer")
        .annotate(made=Count("calls"), answered=Count("calls", filter=Q(calls__why="")))
        .order_by("-created_at")
    )
    return [
        {
            "transfer_id": row.id,
            "title": row.agreement.title or {"en": row.agreement.dataset_id},
            "receiver": row.peer.participant_id,
            "receiver_name": row.peer.name,
            "state": row.state,
            "calls": row.made,
            "answered": row.answered,
        }
        for row in rows[:200]
    ]


def ask(
    actor: Actor,
    transfer_id: str,
    subject: str,
    *,
    case: str,
    reason: str,
    fields: Collection[str],
) -> Asked:
    """Ask another node for one person's record, for one case.

    The question is in our log, with a commitment in the person's place, before it leaves. Raises NotAllowed,
    :class:`NoService`, :class:`BadQuestion`, PeerUnreachable, PeerMisbehaves, and what the other node answers
    (:mod:`.problems`).
    """
    require(actor, "declarer", "approver", "operator")
    process = service(transfer_id)
    wanted = tuple(dict.fromkeys(name.strip() for name in fields if name.strip()))
    for name, value, most in (("subject", subject, 200), ("case", case, 200), ("reason", reason, 2000)):
        if not value.strip() or len(value) > most or "\x00" in value:
            raise BadQuestion(reason="text", names=name, most=most)
    agreed = terms.fields_of(process.agreement.policy)
    if not wanted or (agreed and not set(wanted) <= set(agreed)):
        raise BadQuestion(reason="not-agreed")
    person = consent.commitments([subject]).get(subject)
    if person is None:
        raise BadQuestion(reason="no-number")
    purpose = terms.purpose_of(process.agreement.policy) or importing.NO_PURPOSE
    question = _note(actor, process, person, case.strip(), reason.strip(), wanted, purpose)
    try:
        with _TURNS.turn():
            answer = _ask(process, subject.strip(), case.strip(), purpose, wanted)
    except Problem as problem:
        _settle(
            question, problem.slug, str(problem.params.get("entry", "")), str(problem.params.get("salt", ""))
        )
        raise
    _settle(question, entries.ANSWERED, answer.entry, answer.salt)
    return Asked(question, answer.records)


def _ask(process: Transfer, subject: str, case: str, purpose: str, wanted: tuple[str, ...]) -> client.Answer:
    for again in (False, True):
        endpoint, token = messages.endpoint_of(process.data_address or {})
        within = process.peer.data_url.rstrip("/")
        if not endpoint.startswith(within + "/"):
            raise PeerMisbehaves(peer=process.peer.participant_id, reason="data-elsewhere")
        try:
            return client.ask(
                endpoint,
                token,
                subject=subject,
                case=case,
                purpose=purpose,
                fields=wanted,
                peer=process.peer.participant_id,
                reach=process.peer.reach,
            )
        except TokenRefused:
            if again:
                raise
            importing.renew(process)
            process.refresh_from_db()
    raise AssertionError


def _note(
    actor: Actor,
    process: Transfer,
    person: str,
    case: str,
    reason: str,
    wanted: tuple[str, ...],
    purpose: str,
) -> Question:
    with transaction.atomic():
        question = Question(
            transfer=process,
            asked_by=actor.id,
            asked_by_name=actor.name,
            subject=person,
            case=case,
            reason=reason,
            fields=list(wanted),
        )
        salt = question.id.bytes
        entry = log.record(
            "query.asked",
            {
                "agreement_id": process.agreement.id,
                "transfer_id": process.id,
                "provider": process.peer.participant_id,
                "purpose": purpose,
                "fields": list(wanted),
                "subject": entries.subject_of(bytes.fromhex(person), str(question.id)),
                "case": entries.case_of(salt, case),
                "reason": entries.case_of(salt, reason),
                "asked_by": entries.case_of(salt, actor.id),
            },
            timezone.now(),
        )
        question.log_entry = entry.id
        question.save(force_insert=True)
        return question


def _settle(question: Question, outcome: str, entry: str, salt: str) -> None:
    with transaction.atomic():
        question.outcome, question.answered_at = outcome[:60], timezone.now()
        question.entry, question.salt = entry[:36], salt[:64]
        question.save(update_fields=["outcome", "answered_at", "entry", "salt"])
        log.record(
            "query.outcome",
            {"asked": str(question.log_entry), "outcome": outcome[:60], "provider_entry": entry[:36]},
            timezone.now(),
        )


# --- looking back -----------------------------------------------------------------------------------------------


def calls_of(transfer_id: str) -> Any:
    """The calls of a service of ours, newest first."""
    return Call.objects.filter(transfer__id=transfer_id, transfer__role=PROVIDER).order_by("-id")


def metered(process: Transfer) -> dict[str, Any]:
    """How many calls of a service were answered, and when the first and the last (Unix seconds)."""
    found = Call.objects.filter(transfer=process, why="").aggregate(
        requests=Count("id"), first=Min("at"), last=Max("at")
    )
    times = {f"{name}_at": found[name].timestamp() for name in ("first", "last") if found[name]}
    return {"requests": found["requests"], **times}


def calls_about(identifier: str) -> list[Call]:
    """Who asked about a person, and for what: what he may know. Empty once he has been forgotten."""
    name = consent.commitment_of(identifier)
    if name is None:
        return []
    return list(Call.objects.filter(commitment=name).select_related("transfer__peer").order_by("-id"))


def receipt_address(process: Transfer, entry: str) -> str:
    """Where the receipt of a call can be had."""
    node = config.current()
    base = node.url if process.role == PROVIDER else process.peer.url.rstrip("/")
    return f"{base}/log/receipts/{entry}"
