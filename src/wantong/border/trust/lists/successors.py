"""The node's own services change their keys: the list names the next key beside the old one before anything is signed with it.

A self-signed certificate is believed where a list names it, and other nodes' people must countersign that list first: so
the next key is published at once and signs an overlap later. What the old one has signed stays good, its entry stands;
unless it was stolen, then :func:`forget` withdraws it at once. Nobody's hand is needed: only one of this node's keys takes
another's place, in the same entry's words, and who has the node's keys could do no less.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from wantong.border.trust import jws
from wantong.border.trust.certificates import holdings
from wantong.border.trust.certificates.holdings import Following, Holding
from wantong.border.trust.lists import publishing
from wantong.border.trust.lists.changes import Wish
from wantong.border.trust.lists.trustlist import Provider, Service, State, Status, fingerprint
from wantong.ground.crypto import Suite
from wantong.ground.outbox import services as outbox
from wantong.ground.outbox.models import Event
from wantong.ground.outbox.models import State as Stage

PUBLISH, TAKE_OVER, WITHDRAW = "trustlist.follow", "trustlist.succeed", "trustlist.forget"


def begin(overlap: timedelta) -> tuple[Following, ...]:
    """Make next keys for the node's services; the worker publishes those that are self-signed. Once more does nothing new."""
    made = holdings.follow_all(timezone.now())
    with transaction.atomic():
        outbox.publish(PUBLISH, PUBLISH, {"overlap": overlap.total_seconds()})
    return made


def forget() -> bool:
    """A key was stolen: next keys sign now, the old ones' entries are withdrawn, and the old private keys removed.

    Returns whether there is any of these to do.
    """
    waiting = holdings.following()
    old = any(holdings.former(one.purpose, one.suite) for one in holdings.held())
    if not waiting and not old:
        return False
    with transaction.atomic():
        outbox.publish(WITHDRAW, PUBLISH, {})
    return True


@outbox.handler(PUBLISH)
def follow(event: Event) -> None:
    """Name every next key that waits in the list, once; it signs an overlap after that."""
    with transaction.atomic():
        _publish(_new_entries(timezone.now()))
        for one in holdings.following():
            about: dict[str, Any] = {"purpose": one.purpose, "suite": one.suite.value}
            delay = timedelta(seconds=event.payload["overlap"]) if _listed(one.certificate) else timedelta()
            key = f"{TAKE_OVER} {one.purpose}.{one.suite}"
            if not Event.objects.filter(topic=TAKE_OVER, key=key, state=Stage.DUE).exists():
                outbox.publish(TAKE_OVER, key, about, delay=delay)


@outbox.handler(TAKE_OVER, timer=True)
def take_over(event: Event) -> None:
    """A next key that is known signs from now on."""
    holdings.succeed(event.payload["purpose"], Suite(event.payload["suite"]), now=timezone.now())


@outbox.handler(WITHDRAW)
def withdraw(event: Event) -> None:
    """The old keys are in strange hands: nothing that they sign from now on is recognised."""
    now = timezone.now()
    with transaction.atomic():
        _publish(_new_entries(now))
    for one in holdings.following():
        holdings.succeed(one.purpose, one.suite, now=now)
    old = {
        former.certificate: one
        for one in holdings.held()
        for former in holdings.former(one.purpose, one.suite)
    }
    with transaction.atomic():
        _publish(_ended(old))
    for one in holdings.held():
        holdings.forget(one.purpose, one.suite)


def _publish(wishes: Mapping[str, Wish]) -> None:
    if wishes:
        publishing.publish(list(wishes.values()))


def _listed(certificate: bytes) -> bool:
    return any(service.now.root == certificate for _, service in publishing.current().services())


def _new_entries(now: datetime) -> dict[str, Wish]:
    """What the list must say of next keys and does not: by the id of the service."""
    found = {}
    for after in holdings.following():
        before = holdings.signer(after.purpose, after.suite)
        if _listed(after.certificate):
            continue
        for provider, service, state in _standing(before):
            if state.entity_id:
                key = jws.jwk(after.signer.public)
                state = replace(state, jwks=(key, *(one for one in state.jwks if one != key)))
                found[service.id] = _wish(provider, service.id, service, state)
                state = replace(state, entity_id="", jwks=())
            name = service.id.removesuffix(_mark(before.certificate)) + _mark(after.certificate)
            found[name] = _wish(provider, name, service, replace(state, root=after.certificate))
    return found


def _ended(old: Mapping[bytes, Holding]) -> dict[str, Wish]:
    found = {}
    for provider, service in publishing.current().services():
        state = service.now
        if state.root not in old or state.status is Status.WITHDRAWN:
            continue
        if state.entity_id:  # the entity stays, by the key that signs now
            now = old[state.root]
            state = replace(state, root=now.chain[-1], jwks=(jws.jwk(now.signer.public),))
        else:
            state = replace(state, status=Status.WITHDRAWN)
        found[service.id] = _wish(provider, service.id, service, state)
    return found


def _standing(holding: Holding) -> Iterator[tuple[Provider, Service, State]]:
    """Where the own list names a self-signed key of this node, and grants it something."""
    for provider, service in publishing.current().services():
        if service.now.root == holding.certificate and service.now.status is Status.GRANTED:
            yield provider, service, service.now


def _wish(provider: Provider, identifier: str, service: Service, state: State) -> Wish:
    return Wish(provider.id, provider.name, provider.uri, identifier, service.type, state)


def _mark(certificate: bytes) -> str:
    return f"-{fingerprint(certificate)[:8]}"
