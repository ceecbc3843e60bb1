"""What the outbox has done in offshore spaces."""

from __future__ import annotations

from wantong.border.exchange.offshore import services
from wantong.ground.outbox import services as outbox
from wantong.ground.outbox.models import Event


@outbox.handler("offshore.run")
def run(event: Event) -> None:
    services.perform(event.payload["run"])


@outbox.handler("offshore.unlink")
def unlink(event: Event) -> None:
    services.unlink(event.payload["space"], event.payload["sha256"])
