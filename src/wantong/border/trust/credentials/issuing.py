"""Credentials for whoever is entitled to them and has access, by an offer or by signing in.

The same keys once more get the same credentials; what waits for a second person is fetched later.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import secrets
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from cryptography import x509
from django.db import IntegrityError, transaction

from wantong.border.trust import jws
from wantong.border.trust.certificates import holdings
from wantong.border.trust.credentials import (
    mdoc,
    offers,
    opening,
    sdjwt,
    statuses,
    statuslist,
    types,
    vci,
)
from wantong.border.trust.credentials.models import (
    Entitlement,
    EntitlementState,
    Issued,
    Offer,
    Once,
    Transaction,
)
from wantong.border.trust.credentials.types import MDOC, Type
from wantong.border.trust.credentials.vci import IssuanceError
from wantong.ground.log import services as log
from wantong.ground.outbox import services as outbox

TRANSACTION_LASTS = dt.timedelta(days=30)
INTERVAL = 5
"""Seconds after which a wallet whose credential waits should ask again."""
KEPT = dt.timedelta(days=1)
FORGET = "credentials.forget"


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
    if found is None or found[0] not in {type.id for type in opening.opened()}:
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
    listed, index = statuses.take_place(type, now)
    status = statuslist.claim(statuslist.Reference(statuses.status_address(listed.number), index))
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
            "iss": opening.issuer(),
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
    Offer.objects.filter(expires_at__lt=now - offers.LONGEST_OFFER).exclude(entitlement__issued=None).delete()
    return Issued.objects.filter(issued_at__lte=now - KEPT).exclude(credential="").update(credential="")
