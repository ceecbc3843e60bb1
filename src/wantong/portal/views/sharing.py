"""Sharing (数据共享): the directory, asking, the thread of a request, the figures."""

from __future__ import annotations

import csv
import datetime as dt
import io
import uuid
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django import forms
from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from wantong.border.exchange.sharing import codes, directory, peering, pictures, services
from wantong.border.exchange.sharing.ledger import get, member
from wantong.border.exchange.sharing.models import Request
from wantong.border.exchange.sharing.request import Wish, Workflow
from wantong.border.gate.whitelist import services as whitelist
from wantong.border.trust import services as trust
from wantong.ground import config, i18n
from wantong.ground.actors import Actor
from wantong.ground.http.uploads import laid_down
from wantong.ground.problems import Problem
from wantong.ground.turns import Turns
from wantong.portal import charts, words
from wantong.portal.problems import PeersBusy
from wantong.portal.respond import page
from wantong.portal.services import actor, role_required
from wantong.portal.templatetags.wantong import language
from wantong.portal.views.whitelist import basis

PER_PAGE = 20
ASKERS = ("declarer", "approver")
PUBLISHERS = ("declarer", "approver", "operator")
TABLES = ("months", "bodies", "datasets", "refusals")
MONTHLY = ("asked", "granted", "refused")

_TURNS = Turns(2, 1.0, lambda: PeersBusy(retry_after=8))
"""Who waits for other nodes' directories: a dead peer must not hold all threads."""

# --- the directory ----------------------------------------------------------------------------------------------


def listed(request: HttpRequest, as_json: bool = False) -> HttpResponse:
    """What this node has to share; ``?q=``, ``?body=``, ``?sharing=`` and ``?grade=`` narrow."""
    chosen = {name: request.GET.get(name, "")[:200] for name in ("q", "body", "sharing", "grade")}
    signed_in = request.user.is_authenticated
    found = directory.entries(everything=signed_in)
    found = found if signed_in else found.filter(dataset__audience=None)
    narrowed = directory.find(
        found, chosen["q"], body=chosen["body"], sharing=chosen["sharing"], grade=chosen["grade"]
    )
    shown = Paginator(narrowed, PER_PAGE).get_page(request.GET.get("page"))
    told = [_linked(one) for one in directory.described(shown)]
    data = {**chosen, "count": shown.paginator.count, "entries": told}
    return page(
        request,
        "portal/sharing_directory.html",
        data,
        as_json=as_json,
        pages=shown,
        bodies=dict(found.order_by("body").values_list("body", "body__name").distinct()),
        types=codes.types(),
        grades=sorted(filter(None, set(found.values_list("dataset__grade", flat=True)))),
        peers=trust.peers() if signed_in else [],
    )


def _linked(one: Mapping[str, Any]) -> dict[str, Any]:
    return {**one, "url": reverse("portal:sharing-entry", args=[one["dataset_id"]])}


def entry(request: HttpRequest, dataset_id: str, as_json: bool = False) -> HttpResponse:
    """One entry: its fields and grades, how good it is and why, its versions."""
    return _entry(request, dataset_id, as_json=as_json)


def _entry(
    request: HttpRequest, dataset_id: str, *, as_json: bool = False, problem: Problem | None = None
) -> HttpResponse:
    signed_in = request.user.is_authenticated
    found = directory.entries(everything=signed_in)
    row = (found if signed_in else found.filter(dataset__audience=None)).filter(dataset=dataset_id).first()
    if row is None:
        raise Http404
    who = actor(request) if signed_in else None
    mine = who is not None and row.body_id in {body.code for body in directory.bodies_of(who)}
    data = {**directory.described([row])[0], "versions": pictures.versions(dataset_id)[:20]}
    return page(
        request,
        "portal/sharing_entry.html",
        data,
        as_json=as_json,
        problem=problem,
        weights=codes.load("quality")["weights"],
        may_ask=bool(who and who.roles & set(ASKERS)),
        may_publish=bool(mine and who and who.roles & set(PUBLISHERS)),
        may_confirm=bool(
            mine
            and who
            and "approver" in who.roles
            and row.confirmed_at is None
            and row.proposed_by != who.id
        ),
    )


@require_POST
@role_required("approver")
def confirm(request: HttpRequest, dataset_id: str) -> HttpResponse:
    """The second person's word on an entry."""
    try:
        directory.confirm(actor(request), dataset_id)
    except Problem as problem:
        return _entry(request, dataset_id, problem=problem)
    messages.success(request, i18n.t("portal.sharing.done.confirm", language()))
    return redirect("portal:sharing-entry", dataset_id=dataset_id)


class VersionForm(forms.Form):
    """The file that is to be the newest version."""

    file = forms.FileField()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["file"]
        field.label = i18n.t("portal.sharing.file", language())
        for fault in ("required", "invalid", "missing", "empty", "max_length"):
            field.error_messages[fault] = i18n.t("portal.sharing.file-needed", language())


@never_cache
@role_required(*PUBLISHERS)
def version(request: HttpRequest, dataset_id: str) -> HttpResponse:
    """A file is compared with the newest version of a dataset of one's own body, or published as the next one."""
    who, row = actor(request), directory.entry(dataset_id)
    member(who, row.body_id)
    form = VersionForm(request.POST or None, request.FILES or None)
    compared: directory.Comparison | None = None
    problem: Problem | None = None
    if request.method == "POST" and form.is_valid():
        try:
            upload = form.cleaned_data["file"]
            with laid_down(upload, f"data{Path(upload.name).suffix[:20]}") as path:
                if request.POST.get("act") == "publish":
                    before = directory.newest(dataset_id).number
                    done = directory.publish_version(who, dataset_id, path)
                    new = done.number > before
                    said = "portal.sharing.published" if new else "portal.sharing.published-before"
                    messages.success(request, i18n.t(said, language(), number=done.number))
                    return redirect("portal:sharing-version", dataset_id=dataset_id)
                compared = directory.compare(who, dataset_id, path)
        except Problem as raised:
            problem = raised
    parties = words.Parties()
    data = {
        **directory.described([row])[0],
        "versions": pictures.versions(dataset_id)[:20],
        "subscribers": [
            {**one, "node": parties.name(one["peer"] or parties.own)}
            for one in pictures.subscribers(dataset_id)
        ],
        "compared": asdict(compared) if compared else None,
    }
    return page(
        request,
        "portal/sharing_version.html",
        data,
        problem=problem,
        status=422 if form.errors else None,
        form=form,
        columns=[column["name"] for column in data["fields"]],
    )


@never_cache
@role_required()
def of_peer(request: HttpRequest, participant_id: str, as_json: bool = False) -> HttpResponse:
    """What another node has to share with this one."""
    peer = trust.peer(participant_id)
    question = request.GET.get("q", "")[:200]
    told, problem = _told_by(participant_id)
    found = directory.search(told, question)
    shown = Paginator(found, PER_PAGE).get_page(request.GET.get("page"))
    data = {
        "peer": participant_id,
        "peer_name": peer.name or participant_id,
        "q": question,
        "count": len(found),
        "entries": [
            {
                **one,
                "url": f"{reverse('portal:sharing-ask')}?owner={participant_id}&dataset={one['dataset_id']}",
            }
            for one in shown
        ],
    }
    return page(
        request,
        "portal/sharing_peer.html",
        data,
        as_json=as_json,
        pages=shown,
        problem=problem,
    )


def _told_by(participant_id: str) -> tuple[list[dict[str, Any]], Problem | None]:
    """Another node's directory, and what went wrong in reading it."""
    told: list[dict[str, Any]] = []
    try:
        with _TURNS.turn():
            told.extend(peering.directory_of(participant_id))
    except Problem as problem:
        return told, problem
    return told, None


# --- asking -----------------------------------------------------------------------------------------------------


@never_cache
@role_required(*ASKERS)
def ask(request: HttpRequest) -> HttpResponse:
    """Ask for a dataset of this node or, with ``?owner=``, of another."""
    own = config.current().participant_id
    owner, dataset_id = request.GET.get("owner", "")[:200], request.GET.get("dataset", "")[:200]
    who = actor(request)
    problem: Problem | None = None
    if owner in ("", own):
        found = directory.entries().filter(dataset=dataset_id).first()
        told = directory.described([found])[0] if found else None
    else:
        trust.peer(owner)
        theirs, problem = _told_by(owner)
        told = next((one for one in theirs if one["dataset_id"] == dataset_id), None)
    if told is None and problem is None:
        raise Http404
    given = request.POST
    if request.method == "POST" and told is not None:
        try:
            made = services.ask(
                who,
                _wish(given, told),
                dataset_id=dataset_id,
                body=given.get("body", ""),
                owner=owner,
                title=told["title"],
                request_id=_uuid(given.get("id", "")),
            )
        except Problem as raised:
            problem = raised
        else:
            messages.success(request, i18n.t("portal.sharing.done.ask", language()))
            return redirect("portal:sharing-request", request_id=made.id)
    today = timezone.localdate()
    return page(
        request,
        "portal/sharing_ask.html",
        {},
        entry=told,
        owner=owner,
        owner_name=words.Parties().name(owner or own),
        bodies=directory.bodies_of(who),
        bases=[
            (name, basis(name, language())) for name in whitelist.legal_bases() if name != whitelist.OPEN_DATA
        ],
        deliveries=codes.deliveries(),
        given=given,
        wanted=given.getlist("field"),
        # one form is one request, however often it is sent
        id=given.get("id") or uuid.uuid4(),
        until=today + dt.timedelta(days=180),
        problem=problem,
    )


def _wish(given: Mapping[str, Any], told: Mapping[str, Any]) -> Wish:
    """What the form says; what is no number or day comes out as one that cannot be, and is told so."""
    names = [column["name"] for column in told["fields"]]
    chosen = given.getlist("field")  # type: ignore[attr-defined]
    volume = str(given.get("volume", "")).strip()
    try:
        until = dt.date.fromisoformat(str(given.get("until", "")))
    except ValueError:
        until = dt.date.min
    return Wish(
        purpose=str(given.get("purpose", "")).strip(),
        basis=str(given.get("basis", "")),
        article=str(given.get("article", "")).strip(),
        fields=tuple(name for name in names if name in chosen),
        volume=int(volume) if volume.isdecimal() and len(volume) < 16 else 0,
        until=until,
        delivery=str(given.get("delivery", "")),
        case=str(given.get("case", "")).strip(),
    )


def _uuid(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None


# --- requests ---------------------------------------------------------------------------------------------------


@role_required()
def requests(request: HttpRequest, as_json: bool = False) -> HttpResponse:
    """All requests of this node; ``?state=`` and ``?side=`` narrow."""
    flow = Workflow.load()
    state, side = request.GET.get("state", ""), request.GET.get("side", "")
    found = Request.objects.select_related("peer").order_by("-asked_at")
    if state in flow.states:
        found = found.filter(state=state)
    if side in ("owner", "asker"):
        found = found.filter(side__in=(side, "both"))
    shown = Paginator(found, PER_PAGE).get_page(request.GET.get("page"))
    data = {
        "state": state,
        "side": side,
        "count": shown.paginator.count,
        "requests": [
            {**pictures.line(row), "url": reverse("portal:sharing-request", args=[row.id])} for row in shown
        ],
    }
    return page(
        request, "portal/sharing_requests.html", data, as_json=as_json, pages=shown, states=flow.states
    )


@role_required()
def thread(request: HttpRequest, request_id: uuid.UUID, as_json: bool = False) -> HttpResponse:
    """A request whole: asked, decided, agreed, delivered, rated."""
    return _thread(request, request_id, as_json=as_json)


def _thread(
    request: HttpRequest, request_id: uuid.UUID, *, as_json: bool = False, problem: Problem | None = None
) -> HttpResponse:
    row = get(request_id)
    parties = words.Parties()
    told = pictures.thread(row, actor(request))
    told["actions"] = [{**action, "actor_name": _who(action, parties)} for action in told["actions"]]
    # what ends a request comes last
    told["possible"].sort(key=lambda act: act in ("refuse", "revoke", "withdraw"))
    return page(
        request,
        "portal/sharing_request.html",
        told,
        as_json=as_json,
        problem=problem,
        owner_name=parties.name(told["peer"] if row.side == "asker" else parties.own),
        asker_name=parties.name(told["peer"] if row.side == "owner" else parties.own),
        basis=basis(told["wish"]["basis"], language()),
        columns=(told["grant"] or {}).get("fields") or told["wish"]["fields"],
        refusals=codes.refusals(by_people=True),
        answers=codes.answers(),
        unanswered=[said for said in told["reports"] if not said["answer"]],
        rateable=[one for one in told["deliveries"] if one["delivered_at"]],
        scores=range(5, 0, -1),
        may_have_again=_may_have_again(told, actor(request)),
    )


def _may_have_again(told: Mapping[str, Any], who: Actor) -> bool:
    """Whether the reader is one of those who asked, and there is something to have."""
    mine = {body.code for body in directory.bodies_of(who)}
    there = told["state"] == "in_force" or (told["state"] == "granted" and told["trouble"])
    return bool(
        there
        and told["side"] != "owner"
        and told["asker_body"].get("code") in mine
        and who.roles & set(ASKERS)
    )


def _who(action: Mapping[str, Any], parties: words.Parties) -> str:
    if action["actor"].startswith("system:"):
        return i18n.t("portal.sharing.by-itself", language())
    return parties.actor(action["actor"], action["actor_name"], language())


@require_POST
@role_required(*ASKERS)
def act(request: HttpRequest, request_id: uuid.UUID) -> HttpResponse:
    """A person does something with a request; who may do what is its workflow and its bodies' people."""
    who, given = actor(request), request.POST
    chosen, note = given.get("act", ""), given.get("note", "")[:4000]
    try:
        match chosen:
            case "endorse":
                services.endorse(who, request_id, note)
            case "approve":
                services.approve(who, request_id, note, fields=given.getlist("field"))
            case "refuse":
                services.refuse(who, request_id, given.get("code", ""), note)
            case "revoke":
                services.revoke(who, request_id, note)
            case "withdraw":
                services.withdraw(who, request_id, note)
            case "again":
                services.again(who, request_id)
            case "rate":
                score = given.get("score", "")
                number = int(score) if score.isdecimal() else 0
                services.rate(who, request_id, given.get("delivery", ""), number, note)
            case "report":
                record = [part.strip() for part in given.get("record", "").split("\n") if part.strip()]
                services.report(
                    who,
                    request_id,
                    given.get("delivery", ""),
                    field=given.get("column", ""),
                    record=record,
                    note=note,
                )
            case "answer":
                services.answer(who, request_id, given.get("report", ""), given.get("code", ""), note)
            case _:
                return redirect("portal:sharing-request", request_id=request_id)
    except Problem as problem:
        return _thread(request, request_id, problem=problem)
    messages.success(request, i18n.t(f"portal.sharing.done.{chosen}", language()))
    return redirect("portal:sharing-request", request_id=request_id)


# --- figures ----------------------------------------------------------------------------------------------------


def figures(request: HttpRequest, as_json: bool = False) -> HttpResponse:
    """Asked, granted, refused, how long it took beside what others have published; by month, body, dataset, reason."""
    told = pictures.dashboard(_since(request), everyone=not request.user.is_authenticated)
    refused = [
        {**one, "label": i18n.t(f"sharing.refusal.{one['code']}", language())} for one in told["refusals"]
    ]
    spans = [
        {"label": i18n.t("portal.sharing.median", language()), "hours": told["times"]["median"]},
        {"label": i18n.t("portal.sharing.mean", language()), "hours": told["times"]["mean"]},
        {"label": i18n.t("portal.sharing.p90", language()), "hours": told["times"]["p90"]},
        *({"label": one["scope"], "hours": one["hours"]} for one in told["published"]),
    ]
    return page(
        request,
        "portal/sharing_figures.html",
        told,
        as_json=as_json,
        since=request.GET.get("since", "")[:10],
        by_month=charts.bars(told["months"], "month", MONTHLY),
        by_time=charts.bars(spans, "label", ("hours",)),
        by_dataset=charts.bars(told["datasets"], "title", ("asked",)),
        by_reason=charts.bars(refused, "label", ("count",)),
        by_body=charts.bars(told["bodies"], "name", ("asks", "asked_of")),
        monthly=MONTHLY,
    )


def figures_csv(request: HttpRequest) -> HttpResponse:
    """One table of the figures: ``?table=`` months (default), bodies, datasets or refusals."""
    name = request.GET.get("table", TABLES[0])
    if name not in TABLES:
        raise Http404
    rows = [
        {key: i18n.say(value, language()) if isinstance(value, dict) else value for key, value in row.items()}
        for row in pictures.dashboard(_since(request), everyone=not request.user.is_authenticated)[name]
    ]
    text = io.StringIO(newline="")
    lines = csv.DictWriter(text, list(rows[0]) if rows else [name])
    lines.writeheader()
    lines.writerows(rows)
    response = HttpResponse("\ufeff" + text.getvalue(), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="sharing-{name}.csv"'
    return response


def _since(request: HttpRequest) -> dt.date | None:
    try:
        return dt.date.fromisoformat(request.GET.get("since", "")[:10])
    except ValueError:
        return None
