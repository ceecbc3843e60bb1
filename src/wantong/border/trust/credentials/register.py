"""The record of an authority's register (*entitlement*), and what people decide about it and about what was issued on it.

Approved by as many people as its type asks for. Everything that happens to one entitlement happens one after the
other: its row is locked.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Collection, Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from wantong.border.trust import jws
from wantong.border.trust.credentials import opening, types
from wantong.border.trust.credentials.models import (
    Entitlement,
    EntitlementState,
    Issued,
    IssuedState,
    Offer,
    StatusListed,
)
from wantong.border.trust.credentials.problems import (
    NoReason,
    NotInThisState,
    RecordDiffers,
    SamePerson,
    UnknownCredential,
    UnknownEntitlement,
)
from wantong.ground.actors import Actor
from wantong.ground.http.auth import require
from wantong.ground.log import services as log

LARGEST_CLAIMS = 100_000


@transaction.atomic
def entitle(
    actor: Actor, type_id: str, claims: Mapping[str, Any], *, account: str = "", reference: str = ""
) -> Entitlement:
    """Somebody may have a credential of a type, by the record ``reference`` of a register (领证资格登记).

    ``account`` is who may fetch it by signing in; without one it is fetched by an offer. Where the type asks for one
    person only, it is approved at once. The same record once more is the same entitlement.

    Raises NotAllowed (declarers, approvers), UnknownType, TypeNotOpen, BadClaims, RecordDiffers.
    """
    require(actor, "declarer", "approver")
    type = opening.get_open(type_id)
    if len(jws.compact(dict(claims))) > LARGEST_CLAIMS:
        raise types.BadClaims(kind=type.id, claim="*", rule="maxLength")
    type.check(claims)
    reference = reference.strip() or str(uuid.uuid4())
    if len(reference) > 200 or len(account) > 64 or not reference.isprintable():
        raise types.BadClaims(kind=type.id, claim="reference", rule="maxLength")
    alone, now = type.people == 1, timezone.now()
    row, made = Entitlement.objects.get_or_create(
        type=type.id,
        reference=reference,
        defaults={
            "claims": dict(claims),
            "account": account,
            "people": type.people,
            "state": EntitlementState.APPROVED if alone else EntitlementState.PROPOSED,
            "proposed_by": actor.id,
            "proposed_at": now,
            "decided_by": actor.id if alone else "",
            "decided_at": now if alone else None,
        },
    )
    if not made:
        if row.claims != dict(claims) or row.account != account:
            raise RecordDiffers(kind=type.id)
        return row
    _note(row, "entitlement.entitle", now)
    if alone:
        _note(row, "entitlement.approve", now)
    return row


@transaction.atomic
def approve(actor: Actor, entitlement_id: uuid.UUID | str) -> Entitlement:
    """The second person's word. Raises NotAllowed, UnknownEntitlement, NotInThisState, SamePerson."""
    row = _locked(actor, entitlement_id, "approve", EntitlementState.PROPOSED)
    if row.proposed_by == actor.id:
        raise SamePerson()
    return _decided(row, actor, EntitlementState.APPROVED, "entitlement.approve")


@transaction.atomic
def reject(actor: Actor, entitlement_id: uuid.UUID | str, reason: str) -> Entitlement:
    """Not approved. Raises NotAllowed, UnknownEntitlement, NotInThisState, NoReason."""
    row = _locked(actor, entitlement_id, "reject", EntitlementState.PROPOSED)
    return _decided(row, actor, EntitlementState.REJECTED, "entitlement.reject", _reason(reason))


@transaction.atomic
def withdraw(actor: Actor, entitlement_id: uuid.UUID | str, reason: str) -> Entitlement:
    """The record is no longer true: nothing more is issued on it, and what was is revoked.

    Raises NotAllowed, UnknownEntitlement, NotInThisState, NoReason.
    """
    why = _reason(reason)
    row = _locked(actor, entitlement_id, "withdraw", EntitlementState.APPROVED)
    for issued in (
        Issued.objects.filter(entitlement=row).exclude(state=IssuedState.REVOKED).select_for_update()
    ):
        _change(issued, actor, IssuedState.REVOKED, why)
    Offer.objects.filter(entitlement=row, ended_at=None).update(ended_at=timezone.now())
    return _decided(row, actor, EntitlementState.WITHDRAWN, "entitlement.withdraw", why)


def entitlement(entitlement_id: uuid.UUID | str) -> Entitlement:
    """Raises UnknownEntitlement."""
    try:
        return Entitlement.objects.get(pk=entitlement_id)
    except (Entitlement.DoesNotExist, ValidationError, ValueError):
        raise UnknownEntitlement() from None


def _locked(actor: Actor, entitlement_id: uuid.UUID | str, act: str, state: str) -> Entitlement:
    require(actor, "approver")
    row = Entitlement.objects.select_for_update().get(pk=entitlement(entitlement_id).pk)
    if row.state != state:
        raise NotInThisState(act=act, state=row.state)
    return row


def _decided(row: Entitlement, actor: Actor, state: str, kind: str, reason: str = "") -> Entitlement:
    row.state, row.decided_by, row.decided_at, row.reason = state, actor.id, timezone.now(), reason
    row.save(update_fields=("state", "decided_by", "decided_at", "reason"))
    _note(row, kind, row.decided_at)
    return row


def _reason(reason: str) -> str:
    if not reason.strip():
        raise NoReason()
    return reason.strip()[:500]


def _note(row: Entitlement, kind: str, at: dt.datetime) -> None:
    # whose it is, and the number of the record, are nobody's business there
    log.record(kind, {"entitlement": str(row.pk), "type": row.type}, at)


@transaction.atomic
def suspend(actor: Actor, issued_id: uuid.UUID | str, reason: str) -> Issued:
    """Not good for now. Raises NotAllowed, UnknownCredential, NotInThisState, NoReason."""
    row = _issued(actor, issued_id, "suspend", (IssuedState.VALID,))
    return _change(row, actor, IssuedState.SUSPENDED, _reason(reason))


@transaction.atomic
def resume(actor: Actor, issued_id: uuid.UUID | str, reason: str) -> Issued:
    """Good again. Raises as :func:`suspend`."""
    row = _issued(actor, issued_id, "resume", (IssuedState.SUSPENDED,))
    return _change(row, actor, IssuedState.VALID, _reason(reason))


@transaction.atomic
def revoke(actor: Actor, issued_id: uuid.UUID | str, reason: str) -> Issued:
    """Not good any more, for good; the status list says so from this moment. Raises as :func:`suspend`."""
    row = _issued(actor, issued_id, "revoke", (IssuedState.VALID, IssuedState.SUSPENDED))
    return _change(row, actor, IssuedState.REVOKED, _reason(reason))


def get_issued(issued_id: uuid.UUID | str) -> Issued:
    """Raises UnknownCredential."""
    try:
        return Issued.objects.select_related("entitlement").get(pk=issued_id)
    except (Issued.DoesNotExist, ValidationError, ValueError):
        raise UnknownCredential() from None


def _issued(actor: Actor, issued_id: uuid.UUID | str, act: str, states: Collection[str]) -> Issued:
    require(actor, "approver")
    found = get_issued(issued_id)
    row = Issued.objects.select_for_update().get(pk=found.pk)
    if row.state not in states:
        raise NotInThisState(act=act, state=row.state)
    return row


_KINDS = {
    IssuedState.VALID: "credential.resume",
    IssuedState.SUSPENDED: "credential.suspend",
    IssuedState.REVOKED: "credential.revoke",
}


def _change(row: Issued, actor: Actor, state: IssuedState, reason: str) -> Issued:
    row.state, row.changed_by, row.changed_at, row.reason = state, actor.id, timezone.now(), reason
    row.save(update_fields=("state", "changed_by", "changed_at", "reason"))
    StatusListed.objects.filter(pk=row.status_list_id).update(version=F("version") + 1)
    body = {"type": row.entitlement.type, "credential": row.commitment}
    log.record(_KINDS[state], body, row.changed_at)
    return row
