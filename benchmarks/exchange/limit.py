"""What the messages of a crossing cost by themselves: the least that a node in Python could take from ask to first byte.

Two processes with the web server that a node has, and nothing of Wantong but the token of a request: each message is
signed, checked, and durable in SQLite with what follows from it before it is answered; the next one is sent by a
thread that waits for it. No state machine, no schema, no policy, no gate, no log, no second database, no retry.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import queue
import secrets
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import httpx
from benchmarks.exchange.measuring import used
from benchmarks.exchange.negotiation import Measured, side_by_side
from joserfc.jwk import OKPKey

from wantong.border.trust import tokens
from wantong.node.bay import free_ports
from wantong.node.processes import die_with_parent

# contract request, agreement, verification, finalized, transfer request, start: from the consumer and back in turns
MESSAGES = 6
BODY = {"@context": ["https://w3id.org/dspace/2025/1/context.jsonld"], "content": "x" * 700}


@contextmanager
def pair(folder: Path) -> Iterator[tuple[str, list[int]]]:
    """Start both; the consumer's address, and the pids of both."""
    consumer, provider = free_ports(0, set())
    key = json.dumps(OKPKey.generate_key("Ed25519").as_dict(private=True))
    processes = []
    for name, own, other in (("c", consumer, provider), ("p", provider, consumer)):
        processes.append(
            subprocess.Popen(
                [sys.executable, "-m", "benchmarks.exchange.limit", str(folder / name), str(own), str(other)],
                env={**os.environ, "LIMIT_KEY": key},
                preexec_fn=partial(die_with_parent, os.getpid()),
            )
        )
    try:
        for port in (consumer, provider):
            _wait_for(port)
        yield f"http://127.0.0.1:{consumer}", [process.pid for process in processes]
    finally:
        for process in processes:
            process.terminate()
            process.wait()


def crossings(running: tuple[str, list[int]], count: int, at_once: int) -> Measured:
    """As the crossings of two nodes are measured."""
    address, pids = running
    limits = httpx.Limits(max_connections=at_once)
    with httpx.Client(timeout=60, trust_env=False, limits=limits) as client, used(*pids) as spent:

        def cross() -> float:
            begun = time.perf_counter()
            client.post(f"{address}/begin").raise_for_status()
            return time.perf_counter() - begun

        seconds, wall = side_by_side(cross, count, at_once)
    return Measured(seconds, wall, spent.cpu, count - len(seconds))


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError("it does not start")


class Side:
    """One of the two: takes a message, stores it with the next one, answers, sends the next one."""

    def __init__(self, database: Path, own: int, other: int) -> None:
        self._own, self._other = f"http://127.0.0.1:{own}", other
        self._key = OKPKey.import_key(json.loads(os.environ["LIMIT_KEY"]))
        self._database, self._here = database, threading.local()
        self._db().execute("CREATE TABLE IF NOT EXISTS said (jti TEXT PRIMARY KEY, name TEXT, body TEXT)")
        self._next: queue.SimpleQueue[tuple[str, int]] = queue.SimpleQueue()
        self._done: dict[str, asyncio.Future[None]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        for _ in range(8):
            threading.Thread(target=self._send, daemon=True).start()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """ASGI: ``/begin`` is answered when the first byte is here, ``/<name>/<number>`` is a message, or the data."""
        body = (await receive()).get("body", b"")
        self._loop = asyncio.get_running_loop()
        path: str = scope["path"]
        if path == "/begin":
            name = secrets.token_hex(16)
            self._done[name] = self._loop.create_future()
            await asyncio.to_thread(self._store, secrets.token_hex(16), name, "")
            self._next.put((name, 1))
            await self._done[name]
        else:
            await asyncio.to_thread(self._take, scope, path, body)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"{}"})

    def _take(self, scope: Any, path: str, body: bytes) -> None:
        token = dict(scope["headers"])[b"authorization"].decode()
        asked = tokens.Request(scope["method"], self._own + path, body)
        claims = tokens.verify(token, self._key, audience=self._own, request=asked, now=datetime.now(UTC))
        name, number = path.strip("/").split("/")
        if int(number) <= MESSAGES:
            self._store(claims.jti, name, json.dumps(json.loads(body)))
            self._next.put((name, int(number) + 1))

    def _send(self) -> None:
        line = http.client.HTTPConnection("127.0.0.1", self._other)
        while True:
            name, number = self._next.get()
            path, fetches = f"/{name}/{number}", number > MESSAGES
            method, body = ("GET", b"") if fetches else ("POST", json.dumps(BODY).encode())
            other = f"http://127.0.0.1:{self._other}"
            request = tokens.Request(method, other + path, body)
            token = tokens.sign(
                self._key, issuer=self._own, audience=other, request=request, now=datetime.now(UTC)
            )
            line.request(method, path, body, {"Authorization": token})
            answer = line.getresponse()
            answer.read()
            assert answer.status == 200
            if fetches and self._loop is not None:
                self._loop.call_soon_threadsafe(self._done.pop(name).set_result, None)

    def _store(self, jti: str, name: str, body: str) -> None:
        self._db().execute("INSERT INTO said VALUES (?, ?, ?)", (jti, name, body))

    def _db(self) -> sqlite3.Connection:
        found: sqlite3.Connection | None = getattr(self._here, "db", None)
        if found is None:
            found = self._here.db = sqlite3.connect(self._database, isolation_level=None, timeout=30)
            found.execute("PRAGMA journal_mode = WAL")
            found.execute("PRAGMA synchronous = FULL")
        return found


def main() -> None:
    import uvicorn

    database, own, other = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    side = Side(database, own, other)
    uvicorn.run(
        side, port=own, loop="uvloop", http="httptools", lifespan="off", access_log=False, log_level="warning"
    )


if __name__ == "__main__":
    main()
