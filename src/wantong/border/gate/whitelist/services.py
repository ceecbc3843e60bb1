"""The verbs of the whitelist (授权目录): propose, approve, reject, revoke, and the one question: is this covered?"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Collection, Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.dispatch import Signal
from django.utils import timezone

from wantong.border.gate.rules import RuleBase
from wantong.border.gate.whitelist.catalogue import MASKS, Item, covers
from wantong.border.gate.whitelist.models import State, WhitelistAction, WhitelistItem
from wantong.border.gate.whitelist.problems import BadItem, NotInThisState, SamePerson, UnknownItem
from wantong.ground.actors import Actor
from wantong.ground.http.auth import require
from wantong.ground.log import services as log
from wantong.ground.outbox import services as outbox

revoked = Signal()
"""Sent by :func:`revoke` with ``item``, inside its transaction."""

OPEN_DATA = "open_data"
LONGEST_TERM = dt.timedelta(days=3 * 366)  # as long as the longest-lived permission of the rule base
LONGEST_NAME = 200


@transaction.atomic
def propose(
    actor: Actor,
    *,
    dataset_id: str,
    fields: Mapping[str, str],
    purpose: str = "",
    receiver: str = "",
    legal_basis: str,
    valid_from: dt.date,
    valid_until: dt.date,
    open: bool = False,
    note: str = "",
) -> WhitelistItem:
    """Propose an item; ``fields`` maps each field to its mask. It covers nothing until another person approves.

    Raises NotAllowed (declarers and approvers propose) and BadItem.
    """
    require(actor, "declarer", "approver")
    _check(dataset_id, fields, purpose, receiver, legal_basis, valid_from, valid_until, open)
    item = WhitelistItem.objects.create(
        dataset_id=dataset_id,
        fields=dict(fields),
        purpose=purpose,
        receiver=receiver,
        open=open,
        legal_basis=legal_basis,
        valid_from=valid_from,
        valid_until=valid_until,
        proposed_by=actor.id,
    )
    _note(item, "propose", actor, note)
    return item


@transaction.atomic
def approve(actor: Actor, item_id: uuid.UUID | str, note: str = "") -> WhitelistItem:
    """Approve a proposed item. Raises UnknownItem, NotAllowed, SamePerson, NotInThisState."""
    item = _decide(actor, item_id, "approve")
    if item.proposed_by == actor.id:
        raise SamePerson()
    item.state, item.approved_by = State.APPROVED, actor.id
    item.save(update_fields=("state", "approved_by"))
    _note(item, "approve", actor, note)
    outbox.publish("whitelist.changed", item.dataset_id, {"item_id": str(item.id)})
    return item


@transaction.atomic
def reject(actor: Actor, item_id: uuid.UUID | str, reason: str) -> WhitelistItem:
    """Turn a proposed item down. Raises UnknownItem, NotAllowed, NotInThisState, BadItem without a reason."""
    item = _decide(actor, item_id, "reject")
    return _end(actor, item, "reject", State.REJECTED, reason)


@transaction.atomic
def revoke(actor: Actor, item_id: uuid.UUID | str, reason: str) -> WhitelistItem:
    """End an approved item; parcels that rest on it and have not left are taken back.

    Raises UnknownItem, NotAllowed, NotInThisState, BadItem without a reason.
    """
    item = _decide(actor, item_id, "revoke")
    item = _end(actor, item, "revoke", State.REVOKED, reason)
    revoked.send(sender=WhitelistItem, item=item)
    outbox.publish("whitelist.changed", item.dataset_id, {"item_id": str(item.id)})
    return item


def covering(
    dataset_id: str,
    fields: Collection[str],
    purpose: str,
    receiver: str,
    on: dt.date,
    *,
    personal: bool = True,
) -> WhitelistItem | None:
    """The approved item that lets all these ``fields`` go on that day, the most specific and newest first."""
    found = WhitelistItem.objects.filter(dataset_id=dataset_id, state=State.APPROVED).order_by(
        "open", "-created_at"
    )
    question = {
        "dataset_id": dataset_id,
        "fields": fields,
        "purpose": purpose,
        "receiver": receiver,
        "on": on,
    }
    return next((item for item in found if covers(as_value(item), **question, personal=personal)), None)  # type: ignore[arg-type]


def get(item_id: uuid.UUID | str) -> WhitelistItem:
    """The item with its id. Raises UnknownItem."""
    try:
        return WhitelistItem.objects.get(id=item_id)
    except (WhitelistItem.DoesNotExist, ValidationError):  # the latter for a string that is no UUID
        raise UnknownItem(item=str(item_id)[:64]) from None


def as_value(item: WhitelistItem) -> Item:
    """The row as the pure core sees it."""
    return Item(
        item.dataset_id,
        item.fields,
        item.purpose,
        item.receiver,
        item.open,
        item.legal_basis,
        item.valid_from,
        item.valid_until,
        item.state == State.APPROVED,
    )


_POSSIBLE = {"approve": State.PROPOSED, "reject": State.PROPOSED, "revoke": State.APPROVED}


def _decide(actor: Actor, item_id: uuid.UUID | str, act: str) -> WhitelistItem:
    require(actor, "approver")
    item = WhitelistItem.objects.select_for_update().get(id=get(item_id).id)
    if item.state != _POSSIBLE[act]:
        raise NotInThisState(act=act, state=item.state)
    return item


def _end(actor: Actor, item: WhitelistItem, act: str, state: State, reason: str) -> WhitelistItem:
    if not reason.strip():
        raise BadItem(field="reason", reason="empty")
    item.state = state
    item.save(update_fields=("state",))
    _note(item, act, actor, reason)
    return item


def _note(item: WhitelistItem, act: str, actor: Actor, note: str) -> None:
    now = timezone.now()
    WhitelistAction.objects.create(
        item=item, act=act, actor=actor.id, actor_name=actor.name, at=now, note=note.strip()
    )
    body: dict[str, Any] = {
        "item_id": str(item.id),
        "act": act,
        "dataset_id": item.dataset_id,
        "fields": [list(pair) for pair in item.fields.items()],
        "purpose": item.purpose,
        "receiver": item.receiver,
        "open": item.open,
        "legal_basis": item.legal_basis,
        "valid_from": item.valid_from.isoformat(),
        "valid_until": item.valid_until.isoformat(),
    }
    log.record(f"whitelist.{act}", body, now)


def legal_bases() -> tuple[str, ...]:
    """What an item may rest on: the legal bases that the rule base knows, and open data."""
    return (*RuleBase.load().facts["legal_basis"].values, OPEN_DATA)


def _check(
    dataset_id: str,
    fields: Mapping[str, str],
    purpose: str,
    receiver: str,
    legal_basis: str,
    valid_from: dt.date,
    valid_until: dt.date,
    open: bool,
) -> None:
    for name, value in (("dataset_id", dataset_id), ("purpose", purpose), ("receiver", receiver)):
        if len(value) > LONGEST_NAME or not value.isprintable():
            raise BadItem(field=name, reason="bad-text", most=LONGEST_NAME)
    if not dataset_id:
        raise BadItem(field="dataset_id", reason="empty")
    if not fields:
        raise BadItem(field="fields", reason="none")
    for field, mask in fields.items():
        if not field or mask not in MASKS:
            raise BadItem(field=f"fields[{field[:40]}]", reason="choice", choices=", ".join(MASKS))
    if open and (purpose or receiver):
        raise BadItem(field="open", reason="open")
    if not open and not (purpose and receiver):
        raise BadItem(field="purpose", reason="not-open")
    if legal_basis not in legal_bases() or open != (legal_basis == OPEN_DATA):
        raise BadItem(field="legal_basis", reason="choice", choices=", ".join(legal_bases()))
    if not valid_from <= valid_until <= valid_from + LONGEST_TERM:
        raise BadItem(field="valid_until", reason="term", years=LONGEST_TERM.days // 366)
