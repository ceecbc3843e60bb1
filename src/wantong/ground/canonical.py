"""Canonical JSON (RFC 8785, the I-JSON subset without floats) and digests over it.

Digests, signatures and log entries need one byte form for one value. Floats are refused: amounts are integers of
the smallest unit, and every other number Wantong signs is a count.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any


def dumps(value: Any) -> bytes:
    """``value`` as canonical JSON in UTF-8. Raises TypeError for floats and for anything JSON does not know."""
    _refuse_floats(value)
    return json.dumps(
        value, ensure_ascii=False, separators=(",", ":"), sort_keys=True, allow_nan=False
    ).encode()


def digest(value: Any) -> str:
    """``sha256:<hex>`` of the canonical form."""
    return "sha256:" + hashlib.sha256(dumps(value)).hexdigest()


def _refuse_floats(value: Any) -> None:
    if isinstance(value, float):
        raise TypeError("canonical JSON holds no floats; use an integer of the smallest unit")
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str) or not key.isascii():
                # RFC 8785 sorts by UTF-16 units, json.dumps by code points: equal for ASCII keys, and ours all are
                raise TypeError(f"canonical JSON keys are ASCII strings, not {key!r}")
            _refuse_floats(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            _refuse_floats(item)
