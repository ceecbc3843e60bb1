"""Changing a node's keys while everything goes on.

``keys.announce`` tells every recognised node the next keys until all have acknowledged them, then switches;
``keys.retire`` tells them, an overlap later, that the old keys are left behind, and puts those away. Between the two
both keys speak for the node: what was signed before arrives after. What nobody else knows, the keys of the data plane's
tokens and of web sessions, is changed at the same moments, and ``keys.forget`` removes each old one when what it has
signed has ended. Each step may be killed and is simply done again.
See :mod:`wantong.ground.keyring` for the stages and what lies on the disk.

``POST /wantong/keys`` is how a node hears it of others.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import structlog
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from wantong.border.exchange import access, wire
from wantong.border.exchange.extension import incoming, json_object
from wantong.border.exchange.problems import PeerMisbehaves, PeerUnreachable
from wantong.border.trust import keys, renewal
from wantong.border.trust import services as trust
from wantong.border.trust.dcp import keys as did_keys
from wantong.border.trust.identity.accounts.linking import keyed
from wantong.border.trust.models import Peer
from wantong.border.trust.wallet import resealing
from wantong.border.trust.wallet import services as spaces
from wantong.ground import config, keyring
from wantong.ground.http import webkey
from wantong.ground.log.keys import generate_keys
from wantong.ground.outbox import services as outbox
from wantong.ground.outbox.models import Event, State

logger = structlog.get_logger(__name__)

OVERLAP = timedelta(days=7)
SLOWEST = timedelta(seconds=30)
FORGOTTEN = {keys.DATA: access.KEPT, webkey.NAME: webkey.KEPT}
"""How long after the switch the old key is removed, of those whose signatures end by themselves."""
SEALING = (spaces.make_master, keyed.make)
"""What makes the keys with which this node seals and digests what it keeps."""
RETIREMENT = "wantong-retirement/1"


# --- what the operator does -------------------------------------------------------------------------------------


def begin(overlap: timedelta = OVERLAP) -> keyring.Rotation:
    """Make the next keys and have them announced. Of a beginning that was killed the rest is done.

    Raises :class:`~wantong.ground.keyring.RotationUnderWay` if it has been switched already.
    """
    node = config.current()

    def make(folder: Any) -> None:
        generate_keys(folder, node.participant_id)
        keys.make(folder, keys.PROTOCOL, keys.DATA)
        webkey.make(folder)
        did_keys.generate(folder)
        for secret in SEALING:
            secret(folder)

    # what has been sealed or digested is kept with a key that there is before it has a next one
    for secret in SEALING:
        secret(node.keys)
    rotation = keyring.read(node.keys)
    if rotation is not None and rotation.stage != "announced":
        raise keyring.RotationUnderWay
    rotation = rotation or keyring.begin(node.keys, make, timezone.now())
    _once("keys.announce", {"overlap": overlap.total_seconds()})
    _tell_trust()
    return rotation


def missing() -> list[str]:
    """Who has not acknowledged the next keys yet. Raises :class:`~wantong.ground.keyring.NoRotation`."""
    rotation = keyring.read(config.current().keys)
    if rotation is None:
        raise keyring.NoRotation
    return [peer.participant_id for peer in _nodes() if peer.participant_id not in rotation.acknowledged]


def switch(overlap: timedelta = OVERLAP) -> None:
    """Sign with the next keys from now on, whoever has not acknowledged them. Raises NoRotation."""
    rotation = keyring.switch(config.current().keys)
    _once("keys.retire", {}, delay=overlap)
    for name in FORGOTTEN:
        _forget_later(name, rotation.begun)
    _seal_anew(rotation.begun)
    _tell_trust()
    logger.info("keys.switched")


def retire() -> None:
    """Leave the old keys behind now rather than when the overlap is over. Raises NoRotation before the switch."""
    rotation = keyring.read(config.current().keys)
    if rotation is None or rotation.stage != "switched":
        raise keyring.NoRotation
    _once("keys.retire", {})
    Event.objects.filter(topic="keys.retire", state=State.DUE).update(available_at=timezone.now())
    outbox.wake()


def forget_now() -> None:
    """Remove the old keys of tokens, sessions and spaces now rather than when those have ended. Raises NoRotation if none wait."""
    ended = Event.objects.filter(topic="keys.forget", state=State.DUE).update(available_at=timezone.now())
    if not (resealing.hurry() + ended):
        raise keyring.NoRotation
    outbox.wake()


def go_on() -> None:
    """After a restore, whose tables may be a moment older than its keys: what must still happen to these will happen."""
    folder = config.current().keys
    rotation = keyring.read(folder)
    if rotation is not None:
        begin() if rotation.stage == "announced" else switch()
    for name in FORGOTTEN:
        for old in keyring.retired(folder, name):
            _forget_later(name, old.file.parent.name)
    for old in keyring.retired(folder, spaces.MASTER):
        _seal_anew(old.file.parent.name)


# --- what the worker does ---------------------------------------------------------------------------------------


@outbox.handler("keys.announce")
def announce(event: Event) -> None:
    """Tell everyone; switch when all have acknowledged."""
    node = config.current()
    rotation = keyring.read(node.keys)
    if rotation is None:
        return
    overlap = timedelta(seconds=event.payload["overlap"])
    if rotation.stage == "announced":
        told = renewal.make(trust.next_card(node), keys.own(keys.PROTOCOL))
        _tell_all(
            event,
            told,
            [peer for peer in _nodes() if peer.participant_id not in rotation.acknowledged],
            lambda peer: keyring.acknowledge(node.keys, peer.participant_id),
        )
    switch(overlap)


@outbox.handler("keys.retire")
def leave(event: Event) -> None:
    """Tell everyone that the old keys are left behind, then put them away."""
    node = config.current()
    rotation = keyring.read(node.keys)
    if rotation is None or rotation.stage != "switched":
        return
    told = {"retirement": RETIREMENT, "kept": keys.own(keys.PROTOCOL).thumbprint()}
    known = set(event.payload.get("told", ()))

    def note(peer: Peer) -> None:
        known.add(peer.participant_id)
        event.payload["told"] = sorted(known)
        Event.objects.filter(pk=event.pk).update(payload=event.payload)

    # who never heard of the new keys cannot be told anything with them: he needs the new card
    heard = [
        p for p in _nodes() if p.participant_id in rotation.acknowledged and p.participant_id not in known
    ]
    _tell_all(event, told, heard, note)
    keyring.finish(node.keys, timezone.now())
    _tell_trust()
    logger.info("keys.retired")


@outbox.handler("keys.forget", timer=True)
def forget(event: Event) -> None:
    """Remove an old key of which nothing is good any more."""
    name, begun = event.payload["name"], event.payload["begun"]
    keyring.forget(config.current().keys, name, begun)
    logger.info("keys.forgotten", key=name, begun=begun)


def _tell_all(event: Event, told: dict[str, Any], peers: list[Peer], done: Callable[[Peer], Any]) -> None:
    """Raises Postponed while somebody has not acknowledged."""
    silent = []
    for peer in peers:
        try:
            answer = wire.call(peer, "POST", f"{peer.url.rstrip('/')}/wantong/keys", told)
        except (PeerUnreachable, PeerMisbehaves) as error:
            logger.info("keys.not_told", peer=peer.participant_id, reason=str(error))
            silent.append(peer.participant_id)
            continue
        if answer.ok:
            done(peer)
        else:
            logger.warning("keys.not_acknowledged", peer=peer.participant_id, status=answer.status)
            silent.append(peer.participant_id)
    if silent:
        # an event comes to its handler without what only this needs
        event.refresh_from_db(fields=("created_at",))
        waited = timezone.now() - event.created_at
        raise outbox.Postponed(
            f"not acknowledged by {', '.join(silent)}"[:500],
            min(max(waited / 4, timedelta(seconds=0.5)), SLOWEST),
        )


def _nodes() -> list[Peer]:
    """The recognised nodes of our own make: a connector of another has its own way with keys."""
    return [peer for peer in trust.peers() if not peer.foreign]


def _once(topic: str, payload: dict[str, Any], *, key: str = "", delay: timedelta = timedelta()) -> None:
    if not Event.objects.filter(topic=topic, key=key or topic, state=State.DUE).exists():
        outbox.publish(topic, key or topic, payload, delay=delay)


def _forget_later(name: str, begun: str) -> None:
    _once("keys.forget", {"name": name, "begun": begun}, key=f"{name} {begun}", delay=FORGOTTEN[name])


def _seal_anew(begun: str) -> None:
    resealing.begin(begun)
    _once("accounts.rekey", {}, key=f"accounts.rekey {begun}")


def _tell_trust() -> None:
    outbox.publish("trust.changed", "trust.changed", {})


# --- what other nodes say ---------------------------------------------------------------------------------------


@csrf_exempt
def heard(request: HttpRequest) -> HttpResponse:
    """``POST /wantong/keys``: a peer's next keys, or that it has left its old ones behind."""
    caller, body = incoming(request, "POST")
    told = json_object(body)
    if told.get("retirement") == RETIREMENT:
        peer = trust.leave_behind(caller.peer, str(told.get("kept", ""))[:200])
    else:
        peer = trust.renew(caller.peer, told)
    _tell_trust()
    return JsonResponse({"pinned": peer.protocol_key["kid"]})
