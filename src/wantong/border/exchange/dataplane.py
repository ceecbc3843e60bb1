"""The data plane: released payloads by HTTP range requests, over ASGI, without a database.

``GET /data/<transfer>/manifest`` tells size and digests; ``GET /data/<transfer>`` sends the payload. A payload is
*claimed* before its first byte leaves: from then on the gate cannot take it back, and before that nothing has left.
Where the agreement has terms that may end, each request is decided under them, and again before every piece: a window
that closes cuts the stream. What was sent is metered in ``run/meter/<transfer>.jsonl``, one line a request, for the
control plane to read.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import time
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import structlog
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from wantong.border.exchange import access
from wantong.border.exchange.policies.case import Case
from wantong.border.gate.declarations import outgoing
from wantong.border.trust import keys
from wantong.ground.config import NodeConfig
from wantong.ground.http import limits
from wantong.ground.http.limits import Door, Limits, TooManyRequests
from wantong.ground.problems import TYPE_BASE

logger = structlog.get_logger(__name__)

# what fits into the processor's own memory is sent faster than what does not
PIECE = 512 << 10
_RANGE = re.compile(r"bytes=(\d{1,15})-(\d{1,15})?")


def app(config: NodeConfig, more: Sequence[Route] = (), *, allowed: Limits | None = None) -> Starlette:
    """The ASGI application of one node. Raises FileNotFoundError while the node has no keys.

    ``more`` are routes of other forms of delivery; ``allowed`` is how much a peer may ask, the usual if left out.
    """
    plane = _Plane(config, allowed or limits.read())
    return Starlette(
        routes=[
            Route("/healthz", plane.live),
            Route("/data/{transfer:str}/manifest", plane.manifest),
            Route("/data/{transfer:str}", plane.payload),
            *more,
        ]
    )


class _Plane:
    def __init__(self, config: NodeConfig, allowed: Limits) -> None:
        self._config = config
        self._door = Door(allowed, config.run / limits.FILE, limits.PEER_DATA)
        self._keys = keys.Good(config.keys, keys.DATA)
        # a case is named by its digest: what was read once stays true
        self._terms = lru_cache(maxsize=256)(partial(access.terms, config.run))

    async def live(self, request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def manifest(self, request: Request) -> Response:
        """The manifest of a payload that waits or has begun to leave."""
        transfer = request.path_params["transfer"]
        if isinstance(admitted := self._admit(request, transfer), Response):
            return admitted
        parcel = await asyncio.to_thread(self._look, transfer)
        if parcel is None:
            return _gone()
        return JSONResponse(dict(parcel.manifest), headers={"Cache-Control": "no-store"})

    async def payload(self, request: Request) -> Response:
        """The payload, or the range of it that is asked for; ``If-Match`` holds it to one manifest."""
        transfer = request.path_params["transfer"]
        if isinstance(admitted := self._admit(request, transfer), Response):
            return admitted
        wanted = request.headers.get("If-Match", "").strip('"')
        parcel = await asyncio.to_thread(self._look, transfer)
        if parcel is not None and wanted in ("", parcel.manifest["sha256"]) and request.method == "GET":
            parcel = await asyncio.to_thread(outgoing.claim, self._config.outgoing, transfer)
        if parcel is None:
            return _gone()
        size = int(parcel.manifest["size"])
        headers = {
            "Accept-Ranges": "bytes",
            "Cache-Control": "no-store",
            "ETag": f'"{parcel.manifest["sha256"]}"',
            "Content-Type": str(parcel.manifest["media_type"]),
        }
        if wanted not in ("", parcel.manifest["sha256"]):
            return _problem(412, "payload-changed", headers)
        span = _span(request.headers.get("Range"), size)
        if span is None:
            return _problem(416, "range-not-there", headers | {"Content-Range": f"bytes */{size}"})
        first, last, partial = span
        headers["Content-Length"] = str(last - first + 1)
        if partial:
            headers["Content-Range"] = f"bytes {first}-{last}/{size}"
        status = 206 if partial else 200
        if request.method == "HEAD":
            return Response(status_code=status, headers=headers)
        body = self._send(transfer, parcel.payload, first, last, size, admitted)
        return StreamingResponse(body, status_code=status, headers=headers)

    def _look(self, transfer: str) -> outgoing.Parcel | None:
        if not outgoing.has_left(self._config.outgoing, transfer):
            return outgoing.ready(self._config.outgoing, transfer)
        return outgoing.claim(self._config.outgoing, transfer)

    def _admit(self, request: Request, transfer: str) -> Response | Case | None:
        """The terms under which the payload may be had now, None if any will do, or the refusal."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        address = request.client.host if request.client else ""
        try:
            self._door.stranger(address)
            try:
                if scheme.lower() != "bearer":
                    raise access.BadAccess("no bearer token")
                if not outgoing.is_name(transfer):
                    raise access.BadAccess("no such name")
                opened = access.check(token, self._keys.now(), transfer, datetime.now(UTC))
                self._door.proven(opened.receiver)
                case = self._terms(transfer, opened.terms) if opened.terms else None
            except access.BadAccess as error:
                logger.warning("data.refused", transfer=transfer[:64], reason=str(error))
                self._door.unproven(address)
                return _problem(401, "unauthenticated", {"WWW-Authenticate": "Bearer"})
        except TooManyRequests as problem:
            logger.warning("data.sent_away", transfer=transfer[:64], limit=problem.params["of"])
            return _problem(429, problem.slug, problem.headers)
        if case is not None and (unmet := _unmet(case)):
            logger.warning("data.refused", transfer=transfer, reason=unmet)
            return _problem(403, "terms-unmet", {})
        return case

    async def _send(
        self, transfer: str, path: Path, first: int, last: int, size: int, case: Case | None
    ) -> AsyncIterator[bytes | memoryview]:
        begun, sent = time.time(), 0
        descriptor = await asyncio.to_thread(os.open, path, os.O_RDONLY)
        try:
            os.posix_fadvise(descriptor, first, last - first + 1, os.POSIX_FADV_SEQUENTIAL)
            while first + sent <= last:
                if case is not None and (unmet := _unmet(case)):
                    # cut, not completed: what is left does not cross
                    raise PermissionError(f"the terms have ended: {unmet}")
                piece = await _read(descriptor, min(PIECE, last - first - sent + 1), first + sent)
                if not piece:
                    raise OSError("the payload is shorter than its manifest says")
                yield piece
                sent += len(piece)
        finally:
            os.close(descriptor)
            ended = first + sent == size
            line = {
                "at": begun,
                "seconds": round(time.time() - begun, 3),
                "first": first,
                "sent": sent,
                "end": ended,
            }
            with contextlib.suppress(OSError):
                meter(self._config, transfer, line)
            logger.info("data.sent", transfer=transfer, first=first, sent=sent, end=ended)


def _now() -> datetime:
    return datetime.now(UTC)


def _unmet(case: Case) -> str:
    """Why the terms do not permit it at this moment; empty if they do."""
    decision = case.decide(_now())
    return "" if decision.permitted else ", ".join(f"{why.code} {why.left}" for why in decision.why)


async def _read(descriptor: int, length: int, offset: int) -> bytes | memoryview:
    # what lies in memory is read at once; only a disk that must be waited for is worth a thread
    buffer = bytearray(length)
    try:
        count = os.preadv(descriptor, [buffer], offset, os.RWF_NOWAIT)
    except (AttributeError, OSError):
        count = 0
    if not count:
        return await asyncio.to_thread(os.pread, descriptor, length, offset)
    return memoryview(buffer)[:count]


def meter(config: NodeConfig, transfer: str, line: dict[str, Any]) -> None:
    """Append one line to a transfer's meter: a single write, so that lines of several processes do not mix."""
    folder = config.run / "meter"
    folder.mkdir(exist_ok=True)
    descriptor = os.open(folder / f"{transfer}.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(descriptor, json.dumps(line).encode() + b"\n")
    finally:
        os.close(descriptor)


def _span(header: str | None, size: int) -> tuple[int, int, bool] | None:
    """First and last byte to send and whether that is a part; None for a range that is not there.

    What is not one simple range is answered with the whole, as RFC 9110 allows.
    """
    match = _RANGE.fullmatch(header.replace(" ", "")) if header else None
    if match is None:
        return 0, size - 1, False
    first, last = int(match[1]), int(match[2]) if match[2] else size - 1
    if first >= size or last < first:
        return None
    return first, min(last, size - 1), True


def _gone() -> Response:
    return _problem(410, "payload-gone", {})


def _problem(status: int, slug: str, headers: dict[str, str]) -> Response:
    kept = {name: value for name, value in headers.items() if name not in ("Content-Type", "Content-Length")}
    return JSONResponse(
        {"type": TYPE_BASE + slug, "status": status},
        status_code=status,
        headers=kept,
        media_type="application/problem+json",
    )
