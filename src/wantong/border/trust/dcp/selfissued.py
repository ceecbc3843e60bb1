"""Self-issued ID tokens (DCP 1.0, section 4.3): a participant says who it is, to one other, once.

``iss`` and ``sub`` are its DID, ``aud`` is the other's, ``jti`` is used once, ``token`` opens its credential service
to the other. Ours also say for which request they are (``htm``, ``htu``, ``bod`` as in our request tokens, and
``mid``): where these claims are, they must fit, and connectors that do not know them ignore them.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import unquote

from joserfc.jwk import ECKey

from wantong.border.trust import jws, tokens
from wantong.border.trust.dcp import jose
from wantong.border.trust.verdict import Refused

LIFETIME = timedelta(minutes=2)
LONGEST_LIFETIME = timedelta(minutes=15)
"""A ``jti`` is remembered as long as its token could be used; nobody may make us remember it for longer."""
SKEW = tokens.SKEW
LONGEST = 16 << 10
LONGEST_ACCESS = 8 << 10


@dataclass(frozen=True)
class SelfIssued:
    """What a token says; ``unproven`` is the token itself, whose signature is to be checked."""

    issuer: str
    jti: str
    access: str | None
    message_id: str | None
    expires: datetime
    unproven: jws.Unproven


def sign(
    key: ECKey,
    *,
    issuer: str,
    audience: str,
    now: datetime,
    access: str | None = None,
    request: tokens.Request | None = None,
    message_id: str | None = None,
) -> str:
    """A token of ``issuer`` for ``audience``, good for :data:`LIFETIME`."""
    claims: dict[str, Any] = {
        "iss": issuer,
        "sub": issuer,
        "aud": audience,
        "iat": int(now.timestamp()),
        "exp": int((now + LIFETIME).timestamp()),
        "jti": secrets.token_urlsafe(16),
    }
    if access:
        claims["token"] = access
    if request is not None:
        claims |= {"htm": request.method, "htu": request.url, "bod": tokens.digest(request.body)}
    if message_id:
        claims["mid"] = message_id
    return jose.sign(key, {"typ": "JWT", "kid": f"{issuer}#{key.thumbprint()}"}, claims)


def read(text: str, *, audience: str, now: datetime, request: tokens.Request | None = None) -> SelfIssued:
    """What ``text`` says, if it is meant for ``audience`` and good now; its signature is not looked at here.

    Raises :class:`Refused`.
    """
    token = jws.peek(text, LONGEST)
    claims = token.payload
    issuer, jti, access, mid = (claims.get(name) for name in ("iss", "jti", "token", "mid"))
    if not isinstance(issuer, str) or not issuer:
        raise Refused("jwt-form")
    if claims.get("sub") != issuer:
        raise Refused("token-subject", issuer=issuer, subject=claims.get("sub"))
    if claims.get("aud") not in (audience, [audience]):
        raise Refused("token-audience", audience=audience, found=claims.get("aud"))
    issued, expires, early = (jose.moment(claims, name) for name in ("iat", "exp", "nbf"))
    if issued is None or expires is None:
        raise Refused("jwt-time", claim="iat" if issued is None else "exp")
    if max(issued, early or issued) > now + SKEW:
        raise Refused("token-early", now=_minute(now))
    if expires <= now - SKEW:
        raise Refused("token-expired", expired=_minute(expires), now=_minute(now))
    if not timedelta(0) < expires - issued <= LONGEST_LIFETIME:
        raise Refused("token-span", minutes=LONGEST_LIFETIME // timedelta(minutes=1))
    if not isinstance(jti, str) or not 0 < len(jti) <= 100:
        raise Refused("token-jti")
    if access is not None and not (isinstance(access, str) and 0 < len(access) <= LONGEST_ACCESS):
        raise Refused("token-access")
    if mid is not None and not (isinstance(mid, str) and 0 < len(mid) <= 100):
        raise Refused("jwt-form")
    if token.kid is not None and token.kid.startswith("did:") and token.kid.partition("#")[0] != issuer:
        raise Refused("key-foreign", kid=token.kid, did=issuer)
    if request is not None and not _fits(claims, request):
        raise Refused("token-request")
    return SelfIssued(issuer, jti, access, mid, expires, token)


def _fits(claims: Any, request: tokens.Request) -> bool:
    said = {name: claims[name] for name in ("htm", "htu", "bod") if name in claims}
    if "htu" in said:
        # a server sees the path decoded and cannot know how it was written
        said["htu"] = unquote(str(said["htu"]))
    real = {"htm": request.method, "htu": unquote(request.url), "bod": tokens.digest(request.body)}
    return said.items() <= real.items()


def _minute(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M:%S UTC")
