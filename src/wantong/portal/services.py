"""The portal's verbs: who is asking, making operators, counting failed sign-ins."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta
from functools import wraps
from typing import Any, Concatenate, ParamSpec

from django.conf import settings
from django.contrib.auth.models import Group, User
from django.contrib.auth.password_validation import validate_password
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.crypto import salted_hmac

from wantong.ground.actors import Actor
from wantong.ground.http import auth
from wantong.portal import throttle
from wantong.portal.models import SignInFailures
from wantong.portal.problems import SignInNeeded, TooManyAttempts, UnknownRole, WeakPassword

ROLES = ("declarer", "approver", "auditor", "operator")
P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponse]


def actor(request: HttpRequest) -> Actor:
    """The operator behind a request. Raises :class:`SignInNeeded`."""
    if not request.user.is_authenticated:
        raise SignInNeeded
    cached: Actor | None = getattr(request, "_wantong_actor", None)
    if cached is None:
        cached = request._wantong_actor = auth.actor_of(request.user)  # type: ignore[attr-defined]
    return cached


def role_required(*roles: str) -> Callable[[View[P]], View[P]]:
    """Only operators with one of ``roles`` (none named: any operator) get to the view.

    People are led to the sign-in page and back; programs get :class:`SignInNeeded`; an operator without the role gets
    :class:`~wantong.ground.http.auth.NotAllowed`.
    """

    def decorate(view: View[P]) -> View[P]:
        @wraps(view)
        def wrapper(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
            if not request.user.is_authenticated and "text/html" in request.headers.get("Accept", ""):
                return redirect_to_login(request.get_full_path())
            who = actor(request)
            if roles:
                auth.require(who, *roles)
            return view(request, *args, **kwargs)

        return wrapper

    return decorate


@transaction.atomic
def make_operator(username: str, roles: Iterable[str], password: str, *, name: str = "") -> User:
    """A new operator, or new roles and a new password for an existing one.

    Raises :class:`UnknownRole` and :class:`WeakPassword`; then nothing is changed.
    """
    roles = list(roles)
    for role in roles:
        if role not in ROLES:
            raise UnknownRole(role=role, roles=", ".join(ROLES))
    user = User.objects.filter(username=username).first() or User(username=username)
    user.first_name = name or user.first_name
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise WeakPassword(reason=" ".join(error.messages)) from None
    user.set_password(password)
    user.save()
    user.groups.set([Group.objects.get_or_create(name=role)[0] for role in roles])
    return user


def check_throttle(username: str, address: str) -> None:
    """Raises :class:`TooManyAttempts` while a pause runs for this name, or this name from this address."""
    now = timezone.now()
    keys = [key for key, _ in _keys(username, address)]
    waits = SignInFailures.objects.filter(key__in=keys, blocked_until__gt=now).values_list(
        "blocked_until", flat=True
    )
    if waits:
        raise TooManyAttempts(seconds=int((max(waits) - now) / timedelta(seconds=1)) + 1)


@transaction.atomic
def record_failure(username: str, address: str) -> None:
    """Count one failed sign-in; the pause it earns runs from now."""
    now = timezone.now()
    for key, limit in _keys(username, address):
        SignInFailures.objects.get_or_create(key=key, defaults={"last": now})
        entry = SignInFailures.objects.select_for_update().get(key=key)
        entry.count = 1 if now - entry.last > throttle.FORGET else entry.count + 1
        entry.last = now
        pause = limit.pause(entry.count)
        entry.blocked_until = now + pause if pause else None
        entry.save()
    SignInFailures.objects.filter(last__lt=now - 2 * throttle.FORGET).delete()


def forget_failures(username: str, address: str) -> None:
    """Somebody has signed in: their own count ends. The count of the name goes on, it may be under attack."""
    key, _ = _keys(username, address)[0]
    SignInFailures.objects.filter(key=key).delete()


def _keys(username: str, address: str) -> list[tuple[str, throttle.Limit]]:
    def key(*parts: Any) -> str:
        # a digest: what people type into the name field by mistake is often their password
        return salted_hmac("wantong.portal.sign-in", "\0".join(parts), secret=settings.SECRET_KEY).hexdigest()

    name = username.strip().casefold()
    return [(key(name, address), throttle.NAME_AND_ADDRESS), (key(name), throttle.NAME)]
