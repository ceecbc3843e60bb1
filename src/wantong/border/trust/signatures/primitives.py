"""Where a signature meets a public key: every format's name for an algorithm becomes the AlgorithmIdentifier of CMS.

Wider than :class:`wantong.ground.crypto.Suite`, which is what this node signs with: documents of others are older, and
what is no longer safe (:mod:`wantong.border.trust.certificates.algorithms`) must still be told apart from what is wrong.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

from asn1crypto import algos
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa

from wantong.border.trust.verdict import Refused
from wantong.ground.crypto import sm2, x509
from wantong.ground.crypto.keys import public_key
from wantong.ground.crypto.pairs import to_der
from wantong.ground.crypto.suites import BadKey, Suite

Kind = Literal["rsa", "rsa-pss", "ecdsa", "dsa", "ed25519", "ed448", "sm2", "unknown"]
Algorithm: TypeAlias = algos.SignedDigestAlgorithm

DIGESTS: Final = (
    "md5", "sha1", "sha224", "sha256", "sha384", "sha512",
    "sha3_224", "sha3_256", "sha3_384", "sha3_512", "ripemd160", "sm3",
)  # fmt: skip
"""Hashes by asn1crypto's names: what a document may name; which are safe is another question."""


def unknown(name: object) -> Refused:
    """What is said of an algorithm that nobody here knows."""
    return Refused("algorithm-unknown", indication="CRYPTO_CONSTRAINTS_FAILURE", name=name)


def digest(name: str, data: bytes) -> bytes:
    """The hash called ``name`` of ``data``. Raises :class:`Refused` for one that is not known here."""
    if name == "sm3":
        hasher = hashes.Hash(hashes.SM3())
        hasher.update(data)
        return hasher.finalize()
    if name not in DIGESTS:
        raise unknown(name)
    try:
        return hashlib.new(name, data, usedforsecurity=False).digest()
    except ValueError:
        raise unknown(name) from None


def algorithm(kind: str, hashed: str, *, salt: int | None = None) -> Algorithm:
    """How a signature was made: the kind of key, the hash, for PSS the bytes of its salt (as many as the hash has)."""
    if kind == "sm2" and hashed == "sm3":
        return Suite.SM2SM3.algorithm
    if kind in ("ed25519", "ed448"):
        return Algorithm({"algorithm": kind})
    if kind == "rsa-pss":
        size = len(digest(hashed, b"")) if salt is None else salt
        mask = {"algorithm": "mgf1", "parameters": {"algorithm": hashed}}
        parameters = {
            "hash_algorithm": {"algorithm": hashed},
            "mask_gen_algorithm": mask,
            "salt_length": size,
        }
        return Algorithm({"algorithm": "rsassa_pss", "parameters": parameters})
    try:
        return Algorithm({"algorithm": f"{hashed}_{kind}"})
    except (ValueError, KeyError):
        raise unknown(f"{kind} {hashed}") from None


def of_cms(identifier: Algorithm, hashed: str) -> Algorithm:
    """The algorithm that a CMS names, which for RSA is often the key's alone: then the hash is that of the message."""
    name = identifier["algorithm"].native
    return (
        algorithm("rsa" if name == "rsassa_pkcs1v15" else name, hashed) if name in _KEYS_ALONE else identifier
    )


_KEYS_ALONE = ("rsassa_pkcs1v15", "rsa", "ecdsa", "dsa")


def hash_of(identifier: Algorithm) -> str:
    """The hash inside an algorithm; blank where it has none of its own to choose (Ed25519)."""
    name = identifier["algorithm"].native
    if name in ("ed25519", "ed448"):
        return ""
    if name == "sm3_sm2":
        return "sm3"
    try:
        return str(identifier.hash_algo)
    except ValueError:
        raise unknown(name) from None


def verify(
    identifier: Algorithm, public: bytes, message: bytes, signature: bytes, *, raw: bool = False
) -> bool:
    """Whether ``signature`` over ``message`` is by the key of ``public`` (SubjectPublicKeyInfo, DER).

    ``raw``: a pair of numbers is written ``r ‖ s``, as JOSE and XML do. False also where the key is of another kind
    than the algorithm. Raises :class:`Refused` for what is not known here.
    """
    try:
        if raw and len(signature) != 2 * ((bits(public)[1] + 7) // 8):
            return False
        return x509.verify(identifier, public, message, to_der(signature) if raw else signature)
    except x509.UnknownAlgorithm:
        if kind_of(identifier) == bits(public)[0].removesuffix("-pss"):
            raise unknown(identifier["algorithm"].native) from None
        return False
    except BadKey:
        raise Refused("key-unknown", indication="CRYPTO_CONSTRAINTS_FAILURE") from None
    except ValueError:
        return False


def kind_of(identifier: Algorithm) -> str:
    """The kind of key that an algorithm is for."""
    name = str(identifier["algorithm"].native)
    if name == "rsassa_pss" or name.endswith("rsa"):
        return "rsa"
    return name.rpartition("_")[2]


def bits(public: bytes) -> tuple[Kind, int]:
    """The kind of a public key and its size: bits of the modulus, or of the curve's field."""
    if sm2.is_key(public):
        return "sm2", 256
    try:
        key = public_key(public)
    except BadKey:
        return "unknown", 0
    if isinstance(key, rsa.RSAPublicKey):
        return "rsa", key.key_size
    if isinstance(key, ec.EllipticCurvePublicKey):
        return "ecdsa", key.key_size
    if isinstance(key, dsa.DSAPublicKey):
        return "dsa", key.key_size
    if isinstance(key, ed25519.Ed25519PublicKey):
        return "ed25519", 256
    return ("ed448", 448) if isinstance(key, ed448.Ed448PublicKey) else ("unknown", 0)


JOSE: Final[Mapping[str, tuple[str, str]]] = {
    **{f"{kind}{size}": (name, f"sha{size}") for kind, name in (("RS", "rsa"), ("PS", "rsa-pss"), ("ES", "ecdsa")) for size in (256, 384, 512)},
    "EdDSA": ("ed25519", ""),
    "Ed25519": ("ed25519", ""),
    "Ed448": ("ed448", ""),
    "SM2SM3": ("sm2", "sm3"),
}  # fmt: skip
"""``alg`` of RFC 7518 and RFC 9864 as kind of key and hash. ``SM2SM3`` is registered nowhere: others refuse it."""
