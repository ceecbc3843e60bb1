"""Research projects over HTTP, for this node's own operators and programs."""

from __future__ import annotations

import datetime as dt
import tempfile
import uuid
from pathlib import Path
from typing import Any

from django.http import FileResponse, HttpRequest
from ninja import File, Router, Schema
from ninja.files import UploadedFile

from wantong.border.exchange import crossings
from wantong.border.exchange.research import pictures, services
from wantong.border.exchange.research.models import Project
from wantong.border.gate.declarations.api import PaperBehind
from wantong.ground.actors import Actor
from wantong.ground.http.forms import Note
from wantong.ground.http.idempotency import begins_itself
from wantong.ground.http.uploads import laid_down

router = Router(tags=["research"])


class NewProject(Schema):
    """``title`` and ``description`` are language maps; ``kinds`` of data."""

    partner: str
    title: dict[str, str]
    description: dict[str, str] | None = None
    kinds: list[str]
    until: dt.date


class ProjectWord(Schema):
    """Whether this institution agrees."""

    agreed: bool
    note: str = ""


class NewReview(Schema):
    """A review with the committee's paper, or (``approved`` false) that it was refused or taken back."""

    name: str
    approved: bool
    document: PaperBehind
    note: str = ""


class ReleaseProposal(Schema):
    """``fields`` maps each field that is to be released to its mask."""

    dataset_id: str
    kind: str
    fields: dict[str, str]


@router.get("/research/projects")
def projects(request: HttpRequest) -> list[dict[str, Any]]:
    """All projects, the newest first."""
    return [pictures.project(row) for row in Project.objects.select_related("partner")]


@router.post("/research/projects", response={201: dict})
def open_project(request: HttpRequest, new: NewProject) -> tuple[int, dict[str, Any]]:
    """Propose a project to another institution."""
    made = services.open_project(request.auth, new.partner, new.title, new.kinds, new.until, new.description)
    return 201, pictures.project(made)


@router.get("/research/projects/{project_id}")
def project(request: HttpRequest, project_id: uuid.UUID) -> dict[str, Any]:
    """A project whole: which reviews it needs, which stand, what is released."""
    return pictures.whole(services.get(project_id))


@router.post("/research/projects/{project_id}/answer")
def answer(request: HttpRequest, project_id: uuid.UUID, word: ProjectWord) -> dict[str, Any]:
    """This institution's word on a project that the other has proposed."""
    return pictures.project(services.answer(request.auth, project_id, word.agreed, word.note))


@router.post("/research/projects/{project_id}/close")
def close(request: HttpRequest, project_id: uuid.UUID, reason: Note) -> dict[str, Any]:
    """End it."""
    return pictures.project(services.close(request.auth, project_id, reason.note))


@router.post("/research/projects/{project_id}/reviews", response={201: dict})
def review(request: HttpRequest, project_id: uuid.UUID, new: NewReview) -> tuple[int, dict[str, Any]]:
    """Enter a review of this institution."""
    paper = new.document.as_document()
    made = services.review(request.auth, project_id, new.name, new.approved, paper, new.note)
    return 201, pictures.review(made)


@router.post("/research/projects/{project_id}/releases", response={201: dict})
def propose(request: HttpRequest, project_id: uuid.UUID, new: ReleaseProposal) -> tuple[int, dict[str, Any]]:
    """Propose data of ours."""
    return 201, pictures.release(
        services.propose(request.auth, project_id, new.dataset_id, new.kind, new.fields)
    )


@router.post("/research/releases/{release_id}/release")
def release(request: HttpRequest, release_id: uuid.UUID) -> dict[str, Any]:
    """Release it, as a second person."""
    return pictures.release(services.release(request.auth, release_id))


@router.post("/research/releases/{release_id}/end")
def end(request: HttpRequest, release_id: uuid.UUID, reason: Note) -> dict[str, Any]:
    """Take it out of the project."""
    return pictures.release(services.end(request.auth, release_id, reason.note))


@router.post("/research/releases/{release_id}/fetch", url_name=begins_itself("research-fetch"))
def fetch(request: HttpRequest, release_id: uuid.UUID) -> dict[str, Any]:
    """Ask the partner for what it has released."""
    return crossings.negotiation(services.fetch(request.auth, release_id))


@router.get("/research/projects/{project_id}/crate")
def crate(request: HttpRequest, project_id: uuid.UUID) -> FileResponse:
    """The project as an RO-Crate 1.1."""
    return crate_file(request.auth, project_id)


def crate_file(actor: Actor, project_id: uuid.UUID) -> FileResponse:
    """The answer that is a project's crate."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "crate.zip"
        services.pack_crate(actor, project_id, path)
        # the file lives on without its name for as long as it is being sent
        return FileResponse(
            path.open("rb"),
            as_attachment=True,
            filename=f"project-{project_id}.crate.zip",
            content_type="application/zip",
        )


@router.post(
    "/research/projects/{project_id}/crate", response={201: list}, url_name=begins_itself("research-crate")
)
def bring_in(request: HttpRequest, project_id: uuid.UUID, file: File[UploadedFile]) -> tuple[int, list[Any]]:
    """Publish the tables of an RO-Crate, so that the project may propose from them."""
    with laid_down(file) as path:
        made = services.bring_in(request.auth, project_id, path)
        return 201, [crossings.dataset(row) for row in made]
