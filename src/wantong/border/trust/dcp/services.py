"""The verbs of claims: recognise a peer by its DID, accept issuers, hold, show, issue and revoke credentials."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar

from django.db import IntegrityError, transaction
from django.db.models import Max
from django.utils import timezone

from wantong.border.trust import services as trust
from wantong.border.trust.dcp import (
    access,
    credentials,
    did,
    keys,
    kinds,
    messages,
    options,
    scheme,
    selfissued,
    statuslist,
    verdict,
    verifier,
)
from wantong.border.trust.dcp.models import (
    AcceptedIssuer,
    HeldCredential,
    Identity,
    IssuedCredential,
    Judgement,
    Offer,
)
from wantong.border.trust.models import PINNED_KEYS, Peer
from wantong.border.trust.verdict import Refused
from wantong.border.trust.verifiers import UnknownScheme, scheme_of
from wantong.ground import config
from wantong.ground.actors import Actor
from wantong.ground.http.auth import require
from wantong.ground.problems import Problem

LIST_LIFETIME = timedelta(days=1)
MOST_OFFERS = 20
LISTS: Mapping[str, tuple[str, str, bool]] = {
    credentials.VC20: ("BitstringStatusListCredential", "BitstringStatusList", True),
    credentials.VC11: ("StatusList2021Credential", "StatusList2021", False),
}


class BadDid(Problem):
    """``did`` is no did:web that this node could resolve."""

    slug = "bad-did"
    status = 422


class DidTaken(Problem):
    """``did`` is the name of another peer already."""

    slug = "did-taken"
    status = 409


class UnknownCredentialType(Problem):
    """This node knows no credentials of type ``kind``; ``known`` lists those it knows."""

    slug = "unknown-credential-type"
    status = 422


class CredentialNotGood(Problem):
    """The credential cannot be kept: ``code`` says why."""

    slug = "credential-not-good"
    status = 422
    CODES: ClassVar[Mapping[str, str]] = {"code": "dcp.why"}


class UnknownCredential(Problem):
    """No such credential, or issuer of one, is known here."""

    slug = "unknown-credential"
    status = 404


def own_did() -> str:
    """The DID of this node: the ``did:web`` of its public address."""
    return did.name(config.current().url)


def check_did(name: str) -> None:
    """Return if ``name`` is a DID that can be resolved. Raises :class:`BadDid`."""
    try:
        did.address(name)
    except Refused:
        raise BadDid(did=name[:200]) from None


def check_type(type: str) -> None:
    """Return if credentials of ``type`` are known here. Raises :class:`UnknownCredentialType`."""
    known = kinds.load(options.current().credentials)
    if type not in known:
        raise UnknownCredentialType(kind=type[:100], known=", ".join(known))


def own_document() -> dict[str, Any]:
    """This node's DID document."""
    node = config.current()
    own = {did.CREDENTIAL_SERVICE: f"{node.url}/dcp", did.ISSUER_SERVICE: f"{node.url}/dcp/issuer"}
    return did.document(own_did(), keys.speaking(), own, keys.retired())


# --- whom this node believes --------------------------------------------------------------------------------------


def recognise(actor: Actor, participant_id: str, name: str) -> Peer:
    """From now on the peer proves by claims, as ``name`` (a DID), who it is; its pinned keys no longer will do.

    Raises NotAllowed, UnknownPeer, UnknownScheme, :class:`BadDid`, :class:`DidTaken`.
    """
    require(actor, "operator", "approver")
    check_did(name)
    if name == own_did():
        raise trust.NotThisNode(participant_id=name)
    with transaction.atomic():
        peer = Peer.objects.select_for_update().filter(participant_id=participant_id, active=True).first()
        if peer is None:
            raise trust.UnknownPeer(participant_id=participant_id)
        if Identity.objects.filter(did=name).exclude(peer=peer).exists():
            raise DidTaken(did=name)
        Identity.objects.update_or_create(
            peer=peer, defaults={"did": name, "recognised_by": actor.id, "recognised_at": timezone.now()}
        )
        peer.scheme = scheme.NAME
        peer.save(update_fields=["scheme"])
        scheme_of(peer)
    return peer


def release(actor: Actor, participant_id: str) -> Peer:
    """Know a peer that has a card by its pinned keys again. Raises NotAllowed, UnknownPeer, UnknownScheme."""
    require(actor, "operator", "approver")
    with transaction.atomic():
        peer = Peer.objects.select_for_update().filter(participant_id=participant_id, active=True).first()
        if peer is None:
            raise trust.UnknownPeer(participant_id=participant_id)
        if peer.foreign:
            raise UnknownScheme(scheme=PINNED_KEYS)
        Identity.objects.filter(peer=peer).delete()
        Judgement.objects.filter(peer=peer).delete()
        peer.scheme = PINNED_KEYS
        peer.save(update_fields=["scheme"])
    return peer


def accept_issuer(actor: Actor, name: str, type: str) -> AcceptedIssuer:
    """Credentials of ``type`` count from now on if ``name`` (a DID) has issued them. Again does nothing more.

    Raises NotAllowed, :class:`BadDid`, :class:`UnknownCredentialType`.
    """
    require(actor, "operator", "approver")
    check_did(name)
    check_type(type)
    with transaction.atomic():
        issuer, _ = AcceptedIssuer.objects.get_or_create(
            did=name, type=type, withdrawn_at=None, defaults={"accepted_by": actor.id}
        )
    return issuer


def withdraw_issuer(actor: Actor, name: str, type: str) -> AcceptedIssuer:
    """Credentials of ``type`` by ``name`` count no longer, at once. Raises NotAllowed, :class:`UnknownCredential`."""
    require(actor, "operator", "approver")
    with transaction.atomic():
        issuer = (
            AcceptedIssuer.objects.select_for_update().filter(did=name, type=type, withdrawn_at=None).first()
        )
        if issuer is None:
            raise UnknownCredential(credential=f"{type[:100]} {name[:200]}")
        issuer.withdrawn_by, issuer.withdrawn_at = actor.id, timezone.now()
        issuer.save(update_fields=["withdrawn_by", "withdrawn_at"])
    return issuer


def issuers() -> list[AcceptedIssuer]:
    """Whose credentials count, by type."""
    return list(AcceptedIssuer.objects.filter(withdrawn_at=None))


@dataclass(frozen=True)
class Standing:
    """As what a peer acts: ``roles`` that its credentials confer, their plain ``claims`` by type."""

    roles: frozenset[str] = frozenset()
    claims: Mapping[str, Mapping[str, Any]] = None  # type: ignore[assignment]


def standing(peer: Peer, now: datetime | None = None) -> Standing:
    """What the credentials that ``peer`` showed last make of it, as far as they are good now."""
    if peer.scheme != scheme.NAME:
        return Standing(claims={})
    row = Judgement.objects.filter(peer=peer, proven=True).first()
    told = verdict.from_dict(row.verdict) if row else None
    if told is None or not told.good:
        return Standing(claims={})
    accepted = scheme.accepted()
    now = now or timezone.now()
    good = [
        (type, one)
        for one in told.shown
        for type in one.types
        if one.issuer in accepted.get(type, ()) and (one.until is None or one.until > now)
    ]
    types = kinds.load(options.current().credentials)
    return Standing(
        kinds.roles(types, {type for type, _ in good}), {type: dict(one.claims) for type, one in good}
    )


def judgements(participant_id: str) -> list[verdict.Verdict]:
    """The latest verdicts on a peer, newest first. Raises UnknownPeer."""
    rows = Judgement.objects.filter(peer=trust.peer(participant_id)).order_by("-at")
    return [verdict.from_dict(row.verdict) for row in rows]


# --- what this node shows -----------------------------------------------------------------------------------------


def store(actor: Actor, text: str) -> HeldCredential:
    """Keep a credential about this node, after its issuer's signature was checked. Again does nothing more.

    Raises NotAllowed, :class:`CredentialNotGood`.
    """
    require(actor, "operator", "approver")
    try:
        credential = _good(text.strip(), timezone.now())
    except Refused as refused:
        raise CredentialNotGood(code=refused.code, **refused.params) from None
    with transaction.atomic():
        return _keep(credential, actor.id)


def _good(text: str, now: datetime) -> credentials.Credential:
    """The credential in ``text``, if it is about this node, good now, and its issuer's. Raises :class:`.Refused`."""
    tolerates = options.current().tolerates
    credential = credentials.read(text, tolerates=tolerates)
    credentials.check(credential, holder=own_did(), now=now)
    web = scheme.web()
    document = web.document(credential.issuer)
    verifier.prove(credential.unproven, credential.issuer, did.ASSERTION, document, tolerates, web)
    return credential


def _keep(credential: credentials.Credential, by: str) -> HeldCredential:
    text = credential.unproven.text
    held, _ = HeldCredential.objects.get_or_create(
        digest=hashlib.sha256(text.encode()).hexdigest(),
        defaults={
            "credential_id": credential.id,
            "types": list(credential.kinds),
            "issuer": credential.issuer,
            "profile": credential.profile,
            "jwt": text,
            "valid_until": credential.valid_until,
            "stored_by": by,
        },
    )
    return held


def deliver(authorization: str, body: bytes) -> list[HeldCredential]:
    """Keep what an issuer brings, all of it or nothing: from an issuer whose word on such credentials counts here.

    Raises :class:`.messages.BadQuery`, or :class:`.Refused` for one who may not bring them.
    """
    now = timezone.now()
    issuer = _issuer(authorization, now)
    delivery = messages.read_delivery(body)
    good = []
    accepted = scheme.accepted()
    for text in delivery.credentials:
        try:
            credential = _good(text, now)
        except Refused as refused:
            raise messages.BadQuery(400, str(refused)) from None
        if credential.issuer != issuer or not all(
            issuer in accepted.get(kind, ()) for kind in credential.kinds
        ):
            raise Refused("vc-issuer", issuer=credential.issuer, kind=", ".join(credential.kinds))
        good.append(credential)
    with transaction.atomic():
        return [_keep(credential, f"issuer:{issuer}") for credential in good]


def offer(authorization: str, body: bytes) -> Offer:
    """Note what an issuer offers, for a person; of each issuer the last :data:`MOST_OFFERS` are kept.

    Raises :class:`.messages.BadQuery`, or :class:`.Refused` for one who is no issuer to this node.
    """
    sender = _issuer(authorization, timezone.now())
    issuer, offered = messages.read_offer(body)
    if issuer != sender:
        raise messages.BadQuery(400, "an issuer speaks for itself")
    with transaction.atomic():
        made = Offer.objects.create(issuer=issuer, offered=[asdict(one) for one in offered])
        kept = Offer.objects.filter(issuer=issuer).values_list("pk", flat=True)[:MOST_OFFERS]
        Offer.objects.filter(issuer=issuer).exclude(pk__in=list(kept)).delete()
    return made


def _issuer(authorization: str, now: datetime) -> str:
    """The issuer whose self-issued token this is; one whose credentials count here. Raises :class:`.Refused`."""
    token = bearer(authorization, now)
    if not any(token.issuer in issuers for issuers in scheme.accepted().values()):
        # before anything is fetched
        raise Refused("vc-issuer", issuer=token.issuer, kind="-")
    scheme.prove(token)
    if not scheme.use(token):
        raise Refused("replay")
    return token.issuer


def bearer(authorization: str, now: datetime) -> selfissued.SelfIssued:
    """The self-issued token for this node in an ``Authorization`` header, unproven. Raises :class:`.Refused`."""
    name, _, text = authorization.partition(" ")
    if name.lower() != "bearer" or not text:
        raise Refused("jwt-form")
    return selfissued.read(text, audience=own_did(), now=now)


def self_issued(
    actor: Actor, audience: str, types: Collection[str] | None, access_token: str | None = None
) -> str:
    """A token by which this node shows itself to ``audience`` (a DID), for a program of its operator.

    With ``types`` it also opens this node's credentials of these types to ``audience``; ``access_token`` is one of
    ``audience``'s own to be handed back to it. Raises NotAllowed, :class:`BadDid`.
    """
    require(actor, "operator", "approver")
    check_did(audience)
    now, own, key = timezone.now(), own_did(), keys.own()
    if types is not None:
        access_token = access.issue(key, did=own, verifier=audience, types=types, now=now)
    return selfissued.sign(key, issuer=own, audience=audience, now=now, access=access_token)


def held(now: datetime) -> list[HeldCredential]:
    """The credentials that this node can show now, newest first."""
    return [row for row in HeldCredential.objects.all() if row.valid_until is None or row.valid_until > now]


def answer(authorization: str, body: bytes) -> dict[str, Any]:
    """The presentations that a verifier asks for (DCP 1.0, section 5.4).

    Raises :class:`.messages.BadQuery`, or :class:`.Refused` for one who may not ask.
    """
    now, own, key = timezone.now(), own_did(), keys.own()
    token = bearer(authorization, now)
    if token.access is None:
        raise Refused("token-no-access")
    # our own word comes first: without it no document of a stranger is fetched
    allowed = _allowed(token.access, own, token.issuer, now)
    wishes = messages.read_query(body)
    scheme.prove(token)
    if not scheme.use(token):
        raise Refused("replay")
    chosen = _chosen(wishes, allowed, now)
    return messages.response(
        [
            credentials.present(
                key,
                holder=own,
                audience=token.issuer,
                credentials=[row.jwt for row in chosen if row.profile == profile],
                profile=profile,
                now=now,
            )
            for profile in credentials.PROFILES
            if any(row.profile == profile for row in chosen)
        ]
    )


def _allowed(text: str, own: str, verifier: str, now: datetime) -> frozenset[str]:
    """What one of our access tokens opens to ``verifier``, by whichever key speaks for this node."""
    signing, *others = keys.speaking()
    try:
        return access.read(text, signing, did=own, verifier=verifier, now=now)
    except Refused:
        for other in others:
            return access.read(text, other, did=own, verifier=verifier, now=now)
        raise


def _chosen(
    wishes: Collection[messages.Scope], allowed: frozenset[str], now: datetime
) -> list[HeldCredential]:
    """The newest credential for every wish that may be granted; what is not allowed is left out, as the protocol says."""
    chosen: dict[int, HeldCredential] = {}
    for wish in wishes:
        for row in held(now):
            if (wish.type in row.types or (wish.id and wish.id == row.credential_id)) and allowed & set(
                row.types
            ):
                chosen.setdefault(row.pk, row)
                break
    return list(chosen.values())


# --- what this node issues ----------------------------------------------------------------------------------------


def issue(
    actor: Actor,
    holder: str,
    type: str,
    claims: Mapping[str, Any],
    *,
    lifetime: timedelta,
    profile: credentials.Profile = credentials.VC20,
) -> str:
    """A credential of ``type`` about ``holder`` (a DID), with a place in this node's status list.

    Raises NotAllowed, :class:`BadDid`, :class:`UnknownCredentialType`.
    """
    require(actor, "operator", "approver")
    check_did(holder)
    check_type(type)
    now, node = timezone.now(), config.current()
    while True:
        index = 1 + (IssuedCredential.objects.aggregate(last=Max("index"))["last"] or 0)
        url = f"{node.url}/dcp/status/{'bitstring' if profile == credentials.VC20 else '2021'}"
        status = {
            "id": f"{url}#{index}",
            "type": "BitstringStatusListEntry" if profile == credentials.VC20 else "StatusList2021Entry",
            "statusPurpose": "revocation",
            "statusListIndex": str(index),
            "statusListCredential": url,
        }
        text = credentials.issue(
            keys.own(),
            issuer=own_did(),
            subject={**claims, "id": holder},
            type=type,
            now=now,
            lifetime=lifetime,
            profile=profile,
            status=status,
        )
        made = credentials.read(text)
        try:
            with transaction.atomic():
                IssuedCredential.objects.create(
                    credential_id=made.id,
                    type=type,
                    subject=holder,
                    profile=profile,
                    index=index,
                    valid_until=made.valid_until,
                    issued_by=actor.id,
                )
        except IntegrityError:
            continue  # somebody else took that place
        return text


def revoke(actor: Actor, credential_id: str, reason: str) -> IssuedCredential:
    """Take a credential back; it stands in the status list at once. Again changes nothing.

    Raises NotAllowed, :class:`UnknownCredential`.
    """
    require(actor, "operator", "approver")
    with transaction.atomic():
        row = IssuedCredential.objects.select_for_update().filter(credential_id=credential_id).first()
        if row is None:
            raise UnknownCredential(credential=credential_id[:300])
        if row.revoked_at is None:
            row.revoked_by, row.revoked_at, row.reason = actor.id, timezone.now(), reason[:500]
            row.save(update_fields=["revoked_by", "revoked_at", "reason"])
    return row


def status_list(profile: credentials.Profile) -> str:
    """This node's status list for credentials of ``profile``, as a JWT made now."""
    kind, subject_type, multibase = LISTS[profile]
    node, now = config.current(), timezone.now()
    url = f"{node.url}/dcp/status/{'bitstring' if profile == credentials.VC20 else '2021'}"
    revoked = IssuedCredential.objects.exclude(revoked_at=None).values_list("index", flat=True)
    subject = {
        "id": f"{url}#list",
        "type": subject_type,
        "statusPurpose": "revocation",
        "encodedList": statuslist.pack(revoked, multibase=multibase),
    }
    return credentials.issue(
        keys.own(),
        issuer=own_did(),
        subject=subject,
        type=kind,
        now=now,
        lifetime=LIST_LIFETIME,
        profile=profile,
        id=url,
    )
