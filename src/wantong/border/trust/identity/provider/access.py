"""The door of every resource of this node: who calls, for whom, and what he may."""

from __future__ import annotations

import hmac
from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import datetime

from django.db import connection
from django.http import HttpRequest
from django.utils import timezone

from wantong.border.trust.identity.provider import keys, memory, proving, tokens
from wantong.border.trust.identity.provider.models import State
from wantong.border.trust.identity.provider.problems import (
    InsufficientScope,
    InvalidDpopProof,
    InvalidToken,
    NonceWanted,
    RefusedProof,
    UseDpopNonce,
)
from wantong.border.trust.identity.provider.tokens import Access
from wantong.ground import config
from wantong.ground.http import limits

__all__ = ["Access", "protect", "standing"]


def protect(
    request: HttpRequest, *, scope: str | Iterable[str] = (), nonce: bool = False, body: str = ""
) -> Access:
    """Who calls, by the access token of the request: signed here, in force, for this node, with all of ``scope``.

    A token that is bound to a key needs a DPoP proof by that key for this very request (RFC 9449); ``nonce`` asks that
    the proof carry a nonce of this node. ``body`` is a token that came in the body, for the one endpoint that takes
    such (OpenID Core, 5.3.1).

    Raises :class:`~.problems.InvalidToken` or a kind of it, which has the ``WWW-Authenticate`` header of the answer;
    TooManyRequests.
    """
    address, now = request.META.get("REMOTE_ADDR", ""), timezone.now()
    limits.spend(limits.UNPROVEN, address, 0)
    try:
        return _judged(request, [scope] if isinstance(scope, str) else list(scope), nonce, body, now)
    except (InsufficientScope, NonceWanted):
        raise
    except InvalidToken as error:
        if error.why != "token-missing":
            limits.spend(limits.UNPROVEN, address)
        raise


def _judged(request: HttpRequest, scope: Collection[str], nonce: bool, body: str, now: datetime) -> Access:
    kind, _, text = request.headers.get("Authorization", "").partition(" ")
    kind, text = kind.lower(), text.strip()
    if body:
        if text:
            raise InvalidToken("token-twice")
        kind, text = "bearer", body
    if kind not in ("bearer", "dpop") or not text:
        raise InvalidToken("token-missing")
    token = tokens.read_access(text, keys.all_keys(), issuer=config.current().url, now=now)
    if not tokens.for_one_of(token.audience, config.current().url):
        raise InvalidToken("token-audience")
    if bool(token.jkt) != (kind == "dpop"):
        # a bound token without its key is a stolen one; an unbound one gains nothing by a proof
        raise InvalidToken("token-bound" if token.jkt else "token-unbound")
    if token.jkt:
        try:
            proof = proving.proof(request, now, nonce_wanted=nonce, access_token=text)
        except UseDpopNonce as error:
            raise NonceWanted(error.why, nonce=proving.nonce(proving.DPOP, now)) from None
        except InvalidDpopProof as error:
            raise RefusedProof(**error.params) from None
        if proof is None:
            raise InvalidToken("token-bound")
        if not hmac.compare_digest(proof.jkt, token.jkt):
            raise RefusedProof("proof-other-key")
    token = standing(token)
    if not token.allows(*filter(None, scope)):
        raise InsufficientScope("token-scope", scope=" ".join(scope))
    return token


# by hand, for it is asked with every call of every resource, and making it anew costs four times as much as asking it
_OF_GRANT = """
    SELECT g.account_id, c.state, EXISTS (SELECT 1 FROM provider_once o WHERE o.digest = %s)
    FROM provider_grant g LEFT JOIN provider_registeredclient c ON c.client_id = g.client_id
    WHERE g.name = %s AND g.ended_at IS NULL
"""
_OF_MACHINE = """
    SELECT '', c.state, EXISTS (SELECT 1 FROM provider_once o WHERE o.digest = %s)
    FROM provider_registeredclient c WHERE c.client_id = %s
"""


def standing(token: Access) -> Access:
    """The token with its account, if neither it nor what it rests on was taken back. Raises :class:`.InvalidToken`."""
    question, about = (_OF_GRANT, token.grant) if token.grant else (_OF_MACHINE, token.client_id)
    with connection.cursor() as cursor:
        cursor.execute(question, [memory.digest("revoked", token.jti), about])
        found = cursor.fetchone()
    # a grant of nobody in particular has no client
    if found is None or found[2] or found[1] not in (State.ACTIVE, *((None,) if token.grant else ())):
        raise InvalidToken("token-revoked")
    return replace(token, account_id=found[0] or None)
