"""The first page of a node: what crosses now, and what waits for whom."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone

from wantong.border.exchange.models import Dataset, Negotiation
from wantong.border.exchange.sharing import services as sharing
from wantong.border.exchange.sharing.models import Request
from wantong.border.gate.declarations import steps
from wantong.border.gate.declarations.ledger import fold_of
from wantong.border.gate.declarations.models import Declaration, State
from wantong.border.gate.whitelist import models as whitelist
from wantong.border.trust.models import Peer
from wantong.ground import config
from wantong.ground.actors import Actor
from wantong.ground.log import services as log
from wantong.portal import receipts, words
from wantong.portal.respond import page
from wantong.portal.services import actor, role_required
from wantong.portal.templatetags.wantong import language
from wantong.portal.views.crossings import MEETING, still_open, summaries

NEWEST = 6
MOST_TASKS = 12
PASSED = (State.RELEASED, State.DELIVERED, State.RECEIPTED)


def home(request: HttpRequest, as_json: bool = False) -> HttpResponse:
    """For everyone: the node, its counts, its log, its peers. For operators also what waits for them."""
    node = config.current()
    data: dict[str, Any] = {
        "participant_id": node.participant_id,
        "jurisdiction": node.jurisdiction,
        "name": node.name,
        **_numbers(),
        "peers": [
            {"participant_id": p.participant_id, "name": p.name, "place": p.jurisdiction, "url": p.url}
            for p in Peer.objects.filter(active=True)
        ],
    }
    if request.user.is_authenticated:
        data |= _desk(actor(request))
    return page(request, "portal/home.html", data, as_json=as_json)


@role_required()
def now(request: HttpRequest) -> HttpResponse:
    """The part of the first page that is fetched again while it is open."""
    return page(request, "portal/home_now.html", {**_numbers(), **_desk(actor(request))})


def _numbers() -> dict[str, Any]:
    states = dict(Declaration.objects.values_list("state").annotate(n=Count("id")))
    head = receipts.head(log.node_log().checkpoint(), log.node_trust())
    return {
        "counts": {
            "passed": sum(states.get(state, 0) for state in PASSED),
            "stopped": states.get(State.HELD, 0) + states.get(State.WAITING, 0),
            "refused": states.get(State.REFUSED, 0),
            "datasets": Dataset.objects.filter(withdrawn_at=None, audience=None).count(),
        },
        "head": head,
    }


def _desk(who: Actor) -> dict[str, Any]:
    lang = language()
    moving = Declaration.objects.filter(updated_at__gt=timezone.now() - timedelta(days=7)).order_by(
        "-updated_at"
    )
    return {"newest": summaries(moving[:NEWEST], lang), "tasks": tasks(who, lang)}


def tasks(who: Actor, lang: str) -> list[dict[str, Any]]:
    """What ``who`` could bring on now, by his roles; the oldest first."""
    found: list[dict[str, Any]] = []
    stopped = Declaration.objects.filter(state__in=(State.WAITING, State.HELD)).order_by("updated_at")
    for declaration in stopped[:200]:
        if not any(r["act"] in MEETING for r in declaration.waiting_for):
            continue
        projection = fold_of(declaration)
        wanted = {r["act"] for r in still_open(projection)} & set(MEETING)
        if not wanted & set(steps.possible(declaration, projection, who)):
            continue
        found.append(
            {
                "kind": "crossing",
                "title": declaration.title,
                "waiting_for": [words.requirement(r, lang) for r in declaration.waiting_for],
                "state": declaration.state,
                "at": declaration.updated_at,
                "url": reverse("portal:crossing", args=[declaration.id]),
            }
        )
        if len(found) == MOST_TASKS:
            return found
    for asked in Request.objects.filter(side__in=("owner", "both"), state__in=("asked", "endorsed")).order_by(
        "asked_at"
    )[:200]:
        if {"endorse", "approve"} & set(sharing.possible(who, asked)):
            found.append(
                {
                    "kind": "sharing",
                    "title": asked.title or asked.dataset_id,
                    "waiting_for": [],
                    "state": asked.state,
                    "at": asked.asked_at,
                    "url": reverse("portal:sharing-request", args=[asked.id]),
                }
            )
    if "approver" in who.roles:
        proposed = whitelist.WhitelistItem.objects.filter(state=whitelist.State.PROPOSED).exclude(
            proposed_by=who.id
        )
        parties = words.Parties()
        found += [
            {
                "kind": "whitelist",
                "title": parties.dataset(item.dataset_id),
                "waiting_for": [],
                "state": item.state,
                "at": item.created_at,
                "url": reverse("portal:whitelist-item", args=[item.id]),
            }
            for item in proposed.order_by("created_at")[:MOST_TASKS]
        ]
    if who.roles & {"approver", "operator"}:
        talks = Negotiation.objects.exclude(waiting_for="").select_related("peer").order_by("updated_at")
        found += [
            {
                "kind": "negotiation",
                "title": talk.title or talk.dataset_id,
                "waiting_for": [],
                "state": "waiting",
                "at": talk.updated_at,
                "url": reverse("portal:negotiation", args=[talk.pid]),
            }
            for talk in talks[:MOST_TASKS]
        ]
    return found[:MOST_TASKS]
