"""A body of this node with three people, another body of it, and the other side of a request as messages."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.utils import timezone

from wantong.border.exchange.sharing import directory
from wantong.border.exchange.sharing.request import Wish
from wantong.ground.actors import Actor
from wantong.ground.outbox.models import Event

CHAN = Actor("user:chan", "Chan", frozenset({"declarer", "approver"}))
LEI = Actor("user:lei", "Lei", frozenset({"approver"}))
HO = Actor("user:ho", "Ho", frozenset({"approver"}))
WU = Actor("user:wu", "Wu", frozenset({"declarer", "approver"}))
CHIEF = Actor("user:chief", "", frozenset({"operator"}))
FACTS = {"from_area": "gba9", "to_area": "hk", "is_personal": False, "is_important_data": False}
CSV = b"day,arrivals\n2026-01-01,100\n2026-01-02,200\n2026-01-03,300\n"
DATASET = "urn:data:passengers"


def wish(**more: Any) -> Wish:
    return Wish(
        **{
            "purpose": "traffic_planning",
            "basis": "statutory_duty",
            "article": "Road Traffic Ordinance, s. 4",
            "fields": (),
            "volume": 1000,
            "until": timezone.localdate() + dt.timedelta(days=90),
            "delivery": "file",
            **more,
        }
    )


@dataclass
class Other:
    """The other side of a request: signs messages about it, and numbers them."""

    peer: Any
    request: str = field(default_factory=lambda: str(uuid.uuid4()))
    number: int = 0

    def say(self, act: str, note: str = "", *, number: int | None = None, **data: Any) -> Any:
        self.number = number or self.number + 1
        message = {
            "@type": "SharingMessage", "id": str(uuid.uuid4()), "request": self.request, "number": self.number,
            "act": act, "at": timezone.now().isoformat(), "note": note, "data": data,
        }  # fmt: skip
        if act == "ask":
            message["about"] = {"dataset_id": data.pop("dataset_id", DATASET), "salt": "ab" * 32,
                                "body": {"code": "hk-td", "name": {"en": "Transport Department"}}}  # fmt: skip
        return self.peer.call("POST", "/wantong/sharing", message, message_id=message["id"])

    def ask(self, **more: Any) -> Any:
        return self.say("ask", wish=wish(**more).to_dict())

    def told(self) -> list[dict[str, Any]]:
        """What this node has told it."""
        return [message for path, message in self.peer.received if path == "/wantong/sharing"]


@pytest.fixture
def bodies(node):
    for code, people in {"gd-stats": (CHAN, LEI, HO), "gd-hrss": (WU,)}.items():
        directory.add_body(CHIEF, code, {"en": code, "zh-hans": code})
        for person in people:
            directory.add_member(CHIEF, code, person.id)


@pytest.fixture
def listed(bodies, publish) -> Callable[..., Any]:
    """A dataset in the directory, confirmed where that takes a second person."""

    def make(sharing: str = "unconditional", *, content: bytes = CSV, identifier: str = DATASET, **more: Any):
        entry = {name: more.pop(name) for name in ("key", "masks", "ground", "body", "unit") if name in more}
        publish(identifier, content, **{"is_open": False, "facts": FACTS, "update_cycle": "P1M", **more})
        ground = {} if sharing == "unconditional" else {"en": "Only for planning."}
        listing = directory.enter(
            CHAN, identifier, **{"body": "gd-stats", "sharing": sharing, "ground": ground, **entry}
        )
        return directory.confirm(LEI, identifier) if sharing == "unconditional" else listing

    return make


@pytest.fixture
def settle(drain) -> Callable[[], None]:
    """Everything that must still happen, however long it would wait (but for terms and witnesses)."""

    def run() -> None:
        for _ in range(40):
            waiting = Event.objects.filter(state="due").exclude(
                topic__in=("log.witness", "gate.receipt", "gate.term", "sharing.term", "exchange.receipts")
            )
            if not waiting.exists():
                return
            waiting.update(available_at="2000-01-01T00:00Z")
            drain()

    return run
