"""A counterparty that is not our code under test: own keys, own HTTP server, a script of what it answers."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from django.test import Client
from joserfc.jwk import OKPKey

from wantong.border.exchange import catalogue, services
from wantong.border.trust import keys, tokens
from wantong.border.trust.models import Peer
from wantong.ground.actors import Actor
from wantong.ground.outbox import services as outbox

CONTEXT = ["https://w3id.org/dspace/2025/1/context.jsonld"]
DSP = "/dsp/2025-1"
OWNER = Actor("user:owner", "Owner", frozenset({"declarer", "approver", "operator"}))


@dataclass
class Counterparty:
    """``received`` is (path, message) of all that came; ``script`` answers (path, message) with (status, body)."""

    participant_id: str
    key: OKPKey
    url: str = ""
    received: list[tuple[str, Any]] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    script: Callable[[str, Any], tuple[Any, ...]] | None = None
    client: Client = field(default_factory=Client)
    row: Peer | None = None

    @property
    def base(self) -> str:
        return self.url + DSP

    def answer(self, path: str, message: Any) -> tuple[Any, ...]:
        if self.script is not None and (answer := self.script(path, message)) is not None:
            return answer
        if path.endswith("/negotiations/request"):
            return 201, state("ContractNegotiation", "urn:theirs:1", message["consumerPid"], "REQUESTED")
        if path.endswith("/transfers/request"):
            return 201, state("TransferProcess", "urn:theirs:t1", message["consumerPid"], "REQUESTED")
        return 200, {}

    def call(
        self,
        method: str,
        path: str,
        message: Any = None,
        *,
        message_id: str | None = None,
        token: str | None = None,
    ) -> Any:
        """A signed request of the counterparty to the node under test."""
        from wantong.ground import config

        body = (
            b""
            if message is None
            else message
            if isinstance(message, bytes)
            else json.dumps(message).encode()
        )
        if token is None:
            node = config.current()
            token = tokens.sign(
                self.key, issuer=self.participant_id, audience=node.participant_id,
                request=tokens.Request(method, node.url + path, body), now=datetime.now(UTC), message_id=message_id,
            )  # fmt: skip
        return self.client.generic(
            method, path, body, content_type="application/json", headers={"Authorization": f"Bearer {token}"}
        )

    def post(self, path: str, message: Any, **options: Any) -> Any:
        return self.call("POST", DSP + path, message, **options)

    def state(self, family: str, pid: str) -> str:
        return self.call("GET", f"{DSP}/{family}/{pid}").json()["state"]

    def kinds(self) -> list[str]:
        return [
            message["@type"] + message.get("eventType", "") for path, message in self.received if DSP in path
        ]


def state(kind: str, provider: str, consumer: str, now: str) -> dict[str, Any]:
    return {
        "@context": CONTEXT,
        "@type": kind,
        "providerPid": provider,
        "consumerPid": consumer,
        "state": now,
    }


@pytest.fixture
def make_peer(node) -> Iterator[Callable[[str], Counterparty]]:
    keys.generate(node.keys)
    keys._loaded.clear()
    servers = []

    def make(participant_id: str = "hk.test.example") -> Counterparty:
        peer = Counterparty(participant_id, OKPKey.generate_key("Ed25519"))

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                message = json.loads(body) if body else None
                peer.received.append((self.path, message))
                peer.tokens.append(self.headers.get("Authorization", "").removeprefix("Bearer "))
                peer.headers = dict(self.headers)
                status, answer, *more = peer.answer(self.path, message)
                data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                self.send_response(status)
                if status in (301, 302, 307):
                    self.send_header("Location", "http://127.0.0.1:9/elsewhere")
                for name, value in more[0].items() if more else ():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST

            def log_message(self, *_: Any) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        servers.append(server)
        peer.url = f"http://127.0.0.1:{server.server_port}"
        peer.row = Peer.objects.create(
            participant_id=participant_id, jurisdiction=participant_id[:2], name={"en": participant_id},
            url=peer.url, data_url=peer.url, protocol_key=keys.public(peer.key), log_vkey="-", witness_vkey="-",
            fingerprint="-", pinned_by="user:test",
        )  # fmt: skip
        return peer

    yield make
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def peer(make_peer) -> Counterparty:
    return make_peer("hk.test.example")


@pytest.fixture
def publish(node, tmp_path):
    """Publish a small open dataset; returns its row."""

    def make(
        identifier: str = "urn:data:passengers",
        content: bytes = b"day,arrivals\n2026-01-01,100\n",
        **more: Any,
    ):
        path = tmp_path / "data.csv"
        path.write_bytes(content)
        metadata = catalogue.Metadata(
            id=identifier, title={"en": "Passengers", "zh-hant": "旅客"}, media_type="text/csv",
            fields=({"name": "day"}, {"name": "arrivals"}), **{"is_open": True, **more},
        )  # fmt: skip
        return services.publish_dataset(OWNER, path, metadata)

    return make


@pytest.fixture
def drain():
    return outbox.drain
