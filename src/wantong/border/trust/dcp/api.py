"""Claims over HTTP, for this node's own people and programs."""

from __future__ import annotations

from typing import Any, Literal

from django.http import HttpRequest
from ninja import Query, Router, Schema, Status

from wantong.border.trust.dcp import issuing, pages, services

router = Router(tags=["claims"])


class Issuer(Schema):
    """Whose credentials of which type."""

    did: str
    type: str = "MembershipCredential"


class IssuanceWord(Schema):
    """A person's decision on a request for credentials."""

    grant: bool
    reason: str = ""


@router.get("/claims")
def overview(
    request: HttpRequest, lang: Literal["zh-hans", "zh-hant", "en", "pt"] = Query("en")
) -> dict[str, Any]:
    """How every peer that shows credentials was judged, step by step in words; issuers that count; what is held."""
    return pages.overview(request.auth, lang)  # type: ignore[attr-defined]


@router.post("/claims/issuers", response={201: dict})
def accept(request: HttpRequest, issuer: Issuer) -> Any:
    """Let credentials of a type by an issuer count."""
    row = services.accept_issuer(request.auth, issuer.did, issuer.type)  # type: ignore[attr-defined]
    return Status(201, {"did": row.did, "type": row.type, "accepted_at": row.accepted_at})


@router.post("/claims/issuers/withdraw")
def withdraw(request: HttpRequest, issuer: Issuer) -> dict[str, Any]:
    """Take that back, at once."""
    row = services.withdraw_issuer(request.auth, issuer.did, issuer.type)  # type: ignore[attr-defined]
    return {"did": row.did, "type": row.type, "withdrawn_at": row.withdrawn_at}


@router.post("/claims/requests/{pid}/word")
def decide(request: HttpRequest, pid: str, word: IssuanceWord) -> dict[str, Any]:
    """A person's word on a request for credentials that waits."""
    row = issuing.decide(request.auth, pid, grant=word.grant, reason=word.reason)  # type: ignore[attr-defined]
    return {"id": row.pid, "holder": row.holder, "status": row.status}
