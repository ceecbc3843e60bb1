"""A Hong Kong resident in the bay: two accounts linked, a degree received and shown, a document signed, a gate passed.

Five steps over three nodes, each by the pages and the API that a person or a program has. What a step says is what the
node said; a step that does not come out as the law and the trust lists have it raises, and the story has failed.

The resident, his phone and his pen are here; the wallet is whoever's (:class:`.wallet.Wallet`).
"""

from __future__ import annotations

import base64
import datetime as dt
import json
import os
import re
import secrets
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from wantong.border.trust.passes import offline, reader
from wantong.ground import crypto
from wantong.ground.crypto import SoftwareKey, Suite
from wantong.node.bay import Bay, BayNode
from wantong.node.demo import trust
from wantong.node.demo.desk import Desk, GaveUp, Refused, quietly, until
from wantong.node.demo.identity import scene
from wantong.node.demo.narration import Crossing, Narrator
from wantong.node.demo.scenario import Stage, run_id
from wantong.node.demo.wallet import Pocket, Wallet
from wantong.node.processes import die_with_parent

ID, HOME, UNIVERSITY, EMPLOYER = "7", "hk", "gd", "mo"
SYSTEMS = ("iam-smart", "guangdong")
DEGREE = {
    "name": "陈紫荆",
    "birthdate": "1991-07-16",
    "institution": "大湾区示范大学",
    "degree": "工学硕士",
    "level": "master",
    "field": "海洋工程",
    "awarded_on": "2025-06-30",
}
ASKED = ("degree", "level")
OPEN = frozenset({"institution"})
"""What stands open in every degree, by its type: nobody can hide it."""


@contextmanager
def beside(bay: Bay) -> Iterator[None]:
    """The systems with which residents sign in at the node of Hong Kong: simulators, beside a demonstration only."""
    with scene.beside(bay, (HOME,), SYSTEMS):
        yield


def run(bay: Bay, narrator: Narrator, lang: str = "en", wallet: Wallet | None = None) -> None:
    """Play the story; ``wallet`` is what the resident carries, a small one of the demonstration's if nothing is said."""
    with tempfile.TemporaryDirectory() as folder:
        stage = Stage(bay, narrator, Path(folder), lang)
        title, there = stage.text("title.7"), f"{UNIVERSITY}, {EMPLOYER}"
        with narrator.crossing(ID, title, HOME, there, "admit") as crossing, beside(bay):
            play(stage, crossing, wallet or Pocket())


def play(stage: Stage, crossing: Crossing, wallet: Wallet) -> None:
    """The five steps. Raises what stopped one."""
    gate = Gate.of(stage)  # long before he comes: its node has time to hear of Hong Kong's keys
    try:
        linked = link(stage)
        number = receive(stage, wallet)
        present(stage, wallet, number)
        sign(stage)
        crossing.outcome = walk(stage, linked, gate)
    finally:
        gate.cable.cut()


# --- 1. two accounts ----------------------------------------------------------------------------------------------


def link(stage: Stage) -> scene.Linked:
    """He signs in through Hong Kong's system and Guangdong's in one sitting, and the document that both know matches."""
    home = stage.bay.nodes[HOME]
    try:
        linked = scene.link(home.url, systems=SYSTEMS)
    except Refused:  # this bay has seen him before
        scene.part(home.url, "chan", SYSTEMS[0])
        linked = scene.link(home.url, systems=SYSTEMS)
    stage.say(
        "resident.linked", page=f"{home.url}/{stage.lang}/identity/links",
        bridge=linked.bridge, level=linked.level,
    )  # fmt: skip
    return linked


# --- 2. a degree --------------------------------------------------------------------------------------------------


def receive(stage: Stage, wallet: Wallet) -> str:
    """The register of a university in Guangdong says that he has a degree and offers it; his wallet takes it."""
    register = stage.clerks[UNIVERSITY]
    number, code = f"D2025-{run_id()}", f"{secrets.randbelow(10**6):06}"
    claims = {**DEGREE, "certificate_number": number}
    record = register.act("/credentials/records", {"type": "degree", "claims": claims, "reference": number})
    offer = register.act(f"/credentials/records/{record['id']}/offers", {"tx_code": code})
    wallet.receive(offer["link"], code)
    issued = register.get(f"/credentials/records/{record['id']}")["issued"]
    if [one["state"] for one in issued] != ["valid"]:
        raise GaveUp(f"one degree in a wallet, not {issued}")
    stage.say(
        "resident.received", page=f"{register.node.url}/{stage.lang}/credentials/records/{record['id']}",
        format=issued[0]["format"], fields=len(claims),
    )  # fmt: skip
    return number


# --- 3. two fields of it ------------------------------------------------------------------------------------------


def present(stage: Stage, wallet: Wallet, number: str) -> None:
    """An employer in Macao asks for two fields; his wallet shows these; who issued them, the lists at Macao's node say."""
    employer = stage.clerks[EMPLOYER]
    asked = employer.act("/inquiries", {"question": "degree"})
    wallet.present(asked["link"])

    def answered() -> Mapping[str, Any] | None:
        told: Mapping[str, Any] = employer.get(f"/inquiries/{asked['id']}")
        return told if told["state"] != "asked" else None

    told = until(answered, "the answer of the wallet")
    if told["state"] != "passed":
        raise GaveUp(f"the employer's verdict is {told['state']}: {json.dumps(told['verdict'])[:600]}")
    (shown,) = told["shown"]
    fields = {name for name in (*DEGREE, "certificate_number") if name in shown["claims"]}
    whole = json.dumps(told, ensure_ascii=False)
    hidden = {**DEGREE, "certificate_number": number}
    leaked = [name for name, said in hidden.items() if name not in {*ASKED, *OPEN} and f'"{said}"' in whole]
    if fields != {*ASKED, *OPEN} or leaked:
        raise GaveUp(f"something was shown that was not asked for: {sorted(fields | set(leaked))}")
    listed = {step["name"]: step for step in told["verdict"]["steps"] if step["topic"] == "trustlist"}
    if listed["list"]["about"] != f"{UNIVERSITY}.wantong.example" or "countersignature" not in listed:
        raise GaveUp(f"the issuer is believed otherwise than by Guangdong's list, countersigned: {listed}")
    stage.say(
        "resident.shown", page=f"{employer.node.url}/{stage.lang}/inquiries/{asked['id']}",
        fields=", ".join(ASKED), degree=shown["claims"]["degree"], issuer=shown["issuer"],
        list=listed["list"]["about"],
    )  # fmt: skip


# --- 4. a signature -----------------------------------------------------------------------------------------------


def sign(stage: Stage) -> None:
    """He signs a PDF with certificates of Hong Kong's authority, once for either side; Guangdong's node checks it."""
    from wantong.border.trust.signatures import Document, Form, Level, Order, Signatory, tsa
    from wantong.border.trust.signatures import sign as signed

    home, there = stage.bay.nodes[HOME], stage.bay.nodes[UNIVERSITY]
    who = {"common_name": "CHAN, Tsz King", "serial_number": run_id()}
    keys = [crypto.generate(suite) for suite in (Suite.ES256, Suite.SM2SM3)]
    signatories = [Signatory(key, trust.certify(home.directory, HOME, key.public, who)) for key in keys]
    order = Order(dt.datetime.now(dt.UTC), Level.T, tsa.over_http(f"{home.url}/trust/timestamp"))
    made = signed(
        [Document("lease.pdf", letter("Tenancy agreement (made up)"))], Form.PADES, signatories, order
    )
    checked = (
        httpx.post(
            f"{there.url}/api/signatures/check", files={"file": (made.name, made.content, made.media_type)},
            data={"place": UNIVERSITY, "lang": stage.lang}, timeout=60, trust_env=False,
        )
        .raise_for_status()
        .json()
    )  # fmt: skip
    if checked["verdict"]["outcome"] != "passed":
        raise GaveUp(f"the signature in Guangdong: {json.dumps(checked, ensure_ascii=False)[:1500]}")
    under = {(one["under"]["list"], one["under"]["entry"]) for one in checked["signatures"]}
    if {operator for operator, _ in under} != {f"{HOME}.wantong.example"}:
        raise GaveUp(f"the signatures are believed under {under}, not under Hong Kong's list")
    kept = stage.bay.directory / made.name  # for whoever wants to hand it in on the page
    kept.write_bytes(made.content)
    stage.say(
        "resident.signed", page=f"{there.url}/{stage.lang}/check/", file=kept, count=len(checked["signatures"]),
        list=", ".join(sorted(operator for operator, _ in under)), entry=", ".join(sorted(e for _, e in under)),
    )  # fmt: skip


def letter(words: str) -> bytes:
    """A PDF of one page that says ``words`` (Latin letters)."""
    drawn = f"BT /F1 16 Tf 72 720 Td ({words}) Tj ET".encode("ascii")
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>",
        b"<</Length %d>>stream\n%s\nendstream" % (len(drawn), drawn),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    made, places = b"%PDF-1.7\n", []
    for number, content in enumerate(objects, 1):
        places.append(len(made))
        made += b"%d 0 obj%s\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    size = len(objects) + 1
    return made + (
        b"xref\n0 %d\n0000000000 65535 f \n%strailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n"
        % (size, table, size, len(made))
    )


# --- 5. a gate ----------------------------------------------------------------------------------------------------


@dataclass
class Gate:
    """A gate of Guangdong that decides by itself: its folder, and the one cable between it and its node."""

    stage: Stage
    code: str
    cable: Cable
    folder: Path = field(init=False)

    def __post_init__(self) -> None:
        self.folder = self.stage.scratch / "gate"

    @classmethod
    def of(cls, stage: Stage) -> Gate:
        """Rules and gate, each proposed by one and approved by another; its node begins to ask the others for keys."""
        keeper, officer = Desk(stage.bay.nodes[UNIVERSITY], "registrar"), stage.officers[UNIVERSITY]
        preset = keeper.get("/passes/rules")["presets"]["border"]
        rules = keeper.act("/passes/rules", {"name": f"border {run_id()}", "content": preset})
        officer.act(f"/passes/rules/{rules['id']}/approve", {"note": ""})
        code = f"zhuhai-{run_id()}"
        gate = {"code": code, "name": "Zhuhai, hall 1", "direction": "in", "rules": rules["id"]}
        made = keeper.act("/passes/gates", gate)
        officer.act(f"/passes/gates/{made['id']}/approve", {"note": ""})
        keeper.get(f"/passes/gates/{code}/bundle")
        return cls(stage, code, Cable(stage.bay.nodes[UNIVERSITY]))

    def learn(self) -> None:
        """Wait until its node knows Hong Kong's key, and fetch all that the gate must know."""
        desk = Desk(self.stage.bay.nodes[UNIVERSITY], "registrar")

        def known() -> bool:
            told = desk.get(f"/passes/gates/{self.code}/bundle")
            return f"{HOME}.wantong.example" in {key["issuer"] for key in told["keys"]}

        until(lambda: known() or None, "Hong Kong's key of passes at Guangdong's node")
        if not reader.fetch(self.folder, self.code, self._ask):
            raise GaveUp("the gate's node on its cable")

    @contextmanager
    def reading(self) -> Iterator[subprocess.Popen[str]]:
        """The reader as a process that knows one address, the end of its cable; a line of JSON for each code."""
        with subprocess.Popen(  # noqa: S603 - our own command
            [
                *(sys.executable, "-m", "wantong", "gate-reader", "run", str(self.folder), "--json"),
                *("--lang", self.stage.lang),
            ],
            env={**os.environ, "WANTONG_NODE_URL": self.cable.url, "WANTONG_API_TOKEN": self._token},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, bufsize=1,
            preexec_fn=partial(die_with_parent, os.getpid()),
        ) as process:  # fmt: skip
            try:
                yield process
            finally:
                process.kill()

    def send(self) -> int:
        """What it decided alone, brought to its node; how many decisions."""
        with reader.Reader(self.folder) as gate:
            return gate.send(self._ask)

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
        headers = {"Authorization": f"Bearer {self._token}"}
        reply = quietly(
            lambda: httpx.request(
                method, self.cable.url + path, json=body, headers=headers, timeout=10, trust_env=False
            )
        )
        return reply.json() if reply is not None and reply.status_code == 200 else None

    @property
    def _token(self) -> str:
        return self.stage.bay.nodes[UNIVERSITY].operators()["clerk"]["token"]


def walk(stage: Stage, linked: scene.Linked, gate: Gate) -> str:
    """A pass of Hong Kong at a gate of Guangdong that is cut off, while Hong Kong's node is mute: once in, not twice.

    What the gate said first.
    """
    gate.learn()
    phone, given = pass_on_phone(stage, linked)
    gate.cable.cut()
    if quietly(lambda: httpx.get(f"{gate.cable.url}/readyz", trust_env=False)) is not None:
        raise GaveUp("a gate that is cut off")
    with mute(stage.bay.nodes[HOME]), gate.reading() as process:
        first = shown_at(process, offline.show(given, phone, dt.datetime.now(dt.UTC)))
        again = shown_at(
            process, offline.show(given, phone, dt.datetime.now(dt.UTC) + dt.timedelta(seconds=1))
        )
    stopped = [step for step in again["verdict"]["steps"] if step["code"]]
    why = [step["code"] for step in stopped]
    if first["answer"] != "admit" or again["answer"] != "refuse" or why != ["still-in"]:
        raise GaveUp(f"once in and not twice, but {first['answer']}, {again['answer']} ({why})")
    gate.cable.mend()
    sent = gate.send()
    stage.say(
        "resident.passed", page=f"{stage.bay.nodes[UNIVERSITY].url}/{stage.lang}/passes/gates",
        first=first["answer"], again=again["answer"], why=stopped[0]["said"]["why"], sent=sent,
    )  # fmt: skip
    return str(first["answer"])


@contextmanager
def mute(node: BayNode) -> Iterator[None]:
    """The node's processes stand still, whoever asks."""
    group = node.process.pid if node.process is not None else None  # it leads its own group
    try:
        if group is not None:
            os.killpg(group, signal.SIGSTOP)
        yield
    finally:
        if group is not None:
            os.killpg(group, signal.SIGCONT)


def pass_on_phone(stage: Stage, linked: scene.Linked) -> tuple[SoftwareKey, bytes]:
    """Hong Kong's office gives him a right; his phone shows that it has its key and gets a pass bound to it."""
    now, office = dt.datetime.now(dt.UTC), Desk(stage.bay.nodes[HOME], "registrar")
    term = {"valid_from": now.isoformat(), "valid_until": (now + dt.timedelta(days=365)).isoformat()}
    right = office.act("/passes/rights", {"holder": linked.account_id, "scope": "border", **term})["id"]
    page = f"/{stage.lang}/passes/{right}/"
    asked = re.search(r'data-enrolment="([^"]+)"', linked.browser.get(page).text)
    if asked is None:
        raise GaveUp("the page of his pass")
    mine = f"/{stage.lang}/passes/"
    for old in re.findall(r'name="remove" value="([^"]+)"', linked.browser.get(mine).text):
        scene.press(linked.browser, mine, f"{mine}devices", {"remove": old})  # a phone that he no longer has
    phone = crypto.generate(Suite.ES256)
    proof = {"public": phone.public, "proof": phone.sign(asked[1].encode())}
    form = {name: base64.b64encode(value).decode() for name, value in proof.items()} | {"label": "phone"}
    device = scene.pressed(linked.browser, page, f"/{stage.lang}/passes/devices", form).json()["device"]
    made = scene.pressed(linked.browser, page, f"{page}offline", {"device": device}).json()
    return phone, base64.b64decode(made["pass"])


def shown_at(process: subprocess.Popen[str], code: str, seconds: float = 30) -> Mapping[str, Any]:
    """What the reader answers to a code."""
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(f"{code}\n")
    process.stdin.flush()
    waiting = select.poll()  # select() cannot wait for a descriptor above 1023
    waiting.register(process.stdout, select.POLLIN)
    if not waiting.poll(seconds * 1000):
        raise GaveUp("an answer of the gate")
    told: Mapping[str, Any] = json.loads(process.stdout.readline())
    return told


class Cable:
    """The only way between a gate and its node: what comes in here goes there, as long as nobody cuts it."""

    def __init__(self, node: BayNode) -> None:
        host, _, port = node.settings.listen.web.rpartition(":")
        self._there = (host, int(port))
        self._open: list[socket.socket] = []
        self._listener: socket.socket | None = None
        self._port = 0
        self.mend()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def mend(self) -> None:
        """Lay it (again)."""
        self._listener = socket.create_server(("127.0.0.1", self._port))
        self._port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def cut(self) -> None:
        """Nothing goes through any more, and nobody answers."""
        for one in (self._listener, *self._open):
            if one is not None:
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
                one.close()
        self._open.clear()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                near = listener.accept()[0]
                far = socket.create_connection(self._there)
                self._open += [near, far]
                for one, other in ((near, far), (far, near)):
                    threading.Thread(target=_pump, args=(one, other), daemon=True).start()


def _pump(one: socket.socket, other: socket.socket) -> None:
    with suppress(OSError):
        while part := one.recv(65536):
            other.sendall(part)
        other.shutdown(socket.SHUT_WR)
