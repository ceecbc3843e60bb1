"""Open data over HTTP, for those who publish it and who have catalogues harvested. Reading it is the Action API's."""

from __future__ import annotations

import json
import uuid
from datetime import timedelta
from typing import Any, Literal

from django.http import HttpRequest
from ninja import File, Form, Query, Router, Schema
from ninja.files import UploadedFile
from pydantic import Field

from wantong.border.exchange.opendata import describe, harvest, services
from wantong.border.exchange.opendata.models import HarvestSource, OpenDataset, Submission
from wantong.border.exchange.opendata.problems import BadRecord
from wantong.border.exchange.opendata.record import Record
from wantong.ground.http.forms import Reason
from wantong.ground.http.idempotency import begins_itself
from wantong.ground.http.uploads import laid_down

router = Router(tags=["open data"])


class Marked(Schema):
    """A dataset of the exchange's catalogue, and what else its readers are to know (see ``Record``)."""

    dataset_id: str
    record: dict[str, Any]


@router.post("/open-data/submissions", response={202: dict}, url_name=begins_itself("open-data-submit"))
def submit(request: HttpRequest, record: Form[str], file: File[UploadedFile]) -> tuple[int, dict[str, Any]]:
    """Hand in a file to be published. ``record`` is a JSON object (see ``Record``); ask for the answer at ``url``."""
    try:
        said = json.loads(record)
    except ValueError:
        raise BadRecord(field="", reason="not-json") from None
    checked = Record.of(said)
    with laid_down(file) as path:
        return 202, submission_dict(
            services.submit(request.auth, path, checked, filename=file.name or "data")
        )


@router.post(
    "/open-data/submissions/from-catalogue", response={202: dict}, url_name=begins_itself("open-data-mark")
)
def submit_dataset(request: HttpRequest, marked: Marked) -> tuple[int, dict[str, Any]]:
    """Hand in a dataset of the exchange's catalogue that is marked open."""
    return 202, submission_dict(
        services.submit_dataset(request.auth, marked.dataset_id, Record.of(marked.record))
    )


@router.get("/open-data/submissions")
def submissions(request: HttpRequest, name: str = Query("")) -> list[dict[str, Any]]:
    """What was handed in, newest first."""
    rows = Submission.objects.select_related("version")
    return [submission_dict(row) for row in (rows.filter(name=name) if name else rows)[:200]]


@router.get("/open-data/submissions/{identifier}")
def submission(request: HttpRequest, identifier: uuid.UUID) -> dict[str, Any]:
    """What became of one: ``preparing``, ``published`` with its version, ``refused`` with why."""
    row = Submission.objects.select_related("version").filter(id=identifier).first()
    if row is None:
        raise services.problems.UnknownOpenDataset(dataset=str(identifier))
    return submission_dict(row)


@router.get("/open-data/datasets/{name}/versions", auth=None)
def versions(request: HttpRequest, name: str) -> list[dict[str, Any]]:
    """The history of a dataset, newest first: digests, and the entry in the log that proves each version."""
    return [
        {
            "version": row.number,
            "published_at": row.published_at,
            "sha256": row.sha256,
            "size": row.size,
            "rows": row.rows,
            "resources": row.resources,
            "note": row.record["note"],
            "log_entry": str(row.log_entry),
            "receipt": f"/log/receipts/{row.log_entry}",
        }
        for row in services.dataset(name).versions.all()
    ]


@router.get("/open-data/datasets/{name}/quality", auth=None)
def quality(request: HttpRequest, name: str) -> dict[str, Any]:
    """The quality score today and what it is made of."""
    row = services.dataset(name)
    return describe.quality_of(row, list(row.resources.all())).to_dict()


@router.post("/open-data/datasets/{name}/withdraw")
def withdraw(request: HttpRequest, name: str, word: Reason) -> dict[str, Any]:
    """Take a dataset off."""
    return dataset_dict(services.withdraw(request.auth, name, word.reason))


class Source(Schema):
    """A catalogue elsewhere; ``every`` is in seconds, ``title`` a language map."""

    name: str
    kind: Literal["ckan", "gd-open"]
    url: str
    title: dict[str, str]
    language: str
    place: str = ""
    licence: str = "notspecified"
    every: int = Field(86_400, ge=0, le=31_536_000)


@router.get("/open-data/sources", auth=None)
def sources(request: HttpRequest) -> list[dict[str, Any]]:
    """The catalogues that are harvested, each with its last run."""
    return [harvest.told(source) for source in HarvestSource.objects.all()]


@router.post("/open-data/sources", response={201: dict})
def add_source(request: HttpRequest, source: Source) -> tuple[int, dict[str, Any]]:
    """Name a catalogue that is to be harvested; it is read from now on."""
    said = source.dict()
    every = timedelta(seconds=said.pop("every"))
    row = harvest.register(request.auth, **said, every=every)
    harvest.start(request.auth, row.name)
    return 201, harvest.told(row)


@router.post("/open-data/sources/{name}/run")
def run_source(request: HttpRequest, name: str) -> dict[str, Any]:
    """Have a catalogue read now."""
    return harvest.told(harvest.start(request.auth, name).source)


@router.post("/open-data/sources/{name}/pause")
def pause_source(request: HttpRequest, name: str) -> dict[str, Any]:
    """Read a catalogue no more until it is started again."""
    return harvest.told(harvest.pause(request.auth, name))


def dataset_dict(row: OpenDataset) -> dict[str, Any]:
    return {
        "name": row.name,
        "version": row.version,
        "identifier": services.identifier(row.name),
        "withdrawn_at": row.withdrawn_at,
        "withdrawn_because": row.withdrawn_because,
    }


def submission_dict(row: Submission) -> dict[str, Any]:
    """A submission as the API tells it."""
    problem = services.refusal(row.problem).to_dict() if row.problem else None
    return {
        "id": str(row.id),
        "name": row.name,
        "state": row.state,
        "sha256": row.sha256,
        "size": row.size,
        "submitted_at": row.submitted_at,
        "settled_at": row.settled_at,
        "problem": problem,
        "version": row.version.number if row.version else None,
        "log_entry": str(row.version.log_entry) if row.version else None,
        "identifier": services.identifier(row.name),
        "url": f"/api/open-data/submissions/{row.id}",
    }
