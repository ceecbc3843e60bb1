"""What the simulators share: reading a request, answering, and the page on which somebody chooses whom to be."""

from __future__ import annotations

import html
import json
import secrets
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, urlencode

from wantong.node.demo.identity.residents import RESIDENTS, Resident, resident

Answer = tuple[int, list[tuple[str, str]], bytes]


class Site:
    """A WSGI application of a few addresses. A subclass has ``title`` and, as methods, what it answers."""

    title = ""
    system = ""

    def __init__(self) -> None:
        self.codes: dict[str, tuple[Resident, Mapping[str, str]]] = {}
        self.routes: dict[tuple[str, str], Callable[[Request], Answer]] = {}

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> list[bytes]:
        request = Request(environ)
        handler = self.routes.get((request.method, request.path))
        status, headers, body = handler(request) if handler else (404, [], b"")
        start(f"{status} {HTTPStatus(status).phrase}", headers)
        return [body]

    def choose(self, request: Request, back: str, kept: Mapping[str, str]) -> Answer:
        """The sign-in page: whoever is chosen is sent ``back`` with a code."""
        if chosen := resident(request.query.get("as", "")):
            code = secrets.token_urlsafe(24)
            self.codes[code] = (chosen, kept)
            return (
                302,
                [
                    (
                        "Location",
                        back
                        + ("&" if "?" in back else "?")
                        + urlencode({"code": code, "state": kept["state"]}),
                    )
                ],
                b"",
            )
        if request.query.get("as") == "nobody":
            return (
                302,
                [("Location", back + "?" + urlencode({"error": "access_denied", "state": kept["state"]}))],
                b"",
            )
        rows = "".join(
            f'<li><a href="?{html.escape(urlencode({**request.query, "as": one.key}))}">{one.chinese} {one.latin}</a></li>'
            for one in RESIDENTS
            if self.system in one.systems
        )
        page = (
            f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{self.title}</title><h1>{self.title}</h1>'
            f"<p><strong>Simulator. 模拟系统。 模擬系統。 Simulador.</strong></p><ul>{rows}</ul></html>"
        )
        return 200, [("Content-Type", "text/html; charset=utf-8")], page.encode()


class Request:
    """One request; ``form`` is the body as a form."""

    def __init__(self, environ: Mapping[str, Any]) -> None:
        self.method = str(environ["REQUEST_METHOD"])
        self.path = str(environ["PATH_INFO"])
        self.query = dict(parse_qsl(str(environ.get("QUERY_STRING", ""))))
        self.body: bytes = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        self._environ = environ

    def header(self, name: str) -> str:
        return str(self._environ.get("HTTP_" + name.upper().replace("-", "_"), ""))

    @property
    def form(self) -> dict[str, str]:
        return dict(parse_qsl(self.body.decode()))


def told(content: Mapping[str, Any], status: int = 200, *headers: tuple[str, str]) -> Answer:
    """An answer in JSON."""
    return status, [("Content-Type", "application/json"), *headers], json.dumps(content).encode()
