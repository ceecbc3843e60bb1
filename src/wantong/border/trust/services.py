"""The verbs of trust: show one's own card, pin another's, let one go, sign and check requests."""

from __future__ import annotations

from pathlib import Path

from django.utils import timezone
from joserfc.jwk import OKPKey

from wantong.border.trust import cards, keys, tokens
from wantong.border.trust.models import Peer
from wantong.ground import config
from wantong.ground.actors import Actor, system
from wantong.ground.config import NodeConfig
from wantong.ground.problems import Problem


class UnknownPeer(Problem):
    """No pinned, active node is called ``participant_id``."""

    slug = "unknown-peer"
    status = 404


class NotThisNode(Problem):
    """The card is this node's own; a node does not pin itself."""

    slug = "own-card"
    status = 409


_loaded: dict[tuple[Path, str], OKPKey] = {}


def own_key(name: str = keys.PROTOCOL) -> OKPKey:
    """This node's private key ``name``, read once a process."""
    place = (config.current().keys, name)
    if place not in _loaded:
        _loaded[place] = keys.load(*place)
    return _loaded[place]


def make_card(node: NodeConfig) -> bytes:
    """The card of ``node`` from the keys in its folder. Raises FileNotFoundError while it has none."""
    from wantong.ground.log import load_keys

    log = load_keys(node.keys)
    return cards.make(
        node,
        keys.load(node.keys, keys.PROTOCOL),
        log_vkey=str(log.log.verifier),
        witness_vkey=str(log.witness.verifier),
    )


def pin(card: bytes, actor: Actor | None = None) -> Peer:
    """Recognise the node of ``card``; a card that was pinned before is brought up to date.

    Raises :class:`~wantong.border.trust.cards.BadCard` or :class:`NotThisNode`.
    """
    content = cards.read(card)
    if content.participant_id == config.current().participant_id:
        raise NotThisNode(participant_id=content.participant_id)
    values = {name: getattr(content, name) for name in cards.Card.__dataclass_fields__}
    peer, _ = Peer.objects.update_or_create(
        participant_id=values.pop("participant_id"),
        defaults={
            **values,
            "fingerprint": cards.fingerprint(content),
            "active": True,
            "pinned_by": (actor or system("operator")).id,
            "pinned_at": timezone.now(),
        },
    )
    return peer


def release(actor: Actor, participant_id: str) -> Peer:
    """Recognise the node no longer; what it has sent stays on record. Raises :class:`UnknownPeer`."""
    found = peer(participant_id)
    found.active = False
    found.save(update_fields=["active"])
    return found


def peer(participant_id: str) -> Peer:
    """The pinned, active node of that name. Raises :class:`UnknownPeer`."""
    found = Peer.objects.filter(participant_id=participant_id, active=True).first()
    if found is None:
        raise UnknownPeer(participant_id=participant_id)
    return found


def peers() -> list[Peer]:
    """Every node that is recognised now."""
    return list(Peer.objects.filter(active=True))


def sign_request(audience: str, request: tokens.Request, message_id: str | None = None) -> str:
    """The value of ``Authorization`` for a request of this node to ``audience``."""
    token = tokens.sign(
        own_key(),
        issuer=config.current().participant_id,
        audience=audience,
        request=request,
        now=timezone.now(),
        message_id=message_id,
    )
    return f"Bearer {token}"
