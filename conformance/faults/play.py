"""What people do in a run: publish, allow, ask for an agreement, ask for the data; and what must never cross."""

from __future__ import annotations

import csv
import datetime as dt
import random
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from plan import Plan
from world import World

from wantong.ground import clock
from wantong.node.demo import people
from wantong.node.demo.desk import GaveUp, Refused

AREAS = {"gd": "gba9", "hk": "hk", "mo": "mo"}
FINAL = {"FINALIZED", "COMPLETED", "TERMINATED"}
PATIENCE = 180.0
T = TypeVar("T")


@dataclass(frozen=True)
class Crossing:
    """A kind of table: which columns may leave and how, what the owner says of it, and how many rows it has."""

    rows: int
    fields: Mapping[str, str]
    facts: Mapping[str, Any]
    purpose: str
    subject: str = ""
    legal_basis: str = "other_law"


CROSSINGS = {
    "register": Crossing(
        40,
        {"marker": "keep", "district": "keep", "amount": "keep"},
        {"is_personal": False, "is_important_data": False},
        "urban_planning",
    ),
    "large": Crossing(
        40_000,
        {"marker": "keep", "district": "keep", "amount": "keep"},
        {"is_personal": False, "is_important_data": False},
        "urban_planning",
    ),
    "members": Crossing(
        60,
        {"member": "tokenise", "marker": "keep"},
        {"is_personal": True, "n_sensitive": 0},
        "library_card_recognition",
        subject="member",
        legal_basis="contract",
    ),
}
HEADER = ("member", "name", "marker", "district", "amount")


@dataclass
class Played:
    """A run as far as it has come: the ids under which both sides must know it, and what it may show on the wire."""

    plan: Plan
    dataset: str
    secret: list[str] = field(default_factory=list)
    negotiation: str = ""
    agreement: str = ""
    transfers: list[str] = field(default_factory=list)
    trouble: str = ""

    @property
    def marker(self) -> str:
        """Stands in every row that may cross, and in no other run's."""
        return f"R{self.plan.seed}-{self.dataset[-8:]}-"


class Play:
    """One run's people."""

    def __init__(self, world: World, plan: Plan) -> None:
        self.world, self.plan = world, plan
        self.crossing = CROSSINGS[plan.crossing]
        self.played = Played(plan, f"urn:wantong:{plan.source}:faults:{plan.seed}:{uuid.uuid4().hex[:8]}")
        self.clerk = world.nodes[plan.source].desk("clerk")
        self.officer = world.nodes[plan.source].desk("officer")
        self.asker = world.nodes[plan.target].desk("clerk")
        self._offer: Mapping[str, Any] = {}

    def prepare(self) -> None:
        """In peace: the owner publishes the table and two people allow a part of it to leave."""
        path = self.world.folder / "table.csv"
        self._write(path)
        dataset = self.clerk.publish(
            path,
            {
                "id": self.played.dataset,
                "title": {"en": f"Table {self.plan.seed}"},
                "fields": [{"name": name} for name in HEADER],
                "media_type": "text/csv",
                "facts": {
                    **self.crossing.facts,
                    "from_area": AREAS[self.plan.source],
                    "to_area": AREAS[self.plan.target],
                    "sender_is_ciio": False,
                    "sender_is_state_organ": False,
                    "legal_basis": self.crossing.legal_basis,
                },
                "subject_column": self.crossing.subject,
            },
        )
        self._offer = dataset["offers"][0]
        today = clock.today()
        item = self.clerk.act(
            "/whitelist",
            {
                "dataset_id": self.played.dataset,
                "fields": dict(self.crossing.fields),
                "purpose": self.crossing.purpose,
                "receiver": self.asker.participant_id,
                "legal_basis": self.crossing.legal_basis,
                "valid_from": (today - dt.timedelta(days=2)).isoformat(),
                "valid_until": (today + dt.timedelta(days=365)).isoformat(),
                "open": False,
            },
        )
        self.officer.act(f"/whitelist/{item['id']}/approve", {"note": "fault suite"})
        path.unlink()

    def go(self) -> None:
        """While everything breaks: agree, and fetch. What a restore has swallowed is asked for no more."""
        try:
            self._agree()
            if self.played.agreement:
                self._fetch()
        except (GaveUp, Refused) as error:
            self.played.trouble = f"{type(error).__name__}: {error}"

    def _agree(self) -> None:
        negotiation = self.asker.act(
            "/negotiations",
            {
                "participant_id": self.clerk.participant_id,
                "dataset_id": self.played.dataset,
                "purpose": self.crossing.purpose,
                "fields": list(self.crossing.fields),
                "offer": self._offer,
            },
        )
        self.played.negotiation = negotiation["pid"]
        row = self._settled("exchange_negotiation", negotiation["pid"])
        self.played.agreement = row["agreement_id"] if row["state"] == "FINALIZED" else ""

    def _fetch(self) -> None:
        for _ in range(self.plan.transfers):
            transfer = self.asker.act("/transfers", {"agreement_id": self.played.agreement})
            self.played.transfers.append(transfer["id"])
        for identifier in self.played.transfers:
            if self.plan.crossing == "members":
                self._sign(identifier)
            self._settled("exchange_transfer", f"urn:uuid:{identifier}")

    def _settled(self, table: str, pid: str) -> dict[str, Any]:
        node = self.world.nodes[self.plan.target]

        def look() -> dict[str, Any] | None:
            more = ", agreement_id" if table == "exchange_negotiation" else ""
            found = _patient(node, f"SELECT state{more} FROM {table} WHERE pid = '{pid}'")
            if found is not None and not found and self.plan.restored == self.plan.target:
                return {"state": "TERMINATED", "agreement_id": ""}
            return found[0] if found and found[0]["state"] in FINAL else None

        return until(look, f"an end of {pid}")

    def _sign(self, identifier: str) -> None:
        """Personal data waits for the owner's officer, who signs, unless it is over before."""
        source, target = self.world.nodes[self.plan.source], self.world.nodes[self.plan.target]
        question = (
            "SELECT d.id, d.state FROM declarations_declaration d JOIN exchange_transfer t ON t.id = d.transfer_id "
            f"WHERE t.counterpart_pid = 'urn:uuid:{identifier}' AND d.direction = 'export'"
        )

        def look() -> Mapping[str, Any] | None:
            over = _patient(
                target, f"SELECT state FROM exchange_transfer WHERE pid = 'urn:uuid:{identifier}'"
            )
            if over is not None and (not over or over[0]["state"] in FINAL):
                return {"state": "over"}
            found = _patient(source, question)
            settled = {"waiting", "held", "released", "refused", "delivered", "receipted"}
            return found[0] if found and found[0]["state"] in settled else None

        for _ in range(10):
            seen = until(look, "the gate's answer")
            if seen["state"] not in ("waiting", "held"):
                return
            declaration = self.officer.get(f"/declarations/{uuid.UUID(str(seen['id']))}")
            wanted = [r for r in declaration["needs"] if r["act"]]
            if declaration["state"] not in ("waiting", "held") or not wanted:
                continue
            act = wanted[0]["act"]
            self.officer.act(
                f"/declarations/{declaration['id']}/act",
                {
                    "act": act,
                    "note": "fault suite",
                    "document": {"title": "Paper", "number": f"F-{uuid.uuid4().hex[:8]}"},
                    "requirements": [r["id"] for r in wanted if r["act"] == act],
                },
            )

    def _write(self, path: Path) -> None:
        """Rows of people who do not exist; nothing of ``name`` and, unmasked, nothing of ``member`` may ever cross."""
        dice = random.Random(self.plan.seed)
        persons = list(people.people(min(self.crossing.rows, 60), self.plan.seed))
        with path.open("w", encoding="utf-8", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(HEADER)
            for n in range(self.crossing.rows):
                person = persons[n % len(persons)]
                name = f"{person.name}-{self.plan.seed}-{n % len(persons)}"
                marker = f"{self.played.marker}{n:06d}"
                rows.writerow((person.number, name, marker, f"D{n % 18:02d}", dice.randrange(10, 9000)))
                if n < len(persons):
                    self.played.secret += [person.number, name]


def until(look: Callable[[], T | None], what: str) -> T:
    """Look now and then until there is something. Raises GaveUp."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if seen := look():
            return seen
        time.sleep(0.1)
    raise GaveUp(what)


def _patient(node: Any, question: str) -> list[dict[str, Any]] | None:
    """The answer, None while there is no database to ask (a node that is being restored)."""
    try:
        answer: list[dict[str, Any]] = node.rows(question)
    except Exception:
        return None
    return answer
