"""What lies in a digital space is sealed: one key a space, itself sealed by the node's key ``space.key``.

AES-256-GCM (NIST SP 800-38D) with a random nonce; what a sealed thing is and where it belongs (``about``) is part of
what is proven, so nothing sealed can be put in another's place. To destroy the space's key is to destroy the space,
in every copy that was made without the node's keys.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from wantong.ground.problems import Problem

NONCE: Final = 12
KEY: Final = 32


class Unreadable(Problem):
    """What is stored cannot be opened: it was changed, stands in another's place, or the node's key is another."""

    slug = "space-unreadable"
    status = 500


class Vault:
    """Seals and opens with one 32-byte key."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._cipher = AESGCM(key)

    def seal(self, content: bytes, about: str) -> bytes:
        """``content``, readable only with this key and only as ``about``."""
        nonce = os.urandom(NONCE)
        return nonce + self._cipher.encrypt(nonce, content, about.encode())

    def open(self, sealed: bytes, about: str) -> bytes:
        """What :meth:`seal` was given. Raises :class:`Unreadable`."""
        try:
            return self._cipher.decrypt(sealed[:NONCE], sealed[NONCE:], about.encode())
        except (InvalidTag, ValueError):
            raise Unreadable from None

    def wrapped(self, masters: Sequence[bytes], space: str) -> bytes:
        """This vault's key, sealed by the first of the node's keys for the space of that id."""
        return Vault(masters[0]).seal(self._key, f"space {space}")


def rewrapped(wrapped: bytes, masters: Sequence[bytes], space: str) -> bytes | None:
    """``wrapped``, sealed by the first of the node's keys; None if it is already. Raises :class:`Unreadable`."""
    try:
        unlock(wrapped, masters[:1], space)
    except Unreadable:
        return unlock(wrapped, masters[1:], space).wrapped(masters, space)
    return None


def new() -> Vault:
    """A vault with a key that nobody has had before."""
    return Vault(os.urandom(KEY))


def unlock(wrapped: bytes, masters: Sequence[bytes], space: str) -> Vault:
    """The vault whose key was wrapped by one of the node's keys, old ones among them. Raises :class:`Unreadable`."""
    for master in masters:
        try:
            return Vault(Vault(master).open(wrapped, f"space {space}"))
        except Unreadable:
            continue
    raise Unreadable
