"""Requests to other nodes: signed, bounded in time and size, never redirected."""

from __future__ import annotations

import json
import ssl
import threading
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpcore
import httpx

from wantong.border.exchange.problems import PeerMisbehaves, PeerUnreachable
from wantong.border.trust import services as trust
from wantong.border.trust.models import Peer
from wantong.border.trust.tokens import Request

CONNECT_TIMEOUT = 5.0
READ_TIMEOUT = 15.0
# a peer that drips one byte a second keeps every read in time: the whole answer must be here by then
TOTAL_TIMEOUT = 30.0
LARGEST_ANSWER = 4 << 20

_TIMEOUTS = {"connect": CONNECT_TIMEOUT, "read": READ_TIMEOUT, "write": READ_TIMEOUT, "pool": READ_TIMEOUT}
_local = threading.local()


@dataclass(frozen=True)
class Answer:
    """What a peer answered. ``links`` are the targets of its ``Link`` header by relation."""

    status: int
    body: bytes
    links: dict[str, str] = field(default_factory=dict)
    retry_after: float | None = None

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    def json(self) -> Any:
        """The body as JSON, None if it is none."""
        try:
            return json.loads(self.body) if self.body else None
        except (ValueError, RecursionError):
            return None


def call(peer: Peer, method: str, url: str, message: Any = None, *, message_id: str | None = None) -> Answer:
    """Send a signed request to ``peer`` and read its answer.

    Raises PeerUnreachable (also for an answer that takes longer than :data:`TOTAL_TIMEOUT`) and PeerMisbehaves (an
    answer larger than :data:`LARGEST_ANSWER`, or not HTTP).
    """
    body = b""
    if message is not None:
        # one form for one message, whichever database it has been through
        body = json.dumps(message, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()
    headers: dict[bytes | str, bytes | str] = {
        "Host": urlsplit(url).netloc,
        "Content-Length": str(len(body)),
        "Authorization": trust.sign_request(peer.participant_id, Request(method, url, body), message_id),
        "Accept": "application/json",
        # an answer that grows when it is unpacked could not be bounded by what is read
        "Accept-Encoding": "identity",
    }
    if body:
        headers["Content-Type"] = "application/json"
    pool = _pool()
    _local.deadline = time.monotonic() + TOTAL_TIMEOUT
    received = bytearray()
    try:
        with pool.stream(
            method, url, headers=headers, content=body, extensions={"timeout": _TIMEOUTS}
        ) as response:
            for piece in response.iter_stream():
                received += piece
                if len(received) > LARGEST_ANSWER:
                    raise PeerMisbehaves(
                        peer=peer.participant_id, reason=f"the answer is larger than {LARGEST_ANSWER} bytes"
                    )
            told = httpx.Response(response.status, headers=response.headers)
    except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.RemoteProtocolError) as error:
        # the last is also how a peer looks that was killed in the middle of its answer: it will be asked again
        raise PeerUnreachable(peer=peer.participant_id, reason=type(error).__name__) from None
    except (httpcore.ProtocolError, httpcore.UnsupportedProtocol, ValueError) as error:
        raise PeerMisbehaves(peer=peer.participant_id, reason=type(error).__name__) from None
    links = {name: link["url"] for name, link in told.links.items() if name and "url" in link}
    return Answer(told.status_code, bytes(received), links, _seconds(told.headers.get("Retry-After")))


class _Timed(httpcore.NetworkStream):
    """A connection whose every read ends by the deadline of the call, so that nobody can drip for ever."""

    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        left = _local.deadline - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout("the answer did not end in time")
        return self._stream.read(max_bytes, min(left, timeout or left))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, timeout)

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _Timed(self._stream.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _Backend(httpcore.SyncBackend):
    def connect_tcp(self, *args: Any, **options: Any) -> httpcore.NetworkStream:
        return _Timed(super().connect_tcp(*args, **options))


def _pool() -> httpcore.ConnectionPool:
    # one a thread: connections are kept alive, and no lock is shared. A pool follows no redirects
    if not hasattr(_local, "pool"):
        _local.pool = httpcore.ConnectionPool(
            ssl_context=ssl.create_default_context(),
            max_keepalive_connections=4,
            keepalive_expiry=20,
            network_backend=_Backend(),
        )
    pool: httpcore.ConnectionPool = _local.pool
    return pool


def _seconds(header: str | None) -> float | None:
    return min(float(header), 300.0) if header and header.isdigit() else None
