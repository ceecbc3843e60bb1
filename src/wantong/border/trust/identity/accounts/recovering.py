"""Recovery codes: made, counted, used once, one's own or the one that two of the back office gave out."""

from __future__ import annotations

from django.contrib.auth import login
from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone

from wantong.border.trust.identity.accounts import codes, owners, presence
from wantong.border.trust.identity.accounts.models import (
    Account,
    Authenticator,
    Recovery,
    RecoveryCode,
)
from wantong.border.trust.identity.accounts.problems import (
    AccountClosed,
    UnknownCode,
)


@transaction.atomic
def make_codes(owner: owners.Owner) -> list[str]:
    """New recovery codes; the old ones end. This is the only time that they can be read."""
    RecoveryCode.objects.filter(**owners.owned_by(owner), used_at=None).delete()
    made = [codes.make() for _ in range(codes.HOW_MANY)]
    RecoveryCode.objects.bulk_create(
        RecoveryCode(**owners.owned_by(owner), digest=codes.digest(one)) for one in made
    )
    owners.happened(owner, "codes-made")
    return made


def codes_left(owner: owners.Owner) -> int:
    """How many recovery codes ``owner`` has that were not used."""
    return RecoveryCode.objects.filter(**owners.owned_by(owner), used_at=None).count()


@transaction.atomic
def use_code(request: HttpRequest, typed: str) -> owners.Owner:
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
    owner: owners.Owner | None = taken.account or taken.user
    assert owner is not None
    if isinstance(taken, Recovery):
        Authenticator.objects.filter(**owners.owned_by(owner), ended_at=None).update(
            ended_at=now, ended_why=Authenticator.Ended.RECOVERED
        )
        RecoveryCode.objects.filter(**owners.owned_by(owner), used_at=None).delete()
        presence.end_sessions(owner, why="recovered")
    owners.happened(owner, "code-used", left=codes_left(owner))
    if isinstance(owner, Account):
        presence.begin(request, owner, amr=["otp"], aal=1)
    else:
        if not owner.is_active:
            raise AccountClosed
        request._accounts_amr = ("otp",)  # type: ignore[attr-defined]
        login(request, owner, "django.contrib.auth.backends.ModelBackend")
    return owner
