"""A wire between nodes that misbehaves on demand and remembers everything.

One TCP front stands before every server of every node, and the nodes know each other only by these addresses. The
proxy reads HTTP/1.1 far enough to know where a request ends, so that it can lose, hold, repeat and reorder whole
requests and break answers in the middle; what it forwards, it forwards byte for byte.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import socket
import struct
import threading
import zlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from plan import Plan, Wire

LONGEST_HEAD = 1 << 16
PIECE = 1 << 16


@dataclass
class Exchange:
    """One request that came to a front: to which node, on which plane, what it said and what came back.

    ``answer`` is what the server said, whether or not the client got to see it; ``done`` what the proxy did to it.
    """

    target: str
    plane: str
    request: bytes
    answer: bytearray = field(default_factory=bytearray)
    done: list[str] = field(default_factory=list)


class Broken(Exception):
    """The connection is to be reset now."""


class Proxy:
    """All fronts of one bay, in a thread of their own. Between :meth:`begin` and :meth:`end` a plan's faults happen."""

    def __init__(self) -> None:
        self._exchanges: list[Exchange] = []
        self._plan: Plan | None = None
        self._drawn = 0
        self._cut_off: frozenset[str] = frozenset()
        self._loop = asyncio.new_event_loop()
        self._calm = asyncio.Event()
        self._passed: dict[str, asyncio.Event] = {}
        threading.Thread(target=self._loop.run_forever, daemon=True).start()

    def front(self, target: str, plane: str, address: str) -> str:
        """A new front before ``address``; returns its own address. ``plane`` is ``web`` or ``data``."""
        host, _, port = address.rpartition(":")

        async def listen() -> int:
            async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                await self._connection(target, plane, (host, int(port)), reader, writer)

            server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=LONGEST_HEAD)
            return int(server.sockets[0].getsockname()[1])

        return f"127.0.0.1:{self._call(listen())}"

    def begin(self, plan: Plan) -> None:
        """From now on this plan's faults happen; what was remembered is forgotten."""
        self._call(self._begin(plan))

    def end(self) -> None:
        """The line is good again: what is held goes on, what is half open is reset."""
        self._call(self._end())

    def cut_off(self, *places: str) -> None:
        """Nothing reaches these nodes (until it is called again)."""
        self._cut_off = frozenset(places)

    def seen(self) -> list[Exchange]:
        """Everything since :meth:`begin`."""
        return list(self._exchanges)

    def _call(self, work: Awaitable[Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)  # type: ignore[arg-type]

    async def _begin(self, plan: Plan) -> None:
        self._exchanges, self._plan, self._drawn = [], plan, 0
        self._calm = asyncio.Event()

    async def _end(self) -> None:
        self._plan, self._cut_off = None, frozenset()
        self._calm.set()

    # --- one connection -----------------------------------------------------------------------------------------

    async def _connection(
        self,
        target: str,
        plane: str,
        address: tuple[str, int],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        upstream: Upstream | None = None
        try:
            while True:
                request = await _request(reader)
                if request is None:
                    break
                path = request.split(b" ", 2)[1]
                part = "log" if path.startswith(b"/log") else ("data" if plane == "data" else "control")
                exchange = Exchange(target, part, request)
                self._exchanges.append(exchange)
                if target in self._cut_off:
                    exchange.done.append("partition")
                    raise Broken
                faults = self._draw(exchange)
                upstream = await self._exchange(exchange, faults, address, upstream, writer)
                if upstream is None:
                    break
        except (Broken, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            _reset(writer)
        finally:
            if upstream is not None:
                upstream.close()
            with contextlib.suppress(OSError):
                writer.close()

    def _draw(self, exchange: Exchange) -> list[tuple[Wire, random.Random]]:
        """Which faults befall this exchange: decided by the seed and by how many exchanges there were before."""
        plan = self._plan
        if plan is None:
            return []
        self._drawn += 1
        dice = random.Random(f"{plan.seed}/{self._drawn}")
        hit = [
            fault
            for fault in plan.wire
            if exchange.plane in fault.planes and dice.random() < fault.probability
        ]
        exchange.done += [fault.kind for fault in hit]
        return [(fault, dice) for fault in hit]

    async def _exchange(
        self,
        exchange: Exchange,
        faults: list[tuple[Wire, random.Random]],
        address: tuple[str, int],
        upstream: Upstream | None,
        writer: asyncio.StreamWriter,
    ) -> Upstream | None:
        """Forward one request and its answer; returns the connection if it can be used again."""
        request = exchange.request
        send: Callable[[bytes], Awaitable[None]] = _sender(writer)
        late: list[float] = []
        for fault, dice in faults:
            match fault.kind:
                case "drop":
                    raise Broken
                case "delay":
                    await self._pause(dice.uniform(0.02, fault.strength))
                case "reorder":
                    passed = self._passed.setdefault(exchange.target, asyncio.Event())
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(passed.wait(), dice.uniform(0.2, 0.8))
                case "half-open":
                    # the other end is gone and nobody has said so
                    await self._calm.wait()
                    raise Broken
                case "cut-request":
                    broken = await Upstream.connect(address)
                    broken.writer.write(request[: dice.randrange(1, len(request))])
                    await broken.writer.drain()
                    broken.reset()
                    raise Broken
                case "replay-first":
                    # somebody in between is faster than the sender
                    await self._replay(exchange, address)
                case "duplicate":
                    late += [dice.uniform(0.0, 1.0) for _ in range(dice.randint(1, 3))]
                case "cut-answer":
                    send = _breaking(send, dice.random(), politely=False)
                case "truncate":
                    send = _breaking(send, dice.random(), politely=True)
                case "slow":
                    send = self._dripping(send, fault.strength)
        for pause in late:
            self._loop.create_task(self._again(exchange, address, pause))
        if (passed := self._passed.pop(exchange.target, None)) is not None:
            passed.set()
        try:
            if upstream is None or upstream.reader.at_eof():
                upstream = await Upstream.connect(address)
            upstream.writer.write(request)
            await upstream.writer.drain()
            keep = await _answer(upstream.reader, request, exchange.answer, send)
        except Truncated:
            return None
        return upstream if keep else None

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._calm.wait(), seconds)

    async def _again(self, exchange: Exchange, address: tuple[str, int], pause: float) -> None:
        await asyncio.sleep(pause)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, Truncated, Broken):
            await self._replay(exchange, address)

    async def _replay(self, exchange: Exchange, address: tuple[str, int]) -> None:
        """The same request once more, by a connection of its own; what it is answered is only remembered."""
        copy = Exchange(exchange.target, exchange.plane, exchange.request, done=["replayed"])
        self._exchanges.append(copy)
        try:
            once = await Upstream.connect(address)
        except OSError:
            return
        try:
            once.writer.write(exchange.request)
            await once.writer.drain()
            with contextlib.suppress(TimeoutError, OSError, asyncio.IncompleteReadError):
                await asyncio.wait_for(_answer(once.reader, copy.request, copy.answer, _nowhere), 10)
        finally:
            once.close()

    def _dripping(
        self, send: Callable[[bytes], Awaitable[None]], seconds: float
    ) -> Callable[[bytes], Awaitable[None]]:
        """A reader who takes his time: a few bytes after the other, for about ``seconds`` in all."""

        async def drip(data: bytes) -> None:
            step = max(1, len(data) // 8)
            for start in range(0, len(data), step):
                await send(data[start : start + step])
                await self._pause(seconds / 8)

        return drip


class Truncated(Exception):
    """The answer was ended early, without a word."""


@dataclass
class Upstream:
    """A connection to a node's own server."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @staticmethod
    async def connect(address: tuple[str, int]) -> Upstream:
        reader, writer = await asyncio.open_connection(*address, limit=LONGEST_HEAD)
        return Upstream(reader, writer)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.writer.close()

    def reset(self) -> None:
        _reset(self.writer)


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close with RST: what is on its way is lost."""
    connection = writer.get_extra_info("socket")
    if connection is not None:
        with contextlib.suppress(OSError):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport = writer.transport
    transport.abort()


def _sender(writer: asyncio.StreamWriter) -> Callable[[bytes], Awaitable[None]]:
    async def send(data: bytes) -> None:
        writer.write(data)
        await writer.drain()

    return send


async def _nowhere(data: bytes) -> None: ...


def _breaking(
    send: Callable[[bytes], Awaitable[None]], where: float, *, politely: bool
) -> Callable[[bytes], Awaitable[None]]:
    """Send only a beginning of the first piece; then reset, or close as if that were all."""

    async def breaking(data: bytes) -> None:
        if part := data[: int(len(data) * where)]:
            await send(part)
        raise Truncated if politely else Broken

    return breaking


# --- HTTP/1.1, as far as framing goes ---------------------------------------------------------------------------


async def _request(reader: asyncio.StreamReader) -> bytes | None:
    """The next whole request, None at the end of the connection."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise
        return None
    length = int(_header(head, b"content-length") or 0)
    return head + (await reader.readexactly(length) if length else b"")


async def _answer(
    reader: asyncio.StreamReader,
    request: bytes,
    kept: bytearray,
    send: Callable[[bytes], Awaitable[None]],
) -> bool:
    """Forward one answer; the connection may be used again if this is true."""
    while True:
        head = await reader.readuntil(b"\r\n\r\n")
        kept += head
        if not head.startswith(b"HTTP/1.1 1"):
            break
        await send(head)
    status = int(head[9:12])
    if request.startswith(b"HEAD ") or status in (204, 304):
        await send(head)
        return True
    if (_header(head, b"transfer-encoding") or b"").lower() == b"chunked":
        await send(head)
        while True:
            line = await reader.readline()
            size = int(line.split(b";")[0], 16)
            data = await reader.readexactly(size + 2)
            kept += data[:-2]
            await send(line + data)
            if not size:
                return True
    length = _header(head, b"content-length")
    left = int(length) if length is not None else None
    # head and the first of the body go together, so that what breaks an answer may break either
    first = await reader.read(min(PIECE, left) if left is not None else PIECE) if left != 0 else b""
    kept += first
    await send(head + first)
    if left is not None:
        left -= len(first)
    while left is None or left > 0:
        data = await reader.read(min(PIECE, left) if left is not None else PIECE)
        if not data:
            return False if left is None else _ended_early()
        kept += data
        await send(data)
        if left is not None:
            left -= len(data)
    return (_header(head, b"connection") or b"").lower() != b"close"


def _ended_early() -> bool:
    raise Truncated


def _header(head: bytes, name: bytes) -> bytes | None:
    for line in head.split(b"\r\n")[1:]:
        key, _, value = line.partition(b":")
        if key.strip().lower() == name:
            return value.strip()
    return None


def readable(exchange: Exchange) -> bytes:
    """Everything that was said in an exchange, with a packed body unpacked beside it."""
    said = exchange.request + b"\n" + bytes(exchange.answer)
    for message in (exchange.request, bytes(exchange.answer)):
        head, _, body = message.partition(b"\r\n\r\n")
        if body and (_header(head + b"\r\n", b"content-encoding") or b"") == b"gzip":
            with contextlib.suppress(zlib.error):
                said += zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(body)
        # JSON may write a character in more than one way
        if body[:1] in (b"{", b"["):
            with contextlib.suppress(ValueError):
                said += json.dumps(json.loads(body), ensure_ascii=False).encode()
    return said
