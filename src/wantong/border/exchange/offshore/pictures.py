"""Spaces as plain values, for the API and the pages."""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from wantong.border.exchange.offshore import services
from wantong.border.exchange.offshore.models import Item, Job, Run, Space
from wantong.border.exchange.offshore.problems import NotInThisState


def space(row: Space) -> dict[str, Any]:
    """A space by itself."""
    return {
        "id": str(row.id),
        "title": row.title,
        "purpose": row.purpose,
        "parties": sorted(peer.participant_id for peer in row.parties.all()),
        "opened_by": row.opened_by,
        "opened_at": row.opened_at,
        "closed_at": row.closed_at,
    }


def item(row: Item) -> dict[str, Any]:
    """Something in a space; ``behind`` names who its data came from, ``law`` what is decided for the way back today."""
    told: dict[str, Any] = {
        "id": str(row.id),
        "name": row.name,
        "state": row.state,
        "made_here": row.run_id is not None,
        "owner": row.owner,
        "transfer_id": row.declaration.transfer_id if row.declaration else "",
        "declaration_id": str(row.declaration_id or ""),
        "made_of": row.made_of,
        "columns": row.columns,
        "size": row.size,
        "sha256": row.sha256,
        "document": row.document,
        "admitted_by": row.admitted_by,
        "confirmed_by": row.confirmed_by or "",
        "dataset_id": row.dataset_id,
        "at": row.at,
        "law": {},
    }
    if row.run_id is not None and row.state in (Item.State.PRESENT, Item.State.RETURNED):
        try:
            answers = services.lawful(row, timezone.localdate())
        except NotInThisState:
            return told
        told["law"] = {
            owner: {
                "route": answer.primary_route,
                "rules": list(answer.rule_ids),
                "citations": list(answer.citations),
                "missing": list(answer.missing_facts),
            }
            for owner, answer in answers.items()
        }
    return told


def job(row: Job) -> dict[str, Any]:
    """A job with its runs."""
    return {
        "id": str(row.id),
        "title": row.title,
        "sql": row.sql,
        "inputs": row.inputs,
        "digest": row.digest,
        "registered_by": row.registered_by,
        "approved_by": row.approved_by or "",
        "runs": [run(one) for one in row.runs.all()],
    }


def run(row: Run) -> dict[str, Any]:
    """One run."""
    return {
        "id": str(row.id),
        "name": row.name,
        "state": row.state,
        "rows": row.rows,
        "failure": row.failure,
        "started_by": row.started_by,
        "started_at": row.started_at,
        "finished_at": row.finished_at,
    }


def whole(row: Space) -> dict[str, Any]:
    """A space with everything in it."""
    rows = row.items.select_related("declaration", "run", "space")
    return {
        **space(row),
        "items": [item(one) for one in rows],
        "jobs": [job(one) for one in row.jobs.prefetch_related("runs")],
        "history": [
            {
                "act": action.act,
                "actor": action.actor,
                "actor_name": action.actor_name,
                "at": action.at,
                "note": action.note,
                "log_entry": str(action.log_entry),
            }
            for action in row.actions.all()
        ],
    }
