"""The verbs of the provider: take a request, ask the person, give out codes and tokens, take them back."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from django.db import IntegrityError, transaction
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone, translation

from wantong.border.trust.identity.provider import (
    clients,
    details,
    grants,
    jose,
    keys,
    memory,
    people,
    proving,
    registration,
    requests,
    scopes,
    sessions,
    tokens,
)
from wantong.border.trust.identity.provider.clients import Client
from wantong.border.trust.identity.provider.grants import Ask, Granted
from wantong.border.trust.identity.provider.models import (
    AuthorizationRequest,
    Consent,
    Grant,
    RefreshToken,
    RegisteredClient,
    State,
    Subject,
    Use,
)
from wantong.border.trust.identity.provider.people import Person
from wantong.border.trust.identity.provider.problems import (
    AccessDenied,
    ConsentRequired,
    InvalidClient,
    InvalidDpopProof,
    InvalidGrant,
    InvalidRequest,
    InvalidRequestObject,
    InvalidScope,
    InvalidTarget,
    LoginRequired,
    OAuthError,
    UnauthorizedClient,
    UnknownConsent,
    UnknownRequest,
    UnmetAuthenticationRequirements,
    UnsupportedGrantType,
)
from wantong.border.trust.identity.provider.proving import Proven
from wantong.border.trust.identity.provider.requests import Request
from wantong.ground import canonical, config, i18n
from wantong.ground.log import services as log

PUSHED_LASTS = timedelta(seconds=90)
ANSWERED_WITHIN = timedelta(minutes=30)
CODE_LASTS = timedelta(seconds=60)
SESSION_LASTS, OFFLINE_LASTS = timedelta(hours=12), timedelta(days=30)
"""How long refresh tokens go on: with the person's session, and (``offline_access``) without it."""
CONSENT = "provider:consent"


def issuer() -> str:
    """The issuer identifier of this node."""
    return config.current().url


# --- requests for an authorization --------------------------------------------------------------------------------


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
    request = requests.read(inside, found.client, home=issuer(), acr_known=people.SUPPORTED)
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
        request = requests.read(inside, client, home=issuer(), acr_known=people.SUPPORTED)
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
    inside, once = requests.unpack(parameters, found.client, signing, issuer=issuer(), now=now)
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
        hint = tokens.read_hint(hint_text, keys.all_keys(), issuer=issuer())
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
    if "consent" in request.prompt or not _remembered(asked, person):
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
    if request.subject and request.subject != subject_of(person.account_id, asked.client):
        return wish
    if not request.acr_values or any(map(person.reaches, request.acr_values)):
        return None
    # a wish is tried once, a demand is refused when it was tried
    tried = again or "none" in request.prompt
    return wish if request.acr_essential or not tried else None


def _remembered(asked: Waiting, person: Person) -> bool:
    known = Consent.objects.filter(
        account_id=person.account_id, client=asked.row.client, withdrawn_at=None
    ).first()
    if known is None:
        return False
    request = asked.request
    return (
        set(request.scope) <= set(known.scope)
        and set(_consented_claims(request)) <= set(known.claims)
        and {canonical.digest(dict(one)) for one in request.authorization_details} <= set(known.details)
    )


def _consented_claims(request: Request) -> list[str]:
    verified = {f"verified_claims.{name}" for names in request.verified.values() for name in names}
    return sorted({*request.claims, *verified} - {"sub"})


def allow(asked: Waiting, person: Person, now: datetime) -> str:
    """The person allows it: remembered, and a code on its way. Raises :class:`.UnknownRequest` if it was answered meanwhile."""
    request = asked.request
    subject = subject_of(person.account_id, asked.client)
    code = secrets.token_urlsafe(32)
    acr = next((acr for acr in request.acr_values if person.reaches(acr)), person.acr)
    with transaction.atomic():
        _answer(asked, now)
        _remember(asked, person, now)
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
            expires_at=now + (OFFLINE_LASTS if offline else SESSION_LASTS),
        )
    return _back(request.redirect_uri, {"code": code, "state": request.state, "iss": issuer()})


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


def _remember(asked: Waiting, person: Person, now: datetime) -> None:
    request = asked.request
    wanted = {
        "scope": set(request.scope),
        "claims": set(_consented_claims(request)),
        "details": {canonical.digest(dict(one)) for one in request.authorization_details},
    }
    known = (
        Consent.objects.select_for_update()
        .filter(account_id=person.account_id, client=asked.row.client, withdrawn_at=None)
        .first()
    )
    if known is not None:
        if all(names <= set(getattr(known, part)) for part, names in wanted.items()):
            return
        for part, names in wanted.items():
            setattr(known, part, sorted({*getattr(known, part), *names}))
        known.save(update_fields=tuple(wanted))
    else:
        known = Consent.objects.create(
            account_id=person.account_id,
            client=asked.row.client,
            salt=secrets.token_urlsafe(32),
            given_at=now,
            **{part: sorted(names) for part, names in wanted.items()},
        )
    _log_consent(known, "identity.consent.given", now)


def _log_consent(consent: Consent, kind: str, now: datetime) -> None:
    # who it is stands there only as a commitment; the salt goes with the row
    body = {
        "client": consent.client_id,
        "person": memory.digest(consent.salt, consent.account_id),
        "scope": list(consent.scope),
        "claims": list(consent.claims),
    }
    log.record(kind, body, now)


def _error(where: str, state: str | None, error: OAuthError) -> str:
    return _back(where, {**error.to_oauth(), "state": state, "iss": issuer()})


def _back(where: str, told: Mapping[str, str | None]) -> str:
    """The redirect address with an answer (RFC 9207: always with the issuer), its own query kept."""
    parts = urlsplit(where)
    query = [
        *parse_qsl(parts.query, keep_blank_values=True),
        *((k, v) for k, v in told.items() if v is not None),
    ]
    return urlunsplit(parts._replace(query=urlencode(query)))


def subject_of(account_id: str, client: Client) -> str:
    """By which name a client sees an account: another one in every sector (OpenID Core, 8.1)."""
    mine = Subject.objects.filter(account_id=account_id, sector=client.sector)
    name = mine.values_list("name", flat=True).first()
    if name is None:
        try:
            with transaction.atomic():
                made = Subject.objects.create(
                    account_id=account_id, sector=client.sector, name=secrets.token_urlsafe(24)
                )
                return made.name
        except IntegrityError:
            name = mine.values_list("name", flat=True).get()
    return name


# --- tokens -------------------------------------------------------------------------------------------------------


def token(found: Proven | None, parameters: Mapping[str, str], jkt: str, now: datetime) -> dict[str, Any]:
    """The answer of the token endpoint. Raises errors of the grant."""
    name = parameters.get("grant_type", "")
    if not name:
        raise InvalidRequest("parameter-missing", parameter="grant_type")
    kind = grants.kind(name)
    if kind is None:
        raise UnsupportedGrantType("grant-unknown", grant=name)
    if found is None and not kind.anonymous:
        raise InvalidClient("client-missing")
    client = found.client if found else None
    if client is not None and name not in client.grant_types:
        raise UnauthorizedClient("client-grant", grant=name)
    if client is not None and client.dpop_bound and not jkt:
        raise InvalidDpopProof("proof-missing")
    ask = Ask(client, parameters, now, jkt, found.wallet if found else None)
    with transaction.atomic():
        outcome = kind.handler(ask)
        if isinstance(outcome, Granted):
            return _issue(outcome, ask, found)
    raise outcome


def _issue(granted: Granted, ask: Ask, found: Proven | None) -> dict[str, Any]:
    grant: Grant | None = granted.grant
    client_id = ask.client.client_id if ask.client else ""
    if grant is None and (granted.account_id is not None or granted.subject):
        account_id = granted.account_id or ""
        subject = granted.subject or (
            subject_of(account_id, ask.client) if ask.client else secrets.token_urlsafe(24)
        )
        lasts = OFFLINE_LASTS if scopes.OFFLINE in granted.scope else SESSION_LASTS
        grant = Grant.objects.create(
            name=secrets.token_urlsafe(16),
            client=found.row if found else None,
            account_id=account_id,
            subject=subject,
            request={
                "scope": list(granted.scope),
                "authorization_details": list(granted.authorization_details),
                "resource": list(granted.resource),
            },
            jkt=_bound_key(ask),
            created_at=ask.now,
            expires_at=ask.now + lasts,
        )
    about = dict(grant.authentication) if grant else {}
    text = tokens.access(
        keys.sign,
        issuer=issuer(),
        client_id=client_id,
        subject=grant.subject if grant else client_id,
        audience=tuple(granted.resource) or (issuer(),),
        scope=granted.scope,
        now=ask.now,
        jkt=ask.jkt,
        grant=grant.name if grant else "",
        authorization_details=granted.authorization_details,
        session=about,
    )
    answer: dict[str, Any] = {
        "access_token": text,
        "token_type": "DPoP" if ask.jkt else "Bearer",
        "expires_in": tokens.ACCESS_LIFETIME,
        "scope": " ".join(granted.scope),
    }
    if granted.authorization_details:
        account_id = grant.account_id if grant else ""
        answer["authorization_details"] = details.enriched(granted.authorization_details, account_id)
    if granted.refreshable and grant is not None:
        refresh = secrets.token_urlsafe(32)
        RefreshToken.objects.create(digest=memory.digest(refresh), grant=grant, issued_at=ask.now)
        answer["refresh_token"] = refresh
    if granted.identity and grant is not None:
        answer["id_token"] = _identity(grant, ask, text)
    return {**answer, **granted.more}


def _identity(grant: Grant, ask: Ask, access_token: str) -> str:
    assert ask.client is not None
    request = Request.from_dict(grant.request)
    more = people.claims(grant.account_id, request.claims_id_token) if request.claims_id_token else {}
    wanted = request.verified.get("id_token")
    if wanted and (found := people.verified(grant.account_id, wanted)):
        more["verified_claims"] = found
    first = ask.parameters.get("grant_type") == clients.CODE
    return tokens.identity(
        keys.sign,
        issuer=issuer(),
        client_id=ask.client.client_id,
        subject=grant.subject,
        now=ask.now,
        sid=grant.sid,
        nonce=request.nonce if first else None,
        more=more,
        access_token=access_token,
        **grant.authentication,
    )


def _bound_key(ask: Ask) -> str:
    """To which key a refresh token is bound: of a wallet its attested one, of a public client that of its proof."""
    if ask.wallet is not None:
        return ask.wallet.jkt
    return ask.jkt if ask.client is None or not ask.client.confidential else ""


def by_code(ask: Ask) -> Granted | OAuthError:
    """``authorization_code``: once, by the client that asked, with the verifier (and the key) that it has announced."""
    assert ask.client is not None
    code, verifier = ask.parameters.get("code", ""), ask.parameters.get("code_verifier", "")
    if not code:
        raise InvalidRequest("parameter-missing", parameter="code")
    grant = Grant.objects.select_related("client").filter(code=memory.digest(code)).first()
    if grant is None or grant.client_id != ask.client.client_id:
        raise InvalidGrant("code-unknown")
    unused = Grant.objects.filter(pk=grant.pk, code_used_at=None)
    if not unused.update(code_used_at=ask.now, jkt=_bound_key(ask)):
        # somebody has it who should not: what came of it ends (RFC 9700, 4.5)
        sessions.end([grant], "code-reuse", ask.now)
        return InvalidGrant("code-used")
    # from here on the code is spent, whatever is wrong
    request = Request.from_dict(grant.request)
    if grant.ended_at is not None or grant.code_expires_at is None or grant.code_expires_at <= ask.now:
        return InvalidGrant("code-expired")
    if ask.parameters.get("redirect_uri", request.redirect_uri) != request.redirect_uri:
        return InvalidGrant("code-redirect")
    if not 43 <= len(verifier) <= 128 or not hmac.compare_digest(
        jose.digest(verifier.encode("utf-8", "replace")), request.code_challenge
    ):
        return InvalidGrant("code-verifier")
    if request.dpop_jkt and not hmac.compare_digest(request.dpop_jkt, ask.jkt):
        return InvalidDpopProof("proof-other-key") if ask.jkt else InvalidDpopProof("proof-missing")
    try:
        resource = _narrowed_resource(ask, request)
    except OAuthError as error:
        return error
    _used(grant, "sign-in", request.claims)
    return Granted(
        scope=request.scope,
        account_id=grant.account_id,
        authorization_details=request.authorization_details,
        resource=resource,
        refreshable=clients.REFRESH in ask.client.grant_types,
        grant=grant,
        identity=scopes.OPENID in request.scope,
    )


def by_refresh(ask: Ask) -> Granted | OAuthError:
    """``refresh_token``: the old one is spent, and if it comes back all of its family ends."""
    assert ask.client is not None
    text = ask.parameters.get("refresh_token", "")
    if not text:
        raise InvalidRequest("parameter-missing", parameter="refresh_token")
    row = RefreshToken.objects.select_related("grant").filter(digest=memory.digest(text)).first()
    if row is None or row.grant.client_id != ask.client.client_id:
        raise InvalidGrant("refresh-unknown")
    grant = row.grant
    # whoever has it without the key cannot end the family either
    if grant.jkt and not hmac.compare_digest(grant.jkt, _bound_key(ask)):
        raise InvalidGrant("refresh-key")
    if grant.ended_at is not None or grant.expires_at <= ask.now:
        raise InvalidGrant("refresh-ended")
    if grant.account_id and not people.active(grant.account_id):
        raise InvalidGrant("refresh-ended")
    request = Request.from_dict({"redirect_uri": "", "code_challenge": "", **grant.request})
    scope = _narrowed_scope(ask, request)
    resource = _narrowed_resource(ask, request)
    fresh = RefreshToken.objects.filter(digest=row.digest, used_at=None)
    if not (fresh.update(used_at=ask.now) if ask.client.rotates else fresh.exists()):
        sessions.end([grant], "refresh-reuse", ask.now)
        return InvalidGrant("refresh-used")
    _used(grant, "renewal", ())
    return Granted(
        scope=scope,
        account_id=grant.account_id,
        authorization_details=request.authorization_details,
        resource=resource,
        refreshable=ask.client.rotates,
        grant=grant,
        identity=scopes.OPENID in scope and bool(grant.sid),
    )


def by_credentials(ask: Ask) -> Granted:
    """``client_credentials``: a machine for itself, only for what machines may have."""
    assert ask.client is not None
    known = scopes.known()
    asked = requests.scope(ask.parameters.get("scope", ""), ask.client)
    if beyond := [name for name in asked if not known[name].machine]:
        raise InvalidScope("scope-of-people", scope=" ".join(beyond))
    mine = asked or tuple(name for name in ask.client.scope if name in known and known[name].machine)
    found = details.read(
        ask.parameters.get("authorization_details", ""), ask.client.authorization_details_types
    )
    return Granted(
        scope=mine,
        authorization_details=found,
        resource=requests.resources(ask.parameters.get("resource", ""), ask.client, issuer()),
    )


grants.register(clients.CODE, by_code)
grants.register(clients.REFRESH, by_refresh)
grants.register(clients.MACHINE, by_credentials)


def _narrowed_scope(ask: Ask, request: Request) -> Sequence[str]:
    asked = ask.parameters.get("scope", "").split()
    if not set(asked) <= set(request.scope):
        raise InvalidScope("scope-wider")
    return tuple(name for name in request.scope if name in asked) if asked else request.scope


def _narrowed_resource(ask: Ask, request: Request) -> Sequence[str]:
    assert ask.client is not None
    asked = requests.resources(ask.parameters.get("resource", ""), ask.client, issuer())
    if request.resource and not set(asked) <= set(request.resource):
        raise InvalidTarget("resource-unknown", resource=" ".join(asked))
    return asked or request.resource


def _used(grant: Grant, what: str, claims: Iterable[str]) -> None:
    if grant.account_id and grant.client_id:
        Use.objects.create(
            account_id=grant.account_id,
            client_id=grant.client_id,
            what=what,
            shown=sorted(set(claims) - {"sub"}),
        )


# --- what clients may know ----------------------------------------------------------------------------------------


def userinfo(access: tokens.Access) -> dict[str, Any]:
    """What the client of a token may know of its person."""
    grant = Grant.objects.filter(name=access.grant).first()
    if grant is None:
        return {"sub": access.subject}
    request = Request.from_dict({"redirect_uri": "", "code_challenge": "", **grant.request})
    wanted = [*scopes.claims_of(access.scope), *request.claims_userinfo]
    told = people.claims(grant.account_id, [name for name in wanted if name != "verified_claims"])
    verified = request.verified.get("userinfo", ())
    if (verified or "verified_claims" in wanted) and (
        found := people.verified(grant.account_id, verified or ("name", "birthdate"))
    ):
        told["verified_claims"] = found
    _used(grant, "reading", told)
    return {**told, "sub": access.subject}


def introspect(found: Proven, text: str, now: datetime) -> dict[str, Any]:
    """What a resource server may know of a token that was shown to it (RFC 7662): nothing of one that is not for it."""
    from wantong.border.trust.identity.provider import access as door

    if not found.client.introspects:
        raise UnauthorizedClient("client-introspects")
    try:
        token = tokens.read_access(text, keys.all_keys(), issuer=issuer(), now=now)
        door.standing(token)
    except OAuthError:
        return {"active": False}
    if not set(token.audience) & set(found.client.introspects):
        return {"active": False}
    told = {name: value for name, value in token.claims.items() if name != "grant"}
    return {"active": True, "token_type": "DPoP" if token.jkt else "Bearer", **told}


def revoke(found: Proven, text: str, now: datetime) -> None:
    """Take a token back (RFC 7009): a refresh token with all of its family; an unknown one is no error."""
    row = RefreshToken.objects.select_related("grant").filter(digest=memory.digest(text)).first()
    if row is not None:
        if row.grant.client_id == found.client.client_id:
            sessions.end([row.grant], "revoked", now)
        return
    try:
        token = tokens.read_access(text, keys.all_keys(), issuer=issuer(), now=now)
    except OAuthError:
        return
    if token.client_id == found.client.client_id:
        memory.first_time("revoked", token.jti, until=token.expires + tokens.SKEW)


# --- what a person sees and takes back ----------------------------------------------------------------------------


def consents(account_id: str) -> list[dict[str, Any]]:
    """What the person allows, to whom, and when it was last used."""
    found = []
    for row in Consent.objects.select_related("client").filter(account_id=account_id, withdrawn_at=None):
        client = registration.as_client(row.client)
        uses = Use.objects.filter(account_id=account_id, client=row.client)
        found.append(
            {
                "client_id": client.client_id,
                "name": client.name,
                "scope": list(row.scope),
                "claims": list(row.claims),
                "given_at": row.given_at,
                "used_at": uses.values_list("at", flat=True).first(),
                "policy": client.policy_uri,
                "home": client.client_uri,
            }
        )
    return found


def uses(account_id: str, most: int = 100) -> list[dict[str, Any]]:
    """What clients got of the person, the latest first."""
    rows = Use.objects.select_related("client").filter(account_id=account_id)[:most]
    return [
        {
            "client_id": row.client_id,
            "name": registration.as_client(row.client).name,
            "what": row.what,
            "shown": row.shown,
            "at": row.at,
        }
        for row in rows
    ]


@transaction.atomic
def withdraw(account_id: str, client_id: str, now: datetime) -> None:
    """The person takes back what a client was allowed: its tokens end at once. Raises :class:`.UnknownConsent`."""
    row = (
        Consent.objects.select_for_update()
        .filter(account_id=account_id, client_id=client_id, withdrawn_at=None)
        .first()
    )
    if row is None:
        raise UnknownConsent
    row.withdrawn_at = now
    row.save(update_fields=("withdrawn_at",))
    sessions.end(
        Grant.objects.filter(account_id=account_id, client_id=client_id, ended_at=None), "withdrawn", now
    )
    _log_consent(row, "identity.consent.withdrawn", now)


def wishes(asked: Waiting, lang: str) -> list[str]:
    """What the client asks for, each completing "wants to …"."""
    told = wishes_of(asked.request.scope, _consented_claims(asked.request), lang)
    return [*told, *(details.described(one, lang) for one in asked.request.authorization_details)]


def wishes_of(names: Iterable[str], claims: Iterable[str], lang: str) -> list[str]:
    """Scopes and claims in words, in the order in which scopes are listed everywhere."""
    asked = set(names)
    told = [i18n.say(scope.title, lang) for name, scope in scopes.known().items() if name in asked]
    opened = {*scopes.claims_of(asked), "verified_claims"}
    prefix = "verified_claims."
    beside = [name for name in claims if name not in opened and not name.startswith(prefix)]
    verified = [name.removeprefix(prefix) for name in claims if name.startswith(prefix)]
    for key, found in (("provider.consent.claims", beside), ("provider.consent.verified", verified)):
        if found:
            text = ("、" if lang.startswith("zh") else ", ").join(named(found, lang))
            told.append(i18n.t(key, lang, claims=text))
    return told


def named(names: Iterable[str], lang: str) -> list[str]:
    """Claims by their names; one that nobody has named as it is written."""
    known = i18n.catalogue()
    return [i18n.t(key, lang) if (key := f"provider.claim.{name}") in known else name for name in names]
