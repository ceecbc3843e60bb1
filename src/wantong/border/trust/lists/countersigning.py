"""A version of another's list counts when two people have compared and countersigned it, until one takes that back."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from wantong.border.trust.certificates import holdings
from wantong.border.trust.lists import changes, signed, stored
from wantong.border.trust.lists.changes import Change
from wantong.border.trust.lists.models import Countersigning, Listed, Received
from wantong.border.trust.lists.problems import NoteNeeded, NotNow, SameHand
from wantong.border.trust.lists.trustlist import moment
from wantong.ground import canonical, config
from wantong.ground.actors import Actor
from wantong.ground.http.auth import require
from wantong.ground.log import services as log

State = Countersigning.State


@transaction.atomic
def compared(actor: Actor, received: Received, note: str = "") -> Countersigning:
    """Say that one has compared a version with what counts now, and would have it count.

    Raises NotAllowed (operators and approvers), NotNow if it is not the newest or has been decided, NoteNeeded if its
    past has been altered.
    """
    require(actor, "operator", "approver")
    newest = Received.objects.filter(operator_id=received.operator_id).order_by("-sequence").first()
    known = Countersigning.objects.select_for_update().filter(received=received).first()
    if newest != received or (known is not None and known.state != State.REJECTED):
        raise NotNow(act="compare", state=known.state if known else "superseded")
    if not note.strip() and any(change.alarming for change in waiting_changes(received)):
        raise NoteNeeded(operator=received.operator_id)
    values = {"state": State.PROPOSED, "proposed_by": actor.id, "approved_by": None, "note": note[:4000]}
    row, _ = Countersigning.objects.update_or_create(received=received, defaults=values)
    log.record("trustlist.compare", stored.about(received), timezone.now())
    return row


@transaction.atomic
def countersign(actor: Actor, received: Received) -> Countersigning:
    """Confirm what another has compared: the version counts from now on. Raises NotAllowed, NotNow, SameHand."""
    require(actor, "approver")
    row = _decide(received, State.PROPOSED, "countersign")
    if row.proposed_by == actor.id:
        raise SameHand()
    row.approved_by = actor.id
    return _sign(row, "trustlist.countersign")


@transaction.atomic
def refuse(actor: Actor, received: Received, reason: str) -> Countersigning:
    """Turn down what another has compared. Raises NotAllowed, NotNow, NoteNeeded."""
    require(actor, "approver")
    row = _decide(received, State.PROPOSED, "refuse")
    return _end(row, State.REJECTED, reason, "trustlist.refuse")


@transaction.atomic
def revoke(actor: Actor, received: Received, reason: str) -> Countersigning:
    """Take a countersignature back: nothing of that operator counts until a version is countersigned anew.

    One person is enough to stop. Raises NotAllowed, NotNow, NoteNeeded.
    """
    require(actor, "approver")
    row = _decide(received, State.SIGNED, "revoke")
    return _end(row, State.REVOKED, reason, "trustlist.revoke")


def resume(row: Received) -> None:
    """Let a version count that says what people have countersigned already, by the same signer: they need not look again."""
    last = _last_decided(row.operator_id)
    if last is None or last.state != State.SIGNED:
        return
    before = last.received
    if (before.content, before.signer, before.form) != (row.content, row.signer, row.form):
        return
    made = Countersigning(
        received=row,
        proposed_by=last.proposed_by,
        approved_by=last.approved_by,
        rests_on=last.rests_on or last,
    )
    _sign(made, "trustlist.continue")


def _decide(received: Received, state: str, act: str) -> Countersigning:
    row = Countersigning.objects.select_for_update().filter(received=received).first()
    if row is None or row.state != state:
        raise NotNow(act=act, state=row.state if row else "waiting")
    return row


def _end(row: Countersigning, state: str, reason: str, kind: str) -> Countersigning:
    if not reason.strip():
        raise NoteNeeded(operator=row.received.operator_id)
    row.state, row.note = state, reason.strip()[:4000]
    row.save(update_fields=("state", "note"))
    log.record(kind, stored.about(row.received), timezone.now())
    return row


def _sign(row: Countersigning, kind: str) -> Countersigning:
    now = timezone.now()
    said = {
        "countersignature": "wantong-countersignature/1",
        "by": config.current().participant_id,
        **stored.about(row.received),
        "at": moment(now),
    }
    row.jws = signed.sign(canonical.dumps(said), holdings.signer("list"), now, signed.COUNTERSIGNATURE)
    row.state, row.signed_at = State.SIGNED, now
    row.save()
    superseded = Listed.objects.filter(received__operator_id=row.received.operator_id)
    superseded.filter(received__sequence__lt=row.received.sequence).delete()
    log.record(kind, stored.about(row.received), now)
    return row


def _last_decided(operator_id: str) -> Countersigning | None:
    decided = Countersigning.objects.filter(
        received__operator_id=operator_id, state__in=(State.SIGNED, State.REVOKED)
    )
    return decided.select_related("received").order_by("-received__sequence").first()


def waiting_changes(received: Received) -> tuple[Change, ...]:
    """What a version says that the one that counts now does not."""
    row = stored.counting().filter(received__operator_id=received.operator_id).first()
    return changes.compare(stored.content(row.received) if row else None, stored.content(received))


def countersignatures() -> list[Countersigning]:
    """Those that count, each with the version that it is for."""
    return list(stored.counting().order_by("received__operator_id"))


def waiting() -> list[Received]:
    """The newest version of every list from elsewhere that does not count (yet)."""
    newest: dict[str, Received] = {}
    for row in Received.objects.order_by("sequence").defer("original"):
        newest[row.operator_id] = row
    counting = {row.received_id for row in stored.counting()}
    return [row for row in newest.values() if row.id not in counting]
