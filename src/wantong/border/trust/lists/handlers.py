"""What trust lists do when the outbox says so. Every handler may run twice for one event."""

from __future__ import annotations

import structlog
from django.db import transaction
from django.utils import timezone

from wantong.border.trust import services as trust
from wantong.border.trust.lists import (  # noqa: F401 - successors and watching have handlers of their own
    proposing,
    publishing,
    receiving,
    successors,
    watching,
)
from wantong.border.trust.lists.models import Scheme
from wantong.border.trust.lists.problems import NotFetched
from wantong.border.trust.models import Peer
from wantong.border.trust.tokens import Request
from wantong.ground.http import fetch
from wantong.ground.outbox import services as outbox
from wantong.ground.outbox.models import Event
from wantong.ground.problems import Problem

logger = structlog.get_logger(__name__)

PATIENCE = 8
"""Attempts to reach a peer before it is left to the next round."""


@outbox.handler("trustlist.effect")
def effect(event: Event) -> None:
    proposing.take_effect(event.payload["proposal"])


@outbox.handler("trustlist.renew", timer=True)
def renew(event: Event) -> None:
    publishing.renew(event.payload["number"])


@outbox.handler("trustlist.tell")
def tell(event: Event) -> None:
    """Tell a peer that there is a new version here; a peer that does not take it finds out in its own round."""
    peer = _peer(event)
    if peer is None:
        return
    url = f"{peer.url}{publishing.TOLD}"
    headers = {"Authorization": trust.sign_request(peer, Request("POST", url))}
    try:
        reply = fetch.shared(peer.reach).request(
            "POST", url, headers=headers, limit=64 * 1024, deadline=receiving.DEADLINE
        )
        answer = f"HTTP {reply.status}"
        taken = reply.status < 300
    except fetch.FetchFailed as failure:
        answer, taken = failure.reason, False
    if taken:
        return
    if event.attempts < PATIENCE:
        raise outbox.Retry(answer)
    logger.warning("trustlist.not_told", peer=peer.participant_id, reason=answer)


@outbox.handler("trustlist.look")
def look(event: Event) -> None:
    """Fetch a peer's list. What it shows may be wrong: that is noted, and the next round looks again."""
    peer = _peer(event)
    if peer is None:
        return
    try:
        receiving.look(peer)
    except NotFetched as problem:
        if event.attempts < PATIENCE:
            raise outbox.Retry(str(problem)) from problem
        logger.warning("trustlist.not_fetched", peer=peer.participant_id, reason=str(problem))
    except Problem as problem:
        logger.error("trustlist.refused", peer=peer.participant_id, problem=problem.slug, reason=str(problem))


@outbox.handler("trustlist.round", timer=True)
def look_at_all(event: Event) -> None:
    """Ask every peer for its list, and come back."""
    with transaction.atomic():
        for peer in trust.peers():
            if not peer.foreign:
                receiving.look_soon(peer.participant_id)
        for scheme in Scheme.objects.filter(active=True).exclude(keys=[]):
            receiving.look_soon(scheme.operator_id)
        outbox.publish(
            "trustlist.round", "trustlist.round", {"at": timezone.now().isoformat()}, delay=publishing.ROUND
        )


@outbox.handler("trustlist.gather")
def gather(event: Event) -> None:
    """Ask the anchor of a federation. What it shows may be wrong: that is noted, and the next round asks again."""
    operator = event.payload["operator"]
    try:
        receiving.gather(operator)
    except NotFetched as problem:
        if event.attempts < PATIENCE:
            raise outbox.Retry(str(problem)) from problem
        logger.warning("trustlist.not_fetched", operator=operator, reason=str(problem))
    except Problem as problem:
        logger.error("trustlist.refused", operator=operator, problem=problem.slug, reason=str(problem))


def _peer(event: Event) -> Peer | None:
    return Peer.objects.filter(participant_id=event.payload["peer"], active=True).first()
