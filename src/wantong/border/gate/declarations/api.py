"""The gate over HTTP: what stands before it, and what people do about it."""

from __future__ import annotations

import uuid
from typing import Any

from django.http import HttpRequest
from ninja import Query, Router, Schema

from wantong.border.gate.declarations import counts, ledger, services
from wantong.border.gate.declarations.models import Declaration
from wantong.border.gate.declarations.workflow import Workflow
from wantong.ground import config
from wantong.ground.actors import Actor

router = Router(tags=["gate"])


class Paper(Schema):
    """The document behind an act."""

    title: str
    number: str = ""
    sha256: str = ""


class NewAct(Schema):
    """What a person does; see ``GET /declarations/{id}``: ``possible`` and ``waiting_for``."""

    act: str
    note: str = ""
    document: Paper | None = None
    requirements: tuple[str, ...] = ()
    facts: dict[str, Any] | None = None


@router.get("/declarations")
def declarations(
    request: HttpRequest, state: str = Query(""), transfer_id: str = Query("")
) -> list[dict[str, Any]]:
    """Declarations at this gate, newest first."""
    found = Declaration.objects.order_by("-created_at")
    if state:
        found = found.filter(state=state)
    if transfer_id:
        found = found.filter(transfer_id=transfer_id)
    return [summary(declaration) for declaration in found[:500]]


@router.get("/declarations/{declaration_id}")
def declaration(request: HttpRequest, declaration_id: uuid.UUID) -> dict[str, Any]:
    """One declaration, folded from its actions: findings, decision, what it waits for, who did what."""
    return detail(request.auth, ledger.get(declaration_id))


@router.post("/declarations/{declaration_id}/acts")
def act(request: HttpRequest, declaration_id: uuid.UUID, new: NewAct) -> dict[str, Any]:
    """A person acts: confirm, approve, explain, authority_decision, answer_facts, hold, resume, refuse, recall."""
    document = services.Document(**new.document.dict()) if new.document else None
    changed = services.act(
        request.auth,
        declaration_id,
        new.act,
        new.note,
        document,
        requirements=new.requirements,
        facts=new.facts,
    )
    return detail(request.auth, ledger.get(changed.id))


@router.get("/person-counts")
def person_counts(
    request: HttpRequest, sender: str = Query(""), year: int | None = Query(None)
) -> dict[str, Any]:
    """Distinct persons whose data a sender (by default this node) has let out this year."""
    who = sender or config.current().participant_id
    found = counts.person_counts(who, year)
    return {"sender": who, "sensitive": found.sensitive, "nonsensitive": found.nonsensitive}


def summary(declaration: Declaration) -> dict[str, Any]:
    """A line in a list."""
    return {
        "id": str(declaration.id),
        "transfer_id": declaration.transfer_id,
        "direction": declaration.direction,
        "dataset_id": declaration.dataset_id,
        "title": declaration.title,
        "sender": declaration.sender,
        "receiver": declaration.receiver,
        "purpose": declaration.purpose,
        "state": declaration.state,
        "route": declaration.route,
        "waiting_for": declaration.waiting_for,
        "created_at": declaration.created_at,
        "updated_at": declaration.updated_at,
    }


def detail(actor: Actor, declaration: Declaration) -> dict[str, Any]:
    """Everything about it that an operator may see; never a person's identifier."""
    now = ledger.fold_of(declaration)
    return {
        **summary(declaration),
        "facts": now.facts,
        "classification": now.classification,
        "decision": now.decision,
        "reason": now.reason,
        "deliverable": now.deliverable,
        "payload_sha256": declaration.payload_sha256,
        "possible": Workflow.load(now.workflow).possible(now, actor),
        "actions": [
            {
                "number": a.number,
                "act": a.act,
                "actor": a.actor,
                "name": a.actor_name,
                "at": a.at,
                "note": a.note,
                "document": a.document,
                "log_entry": str(a.log_entry) if a.log_entry else None,
            }
            for a in declaration.actions.order_by("number")
        ],
        "obligations": [
            {"kind": o.kind, "text": o.text, "citation": o.citation, "until": o.until}
            for o in declaration.obligations.all()
        ],
    }
