"""Certificates that no authority would issue: whatever names, extensions and keys a test wants, really signed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from wantong.border.trust.certificates import asn1

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
ECDSA = asn1.write(asn1.SEQUENCE, asn1.oid_der("1.2.840.10045.4.3.2"))
VALIDITY = asn1.write(
    asn1.SEQUENCE, asn1.write(asn1.UTC_TIME, b"260101000000Z"), asn1.write(asn1.UTC_TIME, b"270101000000Z")
)


@cache
def key(number: int = 0) -> ec.EllipticCurvePrivateKey:
    """Keys by number: tests need many, and the same again."""
    return ec.derive_private_key(number + 2, ec.SECP256R1())


def spki(number: int = 0) -> bytes:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key(number).public_key().public_bytes(serialization.Encoding.DER, form)


def name(*texts: str) -> bytes:
    rdns = (
        asn1.write(
            asn1.SET,
            asn1.write(asn1.SEQUENCE, asn1.oid_der("2.5.4.3"), asn1.write(asn1.UTF8, text.encode())),
        )
        for text in texts
    )
    return asn1.write(asn1.SEQUENCE, *rdns)


def extension(oid: str, value: bytes, critical: bool = False) -> bytes:
    flag = asn1.write(asn1.BOOLEAN, b"\xff") if critical else b""
    return asn1.write(asn1.SEQUENCE, asn1.oid_der(oid), flag, asn1.write(asn1.OCTET_STRING, value))


def identifier(number: int) -> bytes:
    return number.to_bytes(20, "big")


def basics(subject: int, issuer: int, *, ca: bool) -> list[bytes]:
    """What every certificate needs: whose key it has and whose it was signed with, and whether it may issue."""
    flag = asn1.write(asn1.BOOLEAN, b"\xff") if ca else b""
    usage = b"\x01\x06" if ca else b"\x07\x80"
    return [
        extension("2.5.29.19", asn1.write(asn1.SEQUENCE, flag), critical=True),
        extension("2.5.29.15", asn1.write(asn1.BIT_STRING, usage), critical=True),
        extension("2.5.29.14", asn1.write(asn1.OCTET_STRING, identifier(subject))),
        extension("2.5.29.35", asn1.write(asn1.SEQUENCE, asn1.write(0x80, identifier(issuer)))),
    ]


def certificate(
    subject: bytes,
    issuer: bytes,
    *,
    own: int = 0,
    signer: int = 0,
    ca: bool = False,
    extensions: Sequence[bytes] = (),
    public: bytes | None = None,
    serial: int = 1,
    signature: bytes | None = None,
    algorithm: bytes = ECDSA,
) -> bytes:
    """A certificate for the key ``own``, signed with ``signer`` unless there is a ``signature``."""
    tbs = asn1.write(
        asn1.SEQUENCE,
        asn1.write(0xA0, asn1.write(asn1.INTEGER, b"\x02")),
        asn1.write(asn1.INTEGER, serial.to_bytes(serial.bit_length() // 8 + 1, "big")),
        algorithm,
        issuer,
        VALIDITY,
        subject,
        public or spki(own),
        asn1.write(0xA3, asn1.write(asn1.SEQUENCE, *basics(own, signer, ca=ca), *extensions)),
    )
    if signature is None:
        signature = key(signer).sign(tbs, ec.ECDSA(hashes.SHA256()))
    return asn1.write(asn1.SEQUENCE, tbs, algorithm, asn1.write(asn1.BIT_STRING, b"\0", signature))
