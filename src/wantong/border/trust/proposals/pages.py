"""What waits for a second person, and what became of the rest: for those who decide."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import get_language
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from wantong.border.trust.proposals import kinds, services
from wantong.border.trust.proposals.models import Proposal, State
from wantong.ground import i18n
from wantong.ground.http.auth import actor_of, called, require
from wantong.ground.problems import Problem

SHOWN = 50


@never_cache
@login_required
@require_safe
def overview(request: HttpRequest, problem: Problem | None = None) -> HttpResponse:
    """``/<lang>/acts-of-trust/``: what waits, and what was decided last."""
    actor = actor_of(request.user)
    require(actor, *kinds.DECIDE)
    waiting, decided = services.waiting(), Proposal.objects.exclude(state=State.PROPOSED)[:SHOWN]
    names = called(one for row in (*waiting, *decided) for one in (row.proposed_by, row.decided_by) if one)
    told = {
        "waiting": [_shown(row, names) | {"own": row.proposed_by == actor.id} for row in waiting],
        "decided": [_shown(row, names) for row in decided],
        "problem": problem.explain(_lang()) if problem else None,
    }
    return render(request, "proposals/overview.html", told, status=problem.status if problem else 200)


@never_cache
@login_required
@require_POST
def act(request: HttpRequest, proposal_id: uuid.UUID) -> HttpResponse:
    """Approve, refuse or withdraw."""
    actor, what = actor_of(request.user), request.POST.get("act", "")
    require(actor, *kinds.DECIDE)
    services.get(proposal_id)
    reason = request.POST.get("reason", "")
    try:
        if what == "approve":
            services.approve(actor, proposal_id)
        elif what in ("refuse", "withdraw"):
            {"refuse": services.refuse, "withdraw": services.withdraw}[what](actor, proposal_id, reason)
    except Problem as error:
        request.method = "GET"
        shown: HttpResponse = overview(request, error)
        return shown
    return redirect("proposals:overview")


def _shown(row: Proposal, names: Mapping[str, str]) -> dict[str, Any]:
    people = {"proposer": names[row.proposed_by], "decider": names.get(row.decided_by or "", "")}
    return {"row": row, "fields": list(kinds.get(row.kind).tell(row.params).items()), **people}


def _lang() -> str:
    code = get_language() or "en"
    return code if code in i18n.LANGUAGES else "en"
