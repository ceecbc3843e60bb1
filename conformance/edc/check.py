"""A real Eclipse Dataspace Connector and a real node of ours carry Hong Kong's passenger statistics to each other.

Both run with all their parts on loopback and keep to their own rules: our gate decides on what leaves and on what
comes in. Only proof of identity is the connector's mock, for this check alone. Exit status: 0 both ways carried,
1 not, 77 the connector cannot be had here.
"""

from __future__ import annotations

import contextlib
import csv
import gzip
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
UNAVAILABLE = 77

sys.path[:0] = [str(HERE), str(HERE.parent), str(ROOT / "src")]
os.environ["PYTHONPATH"] = os.pathsep.join(sys.path[:3])
os.environ["DJANGO_SETTINGS_MODULE"] = "edc_settings"

import httpx  # noqa: E402
import maven  # noqa: E402
import nodes  # noqa: E402
from cryptography.hazmat.primitives import serialization as s  # noqa: E402
from cryptography.hazmat.primitives.asymmetric import ec  # noqa: E402

from wantong.node.bay import BayNode, free_ports  # noqa: E402
from wantong.node.processes import die_with_parent  # noqa: E402

NODE, EDC = "hk.wantong.example", "edc.example"
DATASET = "urn:hk:daily-passenger"
DATA = ROOT / "src" / "wantong" / "node" / "demo" / "data" / "hk_immd_daily_passenger.csv.gz"
NAMESPACE = "https://w3id.org/edc/v0.0.1/ns/"
CONTEXT = {"@vocab": NAMESPACE, "odrl": "http://www.w3.org/ns/odrl/2/"}
PROTOCOL = "dataspace-protocol-http:2025-1"
DSP = "/dsp/2025-1"
USE = {"odrl:permission": [{"odrl:action": {"@id": "odrl:use"}}]}


class Broken(Exception):
    """The two have not come to an understanding; the text says where."""


def main() -> int:
    archives = maven.fetch(HERE / "pom.xml")
    if archives is None:
        return UNAVAILABLE
    content = gzip.decompress(DATA.read_bytes())
    with tempfile.TemporaryDirectory(prefix="wantong-edc-") as scratch, contextlib.ExitStack() as stack:
        folder = Path(scratch)
        try:
            edc = stack.enter_context(connector(archives, folder))
            node = stack.enter_context(our_node(folder, edc))
            source = stack.enter_context(web_server(content))
            begun = time.monotonic()
            edc_fetches(edc, node, content)
            print(f"   EDC fetched our dataset: {len(content)} bytes, {time.monotonic() - begun:.1f} s")
            begun = time.monotonic()
            we_fetch(edc, node, source, content)
            print(f"   we fetched EDC's dataset: {len(content)} bytes, {time.monotonic() - begun:.1f} s")
            edc_is_refused(edc, node)
            print("   EDC was refused personal data")
        except (Broken, httpx.HTTPError) as error:
            print(f"   {type(error).__name__}: {error}")
            for log in (folder / "edc.log", folder / "node" / "run" / "node.log"):
                if not log.exists():
                    continue
                print(f"--- {log.name}", *log.read_text(errors="replace").splitlines()[-25:], sep="\n")
            return 1
    print("   Eclipse EDC: 3 of 3 (it from us, we from it, personal data refused)")
    return 0


# --- the two ------------------------------------------------------------------------------------------------------


class Connector:
    """A running EDC: its ports by name, and its management API."""

    def __init__(self, ports: dict[str, int]) -> None:
        self.ports = ports
        self.api = httpx.Client(
            base_url=f"http://localhost:{ports['management']}/management", timeout=30, trust_env=False
        )

    def post(self, path: str, content: dict[str, Any]) -> Any:
        answer = self.api.post(path, json={"@context": CONTEXT, **content})
        if not answer.is_success:
            raise Broken(f"EDC answered {answer.status_code} to {path}: {answer.text[:1000]}")
        return answer.json() if answer.content else None

    def state(self, path: str, done: str) -> dict[str, Any]:
        """The process at ``path`` when it has come to the state ``done``."""

        def look() -> dict[str, Any] | None:
            now: dict[str, Any] = self.api.get(path).json()
            if now["state"] == "TERMINATED" != done:
                raise Broken(f"EDC has terminated {path}: {now.get('errorDetail')}")
            return now if now["state"] == done else None

        return until(look, f"EDC's {path} is {done}")


@contextlib.contextmanager
def connector(archives: Path, folder: Path) -> Iterator[Connector]:
    """Start an EDC, all in memory, with a fresh key for the tokens of its data plane."""
    taken: set[int] = set()
    numbers = [port for _ in range(3) for port in free_ports(0, taken)]
    names = ("default", "management", "protocol", "control", "version", "public")
    ports = dict(zip(names, numbers, strict=True))
    settings = folder / "edc.properties"
    key = ec.generate_private_key(ec.SECP256R1())
    private = key.private_bytes(s.Encoding.PEM, s.PrivateFormat.PKCS8, s.NoEncryption())
    public = key.public_key().public_bytes(s.Encoding.PEM, s.PublicFormat.SubjectPublicKeyInfo)
    settings.write_text(
        (HERE / "edc.properties")
        .read_text()
        .format(private_key=line(private), public_key=line(public), **ports)
    )
    command = ["java", f"-Dedc.fs.config={settings}", "-cp", f"{archives}/*"]
    with (folder / "edc.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "org.eclipse.edc.boot.system.runtime.BaseRuntime"],
            stdout=log,
            stderr=log,
            preexec_fn=partial(die_with_parent, os.getpid()),
        )
    edc = Connector(ports)
    try:
        # asked anew each time: a request that comes while it starts may never be answered
        planes = f"http://localhost:{ports['management']}/management/v3/dataplanes"
        until(
            lambda: good_or_none(httpx.get(planes, timeout=3, trust_env=False)) or None,
            "EDC has found its own data plane",
            90,
        )
        yield edc
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()


def line(pem: bytes) -> str:
    """A key as one line of a Java properties file."""
    return pem.decode().replace("\n", "\\n")


class Node(BayNode):
    """A running node of ours with a clerk and an officer."""

    clerk: httpx.Client
    officer: httpx.Client


@contextlib.contextmanager
def our_node(folder: Path, edc: Connector) -> Iterator[Node]:
    """Make and run a node that recognises the connector."""
    node = nodes.make(Node, folder / "node", "hk", NODE, taken=set(edc.ports.values()))
    from wantong.border.exchange import services
    from wantong.ground.actors import system
    from wantong.ground.http.auth import make_token
    from wantong.portal.services import make_operator

    services.introduce(
        system("conformance"),
        EDC,
        jurisdiction="gd",
        url=f"http://localhost:{edc.ports['protocol']}/protocol",
        data_url=f"http://localhost:{edc.ports['public']}/public",
        scheme="mock",
    )

    def person(name: str, *roles: str) -> httpx.Client:
        token = make_token(make_operator(name, roles, os.urandom(12).hex()), "conformance")
        headers = {"Authorization": f"Bearer {token}"}
        return httpx.Client(base_url=node.url, headers=headers, timeout=30, trust_env=False)

    node.clerk, node.officer = person("clerk", "declarer"), person("officer", "approver")
    with nodes.running(node):
        yield node


@contextlib.contextmanager
def web_server(content: bytes) -> Iterator[str]:
    """The address where EDC's data plane finds what it offers."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/csv")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/passengers.csv"
    finally:
        server.shutdown()


# --- the two directions -------------------------------------------------------------------------------------------


def edc_fetches(edc: Connector, node: Node, content: bytes) -> None:
    """EDC finds our dataset, agrees on it, asks for it, gets it past our gate, and ends the transfer."""
    columns = [name for name in content.split(b"\n", 1)[0].decode("utf-8-sig").strip().split(",") if name]
    publish(node, DATASET, content, columns, personal=False)
    item = {
        "dataset_id": DATASET,
        "fields": dict.fromkeys(columns, "keep"),
        "open": True,
        "legal_basis": "open_data",
        "valid_from": "2026-01-01",
        "valid_until": "2028-01-01",
    }
    listed = good(node.clerk.post("/api/whitelist", json=item))
    good(node.officer.post(f"/api/whitelist/{listed['id']}/approve", json={}))

    transfer = edc_asks(edc, node, DATASET)
    edc.state(transfer, "STARTED")
    address = until(
        lambda: good_or_none(edc.api.get(f"/v3/edrs/{transfer.rpartition('/')[2]}/dataaddress")),
        "EDC holds our data address",
    )
    got = httpx.get(
        address["endpoint"], headers={"Authorization": f"Bearer {address['authorization']}"}, trust_env=False
    )
    # an unnamed, empty column at the end is not on the whitelist and stays here
    rows, sent = table(got.content, columns), table(content, columns)
    if got.status_code != 200 or rows != sent:
        raise Broken(f"our data plane answered {got.status_code} with {len(rows)} rows, not our {len(sent)}")
    edc.post(f"{transfer}/terminate", {"@type": "TerminateTransfer", "reason": "fetched"})
    edc.state(transfer, "TERMINATED")
    (ours,) = good(node.clerk.get("/api/transfers"))

    def delivered() -> Any:
        crossing = good(node.clerk.get(f"/api/transfers/{ours['id']}"))
        return crossing if crossing["declaration"]["state"] in ("delivered", "receipted") else None

    crossing = until(delivered, "our gate knows that it has left")
    kinds = [entry["kind"] for entry in crossing["receipts"]["own"]]
    if "gate.export.release" not in kinds or "gate.export.deliver" not in kinds:
        raise Broken(f"our log lacks something: {kinds}")


def edc_is_refused(edc: Connector, node: Node) -> None:
    """Personal data does not go to a connector that could not keep the duties that travel with it."""
    publish(
        node, "urn:hk:patients", b"name,diagnosis\nChan Tai Man,J45\n", ["name", "diagnosis"], personal=True
    )
    edc.state(edc_asks(edc, node, "urn:hk:patients"), "TERMINATED")  # it keeps no reason
    why = [
        t["reason"] for t in good(node.clerk.get("/api/transfers")) if t["dataset_id"] == "urn:hk:patients"
    ]
    if len(why) != 1 or "keep the duties" not in why[0]:
        raise Broken(f"it was refused for another reason: {why}")


def publish(node: Node, dataset: str, content: bytes, columns: list[str], *, personal: bool) -> None:
    """Offer a CSV file to every recognised connector."""
    metadata = {
        "id": dataset,
        "title": {"en": dataset},
        "media_type": "text/csv",
        "filename": "data.csv",
        "is_open": True,
        "fields": [{"name": name} for name in columns],
        "facts": {"is_personal": personal, "is_important_data": False, "from_area": "hk", "to_area": "gba9"},
    }
    papers = {"metadata": json.dumps(metadata)}
    good(node.clerk.post("/api/datasets", data=papers, files={"file": ("data.csv", content)}))


def edc_asks(edc: Connector, node: Node, dataset: str) -> str:
    """EDC finds our dataset, agrees on it and asks for it; the address of its transfer."""
    there = {"protocol": PROTOCOL, "counterPartyId": NODE, "counterPartyAddress": f"{node.url}{DSP}"}
    catalog = edc.post("/v3/catalog/request", {"@type": "CatalogRequest", **there})
    found = {entry["@id"]: entry for entry in catalog["dataset"]}
    if dataset not in found:
        raise Broken(f"EDC does not see {dataset}: {json.dumps(catalog)[:1000]}")
    offer = {
        "@id": found[dataset]["hasPolicy"][0]["@id"],
        "@type": "odrl:Offer",
        "odrl:assigner": {"@id": NODE},
        "odrl:target": {"@id": dataset},
        **USE,
    }
    begun = edc.post("/v3/contractnegotiations", {"@type": "ContractRequest", **there, "policy": offer})
    agreed = edc.state(f"/v3/contractnegotiations/{begun['@id']}", "FINALIZED")["contractAgreementId"]
    asked = {"@type": "TransferRequest", **there, "contractId": agreed, "transferType": "HttpData-PULL"}
    return f"/v3/transferprocesses/{edc.post('/v3/transferprocesses', asked)['@id']}"


def we_fetch(edc: Connector, node: Node, source: str, content: bytes) -> None:
    """We find EDC's dataset, agree on it, ask for it, take it past our own gate, and say that it has come."""
    address = {"@type": "DataAddress", "type": "HttpData", "baseUrl": source}
    edc.post(
        "/v3/assets",
        {
            "@id": "passengers",
            "@type": "Asset",
            "properties": {"name": "Passengers", "contenttype": "text/csv"},
            "dataAddress": address,
        },
    )
    policy = {"@type": "odrl:Set", **USE}
    edc.post("/v3/policydefinitions", {"@id": "use", "@type": "PolicyDefinition", "policy": policy})
    edc.post(
        "/v3/contractdefinitions",
        {
            "@id": "all",
            "@type": "ContractDefinition",
            "accessPolicyId": "use",
            "contractPolicyId": "use",
            "assetsSelector": [],
        },
    )
    offered = good(node.clerk.get(f"/api/catalogue/{EDC}"))
    if [(entry["id"], entry["title"]) for entry in offered] != [("passengers", {"en": "passengers"})]:
        raise Broken(f"we do not see EDC's dataset: {offered}")
    asked = {"participant_id": EDC, "dataset_id": "passengers"}
    pid = good(node.clerk.post("/api/negotiations", json=asked))["pid"]
    agreed = ours(node, f"/api/negotiations/{pid}", "FINALIZED")["agreement_id"]
    begun = good(node.clerk.post("/api/transfers", json={"agreement_id": agreed}))["id"]
    crossing = ours(node, f"/api/transfers/{begun}", "COMPLETED")
    got = node.clerk.get(f"/api/received/{begun}/data")
    if hashlib.sha256(got.content).digest() != hashlib.sha256(content).digest():
        raise Broken(f"what we hold ({got.status_code}, {len(got.content)} bytes) is not what EDC offered")
    # a completed transfer of EDC's goes on to this state by itself
    edc.state(f"/v3/transferprocesses/{crossing['counterpart_pid']}", "DEPROVISIONED")


def ours(node: Node, path: str, done: str) -> dict[str, Any]:
    """Our process at ``path`` when it has come to the state ``done``."""

    def look() -> dict[str, Any] | None:
        now: dict[str, Any] = good(node.clerk.get(path))
        if now["state"] == "TERMINATED":
            raise Broken(f"{path} is terminated: {now['reason']}; {now['messages']}")
        return now if now["state"] == done else None

    return until(look, f"our {path} is {done}")


def table(content: bytes, columns: list[str]) -> list[list[str]]:
    """The rows of a CSV file, of these columns."""
    return [
        [row[name] for name in columns] for row in csv.DictReader(content.decode("utf-8-sig").splitlines())
    ]


def good(answer: httpx.Response) -> Any:
    """The body of an answer that is none of a refusal."""
    if not answer.is_success:
        raise Broken(f"our node answered {answer.status_code} to {answer.url.path}: {answer.text[:1000]}")
    return answer.json()


def good_or_none(answer: httpx.Response) -> Any:
    return answer.json() if answer.is_success else None


def until(ask: Callable[[], Any], what: str, seconds: float = 60) -> Any:
    """Ask until there is an answer. Raises :class:`Broken`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx.TransportError):
            answer = ask()
            if answer is not None:
                return answer
        time.sleep(0.1)
    raise Broken(f"not within {seconds:.0f} s: {what}")


if __name__ == "__main__":
    sys.exit(main())
