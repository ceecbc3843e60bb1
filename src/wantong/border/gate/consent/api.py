"""Consent over HTTP, for the operators who record it. Identifiers go in and are never stored or given back."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

from django.http import HttpRequest
from ninja import Router, Schema

from wantong.border.gate.consent import services
from wantong.border.gate.consent.models import Consent

router = Router(tags=["consent"])


class NewGrant(Schema):
    """Each of ``identifiers`` said yes, having been shown ``notice`` in ``language``."""

    identifiers: list[str]
    dataset_id: str
    purpose: str
    receiver: str
    fields: list[str]
    valid_until: dt.datetime
    valid_from: dt.datetime | None = None
    notice: str = ""
    language: str = "zh-hans"


class Person(Schema):
    """Whose consents are asked for."""

    identifier: str


@router.post("/consents", response={201: dict})
def grant(request: HttpRequest, new: NewGrant) -> tuple[int, dict[str, Any]]:
    """Record grants, a signed record each; answers with their ids in the order of the identifiers, once each."""
    content = new.dict()
    consents = services.grant_many(request.auth, content.pop("identifiers"), **content)
    return 201, {"consents": [str(consent.id) for consent in consents]}


@router.post("/consents/of-person")
def of_person(request: HttpRequest, person: Person) -> list[dict[str, Any]]:
    """What a person has granted here, with each use (POST, so that the identifier stands in no address)."""
    return [as_json(consent) for consent in services.of_person(person.identifier)]


@router.get("/consents/{consent_id}")
def one(request: HttpRequest, consent_id: uuid.UUID) -> dict[str, Any]:
    """One consent: its signed records and its uses."""
    return as_json(services.get(consent_id))


@router.post("/consents/{consent_id}/withdraw")
def withdraw(request: HttpRequest, consent_id: uuid.UUID) -> dict[str, Any]:
    """Take it back: what has not left is stopped, and the receiver of what has left is told."""
    return as_json(services.withdraw(request.auth, consent_id))


def as_json(consent: Consent) -> dict[str, Any]:
    """A consent with its ISO/IEC TS 27560 records (JWS) and its uses."""
    return {
        "id": str(consent.id),
        "dataset_id": consent.dataset_id,
        "purpose": consent.purpose,
        "receiver": consent.receiver,
        "fields": consent.fields,
        "valid_from": consent.valid_from,
        "valid_until": consent.valid_until,
        "state": consent.state,
        "withdrawn_at": consent.withdrawn_at,
        "records": [{"event": r.event, "at": r.at, "jws": r.jws} for r in consent.records.all()],
        "uses": [{"transfer_id": u.transfer_id, "at": u.at, "fate": u.fate} for u in consent.uses.all()],
    }
