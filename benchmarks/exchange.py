"""The data plane beside a raw socket, the verifying download beside the bare hash, messages beside JSON alone.

    python benchmarks/exchange.py [--mib 256] [--json]

Server and client are two processes on loopback; every figure is the best of three rounds in this run.
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
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "wantong.node.settings")

from wantong.border.exchange import access, dataplane, download, schemas
from wantong.border.exchange.manifest import Manifest
from wantong.border.gate.declarations import outgoing
from wantong.border.trust import keys
from wantong.ground.config import NodeConfig

MIB = 1 << 20
ROUNDS = 3


def best(action: Callable[[], None]) -> float:
    """Seconds of the fastest round."""
    times = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        action()
        times.append(time.perf_counter() - begun)
    return min(times)


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
    with download._get(url, token, {}) as response:
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

        raw = options.mib / best(lambda: raw_copy(found[0], size))
        plain = options.mib / best(lambda: plane_copy(url, token, size))
        checked = options.mib / best(verified)
        hashed = options.mib / best(digest)
        for server in servers:
            server.kill()
        rows += [
            {"what": "raw socket copy, no hash", "MiB/s": round(raw), "ratio": 1.0, "of": "itself"},
            {
                "what": "data plane, no hash",
                "MiB/s": round(plain),
                "ratio": round(plain / raw, 2),
                "of": "raw socket",
            },
            {"what": "SHA-256 of the file, once", "MiB/s": round(hashed), "ratio": 1.0, "of": "itself"},
            {
                "what": "fetched, every chunk and the whole verified, durable",
                "MiB/s": round(checked),
                "ratio": round(checked / hashed, 2),
                "of": "SHA-256 once",
            },
        ]
    example = Path(
        "tests/border/exchange/data/dsp-2025-1/negotiation/contract-request-message.json"
    ).read_bytes()
    count = 20_000
    bare = best(lambda: [json.loads(example) for _ in range(count)] and None) / count * 1e6
    full = (
        best(lambda: [schemas.parse(example, "ContractRequestMessage") for _ in range(count)] and None)
        / count
        * 1e6
    )
    rows += [
        {"what": "a contract request, JSON only (µs)", "MiB/s": round(bare, 1), "ratio": 1.0, "of": "itself"},
        {
            "what": "… and checked by its schema (µs)",
            "MiB/s": round(full, 1),
            "ratio": round(full / bare, 2),
            "of": "JSON only",
        },
    ]
    if options.json:
        print(json.dumps(rows, ensure_ascii=False, indent=2))
        return
    print(f"{'':54} {'MiB/s':>8} {'ratio':>6}  of")
    for row in rows:
        print(f"{row['what']:54} {row['MiB/s']:>8} {row['ratio']:>6}  {row['of']}")


if __name__ == "__main__":
    main()
