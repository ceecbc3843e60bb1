"""Pages: what a client asks of a person, what he has allowed, signing out; and clients, for operators."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import get_language
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from wantong.border.trust.identity.provider import (
    authorising,
    consents,
    keys,
    memory,
    people,
    registration,
    scopes,
    sessions,
    tokens,
    views,
)
from wantong.border.trust.identity.provider.models import RegisteredClient, State
from wantong.border.trust.identity.provider.problems import InvalidRequest, OAuthError
from wantong.ground import config, i18n
from wantong.ground.actors import Actor
from wantong.ground.http import auth
from wantong.ground.problems import Problem

SHOWN = 200


def _lang() -> str:
    code = get_language() or "en"
    return code if code in i18n.LANGUAGES else "en"


@require_http_methods(["GET", "POST"])
def consent(request: HttpRequest) -> HttpResponse:
    """What a client asks for, by name, in words; the person says yes or no."""
    now = timezone.now()
    told = request.POST if request.method == "POST" else request.GET
    asked = authorising.waiting(told.get("request", ""), now)
    person = people.present(request)
    if request.method == "POST" and person is not None and told.get("answer") == "deny":
        return views._redirect(authorising.deny(asked, now))
    if (onward := authorising.advance(asked, request, now)) is not None:
        return views._redirect(onward)
    assert person is not None
    if request.method == "POST" and told.get("answer") == "allow":
        return views._redirect(authorising.allow(asked, person, now))
    where = urlsplit(asked.request.redirect_uri)
    shown = {
        "client": asked.client,
        "wishes": consents.wishes(asked.request, _lang()),
        "host": where.hostname or where.scheme,
        "handle": asked.handle,
        "personal": scopes.personal(asked.request.scope),
    }
    return render(request, "provider/consent.html", shown)


@require_safe
def services_used(request: HttpRequest) -> HttpResponse:
    """What the person allows, to whom, and every use."""
    person = people.present(request)
    if person is None:
        return redirect(people.sign_in_url(request.get_full_path()))
    shown = {
        "consents": [
            {**row, "wishes": consents.wishes_of(row["scope"], row["claims"], _lang())}
            for row in consents.consents(person.account_id)
        ],
        "uses": [
            {**row, "shown": consents.named(row["shown"], _lang())}
            for row in consents.uses(person.account_id)
        ],
    }
    return render(request, "provider/services.html", shown)


@require_POST
def withdraw(request: HttpRequest) -> HttpResponse:
    """The person takes something back."""
    person = people.present(request)
    if person is None:
        return redirect(people.sign_in_url(reverse("provider:services")))
    consents.withdraw(person.account_id, request.POST.get("client", ""), timezone.now())
    return redirect("provider:services")


@require_http_methods(["GET", "POST"])
def logout(request: HttpRequest) -> HttpResponse:
    """Signing out because a service asked for it: at once if it shows whose session it was, else the person is asked."""
    told = request.POST if request.method == "POST" else request.GET
    hint = tokens.read_hint(told.get("id_token_hint", ""), keys.all_keys(), issuer=config.current().url)
    if told.get("id_token_hint") and hint is None:
        raise InvalidRequest("hint")
    named = told.get("client_id") or (hint.client_id if hint else "")
    if hint is not None and named != hint.client_id:
        raise InvalidRequest("hint")
    where = _after(named, told.get("post_logout_redirect_uri", ""), told.get("state", ""))
    person = people.present(request)
    if person is not None:
        if request.method != "POST" and not _of_this_session(hint, person):
            name = registration.as_client(registration.get(named)).name if named else None
            kept = {
                k: told[k]
                for k in ("id_token_hint", "client_id", "post_logout_redirect_uri", "state")
                if k in told
            }
            return render(request, "provider/logout.html", {"name": name, "kept": kept})
        if request.method != "POST" or told.get("answer") == "yes":
            people.sign_out(request)
    return (
        views._redirect(where)
        if where
        else render(request, "provider/signed_out.html", {"out": people.present(request) is None})
    )


def _of_this_session(hint: tokens.Hint | None, person: people.Person) -> bool:
    """Only the service itself has the ID token of this very session: nobody else can sign people out unasked."""
    return hint is not None and sessions.belongs(hint.sid, memory.digest(person.session))


def _after(client_id: str, asked: str, state: str) -> str:
    """Where the browser goes afterwards: an address exactly as the client registered it, else nowhere."""
    if not asked:
        return ""
    if not client_id:
        raise InvalidRequest("logout-unknown")
    client = registration.as_client(registration.get(client_id))
    if asked not in client.post_logout_redirect_uris:
        raise InvalidRequest("logout-address", address=asked)
    return authorising._back(asked, {"state": state or None})


# --- for operators ------------------------------------------------------------------------------------------------


def _operator(request: HttpRequest) -> Actor | HttpResponse:
    if not request.user.is_authenticated:
        return redirect_to_login(request.get_full_path())
    who = auth.actor_of(request.user)
    auth.require(who, "operator", "approver", "auditor")
    return who


@require_http_methods(["GET", "POST"])
def clients(request: HttpRequest) -> HttpResponse:
    """All clients; an operator registers one by its metadata."""
    who = _operator(request)
    if isinstance(who, HttpResponse):
        return who
    problem, text = None, request.POST.get("metadata", "")
    if request.method == "POST":
        try:
            told = views._json_object(text.encode())
            row = registration.register(who, told, client_id=told.get("client_id") or None)
            return redirect("provider:client", client_id=row.client_id)
        except OAuthError as error:
            problem = error
    rows = RegisteredClient.objects.order_by("state", "client_id")[:SHOWN]
    shown: dict[str, Any] = {
        "rows": [{"row": row, "client": registration.as_client(row)} for row in rows],
        "problem": problem.explain(_lang()) if problem else None,
        "metadata": text,
    }
    return render(request, "provider/clients.html", shown, status=problem.status if problem else 200)


ACTS = {
    "approve": registration.approve,
    "reject": registration.reject,
    "suspend": registration.suspend,
    "resume": registration.resume,
}
POSSIBLE = {State.PROPOSED: ("approve", "reject"), State.ACTIVE: ("suspend",), State.SUSPENDED: ("resume",)}


@require_http_methods(["GET", "POST"])
def client(request: HttpRequest, client_id: str) -> HttpResponse:
    """One client with its history; what may be done with it."""
    who = _operator(request)
    if isinstance(who, HttpResponse):
        return who
    row = registration.get(client_id)
    problem: Problem | None = None
    if request.method == "POST" and request.POST.get("act") in ACTS:
        try:
            ACTS[request.POST["act"]](who, client_id, request.POST.get("note", ""))
            return HttpResponseRedirect(request.path)
        except Problem as error:
            problem = error
    told = registration.as_client(row)
    shown = {
        "row": row,
        "client": told,
        "wishes": consents.wishes_of(told.scope, (), _lang()),
        "acts": POSSIBLE.get(State(row.state), ()),
        "history": row.actions.all(),
        "problem": problem.explain(_lang()) if problem else None,
    }
    return render(request, "provider/client.html", shown, status=problem.status if problem else 200)
