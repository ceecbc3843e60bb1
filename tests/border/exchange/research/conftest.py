from __future__ import annotations

import pytest
from tests.border.gate.conftest import told

from wantong.ground.outbox import services as outbox

__all__ = ["told"]


@pytest.fixture
def sent(told, monkeypatch):
    """What this node tells its partner, in order."""
    messages: list[dict] = []
    monkeypatch.setitem(
        outbox.HANDLERS, "research.tell", lambda event: messages.append(event.payload["message"])
    )
    return messages
