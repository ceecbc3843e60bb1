"""Passkeys as they are kept: added, shown, taken away; and what an official's password still does beside them."""

from __future__ import annotations

import datetime as dt
import hashlib
import secrets
import uuid
from collections.abc import Mapping
from typing import Any

from django.contrib.auth.models import AbstractBaseUser, User
from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone

from wantong.border.trust.identity.accounts import options, owners, passkeys, presence
from wantong.border.trust.identity.accounts.models import (
    Account,
    Authenticator,
    Challenge,
    Handle,
    SignedIn,
)
from wantong.border.trust.identity.accounts.problems import (
    AccountClosed,
    LastWayIn,
    NoPasskeysHere,
    PasskeyRefused,
    PasswordNotEnough,
    TooMany,
    Unknown,
)
from wantong.ground import config, i18n

CHALLENGE_LASTS = dt.timedelta(milliseconds=passkeys.TIMEOUT)

MOST_PASSKEYS = 20


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
    request: HttpRequest, purpose: Challenge.Purpose, owner: owners.Owner | None = None, label: str = ""
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
        browser=presence.browser(request.session),
        purpose=purpose,
        holder=owners.name_of(owner) if owner is not None else "",
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


def passkeys_of(owner: owners.Owner) -> list[Authenticator]:
    """The passkeys of ``owner`` that count."""
    return list(Authenticator.objects.filter(**owners.owned_by(owner), ended_at=None))


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
            scheme=owners.LOCAL,
            native_level=owners.SELF,
            handle=bytes(challenge.handle),
        )
        _keep(account, made, label)
        owners.happened(account, "opened")
        presence.begin(request, account, amr=presence.PASSKEY, aal=2)
    return account


def add_passkey(
    request: HttpRequest, owner: owners.Owner, answer: Mapping[str, Any], label: str
) -> Authenticator:
    """One more passkey for ``owner``. Raises :class:`PasskeyRefused`, :class:`TooMany`."""
    _answered(request, answer, Challenge.Purpose.ADD, owner)
    new = passkeys.created(relying_party(), passkeys.challenge_of(answer), answer)
    with transaction.atomic():
        owners.lock_row(owner)
        if len(passkeys_of(owner)) >= MOST_PASSKEYS:
            raise TooMany(most=MOST_PASSKEYS)
        made = _keep(owner, new, label)
        owners.happened(owner, "passkey-added", label=made.label)
    return made


def sign_in(request: HttpRequest, answer: Mapping[str, Any]) -> SignedIn:
    """Sign a person in with a passkey. Raises :class:`PasskeyRefused`, :class:`AccountClosed`."""
    return presence.begin(request, shown(request, answer), amr=presence.PASSKEY, aal=2)


def shown(request: HttpRequest, answer: Mapping[str, Any]) -> Account:
    """The account whose passkey somebody has just shown; he is not signed in yet. Raises :class:`PasskeyRefused`."""
    _answered(request, answer, Challenge.Purpose.SIGN_IN)
    with transaction.atomic():
        found = _asserted(answer, staff=False)
    if isinstance(found, PasskeyRefused):
        raise found
    holder: Account | None = found.account
    assert holder is not None
    return holder


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
    request._accounts_amr = presence.PASSKEY  # type: ignore[attr-defined]
    holder: User = found.user
    return holder


@transaction.atomic
def remove_passkey(owner: owners.Owner, authenticator_id: uuid.UUID) -> None:
    """A passkey of ``owner`` counts no more. Raises :class:`Unknown`, :class:`LastWayIn`."""
    owners.lock_row(owner)
    mine = passkeys_of(owner)
    found = next((one for one in mine if one.id == authenticator_id), None)
    if found is None:
        raise Unknown(what=str(authenticator_id))
    if len(mine) == 1 and not owners.another_way_in(owner):
        raise LastWayIn
    Authenticator.objects.filter(id=found.id).update(
        ended_at=timezone.now(), ended_why=Authenticator.Ended.REMOVED
    )
    owners.happened(owner, "passkey-removed", label=found.label)


def handle_of(owner: owners.Owner) -> bytes:
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
    owner: owners.Owner | None = row.user if staff else row.account
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
        owners.happened(owner, "passkey-cloned", label=row.label)
        presence.end_sessions(owner, why="cloned")
        return refused
    row.sign_count, row.synced, row.used_at = proven.sign_count, proven.synced, timezone.now()
    row.save(update_fields=("sign_count", "synced", "used_at"))
    return row


def _answered(
    request: HttpRequest,
    answer: Mapping[str, Any],
    purpose: Challenge.Purpose,
    owner: owners.Owner | None = None,
) -> Challenge:
    """The challenge that ``answer`` is to, taken away: nobody answers it again, whatever comes of this."""
    digest, now = _digest(passkeys.challenge_of(answer)), timezone.now()
    holder = owners.name_of(owner) if owner is not None else ""
    row = Challenge.objects.filter(
        digest=digest,
        browser=presence.browser(request.session),
        purpose=purpose,
        holder=holder,
        expires_at__gt=now,
    ).first()
    # deleted by exactly one of two that come at once, and before anything else is looked at
    if row is None or not Challenge.objects.filter(digest=digest).delete()[0]:
        raise PasskeyRefused(reason="challenge")
    return row


def _keep(owner: owners.Owner, made: passkeys.Passkey, label: str) -> Authenticator:
    if Authenticator.objects.filter(credential=made.id).exists():
        raise PasskeyRefused(reason="known")
    return Authenticator.objects.create(
        **owners.owned_by(owner),
        credential=made.id,
        public_key=made.public_key,
        sign_count=made.sign_count,
        transports=list(made.transports),
        aaguid=made.aaguid,
        synced=made.synced,
        label=label.strip()[:60] or made.aaguid[:8],
    )


def _digest(challenge: bytes) -> str:
    return hashlib.sha256(challenge).hexdigest()


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
