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
    # the whitelist
    "proposed": "wait",
    "approved": "good",
    "rejected": "bad",
    "revoked": "bad",
    "expired": "quiet",
    # offshore spaces: data, jobs, runs
    "present": "good",
    "returned": "done",
    "deleted": "quiet",
    "registered": "wait",
    "queued": "wait",
    "done": "good",
    "failed": "bad",
    # passes: rights, and what a gate decides
    "active": "good",
    "suspended": "wait",
    "admit": "good",
    "ask": "wait",
    "refuse": "bad",
    # research projects
    "agreed": "good",
    "declined": "bad",
    "closed": "quiet",
    "ended": "quiet",
    # consents and their uses
    "given": "good",
    "withdrawn": "bad",
    "prepared": "wait",
    "left": "done",
    "stopped": "stop",
    "recalled": "stop",
    # open data
    "preparing": "wait",
    "published": "good",
    # sharing
    "asked": "wait",
    "endorsed": "wait",
    "granted": "good",
    "in_force": "good",
    "unconditional": "good",
    "conditional": "wait",
    # registrations of carried documents, and what a check says
    "valid": "good",
    "genuine": "good",
    "altered": "bad",
    "unproven": "bad",
    "unconfirmed": "wait",
}


def tone(value: str) -> str:
    """One of ``quiet wait good done stop bad``; what is unknown is ``quiet``."""
    return TONES.get(value, "quiet")
