"""Two Eclipse Dataspace Connectors on loopback, a provider and a consumer: the peer of our figures.

They come from Maven Central as they are; proof of identity is their mock (nothing is signed between them, which
ours does), everything else is real. State is in memory, or in PostgreSQL.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
from cryptography.hazmat.primitives import serialization as s
from cryptography.hazmat.primitives.asymmetric import ec

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parents[1] / "conformance"))

import maven  # noqa: E402

from wantong.node.bay import free_ports  # noqa: E402
from wantong.node.processes import die_with_parent  # noqa: E402

VERSION = "0.15.1"
PROVIDER, CONSUMER = "provider", "consumer"
DATASET = "passengers"
PROTOCOL = "dataspace-protocol-http:2025-1"
CONTEXT = {"@vocab": "https://w3id.org/edc/v0.0.1/ns/", "odrl": "http://www.w3.org/ns/odrl/2/"}
USE = {"odrl:permission": [{"odrl:action": {"@id": "odrl:use"}}]}
# its state machines look at their queues this often (ms); a second unless these are set
WAITS = (
    "edc.negotiation.consumer.state-machine.iteration-wait-millis",
    "edc.negotiation.provider.state-machine.iteration-wait-millis",
    "edc.transfer.state-machine.iteration-wait-millis",
    "edc.dataplane.state-machine.iteration-wait-millis",
    "edc.data.plane.selector.state-machine.iteration-wait-millis",
)


def archives(*, sql: bool = False) -> list[Path] | None:
    """The folders with the connector's archives; None, and why is printed, where they cannot be had."""
    if not (shutil.which("java") and shutil.which("mvn")):
        return None
    folders = [maven.fetch(HERE / name / "pom.xml") for name in ("edc_memory", *(["edc_sql"] if sql else []))]
    return None if None in folders else [folder for folder in folders if folder]


class Connector:
    """A running connector: its ports by name, its process, its management API."""

    def __init__(self, name: str, ports: Mapping[str, int], process: subprocess.Popen[bytes]) -> None:
        self.name, self.ports, self.process = name, ports, process
        self.api = httpx.Client(
            base_url=f"http://localhost:{ports['management']}/management", timeout=60, trust_env=False
        )

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def protocol(self) -> str:
        """Where it takes messages of the Dataspace Protocol."""
        return f"http://localhost:{self.ports['protocol']}/protocol/2025-1"

    def post(self, path: str, content: Mapping[str, Any]) -> Any:
        """The answer to a request of its management API. Raises RuntimeError."""
        answer = self.api.post(path, json={"@context": CONTEXT, **content})
        if not answer.is_success:
            raise RuntimeError(f"{path} answered {answer.status_code}: {answer.text[:1000]}")
        return answer.json() if answer.content else None


class Pair:
    """The two, and a listener that hears their events and serves what the provider offers."""

    def __init__(self, provider: Connector, consumer: Connector, listener: Listener) -> None:
        self.provider, self.consumer, self.listener = provider, consumer, listener

    @property
    def pids(self) -> tuple[int, int]:
        return self.provider.pid, self.consumer.pid

    @property
    def there(self) -> dict[str, str]:
        """Whom the consumer asks."""
        return {
            "protocol": PROTOCOL,
            "counterPartyId": self.provider.name,
            "counterPartyAddress": self.provider.protocol,
        }

    def catalog(self, offset: int = 0, limit: int = 50) -> dict[str, Any]:
        """A page of the provider's catalogue, by way of the consumer."""
        asked = {"@type": "QuerySpec", "offset": offset, "limit": limit}
        found: dict[str, Any] = self.consumer.post(
            "/v3/catalog/request", {"@type": "CatalogRequest", **self.there, "querySpec": asked}
        )
        return found


class Listener:
    """A web server of the measuring process: it hears events (POST) and is the provider's source of data (GET)."""

    def __init__(self, content: bytes) -> None:
        self._heard: dict[tuple[str, str], Future[dict[str, Any]]] = {}
        listener = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self._answer(content)

            def do_POST(self) -> None:
                told = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                self._answer(b"")
                payload = told["payload"]
                name = payload.get("transferProcessId") or payload.get("contractNegotiationId")
                heard = listener._future(told["type"], name)
                if not heard.done():  # it says some things twice
                    heard.set_result(payload)

            def _answer(self, body: bytes) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "text/csv")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def hear(self, event: str, name: str, patience: float = 60.0) -> dict[str, Any]:
        """What an event of the process ``name`` says, when it has come. Raises TimeoutError."""
        return self._future(event, name).result(patience)

    def callbacks(self, *events: str) -> list[dict[str, Any]]:
        """What makes a connector tell us of ``events`` of a process."""
        return [{"@type": "CallbackAddress", "transactional": False, "uri": self.url, "events": list(events)}]

    def _future(self, event: str, name: str) -> Future[dict[str, Any]]:
        return self._heard.setdefault((event, name), Future())

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@contextlib.contextmanager
def pair(
    folder: Path,
    found: Sequence[Path],
    *,
    wait: int | None,
    content: bytes,
    datasets: int = 1,
    databases: Mapping[str, str] | None = None,
) -> Iterator[Pair]:
    """Start the two with their queues looked at every ``wait`` milliseconds (None: as they come, every second).

    ``databases``: a PostgreSQL URL for each instead of memory.
    """
    with contextlib.ExitStack() as stack:
        listener = Listener(content)
        stack.callback(listener.close)
        taken: set[int] = set()
        provider, consumer = (
            stack.enter_context(
                _connector(name, folder / name, found, taken, wait, (databases or {}).get(name))
            )
            for name in (PROVIDER, CONSUMER)
        )
        both = Pair(provider, consumer, listener)
        _offer(provider, listener.url, datasets)
        yield both


def _offer(provider: Connector, source: str, datasets: int) -> None:
    provider.post(
        "/v3/policydefinitions",
        {"@id": "use", "@type": "PolicyDefinition", "policy": {"@type": "odrl:Set", **USE}},
    )
    provider.post(
        "/v3/contractdefinitions",
        {
            "@id": "all",
            "@type": "ContractDefinition",
            "accessPolicyId": "use",
            "contractPolicyId": "use",
            "assetsSelector": [],
        },
    )
    address = {"@type": "DataAddress", "type": "HttpData", "baseUrl": f"{source}/data.csv"}

    def offer(number: int) -> None:
        name = DATASET if number == 0 else f"{DATASET}-{number:06d}"
        about = {"name": f"Daily passengers, series {number}", "contenttype": "text/csv"}
        about["description"] = "Arrivals and departures by control point."
        provider.post(
            "/v3/assets", {"@id": name, "@type": "Asset", "properties": about, "dataAddress": address}
        )

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(offer, range(datasets)))


@contextlib.contextmanager
def _connector(
    name: str, folder: Path, found: Sequence[Path], taken: set[int], wait: int | None, database: str | None
) -> Iterator[Connector]:
    folder.mkdir(parents=True)
    numbers = [port for _ in range(3) for port in free_ports(0, taken)]
    names = ("default", "management", "protocol", "control", "version", "public")
    ports = dict(zip(names, numbers, strict=True))
    key = ec.generate_private_key(ec.SECP256R1())
    private = key.private_bytes(s.Encoding.PEM, s.PrivateFormat.PKCS8, s.NoEncryption())
    public = key.public_key().public_bytes(s.Encoding.PEM, s.PublicFormat.SubjectPublicKeyInfo)
    lines = [
        (HERE / "edc_memory" / "edc.properties")
        .read_text()
        .format(participant=name, private_key=_line(private), public_key=_line(public), **ports)
    ]
    lines += [f"{setting}={wait}" for setting in WAITS if wait is not None]
    if database:
        lines += [
            f"edc.datasource.default.url={database}",
            "edc.datasource.default.user=wantong",
            "edc.datasource.default.password=",
            "edc.sql.schema.autocreate=true",
        ]
    settings = folder / "edc.properties"
    settings.write_text("\n".join(lines))
    path = os.pathsep.join(f"{place}/*" for place in found)
    with (folder / "edc.log").open("wb") as log:
        process = subprocess.Popen(
            [
                "java",
                f"-Dedc.fs.config={settings}",
                "-cp",
                path,
                "org.eclipse.edc.boot.system.runtime.BaseRuntime",
            ],
            stdout=log,
            stderr=log,
            preexec_fn=partial(die_with_parent, os.getpid()),
        )
    connector = Connector(name, ports, process)
    try:
        _wait_ready(connector, folder / "edc.log")
        yield connector
    finally:
        connector.api.close()
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_ready(connector: Connector, log: Path) -> None:
    """Return when its management API answers. Raises RuntimeError."""
    deadline = time.monotonic() + 180
    question = {"@context": CONTEXT, "@type": "QuerySpec"}
    while time.monotonic() < deadline and connector.process.poll() is None:
        with contextlib.suppress(httpx.HTTPError):
            # asked anew each time: a request that comes while it starts may never be answered
            url = f"{str(connector.api.base_url).rstrip('/')}/v3/assets/request"
            if httpx.post(url, json=question, timeout=3, trust_env=False).is_success:
                return
        time.sleep(0.1)
    raise RuntimeError(
        "EDC does not start:\n" + "\n".join(log.read_text(errors="replace").splitlines()[-30:])
    )


def _line(pem: bytes) -> str:
    """A key as one line of a Java properties file."""
    return pem.decode().replace("\n", "\\n")
