"""A node of Guangdong with something of everything: peers who witness, datasets, consents, crossings in every state."""

from __future__ import annotations

import dataclasses
import datetime as dt
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.utils import timezone
from tests.border.gate import scene

from wantong.border.exchange import services as exchange
from wantong.border.exchange.catalogue import Metadata
from wantong.border.exchange.offshore import services as offshore
from wantong.border.exchange.opendata import harvest
from wantong.border.exchange.opendata import services as opendata
from wantong.border.exchange.opendata.models import HarvestRun
from wantong.border.exchange.opendata.record import Record
from wantong.border.exchange.research import peering as research_peering
from wantong.border.exchange.research import services as research
from wantong.border.exchange.sharing import directory as sharing_directory
from wantong.border.exchange.sharing import services as sharing
from wantong.border.exchange.sharing.ledger import get as sharing_get
from wantong.border.exchange.sharing.pictures import thread as sharing_thread
from wantong.border.exchange.sharing.request import Wish
from wantong.border.gate.consent import services as consent
from wantong.border.gate.declarations import services as gate
from wantong.border.gate.declarations.models import Declaration
from wantong.border.gate.verification import services as verification
from wantong.border.gate.whitelist import services as whitelist
from wantong.border.trust.credentials import opening
from wantong.border.trust.models import Peer
from wantong.border.trust.proposals import services as proposals
from wantong.ground import config
from wantong.ground.actors import Actor
from wantong.ground.log import Note, Party, Trust, services
from wantong.ground.log import keys as log_keys
from wantong.ground.outbox import services as outbox
from wantong.node.demo import opendata as demo
from wantong.portal.services import make_operator

PASSWORD = "harbour lotus kapok nine"
OPERATORS = {
    "chan": ("陈晓明", ("declarer",)),
    "lei": ("Lei Ka Man", ("approver",)),
    "wu": ("胡美玲", ("auditor",)),
    "ho": ("Ho Sio Mei", ("declarer", "approver")),
}
PEERS = {
    "hk": (
        "hk.test.example",
        {"zh-hans": "香港节点", "zh-hant": "香港節點", "en": "Hong Kong node", "pt": "Nó de Hong Kong"},
    ),
    "mo": (
        "mo.test.example",
        {"zh-hans": "澳门节点", "zh-hant": "澳門節點", "en": "Macao node", "pt": "Nó de Macau"},
    ),
}
LEI = Actor("user:lei", "Lei Ka Man", frozenset({"approver"}))
CHAN = Actor("user:chan", "陈晓明", frozenset({"declarer"}))
HO = Actor("user:ho", "Ho Sio Mei", frozenset({"declarer", "approver"}))


@dataclass
class Seeded:
    """What the tests ask for by name."""

    receipted: Declaration
    waiting: Declaration
    held: Declaration
    asked: Declaration
    refused: Declaration
    received: Declaration
    consent: Any
    approved: Any
    proposed: Any
    registration: Any
    offshore: Any
    research: Any
    bundle: Path
    witnesses: list[Any]
    requests: dict[str, str]

    def ids(self) -> dict[str, str]:
        """The ids that addresses of pages are made of."""
        named = (
            "receipted",
            "waiting",
            "held",
            "asked",
            "refused",
            "received",
            "consent",
            "approved",
            "proposed",
            "registration",
            "offshore",
            "research",
        )
        entry = self.receipted.actions.get(act="deliver").log_entry
        return {
            **{name: str(getattr(self, name).id) for name in named},
            "entry": str(entry),
            "transfer": self.receipted.transfer_id,
            "bundle": str(self.bundle),
            **{f"request-{name}": request for name, request in self.requests.items()},
        }


def seed(folder: Path) -> Seeded:
    """Fill the node. ``folder`` takes the payloads."""
    node = config.current()
    for place in (node.keys, node.log, node.blobs, node.outgoing, node.run, folder):
        place.mkdir(parents=True, exist_ok=True)
    for name, (full, roles) in OPERATORS.items():
        make_operator(name, roles, PASSWORD, name=full)
    witnesses = _peers()
    above = ("gate.released", "gate.held", "gate.refused", "gate.withdrawn")
    kept = {topic: outbox.HANDLERS.get(topic) for topic in above}
    # nobody stands on the floor above: there is no transfer of the protocol behind these crossings
    outbox.HANDLERS.update(dict.fromkeys(above, lambda event: None))
    try:
        made = _crossings(folder, witnesses)
        _open_data(folder)
        _acts_of_trust()
    finally:
        for topic, handler in kept.items():
            if handler is None:
                outbox.HANDLERS.pop(topic, None)
            else:
                outbox.HANDLERS[topic] = handler
    return made


def _acts_of_trust() -> None:
    """One that waits for whoever looks, one that he proposed himself, and one that is decided."""
    for who, type in ((HO, "library-card"), (LEI, "degree"), (HO, "business-licence")):
        registrar = dataclasses.replace(who, roles=frozenset({"operator", "approver"}))
        made = opening.open_type(registrar, type)
    proposals.refuse(LEI, made.id, "市场监管部门另行签发。")


def _open_data(folder: Path) -> None:
    """A data set that is published, one that is refused, a catalogue that is harvested."""
    sample = next(s for s in demo.samples() if s.record["name"] == "macao-visitor-arrivals")
    (folder / sample.filename).write_bytes(sample.content)
    opendata.publish(CHAN, folder / sample.filename, Record.of(sample.record))
    people = folder / "members.csv"
    people.write_text("name,identity card\n陳大文,A123456(3)\n李小明,C668668(E)\n黃志強,Z683365(5)\n")
    record = Record.of(sample.record | {"name": "members", "columns": {}, "chart": {}})
    opendata.settle(opendata.submit(CHAN, people, record).id)
    title = {"en": "DATA.GOV.HK", "zh-hant": "資料一線通", "zh-hans": "资料一线通", "pt": "DATA.GOV.HK"}
    source = harvest.register(
        LEI, "hk", "ckan", "https://data.gov.hk/en-data", title=title, language="en", place="hk"
    )
    counts = {"seen": 3, "added": 2, "changed": 1, "unchanged": 0, "removed": 0, "returned": 0, "refused": 0}
    HarvestRun.objects.create(source=source, counts=counts, finished_at=timezone.now())


def witness(keys: list[Any]) -> None:
    """Have the newest checkpoint seen by the other two nodes."""
    services.flush()
    log = services.node_log()
    note = Note.parse(log.checkpoint())
    for key in keys:
        log.add_cosignature(note, key.witness.verifier, key.witness.sign(note.text, int(time.time())))
    log.publish()


def _peers() -> list[Any]:
    node = config.current()
    parties, found = [services.identity()], []
    for place, (name, names) in PEERS.items():
        keys = log_keys.generate_keys(node.directory / f"peer-{place}", name)
        found.append(keys)
        url = f"https://{name}"
        # without an address nobody tries to reach what does not run; witness() signs in their place
        parties.append(Party(name, names, place, "", keys.log.verifier, keys.witness.verifier))
        Peer.objects.create(
            participant_id=name,
            jurisdiction=place,
            name=names,
            url=url,
            data_url=url,
            protocol_key={},
            log_vkey=str(keys.log.verifier),
            witness_vkey=str(keys.witness.verifier),
            fingerprint="0000 0000",
            pinned_by="system:operator",
        )
    (node.directory / services.TRUST_FILE).write_text(Trust(tuple(parties), quorum=2).dumps(), "utf-8")
    return found


def _crossings(folder: Path, witnesses: list[Any]) -> Seeded:
    residents = scene.residents(folder / "residents.csv", 40)
    exchange.publish_dataset(
        CHAN,
        residents,
        Metadata(
            id="social-insurance",
            title={
                "zh-hans": "社会保险参保记录",
                "zh-hant": "社會保險參保記錄",
                "en": "Social insurance records",
                "pt": "Registos da segurança social",
            },
            description={
                "zh-hans": "参保人的险种与缴费月数，供两地衔接养老待遇。",
                "en": "Kind of insurance and months paid, so that pensions can be carried over.",
            },
            publisher={"zh-hans": "广东省人力资源和社会保障厅（示例）"},
            fields=[
                {"name": name, "title": {"zh-hans": name, "en": english}, "type": "string"}
                for name, english in zip(
                    scene.COLUMNS, ("Identity number", "Name", "Insurance", "Months paid"), strict=True
                )
            ],
            grade="sensitive",
            subject_column=scene.COLUMNS[0],
            update_cycle="P1M",
        ),
    )
    counts = scene.write_csv(
        folder / "visits.csv",
        ("date", "museum", "visitors"),
        [(f"2026-03-{d:02d}", "Guangdong Museum", 9000 + d) for d in range(1, 29)],
    )
    exchange.publish_dataset(
        CHAN,
        counts,
        Metadata(
            id="museum-visits",
            title={
                "zh-hans": "博物馆每日参观人数",
                "zh-hant": "博物館每日參觀人數",
                "en": "Daily museum visitors",
            },
            publisher={"zh-hans": "示例市文化广电旅游局", "en": "Culture bureau of an example city"},
            fields=[{"name": n} for n in ("date", "museum", "visitors")],
            grade="open",
            licence="https://creativecommons.org/licenses/by/4.0/",
            is_open=True,
        ),
    )
    today = timezone.localdate()
    terms = {
        "dataset_id": "social-insurance",
        "fields": dict(zip(scene.COLUMNS, ("tokenise", "partial", "keep", "keep"), strict=True)),
        "purpose": scene.PURPOSE,
        "legal_basis": "consent",
        "valid_from": today,
        "valid_until": today + dt.timedelta(days=365),
    }
    item = whitelist.propose(CHAN, receiver=scene.HK, note="社保衔接试点", **terms)
    approved = whitelist.approve(LEI, item.id, "已核对字段与用途")
    proposed = whitelist.propose(CHAN, receiver="mo.test.example", **terms)
    people = [scene.resident(n) for n in range(40)]
    granted = scene.agree(people)

    done = scene.confirm(_declare(residents, "01"), LEI)
    gate.delivered(Actor(f"peer:{scene.HK}"), done.transfer_id)
    outbox.drain()
    consent.withdraw(CHAN, granted[7].id)
    waiting = _declare(residents, "02")
    held = _declare(
        residents,
        "03",
        title={
            "zh-hans": "社会保险参保记录，送往澳门，无标准合同",
            "zh-hant": "社會保險參保記錄，送往澳門，無標準合同",
            "en": "Social insurance records to Macao, no contract",
            "pt": "Registos da segurança social para Macau, sem contrato",
        },
        receiver="mo.test.example",
        facts=scene.facts(to_jurisdiction="MO", to_area="mo", contract="none", n_sensitive=12_000),
    )
    asked = _declare(
        counts,
        "04",
        dataset_id="museum-visits",
        title="Museum visitors, sender does not know",
        fields=("date", "museum", "visitors"),
        subject_column="",
        facts={"to_jurisdiction": "HK", "from_area": "gba9", "to_area": "hk"},
    )
    refused = _declare(
        counts,
        "05",
        dataset_id="museum-visits",
        title="会议纪要数据",
        fields=("date", "museum", "visitors"),
        subject_column="",
        facts=scene.facts(is_personal=False, is_state_secret=True),
    )
    received = scene.run(
        gate.declare(
            Actor(f"peer:{scene.HK}"),
            scene.consignment(
                scene.write_csv(
                    folder / "passengers.csv",
                    ("date", "control_point", "arrivals"),
                    [(f"2026-01-{d:02d}", "Lo Wu", 80_000 + d) for d in range(1, 29)],
                ),
                dataset_id="hk-passengers",
                title={
                    "en": "Daily passenger statistics",
                    "zh-hant": "每日旅客統計",
                    "zh-hans": "每日旅客统计",
                },
                fields=("date", "control_point", "arrivals"),
                facts={
                    "from_jurisdiction": "HK",
                    "from_area": "hk",
                    "to_area": "gba9",
                    "is_personal": False,
                    "is_important_data": False,
                },
                purpose="planning",
                sender=scene.HK,
                receiver=scene.GD,
                direction="import",
                subject_column="",
                transfer_id="urn:uuid:00000000-0000-4000-8000-000000000006",
                waybill={
                    "obligations": ["purpose_limit", "no_onward_outside_gba"],
                    "retain_until": (today + dt.timedelta(days=90)).isoformat(),
                    "facts": {"from_jurisdiction": "HK", "to_jurisdiction": "CN"},
                    "route": "no_statutory_formality",
                },
            ),
        )
    )
    degree = folder / "学位证书.pdf"
    degree.write_bytes(b"%PDF-1.7\n" + "兹证明某某同学学业期满，授予理学学士学位。（虚构）\n".encode() * 9)
    registered = verification.register(LEI, degree, "学位证书", today + dt.timedelta(days=900))
    requests = _requests()
    witness(witnesses)
    bundle = folder / "carried.zip"
    verification.bundle(registered.registration.id, degree, registered.salt, bundle)
    for crossed in (done, received):
        assert gate.receipted(crossed.id)  # what the worker does as soon as the witnesses have seen it
    for declaration in (done, waiting, held, asked, refused, received):
        declaration.refresh_from_db()
    return Seeded(
        done,
        waiting,
        held,
        asked,
        refused,
        received,
        granted[0],
        approved,
        proposed,
        registered.registration,
        offshore_space(received),
        research_project(),
        bundle,
        witnesses,
        requests,
    )


def offshore_space(received: Declaration) -> Any:
    """A space with what came from Hong Kong in it, a job, its result, and a second job that nobody has approved."""
    titles = {
        "zh-hans": "口岸客流离岸分析",
        "zh-hant": "口岸客流離岸分析",
        "en": "Offshore analysis of passengers",
        "pt": "Análise «offshore» de passageiros",
    }
    space = offshore.open_space(LEI, titles, "planning", [scene.HK])
    paper = gate.Document("Statement of the Immigration Department", "HK-2026-17")
    offshore.confirm(LEI, offshore.admit(CHAN, space.id, received.transfer_id, "passengers", paper).id)
    sql = "SELECT control_point, sum(arrivals::INT) AS arrivals\nFROM passengers GROUP BY 1"
    job = offshore.approve(
        LEI, offshore.register(CHAN, space.id, "Arrivals by control point", sql, ["passengers"]).id
    )
    offshore.start(CHAN, job.id, "by_point")
    outbox.drain()
    offshore.register(CHAN, space.id, "All rows", "SELECT * FROM passengers", ["passengers"])
    return space


def _requests() -> dict[str, str]:
    """A directory, and requests in every state that a page shows."""
    names = {
        "gd-culture": {"zh-hans": "示例市文化广电旅游局", "zh-hant": "示例市文化廣電旅遊局", "en": "Culture bureau of an example city", "pt": "Serviços de cultura de uma cidade"},
        "gd-hrss": {"zh-hans": "示例市人力资源和社会保障局", "zh-hant": "示例市人力資源和社會保障局", "en": "Social security bureau of an example city", "pt": "Serviços de segurança social de uma cidade"},
    }  # fmt: skip
    for code, name in names.items():
        sharing_directory.add_body(LEI, code, name)
    for code, who in (("gd-culture", CHAN), ("gd-culture", LEI), ("gd-hrss", HO)):
        sharing_directory.add_member(LEI, code, who.id)
    sharing_directory.enter(
        CHAN, "museum-visits", body="gd-culture", sharing="unconditional", key=["date"],
        unit={"zh-hans": "公共服务科", "zh-hant": "公共服務科", "en": "Public services", "pt": "Serviços públicos"},
    )  # fmt: skip
    sharing_directory.confirm(LEI, "museum-visits")
    sharing_directory.enter(
        CHAN, "social-insurance", body="gd-culture", sharing="conditional", masks={scene.COLUMNS[0]: "tokenise"},
        ground={"zh-hans": "仅限本人同意并用于待遇衔接。", "zh-hant": "只限本人同意並用於待遇銜接。", "en": "With the person's consent, to carry benefits over.", "pt": "Com o consentimento da pessoa, para transferir prestações."},
    )  # fmt: skip

    def ask(dataset_id: str, **more: Any) -> str:
        wish = Wish(
            **{
                "purpose": scene.PURPOSE, "basis": "statutory_duty", "article": "社会保险法第七十四条",
                "fields": (), "volume": 40, "until": timezone.localdate() + dt.timedelta(days=180), "delivery": "file", **more,
            }
        )  # fmt: skip
        return str(sharing.ask(HO, wish, dataset_id=dataset_id, body="gd-hrss").id)

    done = ask("museum-visits", delivery="subscription")
    outbox.drain()
    (delivery,) = sharing_thread(sharing_get(done))["deliveries"]
    sharing.rate(HO, done, delivery["delivery"], 4, "及时，字段说明清楚")
    sharing.report(
        HO, done, delivery["delivery"], field="visitors", record=["2026-03-03"], note="与馆方通报不符"
    )
    asked, endorsed, refused = ask("social-insurance"), ask("social-insurance"), ask("social-insurance")
    sharing.endorse(CHAN, endorsed, "用途与职责相符")
    sharing.refuse(LEI, refused, "more_than_needed", "险种与月数即可，无须姓名")
    return {"done": done, "asked": asked, "endorsed": endorsed, "refused": refused}


def research_project() -> Any:
    """A project with Hong Kong: one review stands, data of ours waits for another, data of theirs may be asked for."""
    Peer.objects.filter(participant_id=scene.HK).update(protocol_key={"kty": "OKP"})
    project = research.open_project(
        CHAN,
        scene.HK,
        {
            "zh-hans": "大湾区居民血压队列研究",
            "zh-hant": "大灣區居民血壓隊列研究",
            "en": "Blood pressure in the bay: a cohort",
            "pt": "Coorte de tensão arterial na baía",
        },
        ["general", "human_subjects"],
        timezone.localdate() + dt.timedelta(days=300),
    )
    partner = Peer.objects.get(participant_id=scene.HK)
    offer = {"@id": "offer", "@type": "Offer", "permission": [{"action": "use"}]}
    for number, (act, data) in enumerate(
        (
            ("agree", {}),
            (
                "review",
                {
                    "name": "ethics",
                    "approved": True,
                    "document": {"title": "HKU/HA REC", "number": "UW 26-117"},
                },
            ),
            (
                "release",
                {
                    "dataset_id": "hk-cohort",
                    "title": {"en": "Cohort of Hong Kong", "zh-hant": "香港隊列"},
                    "kind": "human_subjects",
                    "fields": ["age_group", "systolic"],
                    "offer": offer,
                },
            ),
        )
    ):
        message = {
            "@type": "ResearchMessage",
            "id": f"m{number}",
            "project": str(project.id),
            "act": act,
            "data": data,
        }
        research_peering.receive(partner, message)
    research.review(LEI, project.id, "data_release", True, gate.Document("科研数据释出审核意见"))
    research.propose(
        CHAN,
        project.id,
        "social-insurance",
        "human_subjects",
        {scene.COLUMNS[2]: "keep", scene.COLUMNS[3]: "generalise"},
    )
    outbox.HANDLERS["research.tell"] = lambda event: None
    outbox.drain()
    Peer.objects.filter(participant_id=scene.HK).update(protocol_key={})
    return project


def _declare(path: Path, number: str, **more: Any) -> Declaration:
    return scene.declare(
        path, CHAN, transfer_id=f"urn:uuid:00000000-0000-4000-8000-0000000000{number}", **more
    )
