"""What people see of their accounts: signing in, passkeys, sessions, recovery codes."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import get_language
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from wantong.border.trust.identity.accounts import authenticators, passkeys, presence, recovering
from wantong.border.trust.identity.accounts.levels import Assurance
from wantong.border.trust.identity.accounts.models import Account, Challenge, Happened, Source
from wantong.border.trust.identity.accounts.owners import Owner
from wantong.border.trust.identity.accounts.problems import NotSignedIn, Unknown
from wantong.border.trust.identity.accounts.sources import services as sources
from wantong.ground import config
from wantong.ground.http import limits
from wantong.ground.i18n import LANGUAGES
from wantong.ground.problems import Problem

Page = Callable[..., HttpResponse]


def language() -> str:
    """The language of the page being made."""
    code = get_language() or "en"
    return code if code in LANGUAGES else "en"


def next_of(request: HttpRequest, fallback: str) -> str:
    """Where the page leads back to: an address of this node, or ``fallback``."""
    asked: str = request.POST.get("next") or request.GET.get("next") or ""
    safe = url_has_allowed_host_and_scheme(asked, {request.get_host()}, require_https=request.is_secure())
    return asked if safe else fallback


def person(page: Page) -> Page:
    """Only for who is signed in to an account; others are led to sign in and back."""

    @wraps(page)
    def wrapper(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            owner = presence.account(request)
        except NotSignedIn:
            if "text/html" not in request.headers.get("Accept", "") or request.method != "GET":
                raise
            return HttpResponseRedirect(presence.sign_in_url(request.get_full_path()))
        return page(request, owner, *args, **kwargs)

    return wrapper


def official(page: Page) -> Page:
    """Only for officials of this node."""

    @login_required
    @wraps(page)
    def wrapper(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return page(request, request.user, *args, **kwargs)

    return wrapper


def issuer_name(issuer: str) -> Mapping[str, str] | str:
    """A system by its name, this node by its own."""
    if issuer == config.current().participant_id:
        return config.current().name
    row = Source.objects.filter(issuer=issuer).first()
    return row.title if row else issuer


def explained(
    request: HttpRequest, template: str, problem: Problem | None = None, **data: Any
) -> HttpResponse:
    said = problem.explain(language()) if problem else None
    response = render(request, template, {"problem": said, **data}, status=problem.status if problem else 200)
    for name, value in (problem.headers if problem else {}).items():
        response[name] = value
    return response


# --- signing in -------------------------------------------------------------------------------------------------


@never_cache
@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
def sign_in(request: HttpRequest) -> HttpResponse:
    """``/<lang>/identity/sign-in?next=``: with a passkey, or through the system that knows the person."""
    after = next_of(request, reverse("accounts:home"))
    problem: Problem | None = None
    if request.method == "POST":
        try:
            limits.spend(limits.SIGN_IN, request.META.get("REMOTE_ADDR", ""))
            authenticators.sign_in(request, passkeys.parse(request.POST.get("credential", "")))
            return HttpResponseRedirect(after)
        except Problem as found:
            problem = found
    elif presence.signed_in(request) is not None and not request.GET.get("fresh"):
        return HttpResponseRedirect(after)
    wanted = Assurance.of(request.GET.get("acr", ""))
    return explained(
        request,
        "accounts/sign_in.html",
        problem,
        next=after,
        possible=authenticators.passkeys_possible(),
        wanted=wanted.name if wanted else "",
        fresh=bool(request.GET.get("fresh")),
        sources=sources.listed(),
    )


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def register(request: HttpRequest) -> HttpResponse:
    """``/<lang>/identity/register``: a new account with a passkey."""
    after = next_of(request, reverse("accounts:home"))
    problem: Problem | None = None
    if request.method == "POST":
        try:
            limits.spend(limits.SIGN_IN, request.META.get("REMOTE_ADDR", ""))
            answer = passkeys.parse(request.POST.get("credential", ""))
            authenticators.register(request, answer, request.POST.get("label", ""))
            return redirect("accounts:codes")
        except Problem as found:
            problem = found
    return explained(
        request, "accounts/register.html", problem, next=after, possible=authenticators.passkeys_possible()
    )


@require_POST
def challenge(request: HttpRequest, purpose: str) -> HttpResponse:
    """``POST /<lang>/identity/challenge/<purpose>``: the options for the browser, as JSON."""
    wanted, owner = Challenge.Purpose(purpose), None
    if wanted == Challenge.Purpose.ADD:
        staff = request.POST.get("of") == "staff"
        if staff and not request.user.is_authenticated:
            raise NotSignedIn
        owner = request.user if staff else presence.account(request)
    else:
        limits.spend(limits.SIGN_IN, request.META.get("REMOTE_ADDR", ""))
    made = authenticators.options_for(request, wanted, owner, request.POST.get("label", "")[:60])
    response = JsonResponse(made)
    response["Cache-Control"] = "no-store"
    return response


@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    """``POST /<lang>/identity/sign-out``."""
    presence.sign_out(request)
    return redirect("accounts:sign-in")


@never_cache
@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
def recover(request: HttpRequest) -> HttpResponse:
    """``/<lang>/identity/recover``: with a recovery code."""
    problem: Problem | None = None
    if request.method == "POST":
        try:
            limits.spend(limits.SIGN_IN, request.META.get("REMOTE_ADDR", ""))
            owner = recovering.use_code(request, request.POST.get("code", ""))
            person = isinstance(owner, Account)
            return redirect("accounts:passkeys" if person else "accounts:staff-passkeys")
        except Problem as found:
            problem = found
    return explained(request, "accounts/recover.html", problem)


# --- one's own --------------------------------------------------------------------------------------------------


@person
@never_cache
@require_safe
def home(request: HttpRequest, owner: Account) -> HttpResponse:
    """``/<lang>/identity``: the account, how sure it is, what happened with it."""
    return render(
        request,
        "accounts/home.html",
        {
            "account": owner,
            "issuer": issuer_name(owner.issuer),
            "presence": presence.present(request),
            "happened": Happened.objects.filter(account=owner)[:20],
            "passkeys": len(authenticators.passkeys_of(owner)),
            "sessions": len(presence.sessions(owner)),
            "codes": recovering.codes_left(owner),
        },
    )


def _passkeys(request: HttpRequest, owner: Owner, staff: bool) -> HttpResponse:
    here = reverse("accounts:staff-passkeys" if staff else "accounts:passkeys")
    problem: Problem | None = None
    if request.method == "POST":
        try:
            if request.POST.get("remove"):
                authenticators.remove_passkey(owner, identifier(request.POST["remove"]))
            else:
                answer = passkeys.parse(request.POST.get("credential", ""))
                authenticators.add_passkey(request, owner, answer, request.POST.get("label", ""))
            return HttpResponseRedirect(next_of(request, here))
        except Problem as found:
            problem = found
    return explained(
        request,
        "accounts/passkeys.html",
        problem,
        passkeys=authenticators.passkeys_of(owner),
        possible=authenticators.passkeys_possible(),
        staff=staff,
        next=next_of(request, here),
        led=bool(request.GET.get("next")),
    )


@person
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def own_passkeys(request: HttpRequest, owner: Account) -> HttpResponse:
    """``/<lang>/identity/passkeys``."""
    return _passkeys(request, owner, staff=False)


@official
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def staff_passkeys(request: HttpRequest, owner: Any) -> HttpResponse:
    """``/<lang>/identity/staff/passkeys``."""
    return _passkeys(request, owner, staff=True)


def _sessions(request: HttpRequest, owner: Owner, staff: bool) -> HttpResponse:
    here = "accounts:staff-sessions" if staff else "accounts:sessions"
    current = request.session.get("accounts.staff" if staff else presence.SESSION)
    if request.method == "POST":
        if request.POST.get("end"):
            presence.end_session(owner, identifier(request.POST["end"]))
        else:
            presence.end_sessions(owner, but=uuid.UUID(current) if current else None)
        return redirect(here)
    return render(
        request,
        "accounts/sessions.html",
        {"sessions": presence.sessions(owner), "current": current, "staff": staff},
    )


@person
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def own_sessions(request: HttpRequest, owner: Account) -> HttpResponse:
    """``/<lang>/identity/sessions``."""
    return _sessions(request, owner, staff=False)


@official
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def staff_sessions(request: HttpRequest, owner: Any) -> HttpResponse:
    """``/<lang>/identity/staff/sessions``."""
    return _sessions(request, owner, staff=True)


def _codes(request: HttpRequest, owner: Owner, staff: bool) -> HttpResponse:
    made = recovering.make_codes(owner) if request.method == "POST" else []
    return render(
        request, "accounts/codes.html", {"made": made, "left": recovering.codes_left(owner), "staff": staff}
    )


@person
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def own_codes(request: HttpRequest, owner: Account) -> HttpResponse:
    """``/<lang>/identity/codes``: recovery codes, shown once."""
    return _codes(request, owner, staff=False)


@official
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def staff_codes(request: HttpRequest, owner: Any) -> HttpResponse:
    """``/<lang>/identity/staff/codes``."""
    return _codes(request, owner, staff=True)


def identifier(text: str) -> uuid.UUID:
    """An id that came in a form. Raises :class:`Unknown`."""
    try:
        return uuid.UUID(text)
    except ValueError:
        raise Unknown(what=text[:40]) from None
