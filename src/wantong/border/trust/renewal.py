"""A node's new keys, as it tells them to those who have pinned the old ones: a new card, signed with the old key too.

Whoever holds the old key may name the next, and only he: the card is signed by its own key (so the next key is held by
its maker), and card and signature together by the key that is pinned. Nothing but keys may change: a renewal that
moves an address or takes another name is none.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from wantong.border.trust import cards
from wantong.ground import canonical

VERSION = "wantong-renewal/1"


def make(card: bytes, old: OKPKey) -> dict[str, Any]:
    """The renewal of a node whose new ``card`` is signed by its new key; ``old`` is the private key that is pinned."""
    content = {"renewal": VERSION, "card": json.loads(card)}
    private = old.private_key
    assert isinstance(private, Ed25519PrivateKey)
    return {**content, "signature": base64.b64encode(private.sign(canonical.dumps(content))).decode()}


def read(told: Mapping[str, Any], pinned: Mapping[str, Any]) -> cards.Card:
    """The new card in a renewal that the ``pinned`` key (public JWK) signed. Raises :class:`~.cards.BadCard`."""
    try:
        signature = base64.b64decode(told["signature"], validate=True)
        content = {"renewal": told["renewal"], "card": told["card"]}
        public = OKPKey.import_key(dict(pinned)).public_key
        if told["renewal"] != VERSION or not isinstance(public, Ed25519PublicKey):
            raise cards.BadCard(reason="version", version=VERSION)
        public.verify(signature, canonical.dumps(content))
    except InvalidSignature:
        raise cards.BadCard(reason="not-pinned") from None
    except (JoseError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise cards.BadCard(reason="unreadable", told=f"{type(error).__name__}: {error}"[:200]) from None
    return cards.read(json.dumps(told["card"], ensure_ascii=False).encode())
