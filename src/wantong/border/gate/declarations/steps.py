"""How a declaration moves on by itself: classify, decide, release. One event of the outbox takes it as far as it goes.

Every step may be done twice and may die anywhere: it looks where the declaration stands, does its work outside the
transaction where that is long, and commits the action with what it brings about.

Locks are always taken in this order: sender's year, declaration, whitelist item, consent scope.
"""

from __future__ import annotations

import contextlib
import shutil
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from wantong.border.gate import keys
from wantong.border.gate.consent import services as consent
from wantong.border.gate.consent.models import Consent, ConsentUse
from wantong.border.gate.declarations import counting, counts, deliverable, findings, outgoing, receiving
from wantong.border.gate.declarations.decision import (
    Requirement,
    Step,
    contradictions,
    decision_id,
    next_step,
    requirements,
    rests_on_consent,
    substance,
)
from wantong.border.gate.declarations.ledger import GATE, do, fold_of, get, lock, tell, then
from wantong.border.gate.declarations.models import Declaration, Direction, SenderYear, State
from wantong.border.gate.declarations.problems import PayloadDiffers
from wantong.border.gate.declarations.standing import FORMS, Task
from wantong.border.gate.declarations.workflow import Projection, Workflow
from wantong.border.gate.rules import assess
from wantong.border.gate.whitelist import services as whitelist
from wantong.border.gate.whitelist.catalogue import PSEUDONYM
from wantong.border.gate.whitelist.models import WhitelistItem
from wantong.ground import config
from wantong.ground.actors import Actor
from wantong.ground.outbox import services as outbox
from wantong.ground.problems import Problem


def proceed(declaration_id: uuid.UUID | str, after: int) -> None:
    """Take a declaration that has been declared, or set going again, as far as it goes by itself.

    It is decided unless that has been done since there were ``after`` actions.
    """
    declaration = get(declaration_id)
    _classify(declaration)
    _decide(declaration, after)
    release(declaration_id)


# --- classify ---------------------------------------------------------------------------------------------------


def _classify(declaration: Declaration) -> None:
    """Read the payload: is it the one that was declared, what is in it, whose data is it?"""
    if declaration.state != State.DECLARED:
        return
    path = Path(declaration.path)
    try:
        sha256, _ = deliverable.digest(path)
        if sha256 != declaration.payload_sha256 or declaration.promised_sha256 not in ("", sha256):
            raise PayloadDiffers()
        if declaration.direction == Direction.IMPORT:
            receiving.check_columns(declaration)
        found = findings.look(path, sha256, declaration.fields, declaration.media_type)
        persons: set[str] = set()
        if declaration.subject_column and declaration.direction == Direction.EXPORT:
            identifiers = deliverable.column(path, declaration.subject_column, declaration.media_type)
            persons = set(consent.commitments(identifiers).values())
    except Problem as problem:
        with transaction.atomic():
            declaration, projection = lock(declaration.id)
            if projection.state == State.DECLARED:
                _refuse(declaration, projection, GATE, problem)
        return
    with transaction.atomic():
        declaration, projection = lock(declaration.id)
        if projection.state != State.DECLARED:
            return
        counts.board(declaration, dict.fromkeys(persons, ""), leaving=())
        do(declaration, projection, GATE, "classify", data={**found, "persons": len(persons)})


# --- decide -----------------------------------------------------------------------------------------------------


def _decide(seen: Declaration, after: int) -> None:
    """Ask the rules, find out what must still happen, and wait, hold or refuse unless it may be released.

    Nothing, if that has been done since there were ``after`` actions.
    """
    with transaction.atomic():
        year = _year(seen)
        declaration, projection = lock(seen.id)
        if projection.state not in _OPEN:
            return
        if declaration.actions.filter(act="decide", number__gt=after).exists():
            return
        try:
            if declaration.direction == Direction.EXPORT:
                receiving.check_onward(declaration, projection.facts)
            projection = do(
                declaration, projection, GATE, "decide", data=_decision(declaration, projection, year)
            )
        except Problem as problem:
            _refuse(declaration, projection, GATE, problem)
        else:
            step, still_open = _step(declaration, projection)
            if step != "release":
                _stop(declaration, projection, step, still_open)


def settle(declaration_id: uuid.UUID | str) -> None:
    """Look again whether everything that a decided declaration waits for has come."""
    with transaction.atomic():
        declaration, projection = lock(declaration_id)
        if projection.state in _OPEN and projection.decision is not None:
            settle_locked(declaration, projection)


# another thread was first; nothing stands in the way of the next attempt
AT_ONCE = timedelta(milliseconds=50)
_OPEN = (State.CLASSIFIED, State.DECIDED, State.WAITING, State.HELD)


def _year(declaration: Declaration) -> SenderYear | None:
    return counts.lock_year(declaration.sender) if declaration.direction == Direction.EXPORT else None


def _decision(declaration: Declaration, projection: Projection, year: SenderYear | None) -> dict[str, Any]:
    """The data of a ``decide`` action, by the law of today: that is the day on which the data would leave."""
    today = timezone.localdate()
    found = projection.classification or {}
    facts = {**projection.facts, "transfer_date": today.isoformat()}
    expected = None
    sensitive = bool(found.get("sensitive")) or (facts.get("n_sensitive") or 0) > 0
    if year is not None and facts.get("is_personal") is True and declaration.subject_column:
        expected = counts.with_transfer(year, declaration, sensitive)
        # what the declarer knows of other channels may be more than this node has seen, never less
        facts["n_sensitive"] = max(expected.sensitive, facts.get("n_sensitive") or 0)
        facts["n_nonsensitive"] = max(expected.nonsensitive, facts.get("n_nonsensitive") or 0)
    assessment = assess(facts, today).to_dict()
    on_consent = declaration.direction == Direction.EXPORT and rests_on_consent(assessment, facts)
    asked = contradictions(projection.facts, found)
    if declaration.direction == Direction.EXPORT:
        wanted = requirements(assessment, asked, on_consent=on_consent)
    else:
        wanted = receiving.requirements(declaration, assessment, found, asked)
    return {
        "decision_id": decision_id(assessment, facts, on_consent),
        "substance": substance(assessment, on_consent),
        "sensitive": sensitive,
        "assessment": assessment,
        "facts": facts,
        "on_consent": on_consent,
        "counts": expected.to_dict() if expected else None,
        "warnings": [w.to_dict() for w in counting.warnings(expected, today)] if expected else [],
        "requirements": [r.to_dict() for r in wanted],
    }


def settle_locked(declaration: Declaration, projection: Projection) -> None:
    """As :func:`settle`, for a declaration that the caller has locked."""
    step, still_open = _step(declaration, projection)
    if step == "release":
        then(declaration, "gate.release")
    else:
        _stop(declaration, projection, step, still_open)


def _step(declaration: Declaration, projection: Projection) -> tuple[Step, tuple[Requirement, ...]]:
    decision = projection.decision
    assert decision is not None
    wanted = tuple(Requirement(**r) for r in decision["requirements"])
    step, still_open = next_step(decision["assessment"], wanted, _met(declaration, projection, wanted))
    return ("hold" if projection.by_hand and step != "refuse" else step), still_open


def _stop(
    declaration: Declaration,
    projection: Projection,
    step: str,
    still_open: Sequence[Requirement],
) -> None:
    open_now = [r.to_dict() for r in still_open]
    state = {"hold": State.HELD, "wait": State.WAITING, "refuse": State.REFUSED}[step]
    if projection.state == state and list(projection.waiting_for) == open_now:
        return  # nothing has changed: history is not written for looking
    route = projection.decision["assessment"]["primary_route"] if projection.decision else ""
    note = f"route:{route}" if step == "refuse" else ", ".join(r.id for r in still_open)
    do(declaration, projection, GATE, step, note=note, data={"waiting_for": open_now})
    if step in ("hold", "refuse"):
        tell(declaration, {"hold": "gate.held", "refuse": "gate.refused"}[step])


def _refuse(declaration: Declaration, projection: Projection, actor: Actor, problem: Problem) -> None:
    do(declaration, projection, actor, "refuse", note=problem.slug, data={"problem": problem.to_dict()})
    tell(declaration, "gate.refused")


def _met(declaration: Declaration, projection: Projection, wanted: Sequence[Requirement]) -> set[str]:
    """The requirements that are met: by people's acts, or because the gate sees that they are.

    The act of somebody who turns out to have had a part in this himself (he proposed the whitelist item that now
    covers the data) does not count: it takes another person.
    """
    flow = Workflow.load(projection.workflow)
    kinds = {r.kind for r in wanted}
    item = _item(declaration, projection) if kinds & {"catalogue", "pseudonym", "consent"} else None
    by = item.proposed_by if item else ""
    met = {
        r.id
        for r in wanted
        if r.id in projection.met
        and not (r.act and flow.part(projection, projection.met_by[r.id], r.act, by))
    }
    if item is not None:
        met.add("catalogue:whitelist")
        if item.fields.get(declaration.subject_column) == PSEUDONYM:
            met.add("pseudonym:pseudonym")
    if "consent" in kinds and _permitted(declaration):
        met.add("consent:consent")
    return met


def _item(declaration: Declaration, projection: Projection) -> WhitelistItem | None:
    found = projection.classification or {}
    personal = bool(found.get("personal")) or projection.facts.get("is_personal") is not False
    if "question:is_personal" in projection.met:
        personal = projection.facts.get("is_personal") is not False
    return whitelist.covering(
        declaration.dataset_id,
        declaration.fields,
        declaration.purpose,
        declaration.receiver,
        timezone.localdate(),
        personal=personal,
    )


def proposer(declaration: Declaration, projection: Projection) -> str:
    """Who proposed the whitelist item that covers an export at present; empty if none does."""
    exported = declaration.direction == Direction.EXPORT
    item = _item(declaration, projection) if exported else None
    return item.proposed_by if item else ""


def possible(declaration: Declaration, projection: Projection, actor: Actor) -> list[str]:
    """The acts that ``actor`` may do now, four eyes considered."""
    flow = Workflow.load(projection.workflow)
    found = flow.possible(projection, actor)
    if not any(flow.acts[act].apart for act in found):
        return found
    return flow.possible(projection, actor, proposer=proposer(declaration, projection))


def _scope(declaration: Declaration) -> dict[str, Any]:
    return {
        "dataset_id": declaration.dataset_id,
        "subjects": set(declaration.passengers.values_list("commitment", flat=True)),
        "purpose": declaration.purpose,
        "receiver": declaration.receiver,
        "fields": declaration.fields,
        "at": timezone.now(),
    }


def _terms(declaration: Declaration) -> tuple[str, str, str, Sequence[str]]:
    return declaration.dataset_id, declaration.purpose, declaration.receiver, declaration.fields


def _permitted(declaration: Declaration) -> set[str]:
    return consent.permitted(**_scope(declaration))


# --- release ----------------------------------------------------------------------------------------------------


def release(declaration_id: uuid.UUID | str) -> None:
    """Make the parcel of an export and release it, store an import, if by now everything is (still) there.

    Raises outbox.Retry if the declaration moved on while the parcel was being made.
    """
    seen = get(declaration_id)
    if seen.direction == Direction.EXPORT:
        _prepare(seen)
    else:
        receiving.accept(seen, _free)


def _free(declaration: Declaration, projection: Projection) -> bool:
    """Whether it is decided and nothing is open."""
    if projection.state not in _OPEN or projection.decision is None:
        return False
    return _step(declaration, projection)[0] == "release"


def _prepare(seen: Declaration) -> None:
    projection = fold_of(seen)
    if projection.state not in _OPEN or projection.decision is None:
        return
    item = _item(seen, projection)
    if item is None or _step(seen, projection)[0] != "release":
        settle(seen.id)
        return
    permitted = _permitted(seen) if projection.decision["on_consent"] else None
    folder = config.current().outgoing
    draft = outgoing.draft(folder, seen.transfer_id)
    try:
        made = _make(seen, projection, item, permitted, draft)
        with transaction.atomic():
            year = _year(seen)
            declaration, now = lock(seen.id)
            if now.actions != projection.actions or declaration.generation != seen.generation:
                raise outbox.Retry("the declaration moved on while its parcel was made", AT_ONCE)
            # the day and the counts may have changed since the decision, the whitelist and consents since the
            # parcel was begun: what holds now decides
            fresh = _decision(declaration, now, year)
            if fresh["substance"] != projection.decision["substance"]:
                now = do(declaration, now, GATE, "decide", data=fresh)
                settle_locked(declaration, now)
                return
            list(WhitelistItem.objects.select_for_update().filter(id=item.id))
            if _item(declaration, now) != item:
                raise outbox.Retry("the whitelist changed while the parcel was made", AT_ONCE)
            if declaration.service:
                if permitted is not None:
                    FORMS[declaration.service["format"]].admit(draft, consent.windows(*_terms(declaration)))
            elif permitted is not None:
                scope = _scope(declaration)
                if consent.use(**scope, transfer_id=declaration.transfer_id) != permitted:
                    raise outbox.Retry("a consent changed while the parcel was made", AT_ONCE)
            counts.board(declaration, made.persons, made.leaving)
            do(declaration, now, GATE, "release", data=made.deliverable)
            tell(declaration, "gate.released")
            # last, so that what is published is committed unless the process dies right here; then it is made anew
            outgoing.publish(folder, declaration.transfer_id, draft)
    except Problem as problem:
        with transaction.atomic():
            declaration, now = lock(seen.id)
            if now.state in _OPEN:
                _refuse(declaration, now, GATE, problem)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


@dataclass(frozen=True)
class _Made:
    """``persons``: everyone in the payload, by commitment, with his pseudonym if one is delivered."""

    deliverable: dict[str, Any]
    persons: Mapping[str, str]
    leaving: Collection[str]


def _make(
    declaration: Declaration,
    projection: Projection,
    item: WhitelistItem,
    permitted: set[str] | None,
    draft: Path,
) -> _Made:
    """Fill ``draft`` with payload and manifest."""
    source = Path(declaration.path)
    if deliverable.digest(source)[0] != declaration.payload_sha256:
        raise PayloadDiffers()
    key = keys.pseudonym_key(
        config.current().keys, declaration.dataset_id, declaration.receiver, declaration.purpose
    )
    subject = declaration.subject_column
    by_identifier: dict[str, str] = {}
    if subject:
        by_identifier = consent.commitments(deliverable.column(source, subject, declaration.media_type))
    masks = {field: item.fields[field] for field in declaration.fields}
    if declaration.service:
        task = Task(
            transfer_id=declaration.transfer_id,
            source=source,
            media_type=declaration.media_type,
            columns=declaration.fields,
            masks=masks,
            key=key,
            subject=subject,
            persons=by_identifier,
            terms=declaration.service,
            on_consent=permitted is not None,
        )
        made = FORMS[declaration.service["format"]].make(task, draft)
        payload, media_type, rows, left_out = made.payload, made.media_type, made.rows, 0
    else:
        keep_row = None
        if permitted is not None:
            keep_row = lambda row: by_identifier.get(row[subject]) in permitted  # noqa: E731
        payload, media_type, report = deliverable.make(
            source,
            draft,
            source_type=declaration.media_type,
            columns=declaration.fields,
            keep_row=keep_row,
            masks=masks,
            key=key,
        )
        rows, left_out = report.rows_out, report.rows_in - report.rows_out
    tokenised = masks.get(subject) == PSEUDONYM
    persons = {
        name: deliverable.pseudonym(identifier, key) if tokenised else ""
        for identifier, name in by_identifier.items()
    }
    leaving = set(persons) if permitted is None else permitted & set(persons)
    if declaration.service:
        leaving = set()  # one by one, as they are answered for
    manifest = outgoing.seal(
        draft, payload.name, media_type, _waybill(declaration, projection, item, tokenised)
    )
    content = {
        "sha256": manifest["sha256"],
        "size": manifest["size"],
        "media_type": manifest["media_type"],
        "fields": list(declaration.fields),
        "masks": masks,
        "rows": rows,
        "rows_left_out": left_out,
        "persons": len(leaving),
        "whitelist_item": str(item.id),
    }
    return _Made(content, persons, leaving)


def _waybill(
    declaration: Declaration, projection: Projection, item: WhitelistItem, tokenised: bool
) -> dict[str, Any]:
    """What the receiving gate must know of the data: how it was decided and what binds it."""
    decision = projection.decision or {}
    assessment = decision["assessment"]
    until = declaration.retain_until or item.valid_until
    service = {**declaration.service, "valid_until": min(until, item.valid_until).isoformat()}
    return {
        **({"service": service} if declaration.service else {}),
        "transfer_id": declaration.transfer_id,
        "dataset_id": declaration.dataset_id,
        "title": declaration.title,
        "sender": declaration.sender,
        "receiver": declaration.receiver,
        "purpose": declaration.purpose,
        "agreement_id": declaration.agreement_id,
        "fields": list(declaration.fields),
        "subject_column": declaration.subject_column if tokenised else "",
        "facts": decision["facts"],
        "kinds": (projection.classification or {}).get("kinds", []),
        "decision_id": decision["decision_id"],
        "route": assessment["primary_route"],
        "rule_ids": assessment["rule_ids"],
        "rule_base_version": assessment["rule_base_version"],
        "obligations": assessment["obligations"],
        "retain_until": until.isoformat(),
    }


# --- take back --------------------------------------------------------------------------------------------------


def recall_soon(declaration: Declaration, **request: Any) -> None:
    """Have :func:`recall` run as soon as the caller's transaction is committed, and surely once.

    It is tried right after the commit, so that who withdraws knows on return that nothing more will leave; the event
    does it if this process dies before.
    """
    outbox.publish(
        "gate.recall", f"gate:{declaration.id}", {"declaration_id": str(declaration.id), **request}
    )
    transaction.on_commit(partial(recall_as, str(declaration.id), request), robust=True)


def recall_as(declaration_id: str, request: Mapping[str, Any]) -> None:
    """:func:`recall` as it stands in an event: ``actor`` and ``name`` if a person asked, ``note``, ``release``."""
    actor = Actor(request["actor"], request["name"], frozenset({"approver"})) if "actor" in request else GATE
    recall(declaration_id, actor=actor, note=request.get("note", ""), release=request.get("release", 0))


def recall(declaration_id: uuid.UUID | str, *, actor: Actor = GATE, note: str = "", release: int = 0) -> bool:
    """Take the parcel back if it must come back and has not left; then it is decided and made anew.

    It must come back when a person in it has withdrawn, when the whitelist no longer covers it, or when a human says
    so of ``release`` (the number of actions at that time). What a withdrawn consent carried is settled by what the
    rename decided: stopped, or left and to be struck by the receiver. Returns whether nothing left. Idempotent.
    """
    seen = get(declaration_id)
    projection = fold_of(seen)
    folder = config.current().outgoing
    released = projection.state == State.RELEASED
    wanted = release == projection.actions or _item(seen, projection) is None
    if not consent.withdrawn_in(seen.transfer_id) and not (released and wanted):
        return not outgoing.has_left(folder, seen.transfer_id)
    # a standing parcel is told who withdrew (:func:`admit`) and goes on answering for the others
    stays = bool(seen.service) and not wanted
    if not stays:
        outgoing.take_back(folder, seen.transfer_id)
    with transaction.atomic():
        declaration, projection = lock(declaration_id)
        gone = projection.left or outgoing.has_left(folder, declaration.transfer_id)
        for person in consent.settle_withdrawn(declaration.transfer_id, has_left=gone or bool(seen.service)):
            if gone:
                token = declaration.passengers.get(commitment=person).token
                tell(declaration, "gate.withdrawn", subject=token, receiver=declaration.receiver)
        if stays:
            return not gone
        # a parcel that is being made right now was begun before
        Declaration.objects.filter(id=declaration.id).update(generation=F("generation") + 1)
        if projection.state == State.RELEASED and not gone:
            do(declaration, projection, actor, "recall", note=note or "recalled")
            then(declaration, "gate.decide")
        return not gone


def admit(declaration: Declaration, subjects: Collection[str] | None = None) -> None:
    """Tell the standing parcel of a released export whom it may answer for now; ``subjects``: only these, or all.

    Consents of its scope cannot change meanwhile, so what the parcel knows afterwards is what holds.
    """
    folder = config.current().outgoing / declaration.transfer_id
    with transaction.atomic():
        windows = consent.windows(*_terms(declaration), subjects)
        with contextlib.suppress(FileNotFoundError):  # taken back: when it is made anew it is told anew
            FORMS[declaration.service["format"]].admit(folder, windows)


def on_withdrawn(consent: Consent, **_: Any) -> None:
    """A person took a consent back: every parcel that rests on it comes back, or its receiver is told."""
    standing = Declaration.objects.filter(
        dataset_id=consent.dataset_id,
        purpose=consent.purpose,
        receiver=consent.receiver,
        direction=Direction.EXPORT,
        state=State.RELEASED,
    ).exclude(service={})
    for declaration in standing:
        # the event "consent.changed" does it again, surely; this does it before who withdraws is told
        transaction.on_commit(partial(admit, declaration, {consent.commitment}), robust=True)
    fate = ConsentUse.Fate
    transfers = consent.uses.filter(fate__in=(fate.PREPARED, fate.LEFT)).values_list("transfer_id", flat=True)
    for declaration in Declaration.objects.filter(transfer_id__in=transfers, direction=Direction.EXPORT):
        recall_soon(declaration)


def on_revoked(item: WhitelistItem, **_: Any) -> None:
    """An item of the whitelist ended: parcels of its dataset come back unless another item covers them."""
    released = Declaration.objects.filter(
        dataset_id=item.dataset_id, direction=Direction.EXPORT, state=State.RELEASED
    )
    for declaration in released:
        recall_soon(declaration)
