"""Paths are validated in a process that can be killed: two seconds of wall time, 256 MiB, and another one takes its place.

The bounds of :class:`~.path.Limits` hold what is known to be expensive; this holds what nobody has thought of. A worker
lives on from job to job with no environment, no file it may write and no database; it is told everything and answers JSON.
"""

from __future__ import annotations

import atexit
import base64
import contextlib
import json
import os
import queue
import resource
import select
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path as File
from typing import Any, Final, cast

import structlog

import wantong
from wantong.border.trust.certificates import algorithms, bundle, finding, path, wire
from wantong.border.trust.certificates.asn1 import Malformed
from wantong.border.trust.certificates.path import Demands, Limits, Path, too_much
from wantong.border.trust.certificates.problems import NoCertificates
from wantong.border.trust.certificates.revocation import Revocation
from wantong.ground.problems import Problem

logger = structlog.get_logger(__name__)

SECONDS: Final = 1.8
"""Of wall time; what is left of two seconds goes into ending the worker and telling of it."""
MEMORY: Final = 256 * 2**20
START: Final = 30.0
"""Seconds that a worker may take until it is ready; its two seconds begin with the job."""
PATIENCE: Final = 10.0
"""Seconds that a caller waits for a worker to be free."""
LARGEST: Final = 16 * 2**20
_SIZE: Final = struct.Struct("<I")


class Busy(Problem):
    """All workers have been busy for longer than anybody should wait."""

    slug = "certificates-busy"
    status = 503


class Overrun(Exception):
    """A job that met a bound: ``seconds`` or ``memory``, or a ``fault`` of ours. Its worker is gone."""

    def __init__(self, bound: str) -> None:
        self.bound = bound
        if bound.startswith("fault"):
            logger.error("certificates.worker", fault=bound)
        super().__init__(bound)


class Pool:
    """At most ``size`` workers, each started when first needed. Any number of threads may use one pool."""

    def __init__(self, size: int = 2, *, seconds: float = SECONDS, memory: int = MEMORY) -> None:
        self._seconds, self._memory = seconds, memory
        self._idle: queue.LifoQueue[_Worker | None] = queue.LifoQueue()
        for _ in range(size):
            self._idle.put(None)

    def run(self, job: str, told: Mapping[str, Any]) -> Any:
        """The answer of one of :data:`JOBS`. Raises :class:`Overrun`, :class:`Busy`."""
        try:
            worker = self._idle.get(timeout=PATIENCE)
        except queue.Empty:
            raise Busy(retry_after=1) from None
        try:
            if worker is None or not worker.alive:
                worker = _Worker(self._memory)
            return worker.run(job, told, self._seconds)
        except Overrun:
            worker = None
            raise
        except BaseException:
            if worker is not None:
                worker.stop()
                worker = None
            raise
        finally:
            self._idle.put(worker)

    def close(self) -> None:
        """End the workers that are idle."""
        for _ in range(self._idle.qsize()):
            if (worker := self._idle.get_nowait()) is not None:
                worker.stop()
            self._idle.put(None)


class _Worker:
    def __init__(self, memory: int) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - our own module, fixed arguments
                [sys.executable, "-s", "-m", __name__, str(memory)],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd="/",
                env={
                    "PYTHONPATH": str(File(wantong.__file__).parent.parent),
                    "PYTHONUTF8": "1",
                    "MALLOC_ARENA_MAX": "1",
                },
                start_new_session=True,
            )
        self._socket = ours
        try:
            self._receive(time.monotonic() + START)
        except (Overrun, OSError):
            self.stop()
            raise

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def run(self, job: str, told: Mapping[str, Any], seconds: float) -> Any:
        try:
            self._socket.settimeout(seconds)
            self._socket.sendall(_frame({"job": job, "seconds": seconds, **told}))
            answer = self._receive(time.monotonic() + seconds)
        except Overrun:
            self.stop()
            raise
        except TimeoutError:
            self.stop()
            raise Overrun("seconds") from None
        except OSError:
            # it is gone: by its own clock, or because it was too large
            self.stop()
            raise Overrun("seconds" if self._process.returncode == -signal.SIGALRM else "memory") from None
        if "overrun" in answer:
            self.stop()
            raise Overrun(answer["overrun"])
        return answer["done"]

    def _receive(self, until: float) -> dict[str, Any]:
        size = _SIZE.unpack(self._exactly(_SIZE.size, until))[0]
        if size > LARGEST:
            raise Overrun("memory")
        answer: dict[str, Any] = json.loads(self._exactly(size, until))
        return answer

    def _exactly(self, count: int, until: float) -> bytes:
        got = bytearray()
        waiting = select.poll()  # select() cannot wait for a descriptor above 1023
        waiting.register(self._socket, select.POLLIN)
        while len(got) < count:
            if not waiting.poll(max(0.0, until - time.monotonic()) * 1000):
                raise Overrun("seconds")
            piece = self._socket.recv(count - len(got))
            if not piece:
                raise OSError("the worker is gone")
            got += piece
        return bytes(got)

    def stop(self) -> None:
        self._socket.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(0.05)  # one that is gone already says how
        self._process.kill()
        self._process.wait()


def _frame(content: Mapping[str, Any]) -> bytes:
    body = json.dumps(content).encode()
    return _SIZE.pack(len(body)) + body


_pool: Pool | None = None


def pool() -> Pool:
    """That of this process."""
    global _pool
    if _pool is None:
        _pool = Pool()
        atexit.register(_pool.close)
    return _pool


def validate(
    leaf: bytes,
    intermediates: Sequence[bytes],
    anchors: Sequence[bytes],
    *,
    at: datetime,
    revocation: Revocation,
    demands: Demands | None = None,
    limits: Limits | None = None,
    within: Pool | None = None,
) -> Path:
    """As :func:`.path.validate`, in a worker. What met its bounds is *indeterminate*, with the bound. Raises :class:`Busy`."""
    asked, bounds = demands or Demands(), limits or Limits()
    sizes = [len(leaf), *map(len, intermediates)]
    if len(sizes) > bounds.offered or sum(sizes) > bounds.total:
        return too_much("offered" if len(sizes) > bounds.offered else "total", at)
    told = {
        "leaf": wire.binary(leaf),
        "intermediates": [wire.binary(der) for der in intermediates],
        "anchors": [wire.binary(der) for der in anchors],
        "at": wire.moment(at),
        "revocation": wire.revocation(revocation),
        "demands": wire.demands(asked),
        "limits": wire.limits(bounds),
    }
    try:
        return wire.parsed_path((within or pool()).run("validate", told))
    except Overrun as error:
        return too_much(error.bound, at)


def wanted(certificates: Sequence[bytes]) -> list[dict[str, Any] | None]:
    """As :func:`.finding.wanted` of each, in a worker; nothing if they met its bounds. Raises :class:`Busy`."""
    try:
        found: list[dict[str, Any] | None] = pool().run(
            "read", {"certificates": [wire.binary(der) for der in certificates]}
        )
    except Overrun:
        return []
    return found


def split(data: bytes) -> list[bytes]:
    """As :func:`.bundle.split`, in a worker. Raises :class:`.NoCertificates`, :class:`Busy`."""
    if len(data) > bundle.LARGEST:
        raise NoCertificates(reason="too-large")
    try:
        code, found = pool().run("split", {"data": wire.binary(data)})
    except Overrun:
        raise NoCertificates(reason="too-large") from None
    if code:
        raise NoCertificates(reason=code if code in _SAID else "unreadable")
    return [base64.b64decode(der) for der in found]


_SAID: Final = ("too-large", "too-many", "no-certificate")


# ---- the worker's side


def _read(told: Mapping[str, Any]) -> list[dict[str, Any] | None]:
    return [finding.wanted(base64.b64decode(der)) for der in told["certificates"]]


def _validate(told: Mapping[str, Any]) -> dict[str, Any]:
    found = path.validate(
        base64.b64decode(told["leaf"]),
        [base64.b64decode(der) for der in told["intermediates"]],
        [base64.b64decode(der) for der in told["anchors"]],
        at=cast(Any, wire.parsed_moment(told["at"])),
        revocation=wire.parsed_revocation(told["revocation"]),
        demands=wire.parsed_demands(told["demands"]),
        limits=wire.replaced_limits(told["limits"]),
    )
    return wire.path(found)


def _split(told: Mapping[str, Any]) -> tuple[str, list[str]]:
    try:
        return "", [wire.binary(der) for der in bundle.split(base64.b64decode(told["data"]))]
    except Malformed as error:
        return error.code, []


JOBS: Final[Mapping[str, Callable[[Mapping[str, Any]], Any]]] = {
    "read": _read,
    "split": _split,
    "validate": _validate,
}


def serve(parent: socket.socket, memory: int) -> None:
    """Answer jobs until the parent goes away."""
    algorithms.Algorithms.load()  # what every job needs does not count as its own
    path.rules()
    for what in (resource.RLIMIT_CORE, resource.RLIMIT_FSIZE):
        resource.setrlimit(what, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    parent.sendall(_frame({"done": "ready"}))
    while True:
        told = json.loads(_exactly(parent, _SIZE.unpack(_exactly(parent, _SIZE.size))[0]))
        # should the parent be gone, nobody else ends what takes too long
        signal.setitimer(signal.ITIMER_REAL, told["seconds"] + 1)
        try:
            answer = {"done": JOBS[told["job"]](told)}
        except MemoryError:
            answer = {"overrun": "memory"}
        except Exception as error:  # a fault of ours: one chain meets it, not the node
            answer = {"overrun": f"fault: {type(error).__name__}"}
        parent.sendall(_frame(answer))
        signal.setitimer(signal.ITIMER_REAL, 0)


def _exactly(parent: socket.socket, count: int) -> bytes:
    got = bytearray()
    while len(got) < count:
        piece = parent.recv(count - len(got))
        if not piece:
            os._exit(0)
        got += piece
    return bytes(got)


if __name__ == "__main__":
    with socket.socket(fileno=cast(int, sys.stdin.fileno())) as own:
        serve(own, int(sys.argv[1]))
