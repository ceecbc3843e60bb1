from __future__ import annotations

import dataclasses
import json
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from tests.border.trust.identity.provider.world import URL, Person, Service

from wantong.border.trust.certificates import holdings


@pytest.fixture(scope="session")
def service_keys(tmp_path_factory) -> Path:
    """The keys of one node, made once."""
    made = dataclasses.replace(settings.WANTONG, directory=tmp_path_factory.mktemp("keys"))
    holdings.generate(made, datetime.now(UTC))
    return made.keys


@pytest.fixture
def named(node, service_keys, settings):
    """This node under a public name, with its keys."""
    settings.WANTONG = dataclasses.replace(node, url=URL, name={"en": "Node of Guangdong"})
    shutil.copytree(service_keys, settings.WANTONG.keys, dirs_exist_ok=True)
    return settings.WANTONG


@pytest.fixture
def person(named, db) -> Person:
    """Somebody who is signed in."""
    found = Person()
    found.sign_in()
    return found


@pytest.fixture
def service(named, db) -> Service:
    """A confidential client that binds its tokens to a key."""
    return Service().register()


@dataclass
class Site:
    """A service's own web site: what it says at its address, and what was brought there."""

    url: str = ""
    said: Any = None
    asked: int = 0
    brought: list[str] = dataclasses.field(default_factory=list)
    status: int = 200


@pytest.fixture
def published() -> Iterator[Site]:
    site = Site()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            site.asked += 1
            self._answer(json.dumps(site.said).encode())

        def do_POST(self) -> None:
            site.brought.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
            self._answer(b"")

        def _answer(self, body: bytes) -> None:
            self.send_response(site.status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    site.url = f"http://127.0.0.1:{server.server_port}/"
    yield site
    server.shutdown()
    thread.join()
    server.server_close()
