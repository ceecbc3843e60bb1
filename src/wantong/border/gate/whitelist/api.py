"""The whitelist over HTTP."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.http import HttpRequest
from ninja import Router, Schema, Status

from wantong.border.gate.whitelist import services
from wantong.border.gate.whitelist.models import WhitelistItem
from wantong.ground.http.forms import Note

router = Router(tags=["whitelist"])


class WhitelistProposal(Schema):
    """``fields`` maps each field to its mask: keep, partial, redact, tokenise, generalise."""

    dataset_id: str
    fields: dict[str, str]
    purpose: str = ""
    receiver: str = ""
    legal_basis: str
    valid_from: dt.date
    valid_until: dt.date
    open: bool = False
    note: str = ""


@router.get("/whitelist")
def items(request: HttpRequest, dataset_id: str = "", state: str = "", page: int = 1) -> dict[str, Any]:
    """The items, fifty a page, newest first."""
    found = WhitelistItem.objects.order_by("-created_at").prefetch_related("actions")
    if dataset_id:
        found = found.filter(dataset_id=dataset_id)
    if state:
        found = found.filter(state=state)
    first = max(page - 1, 0) * 50
    return {"total": found.count(), "items": [_json(item) for item in found[first : first + 50]]}


@router.post("/whitelist", response={201: dict})
def propose(request: HttpRequest, body: WhitelistProposal) -> Any:
    """Propose an item."""
    return Status(201, _json(services.propose(request.auth, **body.dict())))  # type: ignore[attr-defined]


@router.get("/whitelist/{item_id}")
def one(request: HttpRequest, item_id: str) -> dict[str, Any]:
    """One item with its history."""
    return _json(services.get(item_id))


@router.post("/whitelist/{item_id}/approve")
def approve(request: HttpRequest, item_id: str, body: Note) -> dict[str, Any]:
    """Approve: not who proposed it."""
    return _json(services.approve(request.auth, item_id, body.note))  # type: ignore[attr-defined]


@router.post("/whitelist/{item_id}/reject")
def reject(request: HttpRequest, item_id: str, body: Note) -> dict[str, Any]:
    """Turn a proposal down."""
    return _json(services.reject(request.auth, item_id, body.note))  # type: ignore[attr-defined]


@router.post("/whitelist/{item_id}/revoke")
def revoke(request: HttpRequest, item_id: str, body: Note) -> dict[str, Any]:
    """End an approved item."""
    return _json(services.revoke(request.auth, item_id, body.note))  # type: ignore[attr-defined]


def _json(item: WhitelistItem) -> dict[str, Any]:
    names = (
        "id", "dataset_id", "fields", "purpose", "receiver", "open", "legal_basis", "valid_from", "valid_until",
        "state", "proposed_by", "approved_by", "created_at",
    )  # fmt: skip
    history = [
        {"act": a.act, "actor": a.actor, "actor_name": a.actor_name, "at": a.at, "note": a.note}
        for a in item.actions.all()
    ]
    return {**{name: getattr(item, name) for name in names}, "history": history}
