"""Closing an account for a while: the back office's word."""

from __future__ import annotations

import hashlib
import secrets
import uuid

from django.db import transaction
from django.utils import timezone

from wantong.border.trust.identity.accounts import owners, presence
from wantong.border.trust.identity.accounts.models import (
    Account,
)
from wantong.border.trust.identity.accounts.problems import (
    Unknown,
)
from wantong.ground.actors import Actor
from wantong.ground.http.auth import require
from wantong.ground.log import services as log


@transaction.atomic
def lock(actor: Actor, account_id: uuid.UUID, reason: str) -> Account:
    """Nobody signs in to the account from now on. Raises NotAllowed (operators), :class:`Unknown`."""
    return _closed(actor, account_id, Account.State.LOCKED, "identity.lock", reason)


@transaction.atomic
def unlock(actor: Actor, account_id: uuid.UUID, reason: str) -> Account:
    """Its holder may sign in again. Raises NotAllowed (operators), :class:`Unknown`."""
    return _closed(actor, account_id, Account.State.ACTIVE, "identity.unlock", reason)


def _closed(actor: Actor, account_id: uuid.UUID, state: Account.State, kind: str, reason: str) -> Account:
    require(actor, "operator")
    row = (
        Account.objects.select_for_update().filter(id=account_id).exclude(state=Account.State.CLOSED).first()
    )
    if row is None:
        raise Unknown(what=str(account_id))
    row.state = state
    row.save(update_fields=("state",))
    if state == Account.State.LOCKED:
        presence.end_sessions(row, why="locked")
    # the salt is kept in the account's own history: nobody else can tell whose entry it is
    salt = secrets.token_hex(16)
    owners.happened(row, kind.partition(".")[2], reason=reason[:200], salt=salt)
    digest = hashlib.sha256(f"{salt}{row.id}".encode()).hexdigest()
    log.record(kind, {"account": digest, "by": actor.id}, timezone.now())
    return row
