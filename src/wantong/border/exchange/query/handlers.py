"""What query services do when the outbox says so."""

from __future__ import annotations

from wantong.border.exchange.query import services
from wantong.ground.outbox.models import Event
from wantong.ground.outbox.services import handler


@handler("query.take")
def take(event: Event) -> None:
    """Take what the data plane has written into the log."""
    services.take()
