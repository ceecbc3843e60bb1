"""The suites: which key with which hash and which signature, each under one name.

``ES256``, ``ES384``, ``Ed25519``, ``RS256``, ``PS256`` are the algorithms of those names in JOSE (RFC 7518, RFC 9864).
``SM2SM3`` is 国密: SM2 signatures (GB/T 32918.2) on the curve of GB/T 32918.5 over SM3 (GB/T 32905), the signer's
distinguishing identifier being ``1234567812345678`` (GM/T 0009), as in certificates.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from functools import cache
from typing import ClassVar, Final, Literal

from asn1crypto import algos, core, keys
from cryptography.hazmat.primitives import hashes

from wantong.ground.problems import Problem

Hash = Literal["sha1", "sha224", "sha256", "sha384", "sha512", "sm3"]

SM2_CURVE: Final = "1.2.156.10197.1.301"
SM2_WITH_SM3: Final = "1.2.156.10197.1.501"
SM3: Final = "1.2.156.10197.1.401"


class BadKey(Problem):
    """A key that cannot be read, or none of a suite known here: ``reason``, a stable code."""

    slug = "crypto-bad-key"
    status = 422
    CODES: ClassVar[Mapping[str, str]] = {"reason": "crypto.why"}


class Suite(StrEnum):
    """A key, a hash and a signature that go together."""

    ES256 = "ES256"
    ES384 = "ES384"
    Ed25519 = "Ed25519"
    RS256 = "RS256"
    PS256 = "PS256"
    SM2SM3 = "SM2SM3"

    @property
    def hash(self) -> Hash:
        """The hash that the suite signs, or for Ed25519 the one that goes with it in CMS (RFC 8419)."""
        return _HASH[self]

    @property
    def algorithm(self) -> algos.SignedDigestAlgorithm:
        """The AlgorithmIdentifier of its signatures in certificates and CMS."""
        return algos.SignedDigestAlgorithm.load(_algorithm(self))

    @property
    def pairs(self) -> int | None:
        """Bytes of one half where a signature is a pair of numbers (``r ‖ s``), else None."""
        return {Suite.ES256: 32, Suite.ES384: 48, Suite.SM2SM3: 32}.get(self)


_HASH: dict[Suite, Hash] = {
    Suite.ES256: "sha256",
    Suite.ES384: "sha384",
    Suite.Ed25519: "sha512",
    Suite.RS256: "sha256",
    Suite.PS256: "sha256",
    Suite.SM2SM3: "sm3",
}


def digest(name: Hash, data: bytes) -> bytes:
    """The hash of ``data``."""
    hasher = hashes.Hash(hash_called(name))
    hasher.update(data)
    return hasher.finalize()


def hash_called(name: str) -> hashes.HashAlgorithm:
    """The hash of that name for ``cryptography``. Raises KeyError."""
    return _HASHES[name]()


_HASHES: dict[str, type[hashes.HashAlgorithm]] = {
    "sha1": hashes.SHA1,
    "sha224": hashes.SHA224,
    "sha256": hashes.SHA256,
    "sha384": hashes.SHA384,
    "sha512": hashes.SHA512,
    "sm3": hashes.SM3,
}


@cache
def _algorithm(suite: Suite) -> bytes:
    if suite is Suite.PS256:
        mgf = {"algorithm": "mgf1", "parameters": {"algorithm": "sha256"}}
        parameters = {"hash_algorithm": {"algorithm": "sha256"}, "mask_gen_algorithm": mgf, "salt_length": 32}
        made = {"algorithm": "rsassa_pss", "parameters": parameters}
    elif suite is Suite.RS256:
        made = {"algorithm": "sha256_rsa", "parameters": core.Null()}
    else:
        made = {"algorithm": _NAMES[suite]}
    der: bytes = algos.SignedDigestAlgorithm(made).dump()
    return der


_NAMES = {
    Suite.ES256: "sha256_ecdsa",
    Suite.ES384: "sha384_ecdsa",
    Suite.Ed25519: "ed25519",
    Suite.SM2SM3: "sm3_sm2",
}


def _teach() -> None:
    """Have asn1crypto know SM2 and SM3 by name; who imports this package reads them wherever asn1crypto does."""
    keys.NamedCurve.register("sm2p256v1", SM2_CURVE, 32)
    for kind, name, oid in (
        (algos.DigestAlgorithmId, "sm3", SM3),
        (algos.SignedDigestAlgorithmId, "sm3_sm2", SM2_WITH_SM3),
    ):
        kind._map[oid] = name
        # made from the other one when it is first needed
        if kind._reverse_map is not None:
            kind._reverse_map[name] = oid


_teach()
