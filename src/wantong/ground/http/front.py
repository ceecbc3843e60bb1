"""What stands before an application: it counts, bounds and sends away, so that what is taken on is done in time.

In this order: the process's own health (always answered), how much one address may ask, how large the body may be
and how long it may take to come, and then a place (:mod:`~wantong.ground.http.admission`). Whoever does not get one
is told so with 429 or 503, a problem document and ``Retry-After``; nothing of his request has been done.

One event loop a process: nothing here needs a lock, and sending away costs no thread.
"""

from __future__ import annotations

import asyncio
import html
import io
import json
import random
import resource
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, Any, Protocol

import structlog

from wantong.ground import i18n
from wantong.ground.http import tls
from wantong.ground.http.admission import Capacity, Queue, Verdict, come_back
from wantong.ground.http.limits import (
    ADDRESS,
    BodyTooLarge,
    BodyTooSlow,
    Limits,
    Overloaded,
    TooManyRequests,
    asker,
    client_address,
    of_this_machine,
    within,
)
from wantong.ground.http.wsgi import BODY, AsgiApp, Message, Receive, Scope, Send
from wantong.ground.problems import Problem

logger = structlog.get_logger(__name__)

Answer = tuple[int, Mapping[str, Any]]
SMALL = 64 << 10  # a body up to this is kept in memory
PACE = 16 << 10  # bytes a second that a body must bring, after GRACE seconds
GRACE = 20.0
TICK = 0.05  # how often those who wait are looked at
TELL = 10.0  # seconds between two lines about one overload


class Table(Protocol):
    """Where requests are counted (:class:`~wantong.ground.http.limits.Buckets`)."""

    def take(self, key: str, rate: Any, amount: float = 1.0) -> float: ...


@dataclass
class Figures:
    """What a process has done since it began, for ``/metrics``."""

    answered: Counter[int]
    sent_away: Counter[str]
    begun: float
    slowest_wait: float = 0.0


class CertificateMissing(Problem):
    """The connection does not show a certificate of the node in whose name the request comes."""

    slug = "certificate-missing"
    status = 401


class _Gone(Exception):
    """The client has hung up."""


class Front:
    """An ASGI application around ``app``; ``healthy`` and ``ready`` answer ``/healthz`` and ``/readyz``, if there are any.

    ``certificates``: other nodes must show theirs (:mod:`~wantong.ground.http.tls`). ``ready`` runs in a thread of its own, and its answer is good for a second. ``served`` names the process in the
    figures.
    """

    def __init__(
        self,
        app: AsgiApp,
        *,
        served: str,
        capacity: Capacity,
        limits: Limits,
        table: Table,
        certificates: bool = False,
        ready: Callable[[], Answer] | None = None,
    ) -> None:
        self._app, self._served, self._limits, self._table = app, served, limits, table
        self._queue: Queue[asyncio.Future[bool]] = Queue(capacity)
        self._ready, self._certificates = ready, certificates
        self._readiness: asyncio.Task[Answer] | None = None
        self._ready_at = float("-inf")
        self._uploads = 0
        self._watch: asyncio.TimerHandle | None = None
        self._told_at = float("-inf")
        self.figures = Figures(Counter(), Counter(), time.time())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return None
        headers = dict(reversed(scope["headers"]))
        direct = (scope.get("client") or ("",))[0]
        forwarded = [v.decode("latin-1") for k, v in scope["headers"] if k == b"x-forwarded-for"]
        client = client_address(direct, forwarded, self._limits.trusted_proxies)
        scope["client"] = (client, (scope.get("client") or ("", 0))[1])
        path = scope["path"]
        if path == "/healthz":
            return await self._json(send, 200, {"status": "ok"})
        if path == "/readyz" and self._ready is not None:
            return await self._json(send, *await self._readiness_now())
        if path == "/metrics":
            if within(client, self._limits.metrics_from):
                return await self._reply(send, 200, self.metrics().encode(), "text/plain; version=0.0.4")
            return await self._json(send, 403, {"status": 403})
        try:
            if not of_this_machine(client) and (wait := self._spend(client)):
                raise TooManyRequests(of=ADDRESS, retry_after=int(wait) + 1)
            if self._certificates:
                shown = scope.get("extensions", {}).get("tls", {}).get("client_cert")
                if not tls.permits(path, shown, headers.get(b"authorization", b"").decode("latin-1")):
                    raise CertificateMissing
            await self._take_in(scope, headers, receive)
            try:
                await self._serve(scope, receive, send)
            finally:
                with suppress(KeyError):
                    scope[BODY].close()
        except _Gone:
            self.figures.sent_away["gone"] += 1
        except Problem as problem:
            await self._send_away(scope, headers, send, problem)

    # --- limits -------------------------------------------------------------------------------------------------

    def _spend(self, client: str) -> float:
        return self._table.take(f"{ADDRESS} {asker(client)}", self._limits.rates[ADDRESS])

    async def _take_in(self, scope: Scope, headers: Mapping[bytes, bytes], receive: Receive) -> None:
        """Read the body into ``scope``, within its bounds. Raises BodyTooLarge, BodyTooSlow, Overloaded, _Gone."""
        length = headers.get(b"content-length", b"")
        if not length.strip(b"0") and b"transfer-encoding" not in headers:
            return
        content_type = headers.get(b"content-type", b"").decode("latin-1").lower()
        allowed = self._limits.body(scope["path"], content_type)
        # more digits than any body has are not worth counting
        if length and (not length.isdigit() or len(length) > 15 or int(length) > allowed):
            raise BodyTooLarge(allowed=allowed)
        if self._queue.waiting >= self._queue.capacity.waiting:
            raise self._full()
        body = _Body(self, allowed)
        try:
            async with asyncio.timeout(None) as clock:
                begun = asyncio.get_running_loop().time()
                more = True
                while more:
                    clock.reschedule(begun + GRACE + body.size / PACE)
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise _Gone
                    await body.write(message.get("body", b""))
                    more = message.get("more_body", False)
        except TimeoutError:
            body.close()
            raise BodyTooSlow from None
        except BaseException:
            body.close()
            raise
        scope[BODY], scope["wantong.length"] = body.open(), body.size

    def _full(self) -> Overloaded:
        now = time.monotonic()
        return Overloaded(retry_after=come_back(self._queue.standing(now), random.random()))  # noqa: S311

    # --- a place ------------------------------------------------------------------------------------------------

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._place(receive, read=BODY in scope)
        status = 500
        reader = self._limits.connections.reader_seconds

        async def told(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            async with asyncio.timeout(reader):
                await send(message)

        try:
            await self._app(scope, _replay(scope, receive), told)
        except TimeoutError:
            raise ConnectionError("the client does not take its answer") from None
        finally:
            self.figures.answered[status] += 1
            following = self._queue.leave(time.monotonic())
            while following is not None and following.done():  # it was cancelled meanwhile
                following = self._queue.leave(time.monotonic())
            if following is not None:
                following.set_result(True)

    async def _place(self, receive: Receive, *, read: bool) -> None:
        """Return when there is a place. Raises Overloaded, or _Gone if the client hangs up meanwhile."""
        mine: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        begun = time.monotonic()
        verdict = self._queue.arrive(mine, begun)
        if verdict is Verdict.SERVED:
            return
        if verdict is Verdict.SENT_AWAY:
            self._sweep(again=False)
            raise self._full()
        if self._watch is None:
            self._sweep()
        # a body that has been read leaves nothing to hear but that the client hangs up
        gone = asyncio.ensure_future(_hang_up(receive)) if read else None
        try:
            waits: set[asyncio.Future[Any]] = {mine, gone} if gone else {mine}
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if gone is not None and not gone.done():
                gone.cancel()
            if not mine.done():
                self._queue.withdraw(mine)
                mine.cancel()
        if mine.cancelled():
            raise _Gone
        self.figures.slowest_wait = max(self.figures.slowest_wait, time.monotonic() - begun)
        if not mine.result():
            raise self._full()

    def _sweep(self, *, again: bool = True) -> None:
        """Send away who has waited too long; every :data:`TICK` while anybody waits."""
        for late in self._queue.overdue(time.monotonic()):
            if not late.done():
                late.set_result(False)
        if again:
            loop = asyncio.get_running_loop()
            self._watch = loop.call_later(TICK, self._sweep) if self._queue.waiting else None

    # --- answers ------------------------------------------------------------------------------------------------

    async def _send_away(
        self, scope: Scope, headers: Mapping[bytes, bytes], send: Send, problem: Problem
    ) -> None:
        self.figures.sent_away[problem.slug] += 1
        self.figures.answered[problem.status] += 1
        now = time.monotonic()
        if isinstance(problem, Overloaded) and now - self._told_at > TELL:
            self._told_at = now
            logger.warning(
                "http.overloaded",
                served=self._served,
                busy=self._queue.busy,
                waiting=self._queue.waiting,
                standing_s=round(self._queue.standing(now), 1),
                sent_away=dict(self.figures.sent_away),
            )
        lang = _language(scope["path"], headers)
        extra = {name.lower(): value for name, value in problem.headers.items()}
        if problem.status in (408, 413):
            extra["connection"] = "close"  # the rest of the body is not read
        if b"text/html" in headers.get(b"accept", b""):
            body, content_type = _page(problem, lang), "text/html; charset=utf-8"
        else:
            body, content_type = json.dumps(problem.to_dict(lang)).encode(), "application/problem+json"
        await self._reply(send, problem.status, body, content_type, extra)

    async def _json(self, send: Send, status: int, said: Mapping[str, Any]) -> None:
        await self._reply(send, status, json.dumps(said).encode(), "application/json")

    async def _reply(
        self, send: Send, status: int, body: bytes, content_type: str, extra: Mapping[str, str] | None = None
    ) -> None:
        headers = {
            "content-type": content_type,
            "content-length": str(len(body)),
            "cache-control": "no-store",
            "x-content-type-options": "nosniff",
            "content-security-policy": "default-src 'self'; frame-ancestors 'none'",
            **(extra or {}),
        }
        named = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": status, "headers": named})
        await send({"type": "http.response.body", "body": body})

    async def _readiness_now(self) -> Answer:
        assert self._ready is not None
        now = time.monotonic()
        if self._readiness is None or (self._readiness.done() and now - self._ready_at > 1.0):
            self._readiness = asyncio.ensure_future(asyncio.to_thread(self._ready))
            self._readiness.add_done_callback(lambda _: setattr(self, "_ready_at", time.monotonic()))
        try:
            return await asyncio.wait_for(asyncio.shield(self._readiness), 5.0)
        except Exception:
            return 503, {"status": "not ready"}

    def metrics(self) -> str:
        """The figures in the text format of Prometheus."""
        now = time.monotonic()
        rss = resource.getrusage(resource.RUSAGE_SELF)
        of = f'process="{self._served}"'
        figures: list[tuple[str, str, str, float]] = [
            ("wantong_http_busy", "gauge", of, self._queue.busy),
            ("wantong_http_slots", "gauge", of, self._queue.capacity.slots),
            ("wantong_http_waiting", "gauge", of, self._queue.waiting),
            ("wantong_http_oldest_wait_seconds", "gauge", of, round(self._queue.age(now), 3)),
            ("wantong_http_slowest_wait_seconds", "gauge", of, round(self.figures.slowest_wait, 3)),
            ("wantong_process_cpu_seconds_total", "counter", of, round(rss.ru_utime + rss.ru_stime, 2)),
            ("wantong_process_resident_bytes", "gauge", of, _resident()),
            ("wantong_process_start_time_seconds", "gauge", of, round(self.figures.begun, 1)),
        ]
        figures += (
            ("wantong_http_answers_total", "counter", f'{of},status="{status}"', count)
            for status, count in sorted(self.figures.answered.items())
        )
        figures += (
            ("wantong_http_sent_away_total", "counter", f'{of},reason="{reason}"', count)
            for reason, count in sorted(self.figures.sent_away.items())
        )
        lines, named = [], set()
        for name, kind, labels, value in figures:
            if name not in named:
                named.add(name)
                lines.append(f"# TYPE {name} {kind}")
            lines.append(f"{name}{{{labels}}} {value}")
        return "\n".join(lines) + "\n"


class _Body:
    """A body on its way in: in memory while it is small, then in a file that has no name."""

    def __init__(self, front: Front, allowed: int) -> None:
        self._front, self._allowed, self.size = front, allowed, 0
        self._memory: bytearray | None = bytearray()
        self._file: IO[bytes] | None = None

    async def write(self, piece: bytes) -> None:
        self.size += len(piece)
        if self.size > self._allowed:
            raise BodyTooLarge(allowed=self._allowed)
        if self._memory is not None and self.size <= SMALL:
            self._memory += piece
            return
        if self._file is None:
            if self._front._uploads >= self._front._limits.uploads:
                raise self._front._full()
            self._front._uploads += 1
            self._file = await asyncio.to_thread(tempfile.TemporaryFile)
            piece, self._memory = bytes(self._memory or b"") + piece, None
        await asyncio.to_thread(self._file.write, piece)

    def open(self) -> IO[bytes]:
        if self._file is None:
            return io.BytesIO(self._memory or b"")
        self._front._uploads -= 1
        self._file.seek(0)
        return self._file

    def close(self) -> None:
        if self._file is not None:
            self._front._uploads -= 1
            self._file.close()


def _replay(scope: Scope, receive: Receive) -> Receive:
    """What an ASGI application hears: the body that was read, then what comes of the connection."""
    if BODY not in scope:
        return receive
    told = False

    async def again() -> Message:
        nonlocal told
        if told:
            return await receive()
        told = True
        return {"type": "http.request", "body": scope[BODY].read(), "more_body": False}

    return again


async def _hang_up(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _language(path: str, headers: Mapping[bytes, bytes]) -> str:
    first = path.split("/")[1] if "/" in path else ""
    if first in i18n.LANGUAGES:
        return first
    asked = headers.get(b"accept-language", b"").decode("latin-1").lower()
    wanted = asked.split(",")[0].split(";")[0].strip()
    if wanted.startswith("zh"):
        return "zh-hant" if any(part in wanted for part in ("hant", "hk", "mo", "tw")) else "zh-hans"
    return "pt" if wanted.startswith("pt") else "en"


def _page(problem: Problem, lang: str) -> bytes:
    """A page that needs nothing: no template, no database, no file."""
    said = {name: html.escape(text) for name, text in problem.explain(lang).items()}
    attribute = i18n.LANG_ATTRIBUTE[lang]
    return (
        f'<!doctype html><html lang="{attribute}"><meta charset="utf-8"><meta name="viewport" '
        f'content="width=device-width"><title>{said["title"]}</title><h1>{said["title"]}</h1>'
        f"<p>{said['detail']}</p><p>{said['next']}</p></html>"
    ).encode()


def _resident() -> int:
    with suppress(OSError, ValueError), open("/proc/self/statm") as file:  # noqa: PTH123
        return int(file.read().split()[1]) * resource.getpagesize()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
