"""``/api/signatures``: check what others have signed, and have this node's body seal."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from ninja import File, Form, Router, Status
from ninja.files import UploadedFile

from wantong.border.trust.signatures import services
from wantong.border.trust.signatures.found import Document
from wantong.border.trust.signatures.models import Sealing
from wantong.border.trust.signatures.problems import BadSealing
from wantong.ground.http.forms import Reason
from wantong.ground.http.idempotency import begins_itself
from wantong.ground.i18n import LANGUAGES

router = Router(tags=["signatures"])


@router.post("/signatures/check", auth=None, url_name=begins_itself("signatures-check"))
def check(
    request: HttpRequest,
    file: File[UploadedFile],
    beside: File[list[UploadedFile] | None] = None,
    place: Form[str] = "",
    lang: str = "en",
) -> dict[str, Any]:
    """Who signed ``file``, when, what, and whether it holds, by this node's trust lists. Nothing of it is kept.

    ``beside`` is what was signed, where it lies beside its signature; ``place`` (``gd``, ``hk``, ``mo``) where the
    document is to be relied upon. ``verdict.outcome`` is ``passed``, ``failed`` or ``indeterminate``.
    """
    others = [document(one) for one in beside or ()]
    return services.check(document(file), others, place).to_dict(_language(lang))


@router.post("/signatures", response={201: dict}, url_name=begins_itself("signatures-propose"))
def propose(
    request: HttpRequest,
    file: File[UploadedFile],
    form: Form[str],
    level: Form[str] = "B-T",
    packaging: Form[str] = "",
    places: Form[str] = "",
    place: Form[str] = "",
    role: Form[str] = "",
    reason: Form[str] = "",
    visible: Form[bool] = False,
) -> Any:
    """Propose that this node's body seals a document; another person decides. ``places`` are codes with commas."""
    made = services.propose(
        request.auth,  # type: ignore[attr-defined]
        document(file),
        form=form,
        level=level,
        packaging=packaging,
        where=[code.strip() for code in places.split(",") if code.strip()],
        said={"place": place, "role": role, "reason": reason},
        visible=visible,
    )
    return Status(201, shown(made))


@router.get("/signatures")
def sealings(request: HttpRequest, state: str = "", page: int = 1) -> dict[str, Any]:
    """What was proposed and sealed, fifty a page, newest first."""
    found = Sealing.objects.defer("document", "sealed")
    if state:
        found = found.filter(state=state)
    first = max(page - 1, 0) * 50
    return {"total": found.count(), "items": [shown(row) for row in found[first : first + 50]]}


@router.get("/signatures/{sealing_id}")
def one(request: HttpRequest, sealing_id: str) -> dict[str, Any]:
    """One document, proposed or decided."""
    return shown(services.get(sealing_id))


@router.post("/signatures/{sealing_id}/seal")
def seal(request: HttpRequest, sealing_id: str) -> dict[str, Any]:
    """Seal it: not who proposed it."""
    return shown(services.seal(request.auth, sealing_id))  # type: ignore[attr-defined]


@router.post("/signatures/{sealing_id}/refuse")
def refuse(request: HttpRequest, sealing_id: str, body: Reason) -> dict[str, Any]:
    """Turn it down, or take one's own proposal back."""
    return shown(services.refuse(request.auth, sealing_id, body.reason))  # type: ignore[attr-defined]


@router.get("/signatures/{sealing_id}/document")
def sealed(request: HttpRequest, sealing_id: str) -> HttpResponse:
    """The sealed document, while this node has it."""
    return services.download(services.get(sealing_id))


@router.delete("/signatures/{sealing_id}/document")
def remove(request: HttpRequest, sealing_id: str) -> dict[str, Any]:
    """Remove the sealed document from this node; that it was sealed stays."""
    return shown(services.remove(request.auth, sealing_id))  # type: ignore[attr-defined]


def document(upload: UploadedFile) -> Document:
    """What was sent, under its own name without folders."""
    bare = (upload.name or "").replace("\\", "/").rpartition("/")[2]
    name = "".join(char for char in bare if char.isprintable())[-120:] or "file"
    if (upload.size or 0) > services.LARGEST:
        raise services.TooLarge(allowed=services.LARGEST)
    return Document(name, upload.read(), upload.content_type or "application/octet-stream")


def shown(row: Sealing) -> dict[str, Any]:
    """A sealing as JSON."""
    return {
        "id": str(row.id),
        "name": row.name,
        "form": row.form,
        "level": row.level,
        "packaging": row.packaging,
        "places": list(row.places),
        "said": dict(row.said),
        "visible": row.visible,
        "state": row.state,
        "proposed_by": row.proposed_by,
        "proposed_at": row.proposed_at.isoformat(),
        "decided_by": row.decided_by,
        "decided_at": row.decided_at and row.decided_at.isoformat(),
        "reason": row.reason,
        "document_sha256": row.document_sha256,
        "sealed_sha256": row.sealed_sha256,
        "sealed_name": row.sealed_name,
        "entry": row.entry and str(row.entry),
    }


def _language(lang: str) -> str:
    if lang not in LANGUAGES:
        raise BadSealing(field="lang", reason="language")
    return lang
