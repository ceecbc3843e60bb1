"""The query service with all its controls beside the same application returning the bare bytes.

    python benchmarks/query.py [--people 100000] [--seconds 3] [--rounds 5] [--connections 32] [--json]

One data plane process as a node runs it; the load comes from another process over loopback, the same requests to both
addresses, in turns. Figures are medians over the rounds, in requests per CPU second of the data plane: all controls (token,
replay, purpose, fields, limits, person, consent, masked record, entry in the journal, durable before the answer) against
a handler that reads the body and returns as many bytes. Then half of that load, asked at fixed times: latency is counted
from when a request was due. Last, every answer is looked up in the journal.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import multiprocessing
import os
import re
import resource
import socket
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "wantong.node.settings")

import logging

import structlog

from wantong.border.exchange import access, dataplane
from wantong.border.exchange.query import journal, records
from wantong.border.exchange.query.plane import AUDIENCE, Plane
from wantong.border.gate import keys as gate_keys
from wantong.border.gate.declarations import outgoing
from wantong.border.trust import keys
from wantong.ground.config import NodeConfig
from wantong.ground.http import limits as allowances
from wantong.ground.log.identifiers import uuid7

TRANSFER, AGREEMENT, RECEIVER, PURPOSE = (
    "0b1a7a52-9d3e-4f5c-8a52-5d0e4f9f2a11",
    "urn:agreement:1",
    "hk.example",
    "pension",
)
COLUMNS = ("姓名", "险种", "缴费月数", "参保地", "状态")
FIELDS = list(COLUMNS)
_LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)


def person(number: int) -> str:
    return f"4499{number:014d}"


def prepare(node: NodeConfig, people: int) -> bytes:
    """A released parcel of so many persons who all consent; returns what one answer looks like."""
    for folder in (node.keys, node.outgoing, node.run):
        folder.mkdir(parents=True, exist_ok=True)
    keys.generate(node.keys)
    folder = outgoing.draft(node.outgoing, TRANSFER)
    secret = records.service_secret(gate_keys.secret(node.keys, "query"), TRANSFER)
    rows = ((person(n), (f"██{n % 10}", "养老保险", str(n % 360), "广州市", "正常")) for n in range(people))
    commitments = {person(n): f"{n:064x}" for n in range(people)}
    records.build(folder, rows, secret=secret, commitments=commitments)
    records.close_consents(folder)
    records.admit(folder, dict.fromkeys(commitments.values(), (0, 4294967295)))
    waybill = {
        "agreement_id": AGREEMENT,
        "dataset_id": "social-insurance",
        "sender": node.participant_id,
        "receiver": RECEIVER,
        "purpose": PURPOSE,
        "fields": FIELDS,
        "service": {
            "terms": {"total": 10**12, "per_day": 10**12, "begins": 0, "ends": 0},
            "valid_until": "2999-01-01",
        },
    }
    (folder / outgoing.STANDING).write_bytes(b"\1")
    outgoing.seal(folder, records.RECORDS, records.MEDIA_TYPE, waybill)
    outgoing.publish(node.outgoing, TRANSFER, folder)
    with records.Records(node.outgoing / TRANSFER) as index:
        found = index.find(records.key_of(secret, person(7)))
        assert found is not None
        return records.Cut(COLUMNS, FIELDS).answer(found.rows)


# --- the data plane ---------------------------------------------------------------------------------------------


def serve(node: NodeConfig, bare: bytes, front: bool, ready: Any) -> None:
    """The data plane of a node, with one address more, until it is killed."""
    from starlette.requests import Request
    from starlette.responses import JSONResponse, Response
    from starlette.routing import Route

    from wantong.ground.http.admission import Capacity
    from wantong.ground.http.front import Front
    from wantong.ground.http.limits import FILE, buckets
    from wantong.ground.http.limits import read as read_limits
    from wantong.node import garbage, serving

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))

    async def plain(request: Request) -> Response:
        await request.body()
        return Response(bare, media_type="application/json")

    async def used(request: Request) -> Response:
        spent = resource.getrusage(resource.RUSAGE_SELF)
        return JSONResponse({"cpu": spent.ru_utime + spent.ru_stime})

    # counted like any, and one asker may have all of it
    all_of_it = allowances.read({"rates": {allowances.PEER_QUERY: {"rate": 1e6, "burst": 1e6}}})
    queries = Plane(node, allowed=all_of_it)
    more = [*queries.routes, Route("/bare", plain, methods=["POST"]), Route("/used", used)]
    app: Any = queries.before(dataplane.app(node, more))
    limits = read_limits()
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    if front:
        app = Front(
            app,
            served="data",
            capacity=Capacity(**limits.capacity["data"]),  # type: ignore[arg-type]
            limits=limits,
            table=buckets(node.run / FILE),
        )
    garbage.settle()
    ready.put(port)
    serving.serve(app, f"127.0.0.1:{port}", limits)


# --- the load ---------------------------------------------------------------------------------------------------


class Client:
    """Connections that are kept, and the requests that go over them."""

    def __init__(self, port: int, token: str, people: int) -> None:
        self.port, self.people = port, people
        self._head = f"Host: 127.0.0.1\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n"
        self._number = 0

    def request(self, path: str) -> bytes:
        self._number += 7919
        question = {
            "subject": person(self._number % self.people),
            "case": "2026-17",
            "purpose": PURPOSE,
            "fields": FIELDS,
            "call": uuid7(),
        }
        body = json.dumps(question, ensure_ascii=False).encode()
        return f"POST {path} HTTP/1.1\r\n{self._head}Content-Length: {len(body)}\r\n\r\n".encode() + body

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def used(self) -> float:
        reader, writer = await self.connect()
        writer.write(b"GET /used HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        spent = json.loads(await answer(reader))["cpu"]
        writer.close()
        return float(spent)


async def answer(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = _LENGTH.search(head)
    assert length is not None and head[9:12] == b"200", head
    return await reader.readexactly(int(length[1]))


async def full(client: Client, path: str, connections: int, seconds: float) -> tuple[int, float, float]:
    """As many as go: answers, wall seconds, CPU seconds of the data plane."""
    until = time.perf_counter() + seconds

    async def one() -> int:
        reader, writer = await client.connect()
        count = 0
        while time.perf_counter() < until:
            writer.write(client.request(path))
            await answer(reader)
            count += 1
        writer.close()
        return count

    before, begun = await client.used(), time.perf_counter()
    done = await asyncio.gather(*(one() for _ in range(connections)))
    wall = time.perf_counter() - begun
    return sum(done), wall, await client.used() - before


async def paced(client: Client, path: str, connections: int, rate: float, seconds: float) -> list[float]:
    """``rate`` requests a second at fixed times; the seconds from when each was due to its answer."""
    count = max(int(rate * seconds), 1)
    begun = time.perf_counter() + 0.05
    turns = iter(range(count))
    taken: list[float] = []

    async def one() -> None:
        reader, writer = await client.connect()
        for turn in turns:
            due = begun + turn / rate
            if (wait := due - time.perf_counter()) > 0:
                await asyncio.sleep(wait)
            writer.write(client.request(path))
            await answer(reader)
            taken.append(time.perf_counter() - due)
        writer.close()

    await asyncio.gather(*(one() for _ in range(connections)))
    return sorted(taken)


def quantile(taken: list[float], share: float) -> float:
    return taken[min(int(len(taken) * share), len(taken) - 1)] * 1000


async def load(port: int, token: str, people: int, arguments: argparse.Namespace) -> dict[str, Any]:
    gc.freeze()
    gc.disable()
    client = Client(port, token, people)
    paths = {"bare": "/bare", "query": f"/query/{TRANSFER}"}
    rounds: dict[str, list[tuple[int, float, float]]] = {name: [] for name in paths}
    asked = 0
    for name, path in paths.items():
        count, _, _ = await full(client, path, arguments.connections, min(arguments.seconds, 0.5))
        asked += count if name == "query" else 0
    for _ in range(arguments.rounds):
        for name, path in paths.items():
            rounds[name].append(await full(client, path, arguments.connections, arguments.seconds))
    result: dict[str, Any] = {}
    for name, measured in rounds.items():
        wall = statistics.median(count / max(seconds, 1e-9) for count, seconds, _ in measured)
        # less than a step of the processor's clock is not told: then there is no figure, and no ratio
        cpu = [count / spent for count, _, spent in measured if spent > 0]
        result[name] = {
            "requests_per_second": round(wall),
            "requests_per_cpu_second": round(statistics.median(cpu)) if cpu else None,
        }
    half = result["query"]["requests_per_second"] / 2
    took: dict[str, list[list[float]]] = {name: [] for name in paths}
    for _ in range(arguments.rounds):
        for name, path in paths.items():
            took[name].append(
                await paced(client, path, arguments.connections, max(half, 1), arguments.seconds)
            )
    for name, each in took.items():
        result[name] |= {
            "half_load_per_second": round(half),
            "p50_ms": round(statistics.median(quantile(taken, 0.5) for taken in each), 2),
            "p99_ms": round(statistics.median(quantile(taken, 0.99) for taken in each), 2),
            "slowest_ms": round(max(taken[-1] for taken in each) * 1000, 2),
        }
    asked += sum(map(len, took["query"]))
    result["answered"] = asked + sum(count for count, _, _ in rounds["query"])
    bare, query = (result[name]["requests_per_cpu_second"] for name in paths)
    result["ratio"] = round(query / bare, 2) if bare and query else None
    return result


def in_time(what: Callable[[], Awaitable[dict[str, Any]]]) -> dict[str, Any]:
    import uvloop

    return uvloop.run(what())


def measure(arguments: argparse.Namespace, *, front: bool) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as place:
        node = NodeConfig(
            "gd.example", "gd", {"en": "Guangdong"}, "http://127.0.0.1", "http://127.0.0.1", Path(place)
        )
        bare = prepare(node, arguments.people)
        context = multiprocessing.get_context("spawn")
        ready = context.Queue()
        server = context.Process(target=serve, args=(node, bare, front, ready), daemon=True)
        server.start()
        try:
            port = ready.get(timeout=60)
            for _ in range(600):
                try:
                    socket.create_connection(("127.0.0.1", port), 1).close()
                    break
                except OSError:
                    time.sleep(0.1)
            opens = access.Access(TRANSFER, AGREEMENT, RECEIVER)
            token = access.issue(keys.load(node.keys, keys.DATA), opens, datetime.now(UTC), AUDIENCE)
            result = in_time(lambda: load(port, token, arguments.people, arguments))
        finally:
            server.kill()
            server.join()
        lines = [line for path in journal.segments(node.queries) for line in journal.read(path)]
        result["entries"] = sum(b'"decision":"answered"' in line.entry for line in lines)
        result["every_answer_logged"] = result["entries"] == result["answered"]
        return result


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--people", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=3.0, help="of one round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    results = {
        "as a node serves it": measure(arguments, front=True),
        "the application alone": measure(arguments, front=False),
    }
    if arguments.json:
        print(json.dumps(results))
        return
    for title, result in results.items():
        print(f"{title}\n{'':24}{'requests/s':>12}{'per CPU s':>12}{'p50 ms':>9}{'p99 ms':>9}   at half load")
        for name, label in (("bare", "bare bytes"), ("query", "query, all controls")):
            row = result[name]
            print(
                f"  {label:<22}{row['requests_per_second']:>12,}{row['requests_per_cpu_second'] or '–':>12,}"
                f"{row['p50_ms']:>9.2f}{row['p99_ms']:>9.2f}   {row['half_load_per_second']:,}/s"
            )
        print(f"  query / bare bytes: {result['ratio']}")
        print(f"  answered {result['answered']:,}, durable entries {result['entries']:,}\n")


if __name__ == "__main__":
    main()
