"""The word that wakes a node's worker, for processes that need no database."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path


def wake(run: Path) -> None:
    """Tell the worker that there is work. Losing this is harmless: the worker also looks by itself."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.setblocking(False)
        channel.sendto(b"!", str(run / "worker.sock"))
