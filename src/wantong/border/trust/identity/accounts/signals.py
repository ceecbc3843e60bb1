"""Officials' sessions are Django's; ours are told when one begins and ends."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.contrib.auth.signals import user_logged_in, user_logged_out
from django.dispatch import receiver
from django.http import HttpRequest

from wantong.border.trust.identity.accounts import presence


@receiver(user_logged_in, dispatch_uid="accounts.staff_began")
def began(sender: Any, request: HttpRequest, user: AbstractBaseUser, **_: Any) -> None:
    presence.staff_began(request, user)


@receiver(user_logged_out, dispatch_uid="accounts.staff_ended")
def ended(sender: Any, request: HttpRequest, user: AbstractBaseUser | None, **_: Any) -> None:
    if hasattr(request, "session"):
        presence.staff_ended(request)
