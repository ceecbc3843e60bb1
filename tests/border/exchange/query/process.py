"""A data plane in a process of its own, for those who kill it; a parcel made without a database."""

from __future__ import annotations

import multiprocessing
import socket
import time
from datetime import UTC, datetime
from typing import Any

from wantong.border.exchange import access, dataplane
from wantong.border.exchange.query import records
from wantong.border.exchange.query.plane import AUDIENCE, Plane
from wantong.border.gate import keys as gate_keys
from wantong.border.gate.declarations import outgoing
from wantong.border.trust import keys
from wantong.ground.config import NodeConfig

TRANSFER, AGREEMENT, RECEIVER, PURPOSE = "t-1", "urn:agreement:1", "hk.example", "pension"


def parcel(
    node: NodeConfig,
    people: int = 50,
    transfer: str = TRANSFER,
    receiver: str = RECEIVER,
    **limits: int,
) -> None:
    keys.generate(node.keys)
    folder = outgoing.draft(node.outgoing, transfer)
    secret = records.service_secret(gate_keys.secret(node.keys, "query"), transfer)
    names = {f"P{n}": f"{n + 1:064x}" for n in range(people)}
    records.build(
        folder, ((name, (f"name of {name}", "x")) for name in names), secret=secret, commitments=names
    )
    waybill = {
        "agreement_id": AGREEMENT, "dataset_id": "d", "sender": "gd.example", "receiver": receiver, "purpose": PURPOSE,
        "fields": ["name", "kind"],
        "service": {"terms": {"total": 0, "per_day": 0, "begins": 0, "ends": 0, **limits}, "valid_until": "2999-01-01"},
    }  # fmt: skip
    (folder / outgoing.STANDING).write_bytes(b"\1")
    outgoing.seal(folder, records.RECORDS, records.MEDIA_TYPE, waybill)
    outgoing.publish(node.outgoing, transfer, folder)


def token(node: NodeConfig, transfer: str = TRANSFER, **more: Any) -> str:
    opens = access.Access(
        **{"transfer_id": transfer, "agreement_id": AGREEMENT, "receiver": RECEIVER, **more}
    )
    return access.issue(keys.load(node.keys, keys.DATA), opens, datetime.now(UTC), AUDIENCE)


def run(node: NodeConfig, port: int) -> None:
    """Serve until killed; in the child."""
    import logging

    import structlog
    import uvicorn

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    queries = Plane(node)
    app = queries.before(dataplane.app(node, queries.routes))
    uvicorn.run(
        app, host="127.0.0.1", port=port, loop="uvloop", http="httptools", log_config=None, lifespan="off"
    )


def start(node: NodeConfig) -> tuple[Any, int]:
    """A process that serves ``node``, and its port."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    child = multiprocessing.get_context("spawn").Process(target=run, args=(node, port), daemon=True)
    child.start()
    for _ in range(600):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return child, port
        except OSError:
            assert child.is_alive()
            time.sleep(0.1)
    raise AssertionError("the data plane does not come up")
