"""Codes that stand for a person once: printed recovery codes, and the one that two officials give out. Pure.

A code has 100 random bits in Crockford's alphabet, which has no letters that look like figures. So nobody guesses one, a
digest is kept of it instead of a slow hash, and the code itself says whose it is.
"""

from __future__ import annotations

import hashlib
import secrets

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
LENGTH = 20
HOW_MANY = 10
_MISREAD = str.maketrans({"O": "0", "I": "1", "L": "1"})


def make() -> str:
    """A new code in four groups: ``7K2QM-…``."""
    code = "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))
    return "-".join(code[at : at + 5] for at in range(0, LENGTH, 5))


def digest(typed: str) -> str | None:
    """What is kept of a code, however it was typed; None if it can be none."""
    plain = "".join(one for one in typed.upper() if one.isalnum()).translate(_MISREAD)
    if len(plain) != LENGTH or set(plain) - set(ALPHABET):
        return None
    return hashlib.sha256(b"wantong recovery code " + plain.encode()).hexdigest()
