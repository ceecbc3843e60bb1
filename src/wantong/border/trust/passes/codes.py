"""The text of a code: a prefix, then bytes in Base45 (RFC 9285), packed by ZLIB (RFC 1950) where that makes it shorter.

Base45 is what the alphanumeric mode of QR codes holds densest. A code of ours is four fifths signatures and a key,
which nothing packs, so it goes unpacked; what a reader is given tells which it is by its first byte (0x78: a ZLIB
stream; a CBOR array or tag begins with none such).
"""

from __future__ import annotations

import zlib
from typing import Final

import numpy as np

from wantong.border.trust.verdict import Refused

OFFLINE: Final = "WT1:"
ONLINE: Final = "WT2:"
LONGEST: Final = 350
"""Characters of a code of ours: with error correction L a QR code of version 10, 57 modules square."""
LARGEST: Final = 64 << 10
"""Bytes that a packed code may unpack to."""

_ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"
_ZLIB: Final = 0x78
_VALUES: Final = bytes(_ALPHABET.find(chr(code)) % 256 for code in range(256))
_POWERS: Final = np.array((1, 45, 2025), np.uint32)
_LETTERS: Final = np.frombuffer(_ALPHABET.encode(), np.uint8)


def pack(prefix: str, body: bytes) -> str:
    """``body`` as a code."""
    packed = zlib.compress(body, 9)
    return prefix + base45(packed if len(packed) < len(body) else body)


def unpack(prefix: str, code: str, longest: int = LONGEST) -> bytes:
    """The body of a code. Raises :class:`Refused`: ``code-long``, ``code-prefix``, ``code-letters``, ``code-packed``."""
    code = code.strip("\r\n\t")
    if len(code) > longest:
        raise Refused("code-long", indication="FORMAT_FAILURE", most=longest)
    if not code.startswith(prefix):
        raise Refused("code-prefix", indication="FORMAT_FAILURE", prefix=prefix)
    body = unbase45(code[len(prefix) :])
    if body[:1] != bytes([_ZLIB]):
        return body
    unpacker = zlib.decompressobj()
    try:
        unpacked = unpacker.decompress(body, LARGEST + 1)
    except zlib.error:
        raise Refused("code-packed", indication="FORMAT_FAILURE") from None
    if len(unpacked) > LARGEST or not unpacker.eof or unpacker.unused_data:
        raise Refused("code-packed", indication="FORMAT_FAILURE")
    return unpacked


def base45(data: bytes) -> str:
    """Base45 of ``data``."""
    even = len(data) & ~1
    pairs = np.frombuffer(data[:even], ">u2").astype(np.uint32)
    letters = np.stack((pairs % 45, pairs // 45 % 45, pairs // 2025), 1).ravel()
    text = _LETTERS[letters].tobytes().decode()
    return text if even == len(data) else text + _ALPHABET[data[-1] % 45] + _ALPHABET[data[-1] // 45]


def unbase45(text: str) -> bytes:
    """What ``text`` holds. Raises :class:`Refused` (``code-letters``) for what no encoder writes.

    In NumPy: a code is read in a tenth of the time of a loop, which would cost as much as half a signature.
    """
    try:
        values = text.encode("ascii").translate(_VALUES)
    except UnicodeEncodeError:
        raise Refused("code-letters", indication="FORMAT_FAILURE") from None
    whole = len(values) // 3 * 3
    rest = values[whole:]
    triples = np.frombuffer(values, np.uint8, whole).reshape(-1, 3)
    pairs = triples @ _POWERS
    last = rest[0] + rest[1] * 45 if len(rest) == 2 else 0
    if len(rest) == 1 or b"\xff" in values or (whole and pairs.max() > 0xFFFF) or last > 0xFF:
        raise Refused("code-letters", indication="FORMAT_FAILURE")
    return pairs.astype(">u2").tobytes() + bytes([last] * (len(rest) == 2))
