"""The lists of others, fetched or taken in, and kept if they are signed by whom their operator named. None counts by that alone."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import models, transaction
from django.utils import timezone
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from wantong.border.trust import jws, keys
from wantong.border.trust import services as trust
from wantong.border.trust.certificates import holdings
from wantong.border.trust.certificates.services import certificates_in
from wantong.border.trust.lists import (
    countersigning,
    federated,
    gathering,
    recognition,
    signed,
    stored,
    trustlist,
    ts119612,
)
from wantong.border.trust.lists.models import Received, Scheme
from wantong.border.trust.lists.problems import (
    BadList,
    BadSignature,
    Equivocation,
    NoList,
    NotFetched,
    NotItsSigner,
    RolledBack,
    UnknownScheme,
)
from wantong.border.trust.lists.trustlist import TrustList, fingerprint
from wantong.border.trust.models import Peer
from wantong.ground import canonical, config
from wantong.ground.actors import Actor
from wantong.ground.http import fetch
from wantong.ground.http.auth import require
from wantong.ground.http.reach import Reach
from wantong.ground.log import services as log
from wantong.ground.log.models import LogEntry
from wantong.ground.outbox import services as outbox

logger = structlog.get_logger(__name__)
VOUCHER = "trust-list-signers+jwt"
VOUCHER_LIFETIME = timedelta(days=1)
LARGEST = trustlist.LARGEST * 2
DEADLINE = 20.0


def voucher() -> str:
    """This node's word for who signs its list: a JWT with its protocol key, which its peers have pinned."""
    now = timezone.now()
    key = keys.own(keys.PROTOCOL)
    claims = {
        "iss": config.current().participant_id,
        "iat": int(now.timestamp()),
        "exp": int((now + VOUCHER_LIFETIME).timestamp()),
        "signers": sorted({fingerprint(holdings.signer("list").chain[0]), *_last_signer()}),
    }
    head = {"alg": "Ed25519", "typ": VOUCHER, "kid": key.thumbprint()}
    return jwt.encode(head, claims, key, algorithms=["Ed25519"])


def _last_signer() -> Iterator[str]:
    newest = stored.latest()
    if newest is not None:
        yield newest.signer


def vouched(peer: Peer, token: str, now: datetime) -> frozenset[str]:
    """The fingerprints that a peer's voucher names. Raises BadSignature."""
    try:
        head = jws.json_object(jws.unb64(token.split(".")[0]))
        key = OKPKey.import_key(peer.key_called(str(head.get("kid", ""))))
        found = jwt.decode(token, key, algorithms=["Ed25519"])
        claims = found.claims
        good = (
            found.header.get("typ") == VOUCHER
            and claims["iss"] == peer.participant_id
            and int(claims["iat"]) - 60 <= now.timestamp() < int(claims["exp"])
        )
        signers = frozenset(map(str, claims["signers"]))
    except (JoseError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BadSignature(reason="word-unreadable", told=type(error).__name__) from None
    if not good:
        raise BadSignature(reason="word-unproven")
    return signers


def look_soon(operator_id: str) -> None:
    """Have the worker fetch the list of a peer or of a federation; part of the caller's transaction.

    Raises UnknownPeer if it is of neither: a list in ETSI's form is brought by people.
    """
    if _federations(operator_id).exists():
        outbox.publish("trustlist.gather", f"trustlist.gather:{operator_id}", {"operator": operator_id})
    else:
        peer = trust.peer(operator_id)
        outbox.publish(
            "trustlist.look", f"trustlist.look:{peer.participant_id}", {"peer": peer.participant_id}
        )


def can_be_asked(operator_id: str) -> bool:
    """Whether there is an address at which the newest list of this operator stands."""
    peer = Peer.objects.filter(participant_id=operator_id, active=True).first()
    return _federations(operator_id).exists() or (peer is not None and not peer.foreign)


def _federations(operator_id: str) -> models.QuerySet[Scheme]:
    return Scheme.objects.filter(operator_id=operator_id, active=True).exclude(keys=[])


def look(peer: Peer) -> Received | None:
    """Fetch a peer's newest list and keep it; None if it has none, or the one that is here.

    Raises NotFetched, and what :func:`receive` raises.
    """
    listed = _get(f"{peer.url}/trust/list.json", peer.reach)
    if listed is None:
        return None
    word = _get(f"{peer.url}/trust/signers.jwt", peer.reach)
    if word is None:
        raise NotFetched(url=f"{peer.url}/trust/signers.jwt", reason="not-found")
    signers = vouched(peer, word.decode("ascii", "replace").strip(), timezone.now())
    return receive(peer, listed.decode("utf-8", "replace"), signers)


def _get(url: str, reach: Reach) -> bytes | None:
    try:
        reply = fetch.shared(reach).get(url, limit=LARGEST, deadline=DEADLINE)
    except fetch.FetchFailed as failure:
        raise NotFetched(url=url[:300], reason=failure.reason) from None
    if reply.status in (404, 410):
        return None
    if reply.status != 200:
        raise NotFetched(url=url[:300], reason="answered", answer=f"HTTP {reply.status}")
    return reply.body


def receive(peer: Peer, text: str, signers: frozenset[str]) -> Received | None:
    """Keep a version of a peer's list that one of ``signers`` has signed; None if it is here already.

    It counts only when it is countersigned; one that differs from the last that counts in number and dates alone is at
    once. Raises BadSignature, NotItsSigner, BadList, RolledBack, Equivocation.
    """
    token = signed.compact(text)
    proof = signed.read(token, signed.LIST)
    if proof.signer not in signers:
        raise NotItsSigner(operator=peer.participant_id, signer=proof.signer)
    told = TrustList.loads(proof.payload)
    if (told.operator_id, told.territory) != (peer.participant_id, peer.jurisdiction):
        raise BadList(
            field="list", reason="another-operator", operator=told.operator_id, wanted=peer.participant_id
        )
    return _keep(told, token, "jws", proof.signer)


@transaction.atomic
def pin_scheme(
    actor: Actor,
    operator_id: str,
    pins: bytes,
    *,
    name: Mapping[str, str] | None = None,
    url: str = "",
) -> Scheme:
    """Say what may sign a list from elsewhere: certificates (PEM, DER), or the keys (JWK set) of a federation's anchor.

    The anchor, whose identifier ``url`` is, is asked every twelve hours. Raises NotAllowed, BadList.
    """
    require(actor, "operator", "approver")
    if pins.lstrip().startswith(b"{"):
        keys, certificates = federated.keys_in(pins), []
        if not url.startswith(("https://", "http://")):
            raise BadList(field="uri", reason="no-address")
        signers = sorted(map(jws.thumbprint, keys))
    else:
        keys, certificates = [], certificates_in(pins)
        if any(not recognition.subject_name(der) for der in certificates):
            raise BadList(field="certificates", reason="no-certificate")
        signers = sorted(map(fingerprint, certificates))
    made, _ = Scheme.objects.update_or_create(
        operator_id=operator_id,
        defaults={
            "name": dict(name or {"en": operator_id}),
            "url": url,
            "certificates": [base64.b64encode(der).decode() for der in certificates],
            "keys": keys,
            "active": True,
            "pinned_by": actor.id,
            "pinned_at": timezone.now(),
        },
    )
    log.record("trustlist.pin-scheme", {"operator": operator_id, "signers": signers}, timezone.now())
    return made


def take_in(actor: Actor, operator_id: str, data: bytes) -> Received | None:
    """Keep a list in ETSI's form, or a federation's statements, signed by what is pinned for its operator; None if it is here.

    It counts when two people have countersigned it. Raises NotAllowed, UnknownScheme, and as :func:`receive`.
    """
    require(actor, "operator", "approver")
    scheme = pinned_scheme(operator_id)
    if scheme.keys:
        return _take_in_federation(scheme, data)
    pinned = [base64.b64decode(text) for text in scheme.certificates]
    told, signer = ts119612.read(data, pinned, operator_id=operator_id)
    return _keep(told, data.decode("utf-8", "replace"), "xml", fingerprint(signer))


def gather(operator_id: str) -> Received | None:
    """Ask the anchor of a federation for its statements and keep them; None if they are here already.

    Raises UnknownScheme, NotFetched, and as :func:`receive`.
    """
    scheme = pinned_scheme(operator_id)
    if not scheme.keys:
        raise UnknownScheme(operator=operator_id[:200])
    return _take_in_federation(scheme, gathering.gather(scheme.url).dumps())


def pinned_scheme(operator_id: str) -> Scheme:
    """The operator of a list from elsewhere, as somebody has pinned it. Raises UnknownScheme."""
    scheme = Scheme.objects.filter(operator_id=operator_id, active=True).first()
    if scheme is None:
        raise UnknownScheme(operator=operator_id[:200])
    return scheme


def _take_in_federation(scheme: Scheme, data: bytes) -> Received | None:
    last = Received.objects.filter(operator_id=scheme.operator_id).order_by("-sequence").first()
    last = last if last is not None and last.form == "fed" else None
    found = federated.read(
        data,
        scheme.keys,
        timezone.now(),
        operator_id=scheme.operator_id,
        before=stored.content(last) if last else None,
        made=last.federation.get("made") if last else None,
    )
    if found.told.uri != scheme.url:
        raise BadList(
            field="list", reason="another-operator", operator=found.told.uri[:200], wanted=scheme.url
        )
    for entity, why in found.left:
        logger.warning("trustlist.left_out", operator=scheme.operator_id, entity=entity, why=why)
    federation = {"left": found.left, "made": found.made}
    return _keep(found.told, data.decode(), "fed", found.signer, federation)


@transaction.atomic
def _keep(
    told: TrustList, original: str, form: str, signer: str, federation: Mapping[str, Any] | None = None
) -> Received | None:
    now = timezone.now()
    known = Received.objects.filter(operator_id=told.operator_id).order_by("-sequence").first()
    if known is not None and told.sequence == known.sequence:
        if told.digest == known.digest:
            return None
        body = {"operator": told.operator_id, "sequence": told.sequence}
        body |= {"digests": sorted((told.digest, known.digest))}
        _once("trustlist.two-of-one-number", body, now)
        raise Equivocation(operator=told.operator_id, sequence=told.sequence)
    if known is not None and told.sequence < known.sequence:
        raise RolledBack(operator=told.operator_id, sequence=told.sequence, known=known.sequence)
    row = Received.objects.create(
        operator_id=told.operator_id,
        sequence=told.sequence,
        form=form,
        original=original,
        payload=told.dumps().decode(),
        head=told.head,
        digest=told.digest,
        content=told.content,
        signer=signer,
        issued=told.issued,
        next_update=told.next_update,
        received_at=now,
        federation=federation or {},
    )
    stored.index(told, received=row)
    log.record("trustlist.receive", stored.about(row), now)
    countersigning.resume(row)
    return row


def _once(kind: str, body: Mapping[str, Any], now: datetime) -> None:
    """Record what may be seen again and again only the first time."""
    told = canonical.digest(dict(body))
    if not LogEntry.objects.filter(kind=kind, body__contains=told).exists():
        log.record(kind, {**body, "about": told}, now)


def received(operator_id: str, sequence: int | None = None) -> Received:
    """A version of somebody's list, or the newest. Raises NoList."""
    rows = Received.objects.filter(operator_id=operator_id).order_by("-sequence")
    found = (rows if sequence is None else rows.filter(sequence=sequence)).first()
    if found is None:
        raise NoList(operator=operator_id[:200])
    return found
