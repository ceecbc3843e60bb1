"""Salted commitments: how a person is counted, consented for and logged without being named.

An identifier is first brought to one form, then goes through two keyed digests::

    lookup     = HMAC-SHA256(node's commitment key, "lookup" ‖ identifier)      finds the person's row
    commitment = HMAC-SHA256(the row's own random salt, identifier)            stands everywhere else

Forgetting the row's salt makes the commitment a random number for ever.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import unicodedata

_SEPARATORS = re.compile(r"[\s\-‐-―·()]+")


def normal(identifier: str) -> str:
    """One form for one document number: ``Ａ123456（3）`` and ``a123456(3)`` are ``A1234563``."""
    return _SEPARATORS.sub("", unicodedata.normalize("NFKC", identifier)).upper()


def lookup(key: bytes, identifier: str) -> str:
    """The key of a person's row, 64 hex digits."""
    return hmac.digest(key, b"lookup\x1f" + normal(identifier).encode(), hashlib.sha256).hex()


def commitment(salt: bytes, identifier: str) -> str:
    """What stands for the person, 64 hex digits."""
    return hmac.digest(salt, normal(identifier).encode(), hashlib.sha256).hex()
