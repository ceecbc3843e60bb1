"""A node in a process of its own for tests with a real browser: made in a folder, filled by the test's module, served."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from wantong.node import logging, setup


class _Quiet(WSGIRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


def serve(folder: Path, fill: Callable[[], dict[str, Any]], host: str = "localhost") -> None:
    """Make a node of Guangdong, ``fill`` it, say its ``url`` and what ``fill`` told as one line of JSON, and serve for ever.

    At ``localhost``, which is a name: browsers make passkeys for it, and for no bare address.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://{host}:{port}"
    setup.create(folder, jurisdiction="gd", url=url, participant_id="gd.test.example")
    setup.prepare(folder)
    logging.configure("warning", "web")  # standard output is for the one line
    from django.core.wsgi import get_wsgi_application

    application = get_wsgi_application()
    told = {"url": url, **fill()}
    server = make_server("127.0.0.1", port, application, server_class=_Server, handler_class=_Quiet)
    print(json.dumps(told), flush=True)
    server.serve_forever()
