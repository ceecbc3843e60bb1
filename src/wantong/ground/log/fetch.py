"""HTTP to servers nobody trusts: one deadline for the whole exchange, bounded bodies, no redirects, no proxies.

Timeouts of HTTP libraries are per read; a server that sends one byte a second never meets them. Here every read and
write of an exchange gets only the time that is left of its deadline.
"""

from __future__ import annotations

import ssl
import threading
import time
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import httpcore


class FetchFailed(Exception):
    """``reason`` is ``slow``, ``too-large`` or ``unreachable``."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


@dataclass(frozen=True)
class Reply:
    """A whole answer. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Fetcher:
    """Keeps connections alive between exchanges; any number of threads may share one."""

    def __init__(self) -> None:
        self._clock = _Clock()
        self._pool = httpcore.ConnectionPool(network_backend=_Backend(self._clock), max_connections=16)

    def close(self) -> None:
        self._pool.close()

    def __enter__(self) -> Fetcher:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def get(self, url: str, *, limit: int, deadline: float) -> Reply:
        """GET; a gzip-encoded body is unpacked, also within ``limit``. As :meth:`post`."""
        return self._exchange("GET", url, b"", {"Accept-Encoding": "gzip"}, limit, deadline)

    def post(self, url: str, content: bytes, *, limit: int, deadline: float) -> Reply:
        """POST; at most ``limit`` bytes of body in at most ``deadline`` seconds. Raises :class:`FetchFailed`."""
        return self._exchange(
            "POST",
            url,
            content,
            {"Accept-Encoding": "identity", "Content-Type": "application/octet-stream"},
            limit,
            deadline,
        )

    def _exchange(
        self,
        method: str,
        url: str,
        content: bytes,
        headers: dict[bytes | str, bytes | str],
        limit: int,
        deadline: float,
    ) -> Reply:
        self._clock.until = time.monotonic() + deadline
        sent: dict[bytes | str, bytes | str] = {**headers, "Content-Length": str(len(content))}
        try:
            with self._pool.stream(
                method, url, headers=sent, content=content,
                extensions={"timeout": {"pool": deadline}},
            ) as response:  # fmt: skip
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
        except (httpcore.TimeoutException, _Late):
            raise FetchFailed("slow") from None
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.UnsupportedProtocol, zlib.error):
            raise FetchFailed("unreachable") from None
        except (ValueError, UnicodeError):
            raise FetchFailed("unreachable") from None  # an address that is none


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
    def __init__(self, clock: _Clock) -> None:
        self._clock = clock

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        stream = super().connect_tcp(host, port, self._clock.left(), local_address, socket_options)
        return _Stream(stream, self._clock)
