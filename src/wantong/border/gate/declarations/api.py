"""The gate over HTTP, for this node's operators and programs."""

from __future__ import annotations

import datetime as dt
import os
import shutil
import uuid
from pathlib import Path
from typing import Any

from django.http import HttpRequest
from ninja import File, Form, Router, Schema, Status
from ninja.files import UploadedFile

from wantong.border.gate.declarations import counts, pictures, services
from wantong.border.gate.declarations.consignment import Consignment
from wantong.border.gate.declarations.models import Declaration
from wantong.border.gate.declarations.problems import BadConsignment
from wantong.border.gate.declarations.services import Document
from wantong.border.gate.rules.facts import parse
from wantong.ground import config
from wantong.ground.http.idempotency import begins_itself

router = Router(tags=["declarations"])


class Papers(Schema):
    """The papers of an export; its payload comes as a file beside them. ``facts`` by their names in the rule base.

    ``title`` is a language map, or one text.
    """

    dataset_id: str
    title: dict[str, str] | str
    fields: list[str]
    facts: dict[str, bool | int | str]
    purpose: str
    receiver: str
    transfer_id: str = ""
    agreement_id: str = ""
    subject_column: str = ""
    retain_until: dt.date | None = None
    media_type: str = "text/csv"


class PaperBehind(Schema):
    """The document that stands behind an act."""

    title: str
    number: str = ""
    sha256: str = ""

    def as_document(self) -> Document:
        """As the services take it."""
        return Document(self.title, self.number, self.sha256)


class DeclarationAct(Schema):
    """``act``: confirm, approve, explain, authority_decision, answer_facts, hold, resume, refuse or recall."""

    act: str
    note: str = ""
    document: PaperBehind | None = None
    requirements: tuple[str, ...] = ()
    facts: dict[str, bool | int | str] | None = None


@router.post("/declarations", response={201: dict}, url_name=begins_itself("declare"))
def declare(request: HttpRequest, papers: Form[str], payload: File[UploadedFile], lang: str = "en") -> Any:
    """Declare an export: ``papers`` is JSON (see Papers), ``payload`` the file."""
    try:
        content = Papers(**parse(papers)).dict()
    except (ValueError, TypeError) as error:
        told = f"{type(error).__name__}: {error}"[:300]
        raise BadConsignment(field="papers", reason="unreadable", told=told) from None
    node = config.current()
    transfer = content.pop("transfer_id") or uuid.uuid4().urn
    path = _keep(payload, node.declared)
    try:
        declaration = services.declare(
            request.auth,  # type: ignore[attr-defined]
            Consignment(
                **{**content, "fields": tuple(content["fields"])},
                path=path,
                sender=node.participant_id,
                direction="export",
                transfer_id=transfer,
            ),
        )
    except Exception:
        path.unlink(missing_ok=True)
        raise
    if declaration.path != str(path):
        path.unlink()  # the same declaration once more; its own payload is there already
    return Status(201, _picture(request, declaration.id, lang))


@router.get("/declarations")
def declarations(
    request: HttpRequest, state: str = "", direction: str = "", dataset_id: str = "", page: int = 1
) -> dict[str, Any]:
    """The declarations, fifty a page, newest first."""
    found = Declaration.objects.order_by("-created_at")
    for name, value in (("state", state), ("direction", direction), ("dataset_id", dataset_id)):
        if value:
            found = found.filter(**{name: value})
    first = max(page - 1, 0) * 50
    return {"total": found.count(), "declarations": [_line(d) for d in found[first : first + 50]]}


@router.get("/declarations/waiting-for-me")
def waiting_for_me(request: HttpRequest) -> list[dict[str, Any]]:
    """What an act of the asker could set going."""
    return [_line(d) for d in pictures.worklist(request.auth)]  # type: ignore[attr-defined]


@router.get("/declarations/{declaration_id}")
def one(request: HttpRequest, declaration_id: str, lang: str = "en") -> dict[str, Any]:
    """Everything about one declaration: timeline, findings, decision, what it waits for, obligations."""
    return _picture(request, declaration_id, lang)


@router.post("/declarations/{declaration_id}/act")
def act(request: HttpRequest, declaration_id: str, body: DeclarationAct, lang: str = "en") -> dict[str, Any]:
    """Do something with a declaration."""
    services.act(
        request.auth,  # type: ignore[attr-defined]
        declaration_id,
        body.act,
        body.note,
        body.document.as_document() if body.document else None,
        requirements=body.requirements,
        facts=body.facts,
    )
    return _picture(request, declaration_id, lang)


@router.get("/person-counts/{sender}")
def person_counts(request: HttpRequest, sender: str, year: int | None = None) -> dict[str, Any]:
    """How many persons' data ``sender`` has exported in a year, and which thresholds are near."""
    counted = counts.person_counts(sender, year)
    return {**counted.to_dict(), "warnings": [w.to_dict() for w in counts.near(sender)]}


def _picture(request: HttpRequest, declaration_id: uuid.UUID | str, lang: str) -> dict[str, Any]:
    return pictures.picture(declaration_id, request.auth, lang).to_dict()  # type: ignore[attr-defined]


def _line(declaration: Declaration) -> dict[str, Any]:
    names = (
        "id", "transfer_id", "direction", "dataset_id", "title", "purpose", "sender", "receiver", "state", "route",
        "waiting_for", "created_at", "updated_at",
    )  # fmt: skip
    return {name: getattr(declaration, name) for name in names}


def _keep(upload: UploadedFile, folder: Path) -> Path:
    """An upload as a file of its own, durable, readable by nobody else."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / uuid.uuid4().hex
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        shutil.copyfileobj(upload, file)
        file.flush()
        os.fsync(file.fileno())
    return path
