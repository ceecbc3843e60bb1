"""The token endpoint: what a code, a refresh token or a machine's own word is exchanged for."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from wantong.border.trust.identity.provider import (
    clients,
    consents,
    details,
    grants,
    jose,
    keys,
    memory,
    people,
    requests,
    scopes,
    sessions,
    tokens,
)
from wantong.border.trust.identity.provider.grants import Ask, Granted
from wantong.border.trust.identity.provider.models import (
    Grant,
    RefreshToken,
)
from wantong.border.trust.identity.provider.problems import (
    InvalidClient,
    InvalidDpopProof,
    InvalidGrant,
    InvalidRequest,
    InvalidScope,
    InvalidTarget,
    OAuthError,
    UnauthorizedClient,
    UnsupportedGrantType,
)
from wantong.border.trust.identity.provider.proving import Proven
from wantong.border.trust.identity.provider.requests import Request
from wantong.ground import config

SESSION_LASTS, OFFLINE_LASTS = timedelta(hours=12), timedelta(days=30)
"""How long refresh tokens go on: with the person's session, and (``offline_access``) without it."""


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
            consents.subject_of(account_id, ask.client) if ask.client else secrets.token_urlsafe(24)
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
        issuer=config.current().url,
        client_id=client_id,
        subject=grant.subject if grant else client_id,
        audience=tuple(granted.resource) or (config.current().url,),
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
        issuer=config.current().url,
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
    consents.note_use(grant, "sign-in", request.claims)
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
    consents.note_use(grant, "renewal", ())
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
        resource=requests.resources(ask.parameters.get("resource", ""), ask.client, config.current().url),
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
    asked = requests.resources(ask.parameters.get("resource", ""), ask.client, config.current().url)
    if request.resource and not set(asked) <= set(request.resource):
        raise InvalidTarget("resource-unknown", resource=" ".join(asked))
    return asked or request.resource
