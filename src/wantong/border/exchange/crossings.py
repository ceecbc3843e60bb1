"""Read models: what pages and the API show of datasets, negotiations and transfers."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet

from wantong.border.exchange import exporting, extension
from wantong.border.exchange.machine import PROVIDER
from wantong.border.exchange.models import Dataset, Message, Negotiation, Process, ReceivedDataset, Transfer
from wantong.border.gate.declarations.models import Declaration


def datasets() -> QuerySet[Dataset]:
    """What this node offers, newest first."""
    return Dataset.objects.filter(withdrawn_at=None).order_by("-published_at").prefetch_related("offers")


def dataset(row: Dataset) -> dict[str, Any]:
    """A dataset of ours as the catalogue page and the API show it."""
    return {
        "id": row.id,
        "title": row.title,
        "description": row.description,
        "publisher": row.publisher,
        "themes": row.themes,
        "fields": row.fields,
        "grade": row.grade,
        "licence": row.licence,
        "update_cycle": row.update_cycle,
        "media_type": row.media_type,
        "filename": row.filename,
        "size": row.size,
        "sha256": row.sha256,
        "is_open": row.is_open,
        "audience": list(row.audience.values_list("participant_id", flat=True)),
        "offers": [offer.policy for offer in row.offers.all()],
        "published_at": row.published_at.isoformat(),
    }


def negotiation(row: Negotiation) -> dict[str, Any]:
    """A negotiation with everything that was said in it."""
    return {
        **_process(row),
        "dataset_id": row.dataset_id,
        "title": row.title,
        "offer": row.offer,
        "agreement_id": row.agreement_id,
        "messages": _messages(row.pid),
    }


def crossings() -> QuerySet[Transfer]:
    """All transfers, the one that moved last first."""
    return Transfer.objects.select_related("agreement", "peer").order_by("-updated_at")


def summary(row: Transfer) -> dict[str, Any]:
    """One line of a list of crossings."""
    return {
        **_process(row),
        "id": row.id,
        "format": row.format,
        "dataset_id": row.agreement.dataset_id,
        "title": row.agreement.title,
        "agreement_id": row.agreement.id,
        "declaration_id": row.declaration_id,
        "received_bytes": row.received_bytes,
    }


def crossing(row: Transfer) -> dict[str, Any]:
    """A crossing whole: the talk between the nodes, the gate's decision, what was carried, the receipts of both.

    ``declaration`` is None before the gate has seen it; ``received`` before the data may be used. ``carried`` tells
    bytes and digest, for the provider also what the data plane has metered.
    """
    declaration = Declaration.objects.filter(id=row.declaration_id).first() if row.declaration_id else None
    received = ReceivedDataset.objects.filter(transfer=row).first()
    carried: dict[str, Any] = (
        exporting.meter(row.id)
        if row.role == PROVIDER
        else {
            "bytes": row.received_bytes,
            "size": (row.manifest or {}).get("size"),
            "sha256": (row.manifest or {}).get("sha256"),
        }
    )
    return {
        **summary(row),
        "policy": row.agreement.policy,
        "carried": carried,
        "declaration": declaration
        and {
            "id": str(declaration.id),
            "direction": declaration.direction,
            "state": declaration.state,
            "route": declaration.route,
            "waiting_for": declaration.waiting_for,
        },
        "received": received
        and {
            "sha256": received.sha256,
            "size": received.size,
            "received_at": received.received_at.isoformat(),
        },
        "messages": _messages(row.pid),
        "receipts": {"own": extension.logged(row), "peer": row.peer_receipts},
    }


def _process(row: Process) -> dict[str, Any]:
    return {
        "pid": row.pid,
        "role": row.role,
        "peer": row.peer.participant_id,
        "peer_name": row.peer.name,
        "counterpart_pid": row.counterpart_pid,
        "state": row.state,
        "waiting_for": row.waiting_for,
        "reason": row.reason,
        "begun_by": row.begun_by,
        "created_at": row.created_at.isoformat(),
        "updated_at": row.updated_at.isoformat(),
    }


def _messages(pid: str) -> list[dict[str, Any]]:
    return [
        {
            "at": message.at.isoformat(),
            "outgoing": message.outgoing,
            "kind": message.kind,
            "status": message.status,
            "answer_status": message.answer_status,
        }
        for message in Message.objects.filter(pid=pid)
    ]
