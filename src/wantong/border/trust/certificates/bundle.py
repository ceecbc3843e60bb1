"""Certificates as people have them: one in DER, several in PEM, a PKCS #7 bundle (.p7b), in either form."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from typing import Final

from wantong.border.trust.certificates import asn1
from wantong.border.trust.certificates.asn1 import Fields, Malformed

MOST: Final = 64
LARGEST: Final = 1024 * 1024
_ARMOUR = re.compile(
    rb"-----BEGIN (CERTIFICATE|X509 CERTIFICATE|TRUSTED CERTIFICATE|PKCS7|CMS)-----(.*?)-----END \1-----",
    re.DOTALL,
)
_SIGNED_DATA: Final = "1.2.840.113549.1.7.2"


def split(data: bytes) -> list[bytes]:
    """The certificates in ``data`` as DER, in their order, each once. Raises Malformed if there is none, or too many."""
    if len(data) > LARGEST:
        raise Malformed("too-large")
    found = list(dict.fromkeys(_found(data)))
    if not found:
        raise Malformed("no-certificate")
    if len(found) > MOST:
        raise Malformed("too-many")
    return found


def _found(data: bytes) -> Iterator[bytes]:
    blocks = _ARMOUR.findall(data)
    if not blocks:
        yield from _binary(data if data[:1] == b"\x30" else _decoded(data))
    for label, body in blocks:
        der = _decoded(body)
        if label == b"TRUSTED CERTIFICATE":  # OpenSSL's own notes come behind the certificate
            der = asn1.first(der)
        yield from _binary(der)


def _decoded(body: bytes) -> bytes:
    try:
        return base64.b64decode(b"".join(body.split()), validate=True)
    except binascii.Error:
        raise Malformed("base64") from None


def _binary(der: bytes) -> Iterator[bytes]:
    """A certificate as it is, the certificates of SignedData (RFC 5652 5.1)."""
    outer = Fields(asn1.parse(der, what="Certificate"))
    kind = outer.maybe(asn1.OID)
    if kind is None:
        yield der
        return
    if asn1.oid(kind) != _SIGNED_DATA:
        raise Malformed("unexpected", "ContentInfo")
    signed = Fields(asn1.inner(outer.take(0xA0), asn1.SEQUENCE))
    for tag in (asn1.INTEGER, asn1.SET, asn1.SEQUENCE):
        signed.take(tag)
    held = signed.maybe(0xA0)
    for child in () if held is None else held.children():
        if child.tag == asn1.SEQUENCE:
            yield child.raw
