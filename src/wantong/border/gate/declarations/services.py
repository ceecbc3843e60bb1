"""The verbs of the gate (数据海关) for people, peers and the floor above.

:func:`declare` brings a consignment before the gate; from there it moves on by itself (:mod:`.steps`) until it must
wait for somebody, whose :func:`act` sets it going again. Every verb is one transaction: the action, the cached
projection, the log entry and the next event are written together or not at all.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from wantong.border.gate.consent import services as consent
from wantong.border.gate.declarations import counting, counts, deliverable, outgoing
from wantong.border.gate.declarations.consignment import Consignment
from wantong.border.gate.declarations.ledger import GATE, WITNESSED, do, find, lock, tell, then
from wantong.border.gate.declarations.models import Declaration, Direction, State
from wantong.border.gate.declarations.problems import (
    ActIncomplete,
    BadConsignment,
    BadDocument,
    ColumnsMissing,
    TransferReplayed,
)
from wantong.border.gate.declarations.steps import proposer, recall_soon, settle_locked
from wantong.border.gate.declarations.workflow import Projection, Workflow
from wantong.border.gate.rules import assess
from wantong.ground import bulk, config
from wantong.ground.actors import Actor
from wantong.ground.http.idempotency import begin
from wantong.ground.log import services as log


@dataclass(frozen=True)
class Document:
    """A paper that stands behind an act: what it is, its number if it has one, the SHA-256 (hex) of its file."""

    title: str
    number: str = ""
    sha256: str = ""

    def check(self) -> dict[str, str]:
        """As stored. Raises BadDocument."""
        if not self.title.strip() or len(self.title) > 300 or len(self.number) > 100:
            raise BadDocument(reason="text")
        if self.sha256 and (len(self.sha256) != 64 or set(self.sha256) - set("0123456789abcdef")):
            raise BadDocument(reason="digest")
        return {"title": self.title.strip(), "number": self.number.strip(), "sha256": self.sha256}


# --- declare ----------------------------------------------------------------------------------------------------


def declare(actor: Actor, consignment: Consignment) -> Declaration:
    """Bring a consignment before the gate. The same one again is the same declaration.

    Raises BadConsignment, PayloadMissing, PayloadUnreadable, ColumnsMissing, TransferReplayed (the transfer id with
    other content), ActNotAllowed, and FactsProblem for facts that cannot be; then nothing is stored.
    """
    nothing_yet = Projection(workflow=Workflow.load().version)
    Workflow.load().check(nothing_yet, actor, "declare")
    consignment = consignment.check(config.current().jurisdiction)
    if consignment.retain_until is not None and consignment.retain_until < timezone.localdate():
        raise BadConsignment(field="retain_until", reason="past")
    assess(consignment.facts, timezone.localdate())  # impossible facts are told now, not later
    sha256, size = deliverable.digest(consignment.path)
    columns = deliverable.header(consignment.path, consignment.media_type, sha256)
    wanted = [*consignment.fields, *filter(None, [consignment.subject_column])]
    if missing := [name for name in wanted if name not in columns]:
        raise ColumnsMissing(columns=", ".join(missing)[:500])
    digest = consignment.digest(sha256)
    begin()  # the payload has been read
    try:
        with transaction.atomic():
            declaration = Declaration.objects.create(
                transfer_id=consignment.transfer_id,
                direction=consignment.direction,
                digest=digest,
                dataset_id=consignment.dataset_id,
                title=consignment.title if isinstance(consignment.title, str) else dict(consignment.title),
                path=str(consignment.path.absolute()),
                payload_sha256=sha256,
                payload_size=size,
                media_type=consignment.media_type,
                fields=list(consignment.fields),
                subject_column=consignment.subject_column,
                purpose=consignment.purpose,
                sender=consignment.sender,
                receiver=consignment.receiver,
                agreement_id=consignment.agreement_id,
                retain_until=consignment.retain_until,
                promised_sha256=consignment.sha256,
                waybill=dict(consignment.waybill) or None,
                service=dict(consignment.service),
                state=State.DECLARED,
                declared_by=actor.id,
            )
            do(
                declaration,
                nothing_yet,
                actor,
                "declare",
                data={
                    "workflow": nothing_yet.workflow,
                    "consignment": digest,
                    "payload": {"sha256": sha256, "size": size},
                    "publisher": consignment.publisher,
                    "facts": dict(consignment.facts),
                },
            )
            then(declaration, "gate.classify")
            return declaration
    except IntegrityError:
        before = Declaration.objects.filter(
            transfer_id=consignment.transfer_id, direction=consignment.direction
        ).first()
        if before is None:
            raise
        if before.digest != digest:
            raise TransferReplayed(transfer_id=consignment.transfer_id) from None
        return before


def sweep(folder: Path) -> None:
    """Delete the payloads in ``folder`` that belong to no declaration: whoever sent them in was cut off by a kill.

    Only the node's single web process may call this, when it starts.
    """
    known = set(Declaration.objects.filter(path__startswith=str(folder)).values_list("path", flat=True))
    for path in folder.glob("*"):
        if str(path) not in known:
            path.unlink(missing_ok=True)


# --- people act -------------------------------------------------------------------------------------------------


@transaction.atomic
def act(
    actor: Actor,
    declaration_id: uuid.UUID | str,
    act: str,
    note: str = "",
    document: Document | None = None,
    *,
    requirements: Collection[str] = (),
    facts: Mapping[str, Any] | None = None,
) -> Declaration:
    """A person does something: ``confirm``, ``approve``, ``explain``, ``authority_decision``, ``answer_facts``,
    ``hold``, ``resume``, ``refuse`` or ``recall``.

    ``requirements`` are the ids (see ``Declaration.waiting_for``) that ``confirm`` and ``explain`` meet; ``approve``
    and ``authority_decision`` meet all open ones of their kind. ``facts`` are the answers of ``answer_facts``.
    Raises UnknownDeclaration, ActNotPossible, ActNotAllowed, OwnDeclaration, OwnDataset, OwnProposal, ActIncomplete,
    BadDocument and FactsProblem.
    """
    declaration, projection = lock(declaration_id)
    workflow = Workflow.load(projection.workflow)
    paper = document.check() if document else None
    waiting = {r["id"]: r for r in projection.waiting_for}
    kind = {"approve": "signature", "authority_decision": "authority"}.get(act)
    meets = (
        [i for i, r in waiting.items() if r["kind"] == kind] if kind else list(dict.fromkeys(requirements))
    )
    given = {
        "note": bool(note.strip()),
        "document": paper is not None,
        "number": bool(paper and paper["number"]),
        "requirements": bool(meets),
        "facts": bool(facts),
    }
    there = [name for name, is_there in given.items() if is_there]
    workflow.check(projection, actor, act, there, proposer=proposer(declaration, projection))
    if act in _MEETING:
        expected = {i for i, r in waiting.items() if r["act"] == act}
        if not meets or not set(meets) <= expected:
            raise ActIncomplete(act=act, missing="requirements")
        if any(waiting[i]["number"] for i in meets) and not given["number"]:
            raise ActIncomplete(act=act, missing="number")
    data: dict[str, Any] = {"requirements": meets} if act in _MEETING else {}
    if act == "answer_facts":
        answers = {k: v.isoformat() if isinstance(v, dt.date) else v for k, v in (facts or {}).items()}
        assess({**projection.facts, **answers}, timezone.localdate())
        data = {"facts": answers}
    if act == "recall":
        request = {"actor": actor.id, "name": actor.name, "note": note, "release": projection.actions}
        recall_soon(declaration, **request)
        return declaration
    projection = do(declaration, projection, actor, act, note=note, document=paper, data=data)
    match act:
        case "answer_facts" | "resume":
            then(declaration, "gate.decide")
        case "refuse":
            tell(declaration, "gate.refused")
        case "hold":
            tell(declaration, "gate.held")
        case _:
            settle_locked(declaration, projection)
    return declaration


# --- delivery ---------------------------------------------------------------------------------------------------


@transaction.atomic
def delivered(actor: Actor, transfer_id: str, *, logged: str = "") -> Declaration:
    """The receiver has the parcel: count its persons, note that their data has left, record it. Idempotent.

    ``logged`` is the log entry that tells of it already, if this is made up for after a restore. Raises UnknownDeclaration, and ActNotPossible for a parcel that was never released.
    """
    seen = find(transfer_id, Direction.EXPORT)
    year = counts.lock_year(seen.sender)
    declaration, projection = lock(seen.id)
    if projection.left:
        return declaration
    Workflow.load(projection.workflow).check(projection, actor, "deliver")
    assert projection.decision is not None
    new = 0
    # who was answered for has been counted when he was (:func:`answered`)
    if not declaration.service and counting.is_counted(projection.decision["assessment"]["rule_ids"]):
        persons = declaration.passengers.filter(leaves=True).values_list("commitment", flat=True)
        new = counts.count(year, list(persons), projection.decision["sensitive"])
    consent.left(declaration.transfer_id)
    do(declaration, projection, actor, "deliver", data={"counted": new}, logged=logged)
    then(declaration, "gate.receipt", delay=WITNESSED)
    return declaration


@transaction.atomic
def answered(transfer_id: str, persons: Collection[str]) -> int:
    """Data of these persons (commitments) has left in answers of a standing parcel: count them, bind their consents.

    Returns for how many it is the first time. Idempotent. Raises UnknownDeclaration.
    """
    seen = find(transfer_id, Direction.EXPORT)
    year = counts.lock_year(seen.sender)
    declaration, projection = lock(seen.id)
    assert projection.decision is not None
    new = [
        name
        for some in bulk.among(declaration.passengers.filter(leaves=False), "commitment", persons)
        for name in some.values_list("commitment", flat=True)
    ]
    for some in bulk.among(declaration.passengers.all(), "commitment", new):
        some.update(leaves=True)
    if counting.is_counted(projection.decision["assessment"]["rule_ids"]):
        counts.count(year, new, projection.decision["sensitive"])
    if projection.decision["on_consent"]:
        consent.answered(
            dataset_id=declaration.dataset_id,
            subjects=new,
            purpose=declaration.purpose,
            receiver=declaration.receiver,
            transfer_id=transfer_id,
        )
        if consent.withdrawn_in(transfer_id):
            recall_soon(declaration)  # withdrawn between the answer and this: settled now
    return len(new)


def has_answered(transfer_id: str) -> bool:
    """Whether data of anybody has left in answers of this transfer's standing parcel."""
    rows = Declaration.objects.filter(transfer_id=transfer_id, direction=Direction.EXPORT)
    return rows.filter(passengers__leaves=True).exists()


@transaction.atomic
def left_before(actor: Actor, transfer_id: str, logged: str, note: str) -> None:
    """The parcel had left before this node was restored from a backup: it must not leave again. Idempotent.

    A parcel that is released is delivered, as if it left now; ``logged`` is the entry that told of it then. One that
    the backup does not know as released is at its end, and all who are in the consignment are counted: some may have
    been left out, but nobody who left goes uncounted. Raises UnknownDeclaration.
    """
    seen = find(transfer_id, Direction.EXPORT)
    folder = config.current().outgoing
    if seen.state == State.RELEASED:
        outgoing.claim(folder, transfer_id)
        delivered(actor, transfer_id, logged=logged)
        return
    outgoing.discard(folder, transfer_id)
    year = counts.lock_year(seen.sender)
    declaration, projection = lock(seen.id)
    workflow = Workflow.load(projection.workflow)
    if projection.state in workflow.final or projection.left:
        return
    persons = list(declaration.passengers.values_list("commitment", flat=True))
    counts.count(year, persons, bool((projection.classification or {}).get("sensitive")))
    do(declaration, projection, actor, "abandon", note=note)
    consent.stopped(declaration.transfer_id)


def abandoned(actor: Actor, transfer_id: str, direction: str, reason: str) -> None:
    """The transfer is over without a delivery: nothing leaves any more, and nobody waits. Idempotent.

    What has left cannot be abandoned, nor what is at its end. Raises UnknownDeclaration.
    """
    seen = find(transfer_id, direction)
    if direction == Direction.EXPORT:
        outgoing.take_back(config.current().outgoing, transfer_id)
    with transaction.atomic():
        declaration, projection = lock(seen.id)
        workflow = Workflow.load(projection.workflow)
        if projection.state in workflow.final or projection.left:
            return
        if direction == Direction.EXPORT and outgoing.has_left(config.current().outgoing, transfer_id):
            return
        workflow.check(projection, actor, "abandon", ["note"])
        do(declaration, projection, actor, "abandon", note=reason or "abandoned")
        consent.stopped(declaration.transfer_id)


def receipted(declaration_id: uuid.UUID | str) -> bool:
    """Note that the receipt of the delivery exists. False while it does not."""
    with transaction.atomic():
        declaration, projection = lock(declaration_id)
        if projection.state == State.DELIVERED:
            entry = declaration.actions.filter(act="deliver").values_list("log_entry", flat=True).get()
            if log.receipt(entry) is None:
                return False
            do(declaration, projection, GATE, "receipt", data={"log_entry": str(entry)})
    # also when it is noted already: who noted it may have died before this
    if declaration.direction == Direction.EXPORT:
        outgoing.discard(config.current().outgoing, declaration.transfer_id)
    return True


_MEETING = frozenset({"confirm", "explain", "approve", "authority_decision"})


def refuse(actor: Actor, declaration_id: uuid.UUID | str, reason: str) -> Declaration:
    """Refuse for good. Raises as :func:`act`."""
    return act(actor, declaration_id, "refuse", reason)


def resume(actor: Actor, declaration_id: uuid.UUID | str, reason: str) -> Declaration:
    """Decide again, with today's law and counts; ends a hold by hand. Raises as :func:`act`."""
    return act(actor, declaration_id, "resume", reason)
