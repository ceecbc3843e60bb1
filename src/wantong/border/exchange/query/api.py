"""Query services over HTTP, for this node's own programs: ask, and look back at what was asked."""

from __future__ import annotations

import json
from typing import Any

from django.http import HttpRequest, StreamingHttpResponse
from ninja import Router, Schema

from wantong.border.exchange.query import services
from wantong.border.exchange.query.models import Call, Question
from wantong.ground.http.auth import require
from wantong.ground.http.forms import PersonNumber
from wantong.ground.http.idempotency import begins_itself

router = Router(tags=["query"])
MOST = 200


class Asking(Schema):
    """Whom it is about, for which case, why, and which fields."""

    subject: str
    case: str
    reason: str
    fields: tuple[str, ...]


@router.get("/queries")
def queries(request: HttpRequest) -> list[dict[str, Any]]:
    """The query services of other nodes that may be asked from here."""
    return [services.described(process) for process in services.open_services()]


@router.post("/queries/{transfer_id}/ask", url_name=begins_itself("query-ask"))
def ask(request: HttpRequest, transfer_id: str, asking: Asking) -> StreamingHttpResponse:
    """One person's record. The answer is kept nowhere, not for an Idempotency-Key either: a repetition asks again."""
    asked = services.ask(
        request.auth,
        transfer_id,
        asking.subject,
        case=asking.case,
        reason=asking.reason,
        fields=asking.fields,
    )
    body = {"records": asked.records, **question(asked.question)}
    response = StreamingHttpResponse(
        iter([json.dumps(body, ensure_ascii=False).encode()]), content_type="application/json"
    )
    response["Cache-Control"] = "no-store"
    return response


@router.get("/queries/{transfer_id}/questions")
def questions(request: HttpRequest, transfer_id: str) -> list[dict[str, Any]]:
    """What was asked from here under this transfer, newest first; not about whom."""
    require(request.auth, "declarer", "approver", "operator", "auditor")
    rows = Question.objects.filter(transfer__id=transfer_id).select_related("transfer__peer")
    return [question(row) for row in rows[:MOST]]


@router.get("/queries/{transfer_id}/calls")
def calls(request: HttpRequest, transfer_id: str) -> list[dict[str, Any]]:
    """What others asked of a service of ours, newest first; not about whom."""
    require(request.auth, "approver", "operator", "auditor")
    return [call(row) for row in services.calls_of(transfer_id)[:MOST]]


@router.post("/queries/about")
def about(request: HttpRequest, person: PersonNumber) -> list[dict[str, Any]]:
    """Who asked about a person, for what: on his own word. Nothing once he has been forgotten."""
    require(request.auth, "approver", "operator", "auditor")
    rows = services.calls_about(person.identifier)
    return [{**call(row), "receiver": row.transfer.peer.participant_id} for row in rows[:MOST]]


def question(row: Question) -> dict[str, Any]:
    """A question as programs see it."""
    return {
        "id": str(row.id),
        "transfer_id": row.transfer.id,
        "case": row.case,
        "reason": row.reason,
        "fields": row.fields,
        "asked_by": row.asked_by,
        "asked_at": row.asked_at.isoformat(),
        "outcome": row.outcome,
        "log_entry": str(row.log_entry or ""),
        "provider_entry": row.entry,
        "provider_receipt": services.receipt_address(row.transfer, row.entry) if row.entry else "",
        "salt": row.salt,
    }


def call(row: Call) -> dict[str, Any]:
    """A call as programs see it."""
    return {
        "entry": str(row.id),
        "transfer_id": row.transfer.id,
        "case": row.case,
        "fields": row.fields,
        "at": row.at.isoformat(),
        "why_not": row.why,
        "receipt": services.receipt_address(row.transfer, str(row.id)),
    }
