"""What open data does when the outbox says so. Every handler may run twice for one event."""

from __future__ import annotations

import uuid
from datetime import timedelta

from wantong.border.exchange.opendata import harvest, services
from wantong.ground.outbox import services as outbox
from wantong.ground.outbox.models import Event


@outbox.handler("opendata.publish")
def publish(event: Event) -> None:
    services.settle(uuid.UUID(event.payload["submission"]))


@outbox.handler("opendata.remove")
def remove(event: Event) -> None:
    services.remove_files(event.payload["name"])


@outbox.handler("opendata.harvest")
def harvest_step(event: Event) -> None:
    try:
        harvest.step(event.payload["source"], event.payload["turn"])
    except harvest.Again as again:
        after = timedelta(seconds=again.seconds) if again.seconds else None
        raise outbox.Retry(again.reason, after=after) from None
