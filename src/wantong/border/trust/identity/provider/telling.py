"""What clients may know by a token, and of one: userinfo, introspection, revocation."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from wantong.border.trust.identity.provider import (
    consents,
    keys,
    memory,
    people,
    scopes,
    sessions,
    tokens,
)
from wantong.border.trust.identity.provider.models import (
    Grant,
    RefreshToken,
)
from wantong.border.trust.identity.provider.problems import (
    OAuthError,
    UnauthorizedClient,
)
from wantong.border.trust.identity.provider.proving import Proven
from wantong.border.trust.identity.provider.requests import Request
from wantong.ground import config


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
    consents.note_use(grant, "reading", told)
    return {**told, "sub": access.subject}


def introspect(found: Proven, text: str, now: datetime) -> dict[str, Any]:
    """What a resource server may know of a token that was shown to it (RFC 7662): nothing of one that is not for it."""
    from wantong.border.trust.identity.provider import access as door

    if not found.client.introspects:
        raise UnauthorizedClient("client-introspects")
    try:
        token = tokens.read_access(text, keys.all_keys(), issuer=config.current().url, now=now)
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
        token = tokens.read_access(text, keys.all_keys(), issuer=config.current().url, now=now)
    except OAuthError:
        return
    if token.client_id == found.client.client_id:
        memory.first_time("revoked", token.jti, until=token.expires + tokens.SKEW)
