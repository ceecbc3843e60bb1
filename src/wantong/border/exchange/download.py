"""Fetching a payload, chunk by verified chunk.

Only a chunk whose digest is right is written, so the file on disk is always a true beginning of the payload, and
after a cut, a crash or a kill the rest is asked for from there. Memory is two chunks, time is bounded by the caller's
deadline, no redirect is followed, and nothing is called that ``reach`` does not permit.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import os
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from wantong.border.exchange.manifest import LARGEST_MANIFEST, Manifest
from wantong.ground.http import tls
from wantong.ground.http.limits import seconds_to_wait
from wantong.ground.http.reach import EVERYWHERE, NotPermitted, Reach

CONNECT_TIMEOUT = 5.0
# how long a peer may send nothing at all
SILENCE = 10.0
# how long the head of an answer may take
HEAD_TIMEOUT = 20.0
# a chunk that takes longer than this comes from a peer that drips
CHUNK_TIMEOUT = 60.0
PIECE = 256 << 10


class Cut(Exception):
    """The connection broke, stalled or was refused for now; what is verified stays, and the rest may be asked for."""

    def __init__(self, reason: str, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class Denied(Exception):
    """The peer does not give this payload to this token (401, 403)."""


class Gone(Exception):
    """There is no payload now (404, 410): taken back, perhaps to be made anew."""


class Changed(Exception):
    """The payload is not the one of the manifest any more (412): it was made anew."""


class Ended(Exception):
    """The agreement's terms do not permit it any more (403 of the type ``terms-unmet``)."""


class Lie(Exception):
    """The peer sent what its own manifest denies; the text says what."""


def fetch_manifest(endpoint: str, token: str, reach: Reach = EVERYWHERE) -> Any:
    """The manifest document at ``endpoint``/manifest. Raises Cut, Denied, Gone, Lie."""
    with _get(f"{endpoint}/manifest", f"Bearer {token}", {}, reach) as response:
        _expect(response, 200)
        body = b"".join(_pieces(response, LARGEST_MANIFEST + 1, CHUNK_TIMEOUT))
        if len(body) > LARGEST_MANIFEST:
            raise Lie(f"the manifest is larger than {LARGEST_MANIFEST} bytes")
        if response.length:
            raise Cut("the connection ended early")
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise Lie("the manifest is not JSON") from None


def verified(manifest: Manifest, part: Path) -> int:
    """How many whole chunks ``part`` holds; what stands after them is cut off."""
    size = part.stat().st_size if part.exists() else 0
    if size == manifest.size:
        return len(manifest.chunks)
    whole = min(size // manifest.chunk_size, len(manifest.chunks))
    if part.exists():
        os.truncate(part, whole * manifest.chunk_size)
    return whole


def fetch(
    endpoint: str,
    token: str,
    manifest: Manifest,
    part: Path,
    *,
    reach: Reach = EVERYWHERE,
    deadline: float,
    on_chunk: Callable[[int], None] = lambda received: None,
) -> bool:
    """Bring ``part`` closer to the payload; True when all chunks are there, each verified, and durable.

    Returns False when ``deadline`` (of ``time.monotonic``) passes between two chunks; call again to go on.
    ``on_chunk`` hears how many bytes are there. Raises Cut, Denied, Gone, Changed, Lie; ``part`` is a true beginning
    after all of them. The digest of the whole is the gate's business: it reads what has come in any case.
    """
    first = verified(manifest, part)
    with part.open("ab", buffering=0) as file:
        if first < len(manifest.chunks):
            start = first * manifest.chunk_size
            headers = {"Range": f"bytes={start}-{manifest.size - 1}", "If-Match": f'"{manifest.sha256}"'}
            with (
                _get(endpoint, f"Bearer {token}", headers, reach) as response,
                _Keeper(manifest, file, on_chunk) as keeper,
            ):
                _check_range(response, start, manifest.size)
                for index in range(first, len(manifest.chunks)):
                    if time.monotonic() > deadline:
                        return False
                    data = keeper.room(manifest.span(index)[1])
                    _fill(response, data)
                    keeper.keep(index, data)
                keeper.settle()
        os.fsync(file.fileno())
    return True


class _Keeper:
    """Verifies chunks in threads of their own while others arrive, and writes them in their order.

    What has been written goes to the disk meanwhile, so that little is left to wait for in the end.
    """

    FLUSH = 64 << 20
    MEMORY = 8 << 20  # for chunks that are being verified, unless two need more
    THREADS = 2

    def __init__(self, manifest: Manifest, file: io.FileIO, on_chunk: Callable[[int], None]) -> None:
        self._manifest, self._file, self._on_chunk = manifest, file, on_chunk
        self._hashing, self._flushing = ThreadPoolExecutor(self.THREADS), ThreadPoolExecutor(1)
        self._under_way: deque[tuple[int, memoryview, Future[bool]]] = deque()
        self._flushed: Future[None] | None = None
        self._unflushed = 0
        most = max(2, self.MEMORY // manifest.chunk_size)
        self._free = [bytearray(manifest.chunk_size) for _ in range(min(most, len(manifest.chunks)))]

    def __enter__(self) -> _Keeper:
        return self

    def __exit__(self, *_: object) -> None:
        # a chunk that came before the cut counts
        with contextlib.suppress(Lie, OSError):
            self.settle()
        self._hashing.shutdown()
        self._flushing.shutdown()

    def room(self, length: int) -> memoryview:
        """Where the next chunk may be put. Raises Lie, OSError."""
        if not self._free:
            self._keep_first()
        return memoryview(self._free.pop())[:length]

    def keep(self, index: int, data: memoryview) -> None:
        """Begin to verify a chunk, and write those before it that are verified. Raises Lie, OSError."""
        self._under_way.append((index, data, self._hashing.submit(self._manifest.is_chunk, index, data)))
        while self._under_way and self._under_way[0][2].done():
            self._keep_first()

    def settle(self) -> None:
        """Return when all that was given is verified and written. Raises Lie, OSError."""
        while self._under_way:
            self._keep_first()
        self._synced()

    def _keep_first(self) -> None:
        index, data, right = self._under_way.popleft()
        try:
            if not right.result():
                raise Lie(f"chunk {index} has not the digest that the manifest promised")
            self._write(index, data)
        except BaseException:
            self._under_way.clear()  # nothing may stand where this one should
            raise
        assert isinstance(data.obj, bytearray)
        self._free.append(data.obj)

    def _write(self, index: int, rest: memoryview) -> None:
        self._unflushed += len(rest)
        while rest:
            rest = rest[self._file.write(rest) :]
        if self._unflushed >= self.FLUSH and (self._flushed is None or self._flushed.done()):
            self._synced()
            self._unflushed = 0
            self._flushed = self._flushing.submit(os.fdatasync, self._file.fileno())
        self._on_chunk(sum(self._manifest.span(index)))

    def _synced(self) -> None:
        """Return when the last sync has ended. The system tells a failed write once, so what was written is no good."""
        if self._flushed is None:
            return
        try:
            self._flushed.result()
        except OSError:
            os.ftruncate(self._file.fileno(), 0)
            raise


def _fill(response: http.client.HTTPResponse, data: memoryview) -> None:
    """Fill ``data`` with what arrives. Raises Cut, also for a peer that drips."""
    limit = time.monotonic() + CHUNK_TIMEOUT
    while data:
        try:
            # readinto1, for the others wait until all is there, however slowly it drips
            count = response.fp.readinto1(data)
        except (OSError, http.client.HTTPException) as error:
            raise Cut(f"the connection broke: {type(error).__name__}") from None
        if not count:
            raise Cut("the connection ended early")
        data = data[count:]
        if time.monotonic() > limit:
            raise Cut("the peer drips")


def _pieces(response: http.client.HTTPResponse, most: int, seconds: float) -> Iterator[bytes]:
    """What arrives, as it arrives, at most ``most`` bytes within ``seconds``. Raises Cut."""
    limit = time.monotonic() + seconds
    while most > 0:
        try:
            # read1, for the others wait until all is there, however slowly it drips
            piece = response.read1(min(most, PIECE))
        except (OSError, http.client.HTTPException) as error:
            raise Cut(f"the connection broke: {type(error).__name__}") from None
        if not piece:
            return
        most -= len(piece)
        yield piece
        if time.monotonic() > limit:
            raise Cut("the peer drips")


def _check_range(response: http.client.HTTPResponse, start: int, size: int) -> None:
    _expect(response, 206)
    expected = f"bytes {start}-{size - 1}/{size}"
    if response.getheader("Content-Range") != expected or response.length != size - start:
        raise Lie("the answer is not the range that was asked for")


def _expect(response: http.client.HTTPResponse, status: int) -> None:
    if response.status == status:
        return
    if response.status == 403 and response.headers.get_content_type() == "application/problem+json":
        # told apart by its type: no fresh token would help
        with contextlib.suppress(ValueError, RecursionError):
            told = json.loads(b"".join(_pieces(response, 1 << 16, CHUNK_TIMEOUT)))
            if isinstance(told, dict) and str(told.get("type", "")).endswith("/terms-unmet"):
                raise Ended
    if response.status in (401, 403):
        raise Denied
    if response.status in (404, 410):
        raise Gone
    if response.status == 412:
        raise Changed
    if response.status == 429 or response.status >= 500:
        after = seconds_to_wait(response.getheader("Retry-After"), datetime.now(UTC))
        raise Cut(f"answered {response.status}", after)
    raise Lie(f"answered {response.status}")


def fetch_unannounced(
    endpoint: str,
    token: str,
    part: Path,
    *,
    reach: Reach = EVERYWHERE,
    largest: int,
    deadline: float,
    on_chunk: Callable[[int], None] = lambda received: None,
) -> str | None:
    """Bring ``part`` closer to the payload of a peer that promises nothing: no size, no digest.

    Returns its media type when all is there, None when ``deadline`` passes. Called again it goes on from there if the
    peer gives the payload a strong entity tag and takes ranges, otherwise from the beginning: two halves of different
    payloads never become one. The token is shown as bearer token, then bare, as some connectors want it. Raises Cut,
    Denied, Gone; Lie for more than ``largest`` bytes.
    """
    name = part.with_suffix(".etag")
    have = part.stat().st_size if part.exists() and name.exists() else 0
    headers = {"Range": f"bytes={have}-", "If-Range": name.read_text()} if have else {}
    for shown in (f"Bearer {token}", token):
        with _get(endpoint, shown, headers, reach) as response:
            if response.status in (401, 403) and shown != token:
                continue
            goes_on = have > 0 and response.status == 206
            if goes_on and not str(response.getheader("Content-Range")).startswith(f"bytes {have}-"):
                raise Lie("the answer is not the range that was asked for")
            if not goes_on:
                _expect(response, 200)
                have = 0
                name.unlink(missing_ok=True)
                tag = response.getheader("ETag") or ""
                if tag.startswith('"') and len(tag) < 200:
                    name.write_text(tag)
            with part.open("ab" if goes_on else "wb") as file:
                while data := b"".join(_pieces(response, 4 * PIECE, CHUNK_TIMEOUT)):
                    have += len(data)
                    if have > largest:
                        raise Lie(f"the payload has more than the {largest} bytes that this node takes")
                    file.write(data)
                    on_chunk(have)
                    if time.monotonic() > deadline:
                        return None
                file.flush()
                os.fsync(file.fileno())
            if response.length:
                raise Cut("the connection ended early")
            return response.headers.get_content_type()
    raise AssertionError("the last token is always answered")


class _Lines:
    """The lines of a head, as http.client reads them; ``last`` is the one that was read last."""

    def __init__(self, file: Any) -> None:
        self._file, self.last = file, b""

    def readline(self, limit: int = -1) -> bytes:
        self.last = self._file.readline(limit)
        return self.last

    def close(self) -> None:
        self._file.close()


class _Response(http.client.HTTPResponse):
    """An answer whose head must be whole: http.client takes the end of a connection for the end of a head, and what
    was cut off in it for an answer of any length."""

    def begin(self) -> None:
        """Read the head. Raises HTTPException, OSError."""
        file: Any = self.fp
        lines: Any = _Lines(file)
        self.fp = lines
        try:
            super().begin()
        finally:
            if self.fp is lines:  # not closed meanwhile
                self.fp = file
        if lines.last not in (b"\r\n", b"\n"):
            raise http.client.IncompleteRead(lines.last)


@contextlib.contextmanager
def _get(
    url: str, authorization: str, headers: dict[str, str], reach: Reach
) -> Iterator[http.client.HTTPResponse]:
    parts = urlsplit(url)
    host, port = str(parts.hostname), parts.port or (443 if parts.scheme == "https" else 80)
    connection = http.client.HTTPConnection(host, port)
    connection.response_class = _Response
    connection.default_port = 443 if parts.scheme == "https" else 80  # which Host does not name
    try:
        connection.sock = _connect(host, port, reach, secured=parts.scheme == "https")
        connection.sock.settimeout(SILENCE)
        connection.request(
            "GET",
            (parts.path or "/") + (f"?{parts.query}" if parts.query else ""),
            headers={"Authorization": authorization, "Accept-Encoding": "identity", **headers},
        )
        # a timeout is for one read: who drips his header is cut off from here
        watch = threading.Timer(HEAD_TIMEOUT, _hang_up, (connection.sock,))
        watch.start()
        try:
            response = connection.getresponse()
        finally:
            watch.cancel()
    except NotPermitted:
        raise Cut("its address is not one that this node may call") from None
    except (OSError, http.client.HTTPException) as error:
        connection.close()
        raise Cut(f"no answer: {type(error).__name__}") from None
    try:
        yield response
    except (OSError, http.client.HTTPException) as error:
        raise Cut(f"the connection broke: {type(error).__name__}") from None
    finally:
        connection.close()


def _connect(host: str, port: int, reach: Reach, *, secured: bool) -> socket.socket:
    """A connection to an address of ``host`` that was judged. Raises NotPermitted, OSError."""
    failed: OSError = ConnectionError("no address")
    for address in reach.addresses(host, port):
        try:
            made = socket.create_connection((address, port), timeout=CONNECT_TIMEOUT)
            break
        except OSError as error:
            failed = error
    else:
        raise failed
    if not secured:
        return made
    try:
        return tls.context().wrap_socket(made, server_hostname=host)
    except BaseException:
        made.close()
        raise


def _hang_up(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
