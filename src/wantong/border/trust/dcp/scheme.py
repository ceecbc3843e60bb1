"""Verifiable presentations as one of the ways in which two nodes prove to each other who they are (``WANTONG_SCHEMES``).

A verdict holds for the access token with which it was reached, for a few minutes at most: a conversation of ten
messages asks for credentials once. Every message still has a token of its own, proven and used once, and a word an
operator takes back (a peer, an issuer) counts from the next message on.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping
from datetime import timedelta
from functools import cache
from typing import Any, ClassVar, Final

import structlog
from django.db import IntegrityError, transaction
from django.utils import timezone

from wantong.border.trust import jws, tokens, verifiers
from wantong.border.trust.dcp import (
    access,
    did,
    keys,
    kinds,
    options,
    selfissued,
    verdict,
    verifier,
)
from wantong.border.trust.dcp import (
    web as net,
)
from wantong.border.trust.dcp.models import AcceptedIssuer, HeldCredential, Identity, Judgement
from wantong.border.trust.models import Peer, UsedToken
from wantong.border.trust.verdict import Refused
from wantong.ground import config
from wantong.ground.problems import Problem

logger = structlog.get_logger(__name__)

NAME: Final = "claims"
VERDICT_LIFE = timedelta(minutes=5)
NOTE_EVERY = timedelta(minutes=1)
"""A verdict that says what the last one said is written down no more often than this."""
PATIENCE = 0.5


class ClaimsRefused(verifiers.Unauthenticated):
    """It is certain who asks, and his credentials will not do: ``step`` and ``code`` say why, so he is told."""

    slug: ClassVar[str] = "claims-refused"
    CODES: ClassVar[Mapping[str, str]] = {"code": "dcp.why", "step": "dcp.step"}

    def __init__(self, told: verdict.Verdict) -> None:
        failure = told.failure
        assert failure is not None
        super().__init__(
            participant=told.did, step=failure.name, about=failure.about, code=failure.code, **failure.params
        )

    @property
    def reasons(self) -> list[str]:
        said = self.explain("en")
        return [said["detail"], said["next"]]


class ClaimsBusy(Problem):
    """Too many proofs are being looked into; ask again in ``retry_after`` seconds."""

    slug = "claims-busy"
    status = 503


class VerifiablePresentations:
    """The scheme (:class:`.verifiers.Scheme`)."""

    def __init__(self) -> None:
        self._verdicts: net.Memory[verdict.Verdict] = net.Memory(1000)
        self._access: net.Memory[str] = net.Memory(1000)
        self._places = threading.BoundedSemaphore(options.current().at_once)

    def sign(self, peer: Peer, request: tokens.Request, message_id: str | None) -> str:
        now, own, other = timezone.now(), _own_did(), did_of(peer)
        types = _own_types()
        # one access token for half its life: by it the other knows the verdict it has reached already
        opener = self._access.get(
            (own, other, types, keys.own().thumbprint()),
            access.LIFETIME.total_seconds() / 2,
            lambda: access.issue(keys.own(), did=own, verifier=other, types=types, now=now),
        )
        token = selfissued.sign(
            keys.own(),
            issuer=own,
            audience=other,
            now=now,
            access=opener,
            request=request,
            message_id=message_id,
        )
        return f"Bearer {token}"

    def verify(self, authorization: str, request: tokens.Request) -> verifiers.Caller:
        name, _, text = authorization.partition(" ")
        if name.lower() != "bearer" or not text:
            raise tokens.BadToken("no bearer token")
        peer = self._peer(text)
        policy, now = judged_by(), timezone.now()
        found = verifier.identify(
            text,
            request,
            policy=policy,
            web=web(),
            now=now,
            known=lambda issuer: issuer == did_of(peer),
            use=use,
        )
        if isinstance(found, verdict.Verdict):
            _note(peer, found)
            raise _refusal(found)
        told = self._examine(found, peer, policy)
        if not told.good:
            raise _refusal(told)
        return verifiers.Caller(peer, found.token.message_id)

    def _peer(self, text: str) -> Peer:
        """The peer in whose name the token is: nothing is looked into for anybody else."""
        try:
            issuer = jws.peek(text, selfissued.LONGEST).payload.get("iss")
        except Refused as refused:
            raise tokens.BadToken(refused.code) from None
        peer = peer_of(issuer) if isinstance(issuer, str) and issuer.startswith("did:") else None
        if peer is None:
            raise tokens.BadToken("the issuer is no recognised DID")
        return peer

    def _examine(self, who: verifier.Identified, peer: Peer, policy: verifier.Policy) -> verdict.Verdict:
        now = timezone.now()
        digest = hashlib.sha256(str(who.token.access).encode()).digest()
        name = (who.token.issuer, digest)
        known = self._verdicts.peek(name)
        if known is not None and _still_good(known, policy):
            return known
        if not self._places.acquire(timeout=PATIENCE):
            raise ClaimsBusy(retry_after=1)
        try:
            told = verifier.examine(who, policy=policy, web=web(), now=now)
        finally:
            self._places.release()
        _note(peer, told)
        if told.good:
            self._verdicts.put(name, told, VERDICT_LIFE.total_seconds())
        return told


def did_of(peer: Peer) -> str:
    """The DID by which ``peer`` is known: the one an operator gave it, else its very name."""
    found = Identity.objects.filter(peer=peer).values_list("did", flat=True).first()
    return str(found or peer.participant_id)


def peer_of(name: str) -> Peer | None:
    """The active peer that is known by the DID ``name``, if there is one."""
    if len(name) > did.LONGEST:
        return None
    known = Identity.objects.filter(did=name).select_related("peer").first()
    peer = known.peer if known else Peer.objects.filter(participant_id=name, identity=None).first()
    return peer if peer is not None and peer.active and peer.scheme == NAME else None


def accepted() -> dict[str, frozenset[str]]:
    """Type of credential → DIDs of those whose credentials of that type count."""
    found: dict[str, set[str]] = {}
    for type, issuer in AcceptedIssuer.objects.filter(withdrawn_at=None).values_list("type", "did"):
        found.setdefault(type, set()).add(issuer)
    return {type: frozenset(issuers) for type, issuers in found.items()}


def judged_by() -> verifier.Policy:
    """By what this node judges now."""
    said = options.current()
    required = tuple(kind.type for kind in kinds.load(said.credentials).values() if kind.required)
    return verifier.Policy(_own_did(), required, accepted(), said.tolerates)


@cache
def _web(said: options.Options) -> net.Net:
    def introduce(holder: str, opener: str) -> str:
        return selfissued.sign(
            keys.own(), issuer=_own_did(), audience=holder, now=timezone.now(), access=opener or None
        )

    return net.Net(said, introduce)


def web() -> net.Net:
    """The world outside, with what this process remembers of it."""
    return _web(options.current())


def prove(token: selfissued.SelfIssued) -> None:
    """Return if the token was signed by its issuer. Raises :class:`.Refused`."""
    document = web().document(token.issuer)
    verifier.prove(token.unproven, token.issuer, did.INVOCATION, document, options.current().tolerates, web())


def use(token: selfissued.SelfIssued) -> bool:
    """Note that a token is used; False if it was before."""
    try:
        with transaction.atomic():
            UsedToken.objects.create(
                issuer=token.issuer, jti=token.jti, expires_at=token.expires + tokens.SKEW
            )
    except IntegrityError:
        return False
    return True


def _own_did() -> str:
    return did.name(config.current().url)


def _own_types() -> frozenset[str]:
    """Everything this node holds: to whom it speaks it shows it."""
    return frozenset(
        type for types in HeldCredential.objects.values_list("types", flat=True) for type in types
    )


def _still_good(told: verdict.Verdict, policy: verifier.Policy) -> bool:
    now = timezone.now()
    good = {
        type
        for one in told.shown
        for type in one.types
        if one.issuer in policy.accepted.get(type, frozenset()) and (one.until is None or one.until > now)
    }
    return good >= set(policy.required)


def _refusal(told: verdict.Verdict) -> tokens.BadToken:
    failure = told.failure
    assert failure is not None
    why = f"{failure.name}: {failure.code} {dict(failure.params)}"
    return tokens.Explained(ClaimsRefused(told), why) if told.proven else tokens.BadToken(why)


def _note(peer: Peer, told: verdict.Verdict) -> None:
    """Keep the verdict for people to see; what was said a moment ago already is not written again."""
    row = Judgement.objects.filter(peer=peer, proven=told.proven).first()
    content: dict[str, Any] = told.to_dict()
    if row is not None and row.at > told.at - NOTE_EVERY:
        before = {**row.verdict, "at": content["at"]}
        if before == content or not told.proven:
            return
    with transaction.atomic():
        Judgement.objects.update_or_create(
            peer=peer, proven=told.proven, defaults={"verdict": content, "at": told.at}
        )
    logger.info("claims.judged", peer=peer.participant_id, good=told.good)
