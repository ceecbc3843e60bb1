"""The crossings of the demonstration. Each is what people at two nodes would do, through the nodes' own API.

The law is not here: what a crossing waits for, and what it ends as, comes from the gate; ``expected`` is only what
the demonstration claims beforehand, so that a wrong answer is seen.
"""

from __future__ import annotations

import csv
import datetime as dt
import gzip
import json
import tempfile
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from wantong.border.gate.verification import carried
from wantong.ground import clock
from wantong.ground.i18n import LANGUAGES, t
from wantong.node.bay import Bay
from wantong.node.demo import people
from wantong.node.demo.desk import Desk, GaveUp, until
from wantong.node.demo.narration import Crossing, Narrator

SETTLED = {"released", "held", "refused", "waiting", "delivered", "receipted"}
DELIVERED = {"delivered", "receipted"}


@dataclass
class Stage:
    """Where a crossing is played: the desks of all three nodes, the teller, a folder for what is made up."""

    bay: Bay
    narrator: Narrator
    scratch: Path
    lang: str
    clerks: Mapping[str, Desk] = field(init=False)
    officers: Mapping[str, Desk] = field(init=False)

    def __post_init__(self) -> None:
        self.clerks = {place: Desk(node, "clerk") for place, node in self.bay.nodes.items()}
        self.officers = {place: Desk(node, "officer") for place, node in self.bay.nodes.items()}

    def text(self, message: str, **params: Any) -> str:
        return t(f"demo.{message}", self.lang, **params)

    def say(
        self,
        message: str,
        rules: Sequence[str] = (),
        citations: Sequence[str] = (),
        page: str = "",
        **params: Any,
    ) -> None:
        self.narrator.step(self.text(message, **params), tuple(rules), tuple(citations), page)


def run(bay: Bay, narrator: Narrator, lang: str = "en", only: Collection[str] = ()) -> None:
    """Play all crossings (or those whose ids are in ``only``), each whatever became of the others."""
    with tempfile.TemporaryDirectory() as folder:
        stage = Stage(bay, narrator, Path(folder), lang)
        for number, (source, target, expected, play) in CROSSINGS.items():
            if only and number not in only:
                continue
            title = t(f"demo.title.{number}", lang)
            with narrator.crossing(number, title, source, target, expected) as crossing:
                play(stage, crossing)


# --- the crossings ----------------------------------------------------------------------------------------------


def passengers(stage: Stage, crossing: Crossing) -> None:
    """Real statistics without personal data: released at once."""
    path = stage.scratch / "hk_immd_daily_passenger.csv"
    packed = resources.files("wantong.node.demo") / "data" / "hk_immd_daily_passenger.csv.gz"
    path.write_bytes(gzip.decompress(packed.read_bytes()))
    columns = [name for name in columns_of(path) if name]
    shipment = Shipment(
        dataset_id=f"urn:wantong:hk:immd:daily-passenger:{run_id()}",
        path=path,
        title="passengers",
        purpose="traffic_planning",
        fields=dict.fromkeys(columns, "keep"),
        is_open=True,
        legal_basis="open_data",
        licence="https://data.gov.hk/en/terms-and-conditions",
        publisher="immd",
        facts={"is_personal": False, "is_important_data": False, "from_area": "hk", "to_area": "gba9"},
    )
    sent = ship(stage, crossing, shipment)
    arrive(stage, crossing, sent)


def social_insurance(stage: Stage, crossing: Crossing) -> None:
    """Sensitive personal data: consent, contract, filing, four eyes; one person says no."""
    path = stage.scratch / "social_insurance.csv"
    everyone = people.social_insurance(path, 480)
    shipment = Shipment(
        dataset_id=f"urn:wantong:gd:social-insurance:{run_id()}",
        path=path,
        title="insurance",
        purpose="benefit_portability",
        fields={
            "公民身份号码": "tokenise",
            "险种": "keep",
            "缴费月数": "keep",
            "银行账号": "partial",
        },
        subject_column="公民身份号码",
        facts=GBA_FACTS
        | {
            "to_area": "hk",
            "to_jurisdiction": "HK",
            "contract": "gba_cn_hk",
            "chosen_route": "gba_standard_contract",
        },
    )
    willing = [person.number for person in everyone[:470]]
    consents = grant(stage, crossing, shipment, willing)
    sent = ship(stage, crossing, shipment)
    stage.say("waits", what=", ".join(sorted(r["name"] for r in sent.settled()["needs"])))
    stage.officers[crossing.source].act(f"/consents/{consents[0]}/withdraw")
    stage.say("withdrawn-before", citations=("PIPL 15",))
    satisfy(stage, sent)
    arrive(stage, crossing, sent)
    rows = sent.received_rows()
    if len(rows) != 469:
        raise GaveUp(f"469 records should have arrived, not {len(rows)}")
    leaked = [name for name in rows[0] if name not in shipment.fields]
    text = json.dumps(rows, ensure_ascii=False)
    if leaked or any(person.number in text or person.name in text for person in everyone):
        raise GaveUp("something left that was not released")
    stage.say("only-released", rows=len(rows), fields=len(rows[0]))
    stage.officers[crossing.source].act(f"/consents/{consents[1]}/withdraw")
    until(
        lambda: len(sent.received_rows()) == 468 or None,
        "the receiver strikes the record of who withdrew later",
    )
    stage.say("withdrawn-after", citations=("PIPL 15", "PIPL 47"))


def medical_claims(stage: Stage, crossing: Crossing) -> None:
    """12,000 sensitive persons and no GBA contract: only a security assessment opens the way."""
    path = stage.scratch / "medical_claims.csv"
    people.medical_claims(path, 12_000)
    shipment = Shipment(
        dataset_id=f"urn:wantong:gd:medical-claims:{run_id()}",
        path=path,
        title="claims",
        purpose="claims_settlement",
        fields={"公民身份号码": "tokenise", "诊断": "keep", "金额": "keep"},
        subject_column="公民身份号码",
        legal_basis="other_law",
        facts=GBA_FACTS
        | {
            "to_area": "mo",
            "to_jurisdiction": "MO",
            "contract": "none",
            "chosen_route": "security_assessment",
            "legal_basis": "other_law",
        },
    )
    stop(stage, crossing, ship(stage, crossing, shipment))


def important_data(stage: Stage, crossing: Crossing) -> None:
    """A listed file: held, and the authority is named."""
    path = stage.scratch / "grid_load.csv"
    path.write_text(
        "substation,hour,megawatt\n" + "".join(f"S{n % 40:02d},{n % 24},{n * 7 % 900}\n" for n in range(960))
    )
    shipment = Shipment(
        dataset_id=f"urn:wantong:gd:grid-load:{run_id()}",
        path=path,
        title="grid",
        purpose="grid_research",
        fields={"substation": "keep", "hour": "keep", "megawatt": "keep"},
        legal_basis="other_law",
        facts=GBA_FACTS
        | {"to_area": "hk", "to_jurisdiction": "HK", "is_personal": False, "is_important_data": True},
    )
    stop(stage, crossing, ship(stage, crossing, shipment))


def unknown_data(stage: Stage, crossing: Crossing) -> None:
    """The sender does not know: the gate asks, it does not guess."""
    path = stage.scratch / "sensor_export.csv"
    path.write_text("device,value\n" + "".join(f"D{n % 17:02d},{n * 13 % 1000}\n" for n in range(500)))
    shipment = Shipment(
        dataset_id=f"urn:wantong:gd:sensor-export:{run_id()}",
        path=path,
        title="sensors",
        purpose="joint_research",
        fields={"device": "keep", "value": "keep"},
        legal_basis="other_law",
        facts={"from_area": "gba9", "to_area": "hk", "to_jurisdiction": "HK"},
    )
    stop(stage, crossing, ship(stage, crossing, shipment))


def certificate(stage: Stage, crossing: Crossing) -> None:
    """Nothing is sent: the owner carries his document, the nodes exchange a salted digest."""
    document = stage.scratch / "degree-certificate.txt"
    document.write_text(
        "学位证书\n兹证明 某某 已修完全部课程，授予工学学士学位。\n（虚构文件，仅供演示）\n", "utf-8"
    )
    issuer, verifier = stage.clerks[crossing.source], stage.clerks[crossing.target]
    facts = {
        "from_jurisdiction": "CN",
        "to_jurisdiction": "MO",
        "from_area": "gba9",
        "to_area": "mo",
        "is_personal": True,
        "is_important_data": False,
        "sender_is_ciio": False,
        "n_nonsensitive": 1,
        "n_sensitive": 0,
        "scenario": "other",
        "data_subject_self_carry": True,
    }
    today = clock.today().isoformat()
    law = issuer.act("/assess", {"facts": facts, "date": today})
    crossing.route = law["primary_route"]
    stage.say("carried", law["rule_ids"][:2], law["citations"][:2], route=crossing.route)
    done = issuer.upload("/verification/registrations", "document", document, kind="degree certificate")
    stage.say("registered", digest=done["digest"][:12])
    receipt = stage.bay.receipts / f"{crossing.id}-{crossing.source}-{crossing.target}.receipt"
    receipt.parent.mkdir(exist_ok=True)
    receipt.write_bytes(
        issuer.patiently(f"/api/verification/registrations/{done['registration_id']}/receipt")
    )
    crossing.receipt = str(receipt)
    bundle = stage.scratch / "carried.zip"
    carried.pack(bundle, document, receipt.read_bytes(), bytes.fromhex(done["salt"]))
    found = verifier.upload("/verification/check", "bundle", bundle)
    stage.say("checked", words=found["sentences"][0])
    content = bytearray(document.read_bytes())
    content[-2] ^= 1
    document.write_bytes(content)
    carried.pack(bundle, document, receipt.read_bytes(), bytes.fromhex(done["salt"]))
    altered = verifier.upload("/verification/check", "bundle", bundle)
    if altered["outcome"] != "altered":
        raise GaveUp(f"one byte was changed, and the answer was {altered['outcome']}")
    stage.say("altered", words=altered["sentences"][0])
    crossing.outcome = found["outcome"]


def members_to_macao(stage: Stage, crossing: Crossing) -> None:
    """Personal data out of Hong Kong: no export formality, the six principles all the same."""
    path = stage.scratch / "members.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("member", "name", "email", "interest"))
        for n in range(120):
            rows.writerow((f"M-{n:05d}", f"Chan Tai Man {n}", f"member{n}@library.example", "history"))
    shipment = Shipment(
        dataset_id=f"urn:wantong:hk:library-members:{run_id()}",
        path=path,
        title="members",
        purpose="library_card_recognition",
        fields={"member": "tokenise", "email": "redact", "interest": "keep"},
        subject_column="member",
        legal_basis="contract",
        facts={
            "is_personal": True,
            "from_area": "hk",
            "to_area": "mo",
            "to_jurisdiction": "MO",
            "n_sensitive": 0,
        },
    )
    sent = ship(stage, crossing, shipment)
    satisfy(stage, sent)
    arrive(stage, crossing, sent)


def students_to_guangdong(stage: Stage, crossing: Crossing) -> None:
    """Personal data out of Macao with the person's clear consent: notification to the bureau."""
    path = stage.scratch / "students.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("student", "name", "course"))
        for n in range(80):
            rows.writerow((f"E{n:05d}", f"Maria da Silva {n}", "Engenharia Informática"))
    shipment = Shipment(
        dataset_id=f"urn:wantong:mo:exchange-students:{run_id()}",
        path=path,
        title="students",
        purpose="exchange_enrolment",
        fields={"student": "tokenise", "course": "keep"},
        subject_column="student",
        legal_basis="consent",
        facts={
            "is_personal": True,
            "from_area": "mo",
            "to_area": "gba9",
            "to_jurisdiction": "CN",
            "mo_consent": True,
            "n_sensitive": 0,
        },
    )
    grant(stage, crossing, shipment, [f"E{n:05d}" for n in range(80)])
    sent = ship(stage, crossing, shipment)
    satisfy(stage, sent)
    arrive(stage, crossing, sent)


GBA_FACTS: dict[str, Any] = {
    "from_area": "gba9",
    "is_personal": True,
    "is_important_data": False,
    "sender_is_ciio": False,
    "sender_is_state_organ": False,
    "scenario": "other",
    "channel": "api",
    "onward_outside_gba": False,
    "legal_basis": "consent",
}

CROSSINGS: Mapping[str, tuple[str, str, str, Callable[[Stage, Crossing], None]]] = {
    "1": ("hk", "gd", "delivered", passengers),
    "2": ("gd", "hk", "delivered", social_insurance),
    "3": ("gd", "mo", "held", medical_claims),
    "4a": ("gd", "hk", "held", important_data),
    "4b": ("gd", "hk", "needs_info", unknown_data),
    "5": ("gd", "mo", "genuine", certificate),
    "6a": ("hk", "mo", "delivered", members_to_macao),
    "6b": ("mo", "gd", "delivered", students_to_guangdong),
}


# --- what people do ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Shipment:
    """A dataset, and on what terms its owner lets it go. ``fields`` maps each field that may leave to its mask."""

    dataset_id: str
    path: Path
    title: str
    purpose: str
    fields: Mapping[str, str]
    facts: Mapping[str, Any]
    subject_column: str = ""
    is_open: bool = False
    legal_basis: str = "consent"
    licence: str = ""
    publisher: str = ""


@dataclass
class Sent:
    """A transfer under way, seen from both sides."""

    stage: Stage
    crossing: Crossing
    shipment: Shipment
    consumer_transfer: str
    provider_transfer: str
    _declaration: str = ""

    def declaration(self) -> Mapping[str, Any]:
        """The declaration at the sender's gate, in full."""
        desk = self.stage.officers[self.crossing.source]

        def look() -> str | None:
            name: str = desk.get(f"/transfers/{self.provider_transfer}")["declaration_id"]
            return name or None

        if not self._declaration:
            self._declaration = until(look, "a declaration at the gate")
        detail: Mapping[str, Any] = desk.get(f"/declarations/{self._declaration}", lang=self.stage.lang)
        return detail

    def settled(self) -> Mapping[str, Any]:
        """The declaration once the gate has said something."""

        def look() -> Mapping[str, Any] | None:
            seen = self.declaration()
            return seen if seen["state"] in SETTLED else None

        return until(look, "the gate's answer")

    def received_rows(self) -> list[dict[str, str]]:
        """What the receiver now holds, fetched as his own programs would; empty while there is nothing."""
        desk = self.stage.clerks[self.crossing.target]
        if all(row["transfer_id"] != self.consumer_transfer for row in desk.get("/received")):
            return []
        return list(csv.DictReader(desk.text(f"/received/{self.consumer_transfer}/data").splitlines()))


def grant(stage: Stage, crossing: Crossing, shipment: Shipment, identifiers: Sequence[str]) -> list[str]:
    """The persons say yes to exactly this."""
    answer = stage.clerks[crossing.source].act(
        "/consents",
        {
            "identifiers": list(identifiers),
            "dataset_id": shipment.dataset_id,
            "purpose": shipment.purpose,
            "receiver": stage.clerks[crossing.target].participant_id,
            "fields": list(shipment.fields),
            "valid_until": (dt.datetime.now(dt.UTC) + dt.timedelta(days=365)).isoformat(),
            "notice": t("demo.notice", stage.lang),
        },
    )
    stage.say("consents", count=len(answer["consents"]))
    consents: list[str] = answer["consents"]
    return consents


def in_every_language(key: str) -> Mapping[str, str]:
    """A text of the catalogue as a language map."""
    return {lang: t(key, lang) for lang in LANGUAGES}


def ship(stage: Stage, crossing: Crossing, shipment: Shipment) -> Sent:
    """Publish, whitelist (proposed by one, approved by another), negotiate, ask for the data; returns when the gate has answered."""
    source, target = stage.clerks[crossing.source], stage.clerks[crossing.target]
    columns = columns_of(shipment.path)
    dataset = source.publish(
        shipment.path,
        {
            "id": shipment.dataset_id,
            "title": in_every_language(f"demo.dataset.{shipment.title}"),
            "publisher": in_every_language(f"demo.publisher.{shipment.publisher}")
            if shipment.publisher
            else {},
            "fields": [{"name": name} for name in columns if name],
            "is_open": shipment.is_open,
            "licence": shipment.licence,
            "media_type": "text/csv",
            "facts": dict(shipment.facts),
            "subject_column": shipment.subject_column,
        },
    )
    stage.say("published", size=dataset["size"], sha256=dataset["sha256"][:12])
    today = clock.today()
    item = source.act(
        "/whitelist",
        {
            "dataset_id": shipment.dataset_id,
            "fields": dict(shipment.fields),
            "purpose": "" if shipment.is_open else shipment.purpose,
            "receiver": "" if shipment.is_open else target.participant_id,
            "legal_basis": shipment.legal_basis,
            "valid_from": (today - dt.timedelta(days=1)).isoformat(),
            "valid_until": (today + dt.timedelta(days=365)).isoformat(),
            "open": shipment.is_open,
        },
    )
    stage.officers[crossing.source].act(f"/whitelist/{item['id']}/approve", {"note": "demonstration"})
    stage.say("whitelisted", fields=len(shipment.fields))
    negotiation = target.act(
        "/negotiations",
        {
            "participant_id": source.participant_id,
            "dataset_id": shipment.dataset_id,
            "purpose": shipment.purpose,
            "fields": list(shipment.fields),
            "offer": dataset["offers"][0],
        },
    )

    def agreed() -> str | None:
        seen = target.get(f"/negotiations/{negotiation['pid']}")
        if seen["state"] == "TERMINATED":
            raise GaveUp(f"the negotiation ended: {seen['reason']}")
        agreement: str | None = seen["agreement_id"] if seen["state"] == "FINALIZED" else None
        return agreement

    agreement = until(agreed, "an agreement")
    stage.say("agreed")
    transfer = target.act("/transfers", {"agreement_id": agreement})

    def known() -> str | None:
        seen = target.get(f"/transfers/{transfer['id']}")
        if seen["state"] == "TERMINATED":
            raise GaveUp(f"the transfer ended: {seen['reason']}")
        pid: str | None = seen["counterpart_pid"].removeprefix("urn:uuid:") or None
        return pid

    sent = Sent(
        stage, crossing, shipment, transfer["id"], until(known, "the provider's word on the transfer")
    )
    declaration = sent.settled()
    found = declaration["classification"] or {}
    kinds = sorted({f["kind"] for f in found.get("findings", ())})
    stage.say("classified", kinds=", ".join(kinds) or "–")
    if assessment := declaration["assessment"]:
        crossing.route = assessment["primary_route"]
        stage.say(
            "decided",
            assessment["rule_ids"][:4],
            assessment["citations"][:4],
            route=crossing.route,
            authorities=", ".join(assessment["authorities"]) or "–",
        )
    crossing.page = f"{stage.bay.nodes[crossing.source].url}/{stage.lang}/crossings/{declaration['id']}"
    return sent


def satisfy(stage: Stage, sent: Sent) -> None:
    """The officer does what the gate waits for: papers, filings with their numbers, explanations, signatures."""
    desk = stage.officers[sent.crossing.source]
    for _ in range(10):
        seen = sent.settled()
        open_ = [r for r in seen["needs"] if r["act"]]
        if seen["state"] not in ("waiting", "held") or not open_:
            return
        act = open_[0]["act"]
        mine = [r for r in open_ if r["act"] == act]
        desk.act(
            f"/declarations/{seen['id']}/act",
            {
                "act": act,
                "note": t("demo.note", stage.lang),
                "document": {
                    "title": t("demo.paper", stage.lang),
                    "number": f"DEMO-{uuid.uuid4().hex[:8].upper()}",
                },
                "requirements": [r["id"] for r in mine],
            },
        )
        stage.say("acted", act=act, what=", ".join(r["name"] for r in mine))


def stop(stage: Stage, crossing: Crossing, sent: Sent) -> None:
    """The end of a crossing that does not go through: why, and proof that it did not."""
    seen = sent.settled()
    missing = [r["name"] for r in seen["needs"] if r["kind"] == "facts"]
    crossing.outcome = "needs_info" if missing else seen["state"]
    names = seen["assessment"]["authorities"] if seen["assessment"] else []
    if missing:
        stage.say("asks", facts=", ".join(missing))
    else:
        stage.say("stopped", what=", ".join(r["name"] for r in seen["needs"]), authorities=", ".join(names))
    rows = stage.clerks[crossing.target].get("/received")
    if any(row["transfer_id"] == sent.consumer_transfer for row in rows):
        raise GaveUp("something arrived all the same")
    prove(stage, crossing, seen)


def arrive(stage: Stage, crossing: Crossing, sent: Sent) -> None:
    """Wait until the data is there and the sender's gate knows it, then fetch the receipt."""

    def look() -> Mapping[str, Any] | None:
        seen = sent.declaration()
        if seen["state"] == "refused" or (seen["state"] in ("held", "waiting") and seen["needs"]):
            raise GaveUp(f"{seen['state']}: waits for {[r['id'] for r in seen['needs']]}")
        return seen if seen["state"] in DELIVERED else None

    seen = until(look, "the delivery")
    crossing.outcome = "delivered"
    deliverable = seen["deliverable"] or {}
    stage.say("delivered", size=deliverable.get("size", 0), sha256=str(deliverable.get("sha256", ""))[:12])
    prove(stage, crossing, seen)


def prove(stage: Stage, crossing: Crossing, declaration: Mapping[str, Any]) -> None:
    """Fetch the receipt of the gate's last answer."""
    name = f"{crossing.id}-{crossing.source}-{crossing.target}.receipt"
    path = stage.officers[crossing.source].receipt(declaration["receipt_entry"], stage.bay.receipts / name)
    crossing.receipt = str(path)
    stage.say("receipt")


def columns_of(path: Path) -> list[str]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return next(csv.reader(file))


def run_id() -> str:
    """Every run of the demonstration makes crossings of its own."""
    return uuid.uuid4().hex[:8]
