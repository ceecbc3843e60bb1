"""Pages: a document goes in and a statement comes out; and what this node's body seals, by two people."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import get_language
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from wantong.border.trust.certificates.holdings import NoHolding
from wantong.border.trust.signatures import api, places, services, statement
from wantong.border.trust.signatures.found import Level
from wantong.border.trust.signatures.front import Checked
from wantong.border.trust.signatures.models import Sealing, State
from wantong.border.trust.signatures.problems import BadSealing, Busy, NotInThisState, SamePerson, TooLarge
from wantong.border.trust.signatures.signing import CannotSign
from wantong.border.trust.signatures.tsa import NoStamp
from wantong.border.trust.templatetags.trust import verdict as drawn
from wantong.ground import i18n
from wantong.ground.http.auth import NotAllowed, actor_of, require
from wantong.ground.problems import Problem

A_PAGE = 20
FORM_OF = {"pdf": "PAdES", "xml": "XAdES", "json": "JAdES"}


def language() -> str:
    code = get_language() or "en"
    return code if code in i18n.LANGUAGES else "en"


@never_cache
@require_http_methods(["GET", "POST"])
def check(request: HttpRequest) -> HttpResponse:
    """Ask for a document, or state what came of checking it. Answers 422 to a form without a file."""
    if request.method != "POST":
        return _check_form(request)
    if "file" not in request.FILES:
        return _check_form(request, BadSealing(field="file", reason="no-file"))
    others = [api.document(one) for one in request.FILES.getlist("beside")]
    try:
        document = api.document(request.FILES["file"])
        checked = services.check(document, others, request.POST.get("place", ""))
    except (TooLarge, Busy, BadSealing) as problem:
        return _check_form(request, problem)
    return render(request, "signatures/checked.html", told(checked, language()))


def _check_form(request: HttpRequest, problem: Problem | None = None) -> HttpResponse:
    context = {
        "problem": problem and problem.explain(language()),
        "places": places.places(),
        "megabytes": services.LARGEST >> 20,
    }
    return render(request, "signatures/check.html", context, status=problem.status if problem else 200)


def told(checked: Checked, lang: str) -> dict[str, Any]:
    """A check in the order in which a person reads it: the answer, each signature's statement, and how it was found."""
    numbers = {judged.found.name: number for number, judged in enumerate(checked.signatures, 1)}
    return {
        "checked": checked,
        "headline": statement.headline(checked, lang),
        "open": [
            {"why": step.why(lang), "next": step.next(lang)}
            for step in checked.verdict.steps
            if not step.passed and step.name != "each"
        ],
        "statements": [
            {
                "countersigns": numbers.get(judged.found.countersigns),
                "lines": list(statement.lines(judged, lang)),
                "verdict": drawn(judged.verdict),
                "headline": judged.verdict.headline(lang),
                "indication": judged.verdict.indication,
                "times": [
                    {"at": statement.moment(timed.time), "by": timed.by, "verdict": drawn(timed.verdict)}
                    for timed in judged.timestamps
                ],
            }
            for judged in checked.signatures
        ],
    }


@login_required
@never_cache
@require_http_methods(["GET", "POST"])
def sign(request: HttpRequest) -> HttpResponse:
    """What waits for a seal and what was sealed; and the form to propose a document."""
    if request.method != "POST":
        return _sign_form(request)
    if "file" not in request.FILES:
        return _sign_form(request, BadSealing(field="file", reason="no-file"))
    given = request.POST
    try:
        document = api.document(request.FILES["file"])
        made = services.propose(
            actor_of(request.user),
            document,
            form=given.get("form") or FORM_OF.get(document.name.rpartition(".")[2].lower(), "JAdES"),
            level=given.get("level", Level.T.value),
            packaging="detached" if given.get("beside") else "",
            where=given.getlist("places"),
            said={name: given.get(name, "") for name in ("place", "role", "reason")},
            visible=bool(given.get("visible")),
        )
    except (BadSealing, TooLarge) as problem:
        return _sign_form(request, problem)
    return redirect("signatures:sealing", sealing_id=made.id)


def _sign_form(request: HttpRequest, problem: Problem | None = None) -> HttpResponse:
    who = actor_of(request.user)
    rows = Sealing.objects.defer("document", "sealed")
    page = Paginator(rows, A_PAGE).get_page(request.GET.get("page"))
    context = {
        "problem": problem and problem.explain(language()),
        "pages": page,
        "proposes": bool(who.roles & {"declarer", "approver"}),
        "places": places.places(),
        "levels": [level.value for level in (Level.B, Level.T, Level.LT, Level.LTA)],
        "megabytes": services.LARGEST >> 20,
        "given": request.POST,
    }
    return render(request, "signatures/sign.html", context, status=problem.status if problem else 200)


@login_required
@never_cache
@require_safe
def one(request: HttpRequest, sealing_id: uuid.UUID) -> HttpResponse:
    """One document, with what may be done about it."""
    return _one(request, services.get(sealing_id))


def _one(request: HttpRequest, row: Sealing, problem: Problem | None = None) -> HttpResponse:
    who = actor_of(request.user)
    mine = row.proposed_by == who.id
    context = {
        "problem": problem and problem.explain(language()),
        "row": row,
        "said": [(name, row.said[name]) for name in ("place", "role", "reason") if name in row.said],
        "seals": row.state == State.PROPOSED and "approver" in who.roles and not mine,
        "refuses": row.state == State.PROPOSED and ("approver" in who.roles or mine),
        "mine": mine,
    }
    return render(request, "signatures/sealing.html", context, status=problem.status if problem else 200)


@login_required
@require_POST
def act(request: HttpRequest, sealing_id: uuid.UUID) -> HttpResponse:
    """Seal, refuse or remove."""
    who, verb = actor_of(request.user), request.POST.get("act", "")
    try:
        if verb == "seal":
            services.seal(who, sealing_id)
        elif verb == "refuse":
            services.refuse(who, sealing_id, request.POST.get("reason", ""))
        elif verb == "remove":
            services.remove(who, sealing_id)
        else:
            raise BadSealing(field="act", reason="act")
    except (BadSealing, CannotSign, NoHolding, NoStamp, NotAllowed, NotInThisState, SamePerson) as problem:
        return _one(request, services.get(sealing_id), problem)
    return redirect("signatures:sealing", sealing_id=sealing_id)


@login_required
@never_cache
@require_safe
def document(request: HttpRequest, sealing_id: uuid.UUID) -> HttpResponse:
    """The sealed document."""
    require(actor_of(request.user), "declarer", "approver", "operator", "auditor")
    return services.download(services.get(sealing_id))
