"""``POST /api/scan``: the answer of ``wantong scan --json`` for a file sent."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.utils import timezone
from ninja import File, Form, Router
from ninja.files import UploadedFile

from wantong.border.gate.classification import uploads
from wantong.ground.http.idempotency import begins_itself
from wantong.ground.i18n import LANGUAGES
from wantong.ground.problems import Problem

router = Router(tags=["scan"])


class UnknownLanguage(Problem):
    """Texts exist in four languages only."""

    slug = "scan-unknown-language"
    status = 422


class UnknownDeclaration(Problem):
    """GB/T 43697 knows core, important and general data."""

    slug = "scan-unknown-declaration"
    status = 422


@router.post("/scan", url_name=begins_itself("scan-upload"))
def scan(
    request: HttpRequest, file: File[UploadedFile], declared: Form[str] = "", lang: str = "en"
) -> dict[str, Any]:
    """Say what personal and graded data a file holds. Nothing of the file is kept.

    ``findings``, ``grades`` and ``questions`` as in ``wantong scan --json``; ``problems`` are what could not be read.
    """
    if lang not in LANGUAGES:
        raise UnknownLanguage(known=", ".join(LANGUAGES))
    if declared not in ("", "core", "important", "general"):
        raise UnknownDeclaration(known="core, important, general")
    report = uploads.scan_upload(file, on=timezone.localdate(), declared=declared or None)
    return report.to_dict(lang) | {
        "problems": [problem.to_dict(lang) for problem in report.problems],
        "bytes_read": report.bytes_read,
    }
