"""The portal's verbs: who is asking, making operators."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Concatenate, ParamSpec

from django.contrib.auth.models import Group, User
from django.contrib.auth.password_validation import validate_password
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest, HttpResponse

from wantong.ground.actors import Actor
from wantong.ground.http import auth
from wantong.portal.problems import SignInNeeded, UnknownRole, WeakPassword

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
        found = {fault.code: fault.params or {} for fault in error.error_list}
        raise WeakPassword(
            faults=[str(code).removeprefix("password_").replace("_", "-") for code in found],
            least=found.get("password_too_short", {}).get("min_length"),
        ) from None
    user.set_password(password)
    user.save()
    user.groups.set([Group.objects.get_or_create(name=role)[0] for role in roles])
    return user
