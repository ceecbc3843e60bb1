"""Failed attempts to sign in, counted for each name and for each name at each address, and the pause they earn."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.crypto import salted_hmac

from wantong.ground.http import throttle
from wantong.ground.http.models import SignInFailures
from wantong.ground.problems import Problem


class TooManyAttempts(Problem):
    """Sign-in is closed for ``seconds`` because of repeated failures."""

    slug = "too-many-attempts"
    status = 429


def check(name: str, address: str) -> None:
    """Raises :class:`TooManyAttempts` while a pause runs for this name, or this name from this address."""
    now = timezone.now()
    keys = [key for key, _ in _keys(name, address)]
    waits = SignInFailures.objects.filter(key__in=keys, blocked_until__gt=now).values_list(
        "blocked_until", flat=True
    )
    if waits:
        raise TooManyAttempts(seconds=int((max(waits) - now) / timedelta(seconds=1)) + 1)


@transaction.atomic
def failed(name: str, address: str) -> None:
    """Count one failed sign-in; the pause it earns runs from now."""
    now = timezone.now()
    for key, limit in _keys(name, address):
        SignInFailures.objects.get_or_create(key=key, defaults={"last": now})
        entry = SignInFailures.objects.select_for_update().get(key=key)
        entry.count = 1 if now - entry.last > throttle.FORGET else entry.count + 1
        entry.last = now
        pause = limit.pause(entry.count)
        entry.blocked_until = now + pause if pause else None
        entry.save()
    SignInFailures.objects.filter(last__lt=now - 2 * throttle.FORGET).delete()


def forget(name: str, address: str) -> None:
    """Somebody has signed in: his own count ends. The count of the name goes on, it may be under attack."""
    key, _ = _keys(name, address)[0]
    SignInFailures.objects.filter(key=key).delete()


def _keys(name: str, address: str) -> list[tuple[str, throttle.Limit]]:
    def key(*parts: Any) -> str:
        # a digest: what people type into the name field by mistake is often their password
        return salted_hmac("wantong.portal.sign-in", "\0".join(parts), secret=settings.SECRET_KEY).hexdigest()

    plain = name.strip().casefold()
    return [(key(plain, address), throttle.NAME_AND_ADDRESS), (key(plain), throttle.NAME)]
