"""The verbs of harvesting: name a catalogue, have it read, read it step by step.

A run is many steps, each one event of the outbox: ask for a page, then in one transaction store what it tells, where the
next step begins, and the event for it. A process may die anywhere; the step is done again, and nothing is asked for
twice that was stored. Between runs nothing happens: the next one is an event with a delay.
"""

from __future__ import annotations

import json
import tempfile
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import structlog
from django.db import transaction
from django.utils import timezone
from django.utils.dateparse import parse_datetime

import wantong
from wantong.border.exchange.opendata import harvesting, problems, searching
from wantong.border.exchange.opendata.codes import codes
from wantong.border.exchange.opendata.harvesting import Found, Link, Request, Terms, Unreadable, words
from wantong.border.exchange.opendata.models import HarvestRun, HarvestSource, OpenDataset, Resource
from wantong.border.exchange.opendata.record import NAME, Record
from wantong.border.exchange.opendata.services import next_revision
from wantong.border.gate.classification import scan
from wantong.ground import clock, config, i18n
from wantong.ground.actors import Actor
from wantong.ground.http.auth import require
from wantong.ground.http.fetch import Fetcher, FetchFailed
from wantong.ground.http.reach import Reach
from wantong.ground.http.reach import plain as plain_url
from wantong.ground.log import services as log
from wantong.ground.outbox import services as outbox

logger = structlog.get_logger(__name__)

COUNTS = ("seen", "added", "changed", "unchanged", "removed", "returned", "refused")
# a source that loses so much at once has more likely lost its way: its datasets are not marked gone
MOST_GONE = 0.5
FEW = 20


class Again(Exception):
    """The catalogue asks to be left alone for ``seconds``, or could not be read."""

    def __init__(self, reason: str, seconds: float) -> None:
        self.reason, self.seconds = reason, seconds
        super().__init__(reason)


def register(
    actor: Actor,
    name: str,
    kind: str,
    url: str,
    *,
    title: Mapping[str, str],
    language: str,
    place: str = "",
    licence: str = "notspecified",
    every: timedelta = timedelta(days=1),
) -> HarvestSource:
    """Name a catalogue that is to be harvested; the same again is harmless. Raises NotAllowed, :class:`BadSource`."""
    require(actor, "operator", "approver")
    _check(name, kind, url, title, language, place, licence)
    values = {
        "kind": kind, "url": url.rstrip("/"), "title": dict(title), "place": place, "licence": licence,
        "every": int(every.total_seconds()), "cursor": {"language": language},
    }  # fmt: skip
    source, created = HarvestSource.objects.get_or_create(
        name=name, defaults={**values, "created_by": actor.id}
    )
    if not created and any(getattr(source, key) != value for key, value in values.items() if key != "cursor"):
        raise problems.BadSource(field="name", reason="taken")
    return source


def start(actor: Actor, name: str) -> HarvestRun:
    """Have a catalogue read now; a run that is under way is that run. Raises NotAllowed, :class:`UnknownSource`."""
    require(actor, "operator", "approver")
    with transaction.atomic():
        source = _locked(name)
        source.paused = False
        run = source.runs.filter(finished_at=None).first() or _begin(source)
        _next(source, timedelta())
        source.save()
    return run


def pause(actor: Actor, name: str) -> HarvestSource:
    """Read a catalogue no more until it is started again; what is known of it stays. Raises as :func:`start`."""
    require(actor, "operator", "approver")
    with transaction.atomic():
        source = _locked(name)
        source.paused, source.turn = True, source.turn + 1
        source.save()
    return source


def to_the_end(actor: Actor, name: str, *, sleep: Callable[[float], None] = time.sleep) -> HarvestRun:
    """Read a catalogue here and now, step by step. Raises as :func:`start`, and :class:`HarvestFailed`."""
    run = start(actor, name)
    while HarvestRun.objects.filter(pk=run.pk, finished_at=None).exists():
        source = HarvestSource.objects.get(pk=name)
        try:
            step(name, source.turn)
        except Again as again:
            raise failed(name, again.reason) from None
        if HarvestRun.objects.filter(pk=run.pk, finished_at=None).exists():
            sleep(words()["pause"])
    run.refresh_from_db()
    return run


def step(name: str, turn: int) -> None:
    """One step of the run under way, or the beginning of the next one; void if another timer has been set since.

    Raises :class:`Again`.
    """
    source = HarvestSource.objects.filter(pk=name, turn=turn, paused=False).first()
    if source is None:
        return
    run = source.runs.filter(finished_at=None).first()
    terms = _terms(source)
    try:
        with Fetcher(connect=10, reach=Reach.of((source.url,))) as http:
            told = _ask(http, terms, source.kind, source.cursor if run else _first(source))
    except (FetchFailed, Unreadable) as error:
        reason = error.reason if isinstance(error, FetchFailed) else str(error)
        HarvestRun.objects.filter(source=source, finished_at=None).update(error=reason)
        raise Again(reason, 0) from None
    except Again as again:
        HarvestRun.objects.filter(source=source, finished_at=None).update(error=again.reason)
        raise
    fit = [(found, _fit(found)) for found in told.found]
    with transaction.atomic():
        source = _locked(name)
        if source.turn != turn or source.paused:
            return
        run = source.runs.filter(finished_at=None).first() or _begin(source)
        counts = {key: run.counts.get(key, 0) for key in COUNTS}
        for found, said in fit:
            counts["seen"] += 1
            counts[_store(source, run, found, said)] += 1
        counts["seen"] += len(told.still_there)
        counts["unchanged"] += len(told.still_there)
        counts["refused"] += told.unreadable
        OpenDataset.objects.filter(source=source, upstream_id__in=told.still_there).update(seen_in=run.pk)
        run.counts, run.error = counts, ""
        if told.following is not None:
            source.cursor = told.following | {"run": run.pk}
            _next(source, timedelta(seconds=words()["pause"]))
        else:
            _finish(source, run, told.names)
        run.save()
        source.save()


# --- asking -----------------------------------------------------------------------------------------------------


class _Told:
    """What a step brought: descriptions, ids that are unchanged, where the next begins (None: it was the last)."""

    def __init__(
        self,
        found: Iterable[Found] = (),
        *,
        following: dict[str, Any] | None = None,
        still_there: Iterable[str] = (),
        unreadable: int = 0,
        names: set[str] | None = None,
    ) -> None:
        self.found, self.following, self.still_there = list(found), following, list(still_there)
        self.unreadable, self.names = unreadable, names


def _first(source: HarvestSource) -> dict[str, Any]:
    kept = {key: source.cursor[key] for key in ("language", "since") if key in source.cursor}
    return {
        **kept,
        "phase": "pages",
        "at": 0 if source.kind == "ckan" else 1,
        "newest": kept.get("since", ""),
    }


def _ask(http: Fetcher, terms: Terms, kind: str, cursor: Mapping[str, Any]) -> _Told:
    return {"ckan": _ask_ckan, "gd-open": _ask_gd}[kind](http, terms, cursor)


def _ask_ckan(http: Fetcher, terms: Terms, cursor: Mapping[str, Any]) -> _Told:
    if cursor["phase"] == "names":
        return _Told(names=set(harvesting.ckan_name_list(_get(http, harvesting.ckan_names(terms)))))
    packages = harvesting.ckan_packages(
        _get(http, harvesting.ckan_page(terms, cursor["at"], cursor.get("since", "")))
    )
    found, unreadable = [], 0
    for package in packages:
        try:
            found.append(harvesting.from_ckan(package, terms))
        except Unreadable:
            unreadable += 1
    newest = max([cursor["newest"], *(one.modified for one in found)])
    following = {**cursor, "at": cursor["at"] + len(packages), "newest": newest}
    if len(packages) < words()["page"]:
        following["phase"] = "names"
    return _Told(found, following=following, unreadable=unreadable)


def _ask_gd(http: Fetcher, terms: Terms, cursor: Mapping[str, Any]) -> _Told:
    if cursor.get("waiting"):
        now, later = cursor["waiting"][: words()["details"]], cursor["waiting"][words()["details"] :]
        if cursor["phase"] == "check":
            # pages shift while they are read: who was on none of them is asked for by name before he is called gone
            asked = [(one["id"], _get(http, harvesting.gd_detail(terms, one["id"]))) for one in now]
            still = [name for name, answer in asked if harvesting.gd_is_there(answer)]
            return _Told(following={**cursor, "waiting": later}, still_there=still)
        found, unreadable = [], 0
        for listed in now:
            detail = _get(http, harvesting.gd_detail(terms, listed["id"]))
            files = _get(http, harvesting.gd_files(terms, listed["id"]))
            try:
                found.append(harvesting.from_gd(listed, detail, files, terms))
            except Unreadable:
                unreadable += 1
        return _Told(found, following={**cursor, "waiting": later}, unreadable=unreadable)
    if cursor["phase"] == "check":
        return _Told()
    listed_now = harvesting.gd_listed(_get(http, harvesting.gd_page(terms, cursor["at"])))
    if not listed_now:
        there = OpenDataset.objects.filter(source=terms.name, removed_at=None)
        unseen = there.exclude(seen_in=cursor.get("run", 0)).values_list("upstream_id", flat=True)
        return _Told(following={**cursor, "phase": "check", "waiting": [{"id": one} for one in unseen]})
    known = dict(
        OpenDataset.objects.filter(source=terms.name, removed_at=None, upstream_id__in=[one["id"] for one in listed_now])
        .values_list("upstream_id", "upstream_modified")
    )  # fmt: skip
    fresh = [one for one in listed_now if not one["modified"] or known.get(one["id"]) != one["modified"]]
    still = [one["id"] for one in listed_now if one not in fresh]
    return _Told(following={**cursor, "at": cursor["at"] + 1, "waiting": fresh}, still_there=still)


def _get(http: Fetcher, request: Request) -> bytes:
    """The body of a good answer. Raises FetchFailed, :class:`Again`."""
    headers = {
        "User-Agent": f"Wantong/{wantong.__version__} (+{config.current().url}/en/open-data)",
        "Accept": "application/json",
        "Accept-Encoding": "gzip",
    }
    content = b""
    if request.form is not None:
        content = urlencode(request.form).encode()
        headers["Content-Type"] = "application/x-www-form-urlencoded; charset=UTF-8"
    method = "GET" if request.form is None else "POST"
    reply = http.request(
        method, request.url, content, headers=headers, limit=words()["most"], deadline=words()["deadline"]
    )
    if reply.status in (429, 503):
        wait = reply.headers.get("retry-after", "")
        raise Again(f"answered {reply.status}", min(float(wait), 86_400.0) if wait.isdecimal() else 60.0)
    if reply.status != 200:
        raise Unreadable(f"answered {reply.status}")
    return reply.body


# --- storing ----------------------------------------------------------------------------------------------------


def _fit(found: Found) -> dict[str, Any] | None:
    """The record that may be shown, None for one that may not: faulty, or telling of a person.

    A description in which the gate finds a person (an address to write to, mostly) is left out; a title is not.
    """
    said = dict(found.record)
    if next(Record(**said).faults(), None) is not None:
        return None
    title = [*said["title"].values(), *said["publisher"]["name"].values()]
    if _tells_of_people("\n".join(title)):
        return None
    rest = [
        *said["description"].values(),
        *(text for keyword in said["keywords"] for text in keyword.values()),
    ]
    if _tells_of_people("\n".join(rest)):
        said |= {"description": dict(said["title"]), "keywords": []}
    return said


def _tells_of_people(text: str) -> bool:
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".txt") as file:
        file.write(text)
        file.flush()
        return scan(Path(file.name), on=clock.today(), shown_as="description.txt").personal


def _store(source: HarvestSource, run: HarvestRun, found: Found, said: dict[str, Any] | None) -> str:
    """What became of one: ``added``, ``changed``, ``unchanged``, ``returned`` or ``refused``."""
    row = OpenDataset.objects.filter(source=source, upstream_id=found.upstream_id).first()
    if said is None:
        if row is not None:
            OpenDataset.objects.filter(pk=row.pk).update(seen_in=run.pk)
        return "refused"
    if row is not None and row.upstream_digest == found.digest:
        if row.removed_at is None:
            OpenDataset.objects.filter(pk=row.pk).update(seen_in=run.pk)
            return "unchanged"
        OpenDataset.objects.filter(pk=row.pk).update(
            seen_in=run.pk, removed_at=None, revision=next_revision()
        )
        return "returned"
    if row is None and OpenDataset.objects.filter(name=said["name"]).exists():
        return "refused"
    outcome = "added" if row is None else "changed" if row.removed_at is None else "returned"
    now = timezone.now()
    modified = _moment(found.modified) or now
    row = row or OpenDataset(
        id=uuid.uuid5(uuid.NAMESPACE_URL, f"{source.url}#{found.upstream_id}"), name=said["name"], source=source,
        upstream_id=found.upstream_id, created_at=now, published_by=source.created_by,
    )  # fmt: skip
    said["name"] = row.name
    row.record, row.organization = said, said["publisher"]["id"]
    row.version += 1
    row.newest, row.modified_at = modified.date(), modified
    row.upstream_url, row.upstream_modified, row.upstream_digest = found.url, found.modified, found.digest
    row.seen_in, row.removed_at = run.pk, None
    row.terms, row.revision = searching.terms(row.name, said, ()), next_revision()
    row.save()
    Resource.objects.filter(dataset=row).delete()
    Resource.objects.bulk_create([_resource(row, at, link, modified) for at, link in enumerate(found.links)])
    return outcome


def _resource(row: OpenDataset, at: int, link: Link, issued: datetime) -> Resource:
    language = row.record["languages"][0]
    return Resource(
        id=uuid.uuid5(row.id, f"{at}:{link.key}"), dataset=row, position=at, title={language: link.title},
        format=link.format, url=link.url, size=link.size, issued_at=issued,
    )  # fmt: skip


def _finish(source: HarvestSource, run: HarvestRun, names: set[str] | None) -> None:
    """End a run: mark what is gone, let what is back be back, set the timer of the next."""
    now = timezone.now()
    there = OpenDataset.objects.filter(source=source)
    if names is not None:
        gone = [
            pk
            for pk, upstream in there.filter(removed_at=None).values_list("pk", "upstream_id")
            if upstream not in names
        ]
        back = [
            pk
            for pk, upstream in there.exclude(removed_at=None).values_list("pk", "upstream_id")
            if upstream in names
        ]
    else:
        gone = list(there.filter(removed_at=None).exclude(seen_in=run.pk).values_list("pk", flat=True))
        back = list(there.exclude(removed_at=None).filter(seen_in=run.pk).values_list("pk", flat=True))
    listed = there.filter(removed_at=None).count()
    if len(gone) > FEW and len(gone) > MOST_GONE * listed:
        run.error = f"not-believed {len(gone)}/{listed}"
        gone = []
    for chunk, removed in ((gone, now), (back, None)):
        for at in range(0, len(chunk), 500):
            there.filter(pk__in=chunk[at : at + 500]).update(removed_at=removed, revision=next_revision())
    run.counts = run.counts | {"removed": len(gone), "returned": run.counts["returned"] + len(back)}
    run.finished_at = now
    since = source.cursor.get("newest", "")
    source.cursor = {
        key: value for key, value in (("language", source.cursor["language"]), ("since", since)) if value
    }
    entry = {"source": source.url, "counts": run.counts}
    log.record("opendata.harvested", entry, now)
    logger.info("opendata.harvested", source=source.name, **run.counts)
    source.turn += 1
    if source.every:
        _next(source, timedelta(seconds=source.every))


def _begin(source: HarvestSource) -> HarvestRun:
    run = HarvestRun.objects.create(source=source, counts=dict.fromkeys(COUNTS, 0))
    source.cursor = _first(source) | {"run": run.pk}
    return run


def _next(source: HarvestSource, delay: timedelta) -> None:
    """Set the timer; one that was set before is void."""
    source.turn += 1
    outbox.publish(
        "opendata.harvest",
        f"opendata.harvest:{source.name}",
        {"source": source.name, "turn": source.turn},
        delay=delay,
    )


def _locked(name: str) -> HarvestSource:
    source = HarvestSource.objects.select_for_update().filter(pk=name).first()
    if source is None:
        raise problems.UnknownSource(source=name[:100])
    return source


def _terms(source: HarvestSource) -> Terms:
    return Terms(
        source.name, source.url, source.cursor["language"], source.place, source.licence, source.title
    )


def _moment(text: str) -> datetime | None:
    """CKAN's moments are UTC, those of 开放广东 the bay's; both do not say so."""
    try:
        found = parse_datetime(text.strip()) or parse_datetime(f"{text.strip()}:00")
    except ValueError:
        return None
    if found is None:
        return None
    zone = UTC if "T" in text else timezone.get_default_timezone()
    return found if found.tzinfo else found.replace(tzinfo=zone)


def _check(
    name: str, kind: str, url: str, title: Mapping[str, str], language: str, place: str, licence: str
) -> None:
    if not NAME.fullmatch(name) or len(name) > 60:
        raise problems.BadSource(field="name", reason="no-name", most=60)
    if not plain_url(url) or len(url) > 600:
        raise problems.BadSource(field="url", reason="no-address")
    if not title or not set(title) <= set(i18n.LANGUAGES) or not all(title.values()):
        raise problems.BadSource(field="title", reason="no-title", languages=", ".join(i18n.LANGUAGES))
    for field, value, choices in (
        ("kind", kind, harvesting.KINDS),
        ("language", language, i18n.LANGUAGES),
        ("place", place, ("", *codes("places"))),
        ("licence", licence, codes("licences")),
    ):
        if value not in choices:
            raise problems.BadSource(field=field, reason="choice", choices=", ".join(filter(None, choices)))


def failed(source: str, error: str) -> problems.HarvestFailed:
    """The trouble of a run (:attr:`HarvestRun.error`): a code, and after it a number if it has one."""
    code, _, number = error.partition(" ")
    if f"opendata.harvest.{code}" not in i18n.catalogue():
        code = error
    return problems.HarvestFailed(source=source, reason=code, number=number)


def told(source: HarvestSource) -> dict[str, Any]:
    """A catalogue as the API and the command tell it."""
    run = source.runs.first()
    return {
        "name": source.name,
        "kind": source.kind,
        "url": source.url,
        "title": source.title,
        "every": source.every,
        "paused": source.paused,
        "datasets": source.datasets.count(),
        "last_run": run
        and json.loads(
            json.dumps(
                {
                    "started_at": run.started_at,
                    "finished_at": run.finished_at,
                    "counts": run.counts,
                    "error": run.error,
                },
                default=str,
            )
        ),
    }
