"""Read models: what pages and the API show of requests, bodies and figures."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.utils import timezone

from wantong.border.exchange import exporting
from wantong.border.exchange.models import Negotiation, Transfer
from wantong.border.exchange.sharing import codes, directory, figures, services
from wantong.border.exchange.sharing.ledger import fold_of
from wantong.border.exchange.sharing.models import Body, Request, Version
from wantong.border.exchange.sharing.request import Projection
from wantong.border.gate.declarations.models import Declaration
from wantong.ground import config
from wantong.ground.actors import Actor
from wantong.ground.plain import stored


def bodies() -> list[dict[str, Any]]:
    """The bodies of this node and who acts for them."""
    return [body(row) for row in Body.objects.prefetch_related("members")]


def body(row: Body) -> dict[str, Any]:
    """One body and who acts for it."""
    return {
        "code": row.code,
        "name": row.name,
        "members": sorted(member.actor for member in row.members.all()),
    }


def versions(dataset_id: str) -> list[dict[str, Any]]:
    """The versions of an entry, newest first."""
    return [
        {
            "dataset_id": dataset_id,
            "number": version.number,
            "sha256": version.sha256,
            "size": version.size,
            "rows": version.measured["rows"],
            "changes": version.changes,
            "published_at": version.published_at.isoformat(),
        }
        for version in Version.objects.filter(dataset=stored(dataset_id)).order_by("-number")[:100]
    ]


def subscribers(dataset_id: str) -> list[dict[str, Any]]:
    """Who gets every new version of a dataset of ours, the first to subscribe first; ``has``: the version that is there, or 0."""
    rows = directory.subscribers(stored(dataset_id)).select_related("peer").order_by("asked_at")
    return [{**line(row), "has": fold_of(row).had()} for row in rows]


def requests(
    *, state: str = "", side: str = "", dataset_id: str = "", page: int = 1, per_page: int = 50
) -> dict[str, Any]:
    """A page of requests, newest first."""
    found = Request.objects.select_related("peer").order_by("-asked_at")
    for name, value in (("state", state), ("side", side), ("dataset_id", dataset_id)):
        if value:
            found = found.filter(**{name: stored(value)})
    first = (page - 1) * per_page
    return {"total": found.count(), "requests": [line(row) for row in found[first : first + per_page]]}


def line(row: Request) -> dict[str, Any]:
    """One line of a list."""
    return {
        "id": str(row.id),
        "side": row.side,
        "peer": row.peer.participant_id if row.peer else "",
        "dataset_id": row.dataset_id,
        "title": row.title,
        "sharing": row.sharing,
        "owner_body": row.owner_body,
        "asker_body": row.asker_body,
        "purpose": row.wish["purpose"],
        "until": row.wish["until"],
        "delivery": row.delivery,
        "state": row.state,
        "refusal": row.refusal,
        "asked_at": row.asked_at.isoformat(),
        "decided_at": _said(row.decided_at),
        "had_at": _said(row.had_at),
        "deliveries": row.deliveries,
        "agreement_id": row.agreement_id,
        "ratings": row.ratings,
    }


def thread(row: Request, actor: Actor | None = None) -> dict[str, Any]:
    """A request whole: every act with its receipt, the agreement, each delivery with both sides' receipts, ratings, reports."""
    now = fold_of(row)
    return {
        **line(row),
        "wish": row.wish,
        "grant": now.grant.to_dict() if now.grant else None,
        "whitelist_item": str(row.whitelist_item) if row.whitelist_item else "",
        "trouble": now.trouble,
        "negotiation": _negotiation(row),
        "deliveries": _deliveries(row, now),
        "reports": [
            {
                "id": name,
                "delivery": said.delivery,
                "field": said.field,
                "commitment": said.commitment,
                "at": said.at.isoformat(),
                "answer": said.answer,
            }
            for name, said in now.reports.items()
        ],
        "calls": calls(row),
        "actions": [
            {
                "number": action.number,
                "act": action.act,
                "actor": action.actor,
                "actor_name": action.actor_name,
                "at": action.at.isoformat(),
                "note": action.note,
                "data": {k: v for k, v in action.data.items() if k in _SHOWN},
                "receipt": f"{config.current().url}/log/receipts/{action.log_entry}"
                if action.log_entry
                else "",
                "log_entry": str(action.log_entry) if action.log_entry else "",
            }
            for action in row.actions.order_by("number")
        ],
        "possible": services.possible(actor, row) if actor else [],
    }


# what of an act's data a reader wants beside it; the rest is shown in its own place
_SHOWN = {
    "code", "ground", "version", "mode", "added", "changed", "rows", "delivery", "score", "field", "sha256", "size",
    "agreement_id", "report", "missed",
}  # fmt: skip


def _negotiation(row: Request) -> str:
    """The pid of the negotiation that led to the agreement."""
    if row.negotiation_pid:
        return row.negotiation_pid
    found = Negotiation.objects.filter(agreement_id=row.agreement_id).exclude(agreement_id="").first()
    return found.pid if found else ""


def _deliveries(row: Request, now: Projection) -> list[dict[str, Any]]:
    """Each delivery: what it was, where it crossed, when it was there, what both sides logged of it, how it was rated."""
    done = {
        action.data["delivery"]: action for action in row.actions.filter(act="deliver").order_by("number")
    }
    found = []
    for name, parcel in now.parcels.items():
        process = (
            Transfer.objects.filter(agreement_id=row.agreement_id, counterpart_pid=f"urn:uuid:{name}").first()
            if row.side == Request.Side.ASKER
            else Transfer.objects.filter(id=name).first()
        )
        declaration = (
            Declaration.objects.filter(id=process.declaration_id).first()
            if process and process.declaration_id
            else None
        )
        action = done.get(name)
        found.append(
            {
                "delivery": name,
                "version": parcel["version"],
                "mode": parcel["mode"],
                "base": parcel.get("base", 0),
                "added": parcel.get("added"),
                "changed": parcel.get("changed"),
                "removed": len(parcel.get("removed", ())),
                "delivered_at": _said(now.delivered.get(name)),
                "sha256": action.data.get("sha256", "") if action else "",
                "size": action.data.get("size") if action else None,
                "transfer_id": process.id if process else "",
                "state": process.state if process else "",
                "declaration_id": str(declaration.id) if declaration else "",
                "gate": declaration.state if declaration else "",
                "peer_receipts": process.peer_receipts if process else [],
                "rating": now.ratings.get(name),
            }
        )
    return found


def calls(row: Request) -> int:
    """How many lookups of this node's query service have been answered under this request's agreement."""
    if row.delivery != codes.QUERY or not row.agreement_id:
        return 0
    transfers = Transfer.objects.filter(agreement_id=row.agreement_id, role="provider")
    return sum(int(exporting.meter(process.id)["requests"]) for process in transfers)


def dashboard(since: dt.date | None = None, *, everyone: bool = False) -> dict[str, Any]:
    """The figures of this node as an owner, beside what others have published.

    ``everyone``: no dataset is named that is not in everyone's directory.
    """
    rows = Request.objects.filter(side__in=("owner", "both"))
    if since is not None:
        rows = rows.filter(asked_at__gte=timezone.make_aware(dt.datetime.combine(since, dt.time())))
    names: dict[str, Any] = {}
    titles: dict[str, Any] = {}
    cases = []
    for row in rows.iterator():
        for body in (row.owner_body, row.asker_body):
            if body.get("code"):
                names[body["code"]] = body.get("name") or {"en": body["code"]}
        titles[row.dataset_id] = row.title or {"en": row.dataset_id}
        cases.append(
            figures.Case(
                dataset_id=row.dataset_id,
                owner_body=str(row.owner_body.get("code", "")),
                asker_body=str(row.asker_body.get("code", "")),
                state=row.state,
                sharing=row.sharing,
                asked_at=row.asked_at,
                decided_at=row.decided_at,
                had_at=row.had_at,
                granted=bool(row.decided_at) and not row.refusal,
                refusal=row.refusal,
                deliveries=row.deliveries,
                calls=calls(row),
                ratings=tuple(row.ratings),
            )
        )
    told = figures.figures(cases, timezone.get_default_timezone()).to_dict()
    if everyone:
        named = directory.entries().filter(dataset__audience=None, dataset__in=list(titles))
        shown = set(named.values_list("dataset_id", flat=True))
        told["datasets"] = [one for one in told["datasets"] if one["dataset_id"] in shown]
    for body in told["bodies"]:
        body["name"] = names[body["body"]]
    for dataset in told["datasets"]:
        dataset["title"] = titles[dataset["dataset_id"]]
    return {**told, "published": codes.load("published")}


def _said(moment: dt.datetime | None) -> str | None:
    return moment.isoformat() if moment else None


__all__ = ["bodies", "calls", "dashboard", "line", "requests", "subscribers", "thread", "versions"]
