"""The keys of this node's DID: ECDSA on P-256, one private JWK a file, ``dcp.key`` among the node's keys.

They change with the node's other keys (:mod:`wantong.ground.keyring`): while a change is under way the document shows
both, for everything; keys that were retired it shows for the credentials that they have signed.
"""

from __future__ import annotations

import json
from pathlib import Path

from joserfc.jwk import ECKey

from wantong.ground import config, keyring

NAME = "dcp.key"
MOST_RETIRED = 10


def generate(folder: Path) -> None:
    """Make the key if ``folder`` has none yet. Durable when it returns."""
    keyring.write_once(folder / NAME, json.dumps(ECKey.generate_key("P-256").as_dict(private=True)))


_loaded: dict[Path, tuple[tuple[int, ...], tuple[ECKey, ...]]] = {}


def own() -> ECKey:
    """This node's private key that signs now. Raises FileNotFoundError."""
    return speaking()[0]


def speaking() -> tuple[ECKey, ...]:
    """The key that signs now, and the other one while a change is under way; read again when they are changed.

    Raises FileNotFoundError.
    """
    folder = config.current().keys
    stamp = keyring.stamp(folder)
    known = _loaded.get(folder)
    if known is None or known[0] != stamp:
        files = (keyring.active(folder, NAME), *keyring.beside(folder, NAME))
        known = _loaded[folder] = (stamp, tuple(map(_load, files)))
    return known[1]


def retired() -> list[ECKey]:
    """The keys that have signed before, the latest first, at most :data:`MOST_RETIRED`."""
    old = keyring.retired(config.current().keys, NAME)
    return [_load(key.file) for key in reversed(old[-MOST_RETIRED:])]


def _load(file: Path) -> ECKey:
    return ECKey.import_key(json.loads(file.read_text()))
