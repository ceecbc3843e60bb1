"""The pages on which somebody asks a holder, who answers from his own device, and sees what to think of it."""

from __future__ import annotations

import uuid
from typing import Any
from urllib.parse import urlsplit

import segno
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString, mark_safe
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from wantong.border.trust.credentials import types
from wantong.border.trust.identity.accounts.pages import explained, language, official
from wantong.border.trust.verdict import Verdict
from wantong.border.trust.verifier import questions, services
from wantong.border.trust.verifier.models import Inquiry
from wantong.ground.http.auth import actor_of
from wantong.ground.i18n import pick
from wantong.ground.problems import Problem

LINKS = "verifier.links"


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@official
def inquiries(request: HttpRequest, user: Any) -> HttpResponse:
    """``/<lang>/inquiries``: ask one of the ready questions; what was asked before."""
    problem, actor = None, actor_of(user)
    if request.method == "POST":
        try:
            asked = services.ask(actor, question=request.POST.get("question", ""))
        except Problem as found:
            problem = found
        else:
            # the link leads to the request: it stands in the session of whoever asked, and nowhere else
            request.session[LINKS] = {str(asked.inquiry.pk): asked.link}
            return redirect("verifier:inquiry", inquiry_id=asked.inquiry.pk)
    return explained(
        request,
        "verifier/inquiries.html",
        problem,
        questions=questions.load().values(),
        rows=[{"row": row, "name": _name(row)} for row in services.recent(actor)],
    )


@never_cache
@require_safe
@official
def inquiry(request: HttpRequest, user: Any, inquiry_id: uuid.UUID) -> HttpResponse:
    """``/<lang>/inquiries/<id>``: the code for the holder's wallet, and then the answer."""
    row = services.result(actor_of(user), inquiry_id, response_code=request.GET.get("response_code", ""))
    return render(request, "verifier/inquiry.html", _told(request, row))


@never_cache
@require_safe
@official
def now(request: HttpRequest, user: Any, inquiry_id: uuid.UUID) -> HttpResponse:
    """The part of the page that changes, once the answer is there; until then there is nothing new."""
    row = services.result(actor_of(user), inquiry_id)
    return (
        HttpResponse(status=204) if _waits(row) else render(request, "verifier/now.html", _told(request, row))
    )


def _told(request: HttpRequest, row: Inquiry) -> dict[str, Any]:
    link = request.session.get(LINKS, {}).get(str(row.pk), "") if _waits(row) else ""
    lang = language()
    query = urlsplit(link).query
    return {
        "row": row,
        "name": _name(row),
        "waits": _waits(row),
        "over": row.state == Inquiry.State.ASKED and not _waits(row),
        "link": link,
        "code": _drawn(link) if link else "",
        "here": f"{reverse('wallet:arrive-show')}?{query}" if link else "",
        "verdict": Verdict.from_dict(row.verdict) if row.verdict else None,
        "shown": [_shown(one, lang) for one in row.shown],
    }


def _drawn(link: str) -> SafeString:
    drawing = segno.make(link, error="m").svg_inline(
        scale=5, border=4, omitsize=True, svgclass="wt-qr", lineclass=None
    )
    return mark_safe(drawing)  # noqa: S308 - the drawing is ours, of a link that is ours


def _shown(one: dict[str, Any], lang: str) -> dict[str, Any]:
    type = types.of(one["type"])
    said = {claim.name: claim.said for claim in type.claims} if type else {}
    claims = (
        one["claims"]
        if one["format"] == types.SD_JWT
        else {k: v for space in one["claims"].values() for k, v in space.items()}
    )
    hidden = {"vct", "cnf", "iss", "iat", "nbf", "exp", "status", "vct#integrity", "_sd_alg"}
    return {
        "name": pick(type.name, lang).text if type else one["type"],
        "issuer": one["issuer"],
        "claims": [
            (
                pick(said[name], lang).text if name in said else name,
                types.said(name, value, lang, ours=type is not None),
            )
            for name, value in claims.items()
            if name not in hidden
        ],
    }


def _waits(row: Inquiry) -> bool:
    return row.state == Inquiry.State.ASKED and row.expires_at > timezone.now()


def _name(row: Inquiry) -> Any:
    ready = questions.load().get(row.question)
    return ready.name if ready else row.purpose
