"""Certificates over HTTP: open to everyone; nothing of what is asked is kept."""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime
from typing import Any, Literal

from django.http import HttpRequest
from django.utils import timezone
from ninja import Field, Router, Schema

from wantong.border.trust.certificates import drawing, roots, services
from wantong.border.trust.certificates.path import Demands
from wantong.border.trust.certificates.problems import NoCertificates

router = Router(tags=["certificates"])
Language = Literal["zh-hans", "zh-hant", "en", "pt"]
LONGEST = 1_500_000


class CertificateChain(Schema):
    """``certificates``: PEM, or DER or PKCS #7 in base64; the certificate in question comes first, in whatever order its
    issuers follow. ``roots``, in the same forms, stand in for those that this node recognises. ``lists`` and ``answers``
    are CRLs and OCSP responses (DER in base64) that came along. ``purposes`` are OIDs of extended key usages."""

    certificates: str = Field(max_length=LONGEST)
    roots: str = Field("", max_length=LONGEST)
    at: datetime | None = None
    lists: list[str] = Field([], max_length=16)
    answers: list[str] = Field([], max_length=16)
    purposes: list[str] = Field([], max_length=16)
    revocation: bool = True
    lang: Language = "en"


@router.post("/trust/certificates/check", auth=None)
def check(request: HttpRequest, body: CertificateChain) -> dict[str, Any]:
    """Does this certificate lead to a root that is recognised here, and was everything on the way good at that time?"""
    leaf, *others = services.certificates_in(body.certificates.encode())
    at = _utc(body.at) if body.at else timezone.now()
    anchors = services.certificates_in(body.roots.encode()) if body.roots.strip() else roots.at(at)
    found = services.check(
        leaf,
        others,
        anchors=anchors,
        at=at,
        lists=[_bytes(one) for one in body.lists],
        answers=[_bytes(one) for one in body.answers],
        demands=Demands(purposes=frozenset(body.purposes)),
        revocation=body.revocation,
    )
    return {
        "verdict": found.verdict.to_dict(body.lang),
        "chain": drawing.draw(found, body.lang)["cards"],
        "policies": sorted(found.policies),
        "roots": "given" if body.roots.strip() else "recognised",
    }


def _utc(at: datetime) -> datetime:
    try:
        return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    except OverflowError:  # beyond the calendar by a time zone
        return at.replace(tzinfo=UTC)


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise NoCertificates(reason="unreadable") from None
