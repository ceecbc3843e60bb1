"""Offshore spaces over HTTP, for this node's own operators and programs."""

from __future__ import annotations

import uuid
from typing import Any

from django.http import FileResponse, HttpRequest
from ninja import Router, Schema

from wantong.border.exchange.offshore import pictures, services
from wantong.border.exchange.offshore.models import Space
from wantong.border.gate.declarations.api import PaperBehind
from wantong.ground.http.auth import require
from wantong.ground.http.forms import Note
from wantong.ground.http.idempotency import begins_itself

router = Router(tags=["offshore"])


class NewSpace(Schema):
    """``title`` is a language map; ``parties`` are participant ids."""

    title: dict[str, str]
    purpose: str
    parties: list[str]


class Admission(Schema):
    """``name`` is what the table will be called in jobs; ``document`` the owner's word that it was collected outside."""

    transfer_id: str
    name: str
    document: PaperBehind


class NewJob(Schema):
    """One SELECT in DuckDB's SQL over the tables ``inputs``."""

    title: str
    sql: str
    inputs: list[str]


class Start(Schema):
    """What the result will be called."""

    name: str


class Way(Schema):
    """To whom, and under which title (a language map)."""

    receiver: str
    title: dict[str, str]


@router.get("/offshore/spaces")
def spaces(request: HttpRequest) -> list[dict[str, Any]]:
    """All spaces, the newest first."""
    return [pictures.space(row) for row in Space.objects.prefetch_related("parties")]


@router.post("/offshore/spaces", response={201: dict})
def open_space(request: HttpRequest, new: NewSpace) -> tuple[int, dict[str, Any]]:
    """Open a space."""
    return 201, pictures.space(services.open_space(request.auth, new.title, new.purpose, new.parties))


@router.get("/offshore/spaces/{space_id}")
def space(request: HttpRequest, space_id: uuid.UUID) -> dict[str, Any]:
    """A space whole: what is in it and where that comes from, jobs, runs, history."""
    return pictures.whole(services.get(space_id))


@router.post("/offshore/spaces/{space_id}/close")
def close(request: HttpRequest, space_id: uuid.UUID, reason: Note) -> dict[str, Any]:
    """Close it: what was made in it is deleted."""
    return pictures.space(services.close(request.auth, space_id, reason.note))


@router.post("/offshore/spaces/{space_id}/items", response={201: dict})
def admit(request: HttpRequest, space_id: uuid.UUID, new: Admission) -> tuple[int, dict[str, Any]]:
    """Propose that what a transfer has brought enters the space."""
    paper = new.document.as_document()
    return 201, pictures.item(services.admit(request.auth, space_id, new.transfer_id, new.name, paper))


@router.post("/offshore/items/{item_id}/confirm")
def confirm(request: HttpRequest, item_id: uuid.UUID) -> dict[str, Any]:
    """A second person agrees."""
    return pictures.item(services.confirm(request.auth, item_id))


@router.post("/offshore/spaces/{space_id}/jobs", response={201: dict})
def register(request: HttpRequest, space_id: uuid.UUID, new: NewJob) -> tuple[int, dict[str, Any]]:
    """Register a job."""
    return 201, pictures.job(services.register(request.auth, space_id, new.title, new.sql, new.inputs))


@router.post("/offshore/jobs/{job_id}/approve")
def approve(request: HttpRequest, job_id: uuid.UUID) -> dict[str, Any]:
    """A second person has read it."""
    return pictures.job(services.approve(request.auth, job_id))


@router.post("/offshore/jobs/{job_id}/runs", response={201: dict})
def start(request: HttpRequest, job_id: uuid.UUID, new: Start) -> tuple[int, dict[str, Any]]:
    """Have it run."""
    return 201, pictures.run(services.start(request.auth, job_id, new.name))


@router.get("/offshore/items/{item_id}/data")
def data(request: HttpRequest, item_id: uuid.UUID) -> FileResponse:
    """A result, for those who check it before it is returned."""
    require(request.auth, "declarer", "approver", "operator")
    path, name = services.result_file(item_id)
    return FileResponse(path.open("rb"), as_attachment=True, filename=name)


@router.post("/offshore/items/{item_id}/return", url_name=begins_itself("offshore-return"))
def give_back(request: HttpRequest, item_id: uuid.UUID, way: Way) -> dict[str, Any]:
    """Offer a result to the node that its data came from."""
    return pictures.item(services.give_back(request.auth, item_id, way.receiver, way.title))
