"""COSE_Sign1 (RFC 9052) over the node's signers, and CBOR (RFC 8949) of strangers read strictly. Pure.

What credentials (mdoc, status lists) and passes are signed with. Tags are left as tags: nothing of a stranger's is made
into a date, a regular expression or a shared reference. The header's algorithm chooses nothing: it must be one that the
key given is for.
"""

from __future__ import annotations

import io
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Final

import cbor2
from cbor2 import CBORTag
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from wantong.border.trust.verdict import Refused
from wantong.ground import crypto
from wantong.ground.crypto import Signer, Suite

ALG, CRIT, KID, TYP, X5CHAIN = 1, 2, 4, 16, 33
"""Labels of header parameters (RFC 9052 section 3.1, RFC 9596, RFC 9360)."""
SIGN1, CWT, ENCODED = 18, 61, 24
"""Tags: COSE_Sign1, CWT, a byte string that holds CBOR."""
ALGORITHMS: Final[Mapping[int, Suite]] = {
    -7: Suite.ES256,
    -9: Suite.ES256,
    -35: Suite.ES384,
    -51: Suite.ES384,
    -8: Suite.Ed25519,
    -19: Suite.Ed25519,
    -37: Suite.PS256,
}
"""RFC 9053, and the fully specified numbers of RFC 9864 beside them."""
NUMBERS: Final[Mapping[Suite, int]] = {
    Suite.ES256: -7, Suite.ES384: -35, Suite.Ed25519: -8, Suite.PS256: -37,
}  # fmt: skip
DEEPEST: Final = 24
LARGEST: Final = 4 << 20

# 17, 18, 24 and 61 beside those that cbor2 interprets: what is in a tag it does not know it makes immutable
_BUILT_IN = (
    17,
    18,
    24,
    61,
    0,
    1,
    2,
    3,
    4,
    5,
    25,
    28,
    29,
    30,
    35,
    36,
    37,
    100,
    256,
    258,
    260,
    261,
    1004,
    43000,
    55799,
)


def _left(number: int) -> Any:
    return lambda value, immutable: CBORTag(number, value)


_AS_TAGS = {number: _left(number) for number in _BUILT_IN}


def decode(data: bytes) -> Any:
    """The one CBOR item in ``data``, with tags left as :class:`cbor2.CBORTag`.

    Raises :class:`Refused` (``cbor-form``): not CBOR, more than one item, a map key twice, nested too deeply, too large.
    """
    if len(data) > LARGEST:
        raise Refused("cbor-form")
    file = io.BytesIO(data)
    try:
        value = cbor2.CBORDecoder(
            file, semantic_decoders=_AS_TAGS, max_depth=DEEPEST, allow_duplicate_keys=False
        ).decode()
    except (cbor2.CBORError, ValueError, TypeError, OverflowError, RecursionError):
        raise Refused("cbor-form") from None
    if file.read(1):
        raise Refused("cbor-form")
    return value


def encode(value: Any) -> bytes:
    """``value`` as CBOR, maps in the order given, everything of definite length."""
    return cbor2.dumps(value)


def enclose(value: Any) -> CBORTag:
    """``#6.24(bstr .cbor value)``."""
    return CBORTag(ENCODED, encode(value))


def enclosed(value: Any) -> Any:
    """What an item of tag 24 holds. Raises :class:`Refused` (``cbor-form``)."""
    if not isinstance(value, CBORTag) or value.tag != ENCODED or not isinstance(value.value, bytes):
        raise Refused("cbor-form")
    return decode(value.value)


@dataclass(frozen=True)
class Sign1:
    """A COSE_Sign1 as it claims to be; ``payload`` is None if it lies elsewhere (detached)."""

    protected: bytes
    unprotected: Mapping[Any, Any]
    payload: bytes | None
    signature: bytes

    @cached_property
    def header(self) -> Mapping[Any, Any]:
        """The protected header. Raises :class:`Refused` (``cose-form``)."""
        header = decode(self.protected) if self.protected else {}
        if not isinstance(header, dict):
            raise Refused("cose-form")
        return header

    def items(self) -> list[Any]:
        """The array, to stand in another structure."""
        return [self.protected, dict(self.unprotected), self.payload, self.signature]

    def encode(self, *, tagged: bool = True) -> bytes:
        return encode(CBORTag(SIGN1, self.items()) if tagged else self.items())


def sign(
    signer: Signer,
    payload: bytes,
    *,
    protected: Mapping[Any, Any] | None = None,
    unprotected: Mapping[Any, Any] | None = None,
    detached: bool = False,
    external: bytes = b"",
) -> Sign1:
    """``payload`` signed; the algorithm is the signer's own and stands in the protected header."""
    head = encode({ALG: NUMBERS[signer.suite], **(protected or {})})
    signature = signer.sign(_to_be_signed(head, payload, external))
    return Sign1(head, dict(unprotected or {}), None if detached else payload, signature)


def parse(data: bytes, *, tag: bool | None = None) -> Sign1:
    """A COSE_Sign1 from its bytes; ``tag`` says whether tag 18 must or must not be there, None that both will do.

    Raises :class:`Refused` (``cbor-form``, ``cose-form``).
    """
    value = decode(data)
    tagged = isinstance(value, CBORTag) and value.tag == SIGN1
    if tag is not None and tag is not tagged:
        raise Refused("cose-form")
    return from_items(value.value if tagged else value)


def from_items(value: Any) -> Sign1:
    """A COSE_Sign1 from its decoded array. Raises :class:`Refused` (``cose-form``)."""
    match value:
        case [bytes(protected), dict(unprotected), (bytes() | None) as payload, bytes(signature)]:
            return Sign1(protected, unprotected, payload, signature)
    raise Refused("cose-form")


def prove(
    message: Sign1,
    public: bytes,
    *,
    payload: bytes | None = None,
    external: bytes = b"",
    algorithms: Collection[int] = tuple(ALGORITHMS),
) -> bytes:
    """The payload, if the key ``public`` (SubjectPublicKeyInfo, DER) signed it; ``payload`` is given if detached.

    Raises :class:`Refused`: ``cose-form``, ``critical``, ``algorithm``, ``signature``.
    """
    content = message.payload if payload is None else payload
    if content is None or (payload is not None and message.payload is not None):
        raise Refused("cose-form", indication="FORMAT_FAILURE")
    header = message.header
    if CRIT in header or ALG in message.unprotected:
        # no extension is understood here (RFC 9052 section 3.1); an algorithm that anybody may change is none
        raise Refused("critical", indication="FORMAT_FAILURE")
    number = header.get(ALG)
    suite = ALGORITHMS.get(number) if isinstance(number, int) and number in algorithms else None
    if suite is None or suite not in suites_of(public):
        raise Refused("algorithm", indication="CRYPTO_CONSTRAINTS_FAILURE", algorithm=number)
    if not crypto.verify(
        suite, public, _to_be_signed(message.protected, content, external), message.signature
    ):
        raise Refused("signature", indication="SIG_CRYPTO_FAILURE")
    return content


MOST_CERTIFICATES: Final = 6


def chain_of(message: Sign1) -> tuple[bytes, ...]:
    """The certificates in ``x5chain`` (DER, leaf first), wherever it stands. Raises :class:`Refused` (``x5c``)."""
    given = message.header.get(X5CHAIN, message.unprotected.get(X5CHAIN))
    chain = (given,) if isinstance(given, bytes) else tuple(given) if isinstance(given, list) else ()
    if not 1 <= len(chain) <= MOST_CERTIFICATES or not all(isinstance(one, bytes) for one in chain):
        raise Refused("x5c")
    return chain


def x5chain(chain: Sequence[bytes]) -> bytes | list[bytes]:
    """Certificates (DER, leaf first) as the value of ``x5chain``: one alone, or an array (RFC 9360)."""
    return chain[0] if len(chain) == 1 else list(chain)


@lru_cache(maxsize=1024)
def suites_of(public: bytes) -> tuple[Suite, ...]:
    """What a public key (SPKI DER) may be used with; empty for a key of a kind that signs nothing here."""
    try:
        key = crypto.public_key(public)
    except crypto.BadKey:
        return ()
    match key:
        case ec.EllipticCurvePublicKey(curve=ec.SECP256R1()):
            return (Suite.ES256,)
        case ec.EllipticCurvePublicKey(curve=ec.SECP384R1()):
            return (Suite.ES384,)
        case ed25519.Ed25519PublicKey():
            return (Suite.Ed25519,)
        case rsa.RSAPublicKey() if 2048 <= key.key_size <= 8192:
            return (Suite.PS256, Suite.RS256)
    return ()


_CURVES: Final = {1: (ec.SECP256R1(), 32), 2: (ec.SECP384R1(), 48)}


def cose_key(public: bytes) -> dict[int, Any]:
    """The COSE_Key of a public key (SPKI DER). Raises :class:`Refused` (``key-kind``)."""
    try:
        key = crypto.public_key(public)
    except crypto.BadKey:
        raise Refused("key-kind") from None
    if isinstance(key, ec.EllipticCurvePublicKey):
        for number, (curve, size) in _CURVES.items():
            if key.curve.name == curve.name:
                at = key.public_numbers()
                return {1: 2, -1: number, -2: at.x.to_bytes(size, "big"), -3: at.y.to_bytes(size, "big")}
    if isinstance(key, ed25519.Ed25519PublicKey):
        return {1: 1, -1: 6, -2: key.public_bytes_raw()}
    raise Refused("key-kind")


def public_key(key: Any) -> bytes:
    """The SubjectPublicKeyInfo (DER) of a COSE_Key. Raises :class:`Refused` (``key-kind``, ``key-private``)."""
    if not isinstance(key, dict):
        raise Refused("key-kind")
    if -4 in key:
        raise Refused("key-private")
    made: ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey
    try:
        match key:
            case {1: 2, -1: (1 | 2) as number, -2: bytes(x), -3: bool(odd)}:
                curve, _ = _CURVES[number]
                made = ec.EllipticCurvePublicKey.from_encoded_point(curve, bytes([2 + odd]) + x)
            case {1: 2, -1: (1 | 2) as number, -2: bytes(x), -3: bytes(y)}:
                curve, size = _CURVES[number]
                if len(x) != size or len(y) != size:
                    raise Refused("key-kind")
                made = ec.EllipticCurvePublicNumbers(
                    int.from_bytes(x, "big"), int.from_bytes(y, "big"), curve
                ).public_key()
            case {1: 1, -1: 6, -2: bytes(x)}:
                made = ed25519.Ed25519PublicKey.from_public_bytes(x)
            case _:
                raise Refused("key-kind")
    except ValueError:
        raise Refused("key-kind") from None
    return made.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


@lru_cache(maxsize=1024)
def key_of_certificate(certificate: bytes) -> bytes:
    """The SubjectPublicKeyInfo (DER) in a certificate. Raises :class:`Refused` (``x5c``)."""
    try:
        key = x509.load_der_x509_certificate(certificate).public_key()
    except (ValueError, UnsupportedAlgorithm):
        raise Refused("x5c") from None
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def _to_be_signed(protected: bytes, payload: bytes, external: bytes) -> bytes:
    return encode(["Signature1", protected, external, payload])
