"""What the outbox has the verifier do: forget in time."""

from __future__ import annotations

import uuid

from wantong.border.trust.verifier import services
from wantong.ground.outbox.models import Event
from wantong.ground.outbox.services import handler


@handler("verifier.forget", timer=True)
def forget(event: Event) -> None:
    services.forget(uuid.UUID(event.payload["inquiry"]))
