"""What becomes of a process that two nodes share when one of them has been brought back from a backup. Pure.

The node that was away is behind: its peer may know a process that it does not know, or know it in a later state. Every
rule leads to one end state at both; none lets a payload leave twice. See ``docs/decisions/reconciliation.md``.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from wantong.border.exchange import negotiation as n
from wantong.border.exchange import transfer as t
from wantong.border.exchange.machine import CONSUMER, PROVIDER, Machine

MACHINES: Final = {"negotiations": n.MACHINE, "transfers": t.MACHINE}


class Rule(StrEnum):
    """What the node that was away does."""

    KEEP = "keep"
    """Both know the same, or what the peer lacks is on its way to him."""
    FOLLOW = "follow"
    """It has ended there: it has ended here, in the same way; a node that has forgotten it takes it up as ended."""
    FETCH = "fetch"
    """The payload still waits there: it is fetched (again)."""
    END = "end"
    """Nobody can go on with it: it is terminated on both sides."""
    VOID = "void"
    """An agreement that this node cannot have made for all it can prove: the peer takes it back."""


@dataclass(frozen=True)
class Side:
    """One side's word on a process. ``sending``: the message it is just sending, which the other may not have."""

    state: str
    sending: str = ""


def decide(
    family: str,
    role: str,
    own: Side | None,
    theirs: Side,
    *,
    proven: bool = True,
    parcel: bool = True,
) -> Rule:
    """The rule for a process of which this node, in ``role``, knows ``own`` (None: nothing) and its peer ``theirs``.

    ``proven``: this node can stand by the agreement that the peer tells of (only asked when it is FINALIZED there);
    ``parcel``: this node, as provider, still has the payload of a transfer that has started.
    """
    machine = MACHINES[family]
    if own is None:
        return _unknown(family, role, theirs.state, proven)
    if own.state == theirs.state:
        # who has lost what he was just sending cannot go on sending it
        lost = family == "transfers" and role == PROVIDER and own.state == t.STARTED and not parcel
        return Rule.END if lost else Rule.KEEP
    if own.state in machine.final:
        return Rule.KEEP  # what ended it is in our outbox, or he has been away as well
    if theirs.state in machine.final:
        if family == "negotiations" and theirs.state == n.FINALIZED and not proven:
            return Rule.VOID
        return Rule.FOLLOW
    if _on_its_way(machine, role, own, theirs) or _on_its_way(machine, _other(role), theirs, own):
        return Rule.KEEP
    if family == "transfers" and (role, own.state, theirs.state) == (CONSUMER, t.REQUESTED, t.STARTED):
        return Rule.FETCH
    return Rule.END


def _unknown(family: str, role: str, state: str, proven: bool) -> Rule:
    if state in MACHINES[family].final:
        return Rule.FOLLOW if proven or state != n.FINALIZED else Rule.VOID
    if family == "transfers" and role == CONSUMER and state == t.STARTED:
        return Rule.FETCH
    return Rule.END


def _on_its_way(machine: Machine, role: str, ahead: Side, behind: Side) -> bool:
    """Whether all that ``ahead``, in ``role``, knows more than ``behind`` is the message that it is just sending."""
    return bool(ahead.sending) and machine.table.get((behind.state, ahead.sending, role)) == ahead.state


def _other(role: str) -> str:
    return CONSUMER if role == PROVIDER else PROVIDER
