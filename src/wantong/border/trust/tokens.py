"""The token of one request: who asks whom, for exactly this request, now.

A JWT signed with Ed25519. ``iss`` and ``aud`` are participant ids; ``htm`` and ``htu`` are the method and the whole
address (RFC 9449 names); ``bod`` is the SHA-256 of the body in base64url; ``jti`` is used once; ``mid``, if there is
one, names the message: a message that is sent again has a new ``jti`` and its old ``mid``.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import unquote

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from wantong.ground.problems import Problem

ALGORITHM = "Ed25519"
LIFETIME = timedelta(seconds=60)
# how far two nodes' clocks may stand apart
SKEW = timedelta(seconds=30)
LONGEST = 4096


class BadToken(Exception):
    """A token that proves nothing; the text says why. It goes to our log, never to the caller."""


class Explained(BadToken):
    """It is certain who asks, and he may not: ``problem`` is what he is told, ``why`` is for our log."""

    def __init__(self, problem: Problem, why: str) -> None:
        self.problem = problem
        super().__init__(why)


@dataclass(frozen=True)
class Request:
    """A request as its token must describe it. ``url`` is absolute, with the query."""

    method: str
    url: str
    body: bytes = b""


@dataclass(frozen=True)
class Claims:
    """What a good token says. After ``expires`` (with the skew added) its ``jti`` need not be remembered."""

    issuer: str
    jti: str
    message_id: str | None
    expires: datetime


def sign(
    key: OKPKey, *, issuer: str, audience: str, request: Request, now: datetime, message_id: str | None = None
) -> str:
    """A token for ``request``, good for :data:`LIFETIME` from ``now``."""
    claims: dict[str, Any] = {
        "iss": issuer,
        "aud": audience,
        "iat": int(now.timestamp()),
        "exp": int((now + LIFETIME).timestamp()),
        "jti": secrets.token_urlsafe(16),
        "htm": request.method,
        "htu": request.url,
        "bod": digest(request.body),
    }
    if message_id:
        claims["mid"] = message_id
    return jwt.encode(
        {"alg": ALGORITHM, "typ": "JWT", "kid": key.thumbprint()}, claims, key, algorithms=[ALGORITHM]
    )


def issuer(token: str) -> str:
    """Who the token says it is from, unproven: only to choose the key to check it with. Raises BadToken."""
    if len(token) > LONGEST:
        raise BadToken("longer than any token of ours")
    try:
        part = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
        name = claims["iss"]
    except (ValueError, KeyError, IndexError, TypeError, RecursionError):
        raise BadToken("not a JWT with an issuer") from None
    if not isinstance(name, str):
        raise BadToken("issuer is not a string")
    return name


def key_id(token: str) -> str:
    """Which key the token says it is signed with, unproven; empty if it does not say."""
    try:
        part = token.split(".")[0]
        told = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))).get("kid", "")
    except (ValueError, AttributeError, RecursionError):
        return ""
    return told if isinstance(told, str) else ""


def verify(token: str, key: OKPKey, *, audience: str, request: Request, now: datetime) -> Claims:
    """What ``token`` proves about ``request``, if it was signed with ``key`` for ``audience`` and is still good.

    Every security decision about a request token is in this function but one: that its ``jti`` is new, which needs
    a memory. Raises :class:`BadToken`.
    """
    try:
        claims: Mapping[str, Any] = jwt.decode(token, key, algorithms=[ALGORITHM]).claims
    except (JoseError, ValueError, TypeError) as error:
        raise BadToken(f"not signed with the pinned key: {error}") from None
    text = {name: claims.get(name) for name in ("iss", "aud", "jti", "htm", "htu", "bod")}
    if not all(isinstance(value, str) and value for value in text.values()):
        raise BadToken("a claim is missing or not a string")
    issued, expires = claims.get("iat"), claims.get("exp")
    if type(issued) is not int or type(expires) is not int:
        raise BadToken("iat and exp must be whole seconds")
    clock = now.timestamp()
    if text["aud"] != audience:
        raise BadToken(f"meant for {text['aud']!r}")
    if issued > clock + SKEW.total_seconds():
        raise BadToken("issued in the future: the clocks stand too far apart")
    if expires < clock - SKEW.total_seconds():
        raise BadToken("expired")
    if not 0 < expires - issued <= LIFETIME.total_seconds():
        raise BadToken("good for longer than a minute")
    # a server sees the path decoded and cannot know how it was written
    if (text["htm"], unquote(str(text["htu"]))) != (request.method, unquote(request.url)):
        raise BadToken(f"made for {text['htm']} {text['htu']}")
    if text["bod"] != digest(request.body):
        raise BadToken("made for another body")
    mid = claims.get("mid")
    if mid is not None and not (isinstance(mid, str) and 0 < len(mid) <= 100):
        raise BadToken("mid is not a short string")
    jti = str(text["jti"])
    if len(jti) > 100:
        raise BadToken("jti is too long")
    return Claims(str(text["iss"]), jti, mid, datetime.fromtimestamp(expires, tz=now.tzinfo))


def digest(body: bytes) -> str:
    """SHA-256 in base64url without padding."""
    return base64.urlsafe_b64encode(hashlib.sha256(body).digest()).rstrip(b"=").decode()
