"""Between nodes: what happens to a request here is told to the other side as signed messages, in order, each taken once.

- ``POST /wantong/sharing``: one message about one request;
- ``GET  /wantong/sharing/directory?after=<dataset id>``: a page of what the caller may see of this node's directory.

A message is ``{"@type": "SharingMessage", "id", "request", "number", "act", "at", "note", "data"}``; the one that asks also
says whom it is ``about``. ``number`` counts one side's messages about one request from 1. A message that was taken before is
answered as it was then; one that comes before its turn is answered 409 and sent again. Both are signed like every message
between nodes (:mod:`wantong.border.trust.tokens`).
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from wantong.border.exchange import extension, wire
from wantong.border.exchange.problems import PeerMisbehaves, PeerRefused, PeerUnreachable
from wantong.border.exchange.sharing import codes, crossing, directory, services
from wantong.border.exchange.sharing.ledger import SHARING, do, lock
from wantong.border.exchange.sharing.models import Request
from wantong.border.exchange.sharing.problems import BadMessage, BadWish, OutOfOrder
from wantong.border.exchange.sharing.request import Grant, Projection, Wish, Workflow
from wantong.border.trust import services as trust
from wantong.border.trust.models import Peer
from wantong.ground.actors import Actor
from wantong.ground.i18n import LANGUAGES
from wantong.ground.outbox import services as outbox
from wantong.ground.outbox.models import Event
from wantong.ground.plain import stored
from wantong.ground.workflow import ActNotPossible

PAGE = 50
MOST_PAGES = 200
MOST_MESSAGES = (1 << 31) - 1
# 404: a node that knows nothing of sharing, or is being brought up to date
NOT_YET = {401: 8, 404: 8, 408: 600, 409: 600, 425: 600, 429: 600}
_HEX = re.compile(r"[0-9a-f]{64}")
Side = Request.Side

# --- asking -----------------------------------------------------------------------------------------------------


def send(event: Event) -> None:
    """Deliver one message to the other side of a request. Raises Retry until it is taken; Permanent if it never will be."""
    request = Request.objects.select_related("peer").get(id=event.payload["request"])
    message = event.payload["message"]
    assert request.peer is not None
    url = f"{request.peer.url.rstrip('/')}/wantong/sharing"
    try:
        answer = wire.call(request.peer, "POST", url, message, message_id=message["id"])
    except (PeerUnreachable, PeerMisbehaves) as error:
        raise outbox.Retry(str(error)) from error
    if answer.ok:
        return
    if answer.status >= 500 or event.attempts < NOT_YET.get(answer.status, 0):
        raise outbox.Retry(f"answered {answer.status}")
    _not_taken(request, message, f"answered {answer.status}")
    raise outbox.Permanent(f"the peer does not take it: {answer.status}")


def _not_taken(request: Request, message: Mapping[str, Any], why: str) -> None:
    """The other side will never have heard of it: a request that nobody has is refused, other acts are noted."""
    with transaction.atomic():
        request, now = lock(request.id)
        if message["act"] == "ask" and now.state == "asked":
            do(request, now, SHARING, "refuse", note=why, data={"code": "not_taken"})
        elif now.state not in ("", "refused", "endorsed"):
            do(request, now, SHARING, "fail", note=f"{message['act']}: {why}")


def directory_of(participant_id: str) -> Iterator[dict[str, Any]]:
    """What another node's directory shows us. Raises UnknownPeer, PeerUnreachable, PeerRefused, PeerMisbehaves."""
    peer = trust.peer(participant_id)
    after = ""
    for _ in range(MOST_PAGES):
        url = f"{peer.url.rstrip('/')}/wantong/sharing/directory?after={quote(after, safe='')}"
        answer = wire.call(peer, "GET", url)
        told = answer.json()
        if not answer.ok:
            raise PeerRefused(peer=participant_id, answer=answer.status, reason="")
        found = told.get("entries") if isinstance(told, dict) else None
        if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
            raise PeerMisbehaves(peer=participant_id, reason="not-a-directory")
        for one in found:
            yield _entry(participant_id, one)
        if not told.get("more") or not found:
            return
        if str(found[-1].get("dataset_id", "")) <= after:
            raise PeerMisbehaves(peer=participant_id, reason="no-progress")
        after = str(found[-1]["dataset_id"])
    raise PeerMisbehaves(peer=participant_id, reason="endless", most=MOST_PAGES)


def _entry(participant_id: str, told: Mapping[str, Any]) -> dict[str, Any]:
    """An entry of somebody else's directory, cut to what an entry may be."""
    body, fields = _mapping(told.get("body")), told.get("fields")
    score = _mapping(told.get("quality")).get("score")
    name = _short(told.get("dataset_id"), 200)
    if not name:
        raise PeerMisbehaves(peer=participant_id, reason="not-a-directory")
    return {
        "dataset_id": name,
        "title": _map(told.get("title")) or {"en": name},
        "description": _map(told.get("description")),
        "themes": [],
        "body": {"code": _short(body.get("code"), 80), "name": _map(body.get("name"))},
        "unit": _map(told.get("unit")),
        "sharing": told.get("sharing") if told.get("sharing") in codes.types() else codes.CONDITIONAL,
        "ground": _map(told.get("ground")),
        "grade": _short(told.get("grade"), 40),
        "fields": [
            {
                "name": _short(column["name"], 200),
                "title": _map(column.get("title")),
                "type": _short(column.get("type"), 40),
                "kind": _short(column.get("kind"), 40),
                "grade": column.get("grade")
                if column.get("grade") in ("general", "personal", "sensitive")
                else "general",
            }
            for column in (fields[:2000] if isinstance(fields, list) else ())
            if isinstance(column, Mapping) and isinstance(column.get("name"), str) and column["name"]
        ],
        "key": [],
        "update_cycle": _short(told.get("update_cycle"), 60),
        "updated_at": _short(told.get("updated_at"), 40),
        "version": _count(told.get("version")),
        "rows": _count(told.get("rows")),
        "size": _count(told.get("size")),
        "media_type": _short(told.get("media_type"), 120),
        "quality": {
            "score": score if type(score) is int and 0 <= score <= 100 else None,
            "parts": {},
            "ratings": 0,
        },
    }


# --- asked ------------------------------------------------------------------------------------------------------


@csrf_exempt
def shown_directory(request: HttpRequest) -> HttpResponse:
    """A page of what the caller may see of the directory, in the order of dataset ids."""
    caller, _ = extension.incoming(request, "GET")
    found = directory.entries_for(caller.peer).filter(dataset__gt=stored(request.GET.get("after", "")[:200]))
    page = list(found.order_by("dataset_id")[: PAGE + 1])
    return JsonResponse({"entries": directory.described(page[:PAGE]), "more": len(page) > PAGE})


@csrf_exempt
def incoming(request: HttpRequest) -> HttpResponse:
    """A message of the other side of a request."""
    caller, body = extension.incoming(request, "POST")
    message = extension.json_object(body)
    try:
        taken = receive(caller.peer, message)
    except IntegrityError:
        # the same message at the same moment
        raise OutOfOrder() from None
    return JsonResponse({"taken": taken})


@transaction.atomic
def receive(peer: Peer, message: Mapping[str, Any]) -> bool:
    """Note down what the other side has done, and do what follows from it here. False for what came too late to matter.

    Raises BadMessage, OutOfOrder, and the problem of an act that its side may not do.
    """
    act, name, number, data, note = _read(message)
    identifier = _uuid("request", message)
    if act == "ask":
        request = _asked(peer, identifier, message)
    else:
        found = Request.objects.filter(id=identifier, peer=peer).first()
        if found is None:
            # what is about nothing we know may be about what is still on its way
            raise OutOfOrder()
        request = found
    request, before = lock(request.id)
    if request.actions.filter(message=name).exists() or number <= request.received:
        return True
    if number != request.received + 1:
        raise OutOfOrder()
    flow = Workflow.load(before.workflow or None)
    theirs = "asker" if request.side == Side.OWNER else "owner"
    if act not in flow.acts or flow.side(act) != theirs:
        raise BadMessage(field="act", reason="not-theirs", act=act)
    request.received = number
    actor = Actor(f"peer:{peer.participant_id}", peer.participant_id)
    try:
        data = _checked(act, data, before)
        now = do(request, before, actor, act, note=note, data=data, message=name)
    except ActNotPossible:
        if before.is_open or not before.state:
            raise
        do(request, before, actor, "miss", note=note, data={"missed": act}, message=name)
        return False
    except (KeyError, TypeError, ValueError) as error:
        raise BadMessage(field="data", reason="unreadable", told=f"{act}: {type(error).__name__}") from None
    _follow(request, before, now, act, data)
    return True


def _follow(request: Request, before: Projection, now: Projection, act: str, data: Mapping[str, Any]) -> None:
    match act:
        case "ask":
            services.expire_at_term(request, services._asked(now).until)
            services.consider(request, now)
        case "withdraw":
            services.end_of_use(request, before, "withdrawn by the asker")
        case "grant":
            about = _mapping(data.get("about"))
            request.title = _map(about.get("title")) or request.title
            request.sharing = _short(about.get("sharing"), 16)
            told = _mapping(about.get("body"))
            request.owner_body = {"code": _short(told.get("code"), 80), "name": _map(told.get("name"))}
            request.save()
            crossing.take_up(request, now, data["offer"])
        case "announce":
            crossing.fetch_soon(request, f"version:{now.version}")


def _asked(peer: Peer, identifier: uuid.UUID, message: Mapping[str, Any]) -> Request:
    known = Request.objects.filter(id=identifier).first()
    if known is not None:
        if known.peer != peer or known.side != Side.OWNER:
            raise BadMessage(field="request", reason="taken")
        return known
    about, data = message.get("about"), message.get("data")
    try:
        wish = Wish.of(data["wish"])  # type: ignore[index]
        services.check(wish)
        salt, body = str(about["salt"]), about["body"]  # type: ignore[index]
        dataset_id = str(about["dataset_id"])  # type: ignore[index]
        code = _short(body["code"], 80)
    except (KeyError, TypeError, ValueError) as error:
        raise BadMessage(field="about, data", reason="unreadable", told=type(error).__name__) from None
    except BadWish as problem:
        raise BadMessage(**problem.params) from None
    named = 0 < len(dataset_id) <= services.LONGEST_ID and dataset_id.isprintable()
    if not _HEX.fullmatch(salt) or not code or not named:
        raise BadMessage(field="about", reason="incomplete", needs="salt, body, dataset_id")
    return Request.objects.create(
        id=identifier,
        side=Side.OWNER,
        peer=peer,
        dataset_id=dataset_id,
        asker_body={"code": code, "name": _map(body.get("name"))},
        wish=wish.to_dict(),
        salt=salt,
        asked_at=timezone.now(),
        delivery=wish.delivery,
    )


def _read(message: Mapping[str, Any]) -> tuple[str, str, int, dict[str, Any], str]:
    data, number = message.get("data"), message.get("number")
    if message.get("@type") != "SharingMessage" or not isinstance(data, Mapping):
        raise BadMessage(field="message", reason="incomplete", needs="@type: SharingMessage, data")
    if type(number) is not int or not 1 <= number <= MOST_MESSAGES:
        raise BadMessage(field="number", reason="range", least=1, most=MOST_MESSAGES)
    act, note = _short(message.get("act"), 20), message.get("note", "")
    if not isinstance(note, str) or len(note) > services.LONGEST_NOTE:
        raise BadMessage(field="note", reason="bad-text", most=services.LONGEST_NOTE)
    return act, str(_uuid("id", message)), number, dict(data), stored(note)


def _checked(act: str, data: dict[str, Any], before: Projection) -> dict[str, Any]:
    """What an act of the other side carries, cut to what we know of it. Raises KeyError, TypeError, ValueError."""
    match act:
        case "ask":
            return {"wish": Wish.of(data["wish"]).to_dict()}
        case "grant":
            grant = Grant.of(data["grant"])
            wish = before.wish
            if (
                wish is None
                or not grant.within(wish, list(grant.fields))
                or not isinstance(data["offer"], dict)
            ):
                raise ValueError("more than was asked for")
            return {"grant": grant.to_dict(), "offer": data["offer"], "about": dict(data.get("about") or {})}
        case "refuse":
            code = data["code"] if data["code"] in codes.refusals() else "not_fit"
            return {"code": code, "ground": _map(data.get("ground"))}
        case "announce":
            return {"version": _counted(data["version"])}
        case "consign":
            removed = [str(name) for name in data.get("removed", ())][:1000]
            if not all(_HEX.fullmatch(name) for name in removed) or data["mode"] not in (
                "whole",
                "changes",
                "service",
            ):
                raise ValueError("not digests")
            return {
                "delivery": str(_uuid("delivery", data)),
                "version": _counted(data["version"]),
                "base": int(data.get("base", 0)),
                "mode": data["mode"],
                "key": [str(name)[:200] for name in data.get("key", ())][:50],
                "rows": int(data.get("rows", 0)),
                "state": _short(data.get("state"), 64),
                "added": int(data.get("added", 0)),
                "changed": int(data.get("changed", 0)),
                "removed": removed,
            }
        case "rate":
            score, delivery = int(data["score"]), str(data["delivery"])
            rule = codes.load("quality")["rating"]
            if not rule["least"] <= score <= rule["best"] or delivery not in before.parcels:
                raise ValueError("no such score or delivery")
            return {"delivery": delivery, "score": score}
        case "report":
            commitment = str(data["commitment"])
            if not _HEX.fullmatch(commitment) or str(data["delivery"]) not in before.parcels:
                raise ValueError("no such delivery")
            return {
                "report": str(_uuid("report", data)),
                "delivery": str(data["delivery"]),
                "field": _short(data["field"], 200),
                "commitment": commitment,
            }
        case "answer":
            code = data["code"] if data["code"] in codes.answers() else "passed_on"
            return {"report": str(_uuid("report", data)), "code": code}
    return {}


def _uuid(name: str, said: Mapping[str, Any]) -> uuid.UUID:
    try:
        return uuid.UUID(str(said.get(name)))
    except ValueError:
        raise BadMessage(field=name, reason="not-uuid") from None


def _counted(value: Any) -> int:
    if type(value) is not int or not 0 < value < 1 << 31:
        raise ValueError("not a count")
    return value


def _count(value: Any) -> int:
    return value if type(value) is int and 0 <= value < 1 << 63 else 0


def _short(value: Any, most: int) -> str:
    return value[:most] if isinstance(value, str) and value.isprintable() else ""


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _map(value: Any) -> dict[str, str]:
    found = value if isinstance(value, Mapping) else {}
    return {
        lang: found[lang][:2000] for lang in LANGUAGES if isinstance(found.get(lang), str) and found[lang]
    }
