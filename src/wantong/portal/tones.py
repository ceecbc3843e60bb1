"""Which tone (a colour token of ``wantong.css``) a status has. Words always carry the meaning; tones only help."""

from __future__ import annotations

from collections.abc import Mapping

TONES: Mapping[str, str] = {
    # crossings
    "declared": "quiet",
    "classified": "quiet",
    "decided": "quiet",
    "waiting": "wait",
    "released": "good",
    "held": "stop",
    "refused": "bad",
    "delivered": "good",
    "receipted": "done",
    "withdrawn": "bad",
    # whitelist and consent
    "proposed": "wait",
    "approved": "good",
    "active": "good",
    "granted": "good",
    "revoked": "bad",
    "expired": "quiet",
    # transfers and obligations
    "started": "wait",
    "requested": "wait",
    "completed": "done",
    "suspended": "stop",
    "terminated": "bad",
    "open": "wait",
    "fulfilled": "done",
    "breached": "bad",
}


def tone(value: str) -> str:
    """One of ``quiet wait good done stop bad``; what is unknown is ``quiet``."""
    return TONES.get(value, "quiet")
