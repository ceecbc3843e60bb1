"""Which signatures count as safe on which day, and whether one is by a key.

What is safe stands in ``data/algorithms.yaml`` with sources and days; :mod:`wantong.ground.crypto` checks signatures,
国密 among them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import cache, lru_cache
from importlib import resources
from pathlib import Path
from typing import Any, Final, Literal

from asn1crypto import algos

from wantong.border.trust.certificates import asn1
from wantong.border.trust.certificates.asn1 import Fields, Malformed
from wantong.border.trust.certificates.certificate import Algorithm
from wantong.ground import yamlfile
from wantong.ground.crypto import BadKey, public_key, sm2, x509

KeyKind = Literal["rsa", "dsa", "ec", "ed25519", "ed448", "sm2"]
_KINDS: Final[Mapping[str, KeyKind]] = {
    "1.2.840.113549.1.1.1": "rsa",
    "1.2.840.113549.1.1.10": "rsa",
    "1.2.840.10040.4.1": "dsa",
    "1.2.840.10045.2.1": "ec",
    "1.3.101.112": "ed25519",
    "1.3.101.113": "ed448",
}


LONGEST_EXPONENT: Final = 256
"""Bits of an RSA public exponent (FIPS 186-5, A.1.1): the work of checking a signature grows with them."""


@dataclass(frozen=True, slots=True)
class Method:
    """How keys of a kind sign, and the day from which that is not safe."""

    key: KeyKind
    until: date | None


@dataclass(frozen=True, slots=True)
class Scheme:
    """A signature algorithm of certificates: how the key signs, over which hash (None: its own)."""

    name: str
    method: str
    hash: str | None


@dataclass(frozen=True, slots=True)
class Algorithms:
    """What is safe until when: of a day None says that none is known, ``date.min`` that it never was.

    ``sizes`` has, by kind of key, (from so many bits, until) in order; ``most`` the bits that are checked at all.
    """

    schemes: Mapping[str, Scheme]
    digests: Mapping[str, date | None]
    methods: Mapping[str, Method]
    sizes: Mapping[str, tuple[tuple[int, date | None], ...]]
    most: Mapping[str, int]
    dated: bool = True

    @classmethod
    def load(cls) -> Algorithms:
        """Those of ``data/algorithms.yaml``."""
        return _load()

    def undated(self) -> Algorithms:
        """The same without regard to when: for lists and test suites that are older than the ends."""
        return replace(self, dated=False)

    def until(self, method: str, bits: int) -> date | None:
        """When signatures by ``method`` with a key of so many bits stop being safe. Raises KeyError if it is unknown."""
        how = self.methods[method]
        return _earlier(how.until, self._key(how.key, bits))

    def safe(self, algorithm: Algorithm, at: datetime) -> bool:
        """Whether signatures by ``algorithm`` count at that time, in PSS with the hash that its parameters name."""
        scheme = self.schemes.get(algorithm.oid)
        if scheme is None:
            return False
        until = self.methods[scheme.method].until
        hashed = _pss_hash(algorithm.parameters) if scheme.hash == "parameters" else scheme.hash
        if hashed is not None:
            until = _earlier(until, self.digests.get(hashed, date.min))
        return self._stands(until, at)

    def enough(self, kind: str, bits: int, at: datetime) -> bool:
        """Whether a key of so many bits is long enough at that time, and not too long."""
        return kind in self.sizes and bits <= self.most[kind] and self._stands(self._key(kind, bits), at)

    def name(self, oid: str) -> str:
        """What an algorithm is called; its OID if nobody here knows it."""
        return self.schemes[oid].name if oid in self.schemes else oid

    def _key(self, kind: str, bits: int) -> date | None:
        reached = [until for least, until in self.sizes[kind] if bits >= least]
        return reached[-1] if reached else date.min

    def _stands(self, until: date | None, at: datetime) -> bool:
        return until is None or (until > date.min and not self.dated) or at.date() < until


def _earlier(one: date | None, other: date | None) -> date | None:
    return min((day for day in (one, other) if day is not None), default=None)


@cache
def _load() -> Algorithms:
    path = Path(str(resources.files("wantong.border.trust.certificates") / "data" / "algorithms.yaml"))
    told: dict[str, Any] = yamlfile.load(path)

    def until(row: Mapping[str, Any]) -> date | None:
        return date.min if row["until"] == "never" else row["until"]

    return Algorithms(
        {oid: Scheme(row["name"], row["method"], row.get("hash")) for oid, row in told["signatures"].items()},
        {name: until(row) for name, row in told["digests"].items()},
        {name: Method(row["key"], until(row)) for name, row in told["methods"].items()},
        {
            kind: tuple((size["bits"], until(size)) for size in row["sizes"])
            for kind, row in told["keys"].items()
        },
        {kind: row["most"] for kind, row in told["keys"].items()},
    )


class Unusable(Exception):
    """A key nobody here can use: of an unknown kind or curve, or with numbers that make none."""


def lacks_parameters(algorithm: Algorithm) -> bool:
    """Whether a key takes its parameters from its issuer's (DSA, RFC 3279 2.3.2)."""
    return _KINDS.get(algorithm.oid) == "dsa" and algorithm.parameters in (None, b"\x05\x00")


def with_parameters(spki: bytes, issuer: bytes) -> bytes:
    """A SubjectPublicKeyInfo with the parameters of the issuer's put in. Raises Malformed."""
    own, theirs = (Fields(asn1.parse(der)) for der in (spki, issuer))
    own.take()
    return asn1.write(asn1.SEQUENCE, theirs.take().raw, own.take().raw)


@lru_cache(maxsize=1024)
def measure(spki: bytes) -> tuple[KeyKind, int]:
    """The kind of a key, and the bits of its modulus or field. Raises :class:`Unusable`.

    The size of an RSA key is read before it is loaded: what is too large to be checked is not touched.
    """
    if sm2.is_key(spki):
        return "sm2", 256
    fields = Fields(asn1.parse(spki))
    kind = _KINDS.get(Algorithm.read(fields.take()).oid)
    if kind is None:
        raise Unusable
    if kind == "rsa":
        try:
            numbers = Fields(asn1.parse(asn1.bits(fields.take(asn1.BIT_STRING))))
            size, exponent = (asn1.integer(numbers.take(asn1.INTEGER)).bit_length() for _ in range(2))
        except Malformed:
            raise Unusable from None
        if exponent > LONGEST_EXPONENT:
            raise Unusable
        if size > _load().most[kind]:
            return kind, size
    if kind == "ec" and not _names_its_curve(spki):
        raise Unusable  # a curve written out can have any generator, and so any key fit it (CVE-2020-0601)
    try:
        key = public_key(spki)
    except BadKey:
        raise Unusable from None
    return kind, getattr(key, "key_size", 448 if kind == "ed448" else 255)


def _names_its_curve(spki: bytes) -> bool:
    parameters = Algorithm.read(Fields(asn1.parse(spki)).take()).parameters
    return parameters is not None and parameters[:1] == bytes((asn1.OID,))


def verify(algorithm: Algorithm, spki: bytes, message: bytes, signature: bytes) -> bool:
    """Whether ``signature`` over ``message`` is by that key with ``algorithm``, of whatever day. Never raises."""
    known = _load()
    scheme = known.schemes.get(algorithm.oid)
    try:
        kind, size = measure(spki)
        if scheme is None or known.methods[scheme.method].key != kind or size > known.most[kind]:
            return False
        return x509.verify(_signed(algorithm.der), spki, message, signature)
    except (Unusable, Malformed, BadKey, x509.UnknownAlgorithm):
        return False


@lru_cache(maxsize=64)
def _signed(der: bytes) -> algos.SignedDigestAlgorithm:
    return algos.SignedDigestAlgorithm.load(der)


def _pss_hash(parameters: bytes | None) -> str:
    """The name of the hash in RSASSA-PSS-params (RFC 8017 A.2.3)."""
    return str(algos.RSASSAPSSParams.load(parameters or b"\x30\x00")["hash_algorithm"]["algorithm"].native)
