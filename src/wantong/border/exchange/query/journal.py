"""Where a call is written before it is answered: a file that only grows, one ``fdatasync`` for all calls that wait.

::

    <node>/queries/<nanoseconds>.log
    {"calls": {"<transfer>": [<in all>, <day>, <on that day>], …}}       what had been counted when the file began
    <entry of the public log>\\t<what only the node keeps>\\n            one line a call, both canonical JSON

One data plane writes (a lock on the folder says so); the worker reads what is durable and hands it to the log, in
batches. The newest file alone tells how often each agreement has been used, so a limit is exact through any crash: what
was answered is in the file, and what is in the file counts. A line without its end was never answered.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import errno
import fcntl
import json
import os
import queue
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SEGMENT = 32 << 20
"""Bytes after which a new file begins."""
GATHER = 0.002
"""Seconds between two commits at least: a call alone is written at once, of many each waits for the others a little."""


@dataclass
class Used:
    """How often one transfer has been called: in all, and on the day it was last called."""

    total: int = 0
    day: int = 0
    today: int = 0

    def add(self, day: int) -> None:
        self.total += 1
        self.today = self.today + 1 if day == self.day else 1
        self.day = day

    def give_back(self, day: int) -> None:
        """A call that was counted was not answered after all."""
        self.total -= 1
        if day == self.day:
            self.today -= 1


class NotDurable(OSError):
    """A call could not be written: it must not be answered."""


@dataclass(frozen=True)
class Line:
    """A call as the journal holds it; ``end`` is the byte after it."""

    entry: bytes
    private: Mapping[str, Any]
    end: int


def segments(folder: Path) -> list[Path]:
    """The files, oldest first."""
    return sorted(folder.glob("*.log"))


def read(path: Path, start: int = 0) -> Iterator[Line]:
    """The whole lines of a file from byte ``start`` on; its first line is no call and passed over."""
    with path.open("rb") as file:
        file.seek(start)
        at = start
        for line in file:
            at += len(line)
            if not line.endswith(b"\n"):
                return
            entry, tab, private = line[:-1].partition(b"\t")
            if tab:
                yield Line(entry, json.loads(private), at)


def used(folder: Path) -> dict[str, Used]:
    """How often each transfer has been called, by the newest file that is whole enough to tell."""
    for path in reversed(segments(folder)):
        with path.open("rb") as file:
            head = file.readline()
        if not head.endswith(b"\n"):
            continue  # it was just beginning when its writer died: nothing is in it
        counts = {transfer: Used(*three) for transfer, three in json.loads(head)["calls"].items()}
        for line in read(path, len(head)):
            if line.private["day"] >= 0:
                counts.setdefault(line.private["transfer"], Used()).add(line.private["day"])
        return counts
    return {}


def recent(folder: Path, since: float) -> Iterator[tuple[str, str]]:
    """Transfer and id of the calls written after the Unix time ``since``, and perhaps of some before."""
    for path in segments(folder):
        if path.stat().st_mtime >= since:
            for line in read(path):
                yield line.private["transfer"], line.private["call"]


@dataclass
class _Batch:
    lines: list[bytes] = field(default_factory=list)
    calls: list[tuple[str, int]] = field(default_factory=list)
    waiting: list[asyncio.Future[None]] = field(default_factory=list)


class Journal:
    """The one writer. Made and used in the event loop's thread; another thread of its own waits for the disk.

    Raises BlockingIOError if another process writes in ``folder``.
    """

    def __init__(self, folder: Path, *, segment: int = SEGMENT) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._folder, self._segment = folder, segment
        self._lock = os.open(folder / "writer", os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BaseException:
            os.close(self._lock)
            raise
        self._written = used(folder)
        self._loop = asyncio.get_running_loop()
        self._file, self._size, self._broken = -1, 0, False
        self._batch = _Batch()
        self._busy = False  # the thread has a batch, or is about to get one
        self._last = 0.0  # when it got one
        self._handed: queue.SimpleQueue[_Batch | None] = queue.SimpleQueue()
        try:
            self._begin()
        except BaseException:
            os.close(self._lock)
            raise
        self._thread = threading.Thread(target=self._run, name="query-journal", daemon=True)
        self._thread.start()

    def used(self) -> dict[str, Used]:
        """How often each transfer has been called, by what is durable; the caller's to change."""
        return {transfer: dataclasses.replace(used) for transfer, used in self._written.items()}

    def append(self, line: bytes, transfer: str, day: int) -> asyncio.Future[None]:
        """Write ``line`` (with its end); done when it is durable, or :class:`NotDurable`.

        ``day`` is the one on which it counts as a call of ``transfer``; -1: it does not count.
        """
        future = self._loop.create_future()
        self._batch.lines.append(line)
        self._batch.waiting.append(future)
        if day >= 0:
            self._batch.calls.append((transfer, day))
        if not self._busy:
            self._busy = True
            self._loop.call_at(self._last + GATHER, self._hand)
        return future

    async def close(self) -> None:
        """Write what waits, and let go of the folder."""
        while self._busy:
            await asyncio.sleep(0.005)
        self._handed.put(None)
        await asyncio.to_thread(self._thread.join)
        os.close(self._file)
        os.close(self._lock)

    def _head(self) -> bytes:
        calls = {transfer: [u.total, u.day, u.today] for transfer, u in self._written.items()}
        return json.dumps({"calls": calls}, separators=(",", ":")).encode() + b"\n"

    def _begin(self) -> None:
        """A new file, in its place and durable before anything is written behind its head."""
        name = self._folder / f"{time.time_ns():020d}.log"
        file = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        try:
            self._size = os.write(file, self._head())
            os.fsync(file)
            folder = os.open(self._folder, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except BaseException:
            os.close(file)
            raise
        if self._file >= 0:
            os.close(self._file)
        self._file, self._broken = file, False

    def _hand(self) -> None:
        """Give the thread what has gathered; in the loop."""
        batch, self._batch = self._batch, _Batch()
        self._last = self._loop.time()
        self._handed.put(batch)

    def _run(self) -> None:
        while (batch := self._handed.get()) is not None:
            error: NotDurable | None = None
            try:
                self._write(b"".join(batch.lines))
                for transfer, day in batch.calls:
                    self._written.setdefault(transfer, Used()).add(day)
            except OSError as failure:
                error = NotDurable(failure.errno, failure.strerror)
            with contextlib.suppress(RuntimeError):  # the loop is gone, and with it everyone who waited
                self._loop.call_soon_threadsafe(self._tell, batch.waiting, error)

    def _write(self, data: bytes) -> None:
        if self._broken or self._size > self._segment:
            self._begin()
        try:
            if os.write(self._file, data) != len(data):
                raise NotDurable(errno.ENOSPC, "the disk is full")
            os.fdatasync(self._file)
        except OSError:
            # half a line, or one of which nobody knows whether it is on the disk: this file is not written to again
            self._broken = True
            with contextlib.suppress(OSError):
                os.ftruncate(self._file, self._size)
                os.fsync(self._file)
            raise
        self._size += len(data)

    def _tell(self, waiting: list[asyncio.Future[None]], error: NotDurable | None) -> None:
        if self._batch.lines:
            self._loop.call_at(self._last + GATHER, self._hand)
        else:
            self._busy = False
        for future in waiting:
            if not future.done():
                if error is None:
                    future.set_result(None)
                else:
                    future.set_exception(error)
