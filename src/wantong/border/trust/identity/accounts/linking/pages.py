"""What people see of their links: those they have, with every use, and the way to a new one."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from wantong.border.trust.documents import kinds
from wantong.border.trust.identity.accounts import authenticators, passkeys, presence
from wantong.border.trust.identity.accounts.levels import Assurance
from wantong.border.trust.identity.accounts.linking import matching, services
from wantong.border.trust.identity.accounts.models import Account, Link, Sitting
from wantong.border.trust.identity.accounts.pages import (
    explained,
    identifier,
    issuer_name,
    language,
    person,
)
from wantong.border.trust.identity.accounts.problems import LinkRefused
from wantong.border.trust.identity.accounts.sources import services as sources
from wantong.ground import config, i18n
from wantong.ground.http import limits
from wantong.ground.problems import Problem


@person
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def links(request: HttpRequest, owner: Account) -> HttpResponse:
    """``/<lang>/identity/links``: the links of an account; POST ends one."""
    if request.method == "POST":
        services.revoke(owner, identifier(request.POST.get("revoke", "")))
        return redirect("accounts:links")
    shown = [_shown(link, owner) for link in services.links(owner)]
    linked = {one["issuer"] for one in shown if not one["link"].revoked_at}
    alike = {one.issuer for one in services.candidates(owner)} - linked
    return render(
        request,
        "accounts/links.html",
        {"links": shown, "candidates": [issuer_name(one) for one in sorted(alike)]},
    )


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """``/<lang>/identity/links/new``: one sitting, step by step."""
    problem: Problem | None = None
    if request.method == "POST":
        try:
            if (answer := _act(request)) is not None:
                return answer
        except Problem as found:
            problem = found
    row = services.current(request)
    data: dict[str, Any] = {"sitting": row, "step": row.state if row else "none"}
    if row is not None and row.state in ("opened", "first"):
        data |= {
            "sources": [
                one for one in sources.listed() if row.first is None or one.issuer != row.first.issuer
            ],
            "passkeys": row.first is None or row.first.issuer != config.current().participant_id,
            "possible": authenticators.passkeys_possible(),
            "next": reverse("accounts:link-new"),
        }
    if row is not None and row.first is not None:
        data["first"] = issuer_name(row.first.issuer)
    if row is not None and row.second is not None:
        match = services.compared(row)
        data |= {
            "second": issuer_name(row.second.issuer),
            "match": match,
            "bridge": kinds.kind(match.bridge).names if match.bridge else None,
            "assurance": Assurance(match.level).name,
            "attributes": matching.rules().attributes,
            "words": words(row, language()),
        }
    return explained(request, "accounts/link_new.html", problem, **data)


def _act(request: HttpRequest) -> HttpResponse | None:
    act = request.POST.get("act", "")
    if act == "begin":
        limits.spend(limits.SIGN_IN, request.META.get("REMOTE_ADDR", ""))
        services.sit_down(request)
    elif act == "leave":
        services.leave(request)
        return redirect("accounts:sign-in")
    elif act == "consent":
        row = services.current(request)
        if row is None:
            raise LinkRefused(reason="no-sitting")
        agreed = words(row, language()) if request.POST.get("agree") else ""
        services.consent(request, shows=request.POST.getlist("shows"), words=agreed, language=language())
        return redirect("accounts:links")
    else:
        answer = passkeys.parse(request.POST.get("credential", ""))
        account = authenticators.shown(request, answer)
        arrived(request, account, amr=presence.PASSKEY, aal=2, fal=0, source="")
    return redirect("accounts:link-new")


def arrived(request: HttpRequest, account: Account, **how: Any) -> None:
    """Somebody has signed in to one of the two: into the sitting, and if it is the first, also into the account.

    Raises :class:`LinkRefused`.
    """
    row = services.current(request)
    if row is None:
        raise LinkRefused(reason="no-sitting")
    if row.first is None:
        presence.begin(request, account, **how)
    services.proven(request, account, timezone.now())


def words(row: Sitting, lang: str) -> str:
    """What the person agrees to, as he reads it. Raises :class:`LinkRefused` while he has not signed in to both."""
    if row.first is None or row.second is None:
        raise LinkRefused(reason="one-account")
    first, second = (i18n.say(issuer_name(one.issuer), lang) for one in (row.first, row.second))
    return i18n.t("accounts.link.words", lang, first=first, second=second)


def _shown(link: Link, owner: Account) -> dict[str, Any]:
    there = services.other(link, owner)
    return {
        "link": link,
        "issuer": there.issuer,
        "name": issuer_name(there.issuer),
        "bridge": kinds.kind(link.bridge).names,
        "assurance": Assurance(link.level).name,
        "uses": list(link.uses.all()),
    }
