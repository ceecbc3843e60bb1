"""The gate of the receiving node: look before use, keep the duties that came along, strike, delete at term.

An import is declared like an export. It is accepted when the payload is the one that was promised, holds only the
columns that were agreed, and shows nothing that its papers deny; then its obligations are stored and its payload
goes under :attr:`NodeConfig.blobs`.
"""

from __future__ import annotations

import datetime as dt
import os
import shutil
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.dispatch import Signal
from django.utils import timezone

from wantong.border.gate.declarations import deliverable
from wantong.border.gate.declarations.decision import DATA, Requirement, question
from wantong.border.gate.declarations.ledger import GATE, WITNESSED, do, find, fold_of, lock, tell, then
from wantong.border.gate.declarations.models import (
    Declaration,
    Direction,
    Holding,
    Obligation,
    Withdrawal,
)
from wantong.border.gate.declarations.problems import (
    ColumnsMissing,
    OnwardForbidden,
    PayloadUnreadable,
    UnknownDeclaration,
)
from wantong.border.gate.declarations.workflow import Projection
from wantong.border.gate.rules import RuleBase
from wantong.ground import config, drafts, yamlfile
from wantong.ground.actors import Actor
from wantong.ground.outbox import services as outbox

# --- before use -------------------------------------------------------------------------------------------------


def check_columns(declaration: Declaration) -> None:
    """That the payload holds the agreed columns and no other. Raises ColumnsMissing, PayloadUnreadable."""
    columns = deliverable.header(Path(declaration.path), declaration.media_type, declaration.payload_sha256)
    if missing := [name for name in declaration.fields if name not in columns]:
        raise ColumnsMissing(columns=", ".join(missing)[:500])
    if more := [name for name in columns if name not in declaration.fields]:
        raise PayloadUnreadable(reason="columns", columns=", ".join(more)[:300])


def requirements(
    declaration: Declaration,
    assessment: Mapping[str, Any],
    found: Mapping[str, Any],
    contradictions: Iterable[str],
) -> tuple[Requirement, ...]:
    """What stands against using an import: contradictions, kinds nobody declared, another answer of our own rules."""
    waybill = declaration.waybill or {}
    asked = list(contradictions)
    if waybill:
        if set(found.get("kinds", ())) - set(waybill.get("kinds", ())):
            asked.append("kinds")
        if assessment["primary_route"] != waybill.get("route"):
            asked.append("route")
    elif found["personal"] and "is_personal" not in asked:
        # it came without papers from another gate, and holds what ought to have some
        asked.append("is_personal")
    return tuple(question(name) for name in asked)


# --- accept -----------------------------------------------------------------------------------------------------


def accept(seen: Declaration, free: Callable[[Declaration, Projection], bool]) -> None:
    """Store an import that is ``free`` to be used: payload, obligations, the day on which it must go."""
    if not free(seen, fold_of(seen)):
        return
    blob = config.current().blobs / seen.payload_sha256
    _copy(Path(seen.path), blob)
    with transaction.atomic():
        declaration, projection = lock(seen.id)
        if not free(declaration, projection):
            return
        assert projection.decision is not None
        waybill = declaration.waybill or {}
        holding = Holding.objects.create(
            declaration=declaration,
            path=str(blob),
            sha256=declaration.payload_sha256,
            size=declaration.payload_size,
            subject_column=waybill.get("subject_column", ""),
        )
        # the earlier of what the sender's gate and what the agreement says
        terms = (_day(waybill.get("retain_until")), declaration.retain_until)
        until = min((day for day in terms if day), default=None)
        own = projection.decision["assessment"]["obligations"]
        for kind in dict.fromkeys([*waybill.get("obligations", ()), *own]):
            Obligation.objects.create(
                declaration=declaration,
                kind=kind,
                scope=_scope(kind, declaration),
                until=until,
                **_text(kind),
            )
        content = {
            "sha256": declaration.payload_sha256,
            "size": declaration.payload_size,
            "media_type": declaration.media_type,
            "fields": declaration.fields,
            "retain_until": until.isoformat() if until else None,
        }
        projection = do(declaration, projection, GATE, "release", data=content)
        projection = do(declaration, projection, GATE, "deliver")
        if until:
            midnight = timezone.make_aware(dt.datetime.combine(until + dt.timedelta(days=1), dt.time()))
            outbox.publish(
                "gate.term",
                f"term:{declaration.id}",
                {"declaration_id": str(declaration.id)},
                delay=max(midnight - timezone.now(), dt.timedelta()),
            )
        # withdrawals may have overtaken the data
        for early in declaration.withdrawals.all():
            _strike(holding, early)
        tell(declaration, "gate.released")
        then(declaration, "gate.receipt", delay=WITNESSED)


def _text(kind: str) -> dict[str, str]:
    known = RuleBase.load().obligations.get(kind)
    return {"text": known.text, "citation": known.citation} if known else {"text": kind, "citation": ""}


def _scope(kind: str, declaration: Declaration) -> dict[str, Any]:
    """What a program can check of a duty; empty if only people can keep it."""
    facts = (declaration.waybill or {}).get("facts", {})
    duties = _duties()
    scope: dict[str, Any] = {}
    if kind in duties["area"]:
        scope["area"] = sorted({facts.get("from_jurisdiction"), facts.get("to_jurisdiction")} - {None})
    if kind in duties["purpose"]:
        scope["purpose"] = declaration.purpose
    if kind in duties["term"]:
        scope["term"] = True
    return scope


@cache
def _duties() -> Mapping[str, Sequence[str]]:
    duties: Mapping[str, Sequence[str]] = yamlfile.load(DATA / "duties.yaml")
    return duties


def _day(text: Any) -> dt.date | None:
    return dt.date.fromisoformat(text) if text else None


# --- after acceptance -------------------------------------------------------------------------------------------


onward = Signal()
"""Data that came here is to be passed on: sent with ``imported`` (its declaration), ``to_jurisdiction``, ``receiver``,
``purpose``, ``fields`` and ``transfer_id``. Who is connected raises a Problem to forbid it: what binds the data beside
its obligations, such as the agreement under which it came."""


def onward_check(dataset_id: str, to_jurisdiction: str, purpose: str, *, payload_sha256: str = "") -> None:
    """Whether the obligations of data that came here let it go on to ``to_jurisdiction`` for ``purpose``.

    Data is known by its dataset or, whatever it is called now, by its payload. Raises OnwardForbidden naming the
    obligation; data that never came from elsewhere is free.
    """
    for imported in _held(dataset_id, payload_sha256):
        for duty in imported.obligations.all():
            area, allowed = duty.scope.get("area"), duty.scope.get("purpose")
            if (area and to_jurisdiction not in area) or (allowed and purpose != allowed):
                raise OnwardForbidden(obligation=duty.kind, citation=duty.citation)


def _held(dataset_id: str, payload_sha256: str) -> Iterable[Declaration]:
    """The imports that are still here and are that data."""
    is_it = Q(dataset_id=dataset_id) | Q(holding__sha256=payload_sha256 or "-")
    found = Declaration.objects.filter(is_it, direction=Direction.IMPORT, holding__isnull=False)
    return found.filter(holding__deleted_at=None).order_by("created_at").prefetch_related("obligations")


def check_onward(declaration: Declaration, facts: Mapping[str, Any]) -> None:
    """:func:`onward_check` for an export that stands before this gate, and what else binds the data (:data:`onward`).

    Raises OnwardForbidden and whatever the receivers of :data:`onward` raise.
    """
    onward_check(
        declaration.dataset_id,
        facts.get("to_jurisdiction", ""),
        declaration.purpose,
        payload_sha256=declaration.payload_sha256,
    )
    for imported in _held(declaration.dataset_id, declaration.payload_sha256):
        onward.send(
            sender=Declaration,
            imported=imported,
            to_jurisdiction=facts.get("to_jurisdiction", ""),
            receiver=declaration.receiver,
            purpose=declaration.purpose,
            fields=declaration.fields,
            transfer_id=declaration.transfer_id,
        )


@transaction.atomic
def enforce_withdrawal(actor: Actor, transfer_id: str, subject: str) -> int:
    """Strike the rows of one pseudonym from what was received, on the word of its sender. Returns how many rows.

    Idempotent. A withdrawal that overtakes its data is kept and applied on acceptance; UnknownDeclaration while this
    gate has not seen the transfer at all (the sender tries again), or if another node than the sender asks.
    """
    declaration, projection = lock(find(transfer_id, Direction.IMPORT).id)
    if actor.id not in (f"peer:{declaration.sender}", GATE.id):
        raise UnknownDeclaration(declaration=transfer_id[:64])
    withdrawal, new = Withdrawal.objects.get_or_create(
        declaration=declaration, token=subject, defaults={"rows": 0}
    )
    holding = Holding.objects.filter(declaration=declaration, deleted_at=None).first()
    if new and holding is not None:
        _strike(holding, withdrawal)
        do(declaration, projection, actor, "withdraw_person", data={"rows": withdrawal.rows})
    return int(withdrawal.rows)


def _strike(holding: Holding, withdrawal: Withdrawal) -> None:
    old = Path(holding.path)
    with drafts.draft(old.parent) as folder:
        made = folder / "payload"
        withdrawal.rows = deliverable.strike(
            old, made, holding.subject_column, withdrawal.token, holding.declaration.media_type
        )
        holding.sha256, holding.size = deliverable.digest(made)
        new = old.with_name(holding.sha256)
        _sync(made)
        made.rename(new)
        _sync(new.parent)
    holding.path = str(new)
    withdrawal.save(update_fields=("rows",))
    holding.save(update_fields=("path", "sha256", "size"))
    if new != old:
        _unlink_soon(holding.declaration.id, old)


def erase_at_term(declaration_id: uuid.UUID | str) -> None:
    """Delete an import whose term has ended. Raises outbox.Retry before that day."""
    with transaction.atomic():
        declaration, projection = lock(declaration_id)
        holding = Holding.objects.filter(declaration=declaration, deleted_at=None).first()
        if holding is None:
            return
        agreed = declaration.retain_until or timezone.localdate()
        until = max((o.until for o in declaration.obligations.all() if o.until), default=agreed)
        left = until - timezone.localdate()
        if left >= dt.timedelta():
            raise outbox.Retry("its term has not ended", after=left + dt.timedelta(days=1))
        holding.deleted_at = timezone.now()
        holding.save(update_fields=("deleted_at",))
        do(declaration, projection, GATE, "erase", note="term", data={"until": until.isoformat()})
        _unlink_soon(declaration.id, Path(holding.path))


def _unlink_soon(declaration_id: uuid.UUID, path: Path) -> None:
    """Delete a payload right after the commit, and surely: the event does it if this process dies before."""
    transaction.on_commit(lambda: _unlink_if_unheld(path))
    outbox.publish("gate.unlink", f"gate:{declaration_id}", {"path": str(path)})


def unlink(path: Path) -> None:
    """Delete a payload that nobody holds any more; what another import still holds stays."""
    _unlink_if_unheld(path)


def _unlink_if_unheld(path: Path) -> None:
    if not Holding.objects.filter(path=str(path), deleted_at=None).exists():
        path.unlink(missing_ok=True)


def _copy(source: Path, target: Path) -> None:
    if target.exists():
        return
    with drafts.draft(target.parent) as folder:
        made = folder / "payload"
        shutil.copyfile(source, made)
        _sync(made)
        made.rename(target)
        _sync(target.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
