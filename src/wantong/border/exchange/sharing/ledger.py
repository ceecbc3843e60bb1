"""The one place where a request changes: lock it, add an action, cache the fold, log it, tell the other node."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.db import connection
from django.utils import timezone

from wantong.border.exchange.sharing.models import Action, Member, Request
from wantong.border.exchange.sharing.problems import NotAMember, UnknownRequest
from wantong.border.exchange.sharing.request import Action as Done
from wantong.border.exchange.sharing.request import Projection, Workflow, apply, fold
from wantong.border.gate.consent import services as consent
from wantong.border.gate.declarations.ledger import plain
from wantong.border.gate.declarations.workflow import Action as Plain
from wantong.ground import actors, canonical, config
from wantong.ground.actors import Actor
from wantong.ground.log import services as log
from wantong.ground.outbox import services as outbox

SHARING = actors.system("sharing")
# what is logged: what was asked, decided, agreed, delivered and said of it; not the steps between
LOGGED = frozenset(
    {
        "ask", "endorse", "grant", "approve", "refuse", "revoke", "withdraw", "agree", "expire", "deliver", "rate",
        "report", "answer",
    }
)  # fmt: skip
# what goes to the other node, and under which name: it need not know how many people it took
TOLD: Mapping[str, str] = {
    "ask": "ask",
    "withdraw": "withdraw",
    "rate": "rate",
    "report": "report",
    "grant": "grant",
    "approve": "grant",
    "refuse": "refuse",
    "revoke": "revoke",
    "announce": "announce",
    "consign": "consign",
    "answer": "answer",
}


def get(request_id: uuid.UUID | str) -> Request:
    """Raises UnknownRequest."""
    try:
        return Request.objects.select_related("peer").get(id=request_id)
    except (Request.DoesNotExist, ValidationError):
        raise UnknownRequest(request=str(request_id)[:64]) from None


def lock(request_id: uuid.UUID | str) -> tuple[Request, Projection]:
    """The request with its projection, until the end of the transaction nobody else's. Raises UnknownRequest."""
    assert connection.in_atomic_block
    request = Request.objects.select_for_update().get(id=get(request_id).id)
    return request, fold_of(request)


def fold_of(request: Request) -> Projection:
    """The projection from the stored actions; what the row caches is never trusted for a decision."""
    return fold(map(as_value, request.actions.order_by("number")))


def as_value(row: Action) -> Done:
    """A stored action as the pure core sees it."""
    return Done(row.act, row.actor, row.at, row.data, row.note)


def do(
    request: Request,
    before: Projection,
    actor: Actor,
    act: str,
    *,
    note: str = "",
    data: Mapping[str, Any] | None = None,
    message: str = "",
    private: Mapping[str, Any] | None = None,
) -> Projection:
    """Add one action to a locked request and return what it is now; the other node is told if it is our act.

    ``private`` is kept with the action and never leaves this node. Raises as ``Workflow.check``.
    """
    content = dict(data or {})
    given = [
        *(name for name, value in content.items() if value not in ("", None)),
        *(["note"] * bool(note.strip())),
    ]
    flow = Workflow.load(before.workflow or None)
    flow.check(before, actor, act, given)
    if act == "ask":
        content["workflow"] = flow.version
    done = Done(act, actor.id, timezone.now(), {**content, **(private or {})}, note.strip())
    after = apply(before, done)
    entry = None
    if act in LOGGED:
        entry = log.record(f"sharing.{act}", _log_body(request, before, after, done), done.at).id
    Action.objects.create(
        request=request,
        number=after.actions,
        act=act,
        actor=actor.id,
        actor_name=actor.name,
        at=done.at,
        note=done.note,
        data=done.data,
        message=message,
        log_entry=entry,
    )
    if act == "approve":
        request.approved_by = actor.id
    _cache(request, after)
    if request.peer_id and not actor.id.startswith("peer:") and act in TOLD:
        _tell(request, TOLD[act], done.note, content, done.at)
    request.updated_at = done.at
    request.save()
    return after


def _cache(request: Request, now: Projection) -> None:
    request.state = now.state
    request.endorsed_by = now.endorsed_by
    request.decided_at = now.decided_at
    request.had_at = min(now.delivered.values(), default=None)
    request.refusal = now.refusal
    request.agreement_id = now.agreement_id
    request.ratings = list(now.ratings.values())
    request.deliveries = len(now.delivered)
    request.actions_count = now.actions


def _tell(request: Request, act: str, note: str, data: Mapping[str, Any], at: dt.datetime) -> None:
    request.sent += 1
    message: dict[str, Any] = {
        "@type": "SharingMessage",
        "id": str(uuid.uuid4()),
        "request": str(request.id),
        "number": request.sent,
        "act": act,
        "at": at.isoformat(),
        "note": note,
        "data": {name: value for name, value in data.items() if name != "workflow"},
    }
    if act == "ask":
        message["about"] = {
            "dataset_id": request.dataset_id,
            "body": request.asker_body,
            "salt": request.salt,
        }
    # an order of its own for each request; what one is waiting for does not keep the others
    outbox.publish("sharing.send", f"sharing:{request.id}", {"request": str(request.id), "message": message})


def member(actor: Actor, body: str) -> None:
    """That ``actor`` acts for ``body``. Raises NotAMember."""
    if not actor.id.startswith("system:") and not Member.objects.filter(body=body, actor=actor.id).exists():
        raise NotAMember(body=body[:80])


def person(actor_id: str) -> str:
    """What stands for an actor in what others read: a person by his commitment, nodes and machinery by name."""
    return consent.commitments([actor_id])[actor_id] if actor_id.startswith("user:") else actor_id


def _log_body(request: Request, before: Projection, now: Projection, done: Done) -> dict[str, Any]:
    """What the public log says of an act: who with whom on what, digests, codes; persons as commitments.

    ``record`` binds the node to the whole list of actions, names and words included, without showing it.
    """
    own, other = config.current().participant_id, request.peer.participant_id if request.peer else ""
    owner = other if request.side == Request.Side.ASKER else own
    asker = other if request.side == Request.Side.OWNER else own
    history = [*map(as_value, request.actions.order_by("number")), done]
    decided = [before.endorsed_by, done.actor] if done.act == "approve" else [done.actor]
    body: dict[str, Any] = {
        "request_id": str(request.id),
        "dataset_id": request.dataset_id,
        "owner": owner,
        "asker": asker,
        "state": now.state,
        "by": [person(actor) for actor in decided],
        "agreement_id": now.agreement_id,
        "record": canonical.digest([_plain(action) for action in history]),
    }
    match done.act:
        case "ask":
            body["wish"] = _digest(done.data["wish"])
            body["delivery"] = str(done.data["wish"]["delivery"])
        case "grant" | "approve":
            body["grant"] = _digest(done.data["grant"])
        case "refuse":
            body["code"] = str(done.data["code"])
        case "deliver":
            body["transfer_id"] = str(done.data["delivery"])
            if "sha256" in done.data:
                body["payload"] = {"sha256": str(done.data["sha256"])}
        case "rate":
            body["transfer_id"] = str(done.data["delivery"])
            body["score"] = int(done.data["score"])
        case "report" | "answer":
            body["report"] = str(done.data["report"])
            body["code"] = str(done.data.get("code", ""))
            body["commitment"] = str(done.data.get("commitment", ""))
    return body


def _plain(action: Done) -> dict[str, Any]:
    return plain(Plain(action.act, action.actor, action.at, action.data, action.note))


def _digest(value: Any) -> str:
    return canonical.digest(plain(Plain("", "", dt.datetime(1970, 1, 1, tzinfo=dt.UTC), {"it": value})))
