"""What was used and counts no more, remembered by all processes until it would have expired anyway."""

from __future__ import annotations

import hashlib
import threading
import time
from datetime import UTC, datetime, timedelta

from django.db import connection
from django.utils import timezone

from wantong.border.trust.identity.provider.models import AuthorizationRequest, Grant, Once

PRUNE_EVERY = 300.0  # seconds
KEPT = timedelta(days=1)
_lock = threading.Lock()
_prune_next = time.monotonic() + PRUNE_EVERY


def digest(*parts: str) -> str:
    """SHA-256 over the parts, each with its length, in hex."""
    told = hashlib.sha256()
    for part in parts:
        raw = part.encode()
        told.update(len(raw).to_bytes(8, "big") + raw)
    return told.hexdigest()


def first_time(*parts: str, until: float) -> bool:
    """Whether this is the first time that ``parts`` are seen, remembered until a moment (seconds). Of many at once, one."""
    _prune_now_and_then()
    # one statement: no savepoint, no look before, and it counts whatever becomes of the rest of the request
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO provider_once (digest, until) VALUES (%s, %s) ON CONFLICT (digest) DO NOTHING",
            [
                digest(*parts),
                connection.ops.adapt_datetimefield_value(datetime.fromtimestamp(until, UTC)),
            ],
        )
        return bool(cursor.rowcount)


def prune(now: datetime) -> None:
    """Forget what has expired: a margin later, for clocks that are set back."""
    Once.objects.filter(until__lt=now - timedelta(minutes=5)).delete()
    AuthorizationRequest.objects.filter(expires_at__lt=now - timedelta(minutes=5)).delete()
    Grant.objects.filter(expires_at__lt=now - KEPT).delete()


def _prune_now_and_then() -> None:
    global _prune_next
    with _lock:
        if time.monotonic() < _prune_next:
            return
        _prune_next = time.monotonic() + PRUNE_EVERY
    prune(timezone.now())
