"""The verbs of an offshore space: open, admit and confirm, register and approve a job, run it, return, close.

Every verb that changes something writes one action into the space's history and one entry into the node's log.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
import subprocess
import sys
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone

import wantong
from wantong.border.exchange import enforcement, terms
from wantong.border.exchange import services as exchange
from wantong.border.exchange.catalogue import Metadata
from wantong.border.exchange.models import Dataset, ReceivedDataset
from wantong.border.exchange.offshore import job as jobs
from wantong.border.exchange.offshore import lineage, runner
from wantong.border.exchange.offshore.models import Action, Item, Job, Run, Space
from wantong.border.exchange.offshore.problems import (
    BadJob,
    BadSpace,
    NotFromOutside,
    NotInThisState,
    SameHand,
    SpaceClosed,
    Stale,
    UnknownSpace,
)
from wantong.border.exchange.problems import TermsUnmet
from wantong.border.gate.declarations import ledger
from wantong.border.gate.declarations.consignment import JURISDICTIONS
from wantong.border.gate.declarations.models import Declaration, Direction, Holding
from wantong.border.gate.declarations.services import Document
from wantong.border.gate.rules import Assessment, assess
from wantong.border.gate.whitelist import services as whitelist
from wantong.border.trust.models import Peer
from wantong.ground import config, drafts, i18n
from wantong.ground.actors import Actor
from wantong.ground.http.auth import require
from wantong.ground.i18n import LANGUAGES
from wantong.ground.log import services as log
from wantong.ground.outbox import services as outbox

MEMORY = 512 << 20
LARGEST_RESULT = 1 << 30
SECONDS = 30  # well under the lease of an outbox event
RETURNED_FOR = dt.timedelta(days=30)


# --- the space --------------------------------------------------------------------------------------------------


def open_space(actor: Actor, title: Mapping[str, str], purpose: str, parties: Sequence[str]) -> Space:
    """Open a space for data of ``parties`` (participant ids), none of them of this node's own jurisdiction.

    Raises NotAllowed, :class:`BadSpace`.
    """
    require(actor, "approver", "operator")
    if not title or not set(title) <= set(LANGUAGES) or not all(0 < len(v) <= 300 for v in title.values()):
        raise BadSpace(field="title", reason="not-texts", most=300, languages=", ".join(LANGUAGES))
    if not 0 < len(purpose) <= 200:
        raise BadSpace(field="purpose", reason="bad-text", most=200)
    found = list(Peer.objects.filter(participant_id__in=parties, active=True))
    if not parties or {peer.participant_id for peer in found} != set(parties):
        raise BadSpace(field="parties", reason="not-recognised")
    if any(_place(peer) == _home() for peer in found):
        raise BadSpace(field="parties", reason="same-place")
    with transaction.atomic():
        space = Space.objects.create(title=dict(title), purpose=purpose, opened_by=actor.id)
        space.parties.set(found)
        _note(space, actor, "open", {"purpose": purpose, "parties": sorted(parties)})
    return space


def get(space_id: uuid.UUID | str) -> Space:
    """The space. Raises :class:`UnknownSpace`."""
    try:
        return Space.objects.get(id=space_id)
    except (Space.DoesNotExist, ValidationError):
        raise UnknownSpace(space=str(space_id)[:64]) from None


@transaction.atomic
def close(actor: Actor, space_id: uuid.UUID | str, note: str = "") -> Space:
    """Close a space: results are deleted, and what was admitted leaves it (its holding keeps its own term).

    Idempotent. Raises NotAllowed, :class:`UnknownSpace`.
    """
    require(actor, "approver", "operator")
    space = _lock(space_id, also_closed=True)
    if space.closed_at is None:
        space.closed_at = timezone.now()
        space.save(update_fields=("closed_at",))
        kept = space.items.exclude(state__in=(Item.State.DELETED, Item.State.RETURNED))
        digests = sorted(kept.exclude(sha256="").values_list("sha256", flat=True))
        kept.update(state=Item.State.DELETED)
        _note(space, actor, "close", {"deleted": digests}, note)
        for sha256 in digests:
            outbox.publish(
                "offshore.unlink", f"offshore:{space.id}", {"space": str(space.id), "sha256": sha256}
            )
    return space


# --- what enters ------------------------------------------------------------------------------------------------


@transaction.atomic
def admit(actor: Actor, space_id: uuid.UUID | str, transfer_id: str, name: str, document: Document) -> Item:
    """Propose that what a transfer has brought enters the space, as the table ``name``.

    ``document`` is the owner's word that the data was collected outside. Raises NotAllowed, :class:`UnknownSpace`,
    :class:`SpaceClosed`, :class:`BadSpace`, UnknownDeclaration, BadDocument, and :class:`NotFromOutside` for data
    that this node has of its own, had before, or does not hold.
    """
    require(actor, "declarer", "approver")
    space = _lock(space_id)
    if not jobs.NAME.fullmatch(name):
        raise BadSpace(field="name", reason="no-name")
    paper = document.check()
    declaration = ledger.find(transfer_id, Direction.IMPORT)
    peer = space.parties.filter(participant_id=declaration.sender).first()
    if peer is None:
        raise NotFromOutside(reason="not-a-party")
    if _place(peer) == _home():
        raise NotFromOutside(reason="same-place")
    held = Holding.objects.filter(declaration=declaration, deleted_at=None).first()
    if held is None:
        raise NotFromOutside(reason="not-held")
    if declaration.media_type.partition(";")[0] not in runner.READERS:
        raise BadSpace(field="media_type", reason="choice", choices=", ".join(runner.READERS))
    # what has left from here and comes back was not collected outside, whatever it is called now
    digests = {held.sha256, declaration.payload_sha256}
    if (
        Dataset.objects.filter(sha256__in=digests).exists()
        or Declaration.objects.filter(direction=Direction.EXPORT, payload_sha256__in=digests).exists()
    ):
        raise NotFromOutside(reason="from-here")
    try:
        with transaction.atomic():
            item = Item.objects.create(
                space=space,
                name=name,
                state=Item.State.PROPOSED,
                declaration=declaration,
                owner=peer.participant_id,
                place=_place(peer),
                facts=dict(ledger.fold_of(declaration).facts),
                columns=list(declaration.fields),
                size=held.size,
                document=paper,
                admitted_by=actor.id,
            )
    except IntegrityError:
        raise NotInThisState(what=name) from None
    _note(
        space, actor, "admit", {"item": str(item.id), "payload": {"sha256": held.sha256}, "document": paper}
    )
    return item


@transaction.atomic
def confirm(actor: Actor, item_id: uuid.UUID | str) -> Item:
    """A second person agrees that the data enters. Raises NotAllowed, :class:`UnknownSpace`, :class:`SameHand`,
    :class:`NotInThisState`."""
    require(actor, "approver")
    item = _lock_item(item_id)
    if item.state != Item.State.PROPOSED:
        raise NotInThisState(what=item.name)
    if item.admitted_by == actor.id:
        raise SameHand()
    item.state, item.confirmed_by = Item.State.PRESENT, actor.id
    item.save(update_fields=("state", "confirmed_by"))
    _note(item.space, actor, "confirm", {"item": str(item.id)})
    return item


# --- what is done with it ---------------------------------------------------------------------------------------


@transaction.atomic
def register(actor: Actor, space_id: uuid.UUID | str, title: str, sql: str, inputs: Sequence[str]) -> Job:
    """Register a job that reads the tables ``inputs``. The same one again is the same job.

    Raises NotAllowed, :class:`UnknownSpace`, :class:`SpaceClosed`, :class:`BadJob`.
    """
    require(actor, "declarer", "approver")
    space = _lock(space_id)
    if not 0 < len(title) <= 200:
        raise BadJob(reason="no-title", most=200)
    jobs.check(sql, inputs)
    digest = jobs.digest(sql, inputs)
    job, created = Job.objects.get_or_create(
        space=space,
        digest=digest,
        defaults={"title": title, "sql": sql, "inputs": list(inputs), "registered_by": actor.id},
    )
    if created:
        _note(space, actor, "register", {"job": digest})
    return job


@transaction.atomic
def approve(actor: Actor, job_id: uuid.UUID | str) -> Job:
    """A second person has read the job. Raises NotAllowed, :class:`UnknownSpace`, :class:`SameHand`,
    :class:`NotInThisState`."""
    require(actor, "approver")
    job = _job(job_id)
    space = _lock(job.space_id)
    job.refresh_from_db()
    if job.approved_by is not None:
        raise NotInThisState(what=job.title)
    if job.registered_by == actor.id:
        raise SameHand()
    job.approved_by = actor.id
    job.save(update_fields=("approved_by",))
    _note(space, actor, "approve", {"job": job.digest})
    return job


@transaction.atomic
def start(actor: Actor, job_id: uuid.UUID | str, name: str) -> Run:
    """Have an approved job run; its result will be the table ``name``. Raises NotAllowed, :class:`UnknownSpace`,
    :class:`SpaceClosed`, :class:`BadSpace`, :class:`NotInThisState`."""
    require(actor, "declarer", "approver")
    job = _job(job_id)
    space = _lock(job.space_id)
    if not jobs.NAME.fullmatch(name):
        raise BadSpace(field="name", reason="no-name")
    if space.items.filter(name=name).exists():
        raise BadSpace(field="name", reason="taken")
    if job.approved_by is None:
        raise NotInThisState(what=job.title)
    run = Run.objects.create(job=job, name=name, started_by=actor.id)
    _note(space, actor, "start", {"job": job.digest, "run": str(run.id)})
    outbox.publish("offshore.run", f"offshore:{space.id}", {"run": str(run.id)})
    return run


def perform(run_id: uuid.UUID | str) -> Run:
    """Do a queued run: in a process of its own, over the tables of its space and nothing else. Idempotent."""
    run = Run.objects.select_related("job__space").get(id=run_id)
    job, space = run.job, run.job.space
    if run.state != Run.State.QUEUED:
        return run
    folder = _folder(space)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    drafts.sweep(folder)
    tables = {item.name: item for item in space.items.filter(name__in=job.inputs, state=Item.State.PRESENT)}
    with drafts.draft(folder) as draft:
        try:
            if missing := [name for name in job.inputs if name not in tables]:
                raise _Failed("missing", tables=", ".join(missing))
            read = {name: _payload(item) for name, item in tables.items()}
            lineage_of = [str(item.id) for item in tables.values()]
            for item_id in lineage_of:
                lineage.roots(item_id, _space(space), _home())
            for item in tables.values():
                _use(item, run)
            output = draft / "result.csv"
            told = _run(job, {name: (path, kind) for name, (path, kind, _) in read.items()}, output)
            with output.open("rb") as file:
                sha256 = hashlib.file_digest(file, "sha256").hexdigest()
                os.fsync(file.fileno())
            size = output.stat().st_size
            output.rename(folder / sha256)
        except _Failed as failed:
            return _failed(run, failed)
        except lineage.Mixed as mixed:
            return _failed(run, _Failed(mixed.reason, item=mixed.item))
        with transaction.atomic():
            _lock(space.id)
            run = Run.objects.select_for_update().get(id=run.id)
            run.state, run.finished_at, run.rows = Run.State.DONE, timezone.now(), told["rows"]
            run.inputs = [
                {"item": str(tables[name].id), "sha256": digest} for name, (_, _, digest) in read.items()
            ]
            run.save()
            item = Item.objects.create(
                space=space,
                name=run.name,
                state=Item.State.PRESENT,
                run=run,
                made_of=sorted(lineage_of),
                columns=told["columns"],
                sha256=sha256,
                size=size,
            )
            behind = {"inputs": sorted(entry["sha256"] for entry in run.inputs), "job": job.digest}
            _note(space, OFFSHORE, "made", {"item": str(item.id), "payload": {"sha256": sha256}, **behind})
    return run


# --- what returns -----------------------------------------------------------------------------------------------


def lawful(item: Item, on: dt.date) -> dict[str, Assessment]:
    """What the law of that day answers for the way back to each owner: participant id → assessment."""
    behind = _roots(item)
    facts = lineage.facts(behind)
    frame = {"from_jurisdiction": _home(), "transfer_date": on}
    return {root.owner: assess({**facts, **frame, "to_jurisdiction": root.place}, on) for root in behind}


def give_back(actor: Actor, item_id: uuid.UUID | str, receiver: str, title: Mapping[str, str]) -> Item:
    """Offer a result to the one node that its data came from, and propose the item of the whitelist that lets it go.

    From here it is a crossing like any other: the receiver asks, two people agree, the gate decides by the law of
    that day on facts that this space has stated. Raises NotAllowed, :class:`UnknownSpace`, :class:`SpaceClosed`,
    :class:`NotInThisState`, :class:`Stale`, :class:`NotFromOutside` if some of it came from somebody else, and as
    ``publish_dataset`` and ``propose``.
    """
    require(actor, "declarer", "approver")
    item = _item(item_id)
    behind = _roots(item)
    if lineage.owners(behind) != {receiver}:
        raise NotFromOutside(reason="of-others")
    if item.run is None or item.state != Item.State.PRESENT:
        raise NotInThisState(what=item.name)
    if _stale(item.run):
        raise Stale(item=item.name)
    space = item.space
    dataset_id = f"urn:wantong:offshore:{space.id}:{item.id}"
    wish = terms.constraint(terms.PURPOSE, "eq", space.purpose)
    # by itself: repeating it is harmless, and the file is copied outside of our transaction
    exchange.publish_dataset(
        actor,
        _folder(space) / item.sha256,
        Metadata(
            id=dataset_id,
            title=title,
            fields=[{"name": name} for name in item.columns],
            media_type="text/csv",
            filename=f"{item.name}.csv",
            audience=[receiver],
            facts=lineage.facts(behind),
            offers=[
                terms.offer(f"{dataset_id}:offer", {"permission": [{"action": "use", "constraint": [wish]}]})
            ],
        ),
    )
    with transaction.atomic():
        space = _lock(space.id)
        item = _lock_item(item.id)
        if item.state != Item.State.PRESENT:
            raise NotInThisState(what=item.name)
        today = timezone.localdate()
        whitelist.propose(
            actor,
            dataset_id=dataset_id,
            fields=dict.fromkeys(item.columns, "keep"),
            purpose=space.purpose,
            receiver=receiver,
            legal_basis="contract",
            valid_from=today,
            valid_until=today + RETURNED_FOR,
        )
        item.state, item.dataset_id = Item.State.RETURNED, dataset_id
        item.save(update_fields=("state", "dataset_id"))
        _note(
            space, actor, "return", {"item": str(item.id), "payload": {"sha256": item.sha256}, "to": receiver}
        )
    return item


def result_file(item_id: uuid.UUID | str) -> tuple[Path, str]:
    """Where a result lies and what it is called. Raises :class:`UnknownSpace`, :class:`NotInThisState`."""
    item = _item(item_id)
    if item.run is None or item.state == Item.State.DELETED:
        raise NotInThisState(what=item.name)
    return _folder(item.space) / item.sha256, f"{item.name}.csv"


# --- inside -----------------------------------------------------------------------------------------------------

OFFSHORE = Actor("system:offshore", "offshore")


class _Failed(Exception):
    """The run ends without a result, for ``reason``: a code, with what its words need (language maps among it).

    None of it quotes data.
    """

    def __init__(self, reason: str, **params: Any) -> None:
        super().__init__(reason)
        self.reason, self.params = reason, params

    def told(self) -> dict[str, Any]:
        """What is kept beside the run: ``reason``, and its words as a language map, ``text``."""
        text = {}
        for lang in LANGUAGES:
            of = {name: one[lang] if isinstance(one, dict) else one for name, one in self.params.items()}
            text[lang] = i18n.t(f"offshore.run-failed.{self.reason}", lang, **of)
        return {"reason": self.reason, "text": text}


def _home() -> str:
    return JURISDICTIONS[config.current().jurisdiction]


def _place(peer: Peer) -> str:
    return JURISDICTIONS[peer.jurisdiction]


def _folder(space: Space) -> Path:
    folder: Path = config.current().offshore / str(space.id)
    return folder


def unlink(space_id: str, sha256: str) -> None:
    """Delete the file of a result that no item of its space holds any more."""
    held = Item.objects.filter(space=space_id, sha256=sha256).exclude(state=Item.State.DELETED)
    if not held.exists():
        (config.current().offshore / space_id / sha256).unlink(missing_ok=True)


def _space(space: Space) -> dict[str, lineage.Item]:
    """All that is in a space, as the pure core sees it."""
    present = space.items.filter(state__in=(Item.State.PRESENT, Item.State.RETURNED))
    return {
        str(item.id): lineage.Item(str(item.id), item.owner, item.place, item.facts, tuple(item.made_of))
        for item in present
    }


def _roots(item: Item) -> tuple[lineage.Item, ...]:
    try:
        return lineage.roots(str(item.id), _space(item.space), _home())
    except lineage.Mixed:
        raise NotInThisState(what=item.name) from None


def _payload(item: Item) -> tuple[Path, str, str]:
    """Where an item lies now, its media type and digest: of what was admitted, as its holding stands today."""
    if item.declaration is None:
        return _folder(item.space) / item.sha256, "text/csv", item.sha256
    held = Holding.objects.filter(declaration=item.declaration, deleted_at=None).first()
    if held is None:
        raise _Failed("deleted", item=item.name)
    return Path(held.path), item.declaration.media_type, held.sha256


def _use(item: Item, run: Run) -> None:
    """That the agreement under which an admitted item came lets it be used once more; the same run is the same use."""
    if item.declaration is None:
        return
    row = ReceivedDataset.objects.filter(transfer__id=item.declaration.transfer_id).first()
    if row is None:
        return  # it came without an agreement, declared by hand
    try:
        enforcement.take_out(row, f"offshore:{run.id}")
    except TermsUnmet as problem:
        why = {lang: problem.explain(lang)["detail"] for lang in LANGUAGES}
        raise _Failed("terms", item=item.name, told=why) from None


def _stale(run: Run) -> bool:
    """Whether anything behind a result is not what it was when the job read it."""
    for entry in run.inputs:
        item = Item.objects.select_related("declaration", "run", "space").get(id=entry["item"])
        try:
            if _payload(item)[2] != entry["sha256"]:
                return True
        except _Failed:
            return True
        if item.run is not None and _stale(item.run):
            return True
    return False


def _run(job: Job, tables: Mapping[str, tuple[Path, str]], output: Path) -> dict[str, Any]:
    """Let the job's process work. Raises :class:`_Failed`."""
    request = {
        "inputs": {name: {"path": str(path), "media_type": kind} for name, (path, kind) in tables.items()},
        "sql": job.sql,
        "output": str(output),
        "memory": MEMORY,
        "largest": LARGEST_RESULT,
        "seconds": SECONDS,
    }
    answer = _in_its_own_process(request)
    if "error" in answer:
        raise _Failed("sql", told=answer["error"])
    return answer


def _in_its_own_process(request: Mapping[str, Any]) -> dict[str, Any]:
    try:
        done = subprocess.run(  # noqa: S603 - our own module, fixed arguments
            [sys.executable, "-s", "-m", runner.__name__],
            input=json.dumps(request),
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
            cwd="/",
            env={"PYTHONPATH": str(Path(wantong.__file__).parent.parent), "PYTHONUTF8": "1"},
            start_new_session=True,
        )
    except subprocess.TimeoutExpired:
        raise _Failed("too-long", seconds=SECONDS) from None
    try:
        answer: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        raise _Failed("ended", status=done.returncode) from None
    return answer


@transaction.atomic
def _failed(run: Run, why: _Failed) -> Run:
    run = Run.objects.select_for_update().get(id=run.id)
    if run.state == Run.State.QUEUED:
        run.state, run.failure, run.finished_at = Run.State.FAILED, why.told(), timezone.now()
        run.save()
    return run


def _lock(space_id: Any, *, also_closed: bool = False) -> Space:
    space = get(space_id)
    space = Space.objects.select_for_update().get(id=space.id)
    if space.closed_at is not None and not also_closed:
        raise SpaceClosed(space=str(space.id))
    return space


def _item(item_id: uuid.UUID | str) -> Item:
    try:
        return Item.objects.select_related("space", "run", "declaration").get(id=item_id)
    except (Item.DoesNotExist, ValidationError):
        raise UnknownSpace(space=str(item_id)[:64]) from None


def _lock_item(item_id: uuid.UUID | str) -> Item:
    """The item as it is once nobody else changes its space."""
    _lock(_item(item_id).space_id)
    return _item(item_id)


def _job(job_id: uuid.UUID | str) -> Job:
    try:
        return Job.objects.select_related("space").get(id=job_id)
    except (Job.DoesNotExist, ValidationError):
        raise UnknownSpace(space=str(job_id)[:64]) from None


def _note(space: Space, actor: Actor, act: str, data: Mapping[str, Any], note: str = "") -> None:
    """Into the history of the space, and into the log: of papers only their digests, for the log is public."""
    at = timezone.now()
    public = {key: value for key, value in data.items() if key not in ("document", "purpose")}
    if "document" in data and data["document"]["sha256"]:
        public["document"] = {"sha256": data["document"]["sha256"]}
    entry = log.record(f"offshore.{act}", {"space": str(space.id), **public}, at)
    Action.objects.create(
        space=space,
        act=act,
        actor=actor.id,
        actor_name=actor.name,
        at=at,
        note=note,
        data=dict(data),
        log_entry=entry.id,
    )
