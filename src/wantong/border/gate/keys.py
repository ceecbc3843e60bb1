"""The gate's own secrets: made when first needed, one file each, readable by nobody else.

- ``commitment.key``: from a person's identifier to the row that holds his salt (see :mod:`.consent.commitment`);
- ``masking.key``: the root from which the pseudonym key of every receiver and purpose is derived;
- ``consent.key``: the Ed25519 key that signs consent records.

Two processes that need a missing key at once get the same one: the first hard link wins.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import secrets
from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


def secret(keys: Path, name: str) -> bytes:
    """The 32 bytes of ``keys/<name>.key``."""
    return _get_or_create(keys / f"{name}.key", lambda: secrets.token_bytes(32))


def pseudonym_key(keys: Path, dataset_id: str, receiver: str, purpose: str) -> bytes:
    """The key of one receiver's pseudonyms for one purpose.

    The same person has the same token in every delivery of that dataset to that receiver for that purpose, and
    tokens of different receivers or purposes cannot be joined.
    """
    context = "\x1f".join(("wantong pseudonym 1", dataset_id, receiver, purpose))
    return hmac.digest(secret(keys, "masking"), context.encode(), hashlib.sha256)


def signing_key(keys: Path) -> bytes:
    """``keys/consent.key``: an Ed25519 private key, PKCS #8 in PEM."""
    return _get_or_create(
        keys / "consent.key",
        lambda: Ed25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
    )


def _get_or_create(path: Path, make: Callable[[], bytes]) -> bytes:
    with contextlib.suppress(FileNotFoundError):
        return path.read_bytes()
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(make())
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink()
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return path.read_bytes()
