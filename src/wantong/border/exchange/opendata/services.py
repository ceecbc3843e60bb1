"""The verbs of open data: submit, publish, withdraw, look up."""

from __future__ import annotations

import json
import tempfile
import uuid
from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import structlog
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from wantong.border.exchange import blobs
from wantong.border.exchange.models import Dataset
from wantong.border.exchange.opendata import (
    charts,
    dcat,
    describe,
    files,
    problems,
    searching,
    shapes,
    tables,
)
from wantong.border.exchange.opendata.models import Counter, OpenDataset, Resource, Submission, Version
from wantong.border.exchange.opendata.record import Record
from wantong.border.gate.classification import Report, scan
from wantong.ground import clock, config, drafts
from wantong.ground.actors import Actor
from wantong.ground.http.auth import require
from wantong.ground.http.idempotency import begin
from wantong.ground.log import services as log
from wantong.ground.outbox import services as outbox
from wantong.ground.problems import Problem

logger = structlog.get_logger(__name__)
State = Submission.State
# what else than a table may be published as it is
AS_IT_IS = {
    ".geojson": ("GeoJSON", "application/geo+json"),
    ".xml": ("XML", "application/xml"),
    ".pdf": ("PDF", "application/pdf"),
}


def submit(
    actor: Actor, path: Path, record: Record, *, dataset_id: str = "", filename: str = ""
) -> Submission:
    """Hand in a file to be published; the worker looks at it. Raises NotAllowed, BadRecord, NameTaken, OSError."""
    require(actor, "declarer", "approver", "operator")
    _name_is_free(record.name)
    with path.open("rb") as file:
        blob = blobs.store(config.current().blobs, file)
    begin()  # the file has been read
    with transaction.atomic():
        submission = Submission.objects.create(
            name=record.name,
            record=record.to_dict(),
            filename=Path(filename or path.name).name[:200],
            sha256=blob.sha256,
            size=blob.size,
            dataset_id=dataset_id,
            submitted_by=actor.id,
        )
        outbox.publish("opendata.publish", f"opendata:{record.name}", {"submission": str(submission.id)})
    return submission


def submit_dataset(actor: Actor, dataset_id: str, record: Record) -> Submission:
    """Hand in a dataset of the exchange's catalogue that its owner has marked open.

    Raises as :func:`submit`, and :class:`NotMarkedOpen`.
    """
    require(actor, "declarer", "approver", "operator")
    row = Dataset.objects.filter(id=dataset_id, is_open=True, withdrawn_at=None, audience=None).first()
    if row is None:
        raise problems.NotMarkedOpen(dataset=dataset_id)
    path = blobs.path(config.current().blobs, row.sha256)
    return submit(actor, path, record, dataset_id=dataset_id, filename=row.filename)


def publish(actor: Actor, path: Path, record: Record, *, filename: str = "") -> Version:
    """Hand in and publish at once. Raises as :func:`submit` and :func:`prepare`."""
    submission = settle(submit(actor, path, record, filename=filename).id)
    if submission.problem is not None:
        raise refusal(submission.problem)
    assert submission.version is not None
    return submission.version


def settle(submission_id: uuid.UUID) -> Submission:
    """Publish what was handed in, or refuse it and say why. Done once, however often it is called."""
    submission = Submission.objects.select_related("version").get(id=submission_id)
    if submission.state != State.PREPARING:
        return submission
    record = Record.of(submission.record)
    source = blobs.path(config.current().blobs, submission.sha256)
    try:
        _name_is_free(record.name)
        check(source, record, filename=submission.filename, on=clock.today())
        with drafts.draft(config.current().open) as folder:
            version = _publish(submission, record, source, folder)
        Submission.objects.filter(id=submission.id).update(
            state=State.PUBLISHED, version=version, settled_at=timezone.now()
        )
    except (
        problems.NotForTheOpen,
        problems.NotATable,
        problems.NotDcat,
        problems.NameTaken,
        problems.BadRecord,
    ) as problem:
        _refuse(submission, problem)
    return Submission.objects.select_related("version__dataset").get(id=submission_id)


def check(path: Path, record: Record, *, filename: str, on: date) -> Report:
    """The gate's look at a file and at what is said of it. Raises :class:`NotForTheOpen`.

    Nothing passes in which something about a person is found, that could not be read whole, or of which the owner does not
    say that it is neither important nor core data.
    """
    with tempfile.TemporaryDirectory() as folder:
        said = Path(folder) / "description.txt"
        said.write_text("\n".join(_texts(record.to_dict())), "utf-8")
        described = scan(said, on=on, shown_as="description.txt")
    report = scan(path, on=on, declared=record.declared or None, shown_as=filename)
    people = [f for f in (*report.findings, *described.findings) if f.about == "person"]
    if people:
        raise problems.NotForTheOpen(
            reason="personal",
            kinds=", ".join(sorted({finding.kind for finding in people})),
            findings=[finding.to_dict() for finding in people[:50]],
        )
    if record.declared in ("important", "core"):
        raise problems.NotForTheOpen(reason="graded", kinds=record.declared, findings=[])
    if record.declared != "general":
        raise problems.NotForTheOpen(reason="undeclared", kinds="", findings=[])
    if unread := [p for p in report.problems if not getattr(p, "complete", False)]:
        raise problems.NotForTheOpen(reason="unread", kinds=unread[0].slug, findings=[])
    return report


def withdraw(actor: Actor, name: str, reason: str) -> OpenDataset:
    """Take a dataset off: files gone, the page says so and why, the log keeps that it was there.

    Raises NotAllowed, :class:`UnknownOpenDataset`.
    """
    require(actor, "declarer", "approver", "operator")
    with transaction.atomic():
        revision = next_revision()
        row = (
            OpenDataset.objects.select_for_update().filter(name=name, withdrawn_at=None, source=None).first()
        )
        if row is None:
            raise problems.UnknownOpenDataset(dataset=name[:100])
        now = timezone.now()
        row.withdrawn_at, row.withdrawn_because, row.revision, row.modified_at = (
            now,
            reason[:2000],
            revision,
            now,
        )
        row.save(update_fields=["withdrawn_at", "withdrawn_because", "revision", "modified_at"])
        log.record("opendata.withdrawn", {"dataset": identifier(name), "version": row.version}, now)
        outbox.publish("opendata.remove", f"opendata:{name}", {"name": name})
    return row


def remove_files(name: str) -> None:
    """Delete what is served of a withdrawn dataset."""
    if not OpenDataset.objects.filter(name=name, withdrawn_at=None).exists():
        files.remove(config.current().open, name)


def dataset(name: str) -> OpenDataset:
    """A dataset by its name or its id, a withdrawn one too. Raises :class:`UnknownOpenDataset`."""
    found = OpenDataset.objects.filter(name=name[:200]).select_related("source").first()
    if found is None:
        try:
            found = OpenDataset.objects.filter(id=uuid.UUID(name)).select_related("source").first()
        except ValueError:
            found = None
    if found is None:
        raise problems.UnknownOpenDataset(dataset=name[:100])
    return found


def next_revision() -> int:
    """The number of this change; keeps other changes waiting until the transaction ends."""
    Counter.objects.get_or_create(pk=1)
    Counter.objects.filter(pk=1).update(revision=F("revision") + 1)
    return Counter.objects.get(pk=1).revision


def identifier(name: str) -> str:
    """What a dataset is called for ever."""
    return dcat.Address(config.current().url).dataset(name)


def refusal(told: Mapping[str, Any]) -> Problem:
    """A stored problem as it was raised."""
    kinds: dict[str, type[Problem]] = {
        kind.slug: kind
        for kind in (
            problems.NotForTheOpen,
            problems.NotATable,
            problems.NotDcat,
            problems.NameTaken,
            problems.BadRecord,
        )
    }
    return kinds[told["slug"]](**told["params"])


# --- one publication --------------------------------------------------------------------------------------------


def _publish(submission: Submission, record: Record, source: Path, folder: Path) -> Version:
    name, said = record.name, record.to_dict()
    version_folder = folder / "version"
    version_folder.mkdir()
    suffix = Path(submission.filename).suffix.lower()
    chart = None
    columns: list[dict[str, Any]] = []
    table = None
    if suffix in AS_IT_IS:
        copy = version_folder / f"{name}{suffix}"
        copy.write_bytes(source.read_bytes())
        told = [files.tell(copy, *AS_IT_IS[suffix])]
    else:
        table = tables.read(source, submission.filename)
        columns = [{"name": c.name, "type": c.type, "empty": c.empty} for c in table.columns]
        if unknown := set(record.columns) - {c.name for c in table.columns}:
            raise problems.BadRecord(field="columns", reason="no-column", column=min(unknown)[:100])
        told = files.derive(table, name, version_folder)
        drawn = charts.suggest(table, record.chart)
        chart = drawn.to_dict() if drawn else None
    now = timezone.now()
    row = OpenDataset.objects.filter(name=name).first() or OpenDataset(
        id=uuid.uuid5(uuid.NAMESPACE_URL, identifier(name)), name=name, created_at=now
    )
    row.record, row.organization = said, record.publisher["id"]
    row.columns, row.rows, row.filled = columns, table and table.rows, table and table.filled
    row.chart, row.newest, row.modified_at = chart, _newest(record, table) or clock.today(), now
    row.published_by, row.dataset_id = submission.submitted_by, submission.dataset_id
    row.terms = searching.terms(name, said, columns)
    resources = [
        Resource(
            id=uuid.uuid5(row.id, one["format"]), dataset=row, position=at, title=dict.fromkeys(record.title, one["format"]),
            format=one["format"], media_type=one["media_type"], filename=one["filename"], size=one["size"],
            sha256=one["sha256"], issued_at=now,
        )
        for at, one in enumerate(told)
    ]  # fmt: skip
    if found := shapes.faults(dcat.dataset(describe.described(row, resources), describe.address())):
        raise problems.NotDcat(field=found[0].field, faults=[fault.to_dict() for fault in found[:20]])
    with transaction.atomic():
        row.revision = next_revision()
        current = Version.objects.filter(dataset=row.id).first()
        there = OpenDataset.objects.filter(id=row.id, withdrawn_at=None).exists()
        if there and current and (current.sha256, current.record) == (submission.sha256, said):
            return current  # the same once more is nothing new
        row.version = current.number + 1 if current else 1
        row.withdrawn_at, row.withdrawn_because = None, ""
        entry = log.record(
            "opendata.published",
            {
                "dataset": identifier(name),
                "version": row.version,
                "licence": record.licence,
                "payload": {"sha256": submission.sha256, "size": submission.size},
                "resources": [{key: one[key] for key in ("format", "sha256", "size")} for one in told],
            },
            now,
        )
        row.save()
        Resource.objects.filter(dataset=row).delete()
        Resource.objects.bulk_create(resources)
        version = Version.objects.create(
            dataset=row, number=row.version, record=said, filename=submission.filename, sha256=submission.sha256,
            size=submission.size, resources=told, rows=row.rows, columns=columns, published_by=submission.submitted_by,
            published_at=now, log_entry=entry.id,
        )  # fmt: skip
        # last: once this is there, only the commit can fail, and the next attempt replaces it
        files.place(version_folder, config.current().open, name, row.version, told)
    logger.info("opendata.published", dataset=name, version=row.version, rows=row.rows)
    return version


def _refuse(submission: Submission, problem: Problem) -> None:
    now = timezone.now()
    with transaction.atomic():
        params = json.loads(json.dumps(dict(problem.params), default=str))
        changed = Submission.objects.filter(id=submission.id, state=State.PREPARING).update(
            state=State.REFUSED, problem={"slug": problem.slug, "params": params}, settled_at=now
        )
        if changed:
            log.record(
                "opendata.refused",
                {
                    "dataset": identifier(submission.name),
                    "reason": problem.slug,
                    "kinds": str(problem.params.get("kinds", "")),
                    "payload": {"sha256": submission.sha256, "size": submission.size},
                },
                now,
            )


def _name_is_free(name: str) -> None:
    if OpenDataset.objects.filter(name=name, source__isnull=False).exists():
        raise problems.NameTaken(dataset=name)


def _newest(record: Record, table: tables.Table | None) -> date | None:
    """The day of the newest data: what the owner says, else the last date in the table that is not in the future."""
    if record.temporal.get("end"):
        return date.fromisoformat(record.temporal["end"])
    for column in table.columns if table else ():
        last = (
            tables.last(table, column.name)
            if table and column.type in ("date", "datetime", "yearmonth")
            else None
        )
        if last is not None:
            return min(_last_day(last) if isinstance(last, str) else last, clock.today())
    return None


def _last_day(month: str) -> date:
    year, number = int(month[:4]), int(month[5:7])
    following = date(year + number // 12, number % 12 + 1, 1)
    return following - timedelta(days=1)


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, Mapping):
        return [text for inner in value.values() for text in _texts(inner)]
    return [text for inner in value for text in _texts(inner)] if isinstance(value, (list, tuple)) else []
