"""Nonces that need no memory: a span of time, authenticated by a secret of this node.

Given out and taken by every process; good for the span in which they were made and the next one.
"""

from __future__ import annotations

import base64
import hmac
from datetime import datetime

SPAN = 180
"""Seconds of one span: a nonce is good for at least that long, and at most twice."""


def make(secret: bytes, purpose: str, now: datetime) -> str:
    """The nonce of this moment."""
    return _of(secret, purpose, int(now.timestamp()) // SPAN)


def good(nonce: str, secret: bytes, purpose: str, now: datetime) -> bool:
    """Whether ``nonce`` was made for ``purpose`` in this span or the one before."""
    span = int(now.timestamp()) // SPAN
    asked = nonce.encode("utf-8", "replace")
    # both are compared, always: how long it takes says nothing
    found = [hmac.compare_digest(_of(secret, purpose, span - back).encode(), asked) for back in (0, 1)]
    return any(found)


def _of(secret: bytes, purpose: str, span: int) -> str:
    told = hmac.digest(secret, f"{purpose} {span}".encode(), "sha256")
    return base64.urlsafe_b64encode(told[:18]).decode()
