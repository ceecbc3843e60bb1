"""A real server behind the front: overload, slow clients, large heads and bodies, and what it says meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import httpx
import pytest
import uvicorn
from tests.ground.http.load import load, numbered, request

from wantong.ground.http import limits
from wantong.ground.http.admission import Capacity
from wantong.ground.http.buckets import Buckets
from wantong.ground.http.connections import bounded
from wantong.ground.http.front import Front
from wantong.ground.http.limits import Limits
from wantong.ground.http.wsgi import Wsgi

WORK = 0.02  # seconds that the application takes
SLOTS = 4


class Work:
    """A WSGI application that keeps what it acknowledges, as a node does."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.most = self._now = 0
        self._lock = threading.Lock()

    def __call__(self, environ, start_response):
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
        try:
            time.sleep(WORK)
            said = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            self.done.append(environ.get("HTTP_X_NUMBER", ""))
            if environ["PATH_INFO"] == "/stream":
                start_response("200 OK", [("Content-Type", "text/plain")])
                return (b"x" * 100_000 for _ in range(30))
            body = json.dumps(
                {"length": len(said), "address": environ["REMOTE_ADDR"], "path": environ["PATH_INFO"]}
            ).encode()
            start_response("201 Created", [("Content-Length", str(len(body)))])
            return [body]
        finally:
            with self._lock:
                self._now -= 1


class Served:
    def __init__(self, tmp_path: Path, told: Limits) -> None:
        self.work = Work()
        capacity = Capacity(SLOTS, waiting=16, patience=1.0, target=0.3)
        self.front = Front(
            Wsgi(self.work, SLOTS),
            served="web",
            capacity=capacity,
            limits=told,
            table=Buckets(tmp_path / "limits"),
            ready=lambda: (200, {"status": "ok"}),
        )
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._server = uvicorn.Server(
            uvicorn.Config(
                self.front, http=bounded(told.connections), lifespan="off", ws="none", log_config=None,
                access_log=False, proxy_headers=False, loop="uvloop",
            )
        )  # fmt: skip
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._socket]})

    def __enter__(self) -> Served:
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(20)
        self._socket.close()

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        return self._server.servers[0].get_loop()

    def talk(self, sent: bytes, seconds: float = 10.0) -> bytes:
        """What the server says to raw bytes until it hangs up."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=seconds) as line:
            line.sendall(sent)
            said = io.BytesIO()
            with contextlib.suppress(TimeoutError, ConnectionResetError):
                while piece := line.recv(1 << 16):
                    said.write(piece)
            return said.getvalue()


@pytest.fixture
def told() -> Limits:
    quick = replace(limits.read().connections, head_seconds=0.6, head_bytes=8192, idle_seconds=1, most=300)
    return replace(limits.read({"rates": {"address": {"rate": 0.05, "burst": 10}}}), connections=quick)


@pytest.fixture
def served(tmp_path: Path, told: Limits) -> Iterator[Served]:
    with Served(tmp_path, told) as served:
        yield served


@pytest.fixture
def crowded(tmp_path: Path, told: Limits) -> Iterator[Served]:
    """With a node's own patience for heads: on a busy machine, hundreds of clients are slow without meaning harm."""
    own = replace(told.connections, head_seconds=limits.read().connections.head_seconds)
    with Served(tmp_path, replace(told, connections=own)) as served:
        yield served


def waited(served: Served) -> float:
    """The longest that anybody who was served has waited, in seconds."""
    (line,) = [
        line
        for line in httpx.get(f"{served.url}/metrics").text.splitlines()
        if line.startswith("wantong_http_slowest_wait_seconds{")
    ]
    return float(line.split()[1])


def test_ten_times_too_much_is_sent_away_in_time_and_what_was_taken_is_done(crowded: Served):
    calm = load(crowded.url, numbered, clients=SLOTS, seconds=1.0)
    assert calm.count(201) == len(calm.answers) > 0 and not calm.broken
    health = 0
    with ProcessPoolExecutor(
        1, get_context("spawn")
    ) as clients:  # clients that do not share this process's time
        storming = clients.submit(load, crowded.url, numbered, clients=10 * (SLOTS + 16), seconds=4.0)
        while not storming.done():
            assert httpx.get(f"{crowded.url}/healthz", timeout=10).status_code == 200
            health += 1
            time.sleep(0.1)
        storm = storming.result()
    assert {status for status, *_ in storm.answers} == {201, 503} and not storm.broken
    assert storm.count(503) > storm.count(201) > 0
    for status, _, headers, _ in storm.answers:
        assert status == 201 or (
            1 <= int(headers["retry-after"]) <= 30 and headers["content-type"] == "application/problem+json"
        )
    assert crowded.work.most == SLOTS
    # nobody who is served has waited longer than patience allows, by the server's own clock: how long he then takes to
    # hear of it is how busy this machine is, which plays the clients too
    assert waited(crowded) < 1.0 + 0.5
    assert storm.count(201) > SLOTS + 16, "it goes on working after every place was taken"
    assert health >= 3
    # acknowledged is done, and done once; what was sent away was never begun
    acknowledged = [
        sent.split(b"X-Number: ")[1].split(b"\r\n")[0].decode()
        for outcome in (calm, storm)
        for status, _, _, sent in outcome.answers
        if status == 201
    ]
    numbers = crowded.work.done
    assert sorted(acknowledged) == sorted(numbers)
    # and as soon as it is over, it is over
    after = load(crowded.url, numbered, clients=SLOTS, seconds=0.5)
    assert after.count(201) == len(after.answers) > 0
    figures = httpx.get(f"{crowded.url}/metrics").text
    assert f'wantong_http_sent_away_total{{process="web",reason="overloaded"}} {storm.count(503)}' in figures
    assert 'wantong_http_waiting{process="web"} 0' in figures


def test_a_burst_waits_and_everybody_is_served(served: Served):
    outcome = load(served.url, lambda n: request("GET", "/"), clients=SLOTS + 12, seconds=0.5)
    assert outcome.count(201) == len(outcome.answers)


def test_who_says_nothing_or_drips_his_head_is_cut_off_and_others_are_served(served: Served):
    lines = [socket.create_connection(("127.0.0.1", served.port), timeout=10) for _ in range(100)]
    begun = time.monotonic()
    for line in lines[50:]:
        line.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nX-Drip: ")
    assert httpx.get(served.url).status_code == 201
    for line in lines[90:]:
        with contextlib.suppress(OSError):
            line.sendall(b"d")
    for line in lines:
        said = b""
        with contextlib.suppress(ConnectionResetError):
            while piece := line.recv(4096):
                said += piece
        assert said == b"" or said.startswith(b"HTTP/1.1 408 ")
        line.close()
    assert time.monotonic() - begun < 8
    assert served.work.done == [""]


def test_a_head_that_came_while_the_server_was_busy_is_not_late(served: Served, told: Limits):
    bell, rings = socket.socketpair()
    with bell, rings, socket.create_connection(("127.0.0.1", served.port), timeout=10) as line:
        assert (
            httpx.get(f"{served.url}/healthz").status_code == 200
        )  # by now the line is taken, and its time runs
        busy = threading.Event()

        def work() -> None:
            """Too much at once, while sockets are read: what comes meanwhile is only read after the timers."""
            busy.set()
            time.sleep(2 * told.connections.head_seconds)
            served.loop.remove_reader(rings.fileno())

        served.loop.call_soon_threadsafe(served.loop.add_reader, rings.fileno(), work)
        bell.send(b"!")
        assert busy.wait(5)
        line.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert line.recv(4096).startswith(b"HTTP/1.1 201 ")


@pytest.mark.parametrize(
    "head",
    [
        b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(2000)) + b"\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX-Endless: " + b"a" * 30_000,
    ],
)
def test_a_head_that_is_too_large_is_refused(served: Served, head: bytes):
    assert served.talk(head).startswith(b"HTTP/1.1 431 ")
    assert served.work.done == []


def test_of_too_many_connections_the_last_are_told_so(served: Served, told: Limits):
    lines = []
    try:
        with contextlib.suppress(OSError):
            for _ in range(told.connections.most):
                lines.append(socket.create_connection(("127.0.0.1", served.port), timeout=5))
        said = served.talk(b"")
        assert said.startswith(b"HTTP/1.1 503 ") and b"retry-after" in said
    finally:
        for line in lines:
            line.close()


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_is_too_large_is_refused_before_it_is_read(served: Served, chunked: bool):
    head = b"POST /dsp/x HTTP/1.1\r\nHost: x\r\n"
    if chunked:
        piece = b"10000\r\n" + b"x" * 65536 + b"\r\n"
        said = served.talk(head + b"Transfer-Encoding: chunked\r\n\r\n" + piece * 18)
    else:
        said = served.talk(head + b"Content-Length: 99999999999\r\n\r\n")
    assert said.startswith(b"HTTP/1.1 413 ") and b"application/problem+json" in said
    assert served.work.done == []


@pytest.mark.parametrize("length", ["9" * 40, "-1", "x", "1_0", "0x10"])
def test_a_length_that_cannot_be_is_refused_unread(served: Served, length: str):
    said = served.talk(f"POST /en/scan HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n".encode())
    assert said.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 413 "))
    assert served.work.done == []


def test_bodies_of_every_size_come_in_whole(served: Served):
    for size in (1, 65536, 65537, 3_000_000):
        assert httpx.post(f"{served.url}/x", content=b"x" * size).json()["length"] == size
        pieces = (b"x" * (size // 2), b"x" * (size - size // 2))
        assert httpx.post(f"{served.url}/x", content=iter(pieces)).json()["length"] == size


def test_a_body_that_drips_is_given_up_and_holds_no_place(served: Served, monkeypatch):
    monkeypatch.setattr("wantong.ground.http.front.GRACE", 0.5)
    lines = [socket.create_connection(("127.0.0.1", served.port), timeout=10) for _ in range(SLOTS * 5)]
    for line in lines:
        line.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nabc")
    assert httpx.get(served.url).status_code == 201
    for line in lines:
        assert line.recv(4096).startswith(b"HTTP/1.1 408 ")
        line.close()


def test_an_address_that_asks_too_often_is_told_when_to_come_back(served: Served):
    asked = [
        httpx.get(served.url, headers={"X-Forwarded-For": "198.51.100.7", "Accept-Language": "pt"})
        for _ in range(14)
    ]
    assert [a.status_code for a in asked[:10]] == [201] * 10
    assert asked[-1].status_code == 429 and int(asked[-1].headers["retry-after"]) >= 1
    assert asked[-1].json()["title"] == "Demasiados pedidos"
    other = httpx.get(served.url, headers={"X-Forwarded-For": "198.51.100.8"})
    assert other.status_code == 201 and other.json()["address"] == "198.51.100.8"
    # a person gets a page
    page = httpx.get(
        f"{served.url}/zh-hant/", headers={"X-Forwarded-For": "198.51.100.7", "Accept": "text/html"}
    )
    assert page.status_code == 429 and "要求過於頻密" in page.text and 'lang="zh-Hant"' in page.text


def test_the_figures_are_not_for_everyone(served: Served):
    assert "wantong_http_slots" in httpx.get(f"{served.url}/metrics").text
    away = httpx.get(f"{served.url}/metrics", headers={"X-Forwarded-For": "198.51.100.7"})
    assert away.status_code == 403 and "wantong" not in away.text


def test_what_streams_comes_whole_and_a_reader_who_hangs_up_frees_the_place(served: Served):
    assert len(httpx.get(f"{served.url}/stream").content) == 3_000_000
    for _ in range(SLOTS * 2):
        with httpx.stream("GET", f"{served.url}/stream") as answer:
            next(answer.iter_raw())
    deadline = time.monotonic() + 10
    while 'wantong_http_busy{process="web"} 0' not in httpx.get(f"{served.url}/metrics").text:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_header_with_an_underscore_is_not_taken_for_another(tmp_path: Path, told: Limits):
    from wantong.ground.http.wsgi import environ

    scope = {
        "method": "GET", "path": "/é", "query_string": b"a=1", "http_version": "1.1", "scheme": "http",
        "headers": [(b"x_real", b"evil"), (b"x-real", b"good"), (b"cookie", b"a=1"), (b"cookie", b"b=2")],
    }  # fmt: skip
    made = environ(scope)
    assert made["HTTP_X_REAL"] == "good" and made["HTTP_COOKIE"] == "a=1; b=2"
    assert made["PATH_INFO"].encode("latin-1").decode() == "/é"
