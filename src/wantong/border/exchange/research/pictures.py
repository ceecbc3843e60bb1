"""Projects as plain values, for the API and the pages."""

from __future__ import annotations

from typing import Any

from wantong.border.exchange.research import reviews, services
from wantong.border.exchange.research.models import Project, Release, Review


def project(row: Project) -> dict[str, Any]:
    """A project by itself."""
    return {
        "id": str(row.id),
        "title": row.title,
        "description": row.description,
        "kinds": row.kinds,
        "partner": row.partner.participant_id,
        "begun_here": row.begun_here,
        "state": row.state,
        "until": row.until,
        "purpose": row.purpose,
        "opened_by": row.opened_by,
        "opened_at": row.opened_at,
    }


def review(row: Review) -> dict[str, Any]:
    """One review as it was made."""
    return {
        "name": row.name,
        "side": row.side,
        "approved": row.approved,
        "document": row.document,
        "note": row.note,
        "actor": row.actor,
        "actor_name": row.actor_name,
        "at": row.at,
        "log_entry": str(row.log_entry),
    }


def release(row: Release) -> dict[str, Any]:
    """A dataset in a project; ``missing`` are the reviews it still needs."""
    waits = row.side == "ours" and row.state == Release.State.PROPOSED
    return {
        "id": str(row.id),
        "side": row.side,
        "dataset_id": row.dataset_id,
        "title": row.title,
        "kind": row.kind,
        "fields": row.fields,
        "state": row.state,
        "reason": row.reason,
        "proposed_by": row.proposed_by,
        "released_by": row.released_by or "",
        "negotiation_pid": row.negotiation_pid,
        "missing": [{"name": one.name, "side": one.side} for one in services.missing(row)] if waits else [],
        "at": row.at,
    }


def whole(row: Project) -> dict[str, Any]:
    """A project with everything in it; ``needs``: for each kind of data of ours, which reviews, and whether they stand."""
    places = services.places(row)
    made = [(one.name, one.side, one.approved) for one in row.reviews.order_by("id")]
    stand = reviews.standing(made)
    needed = {
        one: None
        for side in ("ours", "theirs")
        for kind in row.kinds
        for one in reviews.needed(kind, side, places)  # type: ignore[arg-type]
    }
    return {
        **project(row),
        "needs": [
            {
                "name": one.name,
                "side": one.side,
                "stands": one in stand,
                "source": reviews.source(one.name, places[one.side]),
            }
            for one in needed
        ],
        "reviews": [review(one) for one in row.reviews.order_by("-id")],
        "releases": [release(one) for one in row.releases.select_related("project__partner")],
    }
