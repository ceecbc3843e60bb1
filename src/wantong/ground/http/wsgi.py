"""A WSGI application behind an ASGI server: Django's fast way of working, without its threads being the queue.

The body has been read before (:class:`~wantong.ground.http.front.Front`), so a thread is never held by a slow client:
not by one that sends slowly, and not by one that reads slowly, for what is streamed is taken piece by piece.
"""

from __future__ import annotations

import asyncio
import contextvars
import io
import sys
from collections.abc import Awaitable, Callable, Iterable, Iterator, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import IO, Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]
WsgiApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

BODY = "wantong.body"  # in the scope: the whole body, a binary file
AT_ONCE = 256 << 10  # bytes of an answer that are made in one go


@dataclass
class _Answer:
    status: int
    headers: list[tuple[bytes, bytes]]
    begin: bytes
    rest: Iterator[bytes] | None
    close: Callable[[], None]


class Wsgi:
    """``app`` in ``threads`` threads, as an ASGI application."""

    def __init__(self, app: WsgiApp, threads: int) -> None:
        self._app = app
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="web")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        loop = asyncio.get_running_loop()

        def run(function: Callable[..., Any], *arguments: Any) -> Awaitable[Any]:
            return loop.run_in_executor(self._pool, contextvars.copy_context().run, function, *arguments)

        answer: _Answer = await run(self._answer, environ(scope))
        try:
            await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
            await send(
                {"type": "http.response.body", "body": answer.begin, "more_body": answer.rest is not None}
            )
            while answer.rest is not None:
                piece, more = await run(_piece, answer.rest)
                await send({"type": "http.response.body", "body": piece, "more_body": more})
                if not more:
                    break
        finally:
            if answer.rest is not None:
                await run(answer.close)

    def _answer(self, environ: dict[str, Any]) -> _Answer:
        told: list[Any] = []

        def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> None:
            told[:] = [
                int(status[:3]),
                [(k.lower().encode("latin-1"), v.encode("latin-1")) for k, v in headers],
            ]

        result = self._app(environ, start_response)
        close: Callable[[], None] = getattr(result, "close", lambda: None)
        try:
            rest = iter(result)
            begin, more = _piece(rest)
        except BaseException:
            close()
            raise
        if not more:
            close()
        return _Answer(told[0], told[1], begin, rest if more else None, close)


def _piece(pieces: Iterator[bytes]) -> tuple[bytes, bool]:
    """About :data:`AT_ONCE` bytes, and whether there may be more."""
    taken, size = [], 0
    for piece in pieces:
        taken.append(piece)
        size += len(piece)
        if size >= AT_ONCE:
            return b"".join(taken), True
    return b"".join(taken), False


def environ(scope: Scope) -> dict[str, Any]:
    """The WSGI environment (PEP 3333) of a request."""
    server = scope.get("server") or ("localhost", 80)
    body: IO[bytes] = scope.get(BODY) or io.BytesIO()
    made: dict[str, Any] = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": scope["path"].encode("utf-8", "surrogateescape").decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_NAME": server[0],
        "SERVER_PORT": str(server[1] or 80),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "REMOTE_ADDR": (scope.get("client") or ("",))[0],
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope["scheme"],
        "wsgi.input": body,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "wsgi.input_terminated": True,
    }
    for raw, value in scope["headers"]:
        # an underscore is a hyphen in WSGI: who sends one wants to be taken for another header
        if b"_" in raw:
            continue
        name, text = raw.decode("latin-1").upper().replace("-", "_"), value.decode("latin-1")
        if name not in ("CONTENT_LENGTH", "CONTENT_TYPE"):
            name = f"HTTP_{name}"
            if name in made:
                text = f"{made[name]}{'; ' if name == 'HTTP_COOKIE' else ','}{text}"
        made[name] = text
    if BODY in scope:
        made["CONTENT_LENGTH"] = str(scope["wantong.length"])
        made.pop("HTTP_TRANSFER_ENCODING", None)
    return made
