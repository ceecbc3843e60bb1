"""Inquiries over the API, for programs of those who ask."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from django.http import HttpRequest
from ninja import Router, Schema

from wantong.border.trust.verifier import services
from wantong.border.trust.verifier.models import Inquiry

router = Router(tags=["verifier"])


class Ask(Schema):
    """A ready ``question`` by its name, or a ``query`` in DCQL with its ``purpose`` and for how many days it is kept."""

    question: str = ""
    query: dict[str, Any] | None = None
    purpose: dict[str, str] | None = None
    keep_days: int | None = None
    back: str = ""


class Begun(Schema):
    """The ``link`` is for the holder's wallet, as a code or as it is."""

    id: uuid.UUID
    link: str
    expires_at: datetime


class Found(Schema):
    """``state``: asked, passed, failed, indeterminate, declined, withdrawn, forgotten. ``shown`` only if it passed."""

    id: uuid.UUID
    state: str
    question: str
    asked_at: datetime
    answered_at: datetime | None
    keep_until: datetime
    verdict: dict[str, Any] | None
    shown: list[dict[str, Any]]


@router.post("/inquiries", response={201: Begun}, summary="Ask a holder to show credentials")
def ask(request: HttpRequest, body: Ask) -> tuple[int, dict[str, Any]]:
    asked = services.ask(request.auth, **body.dict())
    return 201, {"id": asked.inquiry.pk, "link": asked.link, "expires_at": asked.inquiry.expires_at}


@router.get("/inquiries/{inquiry_id}", response=Found, summary="What was shown, and what to think of it")
def result(request: HttpRequest, inquiry_id: uuid.UUID, response_code: str = "") -> Inquiry:
    return services.result(request.auth, inquiry_id, response_code=response_code)
