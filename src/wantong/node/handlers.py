"""What the node itself does when the outbox says so."""

from __future__ import annotations

from wantong.ground.outbox import services as outbox
from wantong.ground.outbox.models import Event
from wantong.node import setup


@outbox.handler("trust.changed")
def trust_changed(event: Event) -> None:
    """Keys of this node or of a peer have changed: the trust file and the card say so."""
    setup.write_trust_file()
    setup.write_card()
