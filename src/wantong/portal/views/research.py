"""Research projects with another institution: reviews of both sides, data released field by field, crates."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

from django.contrib import messages
from django.http import FileResponse, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from wantong.border.exchange.models import Dataset
from wantong.border.exchange.research import api, pictures, reviews, services
from wantong.border.exchange.research.models import Project
from wantong.border.exchange.research.problems import BadCrate, BadProject
from wantong.border.gate.declarations.services import Document
from wantong.border.gate.whitelist.catalogue import MASKS
from wantong.border.trust.models import Peer
from wantong.ground import i18n
from wantong.ground.actors import Actor
from wantong.ground.http.uploads import laid_down
from wantong.ground.problems import Problem
from wantong.portal import words
from wantong.portal.respond import page
from wantong.portal.services import actor, role_required
from wantong.portal.templatetags.wantong import language

WORKING = {"declarer", "approver"}


@role_required()
def projects(request: HttpRequest, as_json: bool = False) -> HttpResponse:
    """All projects; who may, proposes another one."""
    problem = None
    if request.method == "POST":
        try:
            made = _open(actor(request), request)
        except Problem as raised:
            problem = raised
        else:
            return redirect("portal:research-project", project_id=made.id)
    parties = words.Parties()
    rows = Project.objects.select_related("partner")
    data = {"projects": [_named(pictures.project(row), parties) for row in rows]}
    today = timezone.localdate()
    return page(
        request,
        "portal/research.html",
        data,
        as_json=as_json,
        problem=problem,
        may_open=bool(actor(request).roles & WORKING),
        peers=[peer for peer in Peer.objects.filter(active=True) if not peer.foreign],
        kinds=reviews.kinds(),
        today=today,
        in_a_year=today + dt.timedelta(days=365),
    )


def _open(who: Actor, request: HttpRequest) -> Project:
    said = request.POST
    try:
        until = dt.date.fromisoformat(said.get("until", ""))
    except ValueError:
        raise BadProject(field="until", reason="no-day") from None
    title = {language(): said.get("title", "").strip()}
    description = {language(): text} if (text := said.get("description", "").strip()) else {}
    return services.open_project(
        who, said.get("partner", ""), title, said.getlist("kind"), until, description
    )


@role_required()
def project(request: HttpRequest, project_id: uuid.UUID, as_json: bool = False) -> HttpResponse:
    """One project whole."""
    return _project(request, project_id, as_json=as_json)


def _project(
    request: HttpRequest, project_id: uuid.UUID, *, as_json: bool = False, problem: Problem | None = None
) -> HttpResponse:
    row = services.get(project_id)
    parties, lang, who = words.Parties(), language(), actor(request)
    data = _named(pictures.whole(row), parties)
    for made in data["reviews"]:
        made["actor_name"] = parties.actor(made["actor"], made["actor_name"], lang)
        made["url"] = reverse("portal:log-entry", args=[made["log_entry"]])
    for release in data["releases"]:
        if release["negotiation_pid"]:
            release["url"] = reverse("portal:negotiation", args=[release["negotiation_pid"]])
    running = row.state in (Project.State.PROPOSED, Project.State.AGREED)
    chosen = Dataset.objects.filter(id=request.GET.get("dataset", ""), withdrawn_at=None).first()
    return page(
        request,
        "portal/research_project.html",
        data,
        as_json=as_json,
        problem=problem,
        running=running,
        may_work=bool(who.roles & WORKING) and running,
        may_approve="approver" in who.roles and running,
        may_fetch=bool(who.roles & {*WORKING, "operator"}),
        may_pack=bool(who.roles & {*WORKING, "auditor"}),
        me=who.id,
        names=reviews.names(),
        masks=MASKS,
        chosen=chosen,
        datasets=Dataset.objects.filter(withdrawn_at=None).order_by("id")[:500] if running else (),
    )


def _named(data: dict[str, Any], parties: words.Parties) -> dict[str, Any]:
    return {
        **data,
        "partner_name": parties.name(data["partner"]),
        "partner_place": parties.place(data["partner"]),
    }


@require_POST
@role_required("declarer", "approver", "operator")
def act(request: HttpRequest, project_id: uuid.UUID) -> HttpResponse:
    """One act in a project; the services check who may, and that two different people are behind a release."""
    try:
        done = _do(actor(request), project_id, request)
    except Problem as problem:
        return _project(request, project_id, problem=problem)
    if done:
        messages.success(request, i18n.t(f"portal.research.done.{done}", language()))
    return redirect("portal:research-project", project_id=project_id)


def _do(who: Actor, project_id: uuid.UUID, request: HttpRequest) -> str:
    said = request.POST
    chosen = said.get("act", "")
    match chosen:
        case "agree" | "decline":
            services.answer(who, project_id, chosen == "agree", said.get("note", ""))
        case "review" | "unreview":
            paper = Document(said.get("paper", ""), said.get("number", "")[:100])
            services.review(
                who, project_id, said.get("name", ""), chosen == "review", paper, said.get("note", "")
            )
        case "propose":
            fields = {
                name[5:]: mask for name, mask in said.items() if name.startswith("mask.") and mask in MASKS
            }
            services.propose(who, project_id, said.get("dataset", ""), said.get("kind", ""), fields)
        case "release":
            services.release(who, said.get("release", ""))
        case "end":
            services.end(who, said.get("release", ""), said.get("note", ""))
        case "fetch":
            services.fetch(who, said.get("release", ""))
        case "close":
            services.close(who, project_id, said.get("note", ""))
        case "crate":
            _bring_in(who, project_id, request)
        case _:
            return ""
    return chosen


def _bring_in(who: Actor, project_id: uuid.UUID, request: HttpRequest) -> None:
    file = request.FILES.get("file")
    if file is None:
        raise BadCrate(reason="no-file")
    with laid_down(file) as path:
        services.bring_in(who, project_id, path)


@require_safe
@role_required("declarer", "approver", "auditor")
def crate(request: HttpRequest, project_id: uuid.UUID) -> FileResponse:
    """The project as an RO-Crate."""
    return api.crate_file(actor(request), project_id)
