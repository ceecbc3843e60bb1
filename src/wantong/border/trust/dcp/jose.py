"""Signed JWTs of others: read without belief, then proven by a key that decides the algorithm itself.

The header's ``alg`` chooses nothing: it must be one that the key of the DID document is for, so that no public key is
ever taken for a shared secret, and ``none`` is nobody's.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey

from wantong.border.trust.dcp.refusal import Refused

ALGORITHM = "ES256"
"""What this node signs with, as the protocol's participants all do."""
_CURVES = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}


@dataclass(frozen=True)
class Unproven:
    """A JWT as it claims to be; nothing in it may be believed before :func:`prove`."""

    text: str
    header: Mapping[str, Any]
    claims: Mapping[str, Any]

    @property
    def kid(self) -> str | None:
        kid = self.header.get("kid")
        return kid if isinstance(kid, str) and kid else None


def peek(text: str, longest: int) -> Unproven:
    """The parts of a compact JWT. Raises :class:`Refused` if it is none or longer than ``longest`` characters."""
    if len(text) > longest:
        raise Refused("jwt-long", longest=longest)
    try:
        header, claims, _ = text.split(".")
        parts = [
            json.loads(base64.b64decode(_padded(part), b"-_", validate=True)) for part in (header, claims)
        ]
    except (ValueError, RecursionError, binascii.Error):
        raise Refused("jwt-form") from None
    if not all(isinstance(part, dict) for part in parts):
        raise Refused("jwt-form")
    return Unproven(text, *parts)


def prove(token: Unproven, key: Key) -> None:
    """Return if ``token`` was signed with ``key``. Raises :class:`Refused`."""
    usable = algorithms(key)
    algorithm = token.header.get("alg")
    if algorithm not in usable:
        raise Refused("algorithm", algorithm=algorithm, usable=", ".join(usable))
    try:
        jws.deserialize_compact(token.text, key, algorithms=list(usable))
    except (JoseError, ValueError, TypeError):
        raise Refused("signature") from None


def algorithms(key: Key) -> tuple[str, ...]:
    """What a public key of this kind may be used with."""
    if isinstance(key, ECKey):
        return (_CURVES[key.curve_name],) if key.curve_name in _CURVES else ()
    if isinstance(key, OKPKey):
        return ("EdDSA", "Ed25519") if key.curve_name == "Ed25519" else ()
    return ("PS256", "RS256") if isinstance(key, RSAKey) else ()


def sign(key: ECKey, header: Mapping[str, Any], claims: Mapping[str, Any]) -> str:
    """A compact JWT of ``claims`` by ``key`` (:data:`ALGORITHM`)."""
    content = json.dumps(claims, ensure_ascii=False, separators=(",", ":")).encode()
    return jws.serialize_compact({"alg": ALGORITHM, **header}, content, key, algorithms=[ALGORITHM])


def moment(claims: Mapping[str, Any], name: str) -> datetime | None:
    """The time in a claim (RFC 7519 NumericDate), None if it is not there. Raises :class:`Refused`."""
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1 << 35:
        raise Refused("jwt-time", claim=name)
    return datetime.fromtimestamp(value, UTC)


def _padded(part: str) -> bytes:
    return part.encode("ascii") + b"=" * (-len(part) % 4)
