"""How a node knows who is asking: :class:`TokenVerifier`, and the verifier for pinned keys."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import ClassVar, Protocol

import structlog
from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.module_loading import import_string
from joserfc.jwk import OKPKey

from wantong.border.trust import tokens
from wantong.border.trust.models import Peer, UsedToken
from wantong.ground import config
from wantong.ground.problems import Problem

logger = structlog.get_logger(__name__)

PRUNE_EVERY = timedelta(minutes=5)


class Unauthenticated(Problem):
    """The request does not prove who it is from. Why is logged and not told: a forger learns nothing."""

    slug: ClassVar[str] = "unauthenticated"
    status: ClassVar[int] = 401


@dataclass(frozen=True)
class Caller:
    """Who is asking, and the name of his message if he gave it one."""

    peer: Peer
    message_id: str | None = None


class TokenVerifier(Protocol):
    """From a request and its ``Authorization`` header to the peer that made it."""

    def verify(self, authorization: str, request: tokens.Request) -> Caller:
        """Who made ``request``. Raises :class:`Unauthenticated`."""
        ...


class PinnedKeys:
    """Request tokens signed with the key on a pinned card, each accepted once."""

    def __init__(self) -> None:
        self._prune_next = timezone.now()

    def verify(self, authorization: str, request: tokens.Request) -> Caller:
        now = timezone.now()
        try:
            scheme, _, token = authorization.partition(" ")
            if scheme.lower() != "bearer" or not token:
                raise tokens.BadToken("no bearer token")
            peer = Peer.objects.filter(participant_id=tokens.issuer(token), active=True).first()
            if peer is None:
                raise tokens.BadToken("the issuer is not pinned")
            claims = tokens.verify(
                token,
                OKPKey.import_key(peer.protocol_key),
                audience=config.current().participant_id,
                request=request,
                now=now,
            )
            self._use(claims)
        except tokens.BadToken as error:
            logger.warning("trust.refused", reason=str(error), method=request.method, url=request.url[:300])
            raise Unauthenticated() from None
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
def _verifier(path: str) -> TokenVerifier:
    verifier: TokenVerifier = import_string(path)()
    return verifier


def verifier() -> TokenVerifier:
    """The verifier of this node (setting ``WANTONG_TOKEN_VERIFIER``)."""
    return _verifier(getattr(settings, "WANTONG_TOKEN_VERIFIER", "wantong.border.trust.verifiers.PinnedKeys"))
