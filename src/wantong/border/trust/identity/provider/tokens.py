"""What this node signs: access tokens (RFC 9068), ID tokens (OpenID Core, 2), logout tokens (Back-Channel Logout, 2.4)."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from joserfc.jwk import Key

from wantong.border.trust import jws
from wantong.border.trust.identity.provider import jose
from wantong.border.trust.identity.provider.problems import InvalidToken
from wantong.border.trust.verdict import Refused

ACCESS, LOGOUT = "at+jwt", "logout+jwt"
ACCESS_LIFETIME, ID_LIFETIME, LOGOUT_LIFETIME = 300, 300, 120
"""Seconds. Access tokens are short because elsewhere nobody asks whether they were revoked."""
SKEW = 5
LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout"

Sign = Callable[[Mapping[str, Any], Mapping[str, Any]], str]
"""Signs claims under a header (``typ`` and the like), with the key of the moment."""


@dataclass(frozen=True)
class Access:
    """What an access token says. ``jkt``: the thumbprint of the key that it is bound to, empty if to none.

    ``grant`` names what a person allowed, empty for a machine of its own; ``account_id`` is known only at home, it
    does not stand in the token.
    """

    client_id: str
    subject: str
    scope: frozenset[str]
    audience: tuple[str, ...]
    jti: str
    expires: int
    authorization_details: tuple[Mapping[str, Any], ...] = ()
    jkt: str = ""
    grant: str = ""
    account_id: str | None = None
    issued: int = 0
    claims: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def allows(self, *names: str) -> bool:
        """Whether all these scopes are among its own."""
        return self.scope.issuperset(names)


def access(
    sign: Sign,
    *,
    issuer: str,
    client_id: str,
    subject: str,
    audience: Sequence[str],
    scope: Iterable[str],
    now: datetime,
    jkt: str = "",
    grant: str = "",
    authorization_details: Sequence[Mapping[str, Any]] = (),
    session: Mapping[str, Any] | None = None,
) -> str:
    """An access token; ``session`` are ``auth_time``, ``acr`` and ``amr`` of a person."""
    moment = int(now.timestamp())
    claims: dict[str, Any] = {
        "iss": issuer,
        "sub": subject,
        "aud": audience[0] if len(audience) == 1 else list(audience),
        "client_id": client_id,
        "iat": moment,
        "exp": moment + ACCESS_LIFETIME,
        "jti": secrets.token_urlsafe(16),
        **(session or {}),
    }
    if text := " ".join(scope):
        claims["scope"] = text
    if jkt:
        claims["cnf"] = {"jkt": jkt}
    if grant:
        claims["grant"] = grant
    if authorization_details:
        claims["authorization_details"] = list(authorization_details)
    return sign({"typ": ACCESS}, claims)


def read_access(text: str, keys: Iterable[Key], *, issuer: str, now: datetime) -> Access:
    """What an access token of this issuer says. Raises :class:`.InvalidToken`.

    Whom it is for (``audience``), and whether it was revoked, is for the caller to judge.
    """
    try:
        token = jose.peek(text)
        jose.prove(token, keys)
    except Refused:
        raise InvalidToken("token-signature") from None
    claims = token.payload
    if token.header.get("typ") != ACCESS or claims.get("iss") != issuer:
        raise InvalidToken("token-signature")
    if now.timestamp() >= claims["exp"] + SKEW:
        raise InvalidToken("token-expired")
    audience = claims["aud"]
    return Access(
        client_id=claims["client_id"],
        subject=claims["sub"],
        scope=frozenset(claims.get("scope", "").split()),
        audience=(audience,) if isinstance(audience, str) else tuple(audience),
        jti=claims["jti"],
        expires=claims["exp"],
        authorization_details=tuple(claims.get("authorization_details", ())),
        jkt=claims.get("cnf", {}).get("jkt", ""),
        grant=claims.get("grant", ""),
        issued=claims["iat"],
        claims=claims,
    )


def identity(
    sign: Sign,
    *,
    issuer: str,
    client_id: str,
    subject: str,
    now: datetime,
    auth_time: int,
    acr: str,
    amr: Sequence[str],
    sid: str,
    nonce: str | None = None,
    more: Mapping[str, Any] | None = None,
    access_token: str = "",
) -> str:
    """An ID token; ``more`` are claims of the person that were asked for by name."""
    moment = int(now.timestamp())
    claims: dict[str, Any] = {
        **(more or {}),
        "iss": issuer,
        "sub": subject,
        "aud": client_id,
        "iat": moment,
        "exp": moment + ID_LIFETIME,
        "auth_time": auth_time,
        "amr": list(amr),
        "sid": sid,
    }
    if acr:
        claims["acr"] = acr
    if nonce is not None:
        claims["nonce"] = nonce
    if access_token:
        claims["at_hash"] = _half(access_token)
    return sign({"typ": "JWT"}, claims)


def logout(sign: Sign, *, issuer: str, client_id: str, subject: str, sid: str, now: datetime) -> str:
    """A logout token: the session ``sid`` of ``subject`` at this client is over."""
    moment = int(now.timestamp())
    return sign(
        {"typ": LOGOUT},
        {
            "iss": issuer,
            "aud": client_id,
            "sub": subject,
            "sid": sid,
            "iat": moment,
            "exp": moment + LOGOUT_LIFETIME,
            "jti": secrets.token_urlsafe(16),
            "events": {LOGOUT_EVENT: {}},
        },
    )


@dataclass(frozen=True)
class Hint:
    """What an ID token says that came back as a hint, whatever its age."""

    client_id: str
    subject: str
    sid: str


def read_hint(text: str, keys: Iterable[Key], *, issuer: str) -> Hint | None:
    """Whom an ``id_token_hint`` means, None if this issuer did not sign it as an ID token (RP-Initiated Logout, 2)."""
    try:
        token = jose.peek(text)
        jose.prove(token, keys)
    except Refused:
        return None
    said = [jose.text(token.payload, name) for name in ("aud", "sub", "sid")]
    if token.header.get("typ") != "JWT" or token.payload.get("iss") != issuer or not all(said):
        return None
    return Hint(*said)


def for_one_of(audience: Collection[str], home: str) -> bool:
    """Whether a token with that audience is for this node: its address, or one under it."""
    return any(one == home or one.startswith(f"{home}/") for one in audience)


def _half(text: str) -> str:
    """``at_hash``: the left half of the SHA-256 (OpenID Core, 3.1.3.6)."""
    return jws.b64(hashlib.sha256(text.encode("ascii")).digest()[:16])
