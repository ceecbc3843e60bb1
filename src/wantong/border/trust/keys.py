"""A node's protocol keys: Ed25519, one private JWK (RFC 8037) a file, readable by nobody else.

``protocol.key`` signs requests to other nodes and the node's card; ``data.key`` signs the tokens with which a
released payload may be fetched from the node's own data plane.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from joserfc.jwk import KeySet, OKPKey

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
        keyring.write_once(folder / name, json.dumps(key.as_dict(private=True)))


def load(folder: Path, name: str) -> OKPKey:
    """The private key ``folder/name`` that signs now. Raises FileNotFoundError."""
    return _read(keyring.texts(folder, name)[0])


def _read(text: str) -> OKPKey:
    key = OKPKey.import_key(json.loads(text))
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


class Good:
    """By which keys ``name`` what this node has signed is good now: the one that signs, and while keys are changed others.

    Raises FileNotFoundError if there are none.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._name = folder, name
        self._stamp: tuple[int, ...] = ()
        self.known = KeySet([])
        self.look()

    def look(self) -> bool:
        """Whether other keys may be good now than at the last look."""
        stamp = keyring.stamp(self._folder)
        if stamp == self._stamp:
            return False
        self.known = KeySet([_read(text) for text in keyring.texts(self._folder, self._name)])
        self._stamp = stamp
        return True

    def now(self) -> KeySet:
        """The keys as they are at this moment, for whoever reads a signature."""
        self.look()
        return self.known


def public(key: OKPKey) -> dict[str, Any]:
    """The public half as a JWK with ``kid`` (RFC 7638 thumbprint)."""
    return {**key.as_dict(private=False), "kid": key.thumbprint()}
