"""What people see: their passes and the code on their phone; the office's rights, rules and gates; a gate's reader."""

from __future__ import annotations

import base64
import datetime as dt
import json
import uuid
from typing import Any

import segno
from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import get_language
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from wantong.border.trust.identity.accounts import presence
from wantong.border.trust.identity.accounts.problems import NotSignedIn
from wantong.border.trust.passes import api, rules, services
from wantong.border.trust.passes.models import Decided, Decision, Gate, Right, RuleSet, State
from wantong.border.trust.passes.problems import BadDevice
from wantong.border.trust.verdict import Verdict
from wantong.ground.http.auth import actor_of, require
from wantong.ground.i18n import LANGUAGES, t
from wantong.ground.problems import Problem

SHOWN = 50
KINDS = {"rules": RuleSet, "gate": Gate}


def language() -> str:
    code = get_language() or "en"
    return code if code in LANGUAGES else "en"


# --- for whoever has a pass ---------------------------------------------------------------------------------------


@never_cache
@require_safe
def mine(request: HttpRequest) -> HttpResponse:
    """``/<lang>/passes/``: one's passes, where they were shown, one's devices."""
    try:
        holder = str(presence.account(request).id)
    except NotSignedIn:
        return HttpResponseRedirect(presence.sign_in_url(request.get_full_path()))
    now = timezone.now()
    told = [
        {
            "right": right,
            "scope": services.options()["scopes"].get(right.scope, right.scope),
            "state": _state(right, now),
            "uses": services.uses(right, 10),
        }
        for right in services.rights(holder)
    ]
    return render(request, "passes/mine.html", {"passes": told, "devices": services.devices(holder)})


@never_cache
@require_safe
def show(request: HttpRequest, right_id: uuid.UUID) -> HttpResponse:
    """``/<lang>/passes/<id>/``: the page that shows the code; the code itself comes when it is asked for."""
    try:
        holder = str(presence.account(request).id)
    except NotSignedIn:
        return HttpResponseRedirect(presence.sign_in_url(request.get_full_path()))
    right = services.right_of(holder, right_id)
    return render(request, "passes/show.html", _shown(right, holder))


@never_cache
@require_POST
def code(request: HttpRequest, right_id: uuid.UUID) -> HttpResponse:
    """A new online code, the one before being dead: JSON for the page's script, a page for who has none."""
    holder = str(presence.account(request).id)
    fresh = services.renew(holder, right_id)
    picture = segno.make(fresh.text, error="q", boost_error=False).svg_data_uri(
        scale=8, border=3, dark="#000"
    )
    if "application/json" in request.headers.get("Accept", ""):
        return JsonResponse(
            {"picture": picture, "expires": fresh.expires_at.isoformat(), "now": timezone.now().isoformat()}
        )
    right = services.right_of(holder, right_id)
    return render(request, "passes/show.html", _shown(right, holder) | {"picture": picture})


@never_cache
@require_POST
def offline(request: HttpRequest, right_id: uuid.UUID) -> HttpResponse:
    """A pass for minutes, for the device named in ``device``."""
    holder = str(presence.account(request).id)
    made, expires = services.offline_pass(holder, right_id, request.POST.get("device", ""))
    return JsonResponse(
        {
            "pass": base64.b64encode(made).decode(),
            "expires": expires.isoformat(),
            "now": timezone.now().isoformat(),
        }
    )


@never_cache
@require_POST
def devices(request: HttpRequest) -> HttpResponse:
    """Add this device (``public``, ``proof``, ``label``), or remove one (``remove``)."""
    holder = str(presence.account(request).id)
    if remove := request.POST.get("remove"):
        services.remove(holder, remove)
        messages.success(request, t("passes.page.device-removed", language()))
        return redirect("passes:mine")
    try:
        public, proof = (
            base64.b64decode(request.POST.get(name, ""), validate=True) for name in ("public", "proof")
        )
    except ValueError:
        raise BadDevice() from None
    device = services.enrol(holder, public, proof, request.POST.get("label", ""))
    return JsonResponse({"device": str(device.id)})


def _state(right: Right, now: dt.datetime) -> str:
    if right.state == State.ACTIVE and not right.valid_from <= now < right.valid_until:
        return "expired" if now >= right.valid_until else "not-yet"
    return str(right.state)


def _shown(right: Right, holder: str) -> dict[str, Any]:
    return {
        "right": right,
        "scope": services.options()["scopes"].get(right.scope, right.scope),
        "state": _state(right, timezone.now()),
        "enrolment": services.enrolment(holder).decode(),
        "lasts": services.options()["online_lasts"],
    }


# --- the office ---------------------------------------------------------------------------------------------------


class IssueForm(forms.Form):
    """Who may pass where, and for how long."""

    holder = forms.CharField(max_length=64)
    scope = forms.ChoiceField()
    valid_until = forms.DateField()

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["scope"].choices = [(scope, scope) for scope in services.options()["scopes"]]  # type: ignore[attr-defined]
        for name, field in self.fields.items():
            field.label = t(f"passes.page.{name}", language())
            wrong = t("passes.page.wrong", language())
            field.error_messages = dict.fromkeys(
                ("required", "invalid", "invalid_choice", "max_length"), wrong
            )


@never_cache
@login_required
@require_http_methods(["GET", "POST"])
def office(request: HttpRequest) -> HttpResponse:
    """``/<lang>/passes/office``: rights to pass; issue one, suspend, withdraw."""
    actor = actor_of(request.user)
    require(actor, "operator", "approver", "auditor")
    form = IssueForm(request.POST if request.POST.get("act") == "issue" else None)
    problem: Problem | None = None
    if request.method == "POST":
        try:
            if request.POST.get("act") == "issue":
                if form.is_valid():
                    until = dt.datetime.combine(form.cleaned_data["valid_until"], dt.time(23, 59, 59))
                    services.issue(
                        actor, form.cleaned_data["holder"], form.cleaned_data["scope"],
                        valid_from=timezone.now(), valid_until=timezone.make_aware(until),
                    )  # fmt: skip
                    messages.success(request, t("passes.page.issued", language()))
                    return redirect("passes:office")
            else:
                services.change(
                    actor,
                    request.POST.get("right", ""),
                    request.POST.get("act", ""),
                    request.POST.get("reason", ""),
                )
                messages.success(request, t("passes.page.changed", language()))
                return redirect("passes:office")
        except Problem as found:
            problem = found
    wanted = request.GET.get("holder", "")
    found_rights = Right.objects.filter(holder=wanted) if wanted else Right.objects.all()
    now = timezone.now()
    told = {
        "form": form,
        "problem": problem and problem.explain(language()),
        "scopes": services.options()["scopes"],
        "rights": [
            {
                "right": right,
                "state": _state(right, now),
                "scope": services.options()["scopes"].get(right.scope, right.scope),
            }
            for right in found_rights[:SHOWN]
        ],
        "may": bool(actor.roles & {"operator", "approver"}),
        "wanted": wanted,
    }
    return render(request, "passes/office.html", told, status=422 if problem or form.errors else 200)


@never_cache
@login_required
@require_http_methods(["GET", "POST"])
def gates(request: HttpRequest) -> HttpResponse:
    """``/<lang>/passes/gates``: gates and the rules they go by; proposed by one person, approved by another."""
    actor = actor_of(request.user)
    require(actor, "operator", "approver", "auditor", "declarer")
    problem: Problem | None = None
    if request.method == "POST":
        try:
            _act(request)
            messages.success(request, t("passes.page.done", language()))
            return redirect("passes:gates")
        except Problem as found:
            problem = found
    told = {
        "problem": problem and problem.explain(language()),
        "presets": {name: json.dumps(content, indent=2) for name, content in rules.presets().items()},
        "content": request.POST.get("content") or json.dumps(rules.presets()["border"], indent=2),
        "rules": [(row, json.dumps(row.content, indent=2)) for row in RuleSet.objects.all()[:SHOWN]],
        "usable": RuleSet.objects.filter(state=Decided.APPROVED),
        "gates": Gate.objects.select_related("rules").exclude(state=Decided.RETIRED)[:SHOWN],
        "actor": actor,
        "may": bool(actor.roles & {"operator", "approver"}),
        "decides": "approver" in actor.roles,
        "latest": Decision.objects.all()[:20],
    }
    return render(request, "passes/gates.html", told, status=422 if problem else 200)


def _act(request: HttpRequest) -> None:
    actor, asked = actor_of(request.user), request.POST
    match asked.get("act", ""):
        case "propose-rules":
            try:
                content = json.loads(asked.get("content", ""))
            except (ValueError, RecursionError) as error:
                told = f"{type(error).__name__}: {error}"[:200]
                raise rules.BadRules(where="/", reason="unreadable", told=told) from None
            if not isinstance(content, dict):
                raise rules.BadRules(where="/", reason="not-object")
            services.propose_rules(actor, asked.get("name", ""), content, asked.get("note", ""))
        case "propose-gate":
            services.propose_gate(
                actor,
                asked.get("code", ""),
                asked.get("name", ""),
                asked.get("direction", ""),
                asked.get("rules", ""),
            )
        case "retire":
            services.retire(actor, asked.get("code", ""))
        case "approve":
            services.approve(actor, KINDS.get(asked.get("what", ""), Gate), asked.get("id", ""))
        case _:
            services.reject(
                actor, KINDS.get(asked.get("what", ""), Gate), asked.get("id", ""), asked.get("reason", "")
            )


# --- a gate's reader ----------------------------------------------------------------------------------------------


@never_cache
@login_required
@require_safe
def reader(request: HttpRequest, code: str) -> HttpResponse:
    """``/<lang>/passes/gates/<code>/reader``: the camera, or a scanner that types, in front of a gate."""
    require(actor_of(request.user), "operator", "approver", "declarer")
    return render(request, "passes/reader.html", {"gate": services.open_gate(code)})


@never_cache
@login_required
@require_POST
def decide(request: HttpRequest, code: str) -> HttpResponse:
    """What the reader has read: the answer as a part of its page, or as a page for who has no script."""
    actor = actor_of(request.user)
    require(actor, "operator", "approver", "declarer")
    context: dict[str, Any] = {"gate": services.open_gate(code)}
    if asked := request.POST.get("let_in"):
        services.let_in(actor, code, asked)
        context["told"] = {"answer": "ask", "opened": True}
    else:
        told = api.decided(actor, code, request.POST.get("code", "")[:1000], language())
        context |= {"told": told, "verdict": Verdict.from_dict(told["verdict"])}
    part = request.headers.get("X-Requested-With") == "fetch"
    return render(request, "passes/decided.html" if part else "passes/reader.html", context)
