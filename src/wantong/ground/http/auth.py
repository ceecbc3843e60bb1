"""From a request to an :class:`Actor`, and from an Actor to a yes or no.

The API of a node asks for one of two things: ``Authorization: Bearer <token>`` (programs) or the session of a
signed-in operator with a CSRF token (pages). Either way ``request.auth`` is the Actor. An endpoint that is open to
everyone says ``auth=None``.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser
from django.db.models import Q
from django.http import HttpRequest
from django.utils import timezone
from ninja.security import HttpBearer, SessionAuth

from wantong.ground.actors import Actor
from wantong.ground.http.models import ApiToken
from wantong.ground.problems import Problem

PREFIX = "wt_"


class NotAllowed(Problem):
    """The actor has none of the ``roles`` that the act asks for."""

    slug = "not-allowed"
    status = 403


def actor_of(user: Any) -> Actor:
    """The Actor of a signed-in Django user: its groups are its roles; a superuser has them all by group, not by magic."""
    return Actor(
        id=f"user:{user.get_username()}",
        name=user.get_full_name() or user.get_username(),
        roles=frozenset(user.groups.values_list("name", flat=True)),
    )


def called(actors: Iterable[str]) -> Mapping[str, str]:
    """The names of those of ``actors`` (``user:…``) who have an account; the others keep their id."""
    told = {one: one for one in actors}
    people = [one.removeprefix("user:") for one in told if one.startswith("user:")]
    users: Iterable[Any] = get_user_model().objects.filter(username__in=people)
    return told | {
        f"user:{user.get_username()}": user.get_full_name() or user.get_username() for user in users
    }


def require(actor: Actor, *roles: str) -> None:
    """Raise :class:`NotAllowed` unless ``actor`` has one of ``roles`` (the node's own machinery always may)."""
    if actor.id.startswith("system:") or actor.roles.intersection(roles):
        return
    raise NotAllowed(roles=", ".join(roles), actor=actor.id)


def make_token(user: AbstractBaseUser, label: str, lifetime: timedelta | None = None) -> str:
    """A new token for ``user``; this is the only time it can be read."""
    token = PREFIX + secrets.token_urlsafe(32)
    expires = timezone.now() + lifetime if lifetime else None
    ApiToken.objects.create(digest=_digest(token), user=user, label=label, expires_at=expires)
    return token


class BearerToken(HttpBearer):
    """``Authorization: Bearer wt_…``."""

    def authenticate(self, request: HttpRequest, token: str) -> Actor | None:
        if not token.startswith(PREFIX):
            return None
        alive = Q(expires_at=None) | Q(expires_at__gt=timezone.now())
        found = (
            ApiToken.objects.filter(alive, digest=_digest(token), user__is_active=True)
            .select_related("user")
            .first()
        )
        return actor_of(found.user) if found else None


class SessionOperator(SessionAuth):
    """The cookie of a signed-in operator; ninja checks the CSRF token beside it."""

    def authenticate(self, request: HttpRequest, key: str | None) -> Actor | None:
        return actor_of(request.user) if request.user.is_authenticated else None


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
