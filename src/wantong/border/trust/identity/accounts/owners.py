"""Whose something is, a person's account or an official, and the history that he reads of it."""

from __future__ import annotations

import hashlib
import secrets
from typing import Any, TypeAlias

from django.contrib.auth.models import AbstractBaseUser, User
from django.utils import timezone

from wantong.border.trust.identity.accounts.models import (
    Account,
    Happened,
)
from wantong.ground.log import services as log

Owner: TypeAlias = Account | AbstractBaseUser
"""Whose something is: a person's account, or an official."""

LOCAL, SELF = "local", "self"

LOGGED = frozenset(
    {"opened", "passkey-added", "passkey-removed", "passkey-cloned", "codes-made", "code-used"}
)
"""By what somebody gets in, from now on or no longer: that stands in the log too. That he came in does not."""


def happened(owner: Owner, what: str, **about: Any) -> None:
    """Note something for ``owner`` to read; in the log, if it is one of :data:`LOGGED`, whose it is stands as a commitment."""
    if what in LOGGED:
        # the salt is kept in his own history: nobody else can tell whose entry it is
        about["salt"] = salt = secrets.token_hex(16)
        digest = hashlib.sha256(f"{salt}{name_of(owner)}".encode()).hexdigest()
        official = not isinstance(owner, Account)
        log.record(f"identity.{what}", {"holder": digest, "official": official}, timezone.now())
    Happened.objects.create(**owned_by(owner), what=what, about=about)


def owned_by(owner: Owner) -> dict[str, Any]:
    return {"account": owner} if isinstance(owner, Account) else {"user": owner}


def name_of(owner: Owner) -> str:
    return f"{'account' if isinstance(owner, Account) else 'user'}:{owner.pk}"


def lock_row(owner: Owner) -> None:
    model = Account if isinstance(owner, Account) else User
    model.objects.select_for_update().get(pk=owner.pk)


def another_way_in(owner: Owner) -> bool:
    """Whether somebody without a passkey can still sign in: through the system that vouches for him."""
    return isinstance(owner, Account) and owner.scheme != LOCAL
