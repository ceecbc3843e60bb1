"""The whitelist over HTTP."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

from django.http import HttpRequest
from ninja import Query, Router, Schema

from wantong.border.gate.whitelist import services
from wantong.border.gate.whitelist.models import WhitelistItem

router = Router(tags=["whitelist"])


class NewItem(Schema):
    """``fields`` maps each field that may leave to its mask (``keep`` for none)."""

    dataset_id: str
    fields: dict[str, str]
    purpose: str = ""
    receiver: str = ""
    legal_basis: str
    valid_from: dt.date
    valid_until: dt.date
    open: bool = False
    note: str = ""


class Reason(Schema):
    """Why; kept in the history."""

    note: str = ""


@router.get("/whitelist")
def items(request: HttpRequest, dataset_id: str = Query("")) -> list[dict[str, Any]]:
    """All items, newest first, or those of one dataset."""
    found = WhitelistItem.objects.order_by("-created_at")
    return [as_json(item) for item in (found.filter(dataset_id=dataset_id) if dataset_id else found)[:500]]


@router.post("/whitelist", response={201: dict})
def propose(request: HttpRequest, new: NewItem) -> tuple[int, dict[str, Any]]:
    """Propose an item; it covers nothing until somebody else approves it."""
    return 201, as_json(services.propose(request.auth, **new.dict()))


@router.post("/whitelist/{item_id}/approve")
def approve(request: HttpRequest, item_id: uuid.UUID, reason: Reason) -> dict[str, Any]:
    """Approve what another person proposed."""
    return as_json(services.approve(request.auth, item_id, reason.note))


@router.post("/whitelist/{item_id}/reject")
def reject(request: HttpRequest, item_id: uuid.UUID, reason: Reason) -> dict[str, Any]:
    """Turn a proposal down."""
    return as_json(services.reject(request.auth, item_id, reason.note))


@router.post("/whitelist/{item_id}/revoke")
def revoke(request: HttpRequest, item_id: uuid.UUID, reason: Reason) -> dict[str, Any]:
    """End an approved item; what rests on it and has not left is taken back."""
    return as_json(services.revoke(request.auth, item_id, reason.note))


def as_json(item: WhitelistItem) -> dict[str, Any]:
    """An item with its history."""
    return {
        "id": str(item.id),
        "dataset_id": item.dataset_id,
        "fields": item.fields,
        "purpose": item.purpose,
        "receiver": item.receiver,
        "open": item.open,
        "legal_basis": item.legal_basis,
        "valid_from": item.valid_from,
        "valid_until": item.valid_until,
        "state": item.state,
        "proposed_by": item.proposed_by,
        "approved_by": item.approved_by,
        "history": [
            {"act": a.act, "actor": a.actor, "at": a.at, "note": a.note} for a in item.actions.order_by("id")
        ],
    }
