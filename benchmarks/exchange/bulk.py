"""A large payload over loopback: the data plane beside a raw socket, the verifying download beside the bare hash.

The data plane is the node's own process. Every round does everything once, so that what else happens on the machine
falls on all alike; compared are the CPU seconds of server and client together (the least of the rounds) and the wall
clock (the median).
"""

from __future__ import annotations

import hashlib
import http.client
import multiprocessing
import os
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.exchange.measuring import MIB, TICK, cpu, resident

from wantong.border.exchange import access, download
from wantong.border.exchange.manifest import Manifest
from wantong.border.gate.declarations import outgoing
from wantong.border.trust import keys
from wantong.node import config, setup
from wantong.node.bay import free_ports
from wantong.node.processes import die_with_parent

PIECE = 256 << 10


@dataclass
class Rounds:
    """Wall and CPU seconds of each round of one way to move a payload; MiB of memory where it was looked at."""

    walls: list[float] = field(default_factory=list)
    cpus: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)

    @property
    def wall(self) -> float:
        return statistics.median(self.walls)

    @property
    def cpu(self) -> float:
        return max(min(self.cpus), TICK)


@dataclass(frozen=True)
class Plane:
    """A node's data plane process with one payload that may be fetched, and a raw socket that gives the same file."""

    url: str
    token: str
    manifest: Manifest
    payload: Path
    pid: int
    raw_port: int
    raw_pid: int


@contextmanager
def plane(folder: Path, mib: int) -> Iterator[Plane]:
    """Start the data plane of a node in ``folder`` with a random payload of ``mib`` MiB."""
    _, port = free_ports(0, set())
    setup.create(
        folder / "node",
        jurisdiction="gd",
        url="http://127.0.0.1:1",
        listen=("127.0.0.1:1", f"127.0.0.1:{port}"),
    )
    node = config.load(folder / "node").node
    keys.generate(node.keys)
    parcel = _parcel(node.outgoing, mib)
    manifest = Manifest.read(parcel.manifest, 1 << 50)
    opens = access.Access("t", "a", "r")
    token = access.issue(keys.load(node.keys, keys.DATA), opens, datetime.now(UTC))
    with (folder / "plane.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "wantong.node.dataplane"],
            env={
                **os.environ,
                "WANTONG_NODE": str(node.directory),
                "DJANGO_SETTINGS_MODULE": "wantong.node.settings",
            },
            stdout=log,
            stderr=log,
            preexec_fn=partial(die_with_parent, os.getpid()),
        )
    listener = socket.create_server(("127.0.0.1", 0))
    raw = multiprocessing.Process(target=_raw_server, args=(listener, str(parcel.payload)), daemon=True)
    raw.start()
    try:
        _wait_for(port, process, folder / "plane.log")
        assert raw.pid is not None
        yield Plane(
            f"http://127.0.0.1:{port}/data/t", token, manifest, parcel.payload, process.pid,
            listener.getsockname()[1], raw.pid,
        )  # fmt: skip
    finally:
        raw.kill()
        process.terminate()
        process.wait()


def _parcel(folder: Path, mib: int) -> outgoing.Parcel:
    draft = outgoing.draft(folder, "t")
    with (draft / "payload").open("wb") as file:
        for _ in range(mib):
            file.write(os.urandom(MIB))
    outgoing.seal(draft, "payload", "application/octet-stream", {})
    outgoing.publish(folder, "t", draft)
    parcel = outgoing.claim(folder, "t")
    assert parcel is not None
    return parcel


def _raw_server(listener: socket.socket, path: str) -> None:
    """Sends the file to everyone who connects, as fast as Python can without knowing HTTP."""
    while True:
        connection, _ = listener.accept()
        with connection, Path(path).open("rb") as file:
            while piece := file.read(PIECE):
                connection.sendall(piece)


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
            connection.request("GET", "/healthz")
            if connection.getresponse().status == 200:
                return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError(f"the data plane does not start: {log.read_text(errors='replace')[-2000:]}")


# --- ways to move it --------------------------------------------------------------------------------------------


def raw_copy(plane: Plane, folder: Path) -> None:
    buffer, got = bytearray(PIECE), 0
    with socket.create_connection(("127.0.0.1", plane.raw_port)) as connection:
        while count := connection.recv_into(buffer):
            got += count
    assert got == plane.manifest.size


def not_verified(plane: Plane, folder: Path) -> None:
    """What the data plane gives, read and forgotten."""
    buffer, got = bytearray(PIECE), 0
    with download._get(plane.url, f"Bearer {plane.token}", {}, download.EVERYWHERE) as response:
        while count := response.fp.readinto1(buffer):
            got += count
            if got == plane.manifest.size:
                break
    assert got == plane.manifest.size


def hash_once(plane: Plane, folder: Path) -> None:
    """SHA-256 alone, of a file that lies in memory."""
    whole, buffer = hashlib.sha256(), memoryview(bytearray(MIB))
    with plane.payload.open("rb", buffering=0) as file:
        while count := file.readinto(buffer):
            whole.update(buffer[:count])
    assert whole.hexdigest() == plane.manifest.sha256


def write_once(plane: Plane, folder: Path) -> None:
    """As many bytes written from memory, and durable: what keeping them costs without having fetched them."""
    piece, path = bytes(MIB), folder / "written"
    with path.open("wb", buffering=0) as file:
        for _ in range(plane.manifest.size // MIB):
            file.write(piece)
        os.fsync(file.fileno())
    path.unlink()


def verified(plane: Plane, folder: Path) -> None:
    """As a node fetches: every chunk verified before it is written, all durable in the end."""
    part = folder / "part"
    whole = download.fetch(plane.url, plane.token, plane.manifest, part, deadline=time.monotonic() + 3600)
    assert whole and part.stat().st_size == plane.manifest.size
    part.unlink()


WAYS: dict[str, Callable[[Plane, Path], None]] = {
    "raw": raw_copy,
    "plane": not_verified,
    "hash": hash_once,
    "write": write_once,
    "verified": verified,
}


def measure(plane: Plane, folder: Path, rounds: int, ways: Collection[str] = ()) -> dict[str, Rounds]:
    """Every way (or those named) once a round, each in a process of its own so that its memory is its own."""
    found = {name: Rounds() for name in WAYS if not ways or name in ways}
    context = multiprocessing.get_context("fork")
    for _ in range(rounds):
        for name in found:
            answers = context.SimpleQueue()
            before = cpu([plane.pid, plane.raw_pid])
            child = context.Process(target=_apart, args=(name, plane, folder, answers))
            child.start()
            wall, own, memory = answers.get()
            child.join()
            found[name].walls.append(wall)
            found[name].cpus.append(own + cpu([plane.pid, plane.raw_pid]) - before)
            found[name].memory.append(memory)
    return found


def _apart(name: str, plane: Plane, folder: Path, answers: Any) -> None:
    started = resident(os.getpid(), peak=True)
    begun, own = time.perf_counter(), time.process_time()
    WAYS[name](plane, folder)
    took = time.perf_counter() - begun, time.process_time() - own
    answers.put((*took, resident(os.getpid(), peak=True) - started))


@dataclass(frozen=True)
class Resumed:
    """After a cut: bytes that had come, bytes that were there and verified, bytes that came twice."""

    cut_at: int
    kept: int
    sent_twice: int


def resume(plane: Plane, folder: Path) -> Resumed:
    """Cut a download in the middle of a chunk, go on, and count what the provider's meter says was sent twice."""
    part = folder / "cut"
    cut_at = plane.manifest.size * 5 // 8 + 12_345
    with _cutting(plane, cut_at) as url:
        try:
            download.fetch(url, plane.token, plane.manifest, part, deadline=time.monotonic() + 600)
        except download.Cut:
            pass
        else:
            raise RuntimeError("it was not cut")
    kept = part.stat().st_size
    asked: list[int] = []
    assert download.fetch(
        plane.url, plane.token, plane.manifest, part, deadline=time.monotonic() + 600, on_chunk=asked.append
    )
    assert hashlib.file_digest(part.open("rb"), "sha256").hexdigest() == plane.manifest.sha256
    part.unlink()
    return Resumed(cut_at, kept, cut_at - kept)


@contextmanager
def _cutting(plane: Plane, after: int) -> Iterator[str]:
    """An address that passes on what the data plane answers, and hangs up ``after`` so many bytes of payload."""
    listener = socket.create_server(("127.0.0.1", 0))
    port = int(plane.url.split(":")[2].split("/")[0])

    def serve() -> None:
        connection, _ = listener.accept()
        with connection, socket.create_connection(("127.0.0.1", port)) as behind:
            behind.sendall(connection.recv(65536))
            head, left = b"", after
            while b"\r\n\r\n" not in head:
                head += behind.recv(65536)
            body = head.index(b"\r\n\r\n") + 4
            connection.sendall(head[: body + left])
            left -= min(left, len(head) - body)
            while left > 0 and (piece := behind.recv(min(65536, left))):
                connection.sendall(piece)
                left -= len(piece)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}/data/t"
    thread.join(30)
    listener.close()


def rows(found: dict[str, Rounds], mib: int) -> list[dict[str, Any]]:
    """The table: speed, cost, and what share of its limit each reaches."""
    limit = {
        "plane": ("raw socket copy", found["raw"].wall, found["raw"].cpu),
        "verified": (
            "wall: one SHA-256; CPU: copy, SHA-256, write",
            found["hash"].wall,
            found["raw"].cpu + found["hash"].cpu + found["write"].cpu,
        ),
    }
    names = {
        "raw": "raw socket copy",
        "plane": "data plane, not verified",
        "hash": "SHA-256 alone",
        "write": "written and durable alone",
        "verified": "fetched: verified, written, durable",
    }
    shown = []
    for way, result in found.items():
        of, wall, used = limit.get(way, ("", 0.0, 0.0))
        row: dict[str, Any] = {
            "what": names[way],
            "MiB/s": round(mib / result.wall),
            "CPU s/GiB": round(result.cpu * 1024 / mib, 2),
        }
        if of:
            row |= {"of wall": round(wall / result.wall, 2), "of CPU": round(used / result.cpu, 2)}
            row |= {"limit": of, "memory MiB": round(max(result.memory), 1)}
        shown.append(row)
    return shown
