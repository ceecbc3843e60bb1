"""The verbs of issuing: open a type, entitle somebody, offer, issue, take back; and the status lists that tell of it.

Issuing needs two things at once: an *entitlement*, the record of an authority's register, approved by as many people as
its type asks for; and a wallet's *access* to it, by an offer or by signing in. Everything that happens to one
entitlement happens one after the other: its row is locked.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import secrets
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from cryptography import x509
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from wantong.border.trust import jws
from wantong.border.trust.certificates import holdings
from wantong.border.trust.credentials import mdoc, sdjwt, secret, statuslist, types, vci
from wantong.border.trust.credentials.models import (
    Entitlement,
    EntitlementState,
    Issued,
    IssuedState,
    Offer,
    Once,
    OpenedType,
    StatusListed,
    Transaction,
)
from wantong.border.trust.credentials.problems import (
    NoReason,
    NotInThisState,
    NotOurs,
    RecordDiffers,
    SamePerson,
    TypeNotOpen,
    UnknownCredential,
    UnknownEntitlement,
    UnknownOffer,
)
from wantong.border.trust.credentials.types import MDOC, SD_JWT, Type
from wantong.border.trust.credentials.vci import IssuanceError
from wantong.border.trust.proposals import services as proposals
from wantong.border.trust.proposals.models import Proposal
from wantong.ground import config
from wantong.ground.actors import Actor
from wantong.ground.http.auth import require
from wantong.ground.log import services as log
from wantong.ground.outbox import services as outbox

OPEN = "credential-type"
OFFER_LASTS = dt.timedelta(minutes=15)
LONGEST_OFFER = dt.timedelta(days=7)
TRANSACTION_LASTS = dt.timedelta(days=30)
INTERVAL = 5
"""Seconds after which a wallet whose credential waits should ask again."""
KEPT = dt.timedelta(days=1)
FORGET = "credentials.forget"
WRONG_CODES = 5
DIGITS = 6
STATUS_LASTS = dt.timedelta(hours=1)
STATUS_RESIGNED = dt.timedelta(minutes=10)
LARGEST_CLAIMS = 100_000


def issuer() -> str:
    """The credential issuer identifier of this node."""
    return config.current().url


# --- types ------------------------------------------------------------------------------------------------------------


@transaction.atomic
def open_type(actor: Actor, type_id: str) -> Proposal:
    """Propose to issue credentials of a type: it is in effect when another has approved (:mod:`~.trust.proposals`).

    Raises NotAllowed (operators), UnknownType, NotOurs where the type says that others issue it.
    """
    require(actor, "operator")
    type = types.get(type_id)
    if not type.may_issue(config.current().jurisdiction):
        places = sorted({place for by in type.issuers for place in by.places})
        raise NotOurs(kind=type.id, places=", ".join(places))
    return proposals.propose(actor, OPEN, type.id, {"type": type.id})


def opens(actor: Actor, told: Mapping[str, Any]) -> OpenedType:
    """What was proposed is in effect, by ``actor``'s approval; of a type that is open it does nothing."""
    type = types.get(told["type"])
    row, made = OpenedType.objects.select_for_update().get_or_create(
        type=type.id, defaults={"opened_by": actor.id}
    )
    if made or row.closed_at is not None:
        row.opened_by, row.opened_at, row.closed_by, row.closed_at = actor.id, timezone.now(), "", None
        row.save()
        log.record("credential.open", {"type": type.id, "vct": type.vct}, row.opened_at)
    return row


@transaction.atomic
def close_type(actor: Actor, type_id: str) -> OpenedType:
    """Issue none any more; what was issued stays good. Raises NotAllowed, TypeNotOpen."""
    require(actor, "operator")
    row = OpenedType.objects.select_for_update().filter(type=type_id, closed_at=None).first()
    if row is None:
        raise TypeNotOpen(kind=type_id[:64])
    row.closed_by, row.closed_at = actor.id, timezone.now()
    row.save()
    log.record("credential.close", {"type": row.type}, row.closed_at)
    return row


def opened() -> list[Type]:
    """The types that this node issues."""
    known = types.load()
    rows = OpenedType.objects.filter(closed_at=None).order_by("type").values_list("type", flat=True)
    return [known[type] for type in rows if type in known]


def _open(type_id: str) -> Type:
    type = types.get(type_id)
    if not OpenedType.objects.filter(type=type.id, closed_at=None).exists():
        raise TypeNotOpen(kind=type.id)
    return type


def configurations() -> list[tuple[Type, str]]:
    """Every type that is issued, in every format."""
    return [(type, format) for type in opened() for format in types.FORMATS]


# --- entitlements -----------------------------------------------------------------------------------------------------


@transaction.atomic
def entitle(
    actor: Actor, type_id: str, claims: Mapping[str, Any], *, account: str = "", reference: str = ""
) -> Entitlement:
    """Somebody may have a credential of a type, by the record ``reference`` of a register (领证资格登记).

    ``account`` is who may fetch it by signing in; without one it is fetched by an offer. Where the type asks for one
    person only, it is approved at once. The same record once more is the same entitlement.

    Raises NotAllowed (declarers, approvers), UnknownType, TypeNotOpen, BadClaims, RecordDiffers.
    """
    require(actor, "declarer", "approver")
    type = _open(type_id)
    if len(jws.compact(dict(claims))) > LARGEST_CLAIMS:
        raise types.BadClaims(kind=type.id, claim="*", rule="maxLength")
    type.check(claims)
    reference = reference.strip() or str(uuid.uuid4())
    if len(reference) > 200 or len(account) > 64 or not reference.isprintable():
        raise types.BadClaims(kind=type.id, claim="reference", rule="maxLength")
    alone, now = type.people == 1, timezone.now()
    row, made = Entitlement.objects.get_or_create(
        type=type.id,
        reference=reference,
        defaults={
            "claims": dict(claims),
            "account": account,
            "people": type.people,
            "state": EntitlementState.APPROVED if alone else EntitlementState.PROPOSED,
            "proposed_by": actor.id,
            "proposed_at": now,
            "decided_by": actor.id if alone else "",
            "decided_at": now if alone else None,
        },
    )
    if not made:
        if row.claims != dict(claims) or row.account != account:
            raise RecordDiffers(kind=type.id)
        return row
    _note(row, "entitlement.entitle", now)
    if alone:
        _note(row, "entitlement.approve", now)
    return row


@transaction.atomic
def approve(actor: Actor, entitlement_id: uuid.UUID | str) -> Entitlement:
    """The second person's word. Raises NotAllowed, UnknownEntitlement, NotInThisState, SamePerson."""
    row = _locked(actor, entitlement_id, "approve", EntitlementState.PROPOSED)
    if row.proposed_by == actor.id:
        raise SamePerson()
    return _decided(row, actor, EntitlementState.APPROVED, "entitlement.approve")


@transaction.atomic
def reject(actor: Actor, entitlement_id: uuid.UUID | str, reason: str) -> Entitlement:
    """Not approved. Raises NotAllowed, UnknownEntitlement, NotInThisState, NoReason."""
    row = _locked(actor, entitlement_id, "reject", EntitlementState.PROPOSED)
    return _decided(row, actor, EntitlementState.REJECTED, "entitlement.reject", _reason(reason))


@transaction.atomic
def withdraw(actor: Actor, entitlement_id: uuid.UUID | str, reason: str) -> Entitlement:
    """The record is no longer true: nothing more is issued on it, and what was is revoked.

    Raises NotAllowed, UnknownEntitlement, NotInThisState, NoReason.
    """
    why = _reason(reason)
    row = _locked(actor, entitlement_id, "withdraw", EntitlementState.APPROVED)
    for issued in row.issued.exclude(state=IssuedState.REVOKED).select_for_update():
        _change(issued, actor, IssuedState.REVOKED, why)
    row.offers.filter(ended_at=None).update(ended_at=timezone.now())
    return _decided(row, actor, EntitlementState.WITHDRAWN, "entitlement.withdraw", why)


def entitlement(entitlement_id: uuid.UUID | str) -> Entitlement:
    """Raises UnknownEntitlement."""
    try:
        return Entitlement.objects.get(pk=entitlement_id)
    except (Entitlement.DoesNotExist, ValidationError, ValueError):
        raise UnknownEntitlement() from None


def _locked(actor: Actor, entitlement_id: uuid.UUID | str, act: str, state: str) -> Entitlement:
    require(actor, "approver")
    row = Entitlement.objects.select_for_update().get(pk=entitlement(entitlement_id).pk)
    if row.state != state:
        raise NotInThisState(act=act, state=row.state)
    return row


def _decided(row: Entitlement, actor: Actor, state: str, kind: str, reason: str = "") -> Entitlement:
    row.state, row.decided_by, row.decided_at, row.reason = state, actor.id, timezone.now(), reason
    row.save(update_fields=("state", "decided_by", "decided_at", "reason"))
    _note(row, kind, row.decided_at)
    return row


def _reason(reason: str) -> str:
    if not reason.strip():
        raise NoReason()
    return reason.strip()[:500]


def _note(row: Entitlement, kind: str, at: dt.datetime) -> None:
    # whose it is, and the number of the record, are nobody's business there
    log.record(kind, {"entitlement": str(row.pk), "type": row.type}, at)


# --- offers -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Offered:
    """An offer as it was made: the link for a QR code, the link with everything in it, and the transaction code.

    The transaction code is told here and never again; it goes to the person by another way than the link.
    """

    offer: Offer
    link: str
    whole_link: str
    tx_code: str = ""


@transaction.atomic
def offer(
    actor: Actor,
    entitlement_id: uuid.UUID | str,
    *,
    formats: Collection[str] = (SD_JWT,),
    tx_code: bool | str = True,
    pre_authorised: bool = True,
    lasts: dt.timedelta = OFFER_LASTS,
) -> Offered:
    """Offer somebody what he is entitled to. ``actor`` is an official, or the system for the person himself.

    ``tx_code``: whether he is asked for a code, or which (digits).

    Raises NotAllowed, UnknownEntitlement, TypeNotOpen, NotInThisState (approved ones are offered; by signing in, only
    those of an account).
    """
    require(actor, "declarer", "approver")
    row = Entitlement.objects.select_for_update().get(pk=entitlement(entitlement_id).pk)
    type = _open(row.type)
    waiting = row.state == EntitlementState.PROPOSED and not pre_authorised
    if row.state != EntitlementState.APPROVED and not waiting:
        raise NotInThisState(act="offer", state=row.state)
    if not pre_authorised and not row.account:
        raise NotInThisState(act="offer", state="no-account")
    now = timezone.now()
    # a new offer takes the place of the one before: two codes are one too many
    row.offers.filter(ended_at=None, used_at=None).update(ended_at=now)
    drawn = f"{secrets.randbelow(10**DIGITS):0{DIGITS}}" if tx_code is True else tx_code
    code = drawn if drawn and pre_authorised else ""
    made = Offer(
        entitlement=row,
        configurations=[vci.configuration(type, format) for format in formats],
        pre_authorised=pre_authorised,
        made_by=actor.id,
        made_at=now,
        expires_at=now + min(lasts, LONGEST_OFFER),
    )
    made.tx_code = secret.digest("tx_code", str(made.pk), code) if code else ""
    made.save(force_insert=True)
    log.record("credential.offer", {"entitlement": str(row.pk), "type": type.id}, now)
    return Offered(made, vci.by_reference(offer_address(made)), vci.by_value(offer_document(made)), code)


def offer_address(row: Offer) -> str:
    """Where the offer lies for wallets."""
    return f"{issuer()}/credentials/offers/{row.pk}"


def offer_document(row: Offer) -> dict[str, Any]:
    """The offer as wallets read it."""
    asked = {"input_mode": "numeric", "length": DIGITS} if row.tx_code else None
    return vci.offer(
        issuer(),
        row.configurations,
        code=secret.offer_code(row.pk) if row.pre_authorised else "",
        tx_code=asked,
        issuer_state=jws.b64(row.pk.bytes) if not row.pre_authorised else "",
    )


def standing_offer(offer_id: uuid.UUID | str, now: dt.datetime) -> Offer:
    """The offer, if it can still be taken. Raises UnknownOffer."""
    try:
        row = Offer.objects.filter(pk=offer_id, ended_at=None, used_at=None, expires_at__gt=now).first()
    except (ValidationError, ValueError):
        row = None
    if row is None:
        raise UnknownOffer()
    return row


class WrongCode(Exception):
    """The transaction code is wrong, missing or not asked for; ``why`` says which."""

    def __init__(self, why: str) -> None:
        self.why = why
        super().__init__(why)


def redeem(code: str, tx_code: str | None, now: dt.datetime) -> Offer:
    """Use the code of an offer up, in the caller's transaction. Raises UnknownOffer, :class:`WrongCode`.

    A wrong transaction code leaves the offer, five times; the caller must not roll that back.
    """
    found = secret.offer_of(code)
    if found is None:
        raise UnknownOffer()
    row = Offer.objects.select_for_update().filter(pk=found, pre_authorised=True).first()
    if row is None or row.ended_at or row.used_at or row.expires_at <= now:
        raise UnknownOffer()
    if tx_code is None and row.tx_code:
        raise WrongCode("tx-code-missing")
    if tx_code is not None and not row.tx_code:
        raise WrongCode("tx-code-unasked")
    if tx_code is not None:
        good = [
            hmac.compare_digest(row.tx_code, one) for one in secret.digests("tx_code", str(row.pk), tx_code)
        ]
        if not any(good):
            row.wrong += 1
            row.ended_at = now if row.wrong >= WRONG_CODES else None
            row.save(update_fields=("wrong", "ended_at"))
            if row.ended_at:
                log.record("credential.offer-blocked", {"entitlement": str(row.entitlement_id)}, now)
            raise WrongCode("tx-code-wrong")
    row.used_at = now
    row.save(update_fields=("used_at",))
    return row


# --- issuing ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Holder:
    """Who fetches: ``who`` names him to us (a client and its subject), by an ``offer`` or by his ``account``.

    ``scope`` are configurations he may ask for by name, ``identifiers`` those he must ask for by a dataset's id.
    """

    who: str
    account: str = ""
    offer: uuid.UUID | None = None
    scope: frozenset[str] = frozenset()
    identifiers: frozenset[str] = frozenset()
    client_id: str = ""


@dataclass(frozen=True)
class Given:
    """Credentials, or the ``transaction`` under which they can be had later."""

    credentials: tuple[str, ...] = ()
    notification: str = ""
    transaction: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The credential response (section 8.3)."""
        if self.transaction:
            return {"transaction_id": self.transaction, "interval": INTERVAL}
        told: dict[str, Any] = {"credentials": [{"credential": one} for one in self.credentials]}
        return {**told, "notification_id": self.notification} if self.notification else told


def identifiers(configuration: str, account: str) -> list[str]:
    """The datasets of an account that a configuration can be issued of."""
    found = vci.parts(configuration)
    if found is None:
        return []
    rows = Entitlement.objects.filter(type=found[0], account=account, state__in=_ISSUABLE)
    return [f"{configuration}:{row.pk}" for row in rows] if account else []


_ISSUABLE = (EntitlementState.APPROVED, EntitlementState.PROPOSED)


@transaction.atomic
def issue(holder: Holder, request: vci.Request, keys: Sequence[bytes], now: dt.datetime) -> Given:
    """Credentials for ``keys`` (SPKI DER, proven), or a transaction while the record waits for its second person.

    The same keys once more get the same credentials. Raises IssuanceError.
    """
    row, type, format = _asked_for(holder, request)
    row = Entitlement.objects.select_for_update().get(pk=row.pk)
    if row.state == EntitlementState.PROPOSED:
        return Given(transaction=_wait(holder, row, format, keys, now))
    return _issue(holder, row, type, format, keys, now)


def _asked_for(holder: Holder, request: vci.Request) -> tuple[Entitlement, Type, str]:
    named, _, dataset = request.identifier.partition(":")
    if request.identifier:
        if not holder.identifiers:
            raise IssuanceError("invalid_credential_request", "identifier-unasked")
        if request.identifier not in holder.identifiers:
            raise IssuanceError("unknown_credential_identifier", "identifier-unknown")
    elif holder.identifiers:
        raise IssuanceError("invalid_credential_request", "identifier-wanted")
    else:
        named = request.configuration
    found = vci.parts(named)
    if found is None or found[0] not in {type.id for type in opened()}:
        raise IssuanceError(
            "unknown_credential_configuration", "configuration-unknown", configuration=named[:80]
        )
    type, format = types.get(found[0]), found[1]
    if not request.identifier and named not in holder.scope:
        raise IssuanceError("credential_request_denied", "not-in-scope", configuration=named[:80])
    rows = Entitlement.objects.filter(type=type.id, state__in=_ISSUABLE)
    rows = rows.filter(offers=holder.offer) if holder.offer else rows.filter(account=holder.account or None)
    if dataset:
        rows = rows.filter(pk=dataset)
    row = rows.order_by("-state", "-proposed_at").first()
    if row is None:
        raise IssuanceError("credential_request_denied", "not-entitled")
    return row, type, format


def _issue(
    holder: Holder, row: Entitlement, type: Type, format: str, keys: Sequence[bytes], now: dt.datetime
) -> Given:
    if row.state != EntitlementState.APPROVED:
        raise IssuanceError("credential_request_denied", "not-entitled")
    thumbs = [jws.thumbprint(jws.jwk(key)) for key in keys]
    before = {
        one.holder: one for one in Issued.objects.filter(entitlement=row, format=format, holder__in=thumbs)
    }
    if before:
        return _again(holder, thumbs, before)
    if type.once:
        try:
            with transaction.atomic():
                once = Once.objects.create(entitlement=row, format=format, batch=uuid.uuid4())
        except IntegrityError:
            raise IssuanceError("credential_request_denied", "issued-once") from None
        batch = once.batch
    else:
        batch = uuid.uuid4()
    made = [
        _make(row, type, format, key, thumb, batch, holder, now)
        for key, thumb in zip(keys, thumbs, strict=True)
    ]
    outbox.publish(FORGET, FORGET, {}, delay=KEPT)
    return Given(tuple(one.credential for one in made), notification=str(batch))


def _again(holder: Holder, thumbs: Sequence[str], before: Mapping[str, Issued]) -> Given:
    """The answer of before, for whoever it got lost on the way to."""
    rows = [before.get(thumb) for thumb in thumbs]
    kept = [one for one in rows if one is not None and one.credential and one.fetched_by == holder.who]
    if len(kept) != len(thumbs) or len({one.batch for one in kept}) != 1:
        raise IssuanceError("credential_request_denied", "key-used")
    return Given(tuple(one.credential for one in kept), notification=str(kept[0].batch))


def _make(
    row: Entitlement,
    type: Type,
    format: str,
    key: bytes,
    thumb: str,
    batch: uuid.UUID,
    holder: Holder,
    now: dt.datetime,
) -> Issued:
    held = holdings.signer("issuer")
    # to the hour, so that credentials of one batch are not known by the second; never before the key's certificate
    began = x509.load_der_x509_certificate(held.certificate).not_valid_before_utc
    begins = max(now.replace(minute=0, second=0, microsecond=0), began)
    ends = type.ends(row.claims, begins)
    if ends <= now:
        raise IssuanceError("credential_request_denied", "record-expired")
    listed, index = _place(type, now)
    status = statuslist.claim(statuslist.Reference(status_address(listed.number), index))
    if format == MDOC:
        text = mdoc.issue(
            type.doctype,
            type.elements(row.claims),
            device=key,
            signer=held.signer,
            chain=held.chain,
            signed_at=begins,
            valid_until=ends,
            status=status,
        ).text
    else:
        claims = {
            "iss": issuer(),
            "iat": int(begins.timestamp()),
            "exp": int(ends.timestamp()),
            "vct": type.vct,
            "vct#integrity": type.integrity,
            "cnf": {"jwk": jws.jwk(key)},
            "status": status,
            **row.claims,
        }
        text = sdjwt.issue_vc(claims, type.conceal(row.claims), signer=held.signer, chain=held.chain).text
    salt = secrets.token_urlsafe(32)
    commitment = "sha256:" + hashlib.sha256(f"{salt}.{text}".encode()).hexdigest()
    made = Issued.objects.create(
        entitlement=row,
        format=format,
        holder=thumb,
        batch=batch,
        credential=text,
        salt=salt,
        commitment=commitment,
        status_list=listed,
        index=index,
        issued_at=now,
        expires_at=ends,
        fetched_by=holder.who,
    )
    certificate = hashlib.sha256(held.certificate).hexdigest()
    body = {"type": type.id, "format": format, "credential": commitment, "certificate": certificate}
    log.record("credential.issue", body, now)
    return made


def _wait(holder: Holder, row: Entitlement, format: str, keys: Sequence[bytes], now: dt.datetime) -> str:
    name = secrets.token_urlsafe(24)
    Transaction.objects.create(
        digest=hashlib.sha256(name.encode()).hexdigest(),
        entitlement=row,
        format=format,
        keys=[jws.b64(key) for key in keys],
        holder=holder.who,
        at=now,
        expires_at=now + TRANSACTION_LASTS,
    )
    return name


@transaction.atomic
def fetch_later(holder: Holder, name: str, now: dt.datetime) -> Given:
    """What a transaction has come to (section 9). Raises IssuanceError.

    The answer has no ``notification_id``, which is optional there: wallets built on @openid4vc take it for an error.
    """
    waiting = (
        Transaction.objects.select_for_update()
        .filter(digest=hashlib.sha256(name.encode()).hexdigest(), holder=holder.who, fetched_at=None)
        .filter(expires_at__gt=now)
        .first()
    )
    if waiting is None:
        raise IssuanceError("invalid_transaction_id", "transaction-unknown")
    row = Entitlement.objects.select_for_update().get(pk=waiting.entitlement_id)
    if row.state == EntitlementState.PROPOSED:
        return Given(transaction=name)
    keys = [jws.unb64(key) for key in waiting.keys]
    given = _issue(holder, row, types.get(row.type), waiting.format, keys, now)
    waiting.fetched_at = now
    waiting.save(update_fields=("fetched_at",))
    return replace(given, notification="")


@transaction.atomic
def notified(holder: Holder, name: str, event: str, now: dt.datetime) -> None:
    """A wallet says what became of the credentials (section 11); twice the same does nothing. Raises IssuanceError."""
    try:
        rows = list(Issued.objects.select_for_update().filter(batch=uuid.UUID(name), fetched_by=holder.who))
    except ValueError:
        rows = []
    if not rows:
        raise IssuanceError("invalid_notification_id", "notification-unknown")
    if all(row.event == event for row in rows):
        return
    for row in rows:
        row.event = event
        row.credential = row.credential if event == "credential_failure" else ""
        row.save(update_fields=("event", "credential"))
    log.record(
        "credential.notify", {"type": rows[0].entitlement.type, "event": event, "count": len(rows)}, now
    )


def forget(now: dt.datetime) -> int:
    """Let go of credentials that were kept for a lost answer, and of what nobody comes for any more."""
    Transaction.objects.filter(expires_at__lt=now).delete()
    Offer.objects.filter(expires_at__lt=now - LONGEST_OFFER).exclude(entitlement__issued=None).delete()
    return Issued.objects.filter(issued_at__lte=now - KEPT).exclude(credential="").update(credential="")


# --- taking back ------------------------------------------------------------------------------------------------------


@transaction.atomic
def suspend(actor: Actor, issued_id: uuid.UUID | str, reason: str) -> Issued:
    """Not good for now. Raises NotAllowed, UnknownCredential, NotInThisState, NoReason."""
    row = _issued(actor, issued_id, "suspend", (IssuedState.VALID,))
    return _change(row, actor, IssuedState.SUSPENDED, _reason(reason))


@transaction.atomic
def resume(actor: Actor, issued_id: uuid.UUID | str, reason: str) -> Issued:
    """Good again. Raises as :func:`suspend`."""
    row = _issued(actor, issued_id, "resume", (IssuedState.SUSPENDED,))
    return _change(row, actor, IssuedState.VALID, _reason(reason))


@transaction.atomic
def revoke(actor: Actor, issued_id: uuid.UUID | str, reason: str) -> Issued:
    """Not good any more, for good; the status list says so from this moment. Raises as :func:`suspend`."""
    row = _issued(actor, issued_id, "revoke", (IssuedState.VALID, IssuedState.SUSPENDED))
    return _change(row, actor, IssuedState.REVOKED, _reason(reason))


def get_issued(issued_id: uuid.UUID | str) -> Issued:
    """Raises UnknownCredential."""
    try:
        return Issued.objects.select_related("entitlement").get(pk=issued_id)
    except (Issued.DoesNotExist, ValidationError, ValueError):
        raise UnknownCredential() from None


def _issued(actor: Actor, issued_id: uuid.UUID | str, act: str, states: Collection[str]) -> Issued:
    require(actor, "approver")
    found = get_issued(issued_id)
    row = Issued.objects.select_for_update().get(pk=found.pk)
    if row.state not in states:
        raise NotInThisState(act=act, state=row.state)
    return row


_KINDS = {
    IssuedState.VALID: "credential.resume",
    IssuedState.SUSPENDED: "credential.suspend",
    IssuedState.REVOKED: "credential.revoke",
}


def _change(row: Issued, actor: Actor, state: IssuedState, reason: str) -> Issued:
    row.state, row.changed_by, row.changed_at, row.reason = state, actor.id, timezone.now(), reason
    row.save(update_fields=("state", "changed_by", "changed_at", "reason"))
    StatusListed.objects.filter(pk=row.status_list_id).update(version=F("version") + 1)
    body = {"type": row.entitlement.type, "credential": row.commitment}
    log.record(_KINDS[state], body, row.changed_at)
    return row


# --- status lists -----------------------------------------------------------------------------------------------------

_STATUS = {IssuedState.SUSPENDED: statuslist.SUSPENDED, IssuedState.REVOKED: statuslist.INVALID}


def status_address(number: int | None = None) -> str:
    """Where a status list lies; without a number, where all are named."""
    return f"{issuer()}/credentials/status" + ("" if number is None else f"/{number}")


def _place(type: Type, now: dt.datetime) -> tuple[StatusListed, int]:
    """A place that nobody has, by lot: its number says nothing of when it was given."""
    ttl = int(type.ttl.total_seconds())
    # locked, so that of two who ask at once each gets a place of his own
    half_empty = StatusListed.objects.select_for_update().filter(ttl=ttl, taken__lt=F("size") / 2)
    listed = half_empty.order_by("number").first()
    if listed is None:
        listed = StatusListed.objects.create(ttl=ttl, opened_at=now)
    while True:
        index = secrets.randbelow(listed.size)
        if not Issued.objects.filter(status_list=listed, index=index).exists():
            break
    StatusListed.objects.filter(pk=listed.pk).update(taken=F("taken") + 1)
    return listed, index


@dataclass(frozen=True)
class _Kept:
    version: int
    certificate: bytes
    made_at: dt.datetime
    token: bytes


_tokens: dict[tuple[str, int, bool], _Kept] = {}


def status_token(number: int, now: dt.datetime, *, cwt: bool = False) -> tuple[bytes, int] | None:
    """The status list token as it stands now, and its ``ttl`` in seconds; None if there is no such list.

    Made again when a status has changed, never later; one row is read to know.
    """
    row = StatusListed.objects.filter(pk=number).first()
    if row is None:
        return None
    held = holdings.signer("issuer")
    place = (issuer(), number, cwt)
    kept = _tokens.get(place)
    if (
        kept is None
        or kept.version != row.version
        or kept.certificate != held.certificate
        or not dt.timedelta() <= now - kept.made_at < STATUS_RESIGNED
    ):
        changed = Issued.objects.filter(status_list=row, expires_at__gt=now).exclude(state=IssuedState.VALID)
        statuses = [
            (index, _STATUS[IssuedState(state)]) for index, state in changed.values_list("index", "state")
        ]
        listed = statuslist.make(row.size, row.bits, statuses, status_address())
        how: dict[str, Any] = {
            "uri": status_address(number),
            "at": now,
            "signer": held.signer,
            "ttl": dt.timedelta(seconds=row.ttl),
            "expires_at": now + STATUS_LASTS,
            "chain": held.chain,
        }
        token = statuslist.issue_cwt(listed, **how) if cwt else statuslist.issue_jwt(listed, **how).encode()
        kept = _tokens[place] = _Kept(row.version, held.certificate, now, token)
    return kept.token, row.ttl


def status_lists() -> dict[str, list[str]]:
    """The document that names every status list of this node."""
    numbers = StatusListed.objects.values_list("number", flat=True)
    return statuslist.aggregation(map(status_address, numbers))


# --- what this node says of itself ------------------------------------------------------------------------------------


def metadata() -> dict[str, Any]:
    """Credential Issuer Metadata of this node."""
    return vci.metadata(issuer(), config.current().name, configurations(), secret.encryption_jwks())


def signed_metadata(now: dt.datetime) -> str:
    """The same, signed with the issuing key."""
    held = holdings.signer("issuer")
    return vci.sign_metadata(metadata(), held.signer, held.chain, now)
