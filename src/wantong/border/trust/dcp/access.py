"""What opens our own credential service: a token that one verifier may use, for credentials of some types, for a while.

The verifier takes it for an opaque string (DCP 1.0, section 4.3.1). It is good only together with a self-issued token
of the very DID it was made for: whoever finds it can do nothing with it.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

from joserfc.jwk import ECKey

from wantong.border.trust import jws
from wantong.border.trust.dcp import jose
from wantong.border.trust.tokens import SKEW
from wantong.border.trust.verdict import Refused

TYPE = "wantong-claims+jwt"
LIFETIME = timedelta(minutes=10)


def issue(key: ECKey, *, did: str, verifier: str, types: Collection[str], now: datetime) -> str:
    """A token with which ``verifier`` may read the credentials of ``types`` that ``did`` holds."""
    claims = {
        "iss": did,
        "aud": did,
        "sub": verifier,
        "types": sorted(types),
        "exp": int((now + LIFETIME).timestamp()),
    }
    return jose.sign(key, {"typ": TYPE}, claims)


def read(text: str, key: ECKey, *, did: str, verifier: str, now: datetime) -> frozenset[str]:
    """The types that ``verifier`` may read. Raises :class:`.Refused`."""
    token = jws.peek(text, 8 << 10)
    jws.prove_by(token, key)
    claims = token.payload
    types, expires = claims.get("types"), jose.moment(claims, "exp")
    if token.header.get("typ") != TYPE or claims.get("aud") != did or not isinstance(types, list):
        raise Refused("jwt-form")
    if claims.get("sub") != verifier:
        raise Refused("token-subject", issuer=verifier, subject=claims.get("sub"))
    if expires is None or expires <= now - SKEW:
        raise Refused("token-expired", expired=expires or "-", now=now)
    return frozenset(map(str, types))
