"""The trust lists over HTTP."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import get_language
from ninja import File, Form, Router, Schema, Status
from ninja.files import UploadedFile
from pydantic import Field

from wantong.border.trust.certificates import services as certificates
from wantong.border.trust.lists import (
    changes,
    countersigning,
    describe,
    proposing,
    publishing,
    receiving,
    services,
    stored,
)
from wantong.border.trust.lists.models import Countersigning, Proposal, Received
from wantong.border.trust.lists.trustlist import LARGEST, ServiceType, moment
from wantong.ground import config
from wantong.ground.http.auth import require
from wantong.ground.http.forms import Note, Reason
from wantong.ground.i18n import LANGUAGES

router = Router(tags=["trust lists"])


class Question(Schema):
    """``certificates``: PEM, the one in question first. ``at``: when it signed (default: now)."""

    certificates: str = Field(max_length=256 * 1024)
    service: ServiceType
    at: dt.datetime | None = None
    credential_type: str = ""
    lang: str = "en"


class TrustListProposal(Schema):
    """``wishes``: each ``{"provider": {id, name, uri}, "service": {id, type}, "state": {…}}``, as the list has them."""

    wishes: list[dict[str, Any]]
    effective_at: dt.datetime | None = None
    note: str = ""


class Number(Schema):
    """Which version of the list, and why if there is anything to say."""

    number: int
    note: str = ""


@router.post("/trust/recognise", auth=None)
def recognise(request: HttpRequest, body: Question) -> dict[str, Any]:
    """Whether a certificate is recognised: the verdict step by step, the entry, what to do now."""
    at = body.at or timezone.now()
    found = services.recognise(
        certificates.certificates_in(body.certificates.encode()),
        body.service,
        timezone.make_aware(at) if timezone.is_naive(at) else at,
        credential_type=body.credential_type or None,
    )
    return found.to_dict(body.lang if body.lang in LANGUAGES else "en")


@router.get("/trust/lists", auth=None)
def lists(request: HttpRequest) -> dict[str, Any]:
    """The own list's newest version, which versions of others count, and which wait."""
    own = stored.latest()
    return {
        "own": own and {"sequence": own.number, "digest": own.digest, "issued": own.issued, "next_update": own.next_update},
        "counting": [_received(row.received, row) for row in countersigning.countersignatures()],
        "waiting": [_received(row) for row in countersigning.waiting()],
    }  # fmt: skip


@router.get("/trust/lists/{operator}", auth=None)
def one(request: HttpRequest, operator: str, number: int | None = None) -> dict[str, Any]:
    """What a list says: the own one or somebody else's."""
    if operator == config.current().participant_id:
        return stored.content(publishing.version(number)).to_dict()
    return stored.content(receiving.received(operator, number)).to_dict()


@router.get("/trust/lists/{operator}/waiting", auth=None)
def waiting(request: HttpRequest, operator: str, number: int | None = None) -> dict[str, Any]:
    """What a version of somebody's list says that the one that counts does not."""
    row = receiving.received(operator, number)
    found = countersigning.waiting_changes(row)
    return {**_received(row), "changes": [change.to_dict() for change in found]}


@router.post("/trust/lists/{operator}/compare")
def compare(request: HttpRequest, operator: str, body: Number) -> dict[str, Any]:
    """Say that one has compared a version and would have it count."""
    row = receiving.received(operator, body.number)
    return _received(row, countersigning.compared(request.auth, row, body.note))  # type: ignore[attr-defined]


@router.post("/trust/lists/{operator}/countersign")
def countersign(request: HttpRequest, operator: str, body: Number) -> dict[str, Any]:
    """Confirm it: not who compared it."""
    row = receiving.received(operator, body.number)
    return _received(row, countersigning.countersign(request.auth, row))  # type: ignore[attr-defined]


@router.post("/trust/lists/{operator}/refuse")
def refuse(request: HttpRequest, operator: str, body: Number) -> dict[str, Any]:
    """Turn it down."""
    row = receiving.received(operator, body.number)
    return _received(row, countersigning.refuse(request.auth, row, body.note))  # type: ignore[attr-defined]


@router.post("/trust/lists/{operator}/revoke")
def revoke(request: HttpRequest, operator: str, body: Number) -> dict[str, Any]:
    """Take a countersignature back."""
    row = receiving.received(operator, body.number)
    return _received(row, countersigning.revoke(request.auth, row, body.note))  # type: ignore[attr-defined]


@router.post("/trust/lists/{operator}/look", response={202: dict})
def look(request: HttpRequest, operator: str) -> Any:
    """Have the newest list of a peer or a federation fetched soon."""
    require(request.auth, "operator", "approver")  # type: ignore[attr-defined]
    receiving.look_soon(operator)
    return Status(202, {"operator": operator})


@router.get("/trust/proposals")
def proposals(request: HttpRequest) -> dict[str, Any]:
    """The newest hundred."""
    return {"items": [_proposal(row) for row in Proposal.objects.prefetch_related("actions")[:100]]}


@router.post("/trust/proposals", response={201: dict})
def propose(request: HttpRequest, body: TrustListProposal) -> Any:
    """Propose changes to the own list."""
    made = proposing.propose(
        request.auth,  # type: ignore[attr-defined]
        body.wishes,
        effective_at=body.effective_at,
        note=body.note,
    )
    return Status(201, _proposal(made))


@router.get("/trust/proposals/{proposal_id}")
def proposal(request: HttpRequest, proposal_id: str) -> dict[str, Any]:
    """One proposal: what it would change, and its history."""
    row = proposing.proposal(proposal_id)
    told = _proposal(row)
    if row.version_id is None:
        found = changes.compare(publishing.current(), proposing.preview(row))
        told["changes"] = [change.to_dict() for change in found]
    return told


@router.post("/trust/proposals/{proposal_id}/approve")
def approve(request: HttpRequest, proposal_id: str, body: Note) -> dict[str, Any]:
    """Approve: not who proposed it."""
    return _proposal(proposing.approve(request.auth, proposal_id, body.note))  # type: ignore[attr-defined]


@router.post("/trust/proposals/{proposal_id}/reject")
def reject(request: HttpRequest, proposal_id: str, body: Reason) -> dict[str, Any]:
    """Turn a proposal down, or call it off before its time."""
    return _proposal(proposing.reject(request.auth, proposal_id, body.reason))  # type: ignore[attr-defined]


@router.post("/trust/schemes")
def pin_scheme(
    request: HttpRequest,
    operator_id: Form[str],
    certificates_file: File[UploadedFile],
    name: Form[str] = "",
    url: Form[str] = "",
) -> dict[str, Any]:
    """Say by which certificates a list in ETSI's form may be signed, or by which keys (a JWK set) the anchor of an OpenID
    Federation at ``url`` speaks."""
    pins, told = certificates_file.read(256 * 1024), {"en": name} if name else None
    made = receiving.pin_scheme(request.auth, operator_id, pins, name=told, url=url)  # type: ignore[attr-defined]
    return {
        "operator": made.operator_id,
        "certificates": len(made.certificates),
        "keys": len(made.keys),
    }


@router.post("/trust/schemes/list", response={201: dict, 200: dict})
def take_in(request: HttpRequest, operator_id: Form[str], file: File[UploadedFile]) -> Any:
    """Keep a list in ETSI's form (TS 119 612), or a federation's statements; it counts when two people have countersigned
    it. 200: it is here already."""
    made = receiving.take_in(request.auth, operator_id, file.read(LARGEST + 1))  # type: ignore[attr-defined]
    return Status(201, _received(made)) if made else Status(200, {"operator": operator_id})


def _received(row: Received, signing: Countersigning | None = None) -> dict[str, Any]:
    told = {
        "operator": row.operator_id,
        "sequence": row.sequence,
        "form": row.form,
        "digest": row.digest,
        "signer": row.signer,
        "issued": row.issued,
        "next_update": row.next_update,
    }
    if row.federation:
        told["left_out"] = describe.left_out(row, get_language() or "en")
    if signing is not None:
        told |= {"state": signing.state, "signed_at": signing.signed_at and moment(signing.signed_at)}
    return told


def _proposal(row: Proposal) -> dict[str, Any]:
    lang = get_language() or "en"
    history = [
        {
            "act": a.act,
            "actor": a.actor,
            "actor_name": a.actor_name,
            "at": a.at,
            "note": describe.note(a, lang),
        }
        for a in row.actions.all()
    ]
    names = ("id", "wishes", "effective_at", "state", "proposed_by", "approved_by", "version_id")
    return {**{name: getattr(row, name) for name in names}, "history": history}
