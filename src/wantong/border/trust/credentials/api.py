"""Registers over the API: an authority's program says who is entitled to what, offers it, and takes it back."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from django.http import HttpRequest
from ninja import Query, Router, Schema, Status
from pydantic import Field

from wantong.border.trust.credentials import offers, opening, register, types
from wantong.border.trust.credentials.models import Entitlement, Issued
from wantong.ground.http.auth import require
from wantong.ground.http.forms import Reason

router = Router(tags=["credentials"])
OFFICIALS = ("declarer", "approver", "operator", "auditor")
PAGE = 50


class Kind(Schema):
    """A kind of credential. ``schema`` is the JSON Schema of its claims; ``people`` how many decide on a record."""

    type: str
    vct: str
    name: dict[str, str]
    open: bool
    people: int
    claims: dict[str, Any]


class Record(Schema):
    """What the register says: ``claims`` by the kind's schema, ``reference`` the record's own number there, by which it comes
    here once, and ``account`` who may fetch it by signing in (blank: by an offer)."""

    type: Annotated[str, Field(max_length=60)]
    claims: dict[str, Any]
    reference: Annotated[str, Field(max_length=200)] = ""
    account: Annotated[str, Field(max_length=64)] = ""


class Terms(Schema):
    """``tx_code``: six digits that go to the person by another way than the link. Whoever offers chooses them, so they stand
    in no answer that anybody keeps."""

    tx_code: Annotated[str, Field(pattern=r"^[0-9]{6}$")]
    formats: Annotated[tuple[Literal["dc+sd-jwt", "mso_mdoc"], ...], Field(min_length=1, max_length=2)] = (
        types.SD_JWT,
    )
    minutes: Annotated[int, Field(ge=1, le=7 * 24 * 60)] = 15


class Copy(Schema):
    """One credential that was issued. ``state``: valid, suspended, revoked."""

    id: uuid.UUID
    format: str
    state: str
    issued_at: datetime
    expires_at: datetime


class Entitled(Schema):
    """A record as it stands here. ``state``: proposed, approved, rejected, withdrawn."""

    id: uuid.UUID
    type: str
    reference: str
    account: str
    state: str
    people: int
    proposed_by: str
    proposed_at: datetime
    decided_by: str
    decided_at: datetime | None
    reason: str


class Whole(Entitled):
    """With what it says, and what was issued of it."""

    claims: dict[str, Any]
    issued: list[Copy]

    @staticmethod
    def resolve_issued(row: Entitlement) -> list[Issued]:
        return list(row.issued.all())


class Listed(Schema):
    """Fifty a page, newest first."""

    total: int
    items: list[Entitled]


class Offered(Schema):
    """The ``link`` is for the person's wallet, as a code or as it is."""

    link: str
    expires_at: datetime


@router.get("/credentials/types", auth=None, response=list[Kind], summary="Kinds of credentials")
def kinds(request: HttpRequest) -> list[dict[str, Any]]:
    here = {one.id for one in opening.opened()}
    return [
        {
            "type": one.id,
            "vct": one.vct,
            "name": dict(one.name),
            "open": one.id in here,
            "people": one.people,
            "claims": one.schema,
        }
        for one in types.load().values()
    ]


@router.get("/credentials/records", response=Listed, summary="Records, without what they say")
def records(
    request: HttpRequest,
    type: str = "",
    state: str = "",
    reference: str = "",
    page: Annotated[int, Query(ge=1, le=100_000)] = 1,
) -> dict[str, Any]:
    require(request.auth, *OFFICIALS)  # type: ignore[attr-defined]
    asked: Mapping[str, str] = {"type": type, "state": state, "reference": reference}
    found = Entitlement.objects.defer("claims").filter(**{name: told for name, told in asked.items() if told})
    first = (page - 1) * PAGE
    return {"total": found.count(), "items": list(found[first : first + PAGE])}


@router.post("/credentials/records", response={201: Entitled}, summary="Somebody is entitled to a credential")
def entitle(request: HttpRequest, body: Record) -> Any:
    """Where the kind asks for two people it waits for the second. The same record once more is the same."""
    row = register.entitle(
        request.auth,  # type: ignore[attr-defined]
        body.type,
        body.claims,
        account=body.account,
        reference=body.reference,
    )
    return Status(201, row)


@router.get("/credentials/records/{record_id}", response=Whole, summary="A record and what was issued of it")
def record(request: HttpRequest, record_id: uuid.UUID) -> Entitlement:
    require(request.auth, *OFFICIALS)  # type: ignore[attr-defined]
    return register.entitlement(record_id)


@router.post(
    "/credentials/records/{record_id}/approve", response=Entitled, summary="The second person's word"
)
def approve(request: HttpRequest, record_id: uuid.UUID) -> Entitlement:
    return register.approve(request.auth, record_id)  # type: ignore[attr-defined]


@router.post("/credentials/records/{record_id}/reject", response=Entitled, summary="Turn a record down")
def reject(request: HttpRequest, record_id: uuid.UUID, body: Reason) -> Entitlement:
    return register.reject(request.auth, record_id, body.reason)  # type: ignore[attr-defined]


@router.post("/credentials/records/{record_id}/withdraw", response=Entitled, summary="It is no longer true")
def withdraw(request: HttpRequest, record_id: uuid.UUID, body: Reason) -> Entitlement:
    """Nothing more is issued on it, and what was is revoked at once."""
    return register.withdraw(request.auth, record_id, body.reason)  # type: ignore[attr-defined]


@router.post(
    "/credentials/records/{record_id}/offers", response={201: Offered}, summary="Offer it to a wallet"
)
def offer(request: HttpRequest, record_id: uuid.UUID, body: Terms) -> Any:
    """An offer takes the place of the one before."""
    made = offers.offer(
        request.auth,  # type: ignore[attr-defined]
        record_id,
        formats=body.formats,
        tx_code=body.tx_code,
        lasts=timedelta(minutes=body.minutes),
    )
    return Status(201, {"link": made.link, "expires_at": made.offer.expires_at})


@router.post("/credentials/issued/{issued_id}/suspend", response=Copy, summary="Not good for now")
def suspend(request: HttpRequest, issued_id: uuid.UUID, body: Reason) -> Issued:
    return register.suspend(request.auth, issued_id, body.reason)  # type: ignore[attr-defined]


@router.post("/credentials/issued/{issued_id}/resume", response=Copy, summary="Good again")
def resume(request: HttpRequest, issued_id: uuid.UUID, body: Reason) -> Issued:
    return register.resume(request.auth, issued_id, body.reason)  # type: ignore[attr-defined]


@router.post("/credentials/issued/{issued_id}/revoke", response=Copy, summary="Not good any more, for good")
def revoke(request: HttpRequest, issued_id: uuid.UUID, body: Reason) -> Issued:
    return register.revoke(request.auth, issued_id, body.reason)  # type: ignore[attr-defined]
