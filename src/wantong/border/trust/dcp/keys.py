"""The key of this node's DID: ECDSA on P-256, one private JWK in ``dcp.key`` among the node's keys."""

from __future__ import annotations

import json
from pathlib import Path

from joserfc.jwk import ECKey

from wantong.border.trust.keys import write_once
from wantong.ground import config

NAME = "dcp.key"


def generate(folder: Path) -> None:
    """Make the key if ``folder`` has none yet. Durable when it returns."""
    if not (folder / NAME).exists():
        write_once(folder / NAME, json.dumps(ECKey.generate_key("P-256").as_dict(private=True)))


_loaded: dict[Path, ECKey] = {}


def own() -> ECKey:
    """This node's private key, read once a process. Raises FileNotFoundError."""
    folder = config.current().keys
    if folder not in _loaded:
        _loaded[folder] = ECKey.import_key(json.loads((folder / NAME).read_text()))
    return _loaded[folder]
