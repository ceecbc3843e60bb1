"""What sharing does when the outbox says so. Every handler may run twice for one event."""

from __future__ import annotations

from wantong.border.exchange.sharing import crossing, peering, services
from wantong.ground.outbox import services as outbox
from wantong.ground.outbox.models import Event

outbox.handler("sharing.send")(peering.send)


@outbox.handler("sharing.announce")
def announce(event: Event) -> None:
    crossing.announce(event.payload["request"], event.payload["version"])


@outbox.handler("sharing.fetch")
def fetch(event: Event) -> None:
    crossing.fetch(event.payload["request"], event.payload["cause"])


@outbox.handler("sharing.hand")
def hand(event: Event) -> None:
    crossing.hand(event.payload["request"], event.payload["cause"])


@outbox.handler("sharing.carried")
def carried(event: Event) -> None:
    crossing.carried(event.payload["pid"])


@outbox.handler("sharing.term", timer=True)
def term(event: Event) -> None:
    services.expire(event.payload["request"])
