"""The web process: pages, API and protocols over WSGI (measured: Django under ASGI costs 3.5-4 times more a request)."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path

from granian.constants import Interfaces
from granian.server import Server

from wantong.node import config


def main() -> None:
    """Serve until SIGTERM; requests in flight are answered first."""
    os.environ["WANTONG_WEB"] = str(os.getpid())  # by this the worker knows whether we still live
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole terminal; the supervisor decides
    settings = config.load(Path(os.environ["WANTONG_NODE"]))
    host, _, port = settings.listen.web.rpartition(":")
    # granian shares a taken port (SO_REUSEPORT) without a word; two nodes would answer in turn
    with socket.create_server((host, int(port))):
        pass
    Server(
        "wantong.node.wsgi:application",
        address=host,
        port=int(port),
        interface=Interfaces.WSGI,
        workers=1,
        blocking_threads=settings.threads,
        respawn_failed_workers=True,
        respawn_interval=0.3,
        log_access=False,
        log_level="warning",
    ).serve()


if __name__ == "__main__":
    main()
