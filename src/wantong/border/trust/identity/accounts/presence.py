"""Who is there: a person or an official signed in to a browser, how well, since when, until when."""

from __future__ import annotations

import datetime as dt
import hashlib
import secrets
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.contrib.auth.models import AbstractBaseUser
from django.contrib.sessions.backends.base import SessionBase
from django.contrib.sessions.models import Session
from django.db import transaction
from django.dispatch import Signal
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.middleware.csrf import rotate_token
from django.urls import reverse
from django.utils import timezone

from wantong.border.trust.identity.accounts import agents, levels, options, owners
from wantong.border.trust.identity.accounts.levels import Assurance
from wantong.border.trust.identity.accounts.models import (
    Account,
    SignedIn,
)
from wantong.border.trust.identity.accounts.problems import (
    AccountClosed,
    NotSignedIn,
    Unknown,
)

SESSION, BROWSER = "accounts.session", "accounts.browser"

IDLE = dt.timedelta(days=7)
SEEN_EVERY = dt.timedelta(minutes=1)

ended = Signal()
"""Sent with ``sessions``, the ids of people's sessions that have just ended: who gave somebody access because of one hears
of it."""
PASSKEY = ("pop", "user", "mfa")
"""RFC 8176. Whether the key is in hardware nobody knows without attestation; that its user was verified, one does."""


@dataclass(frozen=True)
class Presence:
    """Somebody is signed in to the account ``account_id``: how it was proven, how well, when (:mod:`.levels`)."""

    account_id: uuid.UUID
    ial: int
    aal: int
    fal: int
    authenticated_at: dt.datetime
    amr: tuple[str, ...]
    session_id: uuid.UUID

    @property
    def assurance(self) -> Assurance:
        """The effective level, of this account by itself."""
        return levels.effective([self.ial], self.aal)

    @property
    def acr(self) -> str:
        """As published in tokens."""
        return self.assurance.acr


def present(request: HttpRequest) -> Presence | None:
    """Who is signed in to an account in this browser, if anybody is."""
    row = signed_in(request)
    if row is None:
        return None
    assert row.account is not None
    now = timezone.now()
    if now - row.seen_at > SEEN_EVERY:
        SignedIn.objects.filter(id=row.id, ended_at=None).update(seen_at=now)
    limits = levels.load(options.current().levels).limits
    return Presence(
        account_id=row.account.id,
        ial=proofing(row.account, now),
        aal=levels.aged(row.aal, row.authenticated_at, now, limits.authentication),
        fal=row.fal,
        authenticated_at=row.authenticated_at,
        amr=tuple(row.amr),
        session_id=row.id,
    )


def signed_in(request: HttpRequest) -> SignedIn | None:
    """The row of the account that is signed in in this browser; of an official, never."""
    key = request.session.get(SESSION)
    if not key:
        return None
    return (
        SignedIn.objects.select_related("account")
        .filter(
            id=key,
            ended_at=None,
            account__state=Account.State.ACTIVE,
            seen_at__gt=timezone.now() - IDLE,
        )
        .first()
    )


def proofing(account: Account, now: dt.datetime) -> int:
    """The level of identity of an account as it is now: what its source's level means here, if it is not too old."""
    table = levels.load(options.current().levels)
    told = table.levels(account.scheme, account.native_level, timezone.localdate(now))
    return levels.aged(told.ial, account.proofed_at, now, table.limits.proofing)


def account(request: HttpRequest) -> Account:
    """The account that is signed in. Raises :class:`NotSignedIn`."""
    row = signed_in(request)
    found: Account | None = row.account if row is not None else None
    if found is None:
        raise NotSignedIn
    return found


def sign_in_url(next: str, **asked: Any) -> str:
    """The address of the sign-in page in the language of the page being made; ``next`` is where it leads back to."""
    return f"{reverse('accounts:sign-in')}?{urlencode({'next': next, **asked})}"


def step_up(
    request: HttpRequest,
    *,
    next: str,
    assurance: Assurance = Assurance.NONE,
    aal: int = 1,
    max_age: dt.timedelta | None = None,
) -> HttpResponse | None:
    """None if who is there will do; else the answer that leads him to do better and then to ``next``.

    Wanted are the effective level ``assurance``, the authentication level ``aal`` (1 to 3), and an authentication no
    older than ``max_age``. A level of identity cannot be had by signing in once more to the same account: the page says
    which systems give it.
    """
    who = present(request)
    if who is not None and satisfies(who, assurance=assurance, aal=aal, max_age=max_age, now=timezone.now()):
        return None
    asked: dict[str, Any] = {}
    if aal > 1:
        asked["aal"] = aal
    if assurance:
        asked["acr"] = assurance.acr
    if max_age is not None or who is not None:
        asked["fresh"] = 1
    return HttpResponseRedirect(sign_in_url(next, **asked))


def satisfies(
    who: Presence,
    *,
    assurance: Assurance,
    aal: int,
    max_age: dt.timedelta | None,
    now: dt.datetime,
) -> bool:
    """Whether somebody who is signed in is so well enough."""
    young = max_age is None or now - who.authenticated_at <= max_age
    return who.assurance >= assurance and who.aal >= aal and young


@transaction.atomic
def begin(
    request: HttpRequest,
    account: Account,
    *,
    amr: Sequence[str],
    aal: int,
    fal: int = 0,
    source: str = "",
    at: dt.datetime | None = None,
) -> SignedIn:
    """Sign somebody in to ``account``: a new session id, so that whoever planted the old one has nothing.

    ``at`` is when he proved who he is, now by default. Who was signed in here before is signed out, unless it is the same.
    Raises :class:`AccountClosed`.
    """
    if Account.objects.select_for_update().get(id=account.id).state != Account.State.ACTIVE:
        raise AccountClosed
    now = timezone.now()
    before = signed_in(request)
    if before is not None and before.account_id == account.id:
        row = before
    else:
        if before is not None:
            _end([before], "replaced", now)
        row = SignedIn(account=account, started_at=now, agent=_agent(request))
    row.amr, row.aal, row.fal, row.source = list(amr), aal, fal, source
    row.authenticated_at, row.seen_at = at or now, now
    row.save()
    _fresh(request)
    request.session[SESSION] = str(row.id)
    owners.happened(account, "signed-in", amr=list(amr), source=source, agent=row.agent)
    return row


def sign_out(request: HttpRequest) -> None:
    """Sign the person out; an official who is signed in beside stays."""
    row = signed_in(request)
    if row is not None:
        _end([row], "signed-out", timezone.now())
    request.session.pop(SESSION, None)
    _fresh(request)


def sessions(owner: owners.Owner) -> list[SignedIn]:
    """Where ``owner`` is signed in, the latest first."""
    return list(
        SignedIn.objects.filter(**owners.owned_by(owner), ended_at=None, seen_at__gt=timezone.now() - IDLE)
    )


@transaction.atomic
def end_session(owner: owners.Owner, session_id: uuid.UUID) -> None:
    """Sign ``owner`` out in one browser, at once. Raises :class:`Unknown`."""
    row = SignedIn.objects.filter(**owners.owned_by(owner), id=session_id, ended_at=None).first()
    if row is None:
        raise Unknown(what=str(session_id))
    _end([row], "ended", timezone.now())
    owners.happened(owner, "session-ended", agent=row.agent)


@transaction.atomic
def end_sessions(owner: owners.Owner, *, but: uuid.UUID | None = None, why: str = "ended") -> int:
    """Sign ``owner`` out everywhere, or everywhere ``but`` in one browser; returns in how many."""
    rows = [row for row in SignedIn.objects.filter(**owners.owned_by(owner), ended_at=None) if row.id != but]
    _end(rows, why, timezone.now())
    if rows:
        owners.happened(owner, "sessions-ended", count=len(rows))
    return len(rows)


def staff_began(request: HttpRequest, user: AbstractBaseUser) -> None:
    """An official has signed in (Django keeps that session); from now on it is in his list."""
    if not request.session.session_key:
        request.session.create()
    now, amr = timezone.now(), getattr(request, "_accounts_amr", ["pwd"])
    row = SignedIn.objects.create(
        user=user,
        session_key=request.session.session_key or "",
        amr=list(amr),
        aal=2 if "mfa" in amr else 1,
        fal=0,
        agent=_agent(request),
        started_at=now,
        authenticated_at=now,
        seen_at=now,
    )
    request.session["accounts.staff"] = str(row.id)


def staff_ended(request: HttpRequest) -> None:
    """The session in this browser ends, an official's and a person's: Django forgets all of it."""
    keys = [key for key in (request.session.get("accounts.staff"), request.session.get(SESSION)) if key]
    SignedIn.objects.filter(id__in=keys, ended_at=None).update(
        ended_at=timezone.now(), ended_why="signed-out"
    )


def staff_moved(request: HttpRequest) -> None:
    """Django has given an official's session another id (he changed his password)."""
    if key := request.session.get("accounts.staff"):
        SignedIn.objects.filter(id=key).update(session_key=request.session.session_key or "")


def _end(rows: Sequence[SignedIn], why: str, now: dt.datetime) -> None:
    SignedIn.objects.filter(id__in=[row.id for row in rows]).update(ended_at=now, ended_why=why)
    ended.send(sender=SignedIn, sessions=[row.id for row in rows if row.account_id])
    Session.objects.filter(session_key__in=[row.session_key for row in rows if row.session_key]).delete()


def _fresh(request: HttpRequest) -> None:
    request.session.cycle_key()
    request.session.pop(BROWSER, None)
    rotate_token(request)


def _agent(request: HttpRequest) -> str:
    return agents.named(request.headers.get("User-Agent", ""))


def browser(session: SessionBase) -> str:
    """A digest of a secret that only this browser's session has; it changes with every sign-in."""
    secret = session.get(BROWSER)
    if not isinstance(secret, str):
        secret = session[BROWSER] = secrets.token_urlsafe(24)
    return hashlib.sha256(secret.encode()).hexdigest()
