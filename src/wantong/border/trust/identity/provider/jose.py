"""What the provider has of its own about JWTs, which :mod:`wantong.border.trust.jws` reads: what counts, which keys."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey

from wantong.border.trust import jws
from wantong.border.trust.verdict import Refused

ALGORITHMS = ("ES256", "ES384", "Ed25519", "EdDSA", "PS256")
"""What others may sign with: those of FAPI 2.0 (no PKCS #1 v1.5), and P-384."""
SIGNS = "ES256"
"""What this node signs with."""
LONGEST = 16_384
MOST_TRIED = 10
_KINDS: Mapping[str, type[ECKey] | type[OKPKey] | type[RSAKey]] = {"EC": ECKey, "OKP": OKPKey, "RSA": RSAKey}


def peek(text: str) -> jws.Unproven:
    """The parts of a compact JWT. Raises :class:`Refused`."""
    return jws.peek(text, LONGEST)


def prove(token: jws.Unproven, keys: Iterable[Key]) -> Key:
    """The key of ``keys`` that signed ``token``; a ``kid`` in it narrows them. Raises :class:`Refused`."""
    named = token.header.get("kid")
    candidates = [key for key in keys if named is None or key.kid is None or key.kid == named]
    fitting = [key for key in candidates if token.header.get("alg") in jws.usable(key)]
    refused = Refused("key-unknown")
    for key in (fitting or candidates)[:MOST_TRIED]:
        try:
            jws.prove_by(token, key, algorithms=ALGORITHMS)
        except Refused as error:
            refused = error
        else:
            return key
    raise refused


def public_key(told: Any) -> Key:
    """A public JWK for signatures. Raises :class:`Refused`, also for one that holds private parts."""
    if not isinstance(told, Mapping) or told.get("use", "sig") != "sig":
        raise Refused("key-kind")
    if jws.PRIVATE_MEMBERS & told.keys():
        raise Refused("key-private")
    kind = _KINDS.get(str(told.get("kty")))
    if kind is None:
        raise Refused("key-kind")
    try:
        # who may do what with it is decided here, not by what its owner wrote into it
        key: Key = kind.import_key(
            {name: value for name, value in told.items() if name not in ("key_ops", "alg")}
        )
    except (JoseError, ValueError, TypeError, KeyError):
        raise Refused("key-kind") from None
    if not set(ALGORITHMS).intersection(jws.usable(key)):
        raise Refused("key-kind")
    return key


def public_keys(told: Any) -> list[Key]:
    """The usable keys of a JWK Set; others, as for encryption, are left out. Raises :class:`Refused` if it is none."""
    if not isinstance(told, Mapping) or not isinstance(told.get("keys"), Sequence):
        raise Refused("key-kind")
    found = []
    for one in told["keys"][:50]:
        if isinstance(one, Mapping) and jws.PRIVATE_MEMBERS & one.keys():
            raise Refused("key-private")
        try:
            found.append(public_key(one))
        except Refused:
            continue
    return found


def text(claims: Mapping[str, Any], name: str, longest: int = 300) -> str:
    """A claim that is a text, empty if it is missing, of another type or longer."""
    value = claims.get(name)
    return value if isinstance(value, str) and len(value) <= longest else ""


def digest(told: str | bytes) -> str:
    """SHA-256 in base64url without padding, as ``ath``, ``code_challenge`` and thumbprints have it."""
    content = told.encode() if isinstance(told, str) else told
    return jws.b64(hashlib.sha256(content).digest())
