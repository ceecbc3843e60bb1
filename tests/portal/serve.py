"""``python -m tests.portal.serve DIR``: makes a seeded node in DIR, serves its pages, says where as one line of JSON."""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from wantong.node import logging, setup


class _Quiet(WSGIRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


def main(folder: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    setup.create(folder, jurisdiction="gd", url=url, participant_id="gd.test.example")
    setup.prepare(folder)
    logging.configure("warning", "web")  # standard output is for the one line
    from django.core.wsgi import get_wsgi_application
    from tests.portal import counterparty, seeded

    from wantong.border.trust.models import Peer

    made = seeded.seed(folder / "payloads")
    theirs = counterparty.serve()
    Peer.objects.filter(participant_id="mo.test.example").update(url=theirs)
    # nobody listens there
    Peer.objects.filter(participant_id="hk.test.example").update(url="http://127.0.0.1:9")
    server = make_server(
        "127.0.0.1", port, get_wsgi_application(), server_class=_Server, handler_class=_Quiet
    )
    print(json.dumps({"url": url, "ids": made.ids(), "password": seeded.PASSWORD}), flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
