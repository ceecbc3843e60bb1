"""The verbs of accounts: signing in and out, passkeys, recovery codes, sessions; and the one question: who is there?"""

from __future__ import annotations

import datetime as dt
import hashlib
import secrets
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias
from urllib.parse import urlencode

from django.contrib.auth import login
from django.contrib.auth.models import AbstractBaseUser, User
from django.contrib.sessions.backends.base import SessionBase
from django.contrib.sessions.models import Session
from django.db import transaction
from django.dispatch import Signal
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.middleware.csrf import rotate_token
from django.urls import reverse
from django.utils import timezone

from wantong.border.trust.identity.accounts import agents, codes, levels, options, passkeys
from wantong.border.trust.identity.accounts.levels import Assurance
from wantong.border.trust.identity.accounts.models import (
    Account,
    Authenticator,
    Challenge,
    Handle,
    Happened,
    Recovery,
    RecoveryCode,
    SignedIn,
)
from wantong.border.trust.identity.accounts.problems import (
    AccountClosed,
    LastWayIn,
    NoPasskeysHere,
    NotSignedIn,
    PasskeyRefused,
    PasswordNotEnough,
    TooMany,
    Unknown,
    UnknownCode,
)
from wantong.ground import config, i18n
from wantong.ground.actors import Actor
from wantong.ground.http.auth import require
from wantong.ground.log import services as log

Owner: TypeAlias = Account | AbstractBaseUser
"""Whose something is: a person's account, or an official."""

SESSION, BROWSER = "accounts.session", "accounts.browser"
CHALLENGE_LASTS = dt.timedelta(milliseconds=passkeys.TIMEOUT)
IDLE = dt.timedelta(days=7)
SEEN_EVERY = dt.timedelta(minutes=1)
MOST_PASSKEYS = 20
LOCAL, SELF = "local", "self"
ended = Signal()
"""Sent with ``sessions``, the ids of people's sessions that have just ended: who gave somebody access because of one hears
of it."""
PASSKEY = ("pop", "user", "mfa")
"""RFC 8176. Whether the key is in hardware nobody knows without attestation; that its user was verified, one does."""


# --- who is there -----------------------------------------------------------------------------------------------


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
    if row is None or row.account is None:
        raise NotSignedIn
    return row.account


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


# --- signing in and out -----------------------------------------------------------------------------------------


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
    happened(account, "signed-in", amr=list(amr), source=source, agent=row.agent)
    return row


def sign_out(request: HttpRequest) -> None:
    """Sign the person out; an official who is signed in beside stays."""
    row = signed_in(request)
    if row is not None:
        _end([row], "signed-out", timezone.now())
    request.session.pop(SESSION, None)
    _fresh(request)


def sessions(owner: Owner) -> list[SignedIn]:
    """Where ``owner`` is signed in, the latest first."""
    return list(SignedIn.objects.filter(**_of(owner), ended_at=None, seen_at__gt=timezone.now() - IDLE))


@transaction.atomic
def end_session(owner: Owner, session_id: uuid.UUID) -> None:
    """Sign ``owner`` out in one browser, at once. Raises :class:`Unknown`."""
    row = SignedIn.objects.filter(**_of(owner), id=session_id, ended_at=None).first()
    if row is None:
        raise Unknown(what=str(session_id))
    _end([row], "ended", timezone.now())
    happened(owner, "session-ended", agent=row.agent)


@transaction.atomic
def end_sessions(owner: Owner, *, but: uuid.UUID | None = None, why: str = "ended") -> int:
    """Sign ``owner`` out everywhere, or everywhere ``but`` in one browser; returns in how many."""
    rows = [row for row in SignedIn.objects.filter(**_of(owner), ended_at=None) if row.id != but]
    _end(rows, why, timezone.now())
    if rows:
        happened(owner, "sessions-ended", count=len(rows))
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


# --- passkeys ---------------------------------------------------------------------------------------------------


def relying_party() -> passkeys.RelyingParty:
    """This node as browsers know it. Raises :class:`NoPasskeysHere`."""
    node = config.current()
    return passkeys.relying_party(node.url, i18n.pick(node.name, "en").text or node.participant_id)


def passkeys_possible() -> bool:
    """Whether browsers make passkeys for this node's address."""
    try:
        relying_party()
    except NoPasskeysHere:
        return False
    return True


@transaction.atomic
def options_for(
    request: HttpRequest, purpose: Challenge.Purpose, owner: Owner | None = None, label: str = ""
) -> dict[str, Any]:
    """What to ask the browser: to sign in, to make a first passkey, or another one for ``owner``.

    Raises :class:`NoPasskeysHere`, :class:`TooMany`.
    """
    party, challenge, now = relying_party(), secrets.token_bytes(32), timezone.now()
    handle = b""
    if purpose == Challenge.Purpose.REGISTER:
        handle = secrets.token_bytes(32)
    elif owner is not None:
        handle = handle_of(owner)
    Challenge.objects.filter(expires_at__lt=now).delete()
    Challenge.objects.create(
        digest=_digest(challenge),
        browser=browser(request.session),
        purpose=purpose,
        holder=_name(owner) if owner is not None else "",
        handle=handle,
        expires_at=now + CHALLENGE_LASTS,
    )
    if purpose in (Challenge.Purpose.SIGN_IN, Challenge.Purpose.STAFF):
        return passkeys.request(party, challenge)
    known = [] if owner is None else [one.credential for one in passkeys_of(owner)]
    if len(known) >= MOST_PASSKEYS:
        raise TooMany(most=MOST_PASSKEYS)
    name = label or (owner.get_username() if isinstance(owner, User) else getattr(owner, "label", ""))
    return passkeys.creation(party, challenge, handle=handle, name=name or party.name, known=known)


def passkeys_of(owner: Owner) -> list[Authenticator]:
    """The passkeys of ``owner`` that count."""
    return list(Authenticator.objects.filter(**_of(owner), ended_at=None))


def register(request: HttpRequest, answer: Mapping[str, Any], label: str) -> Account:
    """A new account with its first passkey, and signed in to it. Nothing is proven of the person.

    Raises :class:`PasskeyRefused`.
    """
    challenge = _answered(request, answer, Challenge.Purpose.REGISTER)
    made = passkeys.created(relying_party(), passkeys.challenge_of(answer), answer)
    identifier = uuid.uuid4()
    with transaction.atomic():
        account = Account.objects.create(
            id=identifier,
            issuer=config.current().participant_id,
            subject=str(identifier),
            label=label.strip()[:60],
            scheme=LOCAL,
            native_level=SELF,
            handle=bytes(challenge.handle),
        )
        _keep(account, made, label)
        happened(account, "opened")
        begin(request, account, amr=PASSKEY, aal=2)
    return account


def add_passkey(request: HttpRequest, owner: Owner, answer: Mapping[str, Any], label: str) -> Authenticator:
    """One more passkey for ``owner``. Raises :class:`PasskeyRefused`, :class:`TooMany`."""
    _answered(request, answer, Challenge.Purpose.ADD, owner)
    new = passkeys.created(relying_party(), passkeys.challenge_of(answer), answer)
    with transaction.atomic():
        _lock(owner)
        if len(passkeys_of(owner)) >= MOST_PASSKEYS:
            raise TooMany(most=MOST_PASSKEYS)
        made = _keep(owner, new, label)
        happened(owner, "passkey-added", label=made.label)
    return made


def sign_in(request: HttpRequest, answer: Mapping[str, Any]) -> SignedIn:
    """Sign a person in with a passkey. Raises :class:`PasskeyRefused`, :class:`AccountClosed`."""
    return begin(request, shown(request, answer), amr=PASSKEY, aal=2)


def shown(request: HttpRequest, answer: Mapping[str, Any]) -> Account:
    """The account whose passkey somebody has just shown; he is not signed in yet. Raises :class:`PasskeyRefused`."""
    _answered(request, answer, Challenge.Purpose.SIGN_IN)
    with transaction.atomic():
        found = _asserted(answer, staff=False)
    if isinstance(found, PasskeyRefused):
        raise found
    assert found.account is not None
    return found.account


def staff_shown(request: HttpRequest, answer: Mapping[str, Any]) -> User:
    """The official who has just shown his passkey; he is not signed in yet.

    Raises :class:`PasskeyRefused`, :class:`AccountClosed`.
    """
    _answered(request, answer, Challenge.Purpose.STAFF)
    with transaction.atomic():
        found = _asserted(answer, staff=True)
    if isinstance(found, PasskeyRefused):
        raise found
    assert found.user is not None
    if not found.user.is_active:
        raise AccountClosed
    request._accounts_amr = PASSKEY  # type: ignore[attr-defined]
    holder: User = found.user
    return holder


@transaction.atomic
def remove_passkey(owner: Owner, authenticator_id: uuid.UUID) -> None:
    """A passkey of ``owner`` counts no more. Raises :class:`Unknown`, :class:`LastWayIn`."""
    _lock(owner)
    mine = passkeys_of(owner)
    found = next((one for one in mine if one.id == authenticator_id), None)
    if found is None:
        raise Unknown(what=str(authenticator_id))
    if len(mine) == 1 and not _another_way_in(owner):
        raise LastWayIn
    Authenticator.objects.filter(id=found.id).update(
        ended_at=timezone.now(), ended_why=Authenticator.Ended.REMOVED
    )
    happened(owner, "passkey-removed", label=found.label)


def handle_of(owner: Owner) -> bytes:
    """The WebAuthn user handle of ``owner``."""
    if isinstance(owner, Account):
        return bytes(owner.handle)
    row, _ = Handle.objects.get_or_create(user=owner)
    return bytes(row.handle)


def _asserted(answer: Mapping[str, Any], *, staff: bool) -> Authenticator | PasskeyRefused:
    """The authenticator that has signed; a copied key is returned as the refusal, so that its end is kept.

    Raises :class:`PasskeyRefused` otherwise.
    """
    row = (
        Authenticator.objects.select_for_update(of=("self",))
        .filter(credential=answer["id"], ended_at=None, user__isnull=not staff)
        .first()
    )
    if row is None:
        raise PasskeyRefused(reason="unknown")
    owner: Owner | None = row.user if staff else row.account
    assert owner is not None
    try:
        proven = passkeys.asserted(
            relying_party(),
            passkeys.challenge_of(answer),
            answer,
            public_key=bytes(row.public_key),
            sign_count=row.sign_count,
            handle=handle_of(owner),
        )
    except PasskeyRefused as refused:
        if refused.params["reason"] != "cloned":
            raise
        row.ended_at, row.ended_why = timezone.now(), Authenticator.Ended.CLONED
        row.save(update_fields=("ended_at", "ended_why"))
        happened(owner, "passkey-cloned", label=row.label)
        end_sessions(owner, why="cloned")
        return refused
    row.sign_count, row.synced, row.used_at = proven.sign_count, proven.synced, timezone.now()
    row.save(update_fields=("sign_count", "synced", "used_at"))
    return row


def _answered(
    request: HttpRequest, answer: Mapping[str, Any], purpose: Challenge.Purpose, owner: Owner | None = None
) -> Challenge:
    """The challenge that ``answer`` is to, taken away: nobody answers it again, whatever comes of this."""
    digest, now = _digest(passkeys.challenge_of(answer)), timezone.now()
    holder = _name(owner) if owner is not None else ""
    row = Challenge.objects.filter(
        digest=digest, browser=browser(request.session), purpose=purpose, holder=holder, expires_at__gt=now
    ).first()
    # deleted by exactly one of two that come at once, and before anything else is looked at
    if row is None or not Challenge.objects.filter(digest=digest).delete()[0]:
        raise PasskeyRefused(reason="challenge")
    return row


def _keep(owner: Owner, made: passkeys.Passkey, label: str) -> Authenticator:
    if Authenticator.objects.filter(credential=made.id).exists():
        raise PasskeyRefused(reason="known")
    return Authenticator.objects.create(
        **_of(owner),
        credential=made.id,
        public_key=made.public_key,
        sign_count=made.sign_count,
        transports=list(made.transports),
        aaguid=made.aaguid,
        synced=made.synced,
        label=label.strip()[:60] or made.aaguid[:8],
    )


def browser(session: SessionBase) -> str:
    """A digest of a secret that only this browser's session has; it changes with every sign-in."""
    secret = session.get(BROWSER)
    if not isinstance(secret, str):
        secret = session[BROWSER] = secrets.token_urlsafe(24)
    return hashlib.sha256(secret.encode()).hexdigest()


def _digest(challenge: bytes) -> str:
    return hashlib.sha256(challenge).hexdigest()


# --- recovery ---------------------------------------------------------------------------------------------------


@transaction.atomic
def make_codes(owner: Owner) -> list[str]:
    """New recovery codes; the old ones end. This is the only time that they can be read."""
    RecoveryCode.objects.filter(**_of(owner), used_at=None).delete()
    made = [codes.make() for _ in range(codes.HOW_MANY)]
    RecoveryCode.objects.bulk_create(RecoveryCode(**_of(owner), digest=codes.digest(one)) for one in made)
    happened(owner, "codes-made")
    return made


def codes_left(owner: Owner) -> int:
    """How many recovery codes ``owner`` has that were not used."""
    return RecoveryCode.objects.filter(**_of(owner), used_at=None).count()


@transaction.atomic
def use_code(request: HttpRequest, typed: str) -> Owner:
    """Sign in with a recovery code, once: one of a person's own, or the one that two of the back office gave out.

    After the latter none of the old passkeys counts, and nobody else stays signed in. Raises :class:`UnknownCode`,
    :class:`AccountClosed`.
    """
    digest, now = codes.digest(typed) or "", timezone.now()
    own = RecoveryCode.objects.filter(digest=digest, used_at=None).first()
    given = Recovery.objects.filter(digest=digest, state=Recovery.State.APPROVED, expires_at__gt=now).first()
    taken: RecoveryCode | Recovery
    # taken by exactly one of two that come at once
    if own is not None and RecoveryCode.objects.filter(pk=own.pk, used_at=None).update(used_at=now):
        taken = own
    elif given is not None and Recovery.objects.filter(pk=given.pk, state=Recovery.State.APPROVED).update(
        state=Recovery.State.USED, digest=""
    ):
        taken = given
    else:
        raise UnknownCode
    owner: Owner | None = taken.account or taken.user
    assert owner is not None
    if isinstance(taken, Recovery):
        Authenticator.objects.filter(**_of(owner), ended_at=None).update(
            ended_at=now, ended_why=Authenticator.Ended.RECOVERED
        )
        RecoveryCode.objects.filter(**_of(owner), used_at=None).delete()
        end_sessions(owner, why="recovered")
    happened(owner, "code-used", left=codes_left(owner))
    if isinstance(owner, Account):
        begin(request, owner, amr=["otp"], aal=1)
    else:
        if not owner.is_active:
            raise AccountClosed
        request._accounts_amr = ("otp",)  # type: ignore[attr-defined]
        login(request, owner, "django.contrib.auth.backends.ModelBackend")
    return owner


def password_alone(user: AbstractBaseUser) -> None:
    """Whether an official with the right password gets in with nothing else. Raises :class:`PasswordNotEnough`.

    At a node whose address has no passkeys he does.
    """
    if not passkeys_possible():
        return
    if passkeys_of(user):
        raise PasswordNotEnough(why="passkey")
    if not options.current().password_alone(timezone.localdate()):
        raise PasswordNotEnough(why="late")


def lacks_passkey(user: AbstractBaseUser) -> bool:
    """Whether an official has yet to make a passkey, and can."""
    return passkeys_possible() and not passkeys_of(user)


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
        end_sessions(row, why="locked")
    # the salt is kept in the account's own history: nobody else can tell whose entry it is
    salt = secrets.token_hex(16)
    happened(row, kind.partition(".")[2], reason=reason[:200], salt=salt)
    digest = hashlib.sha256(f"{salt}{row.id}".encode()).hexdigest()
    log.record(kind, {"account": digest, "by": actor.id}, timezone.now())
    return row


# --- what everything above needs --------------------------------------------------------------------------------


LOGGED = frozenset(
    {"opened", "passkey-added", "passkey-removed", "passkey-cloned", "codes-made", "code-used"}
)
"""By what somebody gets in, from now on or no longer: that stands in the log too. That he came in does not."""


def happened(owner: Owner, what: str, **about: Any) -> None:
    """Note something for ``owner`` to read; in the log, if it is one of :data:`LOGGED`, whose it is stands as a commitment."""
    if what in LOGGED:
        # the salt is kept in his own history: nobody else can tell whose entry it is
        about["salt"] = salt = secrets.token_hex(16)
        digest = hashlib.sha256(f"{salt}{_name(owner)}".encode()).hexdigest()
        official = not isinstance(owner, Account)
        log.record(f"identity.{what}", {"holder": digest, "official": official}, timezone.now())
    Happened.objects.create(**_of(owner), what=what, about=about)


def _of(owner: Owner) -> dict[str, Any]:
    return {"account": owner} if isinstance(owner, Account) else {"user": owner}


def _name(owner: Owner) -> str:
    return f"{'account' if isinstance(owner, Account) else 'user'}:{owner.pk}"


def _lock(owner: Owner) -> None:
    model = Account if isinstance(owner, Account) else User
    model.objects.select_for_update().get(pk=owner.pk)


def _another_way_in(owner: Owner) -> bool:
    """Whether somebody without a passkey can still sign in: through the system that vouches for him."""
    return isinstance(owner, Account) and owner.scheme != LOCAL
