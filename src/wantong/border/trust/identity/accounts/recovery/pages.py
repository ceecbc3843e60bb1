"""The back office's page of recoveries."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from wantong.border.trust.identity.accounts.models import Recovery
from wantong.border.trust.identity.accounts.pages import explained
from wantong.border.trust.identity.accounts.recovery import services
from wantong.ground.http.auth import actor_of, require
from wantong.ground.problems import Problem


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def recoveries(request: HttpRequest) -> HttpResponse:
    """``/<lang>/identity/recoveries``: ask, approve, refuse; the code is shown once."""
    actor = actor_of(request.user)
    require(actor, "operator")
    problem: Problem | None = None
    code, of = "", ""
    if request.method == "POST":
        try:
            if request.POST.get("approve"):
                row, code = services.approve(actor, request.POST["approve"])
                of = services.named(row)
            elif request.POST.get("refuse"):
                services.refuse(actor, request.POST["refuse"])
            else:
                services.ask(actor, request.POST.get("holder", "").strip(), request.POST.get("reason", ""))
        except Problem as found:
            problem = found
    rows = [
        {
            "row": row,
            "named": services.named(row),
            "open": row.state == Recovery.State.ASKED,
            "mine": row.asked_by == actor.id or services.named(row) == request.user.get_username(),
        }
        for row in services.waiting()
    ]
    return explained(request, "accounts/recoveries.html", problem, rows=rows, code=code, of=of)
