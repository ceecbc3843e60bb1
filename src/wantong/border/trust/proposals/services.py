"""The verbs: propose; approve, refuse, withdraw. One row is locked while it is decided, so it takes effect once."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone

from wantong.border.trust.proposals import kinds
from wantong.border.trust.proposals.models import Proposal, State
from wantong.border.trust.proposals.problems import (
    Decided,
    NotTheirs,
    ReasonNeeded,
    SameHand,
    UnknownProposal,
    Waits,
)
from wantong.ground import canonical
from wantong.ground.actors import Actor
from wantong.ground.http.auth import NotAllowed, require
from wantong.ground.log import services as log

LONGEST = 4000
ENTRIES = {
    State.PROPOSED: "proposal.proposed",
    State.APPROVED: "proposal.approved",
    State.REFUSED: "proposal.refused",
    State.WITHDRAWN: "proposal.withdrawn",
    State.SET_UP: "proposal.set-up",
}
"""What became of a proposal → the kind of its entry in the log."""


@transaction.atomic
def propose(actor: Actor, kind: str, subject: str, params: Mapping[str, Any]) -> Proposal:
    """Propose an act; nothing is in effect before another approves. The same once more is the same proposal.

    The machine's administrator (``system:``) does it alone as long as the node has nobody who could decide: whoever
    sets a node up is alone. The room has checked who may propose and what. Raises :class:`Waits`.
    """
    found = Proposal.objects.select_for_update().filter(kind=kind, subject=subject, state=State.PROPOSED)
    if waiting := found.first():
        if waiting.params == dict(params):
            return waiting
        raise Waits(subject=subject)
    alone = actor.id.startswith("system:") and not _deciders()
    try:
        with transaction.atomic():
            made = Proposal.objects.create(
                kind=kind,
                subject=subject,
                params=dict(params),
                proposed_by=actor.id,
                state=State.SET_UP if alone else State.PROPOSED,
            )
    except IntegrityError:  # somebody proposed in the same instant; the database lets one of them wait
        raise Waits(subject=subject) from None
    _note(made, actor)
    if alone:
        kinds.get(kind).effect(actor, made.params)
    return made


@transaction.atomic
def approve(actor: Actor, proposal_id: uuid.UUID | str) -> Proposal:
    """Approve: it is in effect from now on. Only people do. Raises NotAllowed, :class:`UnknownProposal`,
    :class:`Decided`, :class:`SameHand`, and whatever the act itself may raise: then it waits on."""
    row = _locked(actor, proposal_id)
    if row.proposed_by == actor.id:
        raise SameHand
    _decided(row, actor, State.APPROVED, "")
    kinds.get(row.kind).effect(actor, row.params)
    return row


@transaction.atomic
def refuse(actor: Actor, proposal_id: uuid.UUID | str, reason: str) -> Proposal:
    """Turn down what another proposed. Raises as :func:`approve`, :class:`ReasonNeeded`."""
    row = _locked(actor, proposal_id)
    if row.proposed_by == actor.id:
        raise SameHand
    return _ended(row, actor, State.REFUSED, reason)


@transaction.atomic
def withdraw(actor: Actor, proposal_id: uuid.UUID | str, reason: str) -> Proposal:
    """Take one's own proposal back. Raises as :func:`refuse`, :class:`NotTheirs`."""
    row = _locked(actor, proposal_id)
    if row.proposed_by != actor.id:
        raise NotTheirs
    return _ended(row, actor, State.WITHDRAWN, reason)


def waiting() -> list[Proposal]:
    """What waits for a second person, the oldest first."""
    return list(Proposal.objects.filter(state=State.PROPOSED).order_by("proposed_at"))


def waits(kind: str, subject: str) -> bool:
    """Whether this waits for a second person."""
    return Proposal.objects.filter(kind=kind, subject=subject, state=State.PROPOSED).exists()


def get(proposal_id: uuid.UUID | str) -> Proposal:
    """Raises :class:`UnknownProposal`."""
    try:
        return Proposal.objects.get(id=proposal_id)
    except (Proposal.DoesNotExist, ValidationError):
        raise UnknownProposal from None


def _deciders() -> bool:
    users = get_user_model().objects.filter(is_active=True, groups__name__in=kinds.DECIDE)
    return bool(users.exists())


def _locked(actor: Actor, proposal_id: uuid.UUID | str) -> Proposal:
    require(actor, *kinds.DECIDE)
    row = Proposal.objects.select_for_update().get(id=get(proposal_id).id)
    if not actor.is_human and row.proposed_by != actor.id:
        raise NotAllowed(roles=", ".join(kinds.DECIDE), actor=actor.id)
    if row.state != State.PROPOSED:
        raise Decided(state=row.state)
    return row


def _ended(row: Proposal, actor: Actor, state: State, reason: str) -> Proposal:
    reason = reason.strip()[:LONGEST]
    if not reason:
        raise ReasonNeeded
    _decided(row, actor, state, reason)
    params = row.params
    transaction.on_commit(lambda: kinds.get(row.kind).dropped(params))
    return row


def _decided(row: Proposal, actor: Actor, state: State, reason: str) -> None:
    row.state, row.decided_by, row.decided_at, row.reason = state, actor.id, timezone.now(), reason
    row.save()
    _note(row, actor)


def _note(row: Proposal, actor: Actor) -> None:
    about = canonical.digest({"subject": row.subject, "params": row.params})
    body = {"proposal": str(row.id), "of": row.kind, "about": about, "actor": actor.id}
    log.record(ENTRIES[State(row.state)], body, row.decided_at or row.proposed_at)
