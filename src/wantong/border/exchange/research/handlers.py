"""What the outbox has done for research projects."""

from __future__ import annotations

from wantong.border.exchange.research import peering
from wantong.ground.outbox import services as outbox

outbox.handler("research.tell")(peering.send)
