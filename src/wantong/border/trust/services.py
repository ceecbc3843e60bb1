"""The verbs of trust: show one's own card, pin another's, introduce a stranger, let one go, sign and check requests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC
from ipaddress import ip_network
from typing import Any

from django.db import transaction
from django.utils import timezone

from wantong.border.trust import cards, keys, renewal, tokens, verifiers
from wantong.border.trust.models import PINNED_KEYS, Peer
from wantong.ground import config, keyring
from wantong.ground.actors import Actor, system
from wantong.ground.config import NodeConfig
from wantong.ground.http.auth import require
from wantong.ground.http.reach import Reach, never, plain
from wantong.ground.problems import Problem


class UnknownPeer(Problem):
    """No pinned, active node is called ``participant_id``."""

    slug = "unknown-peer"
    status = 404


class KnownByCard(Problem):
    """``participant_id`` is pinned by its card already."""

    slug = "known-by-card"
    status = 409


class BadAddress(Problem):
    """``address`` is not an http or https address, or not one that everybody reads alike, or one that is never called."""

    slug = "bad-address"
    status = 422


class BadNetwork(Problem):
    """``network`` is not a network as 10.8.0.0/16."""

    slug = "bad-network"
    status = 422


class NotThisNode(Problem):
    """The card is this node's own; a node does not pin itself."""

    slug = "own-card"
    status = 409


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


def pin(card: bytes, actor: Actor | None = None, *, networks: Sequence[str] | None = None) -> Peer:
    """Recognise the node of ``card``; a card that was pinned before is brought up to date.

    Names in its addresses must lead to public addresses, or into ``networks`` (None: those it has already). Raises
    :class:`~wantong.border.trust.cards.BadCard`, :class:`NotThisNode`, :class:`BadAddress`, :class:`BadNetwork`.
    """
    content = cards.read(card)
    _check_addresses(content.url, content.data_url)
    allowed = {} if networks is None else {"networks": _networks(networks)}
    if content.participant_id == config.current().participant_id:
        raise NotThisNode(participant_id=content.participant_id)
    values = {name: getattr(content, name) for name in cards.Card.__dataclass_fields__}
    known = Peer.objects.filter(participant_id=content.participant_id).first()
    peer, _ = Peer.objects.update_or_create(
        participant_id=values.pop("participant_id"),
        defaults={
            **values,
            **allowed,
            # a renewed card does not undo an operator's choice of how this node proves who it is
            "scheme": known.scheme if known and not known.foreign else PINNED_KEYS,
            "protocol_url": "",
            "fingerprint": cards.fingerprint(content),
            "active": True,
            "pinned_by": (actor or system("operator")).id,
            "pinned_at": timezone.now(),
        },
    )
    return peer


def next_card(node: NodeConfig) -> bytes:
    """The card of ``node`` with the keys it is about to change to. Raises FileNotFoundError if there are none."""
    from wantong.ground.log import load_keys

    pair = load_keys(node.keys / keyring.NEXT)
    return cards.make(
        node,
        keys.load(node.keys / keyring.NEXT, keys.PROTOCOL),
        log_vkey=str(pair.log.verifier),
        witness_vkey=str(pair.witness.verifier),
    )


@transaction.atomic
def renew(caller: Peer, told: Mapping[str, Any]) -> Peer:
    """Pin the new keys of a peer beside its old ones, which count until it says that it has left them behind.

    The same renewal again does nothing. Raises :class:`~wantong.border.trust.cards.BadCard`.
    """
    known = Peer.objects.select_for_update().get(pk=caller.pk)
    offered = told.get("card")
    if isinstance(offered, dict) and offered.get("protocol_key") == known.protocol_key:
        return known
    card = renewal.read(told, known.protocol_key)
    same = ("participant_id", "jurisdiction", "url", "data_url")
    if any(getattr(card, name) != getattr(known, name) for name in same):
        raise cards.BadCard(reason="more-than-keys")
    old = {name: getattr(known, name) for name in ("protocol_key", "log_vkey", "witness_vkey")}
    known.earlier = [*known.earlier, {**old, "until": None}]
    known.protocol_key, known.log_vkey, known.witness_vkey = (
        dict(card.protocol_key),
        card.log_vkey,
        card.witness_vkey,
    )
    known.fingerprint = cards.fingerprint(card)
    known.save(update_fields=["earlier", "protocol_key", "log_vkey", "witness_vkey", "fingerprint"])
    return known


@transaction.atomic
def leave_behind(caller: Peer, kept: str) -> Peer:
    """From now on only the key with the id ``kept`` speaks for a peer. Raises :class:`~.cards.BadCard` if it is another."""
    known = Peer.objects.select_for_update().get(pk=caller.pk)
    if known.protocol_key.get("kid") != kept:
        raise cards.BadCard(reason="other-key")
    now = timezone.now().astimezone(UTC).isoformat(timespec="seconds")
    known.earlier = [{**old, "until": old["until"] or now} for old in known.earlier]
    known.save(update_fields=["earlier"])
    return known


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


def introduce(
    actor: Actor,
    participant_id: str,
    *,
    jurisdiction: str,
    url: str,
    data_url: str,
    protocol_url: str,
    scheme: str,
    name: Mapping[str, str] | None = None,
    networks: Sequence[str] = (),
) -> Peer:
    """Recognise a connector of another make, which has no card; introduced again, it is brought up to date.

    Its callbacks must lie under ``url`` and its payloads under ``data_url``; ``scheme`` is one of ``WANTONG_SCHEMES``
    other than the one for pinned keys, whose peers come by :func:`pin` alone. Raises NotAllowed,
    :class:`~wantong.border.trust.verifiers.UnknownScheme`, :class:`NotThisNode`, :class:`BadAddress`, and
    :class:`KnownByCard` for a node of ours: nobody talks its keys away.
    """
    require(actor, "operator", "approver")
    if participant_id == config.current().participant_id:
        raise NotThisNode(participant_id=participant_id)
    if scheme == PINNED_KEYS:
        raise verifiers.UnknownScheme(scheme=scheme)
    _check_addresses(url, data_url, protocol_url)
    with transaction.atomic():
        known = Peer.objects.select_for_update().filter(participant_id=participant_id).first()
        if known is not None and not known.foreign:
            raise KnownByCard(participant_id=participant_id)
        peer, _ = Peer.objects.update_or_create(
            participant_id=participant_id,
            defaults={
                "jurisdiction": jurisdiction,
                "name": dict(name or {"en": participant_id}),
                "url": url.rstrip("/"),
                "data_url": data_url.rstrip("/"),
                "protocol_url": protocol_url.rstrip("/"),
                "networks": _networks(networks),
                "scheme": scheme,
                "active": True,
                "pinned_by": actor.id,
                "pinned_at": timezone.now(),
            },
        )
        verifiers.scheme_of(peer)
    return peer


def _check_addresses(*addresses: str) -> None:
    for address in addresses:
        if not plain(address) or any(
            network.version == barred.version and network.overlaps(barred)
            for network in Reach.of([address]).networks
            for barred in never()
        ):
            raise BadAddress(address=address[:300])


def _networks(told: Sequence[str]) -> list[str]:
    for network in told:
        try:
            ip_network(network)
        except ValueError:
            raise BadNetwork(network=network[:80]) from None
    return list(told)


def sign_request(receiver: Peer, request: tokens.Request, message_id: str | None = None) -> str:
    """The value of ``Authorization`` for a request of this node to ``receiver``."""
    return verifiers.scheme_of(receiver).sign(receiver, request, message_id)
