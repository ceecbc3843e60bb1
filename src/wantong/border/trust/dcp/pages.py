"""The page of claims: how every peer that shows credentials was judged, step by step, and what this node holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import get_language
from django.views.decorators.http import require_safe

from wantong.border.trust.dcp import kinds, options, scheme, services
from wantong.border.trust.dcp.models import Judgement
from wantong.border.trust.dcp.verdict import Verdict, from_dict
from wantong.border.trust.models import Peer
from wantong.ground.actors import Actor
from wantong.ground.http.auth import actor_of, require
from wantong.ground.i18n import LANGUAGES, t


@login_required
@require_safe
def claims(request: HttpRequest, as_json: bool = False) -> HttpResponse:
    """``/<lang>/claims`` and ``claims.json``, for everybody who works at the node."""
    lang = get_language() or "en"
    told = overview(actor_of(request.user), lang if lang in LANGUAGES else "en")
    if as_json:
        return JsonResponse(told, json_dumps_params={"ensure_ascii": False})
    return render(request, "dcp/claims.html", {"told": told})


def overview(actor: Actor, lang: str) -> dict[str, Any]:
    """All that the page shows, as JSON; words in ``lang``. Raises NotAllowed."""
    require(actor, "declarer", "approver", "operator", "auditor")
    known, now = kinds.load(options.current().credentials), timezone.now()

    def title(type: str) -> Mapping[str, str]:
        return known[type].title if type in known else {"en": type}

    verdicts: dict[int, list[Verdict]] = {}
    for row in Judgement.objects.order_by("-at"):
        verdicts.setdefault(row.peer_id, []).append(from_dict(row.verdict))
    return {
        "did": services.own_did(),
        "peers": [
            {
                "participant_id": peer.participant_id,
                "name": peer.name,
                "did": scheme.did_of(peer),
                "roles": sorted(services.standing(peer, now).roles),
                "verdicts": [_said(one, lang) for one in verdicts.get(peer.pk, [])],
            }
            for peer in Peer.objects.filter(scheme=scheme.NAME, active=True)
        ],
        "issuers": [
            {"did": row.did, "type": row.type, "title": title(row.type)} for row in services.issuers()
        ],
        "held": [
            {
                "types": row.types,
                "titles": [title(type) for type in row.types],
                "issuer": row.issuer,
                "until": row.valid_until,
            }
            for row in services.held(now)
        ],
    }


def _said(told: Verdict, lang: str) -> dict[str, Any]:
    outcome = "good" if told.good else "refused" if told.proven else "unproven"
    return {
        "good": told.good,
        "outcome": t(f"dcp.outcome.{outcome}", lang),
        "at": told.at,
        "steps": [
            {
                "name": step.name,
                "code": step.code,
                "passed": step.passed,
                "what": step.what(lang),
                "why": step.why(lang),
                "next": step.next(lang),
            }
            for step in told.steps
        ],
    }
