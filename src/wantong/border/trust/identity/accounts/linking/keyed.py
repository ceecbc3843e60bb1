"""Digests of what must not be readable from the database alone: keyed with ``accounts.key`` of this node.

Of a number nothing else is kept, so a new key cannot simply take the old one's place: each is laid over those before
it. With keys k1, k2 … a digest is HMAC(… HMAC(k2, HMAC(k1, what))): one that k1 made is brought under k2 without the
number (:func:`lifted`), and after that k1 and the database tell nothing without k2. Every key is needed for ever, so
none is removed.
"""

from __future__ import annotations

import hmac
import secrets
from pathlib import Path

from wantong.ground import config, keyring

KEY = "accounts.key"


def make(folder: Path) -> None:
    """Make the key if ``folder`` has none. Durable when it returns."""
    keyring.write_once(folder / KEY, secrets.token_hex(32))


_loaded: dict[Path, tuple[tuple[int, ...], tuple[bytes, ...]]] = {}


def _keys() -> tuple[bytes, ...]:
    folder = config.current().keys
    make(folder)
    stamp = keyring.stamp(folder)
    known = _loaded.get(folder)
    if known is None or known[0] != stamp:
        keys = tuple(bytes.fromhex(text) for text in keyring.line(folder, KEY))
        known = _loaded[folder] = (stamp, keys)
    return known[1]


def layers() -> int:
    """How many keys a digest passes through now."""
    return len(_keys())


def digest(*parts: str, layers: int | None = None) -> str:
    """The digest of ``parts`` under the first ``layers`` keys (None: all), in hex."""
    told = "\0".join(parts).encode()
    for key in _keys()[:layers]:
        told = hmac.digest(key, told, "sha256")
    return told.hex()


def lifted(told: str, layers: int) -> str:
    """The digest under all keys of what has passed through the first ``layers``."""
    under = bytes.fromhex(told)
    for key in _keys()[layers:]:
        under = hmac.digest(key, under, "sha256")
    return under.hex()
