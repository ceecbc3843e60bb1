"""The key with which this provider signs: the node's service key for "provider", in a file or in a hardware module.

Whoever checks a token finds it at ``jwks_uri``, with those that have signed before: what they signed is minutes old at
most, but for hints (``id_token_hint``). How it is changed says :mod:`wantong.border.trust.certificates.holdings`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc.jwk import ECKey

from wantong.border.trust import jws
from wantong.border.trust.certificates import holdings
from wantong.border.trust.identity.provider import jose

PURPOSE = "provider"
MOST_RETIRED = 3


@lru_cache(maxsize=64)
def _public(certificate: bytes) -> ECKey:
    pem = x509.load_der_x509_certificate(certificate).public_key()
    key = ECKey.import_key(pem.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return ECKey.import_key({**key.as_dict(private=False), "kid": key.thumbprint()})


def all_keys() -> tuple[ECKey, ...]:
    """The public keys: first the one that signs now, then those that did, the latest first. Raises NoHolding."""
    return _since(holdings.signer(PURPOSE).certificate)


@lru_cache(maxsize=8)
def _since(certificate: bytes) -> tuple[ECKey, ...]:
    # another key has retired exactly when another certificate has come
    old = [former.certificate for former in holdings.former(PURPOSE)]
    return tuple(map(_public, (certificate, *reversed(old[-MOST_RETIRED:]))))


def published() -> dict[str, Any]:
    """The public keys as a JWK Set."""
    return {"keys": [{**key.as_dict(private=False), "use": "sig", "alg": jose.SIGNS} for key in all_keys()]}


def sign(header: Mapping[str, Any], claims: Mapping[str, Any]) -> str:
    """A compact JWT of ``claims`` by the key that signs now. Raises NoHolding."""
    holding = holdings.signer(PURPOSE)
    return jws.sign(holding.signer, {"kid": _public(holding.certificate).kid, **header}, claims)
