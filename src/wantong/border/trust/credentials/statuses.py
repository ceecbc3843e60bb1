"""The status lists of what this node issued: a place in one for each credential, and the tokens that tell of it."""

from __future__ import annotations

import datetime as dt
import secrets
from dataclasses import dataclass
from typing import Any

from django.db.models import F

from wantong.border.trust.certificates import holdings
from wantong.border.trust.credentials import opening, statuslist
from wantong.border.trust.credentials.models import (
    Issued,
    IssuedState,
    StatusListed,
)
from wantong.border.trust.credentials.types import Type

STATUS_LASTS = dt.timedelta(hours=1)
STATUS_RESIGNED = dt.timedelta(minutes=10)

_STATUS = {IssuedState.SUSPENDED: statuslist.SUSPENDED, IssuedState.REVOKED: statuslist.INVALID}


def status_address(number: int | None = None) -> str:
    """Where a status list lies; without a number, where all are named."""
    return f"{opening.issuer()}/credentials/status" + ("" if number is None else f"/{number}")


def take_place(type: Type, now: dt.datetime) -> tuple[StatusListed, int]:
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
    place = (opening.issuer(), number, cwt)
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
