"""What passes do when the outbox says so. Every handler may run twice for one event."""

from __future__ import annotations

import structlog

from wantong.border.trust.models import Peer
from wantong.border.trust.passes import knowledge
from wantong.border.trust.verdict import Refused
from wantong.ground.http import fetch
from wantong.ground.outbox import services as outbox
from wantong.ground.outbox.models import Event

logger = structlog.get_logger(__name__)

PATIENCE = 3


@outbox.handler("passes.look")
def look(event: Event) -> None:
    """Fetch a peer's keys and lists; one that does not answer is asked again when somebody next needs to know."""
    peer = Peer.objects.filter(participant_id=event.payload["peer"], active=True).first()
    if peer is None:
        return
    try:
        knowledge.look(peer)
    except (fetch.FetchFailed, Refused, ValueError) as error:
        if event.attempts < PATIENCE:
            raise outbox.Retry(str(error)) from error
        logger.warning("passes.not_told", peer=peer.participant_id, reason=str(error))
