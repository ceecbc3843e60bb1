"""Public bodies of the demonstration share data: one item at once and in every new version, one decided by two people.

The data is made up. What is asked, decided and delivered goes through the nodes' own API, as their people would do it.
"""

from __future__ import annotations

import datetime as dt
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wantong.ground import clock
from wantong.ground.i18n import LANGUAGES, t
from wantong.node.bay import Bay
from wantong.node.demo.desk import Desk, GaveUp, until
from wantong.node.demo.scenario import run_id

BODIES = {"gd": "gd-transport", "mo": "mo-statistics"}
FACTS = {
    "from_area": "gba9",
    "to_area": "mo",
    "to_jurisdiction": "MO",
    "is_personal": False,
    "is_important_data": False,
}
DAYS = 40


@dataclass
class Shared:
    """What came of it: the two requests as Macao sees them, and what it had to wait for each (seconds)."""

    at_once: str
    decided: str
    dataset: str
    seconds: Mapping[str, float]


def play(bay: Bay) -> Shared:
    """A bureau of Macao asks a bureau of Guangdong. Raises GaveUp if something does not come to its end."""
    clerk, officer, asker = (
        Desk(bay.nodes["gd"], "clerk"),
        Desk(bay.nodes["gd"], "officer"),
        Desk(bay.nodes["mo"], "clerk"),
    )
    for place, desks in (("gd", ("clerk", "officer")), ("mo", ("clerk",))):
        chief = Desk(bay.nodes[place], "officer")
        texts = {lang: t(f"demo.body.{BODIES[place]}", lang) for lang in LANGUAGES}
        chief.act("/sharing/bodies", {"code": BODIES[place], "name": texts})
        for who in desks:
            chief.act(f"/sharing/bodies/{BODIES[place]}/members", {"actor": f"user:{who}"})
    names = {kind: f"urn:wantong:gd:{kind}:{run_id()}" for kind in ("bus-stops", "road-flow")}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bus-stops.csv"
        for kind, sharing in (("bus-stops", "unconditional"), ("road-flow", "conditional")):
            path = path.with_name(f"{kind}.csv")
            path.write_text(table(), "utf-8")
            _enter(clerk, path, names[kind], kind, sharing)
        officer.act(f"/sharing/confirmations/{names['bus-stops']}")
        at_once = _ask(asker, clerk, names["bus-stops"], "subscription")
        decided = _ask(asker, clerk, names["road-flow"], "file")
        _delivered(asker, at_once, 1)

        def known() -> bool:
            return any(row["id"] == decided for row in clerk.get("/sharing/requests")["requests"])

        until(lambda: known() or None, "the request at its owner")
        clerk.act(f"/sharing/requests/{decided}/act", {"act": "endorse", "note": t("demo.note", "zh-hans")})
        officer.act(f"/sharing/requests/{decided}/act", {"act": "approve", "note": t("demo.note", "zh-hans")})
        path.with_name("bus-stops.csv").write_text(table(moved=True), "utf-8")
        clerk.upload(f"/sharing/versions/{names['bus-stops']}", "file", path.with_name("bus-stops.csv"))
    _delivered(asker, at_once, 2)
    _delivered(asker, decided, 1)
    thread = asker.get(f"/sharing/requests/{at_once}")
    rated = {"act": "rate", "delivery": thread["deliveries"][0]["delivery"], "score": 5}
    asker.act(f"/sharing/requests/{at_once}/act", rated)
    seconds = {}
    for name in (at_once, decided):
        told = asker.get(f"/sharing/requests/{name}")
        seconds[name] = (
            dt.datetime.fromisoformat(told["had_at"]) - dt.datetime.fromisoformat(told["asked_at"])
        ).total_seconds()
    return Shared(at_once, decided, names["bus-stops"], seconds)


def table(*, moved: bool = False) -> str:
    """Stops and how many board there; ``moved``: one stop is gone, one is new, one has other numbers."""
    rows = {f"S{n:03d}": 100 + 7 * n % 90 for n in range(DAYS)}
    if moved:
        del rows["S003"]
        rows |= {"S004": 1, "S900": 55}
    return "stop,boarding\n" + "".join(f"{stop},{count}\n" for stop, count in rows.items())


def _enter(clerk: Desk, path: Path, name: str, kind: str, sharing: str) -> None:
    clerk.publish(
        path,
        {
            "id": name,
            "title": {lang: t(f"demo.shared.{kind}", lang) for lang in LANGUAGES},
            "fields": [{"name": "stop", "type": "string"}, {"name": "boarding", "type": "integer"}],
            "media_type": "text/csv",
            "update_cycle": "P1D",
            "grade": "general",
            "facts": FACTS,
        },
    )
    ground = (
        {} if sharing == "unconditional" else {lang: t("demo.shared.condition", lang) for lang in LANGUAGES}
    )
    entry = {"dataset_id": name, "body": BODIES["gd"], "sharing": sharing, "ground": ground, "key": ["stop"]}
    clerk.act("/sharing/directory", entry)


def _ask(asker: Desk, owner: Desk, dataset: str, delivery: str) -> str:
    wish: dict[str, Any] = {
        "dataset_id": dataset,
        "body": BODIES["mo"],
        "owner": owner.participant_id,
        "purpose": "traffic_planning",
        "basis": "statutory_duty",
        "article": t("demo.shared.article", "pt"),
        "volume": 1000,
        "until": (clock.today() + dt.timedelta(days=180)).isoformat(),
        "delivery": delivery,
    }
    made: str = asker.act("/sharing/requests", wish)["id"]
    return made


def _delivered(asker: Desk, request: str, version: int) -> None:
    def look() -> bool | None:
        told = asker.get(f"/sharing/requests/{request}")
        if told["state"] == "refused":
            raise GaveUp(f"refused: {told['refusal']}")
        return any(one["delivered_at"] and one["version"] >= version for one in told["deliveries"]) or None

    until(look, f"version {version} under request {request}")
