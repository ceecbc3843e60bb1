"""How nodes prove to each other who they are: a :class:`Scheme` a peer, and the one for pinned keys.

Every peer is known by one scheme (``Peer.scheme``). The setting ``WANTONG_SCHEMES`` names those that this node has;
a proof by one scheme never speaks for a peer that is known by another.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import ClassVar, Final, Protocol

import structlog
from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.module_loading import import_string
from joserfc.jwk import OKPKey

from wantong.border.trust import keys, tokens
from wantong.border.trust.models import PINNED_KEYS, Peer, UsedToken
from wantong.ground import config
from wantong.ground.problems import Problem

logger = structlog.get_logger(__name__)

PRUNE_EVERY = timedelta(minutes=5)
SCHEMES: Final[Mapping[str, str]] = {
    PINNED_KEYS: "wantong.border.trust.verifiers.PinnedKeys",
    "claims": "wantong.border.trust.dcp.scheme.VerifiablePresentations",
}


class Unauthenticated(Problem):
    """The request does not prove who it is from. Why is logged and not told: a forger learns nothing."""

    slug: ClassVar[str] = "unauthenticated"
    status: ClassVar[int] = 401

    @property
    def reasons(self) -> list[str]:
        """What the caller may know of it, for protocols that give reasons."""
        return ["the request does not prove who it is from"]


class UnknownScheme(Problem):
    """A peer is known by ``scheme``, which this node does not have (setting ``WANTONG_SCHEMES``)."""

    slug: ClassVar[str] = "unknown-scheme"
    status: ClassVar[int] = 500


@dataclass(frozen=True)
class Caller:
    """Who is asking, and the name of his message if he gave it one."""

    peer: Peer
    message_id: str | None = None


class Scheme(Protocol):
    """A way in which two nodes prove to each other who they are."""

    def sign(self, peer: Peer, request: tokens.Request, message_id: str | None) -> str:
        """The value of ``Authorization`` for a request of this node to ``peer``."""
        ...

    def verify(self, authorization: str, request: tokens.Request) -> Caller:
        """Who made ``request``, by its ``Authorization`` header. Raises :class:`.tokens.BadToken`."""
        ...


class PinnedKeys:
    """Request tokens signed with the key on a pinned card, each accepted once."""

    def __init__(self) -> None:
        self._prune_next = timezone.now()

    def sign(self, peer: Peer, request: tokens.Request, message_id: str | None) -> str:
        token = tokens.sign(
            keys.own(keys.PROTOCOL),
            issuer=config.current().participant_id,
            audience=peer.participant_id,
            request=request,
            now=timezone.now(),
            message_id=message_id,
        )
        return f"Bearer {token}"

    def verify(self, authorization: str, request: tokens.Request) -> Caller:
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise tokens.BadToken("no bearer token")
        peer = Peer.objects.filter(
            participant_id=tokens.issuer(token), active=True, scheme=PINNED_KEYS
        ).first()
        if peer is None:
            raise tokens.BadToken("the issuer is not pinned")
        claims = tokens.verify(
            token,
            OKPKey.import_key(peer.key_called(tokens.key_id(token))),
            audience=config.current().participant_id,
            request=request,
            now=timezone.now(),
        )
        self._use(claims)
        return Caller(peer, claims.message_id)

    def _use(self, claims: tokens.Claims) -> None:
        if timezone.now() >= self._prune_next:
            self._prune_next = timezone.now() + PRUNE_EVERY
            prune(timezone.now())
        try:
            with transaction.atomic():
                UsedToken.objects.create(
                    issuer=claims.issuer, jti=claims.jti, expires_at=claims.expires + tokens.SKEW
                )
        except IntegrityError:
            raise tokens.BadToken("used before: a replay") from None


def prune(now: datetime) -> int:
    """Forget the tokens that have expired anyway. Returns how many."""
    # a margin for clocks that are set back while we run
    return UsedToken.objects.filter(expires_at__lt=now - timedelta(minutes=5)).delete()[0]


@cache
def _scheme(path: str) -> Scheme:
    scheme: Scheme = import_string(path)()
    return scheme


def _schemes() -> Mapping[str, Scheme]:
    named = getattr(settings, "WANTONG_SCHEMES", SCHEMES)
    return {name: _scheme(path) for name, path in named.items()}


def scheme_of(peer: Peer) -> Scheme:
    """The scheme by which ``peer`` is known. Raises :class:`UnknownScheme`."""
    try:
        return _schemes()[peer.scheme]
    except KeyError:
        raise UnknownScheme(scheme=peer.scheme) from None


def authenticate(authorization: str, request: tokens.Request) -> Caller:
    """Who made ``request``: the first scheme that recognises one of its own peers decides.

    Raises :class:`Unauthenticated`, or the problem of a scheme that is certain who asks and says why he may not.
    """
    reasons = {}
    told: Problem | None = None
    for name, scheme in _schemes().items():
        try:
            caller = scheme.verify(authorization, request)
        except tokens.BadToken as error:
            reasons[name] = str(error)
            if isinstance(error, tokens.Explained):
                told = error.problem
            continue
        if caller.peer.active and caller.peer.scheme == name:
            return caller
        reasons[name] = "the peer is known by another scheme, or not any more"
    logger.warning("trust.refused", reason=reasons, method=request.method, url=request.url[:300])
    raise told or Unauthenticated()
