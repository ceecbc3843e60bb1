"""A node's protocol keys: Ed25519, one private JWK (RFC 8037) a file, readable by nobody else.

``protocol.key`` signs requests to other nodes and the node's card; ``data.key`` signs the tokens with which a
released payload may be fetched from the node's own data plane.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from pathlib import Path
from typing import Any

from joserfc.jwk import OKPKey

from wantong.ground import config, keyring

PROTOCOL = "protocol.key"
DATA = "data.key"


def generate(folder: Path) -> None:
    """Make the keys that are not in ``folder`` yet; existing ones are kept. Durable when it returns."""
    make(folder, PROTOCOL, DATA)


def make(folder: Path, *names: str) -> None:
    """As :func:`generate`, of these ``names``."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name in names:
        key = OKPKey.generate_key("Ed25519")
        key.ensure_kid()
        write_once(folder / name, json.dumps(key.as_dict(private=True)))


def load(folder: Path, name: str) -> OKPKey:
    """The private key ``folder/name``. Raises FileNotFoundError."""
    key = OKPKey.import_key(json.loads(keyring.active(folder, name).read_text()))
    key.ensure_kid()
    return key


_loaded: dict[tuple[Path, str], tuple[tuple[int, ...], OKPKey]] = {}


def own(name: str) -> OKPKey:
    """This node's private key ``name`` that signs now; read once, and again when keys are changed."""
    folder = config.current().keys
    stamp = keyring.stamp(folder)
    known = _loaded.get((folder, name))
    if known is None or known[0] != stamp:
        known = _loaded[folder, name] = (stamp, load(folder, name))
    return known[1]


def public(key: OKPKey) -> dict[str, Any]:
    """The public half as a JWK with ``kid`` (RFC 7638 thumbprint)."""
    return {**key.as_dict(private=False), "kid": key.thumbprint()}


def write_once(path: Path, text: str) -> None:
    """Store a secret that only this user can read, unless there is one already. Durable when it returns."""
    # written aside and linked: nobody ever reads half a key, and of two processes the first wins
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    try:
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink()
