"""FOR DEMONSTRATION ONLY: systems that are shaped like those of the three places, with residents who do not exist.

They let anybody sign in as anybody. So they answer on this machine only, and start only beside a demonstration's bay
(:func:`start` raises :class:`NotADemonstration` anywhere else).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from wantong.ground.problems import Problem

MARK = Path("gd/run/demo-operators.json")
App = Callable[[dict[str, Any], Callable[..., Any]], list[bytes]]


class NotADemonstration(Problem):
    """Somebody tried to start a simulator where no demonstration runs."""

    slug = "not-a-demonstration"
    status = 403


class _Quiet(WSGIRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


@contextmanager
def start(bay: Path, app: App, port: int = 0) -> Iterator[str]:
    """Serve ``app`` beside the demonstration in the folder ``bay``; yields its address. Raises :class:`NotADemonstration`."""
    if not (bay / MARK).exists():
        raise NotADemonstration(folder=bay.name)
    server = make_server("127.0.0.1", port, app, server_class=_Server, handler_class=_Quiet)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
