"""The data plane beside a raw socket, the verifying download beside the bare hash, messages beside JSON alone.

    python benchmarks/exchange.py [--mib 256] [--json]

Server and client are two processes on loopback. CPU seconds of both together, the least of five rounds: on a machine
that others use too, that is what can be compared; MiB/s is the wall clock of the fastest round.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import os
import socket
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "wantong.node.settings")

import logging

import structlog

from wantong.border.exchange import access, dataplane, download, schemas
from wantong.border.exchange.manifest import Manifest
from wantong.border.gate.declarations import outgoing
from wantong.border.trust import keys
from wantong.ground.config import NodeConfig

MIB = 1 << 20
ROUNDS = 5


def measure(action: Callable[[], None], servers: Sequence[int] = ()) -> tuple[float, float]:
    """Wall and CPU seconds (own and of ``servers``, process ids) of the cheapest round."""
    walls, cpus = [], []
    for _ in range(ROUNDS):
        wall, cpu = time.perf_counter(), time.process_time() + sum(map(cpu_of, servers))
        action()
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() + sum(map(cpu_of, servers)) - cpu)
    return min(walls), max(min(cpus), 1 / os.sysconf("SC_CLK_TCK"))  # less than a tick is not told


def cpu_of(pid: int) -> float:
    """CPU seconds of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def raw_server(path: str, ready: Any) -> None:
    """Sends the file to everyone who connects, with sendall of 1 MiB pieces."""
    listener = socket.create_server(("127.0.0.1", 0))
    ready.put(listener.getsockname()[1])
    while True:
        connection, _ = listener.accept()
        with connection, open(path, "rb") as file:  # noqa: PTH123
            while piece := file.read(MIB):
                connection.sendall(piece)


def plane_server(node: NodeConfig, ready: Any) -> None:
    import uvicorn

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    listener = socket.create_server(("127.0.0.1", 0))
    ready.put(listener.getsockname()[1])
    config = uvicorn.Config(
        dataplane.app(node), loop="uvloop", http="httptools", log_config=None, access_log=False
    )
    uvicorn.Server(config).run(sockets=[listener])


def raw_copy(port: int, size: int) -> None:
    buffer, got = bytearray(MIB), 0
    with socket.create_connection(("127.0.0.1", port)) as connection:
        while count := connection.recv_into(buffer):
            got += count
    assert got == size


def plane_copy(url: str, token: str, size: int) -> None:
    """The data plane without verification: what the server itself can do."""
    got = 0
    with download._get(url, f"Bearer {token}", {}) as response:
        buffer = bytearray(MIB)
        while count := response.readinto(buffer):
            got += count
    assert got == size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mib", type=int, default=256)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    size = options.mib * MIB
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        node = NodeConfig("gd.bench", "gd", {"en": "x"}, "http://x", "http://x", Path(folder))
        node = replace(node, directory=Path(folder))
        for place in (node.outgoing, node.run):
            place.mkdir()
        keys.generate(node.keys)
        draft = outgoing.draft(node.outgoing, "t")
        with (draft / "payload").open("wb") as file:
            for _ in range(options.mib):
                file.write(os.urandom(MIB))
        document = outgoing.seal(draft, "payload", "application/octet-stream", {})
        outgoing.publish(node.outgoing, "t", draft)
        parcel = outgoing.claim(node.outgoing, "t")
        assert parcel is not None
        manifest = Manifest.read(document, 1 << 40)
        token = access.issue(keys.load(node.keys, keys.DATA), access.Access("t", "a", "r"), datetime.now(UTC))
        ports = multiprocessing.Queue()
        servers = [
            multiprocessing.Process(target=raw_server, args=(str(parcel.payload), ports), daemon=True),
            multiprocessing.Process(target=plane_server, args=(node, ports), daemon=True),
        ]
        found = []
        for server in servers:
            server.start()
            found.append(ports.get())
        time.sleep(1)
        url = f"http://127.0.0.1:{found[1]}/data/t"

        def verified() -> None:
            part = Path(folder) / "part"
            part.unlink(missing_ok=True)
            assert download.fetch(url, token, manifest, part, deadline=time.monotonic() + 600)

        def digest() -> None:
            whole = hashlib.sha256()
            with parcel.payload.open("rb") as file:
                while piece := file.read(MIB):
                    whole.update(piece)

        pids = [server.pid for server in servers if server.pid]
        raw = measure(lambda: raw_copy(found[0], size), pids)
        plain = measure(lambda: plane_copy(url, token, size), pids)
        hashed = measure(digest)
        checked = measure(verified, pids)
        for server in servers:
            server.kill()
        gib = options.mib / 1024
        # the download digests every chunk and the whole: two passes of SHA-256 are its floor
        floor = (0.0, 2 * hashed[1] + raw[1])
        for what, (wall, cpu), (of, reference) in (
            ("raw socket copy", raw, ("itself", raw)),
            ("data plane, not verified", plain, ("raw socket copy", raw)),
            ("SHA-256 of the file, once", hashed, ("itself", hashed)),
            ("fetched, chunks and whole verified, durable", checked, ("raw copy and two SHA-256", floor)),
        ):
            rows.append({
                "what": what,
                "MiB/s": round(options.mib / wall),
                "CPU s/GiB": round(cpu / gib, 2),
                "ratio": round(reference[1] / cpu, 2),
                "of": of,
            })  # fmt: skip
    messages = Path(__file__).parents[1] / "tests/border/exchange/data/dsp-2025-1"
    example = (messages / "negotiation/contract-request-message.json").read_bytes()
    count = 20_000
    bare = measure(lambda: [json.loads(example) for _ in range(count)] and None)[1] / count * 1e6
    full = (
        measure(lambda: [schemas.parse(example, "ContractRequestMessage") for _ in range(count)] and None)[1]
        / count
        * 1e6
    )
    message = {"json_us": round(bare, 1), "checked_us": round(full, 1), "ratio": round(bare / full, 2)}
    if options.json:
        print(json.dumps({"transfer": rows, "message": message}, ensure_ascii=False, indent=2))
        return
    print(f"{'':46} {'MiB/s':>7} {'CPU s/GiB':>10} {'ratio':>6}  of")
    for row in rows:
        print(f"{row['what']:46} {row['MiB/s']:>7} {row['CPU s/GiB']:>10} {row['ratio']:>6}  {row['of']}")
    print(
        f"a contract request: {message['json_us']} µs of CPU as JSON, {message['checked_us']} µs with its schema"
    )


if __name__ == "__main__":
    main()
