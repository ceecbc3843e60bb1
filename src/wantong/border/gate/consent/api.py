"""Consent over HTTP. A person's identifier comes in and is never stored, answered or logged."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.http import HttpRequest
from ninja import Field, Router, Schema, Status

from wantong.border.gate.consent import services
from wantong.border.gate.consent.models import Consent
from wantong.ground.http.auth import require
from wantong.ground.http.forms import PersonNumber

router = Router(tags=["consent"])


class Granted(Schema):
    """Who said yes to what. ``notice`` is the text the persons were shown."""

    identifiers: list[str] = Field(min_length=1, max_length=20_000)
    dataset_id: str
    purpose: str
    receiver: str
    fields: list[str]
    valid_until: dt.datetime
    valid_from: dt.datetime | None = None
    notice: str = ""
    language: str = "zh-hans"


@router.post("/consents", response={201: dict})
def grant(request: HttpRequest, body: Granted) -> Any:
    """Record what persons granted; one signed record each."""
    content = body.dict()
    identifiers = content.pop("identifiers")
    granted = services.grant_many(request.auth, identifiers, **content)  # type: ignore[attr-defined]
    return Status(201, {"consents": [consent.id for consent in granted]})


@router.post("/consents/of-person")
def of_person(request: HttpRequest, body: PersonNumber) -> dict[str, Any]:
    """All that a person has granted here, with every use. A POST, so that the number stands in no log."""
    require(request.auth, "operator", "approver", "declarer")  # type: ignore[attr-defined]
    return {"consents": [_json(consent) for consent in services.of_person(body.identifier)]}


@router.post("/consents/forget")
def forget(request: HttpRequest, body: PersonNumber) -> dict[str, bool]:
    """Erase a person: withdraw everything, then forget who he was."""
    return {"known": services.forget(request.auth, body.identifier)}  # type: ignore[attr-defined]


@router.get("/consents/key", auth=None)
def key(request: HttpRequest) -> dict[str, Any]:
    """The public key (JWK) that checks this node's consent records."""
    return dict(services.public_key())


@router.get("/consents/{consent_id}")
def one(request: HttpRequest, consent_id: str) -> dict[str, Any]:
    """One consent with its signed records and its uses."""
    return _json(services.get(consent_id))


@router.post("/consents/{consent_id}/withdraw")
def withdraw(request: HttpRequest, consent_id: str) -> dict[str, Any]:
    """Take a consent back: when this answers, nothing more leaves on it."""
    return _json(services.withdraw(request.auth, consent_id))  # type: ignore[attr-defined]


def _json(consent: Consent) -> dict[str, Any]:
    names = (
        "id", "commitment", "dataset_id", "purpose", "receiver", "fields", "valid_from", "valid_until", "state",
        "withdrawn_at",
    )  # fmt: skip
    return {
        **{name: getattr(consent, name) for name in names},
        "records": [{"event": r.event, "at": r.at, "jws": r.jws} for r in consent.records.all()],
        "uses": [{"transfer_id": u.transfer_id, "at": u.at, "fate": u.fate} for u in consent.uses.all()],
    }
