"""The verbs of recovery: ask, approve (by another), refuse. The code that comes of it is used as any recovery code."""

from __future__ import annotations

import datetime as dt
import uuid

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from wantong.border.trust.identity.accounts import codes, owners
from wantong.border.trust.identity.accounts.models import Account, Recovery
from wantong.border.trust.identity.accounts.problems import NotAsked, SamePerson, Unknown
from wantong.ground.actors import Actor
from wantong.ground.http.auth import require
from wantong.ground.log import services as log

LASTS = dt.timedelta(hours=24)


@transaction.atomic
def ask(actor: Actor, holder: str, reason: str) -> Recovery:
    """Ask that the official or the account ``holder`` (a user name, or an account's id) be let in again.

    Raises NotAllowed (operators), :class:`Unknown`, :class:`SamePerson` for oneself.
    """
    require(actor, "operator")
    user = User.objects.filter(username=holder, is_active=True).first()
    account = None if user else _account(holder)
    if user is None and account is None:
        raise Unknown(what=holder[:60])
    row = Recovery(user=user, account=account, reason=reason.strip()[:2000], asked_by=actor.id)
    _not_himself(actor, row)
    row.save()
    _note("ask", actor, row)
    return row


@transaction.atomic
def approve(actor: Actor, recovery_id: uuid.UUID | str) -> tuple[Recovery, str]:
    """Approve what another has asked for; the code is to be given to the person himself, and is shown only now.

    Raises NotAllowed (operators), :class:`Unknown`, :class:`SamePerson`, :class:`NotAsked`.
    """
    row = _asked(actor, recovery_id)
    if row.asked_by == actor.id:
        raise SamePerson
    code, now = codes.make(), timezone.now()
    row.digest, row.expires_at = codes.digest(code) or "", now + LASTS
    _decide(actor, row, Recovery.State.APPROVED, now)
    owner = row.account or row.user
    assert owner is not None
    owners.happened(owner, "recovery")
    _note("approve", actor, row)
    return row, code


@transaction.atomic
def refuse(actor: Actor, recovery_id: uuid.UUID | str) -> Recovery:
    """Refuse it; whoever asked withdraws by asking another to do so. Raises as :func:`approve`."""
    row = _asked(actor, recovery_id)
    if row.asked_by == actor.id:
        raise SamePerson
    _decide(actor, row, Recovery.State.REFUSED, timezone.now())
    _note("refuse", actor, row)
    return row


def waiting() -> list[Recovery]:
    """What waits for a second person, and what was decided lately."""
    return list(Recovery.objects.select_related("account", "user")[:50])


def named(row: Recovery) -> str:
    """Who is let in: a user name, or an account's id."""
    return row.user.get_username() if row.user else str(row.account_id)


def _asked(actor: Actor, recovery_id: uuid.UUID | str) -> Recovery:
    require(actor, "operator")
    try:
        key = uuid.UUID(str(recovery_id))
    except ValueError:
        raise Unknown(what=str(recovery_id)[:40]) from None
    row = Recovery.objects.select_for_update().filter(id=key).first()
    if row is None:
        raise Unknown(what=str(key))
    if row.state != Recovery.State.ASKED:
        raise NotAsked
    _not_himself(actor, row)
    return row


def _decide(actor: Actor, row: Recovery, state: Recovery.State, now: dt.datetime) -> None:
    row.state, row.decided_by, row.decided_at = state, actor.id, now
    row.save()


def _not_himself(actor: Actor, row: Recovery) -> None:
    if row.user is not None and actor.id == f"user:{row.user.get_username()}":
        raise SamePerson


def _account(holder: str) -> Account | None:
    try:
        return Account.objects.filter(id=uuid.UUID(holder)).exclude(state=Account.State.CLOSED).first()
    except ValueError:
        return None


def _note(act: str, actor: Actor, row: Recovery) -> None:
    # of whom, only this node knows: the id of the recovery leads to him here and nowhere else
    body = {"act": act, "recovery": str(row.id), "by": actor.id, "official": row.user_id is not None}
    log.record("identity.recovery", body, timezone.now())
