"""Asking an issuer whether a registration still stands: one bounded request, no redirect, no trust in the answer's size."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import Callable, Sequence
from typing import Any

from wantong.border.gate.verification.carried import Status
from wantong.ground.http.fetch import Fetcher, FetchFailed
from wantong.ground.http.reach import Reach

LONGEST_ANSWER = 16 << 10
PATIENCE = 5.0  # seconds, for the whole exchange

Ask = Callable[[str, str, dt.datetime], Status]
"""From the issuer's address, a registration id and the present moment to its status."""


def ask_issuer(address: str, registration_id: str, now: dt.datetime, networks: Sequence[str] = ()) -> Status:
    """Ask the issuer's node; ``unreachable`` for whatever is not a clear answer. ``networks`` as in :class:`.Reach`."""
    try:
        identifier = uuid.UUID(registration_id)
        with Fetcher(reach=Reach.of([address], networks)) as fetcher:
            answer = fetcher.get(
                f"{address}/api/verification/registrations/{identifier}/status",
                limit=LONGEST_ANSWER,
                deadline=PATIENCE,
            )
        if answer.status != 200:
            return Status("unreachable", now)
        return _status(json.loads(answer.body), now)
    except (FetchFailed, RecursionError, ValueError, KeyError, TypeError, AttributeError):
        return Status("unreachable", now)


def _status(answer: Any, now: dt.datetime) -> Status:
    state = answer["state"]
    if state not in ("valid", "revoked", "unknown"):
        raise ValueError(state)
    revoked = dt.datetime.fromisoformat(answer["revoked_at"]) if answer.get("revoked_at") else None
    return Status(state, now, revoked, str(answer.get("reason", ""))[:300])
