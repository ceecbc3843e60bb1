"""Verification over HTTP."""

from __future__ import annotations

import datetime as dt
import tempfile
from pathlib import Path
from typing import Any

from django.http import HttpRequest, HttpResponse
from ninja import File, Form, Router, Schema, Status
from ninja.files import UploadedFile

from wantong.border.gate.verification import carried, services
from wantong.border.gate.verification.problems import DocumentTooLarge
from wantong.ground.http.idempotency import begins_itself

router = Router(tags=["verification"])


class Revocation(Schema):
    """Why a registered document no longer holds; the verifier is told."""

    reason: str


@router.post("/verification/registrations", response={201: dict})
def register(
    request: HttpRequest,
    document: File[UploadedFile],
    kind: Form[str],
    expires: Form[dt.date | None] = None,
) -> Any:
    """Register a document. The answer holds the salt, this once; neither it nor the document is kept."""
    with _file(document) as path:
        done = services.register(request.auth, path, kind, expires)  # type: ignore[attr-defined]
    registration = done.registration
    return Status(
        201,
        {
            "registration_id": registration.id,
            "salt": done.salt.hex(),
            "digest": registration.digest,
            "expires": registration.expires,
        },
    )


@router.get("/verification/registrations/{registration_id}/receipt", auth=None)
def receipt(request: HttpRequest, registration_id: str) -> HttpResponse:
    """The receipt (C2SP tlog-proof); 409 while it is not witnessed."""
    return HttpResponse(services.receipt(registration_id), content_type="text/plain; charset=utf-8")


@router.get("/verification/registrations/{registration_id}/status", auth=None)
def status(request: HttpRequest, registration_id: str) -> dict[str, Any]:
    """Whether it still stands: ``valid``, ``revoked`` or ``unknown``. Open to everyone who knows the id."""
    said = services.status(registration_id)
    return {"state": said.state, "at": said.at, "revoked_at": said.revoked_at, "reason": said.reason}


@router.post("/verification/registrations/{registration_id}/revoke")
def revoke(request: HttpRequest, registration_id: str, body: Revocation) -> dict[str, Any]:
    """Revoke a registration."""
    services.revoke(request.auth, registration_id, body.reason)  # type: ignore[attr-defined]
    return status(request, registration_id)


@router.post("/verification/check", url_name=begins_itself("verification-check"))
def check(request: HttpRequest, bundle: File[UploadedFile], lang: str = "en") -> dict[str, Any]:
    """Check a carried bundle (ZIP of document, receipt and salt)."""
    with _file(bundle) as path:
        return services.check_bundle(request.auth, path).to_dict(lang)  # type: ignore[attr-defined]


class _file:
    """An upload as a file that is gone afterwards. Raises DocumentTooLarge."""

    def __init__(self, upload: UploadedFile) -> None:
        if (upload.size or 0) > carried.MAX_DOCUMENT + carried.MAX_RECEIPT:
            raise DocumentTooLarge(limit=carried.MAX_DOCUMENT)
        self._upload = upload

    def __enter__(self) -> Path:
        self._file = tempfile.NamedTemporaryFile()
        for piece in self._upload.chunks():
            self._file.write(piece)
        self._file.flush()
        return Path(self._file.name)

    def __exit__(self, *_: object) -> None:
        self._file.close()
