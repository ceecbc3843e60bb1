"""Signatures in every suite of the bay, 国密 among them; the keys in files or in hardware modules.

ES256, ES384, Ed25519, RS256 and PS256 by ``cryptography``; SM2 over SM3 by the system's libcrypto. A :class:`Signer` is
a private key wherever it lies; :mod:`~wantong.ground.crypto.x509` has what certificates and CMS add. Nothing here knows
what is signed. Plan tasks 43, 45.

>>> key = generate(Suite.ES256)
>>> verify(key.suite, key.public, b"...", key.sign(b"..."))
True
"""

from wantong.ground.crypto.keys import (
    Signer,
    SoftwareKey,
    generate,
    load,
    public_key,
    suite_of,
    verify,
)
from wantong.ground.crypto.pairs import to_der, to_raw
from wantong.ground.crypto.sm2 import Sm2Missing
from wantong.ground.crypto.suites import BadKey, Hash, Suite, digest
from wantong.ground.crypto.x509 import BadRequest, UnknownAlgorithm

__all__ = [
    "BadKey",
    "BadRequest",
    "Hash",
    "Signer",
    "Sm2Missing",
    "SoftwareKey",
    "Suite",
    "UnknownAlgorithm",
    "digest",
    "generate",
    "load",
    "public_key",
    "suite_of",
    "to_der",
    "to_raw",
    "verify",
]
