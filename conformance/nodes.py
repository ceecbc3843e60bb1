"""One real node of ours for a check: made on free ports, run with all its processes, stopped in the end."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from wantong.node import setup
from wantong.node.bay import BayNode, free_ports

Kind = TypeVar("Kind", bound=BayNode)


def make(
    kind: type[Kind],
    directory: Path,
    jurisdiction: str,
    participant_id: str,
    *,
    host: str = "127.0.0.1",
    taken: set[int] | None = None,
    database: str = "sqlite:db.sqlite3",
) -> Kind:
    """A node with its database ready and nothing started. Its public address is at ``host``, a name of this machine;
    ports in ``taken`` are left to others, and its own are added. ``database`` is as in ``node.toml``.
    """
    web, data = free_ports(0, set() if taken is None else taken)
    setup.create(
        directory,
        jurisdiction=jurisdiction,
        participant_id=participant_id,
        url=f"http://{host}:{web}",
        data_url=f"http://{host}:{data}",
        listen=(f"127.0.0.1:{web}", f"127.0.0.1:{data}"),
        database=database,
    )
    setup.prepare(directory)
    return kind(jurisdiction, directory)


@contextmanager
def running(node: BayNode) -> Iterator[None]:
    """Run it, and go on when it is ready. Raises NodeDidNotStart after 90 seconds."""
    node.start()
    try:
        node.wait_ready(time.monotonic() + 90)
        yield
    finally:
        node.stop()


def faultless(node: BayNode) -> bool:
    """Whether it has met no error of its own; the first three lines of its log that tell one are printed."""
    broken = [line for line in node.log.read_text().splitlines() if '"level": "error"' in line]
    for line in broken[:3]:
        print("   in the node's log:", line[:2000])
    return not broken
