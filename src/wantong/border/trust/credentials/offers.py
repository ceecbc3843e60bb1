"""Offers: how somebody who need not have an account here comes to what he is entitled to."""

from __future__ import annotations

import datetime as dt
import hmac
import secrets
import uuid
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from wantong.border.trust import jws
from wantong.border.trust.credentials import opening, register, secret, vci
from wantong.border.trust.credentials.models import (
    Entitlement,
    EntitlementState,
    Offer,
)
from wantong.border.trust.credentials.problems import (
    NotInThisState,
    UnknownOffer,
)
from wantong.border.trust.credentials.types import SD_JWT
from wantong.ground.actors import Actor
from wantong.ground.http.auth import require
from wantong.ground.log import services as log

OFFER_LASTS = dt.timedelta(minutes=15)
LONGEST_OFFER = dt.timedelta(days=7)

WRONG_CODES = 5
DIGITS = 6


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
    row = Entitlement.objects.select_for_update().get(pk=register.entitlement(entitlement_id).pk)
    type = opening.get_open(row.type)
    waiting = row.state == EntitlementState.PROPOSED and not pre_authorised
    if row.state != EntitlementState.APPROVED and not waiting:
        raise NotInThisState(act="offer", state=row.state)
    if not pre_authorised and not row.account:
        raise NotInThisState(act="offer", state="no-account")
    now = timezone.now()
    # a new offer takes the place of the one before: two codes are one too many
    Offer.objects.filter(entitlement=row, ended_at=None, used_at=None).update(ended_at=now)
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
    return f"{opening.issuer()}/credentials/offers/{row.pk}"


def offer_document(row: Offer) -> dict[str, Any]:
    """The offer as wallets read it."""
    asked = {"input_mode": "numeric", "length": DIGITS} if row.tx_code else None
    return vci.offer(
        opening.issuer(),
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
