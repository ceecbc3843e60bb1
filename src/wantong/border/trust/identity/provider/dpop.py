"""Proofs of possession (RFC 9449): a JWT by the client's own key about one request.

Every decision about a proof is in :func:`check`, but one: that its ``jti`` is new, which needs a memory.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import unquote, urlsplit

from wantong.border.trust import jws
from wantong.border.trust.identity.provider import jose
from wantong.border.trust.identity.provider.problems import InvalidDpopProof, UseDpopNonce
from wantong.border.trust.verdict import Refused

HEADER, TYPE = "DPoP", "dpop+jwt"
AGE = 60
"""Seconds for which a proof is good."""
SKEW = 30
"""Seconds by which the clocks may stand apart."""
_PORTS = {"https": 443, "http": 80}


@dataclass(frozen=True)
class Proof:
    """What a good proof says: the thumbprint of its key, and its name, to be remembered until ``until`` (seconds)."""

    jkt: str
    jti: str
    until: float


def check(
    text: str,
    *,
    method: str,
    url: str,
    now: datetime,
    fresh: Callable[[str], bool],
    nonce_wanted: bool,
    access_token: str | None = None,
) -> Proof:
    """What ``text`` proves about a request of ``method`` to ``url``, with ``access_token`` if one goes with it.

    ``fresh`` tells whether a nonce is this node's and good. Raises :class:`.InvalidDpopProof`, :class:`.UseDpopNonce`.
    """
    try:
        token = jose.peek(text)
        key = jose.public_key(token.header.get("jwk"))
        if token.header.get("typ") != TYPE:
            raise InvalidDpopProof("jwt-type", of=HEADER)
        # the key in the header is the only one that counts: a kid beside it says nothing
        jws.prove_by(token, key, algorithms=jose.ALGORITHMS)
        issued = jws.seconds(token.payload, "iat")
        expires, begins = (jws.seconds(token.payload, name) for name in ("exp", "nbf"))
    except Refused as error:
        raise InvalidDpopProof(error.code, of=HEADER) from None
    jti = jose.text(token.payload, "jti")
    if not jti:
        raise InvalidDpopProof("jwt-jti", of=HEADER)
    if token.payload.get("htm") != method:
        raise InvalidDpopProof("proof-method")
    if not _same_address(jose.text(token.payload, "htu", 2000), url):
        raise InvalidDpopProof("proof-address")
    clock = now.timestamp()
    if issued is None or not clock - AGE - SKEW <= issued <= clock + SKEW:
        raise InvalidDpopProof("jwt-time", of=HEADER)
    if (expires is not None and expires < clock - SKEW) or (begins is not None and begins > clock + SKEW):
        raise InvalidDpopProof("jwt-time", of=HEADER)
    nonce = token.payload.get("nonce")
    if nonce is None and nonce_wanted:
        raise UseDpopNonce("proof-no-nonce")
    if nonce is not None and not (isinstance(nonce, str) and fresh(nonce)):
        raise UseDpopNonce("proof-old-nonce")
    ath = jose.text(token.payload, "ath")
    if access_token is not None and not hmac.compare_digest(ath, jose.digest(access_token)):
        raise InvalidDpopProof("proof-token")
    return Proof(key.thumbprint(), jti, issued + AGE + 2 * SKEW)


def _same_address(told: str, url: str) -> bool:
    return bool(told) and told.isascii() and _normal(told) == _normal(url)


def _normal(url: str) -> tuple[str, str | None, int | None, str] | None:
    """Scheme, host, port and path (RFC 9449, 4.3: without query and fragment; RFC 3986, 6.2.2 and 6.2.3)."""
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        return None
    if "@" in parts.netloc:
        return None
    return parts.scheme, parts.hostname, port, unquote(parts.path) or "/"
