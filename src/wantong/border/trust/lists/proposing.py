"""The own list is changed by two people: one proposes, another approves, and the outbox has it take effect at its time."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from wantong.border.trust.lists import changes, publishing
from wantong.border.trust.lists.changes import Wish
from wantong.border.trust.lists.models import Proposal, ProposalAction, ProposalState, Version
from wantong.border.trust.lists.problems import BadList, NoteNeeded, NotNow, SameHand, UnknownProposal
from wantong.border.trust.lists.trustlist import TrustList
from wantong.ground import canonical, config
from wantong.ground.actors import Actor, system
from wantong.ground.http.auth import require
from wantong.ground.log import services as log
from wantong.ground.outbox import services as outbox

FURTHEST = timedelta(days=3 * 366)
MOST = 1000
"""Changes in a proposal."""
KINDS = {
    "propose": "trustlist.propose",
    "approve": "trustlist.approve",
    "reject": "trustlist.reject",
    "publish": "trustlist.publish",
    "fail": "trustlist.fail",
}
"""What happens to a proposal → the kind of its entry in the log."""


@transaction.atomic
def propose(
    actor: Actor,
    wishes: Sequence[Mapping[str, Any]],
    *,
    effective_at: datetime | None = None,
    note: str = "",
    draft: bool = False,
) -> Proposal:
    """Propose changes to the own list, to take effect at a time (None: when approved); nothing changes before another approves.

    A ``wish`` is ``{"provider": {id, name, uri}, "service": {id, type}, "state": {…}}`` (:class:`.changes.Wish`). With
    ``draft`` it is kept, to be completed by its author. Raises NotAllowed (operators and approvers propose), BadList.
    """
    require(actor, "operator", "approver")
    made = Proposal.objects.create(
        wishes=_checked(wishes), effective_at=_soon(effective_at), proposed_by=actor.id
    )
    return made if draft else _submit(actor, made, note)


@transaction.atomic
def redraft(
    actor: Actor,
    proposal_id: uuid.UUID | str,
    wishes: Sequence[Mapping[str, Any]],
    effective_at: datetime | None = None,
) -> Proposal:
    """Put other wishes into one's own draft. Raises UnknownProposal, SameHand for somebody else's, NotNow, BadList."""
    found = _own_draft(actor, proposal_id, "redraft")
    found.wishes, found.effective_at = _checked(wishes), _soon(effective_at)
    found.save(update_fields=("wishes", "effective_at"))
    return found


@transaction.atomic
def submit(actor: Actor, proposal_id: uuid.UUID | str, note: str = "") -> Proposal:
    """Propose what one has drafted. Raises as :func:`redraft`."""
    return _submit(actor, _own_draft(actor, proposal_id, "submit"), note)


def _own_draft(actor: Actor, proposal_id: uuid.UUID | str, act: str) -> Proposal:
    require(actor, "operator", "approver")
    found = _locked(proposal_id)
    if found.state != ProposalState.DRAFT:
        raise NotNow(act=act, state=found.state)
    if found.proposed_by != actor.id:
        raise SameHand()
    return found


def _submit(actor: Actor, made: Proposal, note: str) -> Proposal:
    if not made.wishes:
        raise BadList(field="wishes", reason="none")
    # what could not be published today is said today
    preview(made)
    made.state = ProposalState.PROPOSED
    made.save(update_fields=("state",))
    _note(made, "propose", actor, note)
    return made


@transaction.atomic
def approve(actor: Actor, proposal_id: uuid.UUID | str, note: str = "") -> Proposal:
    """Approve a proposal: it takes effect at its time. Raises UnknownProposal, NotAllowed, SameHand, NotNow."""
    require(actor, "approver")
    found = _locked(proposal_id)
    if found.state != ProposalState.PROPOSED:
        raise NotNow(act="approve", state=found.state)
    if found.proposed_by == actor.id:
        raise SameHand()
    found.state, found.approved_by = ProposalState.APPROVED, actor.id
    found.save(update_fields=("state", "approved_by"))
    _note(found, "approve", actor, note)
    wait = max((found.effective_at or timezone.now()) - timezone.now(), timedelta())
    # a key a proposal: one that waits for next month does not keep another from tomorrow
    outbox.publish(
        "trustlist.effect", f"trustlist.effect:{found.id}", {"proposal": str(found.id)}, delay=wait
    )
    return found


@transaction.atomic
def reject(actor: Actor, proposal_id: uuid.UUID | str, reason: str) -> Proposal:
    """Turn a proposal down, or call off one that is approved and not in effect yet.

    Its author may do so too. Raises UnknownProposal, NotAllowed, NotNow, NoteNeeded.
    """
    found = _locked(proposal_id)
    if found.proposed_by != actor.id:
        require(actor, "approver")
    if found.state not in (ProposalState.DRAFT, ProposalState.PROPOSED, ProposalState.APPROVED):
        raise NotNow(act="reject", state=found.state)
    if not reason.strip() and found.state != ProposalState.DRAFT:
        raise NoteNeeded(operator=config.current().participant_id)
    found.state = ProposalState.REJECTED
    found.save(update_fields=("state",))
    _note(found, "reject", actor, reason)
    return found


def proposal(proposal_id: uuid.UUID | str) -> Proposal:
    """Raises UnknownProposal."""
    try:
        return Proposal.objects.get(id=proposal_id)
    except (Proposal.DoesNotExist, ValidationError):
        raise UnknownProposal(proposal=str(proposal_id)[:64]) from None


def preview(made: Proposal, at: datetime | None = None) -> TrustList:
    """The list as it would be if a proposal took effect now. Raises BadList."""
    now = (at or timezone.now()).replace(microsecond=0)
    old = publishing.current()
    issued = max(now, old.issued + timedelta(seconds=1))
    return changes.apply(
        old, [Wish.of(one, issued) for one in made.wishes], issued, issued + publishing.VALIDITY
    )


def take_effect(proposal_id: str) -> Version | None:
    """Publish the version with an approved proposal in it; None if that has been done, or called off.

    Before its time, and in the second of the version before, :class:`~.outbox.services.Postponed` is raised.
    """
    with transaction.atomic():
        found = _locked(proposal_id)
        if found.state != ProposalState.APPROVED:
            return None
        now = timezone.now()
        if found.effective_at and now < found.effective_at:
            raise outbox.Postponed("its time has not come", found.effective_at - now)
        actor = system("trustlists")
        try:
            made = publishing.publish([Wish.of(one, now.replace(microsecond=0)) for one in found.wishes])
        except BadList as problem:
            # another version has come between, which it contradicts: people must look again
            found.state = ProposalState.FAILED
            found.save(update_fields=("state",))
            _note(found, "fail", actor, json.dumps(problem.params))
            return None
        found.state, found.version = ProposalState.PUBLISHED, made
        found.save(update_fields=("state", "version"))
        _note(found, "publish", actor, "")
        return made


def _locked(proposal_id: uuid.UUID | str) -> Proposal:
    return Proposal.objects.select_for_update().get(id=proposal(proposal_id).id)


def _checked(wishes: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    now = timezone.now().replace(microsecond=0)
    if len(wishes) > MOST:
        raise BadList(field="wishes", reason="too-many", most=MOST)
    for wish in wishes:
        if not isinstance(wish, Mapping):
            raise BadList(field="change", reason="not-object")
    return [Wish.of(one, now).to_dict() for one in wishes]


def _soon(at: datetime | None) -> datetime | None:
    if at is not None and at.tzinfo is None:
        raise BadList(field="effective_at", reason="no-zone")
    if at is not None and at > timezone.now() + FURTHEST:
        raise BadList(field="effective_at", reason="too-far")
    return at


def _note(made: Proposal, act: str, actor: Actor, note: str) -> None:
    now = timezone.now()
    ProposalAction.objects.create(
        proposal=made, act=act, actor=actor.id, actor_name=actor.name, at=now, note=note.strip()[:4000]
    )
    body = {"proposal": str(made.id), "wishes": canonical.digest(made.wishes), "changes": len(made.wishes)}
    log.record(KINDS[act], body, now)
