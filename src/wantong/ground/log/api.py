"""The log over HTTP for programs of this node; what the world reads is in :mod:`~wantong.ground.log.urls`."""

from __future__ import annotations

import json
import tempfile
import uuid
from pathlib import Path
from typing import Any

from django.http import HttpRequest
from ninja import File, Form, Query, Router
from ninja.files import UploadedFile

from wantong.ground.log import services
from wantong.ground.log.models import LogEntry
from wantong.ground.log.problems import EntryUnknown
from wantong.ground.log.proof import MAX_PROOF_BYTES
from wantong.ground.log.verify import parse_salt, verify_receipt

router = Router(tags=["log"])


@router.get("/log/entries")
def entries(
    request: HttpRequest,
    kind: str = Query(""),
    before: int | None = Query(None),
    limit: int = Query(50, ge=1, le=500),
) -> list[dict[str, Any]]:
    """Logged entries, newest first: of one ``kind``, with an index below ``before``."""
    rows = LogEntry.objects.exclude(index=None).order_by("-index")
    if kind:
        rows = rows.filter(kind=kind)
    if before is not None:
        rows = rows.filter(index__lt=before)
    return [_shown(row) for row in rows[:limit]]


@router.get("/log/entries/{entry_id}")
def entry(request: HttpRequest, entry_id: uuid.UUID) -> dict[str, Any]:
    """One recorded entry, and whether its receipt is ready."""
    row = LogEntry.objects.filter(id=entry_id).first()
    if row is None:
        raise EntryUnknown(index=str(entry_id))
    return _shown(row) | {"receipt_ready": services.receipt(entry_id) is not None}


@router.post("/log/verify")
def verify(
    request: HttpRequest,
    receipt: File[UploadedFile],
    file: File[UploadedFile | None] = None,
    salt: Form[str] = "",
    lang: Form[str] = "en",
) -> dict[str, Any]:
    """Verify a receipt, and a file against it, by this node's trust file."""
    data = receipt.read(MAX_PROOF_BYTES + 1)
    grains = parse_salt(salt) if salt else None
    with tempfile.TemporaryDirectory() as folder:
        path = None
        if file is not None:
            path = Path(folder) / "file"
            with path.open("wb") as copy:
                copy.writelines(file.chunks())
        return verify_receipt(data, services.node_trust(), path, salt=grains).to_dict(lang)


def _shown(row: LogEntry) -> dict[str, Any]:
    return {
        "id": str(row.id),
        "kind": row.kind,
        "index": row.index,
        "leaf_hash": row.leaf_hash,
        "entry": json.loads(row.body),
        "receipt": f"/log/receipts/{row.id}",
    }
