from __future__ import annotations

import pytest

from wantong.ground.outbox import services as outbox

ABOVE = ("gate.released", "gate.held", "gate.refused", "gate.withdrawn")


@pytest.fixture
def told(node, monkeypatch):
    """What the gate tells the floor above, as (topic, payload); nobody up there acts on it."""
    heard: list[tuple[str, dict]] = []
    handlers = dict(outbox.HANDLERS)
    handlers.update({topic: lambda event: heard.append((event.topic, event.payload)) for topic in ABOVE})
    monkeypatch.setattr(outbox, "HANDLERS", handlers)
    return heard
