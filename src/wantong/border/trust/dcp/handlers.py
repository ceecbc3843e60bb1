"""What claims do when the outbox says so. Every handler may run twice for one event."""

from __future__ import annotations

from wantong.border.trust.dcp import issuing
from wantong.ground.outbox import services as outbox
from wantong.ground.outbox.models import Event


@outbox.handler(issuing.TOPIC)
def deliver(event: Event) -> None:
    """Bring credentials, or a refusal, to whoever asked for them."""
    issuing.deliver(event.payload["request"])
