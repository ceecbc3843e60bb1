"""Pages: types, records and what was issued, for officials; and for a person, what he may fetch into his wallet."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from typing import Any

import segno
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.safestring import SafeString, mark_safe
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from wantong.border.trust.credentials import offers, opening, register, types
from wantong.border.trust.credentials.models import Entitlement, EntitlementState, Issued
from wantong.border.trust.credentials.offers import Offered
from wantong.border.trust.credentials.problems import UnknownEntitlement
from wantong.border.trust.credentials.types import Claim, Type
from wantong.border.trust.identity.accounts.models import Account
from wantong.border.trust.identity.accounts.pages import language, person
from wantong.border.trust.proposals import services as proposals
from wantong.ground import config
from wantong.ground.actors import system
from wantong.ground.http.auth import actor_of, require
from wantong.ground.problems import Problem

OFFICIALS = ("declarer", "approver", "operator", "auditor")
SHOWN = 50
TEXT, CHOICE, DAY, NUMBER, LISTED = "text", "choice", "day", "number", "json"


# --- officials ----------------------------------------------------------------------------------------------------------


@login_required
@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """``/<lang>/credentials/``: what this node issues, what waits for a second person, what was issued last."""
    require(actor_of(request.user), *OFFICIALS)
    here, open_ones = config.current().jurisdiction, opening.opened()
    rows = Entitlement.objects.all()
    waiting = rows.filter(state=EntitlementState.PROPOSED).defer("claims")[:SHOWN]
    told = {
        "opened": open_ones,
        "others": [one for one in types.load().values() if one not in open_ones and one.may_issue(here)],
        "elsewhere": [one for one in types.load().values() if not one.may_issue(here)],
        "waiting": [_named(row) for row in waiting],
        "records": [
            _named(row) for row in rows.exclude(state=EntitlementState.PROPOSED).defer("claims")[:SHOWN]
        ],
        "issued": Issued.objects.count(),
        "revoked": Issued.objects.filter(state="revoked").count(),
    }
    return render(request, "credentials/home.html", told)


@login_required
@require_safe
def type_page(request: HttpRequest, type_id: str, problem: Problem | None = None) -> HttpResponse:
    """``/<lang>/credentials/kinds/<id>``: what such a credential says, who may issue it, by which law."""
    actor = actor_of(request.user)
    require(actor, *OFFICIALS)
    type = types.get(type_id)
    told = {
        "type": type,
        "open": type in opening.opened(),
        "waits": proposals.waits(opening.OPEN, type.id),
        "here": type.may_issue(config.current().jurisdiction),
        "operator": "operator" in actor.roles,
        "worker": bool(actor.roles & {"declarer", "approver"}),
        "problem": problem,
    }
    return render(request, "credentials/type.html", told, status=problem.status if problem else 200)


@login_required
@require_POST
def type_act(request: HttpRequest, type_id: str) -> HttpResponse:
    """Propose to open a type, or close it."""
    require(actor_of(request.user), "operator")
    types.get(type_id)
    match request.POST.get("act"):
        case "open":
            opening.open_type(actor_of(request.user), type_id)
        case "close":
            opening.close_type(actor_of(request.user), type_id)
    return redirect("credentials:type", type_id=type_id)


@login_required
@require_http_methods(["GET", "POST"])
def entitle(request: HttpRequest, type_id: str) -> HttpResponse:
    """``/<lang>/credentials/records/new/<type>``: a record of the register, field by field."""
    actor = actor_of(request.user)
    require(actor, "declarer", "approver")
    type = types.get(type_id)
    problem: Problem | None = None
    if request.method == "POST":
        try:
            row = register.entitle(
                actor,
                type.id,
                _claims(type, request.POST),
                account=request.POST.get("account", "").strip(),
                reference=request.POST.get("reference", ""),
            )
            return redirect("credentials:record", entitlement_id=row.pk)
        except Problem as error:
            problem = error
    fields = [_field(claim, request.POST.get(claim.name, "")) for claim in type.claims]
    told = {"type": type, "fields": fields, "problem": problem, "given": request.POST}
    return render(request, "credentials/entitle.html", told, status=problem.status if problem else 200)


def _field(claim: Claim, value: str) -> dict[str, Any]:
    schema = claim.schema
    kind = (
        CHOICE
        if "enum" in schema
        else DAY
        if schema.get("format") == "date"
        else {"integer": NUMBER, "array": LISTED, "object": LISTED}.get(schema.get("type", ""), TEXT)
    )
    choices = [(code, types.said(claim.name, code, language())) for code in schema.get("enum", ())]
    return {"claim": claim, "kind": kind, "choices": choices, "value": value}


def _claims(type: Type, given: Mapping[str, Any]) -> dict[str, Any]:
    """The claims that a form says; a field left empty is left out. Raises BadClaims."""
    claims: dict[str, Any] = {}
    for claim in type.claims:
        text = str(given.get(claim.name, "")).strip()
        if not text:
            continue
        kind = _field(claim, "")["kind"]
        try:
            claims[claim.name] = json.loads(text) if kind in (NUMBER, LISTED) else text
        except (ValueError, RecursionError):
            raise types.BadClaims(kind=type.id, claim=claim.name, rule="type") from None
    return claims


@login_required
@never_cache
@require_safe
def record(request: HttpRequest, entitlement_id: uuid.UUID) -> HttpResponse:
    """``/<lang>/credentials/records/<id>``: what the record says, its offers, what was issued of it."""
    return _record(request, register.entitlement(entitlement_id))


def _record(
    request: HttpRequest, row: Entitlement, *, made: Offered | None = None, problem: Problem | None = None
) -> HttpResponse:
    actor = actor_of(request.user)
    require(actor, *OFFICIALS)
    type = types.get(row.type)
    state = EntitlementState(row.state)
    approver, worker = "approver" in actor.roles, bool(actor.roles & {"declarer", "approver"})
    told = {
        "row": row,
        "type": type,
        "claims": [
            (claim, types.said(claim.name, row.claims[claim.name], language()))
            for claim in type.claims
            if claim.name in row.claims
        ],
        "issued": row.issued.select_related("status_list")[:SHOWN],
        "may_approve": approver and state == EntitlementState.PROPOSED and row.proposed_by != actor.id,
        "may_reject": approver and state == EntitlementState.PROPOSED,
        "may_withdraw": approver and state == EntitlementState.APPROVED,
        "may_offer": worker and state == EntitlementState.APPROVED,
        "may_revoke": approver,
        "made": made,
        "qr": qr(made.link) if made else "",
        "problem": problem,
    }
    return render(request, "credentials/record.html", told, status=problem.status if problem else 200)


@login_required
@never_cache
@require_POST
def record_act(request: HttpRequest, entitlement_id: uuid.UUID) -> HttpResponse:
    """Approve, reject, withdraw, offer."""
    actor, reason = actor_of(request.user), request.POST.get("reason", "")
    act = request.POST.get("act")
    register.entitlement(entitlement_id)
    try:
        if act == "approve":
            register.approve(actor, entitlement_id)
        elif act == "reject":
            register.reject(actor, entitlement_id, reason)
        elif act == "withdraw":
            register.withdraw(actor, entitlement_id, reason)
        elif act == "offer":
            made = offers.offer(actor, entitlement_id, formats=types.FORMATS)
            # shown in the answer itself: the transaction code is told once and stands nowhere
            return _record(request, register.entitlement(entitlement_id), made=made)
    except Problem as error:
        return _record(request, register.entitlement(entitlement_id), problem=error)
    return redirect("credentials:record", entitlement_id=entitlement_id)


@login_required
@require_POST
def issued_act(request: HttpRequest, issued_id: uuid.UUID) -> HttpResponse:
    """Suspend, resume or revoke one credential."""
    row = register.get_issued(issued_id)
    acts = {"suspend": register.suspend, "resume": register.resume, "revoke": register.revoke}
    act = acts.get(request.POST.get("act", ""))
    try:
        if act is not None:
            act(actor_of(request.user), issued_id, request.POST.get("reason", ""))
    except Problem as error:
        return _record(request, row.entitlement, problem=error)
    return redirect("credentials:record", entitlement_id=row.entitlement_id)


def _named(row: Entitlement) -> dict[str, Any]:
    known = types.load()
    return {"row": row, "name": known[row.type].name if row.type in known else {"en": row.type}}


# --- a person -----------------------------------------------------------------------------------------------------------


@person
@require_safe
def mine(request: HttpRequest, owner: Account) -> HttpResponse:
    """``/<lang>/credentials/mine``: what the registers say of the person, to be fetched into his wallet."""
    rows = Entitlement.objects.filter(
        account=str(owner.id), state__in=(EntitlementState.APPROVED, EntitlementState.PROPOSED)
    )
    known = types.load()
    told = [
        {"row": row, "type": known[row.type], "held": row.issued.count()} for row in rows if row.type in known
    ]
    return render(request, "credentials/mine.html", {"rows": told})


@person
@never_cache
@require_POST
def mine_offer(request: HttpRequest, owner: Account, entitlement_id: uuid.UUID) -> HttpResponse:
    """An offer of one's own: a QR code for a wallet on a phone, a link for one on this device, and the code to type."""
    row = register.entitlement(entitlement_id)
    if row.account != str(owner.id):
        raise UnknownEntitlement()
    made = offers.offer(system("credentials"), row.pk, formats=types.FORMATS)
    told = {"type": types.get(row.type), "made": made, "qr": qr(made.link), "now": timezone.now()}
    return render(request, "credentials/offer.html", told)


def qr(text: str) -> SafeString:
    """A QR code as SVG, drawn here: nothing of it goes to anybody else. The page says in words what it is."""
    drawn = segno.make(text, error="m", micro=False).svg_inline(
        scale=5, border=4, dark="#0b0c0c", light="#ffffff", svgclass="wt-qr", lineclass=None
    )
    return mark_safe(drawn)  # noqa: S308 - made by segno of an address that this node made
