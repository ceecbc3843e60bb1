"""Status lists: one bit a credential, published by its issuer (Bitstring Status List 1.0, Status List 2021).

A list is itself a credential, signed by the issuer of the credentials it speaks of; one that is not signed, is too
short to hide anybody in, or speaks of another purpose says nothing, and then nothing is accepted.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from wantong.border.trust.dcp.credentials import Credential, Status
from wantong.border.trust.tokens import SKEW
from wantong.border.trust.verdict import Refused

SMALLEST: Final = 16 << 10
"""Bytes: 131,072 entries, the least that both specifications allow for the privacy of those on it."""
LARGEST: Final = 4 << 20
LONGEST: Final = 2 << 20
"""Characters of a list as a JWT."""
HARMLESS: Final = frozenset({"refresh", "message"})
"""Purposes of lists that do not end a credential's effect; a purpose that nobody here knows might."""
TYPES: Final[Mapping[str, tuple[str, str]]] = {
    "BitstringStatusListEntry": ("BitstringStatusListCredential", "BitstringStatusList"),
    "StatusList2021Entry": ("StatusList2021Credential", "StatusList2021"),
}


def pack(revoked: Iterable[int], *, multibase: bool, size: int = SMALLEST) -> str:
    """A list with the bits of ``revoked`` set, as ``encodedList``; ``multibase`` for Bitstring Status List."""
    bits = bytearray(size)
    for index in revoked:
        bits[index >> 3] |= 0x80 >> (index & 7)
    packer = zlib.compressobj(9, wbits=zlib.MAX_WBITS | 16)
    text = base64.urlsafe_b64encode(packer.compress(bytes(bits)) + packer.flush()).rstrip(b"=").decode()
    return f"u{text}" if multibase else text


def unpack(encoded: str) -> bytes:
    """The bits of an ``encodedList``; never more than :data:`LARGEST` bytes are unpacked. Raises :class:`Refused`."""
    # gzip begins with 1f 8b, in base64 with H: a leading u can only be the multibase prefix
    text = encoded.removeprefix("u").rstrip("=").replace("+", "-").replace("/", "_")
    try:
        packed = base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), b"-_", validate=True)
        unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)
        bits = unpacker.decompress(packed, LARGEST + 1)
    except (binascii.Error, zlib.error, ValueError):
        raise Refused("status-form", what="encodedList") from None
    if len(bits) > LARGEST or len(bits) < SMALLEST or not unpacker.eof:
        raise Refused("status-size", bits=8 * len(bits))
    return bits


def content(list_credential: Credential, entry: Status, issuer: str, now: datetime) -> bytes:
    """The bits of a list that may speak of a credential of ``issuer`` by ``entry``. Raises :class:`Refused`."""
    kinds = TYPES.get(entry.type)
    if kinds is None:
        raise Refused("status-form", what=entry.type)
    of_list, of_subject = kinds
    subject = list_credential.subject
    if of_list not in list_credential.types or subject.get("type") != of_subject:
        raise Refused("status-form", what="type")
    if list_credential.issuer != issuer:
        raise Refused("status-issuer", issuer=issuer, found=list_credential.issuer)
    if entry.purpose not in _purposes(subject):
        raise Refused("status-form", what="statusPurpose")
    if list_credential.valid_from > now + SKEW:
        raise Refused("status-stale", at=list_credential.valid_from.isoformat())
    if list_credential.valid_until is not None and list_credential.valid_until <= now - SKEW:
        raise Refused("status-stale", at=list_credential.valid_until.isoformat())
    encoded = subject.get("encodedList")
    if not isinstance(encoded, str):
        raise Refused("status-form", what="encodedList")
    return unpack(encoded)


def check(bits: bytes, entry: Status) -> None:
    """Return if bit ``entry.index`` is not set. Raises :class:`Refused`."""
    if entry.index >= 8 * len(bits):
        raise Refused("status-index", index=entry.index)
    if bits[entry.index >> 3] & (0x80 >> (entry.index & 7)):
        raise Refused("revoked", purpose=entry.purpose)


def matters(statuses: Collection[Status]) -> list[Status]:
    """The entries on which the credential's effect hangs."""
    return [status for status in statuses if status.type not in TYPES or status.purpose not in HARMLESS]


def _purposes(subject: Mapping[str, Any]) -> list[Any]:
    told = subject.get("statusPurpose")
    return told if isinstance(told, list) else [told]
