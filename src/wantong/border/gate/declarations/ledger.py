"""The one place where a declaration changes: lock it, add an action, cache the fold, log it, say what comes next."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.db import connection
from django.db.models import QuerySet
from django.utils import timezone

from wantong.border.gate.declarations.models import Action, Declaration
from wantong.border.gate.declarations.problems import UnknownDeclaration
from wantong.border.gate.declarations.workflow import Action as Done
from wantong.border.gate.declarations.workflow import Projection, apply, fold
from wantong.ground import actors, canonical
from wantong.ground.actors import Actor
from wantong.ground.log import services as log
from wantong.ground.outbox import services as outbox

GATE = actors.system("gate")
# until when its receipt is usually there: logged, and seen by witnesses
WITNESSED = timedelta(milliseconds=600)
LOGGED = frozenset(
    {"wait", "hold", "refuse", "abandon", "release", "recall", "deliver", "withdraw_person", "erase"}
)
"""The acts that are recorded in the log: what the gate answered and what became of the data, not the steps between."""


def get(declaration_id: uuid.UUID | str) -> Declaration:
    """Raises UnknownDeclaration."""
    return _the(Declaration.objects.all(), declaration_id)


def _the(rows: QuerySet[Declaration], declaration_id: uuid.UUID | str) -> Declaration:
    try:
        return rows.get(id=declaration_id)
    except (Declaration.DoesNotExist, ValidationError):
        raise UnknownDeclaration(declaration=str(declaration_id)[:64]) from None


def find(transfer_id: str, direction: str) -> Declaration:
    """The declaration of a transfer at this gate. Raises UnknownDeclaration."""
    try:
        return Declaration.objects.get(transfer_id=transfer_id, direction=direction)
    except Declaration.DoesNotExist:
        raise UnknownDeclaration(declaration=transfer_id[:64]) from None


def lock(declaration_id: uuid.UUID | str) -> tuple[Declaration, Projection]:
    """The declaration with its projection, until the end of the transaction nobody else's. Raises UnknownDeclaration."""
    assert connection.in_atomic_block
    declaration = _the(Declaration.objects.select_for_update(), declaration_id)
    return declaration, fold_of(declaration)


def fold_of(declaration: Declaration) -> Projection:
    """The projection from the stored actions; what the row caches is never trusted for a decision."""
    return fold(map(as_value, declaration.actions.order_by("number")))


def as_value(row: Action) -> Done:
    """A stored action as the pure core sees it."""
    return Done(row.act, row.actor, row.at, row.data, row.note, row.document)


def do(
    declaration: Declaration,
    before: Projection,
    actor: Actor,
    act: str,
    *,
    note: str = "",
    document: Mapping[str, str] | None = None,
    data: Mapping[str, Any] | None = None,
    logged: str = "",
) -> Projection:
    """Add one action to a locked declaration and return what it is now. Raises as ``Workflow.check``.

    ``logged`` is the log entry that tells of it already: it happened before the node was restored from a backup.
    """
    content = dict(data or {})
    done = Done(act, actor.id, timezone.now(), content, note.strip(), document)
    after = apply(before, done)
    entry: uuid.UUID | None = uuid.UUID(logged) if logged else None
    if act in LOGGED and entry is None:
        body = _log_body(declaration, after, done)
        entry = log.record(f"gate.{declaration.direction}.{act}", body, done.at).id
    Action.objects.create(
        declaration=declaration,
        number=after.actions,
        act=act,
        actor=actor.id,
        actor_name=actor.name,
        at=done.at,
        note=done.note,
        document=document,
        data=content,
        log_entry=entry,
    )
    cache(declaration, after)
    declaration.updated_at = done.at
    declaration.save(update_fields=(*CACHED, "updated_at"))
    return after


CACHED = ("state", "declared_by", "route", "sensitive", "waiting_for", "actions_count")


def cache(declaration: Declaration, projection: Projection) -> None:
    """Set the cached columns to what ``projection`` says."""
    declaration.state = projection.state
    declaration.declared_by = projection.declared_by
    declaration.route = projection.decision["assessment"]["primary_route"] if projection.decision else ""
    declaration.sensitive = bool(projection.decision and projection.decision["sensitive"])
    declaration.waiting_for = [dict(r) for r in projection.waiting_for]
    declaration.actions_count = projection.actions


def then(declaration: Declaration, topic: str, *, delay: timedelta = timedelta()) -> None:
    """What this gate does next with the declaration; in order for one declaration.

    ``after`` is how many actions there were: by it a step that is delivered twice knows that it has been done.
    """
    payload = {"declaration_id": str(declaration.id), "after": declaration.actions_count}
    outbox.publish(topic, f"gate:{declaration.id}", payload, delay=delay)


def tell(declaration: Declaration, topic: str, **more: Any) -> None:
    """Tell the floor above; in order for one transfer."""
    outbox.publish(
        topic,
        declaration.transfer_id,
        {
            "declaration_id": str(declaration.id),
            "transfer_id": declaration.transfer_id,
            "direction": declaration.direction,
            **more,
        },
    )


def _log_body(declaration: Declaration, now: Projection, done: Done) -> dict[str, Any]:
    """What the public log says of an outcome: digests and decisions, and nobody's name.

    ``record`` binds the node to the whole list of actions, names and reasons included, without showing it.
    """
    decision = now.decision or {}
    assessment = decision.get("assessment", {})
    payload = now.deliverable["sha256"] if now.deliverable else declaration.payload_sha256
    history = [*map(as_value, declaration.actions.order_by("number")), done]
    service = {"service": dict(declaration.service)} if declaration.service else {}
    return {
        **service,
        "declaration_id": str(declaration.id),
        "transfer_id": declaration.transfer_id,
        "agreement_id": declaration.agreement_id,
        "dataset_id": declaration.dataset_id,
        "sender": declaration.sender,
        "receiver": declaration.receiver,
        "state": now.state,
        "waiting_for": [requirement["id"] for requirement in now.waiting_for],
        "payload": {"sha256": payload},
        "decision_id": decision.get("decision_id", ""),
        "route": assessment.get("primary_route", ""),
        "rule_ids": assessment.get("rule_ids", []),
        "rule_base_version": assessment.get("rule_base_version", ""),
        "record": canonical.digest([plain(action) for action in history]),
    }


def plain(action: Done) -> dict[str, Any]:
    """An action as canonical JSON can hold it: what is no text, count, list or mapping becomes text."""
    return {
        "act": action.act,
        "actor": action.actor,
        "at": action.at.isoformat(),
        "note": action.note,
        "document": _plain(action.document),
        "data": _plain(action.data),
    }


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        # pairs, not an object: keys may be column names in any script
        return [[str(key), _plain(item)] for key, item in sorted(value.items())]
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value if value is None or isinstance(value, (str, bool, int)) else str(value)
