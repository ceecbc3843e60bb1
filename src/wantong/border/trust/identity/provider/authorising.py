"""A request for an authorization, from the client's wish to the code: taken, put to the person, answered once."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from django.db import transaction
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone, translation

from wantong.border.trust.identity.provider import (
    clients,
    consents,
    granting,
    keys,
    memory,
    people,
    proving,
    registration,
    requests,
    scopes,
    tokens,
)
from wantong.border.trust.identity.provider.clients import Client
from wantong.border.trust.identity.provider.models import (
    AuthorizationRequest,
    Grant,
    RegisteredClient,
    State,
)
from wantong.border.trust.identity.provider.people import Person
from wantong.border.trust.identity.provider.problems import (
    AccessDenied,
    ConsentRequired,
    InvalidDpopProof,
    InvalidRequest,
    InvalidRequestObject,
    LoginRequired,
    OAuthError,
    UnknownRequest,
    UnmetAuthenticationRequirements,
)
from wantong.border.trust.identity.provider.proving import Proven
from wantong.border.trust.identity.provider.requests import Request
from wantong.ground import config

PUSHED_LASTS = timedelta(seconds=90)
ANSWERED_WITHIN = timedelta(minutes=30)
CODE_LASTS = timedelta(seconds=60)

CONSENT = "provider:consent"


@dataclass(frozen=True)
class Elsewhere(Exception):
    """An error that goes to the client through the browser: the address with it."""

    url: str


def push(found: Proven, parameters: Mapping[str, str], jkt: str, now: datetime) -> tuple[str, int]:
    """Store a pushed request (RFC 9126); its ``request_uri`` and for how many seconds it is good.

    Raises errors of :mod:`.requests`.
    """
    if "request_uri" in parameters:
        raise InvalidRequest("pushed-by-reference")
    inside = _unpacked(found, parameters, now)
    requests.address(inside, found.client)
    request = requests.read(inside, found.client, home=config.current().url, acr_known=people.SUPPORTED)
    if jkt:
        if request.dpop_jkt and not hmac.compare_digest(request.dpop_jkt, jkt):
            raise InvalidDpopProof("proof-other-key")
        # RFC 9449, 10.1: the code is bound to the key that pushed
        request = Request.from_dict({**request.to_dict(), "dpop_jkt": jkt})
    made = _store(found.row, request, inside, now, PUSHED_LASTS, pushed=True)
    return requests.URN + made.handle, int(PUSHED_LASTS.total_seconds())


def receive(parameters: Mapping[str, str], now: datetime) -> Waiting:
    """Take the request that a browser brings.

    Raises errors that are shown to the person, and :class:`Elsewhere` for those that the client is told.
    """
    row = RegisteredClient.objects.filter(
        client_id=parameters.get("client_id", "")[:200], state=State.ACTIVE
    ).first()
    if row is None:
        raise InvalidRequest("client-unknown")
    client = registration.as_client(row)
    reference = parameters.get("request_uri", "")
    if reference.startswith(requests.URN):
        handle = reference.removeprefix(requests.URN)
        _pushed(row, handle, now)
        return waiting(handle, now)
    if client.require_pushed:
        raise InvalidRequest("request-not-pushed")
    inside = _unpacked(Proven(row, client), parameters, now)
    where = requests.address(inside, client)
    try:
        request = requests.read(inside, client, home=config.current().url, acr_known=people.SUPPORTED)
    except OAuthError as error:
        raise Elsewhere(_error(where, inside.get("state"), error)) from None
    return _store(row, request, inside, now, ANSWERED_WITHIN)


def _pushed(row: RegisteredClient, handle: str, now: datetime) -> None:
    """What was pushed is good until somebody has answered it: a page may be loaded twice (FAPI 2.0, 5.3.2.2, note 3)."""
    mine = AuthorizationRequest.objects.filter(
        handle=memory.digest(handle), client=row, pushed=True, answered_at=None, expires_at__gt=now
    )
    # from now on the person has time to sign in
    if not mine.update(expires_at=now + ANSWERED_WITHIN):
        raise InvalidRequest("pushed-unknown")


def _unpacked(found: Proven, parameters: Mapping[str, str], now: datetime) -> Mapping[str, str]:
    signing = proving.unpacking_keys(found, parameters)
    inside, once = requests.unpack(parameters, found.client, signing, issuer=config.current().url, now=now)
    if once and not memory.first_time("object", found.client.client_id, once[0], until=once[1]):
        raise InvalidRequestObject("jwt-used", of=requests.OBJECT)
    return inside


def _store(
    row: RegisteredClient,
    request: Request,
    parameters: Mapping[str, str],
    now: datetime,
    lasts: timedelta,
    *,
    pushed: bool = False,
) -> Waiting:
    if hint_text := parameters.get("id_token_hint"):
        hint = tokens.read_hint(hint_text, keys.all_keys(), issuer=config.current().url)
        if hint is None or hint.client_id != row.client_id:
            raise InvalidRequest("hint")
        request = Request.from_dict({**request.to_dict(), "subject": hint.subject})
    handle = secrets.token_urlsafe(32)
    made = AuthorizationRequest.objects.create(
        handle=memory.digest(handle),
        client=row,
        request=request.to_dict(),
        created_at=now,
        expires_at=now + lasts,
        pushed=pushed,
    )
    return Waiting(made, registration.as_client(row), request, handle)


@dataclass(frozen=True)
class Waiting:
    """A request that waits for a person's answer."""

    row: AuthorizationRequest
    client: Client
    request: Request
    handle: str

    @property
    def url(self) -> str:
        """The page on which it is answered, in the first language of ``ui_locales`` that there is."""
        lang = next(
            (found for tag in self.request.ui_locales if (found := clients.TAGS.get(tag.lower()))), None
        )
        with translation.override(lang or translation.get_language() or "en"):
            return f"{reverse(CONSENT)}?{urlencode({'request': self.handle})}"


def waiting(handle: str, now: datetime) -> Waiting:
    """The request of that handle. Raises :class:`.UnknownRequest` if it was answered, or is too old."""
    row = (
        AuthorizationRequest.objects.select_related("client")
        .filter(
            handle=memory.digest(handle), answered_at=None, expires_at__gt=now, client__state=State.ACTIVE
        )
        .first()
    )
    if row is None:
        raise UnknownRequest
    return Waiting(row, registration.as_client(row.client), Request.from_dict(row.request), handle)


def advance(asked: Waiting, browser: HttpRequest, now: datetime) -> str | None:
    """Where the browser goes next; None if the person has to be asked, on the page."""
    request, person = asked.request, people.present(browser)
    silent = "none" in request.prompt
    if (acr := _must_sign_in(asked, person, now)) is not None:
        if silent:
            return _refused(asked, LoginRequired("login"))
        if person is not None and asked.row.sent_at is not None and _was_sent(asked, person):
            # he did sign in, and it was somebody else, or not as strongly as it must be
            if request.subject:
                return _refused(asked, LoginRequired("login-other"))
            return _refused(asked, UnmetAuthenticationRequirements("levels"))
        AuthorizationRequest.objects.filter(pk=asked.row.pk).update(sent_at=now)
        return people.sign_in_url(asked.url, acr=acr, fresh=person is not None)
    assert person is not None
    if "consent" in request.prompt or not consents.remembered(asked.row.client, request, person):
        return _refused(asked, ConsentRequired("consent")) if silent else None
    return allow(asked, person, now)


def _was_sent(asked: Waiting, person: Person) -> bool:
    return asked.row.sent_at is not None and person.authenticated_at >= asked.row.sent_at


def _must_sign_in(asked: Waiting, person: Person | None, now: datetime) -> str | None:
    """None if who is there will do, else how strongly somebody has to sign in (empty: anyhow)."""
    request = asked.request
    wish = request.acr_values[0] if request.acr_values else ""
    if person is None:
        return wish
    again = _was_sent(asked, person)
    if {"login", "select_account", "create"} & set(request.prompt) and not again:
        return wish
    longest = None if request.max_age is None else timedelta(seconds=request.max_age)
    if longest is not None and not again and now - person.authenticated_at > longest:
        return wish
    if request.subject and request.subject != consents.subject_of(person.account_id, asked.client):
        return wish
    if not request.acr_values or any(map(person.reaches, request.acr_values)):
        return None
    # a wish is tried once, a demand is refused when it was tried
    tried = again or "none" in request.prompt
    return wish if request.acr_essential or not tried else None


def allow(asked: Waiting, person: Person, now: datetime) -> str:
    """The person allows it: remembered, and a code on its way. Raises :class:`.UnknownRequest` if it was answered meanwhile."""
    request = asked.request
    subject = consents.subject_of(person.account_id, asked.client)
    code = secrets.token_urlsafe(32)
    acr = next((acr for acr in request.acr_values if person.reaches(acr)), person.acr)
    with transaction.atomic():
        _answer(asked, now)
        consents.remember(asked.row.client, request, person, now)
        offline = scopes.OFFLINE in request.scope
        Grant.objects.create(
            name=secrets.token_urlsafe(16),
            client=asked.row.client,
            account_id=person.account_id,
            subject=subject,
            request=request.to_dict(),
            session=memory.digest(person.session),
            sid=secrets.token_urlsafe(16),
            authentication={
                "auth_time": int(person.authenticated_at.timestamp()),
                "acr": acr,
                "amr": list(person.amr),
            },
            code=memory.digest(code),
            code_expires_at=now + CODE_LASTS,
            created_at=now,
            expires_at=now + (granting.OFFLINE_LASTS if offline else granting.SESSION_LASTS),
        )
    return _back(request.redirect_uri, {"code": code, "state": request.state, "iss": config.current().url})


def deny(asked: Waiting, now: datetime) -> str:
    """The person says no. Raises :class:`.UnknownRequest` if it was answered meanwhile."""
    return _refused(asked, AccessDenied("denied"))


def _refused(asked: Waiting, error: OAuthError) -> str:
    _answer(asked, timezone.now())
    return _error(asked.request.redirect_uri, asked.request.state, error)


def _answer(asked: Waiting, now: datetime) -> None:
    """Of many answers one counts."""
    mine = AuthorizationRequest.objects.filter(pk=asked.row.pk, answered_at=None)
    if not mine.update(answered_at=now):
        raise UnknownRequest


def _error(where: str, state: str | None, error: OAuthError) -> str:
    return _back(where, {**error.to_oauth(), "state": state, "iss": config.current().url})


def _back(where: str, told: Mapping[str, str | None]) -> str:
    """The redirect address with an answer (RFC 9207: always with the issuer), its own query kept."""
    parts = urlsplit(where)
    query = [
        *parse_qsl(parts.query, keep_blank_values=True),
        *((k, v) for k, v in told.items() if v is not None),
    ]
    return urlunsplit(parts._replace(query=urlencode(query)))
