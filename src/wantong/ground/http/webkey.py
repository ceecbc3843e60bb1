"""``web.key``, with which Django signs sessions and forms, changed while it is used.

While a node's keys are changed (:mod:`wantong.ground.keyring`) one signs, Django's ``SECRET_KEY``, and the others still,
or already, count: ``SECRET_KEY_FALLBACKS``. :class:`wantong.node.middleware.WebKey` keeps a running process to them.
"""

from __future__ import annotations

import secrets
from datetime import timedelta
from pathlib import Path

from wantong.ground import keyring

NAME = "web.key"
SESSION = timedelta(days=14)
"""How long a session lasts that nobody renews."""
KEPT = SESSION + timedelta(hours=1)
"""How long after another key has taken over the old one still counts."""


def make(folder: Path) -> None:
    """Make the key if ``folder`` has none yet. Durable when it returns."""
    keyring.write_once(folder / NAME, secrets.token_urlsafe(50))


def read(folder: Path) -> tuple[str, list[str]]:
    """``SECRET_KEY`` and ``SECRET_KEY_FALLBACKS`` as they are now. Raises FileNotFoundError."""
    signs, *others = (text.strip() for text in keyring.texts(folder, NAME))
    return signs, others
