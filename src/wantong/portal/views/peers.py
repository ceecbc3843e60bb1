"""Catalogues of other nodes, read while the page is made: bounded, and never the end of the page."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.cache import never_cache

from wantong.border.exchange import enforcement
from wantong.border.exchange import services as exchange
from wantong.border.exchange import words as policies
from wantong.border.exchange.policies import vocabulary
from wantong.border.trust import services as trust
from wantong.border.trust.models import Peer
from wantong.ground import i18n
from wantong.ground.problems import Problem
from wantong.ground.turns import Turns
from wantong.portal.problems import PeersBusy
from wantong.portal.respond import page
from wantong.portal.services import actor, role_required
from wantong.portal.templatetags.wantong import language
from wantong.portal.views.catalogue import matches

PATIENCE = 8.0
"""Seconds that a reader waits for another node, all its pages together."""
LARGEST = 8 << 20
MOST = 200
AT_ONCE = 2
RECORDERS = ("operator", "approver")
ASKERS = ("declarer", "approver", "operator")

_TURNS = Turns(AT_ONCE, 1.0, lambda: PeersBusy(retry_after=int(PATIENCE)))
"""Who waits for other nodes: a dead peer must not hold all threads."""


@never_cache
@role_required()
def catalogue(request: HttpRequest, participant_id: str, as_json: bool = False) -> HttpResponse:
    """What a peer offers us. What was read before it failed is shown, with what went wrong."""
    peer = trust.peer(participant_id)
    said: Problem | None = None
    if request.method == "POST":
        try:
            exchange.record_standing(
                actor(request), participant_id, request.POST.get("place", ""), request.POST.getlist("kind")
            )
            messages.success(request, i18n.t("portal.standing.done", language()))
            return redirect("portal:peer-catalogue", participant_id)
        except Problem as raised:
            said = raised
    question = request.GET.get("q", "")[:200]
    found: list[dict[str, Any]] = []
    problem: Problem | None = said
    more = False
    try:
        with _TURNS.turn():
            for entry in exchange.request_catalog(participant_id, within=PATIENCE, largest=LARGEST):
                if len(found) == MOST:
                    more = True
                    break
                if matches(entry, question):
                    found.append(entry)
    except Problem as raised:
        problem = raised
    data = {
        "peer": participant_id,
        "peer_name": peer.name or participant_id,
        "q": question,
        "more": more,
        "problem": problem.explain(language()) if problem else None,
        "datasets": [
            {**entry, "url": reverse("portal:peer-dataset", args=[participant_id, entry["id"]])}
            for entry in found
        ],
    }
    return page(
        request,
        "portal/peer_catalogue.html",
        data,
        as_json=as_json,
        problem=problem,
        most=MOST,
        standing=_standing(peer, language()),
        may_record=bool(actor(request).roles & set(RECORDERS)),
    )


def _standing(peer: Peer, lang: str) -> dict[str, Any]:
    """Where a peer is and what kinds of body it is, as recorded here, and what may be recorded."""
    place, kinds = enforcement.standing(peer.participant_id, peer)
    trees = vocabulary.load().trees
    within = enforcement.PLACES[peer.jurisdiction]
    places = [code for code in trees["places"].broader if trees["places"].lies_in(code, within) is True]
    return {
        "place": place,
        "kinds": kinds,
        "said": [
            i18n.t(f"odrl.place.{place}", lang),
            *(i18n.t(f"odrl.kind.{kind}", lang) for kind in kinds or ()),
        ],
        "places": [(code, i18n.t(f"odrl.place.{code}", lang)) for code in places],
        "possible": [(code, i18n.t(f"odrl.kind.{code}", lang)) for code in trees["receivers"].broader],
    }


@never_cache
@role_required()
def dataset(
    request: HttpRequest, participant_id: str, dataset_id: str, as_json: bool = False
) -> HttpResponse:
    """One dataset of a peer: its fields, its terms in words, and the way to ask for it."""
    peer = trust.peer(participant_id)
    told: dict[str, Any] | None = None
    problem: Problem | None = None
    try:
        with _TURNS.turn():
            told = exchange.request_dataset(participant_id, dataset_id, within=PATIENCE)
        if request.method == "POST":
            chosen = request.POST.get("offer", "")
            asked = exchange.negotiate(
                actor(request),
                participant_id,
                dataset_id,
                # the terms are the peer's own, as it tells them now; the form names which
                offer=next((o for o in told["offers"] if o["@id"] == chosen), told["offers"][0]),
                purpose=request.POST.get("purpose", "").strip()[:200],
                fields=[f["name"] for f in told["fields"] if f["name"] in request.POST.getlist("field")],
                title=told["title"],
            )
            messages.success(request, i18n.t("portal.peer.asked", language()))
            return redirect("portal:negotiation", pid=asked.pid)
    except Problem as raised:
        problem = raised
    data: dict[str, Any] = {
        **(told or {"id": dataset_id}),
        "peer": participant_id,
        "peer_name": peer.name or participant_id,
        "problem": problem.explain(language()) if problem else None,
    }
    if as_json:
        return page(request, "", data, as_json=True, problem=problem)
    offers = [
        {"id": offer["@id"], "rules": policies.clauses(offer, language())}
        for offer in (told["offers"] if told else ())
    ]
    return page(
        request,
        "portal/peer_dataset.html",
        {**data, "offers": offers},
        problem=problem,
        found=told is not None,
        may_ask=bool(actor(request).roles & set(ASKERS)),
        given=request.POST,
        wanted=request.POST.getlist("field"),
    )
