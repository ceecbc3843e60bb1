"""What needs no place to be kept: codes, nonces and the key that requests are encrypted to, made from the node's secret.

Every process makes the same ones; they change with ``web.key``, and the old ones count while its old one does.
"""

from __future__ import annotations

import hmac
import uuid
from datetime import datetime
from functools import lru_cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from django.conf import settings
from joserfc.jwk import ECKey

from wantong.border.trust import jws

NONCE_SPAN = 300
"""Seconds: a nonce is good for at least that long, and at most twice."""
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def _secrets() -> list[bytes]:
    return [settings.SECRET_KEY.encode(), *(old.encode() for old in settings.SECRET_KEY_FALLBACKS)]


def _mac(secret: bytes, purpose: str, about: bytes) -> bytes:
    return hmac.digest(secret, b"wantong.credentials." + purpose.encode() + b"\0" + about, "sha256")


def offer_code(offer: uuid.UUID) -> str:
    """The pre-authorised code of an offer."""
    return _offer_code(_secrets()[0], offer)


def _offer_code(secret: bytes, offer: uuid.UUID) -> str:
    return jws.b64(offer.bytes + _mac(secret, "offer", offer.bytes)[:24])


def offer_of(code: str) -> uuid.UUID | None:
    """The offer whose code this is, None if it is none."""
    try:
        offer = uuid.UUID(bytes=jws.unb64(code)[:16])
    except ValueError:
        return None
    good = [hmac.compare_digest(_offer_code(secret, offer), code) for secret in _secrets()]
    return offer if any(good) else None


def digest(purpose: str, *about: str) -> str:
    """A keyed digest under which something is kept."""
    return _mac(_secrets()[0], purpose, "\0".join(about).encode()).hex()


def digests(purpose: str, *about: str) -> list[str]:
    """Every digest that :func:`digest` may have made of the same."""
    return [_mac(secret, purpose, "\0".join(about).encode()).hex() for secret in _secrets()]


def nonce(now: datetime) -> str:
    """A ``c_nonce`` of this moment."""
    return _nonce(_secrets()[0], int(now.timestamp()) // NONCE_SPAN)


def _nonce(secret: bytes, span: int) -> str:
    return jws.b64(_mac(secret, "nonce", str(span).encode())[:18])


def fresh(told: str, now: datetime) -> bool:
    """Whether a ``c_nonce`` is one of this node's, and still good."""
    span = int(now.timestamp()) // NONCE_SPAN
    asked = told.encode("utf-8", "replace")
    good = [
        hmac.compare_digest(_nonce(secret, span - back).encode(), asked)
        for secret in _secrets()
        for back in (0, 1)
    ]
    return any(good)


def encryption_keys() -> list[ECKey]:
    """The keys that requests may be encrypted to, the newest first; each has its ``kid``."""
    return [_encryption_key(secret) for secret in _secrets()]


@lru_cache(maxsize=8)
def _encryption_key(secret: bytes) -> ECKey:
    # 64 bytes taken modulo the order less one: no number is likelier than another by more than 2^-256
    wide = _mac(secret, "encryption", b"1") + _mac(secret, "encryption", b"2")
    private = ec.derive_private_key(int.from_bytes(wide, "big") % (_ORDER - 1) + 1, ec.SECP256R1())
    key = ECKey.import_key(private)
    kid = {"kid": key.thumbprint(), "alg": "ECDH-ES", "use": "enc"}
    return ECKey.import_key({**key.as_dict(private=True), **kid})


def encryption_jwks() -> dict[str, Any]:
    """The public halves, the newest alone: old ones open what was on its way."""
    return {"keys": [encryption_keys()[0].as_dict(private=False)]}
