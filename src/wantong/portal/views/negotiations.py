"""A negotiation that waits for a person's word."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from wantong.border.exchange import enforcement, services, terms
from wantong.border.exchange import words as policies
from wantong.border.exchange.machine import CONSUMER, PROVIDER
from wantong.border.exchange.models import Negotiation, Transfer
from wantong.border.exchange.problems import TermsUnmet
from wantong.border.gate.declarations.models import Declaration
from wantong.ground import i18n
from wantong.ground.problems import Problem
from wantong.portal import words
from wantong.portal.respond import page
from wantong.portal.services import actor, role_required
from wantong.portal.templatetags.wantong import language


@role_required()
def negotiation(request: HttpRequest, pid: str, as_json: bool = False) -> HttpResponse:
    """What the other node asks for or offers; agree to it or end it."""
    problem = None
    if request.method == "POST":
        act = request.POST.get("act", "")
        try:
            if act == "fetch":
                services.request_transfer(actor(request), services.negotiation(pid).agreement_id)
                messages.success(request, i18n.t("portal.peer.fetched", language()))
            elif act in ("agree", "accept", "terminate"):
                services.decide_negotiation(actor(request), pid, act, request.POST.get("note", "")[:1000])
                messages.success(request, i18n.t(f"portal.negotiation.done.{act}", language()))
            return redirect("portal:negotiation", pid=pid)
        except Problem as raised:
            problem = raised
    row = services.negotiation(pid)
    peer = row.peer.participant_id
    parties = words.Parties()
    data = {
        "pid": row.pid,
        "role": row.role,
        "peer": peer,
        "peer_name": parties.name(peer),
        "state": row.state,
        "waiting_for": row.waiting_for,
        "reason": row.reason,
        "dataset_id": row.dataset_id,
        "title": row.title,
        "purpose": terms.purpose_of(row.offer),
        "fields": terms.fields_of(row.offer),
        "offer": row.offer,
        "at": row.updated_at,
    }
    agree = "agree" if row.role == PROVIDER else "accept"
    may = bool(row.waiting_for) and bool(actor(request).roles & {"approver", "operator"})
    return page(
        request,
        "portal/negotiation.html",
        data,
        as_json=as_json,
        rules=policies.clauses(row.offer, language()),
        unmet=_unmet(row) if row.waiting_for == "terms" else "",
        may_fetch=row.role == CONSUMER
        and row.state == "FINALIZED"
        and bool(actor(request).roles & {"declarer", "approver", "operator"}),
        transfers=_transfers(row),
        acts=[agree, "terminate"] if may else [],
        problem=problem,
    )


def _unmet(row: Negotiation) -> str:
    """What the terms on the table depend on and is not known here, in words."""
    return TermsUnmet.of(enforcement.prospect(row)).explain(language())["detail"]


def _transfers(row: Negotiation) -> list[dict[str, str]]:
    """What was asked for under the agreement that came of it, with the crossing where there is one."""
    if not row.agreement_id:
        return []
    asked = Transfer.objects.filter(agreement_id=row.agreement_id).order_by("-created_at")[:20]
    crossings = dict(
        Declaration.objects.filter(transfer_id__in=[t.id for t in asked]).values_list("transfer_id", "id")
    )
    return [{"id": t.id, "state": t.state, "crossing": str(crossings.get(t.id, ""))} for t in asked]
