"""A query service as its receiver meets it: a register of residents who do not exist, released by the gate, served."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import httpx
import uvicorn
from django.utils import timezone
from tests.border.gate.scene import (
    CHAN,
    COLUMNS,
    HK,
    LEI,
    PAPER,
    PURPOSE,
    agree,
    allow,
    facts,
    resident,
    residents,
)

from wantong.border.exchange import access, catalogue, dataplane, messages, services, terms
from wantong.border.exchange.models import Agreement, Transfer
from wantong.border.exchange.query import FORMAT
from wantong.border.exchange.query.plane import AUDIENCE, Plane
from wantong.border.gate.declarations import services as gate
from wantong.border.gate.declarations.models import Declaration
from wantong.border.trust import keys
from wantong.ground import config
from wantong.ground.actors import Actor
from wantong.ground.http import limits
from wantong.ground.http.admission import Capacity
from wantong.ground.http.front import Front
from wantong.ground.log.identifiers import uuid7
from wantong.ground.outbox import services as outbox

OWNER = Actor("user:owner", "Owner", frozenset({"declarer", "operator"}))
SUBJECT, NAME, KIND, MONTHS = COLUMNS
FIELDS = (NAME, KIND, MONTHS)
CONTEXT = ["https://w3id.org/dspace/2025/1/context.jsonld"]
DATASET = "social-insurance"


def publish(tmp_path, count: int = 20, path=None):
    path = path or residents(tmp_path / "residents.csv", count)
    metadata = catalogue.Metadata(
        id=DATASET,
        title={"zh-hans": "社会保险参保记录"},
        fields=[{"name": name} for name in COLUMNS],
        media_type="text/csv",
        subject_column=SUBJECT,
        facts=facts(n_sensitive=1),
    )
    return services.publish_dataset(OWNER, path, metadata)


def agreement(peer, *limits, fields=FIELDS, identifier: str = "urn:agreement:query"):
    """An agreement of ours with ``peer``; ``limits`` are more constraints."""
    constraint = [
        terms.constraint("purpose", "eq", PURPOSE),
        terms.constraint(terms.FIELDS, "isAnyOf", list(fields)),
        *limits,
    ]
    offered = terms.offer("x", {"permission": [{"action": "use", "constraint": constraint}]})
    policy = terms.agreement(
        identifier,
        offered,
        target=DATASET,
        assigner="gd.test.example",
        assignee=HK,
        at=timezone.now(),
    )
    return Agreement.objects.create(
        id=identifier, role="provider", peer=peer.row, dataset_id=DATASET, policy=policy, title={"en": "x"}
    )


def request(peer, contract, pid: str = "urn:theirs:t1"):
    """The peer asks for a query service; the gate does what it does by itself."""
    body = {
        "@context": CONTEXT,
        "@type": "TransferRequestMessage",
        "consumerPid": pid,
        "agreementId": contract.id,
        "format": FORMAT,
        "callbackAddress": peer.base,
    }
    answer = peer.post("/transfers/request", body)
    assert answer.status_code == 201, answer.content
    outbox.drain()
    return Transfer.objects.get(pid=answer.json()["providerPid"])


def confirm(process) -> Declaration:
    """A person confirms the papers that the law wants, and the gate releases."""
    declaration = Declaration.objects.get(transfer_id=process.id, direction="export")
    wanted = [r["id"] for r in declaration.waiting_for if r["act"] == "confirm"]
    gate.act(LEI, declaration.id, "confirm", document=PAPER, requirements=wanted)
    outbox.drain()
    declaration.refresh_from_db()
    return declaration


def released(peer, tmp_path, *limits, count: int = 20, consents: int = 10, fields=FIELDS, path=None):
    """A service that may be asked: the first ``consents`` of ``count`` residents have agreed."""
    publish(tmp_path, count, path)
    allow()
    if consents:
        agree([resident(n) for n in range(consents)], fields=fields)
    process = request(peer, agreement(peer, *limits, fields=fields))
    declaration = confirm(process)
    assert declaration.state == "released", (declaration.state, declaration.waiting_for)
    process.refresh_from_db()
    return process


def token_of(process, **more) -> str:
    opens = access.Access(
        **{"transfer_id": process.id, "agreement_id": process.agreement.id, "receiver": HK, **more}
    )
    return access.issue(keys.own(keys.DATA), opens, datetime.now(UTC), AUDIENCE)


def question(person: int | str = 0, **more):
    return {
        "subject": resident(person) if isinstance(person, int) else person,
        "case": "案-2026-17",
        "purpose": PURPOSE,
        "fields": list(FIELDS),
        "call": uuid7(),
        **more,
    }


@contextlib.contextmanager
def serving(node=None, *, allowed: limits.Limits | None = None) -> Iterator[httpx.Client]:
    """The node's data plane over real HTTP, in a thread of its own; with limits that are told, behind its front."""
    node = node or config.current()
    queries = Plane(node, allowed=allowed)
    app = queries.before(dataplane.app(node, queries.routes, allowed=allowed))
    if allowed is not None:
        room = Capacity(**allowed.capacity["data"])
        table = limits.buckets(node.run / limits.FILE)
        app = Front(app, served="data", capacity=room, limits=allowed, table=table)
    server = uvicorn.Server(
        uvicorn.Config(
            app, host="127.0.0.1", port=0, loop="uvloop", http="httptools", log_config=None, lifespan="off"
        )
    )

    async def serve() -> None:
        await server.serve()
        await queries.close()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join(20)


class Service:
    """The one who asks."""

    def __init__(self, client: httpx.Client, process) -> None:
        self.client, self.process, self.token = client, process, token_of(process)

    def ask(self, person: int | str = 0, *, token: str | None = None, **more) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.token if token is None else token}"}
        return self.client.post(f"/query/{self.process.id}", json=question(person, **more), headers=headers)


def slug(answer: httpx.Response) -> str:
    return answer.json()["type"].rpartition("/")[2]


def start_of(peer) -> tuple[str, str]:
    """Endpoint and token as the peer was told them."""
    ((_, start),) = [(path, m) for path, m in peer.received if m and m["@type"] == "TransferStartMessage"]
    return messages.endpoint_of(start["dataAddress"])


__all__ = ["CHAN", "HK", "LEI", "resident"]
