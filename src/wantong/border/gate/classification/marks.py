"""What a mask leaves behind, and how to know it again.

Two marks, made so that no detector can take them for an identifier, a name, a date or an address:

- :data:`MARK` ``█`` stands where characters were removed: ``138████8000``, ``1990-██-██``, ``███``.
- a *token* is ``tk-`` and 26 letters out of sixteen consonants: no digit, no capital, no vowel. It is the first
  104 bits of keyed BLAKE2b over the value put into one form (NFKC, case folded, and for short codes without
  blanks, hyphens and brackets), so that one value has one token under one key, however it was written.

A token is a pseudonym: whoever holds the key can find the person again, so under PIPL art. 73(3) and the laws of
Hong Kong and Macao the data remain personal data.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata

MARK = "█"
KEY_BYTES = 16
"""The least length of a key."""

_ALPHABET = "bcdfghjklmnpqrst"
_LETTERS = {f"{byte:02x}": _ALPHABET[byte >> 4] + _ALPHABET[byte & 15] for byte in range(256)}
TOKEN = re.compile(rf"tk-[{_ALPHABET}]{{26}}")
_SEPARATORS = re.compile(r"[\s\-()/·.]+")


def one_form(value: str) -> str:
    """The form under which a value is tokenised: `` 138-0013 8000`` and ``13800138000`` are one."""
    folded = unicodedata.normalize("NFKC", value).casefold().strip()
    bare = _SEPARATORS.sub("", folded)
    return bare if bare.isascii() and any(char.isdigit() for char in bare) and "@" not in bare else folded


def token(value: str, key: bytes) -> str:
    """The pseudonym of ``value`` under ``key`` (at least :data:`KEY_BYTES` bytes; shorter ones raise ValueError)."""
    if len(key) < KEY_BYTES:
        raise ValueError(f"a key has at least {KEY_BYTES} bytes")
    digest = hashlib.blake2b(
        one_form(value).encode(), digest_size=13, key=key[:64], person=b"wantong-token-1"
    )
    return "tk-" + "".join(_LETTERS[f"{byte:02x}"] for byte in digest.digest())


def key_id(key: bytes) -> str:
    """Which key it was, without giving it away: 16 hexadecimal digits."""
    return hashlib.blake2b(b"", digest_size=8, key=key[:64], person=b"wantong-key-id").hexdigest()


def is_masked(value: str) -> bool:
    """Whether ``value`` is what a mask of ours left: it tells that a datum was there, and not the datum."""
    return MARK in value or TOKEN.fullmatch(value) is not None
