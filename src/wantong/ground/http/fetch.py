"""HTTP to servers nobody trusts: one deadline for the whole exchange, bounded bodies, no redirects, no proxies, and
only to addresses that :mod:`~wantong.ground.http.reach` permits.

Timeouts of HTTP libraries are per read; a server that sends one byte a second never meets them. Here every read and
write of an exchange gets only the time that is left of its deadline.
"""

from __future__ import annotations

import contextlib
import ssl
import threading
import time
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, get_args

import httpcore

from wantong.ground.http import tls as own_tls
from wantong.ground.http.reach import EVERYWHERE, NotPermitted, Reach, Resolver

Reason = Literal["slow", "too-large", "unreachable", "address", "forbidden"]
REASONS: tuple[Reason, ...] = get_args(Reason)
"""``unreachable`` is also a server that dies in the middle of its answer; ``address`` is one nobody could ask,
``forbidden`` one that nobody allowed."""


class FetchFailed(Exception):
    """An exchange that came to nothing: why (:data:`REASONS`), and by what ``cause`` (an exception's name)."""

    def __init__(self, reason: Reason, cause: str = "") -> None:
        self.reason = reason
        self.cause = cause
        super().__init__(reason)


@dataclass(frozen=True)
class Reply:
    """A whole answer. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Fetcher:
    """Keeps connections alive between exchanges; any number of threads may share one.

    ``connect`` bounds, in seconds, the making of a connection within an exchange's deadline; ``reach`` says where it
    may go. ``tls`` is the TLS context, if it is not to be
    that of this process (:func:`wantong.ground.http.tls.context`); ``resolver`` looks up names.
    """

    def __init__(
        self,
        *,
        connect: float | None = None,
        reach: Reach = EVERYWHERE,
        tls: ssl.SSLContext | None = None,
        resolver: Resolver | None = None,
    ) -> None:
        self._clock = _Clock()
        self._connect = connect
        self._pool = httpcore.ConnectionPool(
            ssl_context=tls or own_tls.context(),
            network_backend=_Backend(self._clock, reach, resolver),
            max_connections=16,
            keepalive_expiry=20,
        )

    def close(self) -> None:
        self._pool.close()

    def __enter__(self) -> Fetcher:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def get(self, url: str, *, limit: int, deadline: float) -> Reply:
        """GET; a gzip-encoded body is unpacked, also within ``limit``. As :meth:`request`."""
        return self.request("GET", url, headers={"Accept-Encoding": "gzip"}, limit=limit, deadline=deadline)

    def post(self, url: str, content: bytes, *, limit: int, deadline: float) -> Reply:
        """POST of plain bytes. As :meth:`request`."""
        headers = {"Content-Type": "application/octet-stream"}
        return self.request("POST", url, content, headers=headers, limit=limit, deadline=deadline)

    def request(
        self,
        method: str,
        url: str,
        content: bytes = b"",
        *,
        headers: Mapping[str, str],
        limit: int,
        deadline: float,
    ) -> Reply:
        """At most ``limit`` bytes of answer in at most ``deadline`` seconds; raises :class:`FetchFailed`.

        A gzip-encoded answer is unpacked, also within ``limit``; it is asked for only by whoever says so in ``headers``.
        """
        self._clock.until = time.monotonic() + deadline
        sent = {"Accept-Encoding": "identity"} | dict(headers)
        timeouts = {"pool": deadline, "connect": self._connect}
        try:
            with self._pool.stream(
                method, url, headers=_bytes(sent), content=content, extensions={"timeout": timeouts}
            ) as response:
                names = {k.decode("ascii").lower(): v.decode("latin-1") for k, v in response.headers}
                packed = names.get("content-encoding", "identity") == "gzip"
                unpack = zlib.decompressobj(zlib.MAX_WBITS | 16) if packed else None
                body = bytearray()
                for chunk in response.iter_stream():
                    # never more than one byte beyond the limit is unpacked, however small the bomb
                    body += unpack.decompress(chunk, limit + 1 - len(body)) if unpack else chunk
                    if len(body) > limit:
                        raise FetchFailed("too-large")
                return Reply(response.status, names, bytes(body))
        except NotPermitted:
            raise FetchFailed("forbidden", "NotPermitted") from None
        except (httpcore.TimeoutException, _Late) as error:
            raise FetchFailed("slow", _name(error)) from None
        except (httpcore.NetworkError, httpcore.RemoteProtocolError, zlib.error) as error:
            raise FetchFailed("unreachable", _name(error)) from None
        except (httpcore.ProtocolError, httpcore.UnsupportedProtocol, ValueError) as error:
            raise FetchFailed("address", _name(error)) from None


@cache
def shared(reach: Reach = EVERYWHERE) -> Fetcher:
    """The fetcher of this process for one reach, where peers are asked again and again.

    One a reach, so that no connection made for one peer serves another who may not have it.
    """
    return Fetcher(reach=reach)


def _bytes(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode()) for name, value in headers.items()]


def _name(error: Exception) -> str:
    return type(error).__name__.strip("_")


class _Late(Exception):
    pass


class _Clock(threading.local):
    """The deadline of the exchange that this thread is in."""

    until: float = 0.0

    def left(self) -> float:
        left = self.until - time.monotonic()
        if left <= 0:
            raise _Late
        return left


class _Stream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream, clock: _Clock) -> None:
        self._stream = stream
        self._clock = clock

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._clock.left())

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._clock.left())

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, self._clock.left()), self._clock)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _Backend(httpcore.SyncBackend):
    def __init__(self, clock: _Clock, reach: Reach, resolver: Resolver | None) -> None:
        self._clock, self._reach, self._resolver = clock, reach, resolver

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        try:
            addresses = self._reach.addresses(host, port, self._resolver)
        except OSError as error:
            raise httpcore.ConnectError(str(error)) from None
        for address in addresses[:-1]:
            with contextlib.suppress(httpcore.ConnectError):
                return self._connect(address, port, timeout, local_address, socket_options)
        return self._connect(addresses[-1], port, timeout, local_address, socket_options)

    def _connect(
        self,
        address: str,
        port: int,
        timeout: float | None,
        local_address: str | None,
        socket_options: Iterable[Any] | None,
    ) -> httpcore.NetworkStream:
        left = self._clock.left()
        stream = super().connect_tcp(address, port, min(left, timeout or left), local_address, socket_options)
        return _Stream(stream, self._clock)
