"""Offshore data spaces: what is in one, where it comes from, what is done with it, by which law it may return."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import messages
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from wantong.border.exchange.models import ReceivedDataset
from wantong.border.exchange.offshore import pictures, runner, services
from wantong.border.exchange.offshore.models import Item, Space
from wantong.border.gate.declarations.consignment import JURISDICTIONS
from wantong.border.gate.declarations.services import Document
from wantong.border.trust.models import Peer
from wantong.ground import config, i18n
from wantong.ground.actors import Actor
from wantong.ground.problems import Problem
from wantong.portal import words
from wantong.portal.respond import page
from wantong.portal.services import actor, role_required
from wantong.portal.templatetags.wantong import language


@role_required()
def spaces(request: HttpRequest, as_json: bool = False) -> HttpResponse:
    """All spaces; who may, opens another one."""
    problem = None
    if request.method == "POST":
        try:
            made = services.open_space(
                actor(request),
                {language(): request.POST.get("title", "")[:300]},
                request.POST.get("purpose", ""),
                request.POST.getlist("party"),
            )
        except Problem as raised:
            problem = raised
        else:
            return redirect("portal:offshore-space", space_id=made.id)
    parties = words.Parties()
    data = {
        "spaces": [_named(pictures.space(row), parties) for row in Space.objects.prefetch_related("parties")]
    }
    home = JURISDICTIONS[config.current().jurisdiction]
    return page(
        request,
        "portal/offshore.html",
        data,
        as_json=as_json,
        problem=problem,
        may_open=bool(actor(request).roles & {"approver", "operator"}),
        peers=[peer for peer in Peer.objects.filter(active=True) if JURISDICTIONS[peer.jurisdiction] != home],
    )


@role_required()
def space(request: HttpRequest, space_id: uuid.UUID, as_json: bool = False) -> HttpResponse:
    """One space whole."""
    return _space(request, space_id, as_json=as_json)


def _space(
    request: HttpRequest, space_id: uuid.UUID, *, as_json: bool = False, problem: Problem | None = None
) -> HttpResponse:
    row = services.get(space_id)
    parties, lang, who = words.Parties(), language(), actor(request)
    data = _named(pictures.whole(row), parties)
    names = {item["id"]: item["name"] for item in data["items"]}
    for item in data["items"]:
        item["owner_name"] = parties.name(item["owner"]) if item["owner"] else ""
        item["owner_place"] = parties.place(item["owner"])
        item["behind"] = [names.get(parent, parent) for parent in item["made_of"]]
        item["ways"] = [
            {
                **answer,
                "owner": owner,
                "name": parties.name(owner),
                "route_name": words.route(answer["route"], lang),
                "rule_names": [words.rule(rule, lang) for rule in answer["rules"][:1]],
                "missing": [words.fact(name, lang) for name in answer["missing"]],
            }
            for owner, answer in item["law"].items()
        ]
    for event in data["history"]:
        event["actor_name"] = parties.actor(event["actor"], event["actor_name"], lang)
        event["url"] = reverse("portal:log-entry", args=[event["log_entry"]])
    return page(
        request,
        "portal/offshore_space.html",
        data,
        as_json=as_json,
        problem=problem,
        may_work=bool(who.roles & {"declarer", "approver"}) and row.closed_at is None,
        may_approve="approver" in who.roles and row.closed_at is None,
        may_close=bool(who.roles & {"approver", "operator"}) and row.closed_at is None,
        me=who.id,
        tables=[item["name"] for item in data["items"] if item["state"] == Item.State.PRESENT],
        arrivals=_arrivals(row),
    )


def _arrivals(row: Space) -> list[ReceivedDataset]:
    """What the space's parties have sent, is held, is a table, and is in no space yet."""
    used = Item.objects.filter(declaration__isnull=False).values("declaration__transfer_id")
    kinds = Q()
    for kind in runner.READERS:
        kinds |= Q(media_type__startswith=kind)
    return list(
        ReceivedDataset.objects.filter(kinds, transfer__peer__in=row.parties.all(), deleted_at=None)
        .exclude(transfer__id__in=used)
        .select_related("transfer__peer")
        .order_by("-received_at")[:100]
    )


def _named(data: dict[str, Any], parties: words.Parties) -> dict[str, Any]:
    return {
        **data,
        "party_names": [
            {"name": parties.name(name), "place": parties.place(name)} for name in data["parties"]
        ],
    }


@require_POST
@role_required("declarer", "approver", "operator")
def act(request: HttpRequest, space_id: uuid.UUID) -> HttpResponse:
    """One act in a space; the services check who may, and that two different people are behind it."""
    try:
        done = _do(actor(request), space_id, request)
    except Problem as problem:
        return _space(request, space_id, problem=problem)
    if done:
        messages.success(request, i18n.t(f"portal.offshore.done.{done}", language()))
    return redirect("portal:offshore-space", space_id=space_id)


def _do(who: Actor, space_id: uuid.UUID, request: HttpRequest) -> str:
    said = request.POST
    match said.get("act", ""):
        case "admit":
            paper = Document(said.get("paper", ""), said.get("number", "")[:100])
            services.admit(who, space_id, said.get("transfer", ""), said.get("name", ""), paper)
        case "confirm":
            services.confirm(who, said.get("item", ""))
        case "register":
            services.register(
                who, space_id, said.get("title", ""), said.get("sql", ""), said.getlist("input")
            )
        case "approve":
            services.approve(who, said.get("job", ""))
        case "start":
            services.start(who, said.get("job", ""), said.get("name", ""))
        case "return":
            title = {language(): said.get("title", "")[:300]}
            services.give_back(who, said.get("item", ""), said.get("receiver", ""), title)
        case "close":
            services.close(who, space_id, said.get("note", "")[:2000])
        case _:
            return ""
    return str(said["act"])
