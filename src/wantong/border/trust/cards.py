"""A node's card: who it is, where it is, its public keys; signed by itself.

The signature proves only that whoever made the card holds the protocol key on it. That the card is really Macao's
is for people to check before they pin it: :func:`fingerprint` is what they read to each other.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar
from urllib.parse import urlsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from wantong.border.trust import keys
from wantong.ground import canonical
from wantong.ground.config import NodeConfig
from wantong.ground.i18n import LANGUAGES
from wantong.ground.problems import Problem

VERSION = "wantong-card/1"
LARGEST = 64 * 1024
JURISDICTIONS = ("gd", "hk", "mo")


class BadCard(Problem):
    """A card that cannot be read or whose signature is not its own: ``reason``, a stable code."""

    slug: ClassVar[str] = "bad-card"
    status: ClassVar[int] = 422
    CODES: ClassVar[Mapping[str, str]] = {"reason": "trust.bad-card"}


@dataclass(frozen=True)
class Card:
    """What a good card says. ``protocol_key`` is a public JWK; the two vkeys are C2SP signed-note verifier keys."""

    participant_id: str
    jurisdiction: str
    name: Mapping[str, str]
    url: str
    data_url: str
    protocol_key: Mapping[str, Any]
    log_vkey: str
    witness_vkey: str


def make(node: NodeConfig, key: OKPKey, *, log_vkey: str, witness_vkey: str) -> bytes:
    """The card of ``node`` as UTF-8 JSON, signed with its protocol key."""
    content = {
        "card": VERSION,
        "participant_id": node.participant_id,
        "jurisdiction": node.jurisdiction,
        "name": dict(node.name),
        "url": node.url,
        "data_url": node.data_url,
        "protocol_key": keys.public(key),
        "log_vkey": log_vkey,
        "witness_vkey": witness_vkey,
    }
    private = key.private_key
    assert isinstance(private, Ed25519PrivateKey)
    signature = base64.b64encode(private.sign(canonical.dumps(content))).decode()
    return (json.dumps({**content, "signature": signature}, ensure_ascii=False, indent=2) + "\n").encode()


def read(data: bytes) -> Card:
    """The content of a card whose signature is good. Raises :class:`BadCard`."""
    if len(data) > LARGEST:
        raise BadCard(reason="too-large", most=LARGEST)
    try:
        content = json.loads(data)
        signature = base64.b64decode(content.pop("signature"), validate=True)
        key = OKPKey.import_key(content["protocol_key"])
        public = key.public_key
        if content["card"] != VERSION or not isinstance(public, Ed25519PublicKey) or key.is_private:
            raise BadCard(reason="version", version=VERSION)
        public.verify(signature, canonical.dumps(content))
        card = Card(**{name: content[name] for name in Card.__dataclass_fields__})
    except InvalidSignature:
        raise BadCard(reason="not-signed") from None
    except (JoseError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BadCard(reason="unreadable", told=f"{type(error).__name__}: {error}"[:200]) from None
    if card.jurisdiction not in JURISDICTIONS:
        raise BadCard(reason="jurisdiction", choices=", ".join(JURISDICTIONS))
    if not isinstance(card.name, dict) or not set(card.name) <= set(LANGUAGES):
        raise BadCard(reason="name", languages=", ".join(LANGUAGES))
    for member in ("participant_id", "log_vkey", "witness_vkey"):
        text = getattr(card, member)
        if not isinstance(text, str) or not text:
            raise BadCard(reason="no-text", member=member)
    for member in ("url", "data_url"):
        url = getattr(card, member)
        if (
            not isinstance(url, str)
            or urlsplit(url).scheme not in ("http", "https")
            or not urlsplit(url).hostname
        ):
            raise BadCard(reason="no-address", member=member)
    return card


def fingerprint(card: Card) -> str:
    """The SHA-256 of the card's content in groups of four hex digits, for reading aloud."""
    content = {name: getattr(card, name) for name in Card.__dataclass_fields__}
    digits = hashlib.sha256(canonical.dumps(content)).hexdigest()[:32]
    return " ".join(digits[i : i + 4] for i in range(0, 32, 4))
