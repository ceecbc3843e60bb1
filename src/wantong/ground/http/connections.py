"""HTTP/1.1 connections with bounds that uvicorn does not keep: how long and how large a head may be, how many there are.

A client that opens connections and says nothing, or says it one byte a second, costs one timer and is cut off.
"""

from __future__ import annotations

import asyncio
import json

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from wantong.ground.http.limits import Connections
from wantong.ground.problems import TYPE_BASE

LAST_LOOK = 0.05  # seconds: any time that is not none makes the loop ask the sockets once more


class Connection(HttpToolsProtocol):
    """One connection; make a class with its bounds by :func:`bounded`.

    The certificate of a client that showed one is in ``scope["extensions"]["tls"]["client_cert"]`` (DER).
    """

    bounds: Connections

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)  # type: ignore[arg-type]
        self._head_timer: asyncio.TimerHandle | None = None
        self._head_bytes = 0
        self._in_head = True
        self._refused = False
        self._tls: dict[object, object] | None = None
        if (secured := transport.get_extra_info("ssl_object")) is not None:
            self._tls = {"client_cert": secured.getpeercert(binary_form=True)}
        if len(self.connections) > self.bounds.most:
            self._refuse(503, "overloaded")
        else:
            self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_arrived()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        if self._in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._in_head and self._head_bytes > self.bounds.head_bytes:
            self._refuse(431, "head-too-large")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if not self._in_head:
            self._in_head, self._head_bytes = True, 0
        self._await_head()
        if self._tls is not None:
            self.scope["extensions"] = {"tls": self._tls}

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._head_arrived()
        if len(self.url) + sum(len(k) + len(v) + 4 for k, v in self.headers) > self.bounds.head_bytes:
            self._refuse(431, "head-too-large")
        elif not self._refused:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        if not self._refused:
            super().on_body(body)

    def on_message_complete(self) -> None:
        if not self._refused:
            super().on_message_complete()

    def _await_head(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(self.bounds.head_seconds, self._last_look)

    def _last_look(self) -> None:
        """Time is up. The loop runs late timers before it reads: what has arrived while it was busy is read first."""
        self._head_timer = self.loop.call_later(LAST_LOOK, self._refuse, 408, "head-too-slow")

    def _head_arrived(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _refuse(self, status: int, slug: str) -> None:
        """Answer without an application, and hang up. Nothing that the client still sends is looked at."""
        self._refused = True
        self._head_arrived()
        if self.transport.is_closing():
            return
        body = json.dumps({"type": TYPE_BASE + slug, "status": status}).encode()
        again = b"retry-after: 2\r\n" if status == 503 else b""
        head = b"content-type: application/problem+json\r\ncontent-length: %d\r\nconnection: close\r\n" % len(
            body
        )
        self.transport.write(b"".join((STATUS_LINE[status], head, again, b"\r\n", body)))
        self.transport.close()


def bounded(bounds: Connections) -> type[Connection]:
    """The class of connections with these bounds."""
    return type("BoundedConnection", (Connection,), {"bounds": bounds})
