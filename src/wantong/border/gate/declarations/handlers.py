"""What the gate does by itself: one handler a step; all may be called twice."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from wantong.border.gate.consent import services as consent
from wantong.border.gate.declarations import receiving, services, steps
from wantong.border.gate.declarations.models import Declaration, Direction, State
from wantong.ground.outbox.models import Event
from wantong.ground.outbox.services import Retry, handler

# a receipt is there within a second or two, unless a witness is away; then it is asked for less and less often
FIRST_LOOK, LAST_LOOK = dt.timedelta(milliseconds=500), dt.timedelta(minutes=5)
WAITING = (State.DECIDED, State.WAITING, State.HELD)


@handler("gate.classify")
@handler("gate.decide")
def proceed(event: Event) -> None:
    steps.proceed(event.payload["declaration_id"], event.payload["after"])


@handler("gate.release")
def release(event: Event) -> None:
    steps.release(event.payload["declaration_id"])


@handler("gate.recall")
def recall(event: Event) -> None:
    steps.recall_as(event.payload["declaration_id"], event.payload)


@handler("gate.term", timer=True)
def term(event: Event) -> None:
    receiving.erase_at_term(event.payload["declaration_id"])


@handler("gate.unlink")
def unlink(event: Event) -> None:
    receiving.unlink(Path(event.payload["path"]))


@handler("gate.receipt")
def receipt(event: Event) -> None:
    if not services.receipted(event.payload["declaration_id"]):
        raise Retry("not witnessed yet", after=min(FIRST_LOOK * event.attempts, LAST_LOOK))


@handler("whitelist.changed")
def whitelist_changed(event: Event) -> None:
    _look_again(event.key)


@handler("consent.changed")
def consent_changed(event: Event) -> None:
    _look_again(event.payload["dataset_id"])
    standing = Declaration.objects.filter(
        dataset_id=event.payload["dataset_id"], direction=Direction.EXPORT, state=State.RELEASED
    ).exclude(service={})
    for declaration in standing:
        steps.admit(declaration, consent.changed_since(event.payload["at"]))


def _look_again(dataset_id: str) -> None:
    waiting = Declaration.objects.filter(dataset_id=dataset_id, direction=Direction.EXPORT, state__in=WAITING)
    for declaration in waiting:
        steps.settle(declaration.id)
