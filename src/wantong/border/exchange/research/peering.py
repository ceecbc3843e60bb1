"""Between the two nodes of a project: ``POST /wantong/research``, one message for each thing that one side has done.

A message is ``{"@type": "ResearchMessage", "id", "project", "act", "data"}``, signed like every message between nodes;
``act`` is open, agree, decline, review, release, end or close. One side's messages about one project come in order; one
that comes again changes nothing.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt

from wantong.border.exchange import extension, schemas, wire
from wantong.border.exchange.extension import BadRequest
from wantong.border.exchange.problems import PeerMisbehaves, PeerUnreachable
from wantong.border.exchange.research import reviews, services
from wantong.border.exchange.research.models import Project, Release
from wantong.border.exchange.research.problems import BadProject, UnknownProject
from wantong.border.trust.models import Peer
from wantong.ground.actors import Actor
from wantong.ground.i18n import LANGUAGES
from wantong.ground.outbox import services as outbox
from wantong.ground.outbox.models import Event

# answers after which it is worth trying again, and how often: 404 may be a node that is being brought up to date
NOT_YET = {401: 8, 404: 8, 408: 600, 425: 600, 429: 600}
MOST_FIELDS = 2000
ACTS = "open, agree, decline, review, release, end, close"


def send(event: Event) -> None:
    """Deliver one message. Raises Retry until it is taken; Permanent if it never will be."""
    project = services.get(event.payload["project"])
    message = event.payload["message"]
    url = f"{project.partner.url.rstrip('/')}/wantong/research"
    try:
        answer = wire.call(project.partner, "POST", url, message, message_id=message["id"])
    except (PeerUnreachable, PeerMisbehaves) as error:
        raise outbox.Retry(str(error)) from error
    if answer.ok:
        return
    if answer.status >= 500 or event.attempts < NOT_YET.get(answer.status, 0):
        raise outbox.Retry(f"answered {answer.status}")
    raise outbox.Permanent(f"the partner does not take it: {answer.status}")


@csrf_exempt
def incoming(request: HttpRequest) -> HttpResponse:
    """A message of the partner."""
    caller, body = extension.incoming(request, "POST")
    receive(caller.peer, extension.json_object(body))
    return JsonResponse({"taken": True})


@transaction.atomic
def receive(peer: Peer, message: Mapping[str, Any]) -> None:
    """Note down what the partner has done, and do what follows. Raises BadRequest, :class:`UnknownProject`."""
    data, act, name = message.get("data"), message.get("act"), message.get("id")
    if message.get("@type") != "ResearchMessage" or not isinstance(data, Mapping) or not _short(name, 80):
        raise BadRequest(reason="research-message")
    try:
        identifier = uuid.UUID(str(message.get("project")))
    except ValueError:
        raise BadRequest(reason="research-message") from None
    if act == "open":
        _opened(peer, identifier, data)
        return
    project = Project.objects.select_for_update().filter(id=identifier, partner=peer).first()
    if project is None:
        raise UnknownProject(project=str(identifier))
    actor = Actor(f"peer:{peer.participant_id}", peer.participant_id)
    match act:
        case "agree" | "decline":
            if project.begun_here and project.state == Project.State.PROPOSED:
                project.state = Project.State.AGREED if act == "agree" else Project.State.DECLINED
                project.save(update_fields=("state",))
        case "review":
            if not project.reviews.filter(message=name).exists():
                _reviewed(project, actor, data, str(name))
        case "release":
            _released(project, actor, data)
        case "end":
            found = project.releases.filter(side="theirs", dataset_id=str(data.get("dataset_id"))[:200])
            found.update(state=Release.State.ENDED, reason=_short(data.get("reason"), 300))
        case "close":
            if project.state not in (Project.State.CLOSED, Project.State.DECLINED):
                services.closed(project, f"closed-by:{peer.participant_id}")
        case _:
            raise BadRequest(reason="research-act", choices=ACTS)


def _opened(peer: Peer, identifier: uuid.UUID, data: Mapping[str, Any]) -> None:
    known = Project.objects.filter(id=identifier).first()
    if known is not None:
        if known.partner != peer or known.begun_here:
            raise BadRequest(reason="research-id-taken")
        return
    try:
        until = dt.date.fromisoformat(str(data.get("until")))
        services.check(data.get("title"), data.get("description", {}), data.get("kinds"), until)
    except (ValueError, TypeError, BadProject):
        raise BadRequest(reason="research-data", act="open") from None
    Project.objects.create(
        id=identifier,
        title=dict(data["title"]),
        description=dict(data.get("description", {})),
        kinds=list(data["kinds"]),
        partner=peer,
        begun_here=False,
        state=Project.State.PROPOSED,
        until=until,
        opened_by=f"peer:{peer.participant_id}",
    )


def _reviewed(project: Project, actor: Actor, data: Mapping[str, Any], message: str) -> None:
    paper, name, approved = data.get("document"), data.get("name"), data.get("approved")
    if name not in reviews.names() or not isinstance(approved, bool) or not isinstance(paper, Mapping):
        raise BadRequest(reason="research-data", act="review")
    told = {
        part: _short(paper.get(part), most)
        for part, most in (("title", 300), ("number", 100), ("sha256", 64))
    }
    if approved and (not told["title"] or (reviews.wants_number(str(name)) and not told["number"])):
        raise BadRequest(reason="research-paper")
    services.reviewed(project, actor, str(name), "theirs", approved, told, message=message)


def _released(project: Project, actor: Actor, data: Mapping[str, Any]) -> None:
    fields, dataset_id, title = data.get("fields"), _short(data.get("dataset_id"), 200), data.get("title")
    if (
        not dataset_id
        or not isinstance(fields, list)
        or not 0 < len(fields) <= MOST_FIELDS
        or not all(isinstance(field, str) and 0 < len(field) <= 200 for field in fields)
        or data.get("kind") not in reviews.kinds()
    ):
        raise BadRequest(reason="research-data", act="release")
    try:
        schemas.check(data.get("offer") or {}, "Offer")
    except schemas.InvalidMessage as error:
        raise BadRequest(reason="research-offer", told=error.reasons[0]) from None
    texts = title if isinstance(title, Mapping) else {}
    project.releases.update_or_create(
        side="theirs",
        dataset_id=dataset_id,
        defaults={
            "title": {lang: _short(texts[lang], 300) for lang in LANGUAGES if _short(texts.get(lang), 300)},
            "kind": data["kind"],
            "fields": dict.fromkeys(fields, ""),
            "offer": data["offer"],
            "state": Release.State.RELEASED,
            "reason": "",
            "negotiation_pid": "",
            "proposed_by": actor.id,
        },
    )


def _short(value: Any, most: int) -> str:
    return value[:most] if isinstance(value, str) else ""
