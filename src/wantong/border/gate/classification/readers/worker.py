"""Parsers of structured formats run in a process of their own that can be killed.

XLSX, DOCX, PDF and Parquet are programmes in disguise: small files that ask their parser for hours or for all the
memory there is. The parent opens the file and hands the descriptor over; the worker has limits on memory, processor
time and files set before it reads the first byte, no environment, no write access it was not given; what it answers
is framed, typed and checked. A worker lives for one read and serves its files in turn; one that dies or is killed
costs one file, and the next file gets a new one.
"""

from __future__ import annotations

import dataclasses
import json
import os
import resource
import select
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, cast

import wantong

from ..chunks import CellsChunk, Chunk, TextChunk
from .limits import MIB, Budget, Limits
from .problems import BY_SLUG, Damaged, LimitReached, ReaderStopped, ReadProblem

_FRAME = struct.Struct("<II")
_MAX_FRAME = 128 * MIB

Message = tuple[Mapping[str, Any], bytes]


class Workshop:
    """At most one worker, started when first needed. Use as a context manager."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None

    def __enter__(self) -> Workshop:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def read(
        self, job: str, file: BinaryIO, place: str, size: int, budget: Budget
    ) -> Iterator[Chunk | ReadProblem]:
        """The chunks of a structured file of ``size`` bytes; a worker that fails gives a problem and ends the file."""
        for header, payload in self.run(job, file, place, size, budget):
            kind = header["kind"]
            if kind == "cells":
                yield CellsChunk(header["path"], header["column"], payload, header["row"])
            elif kind == "text":
                yield TextChunk(header["path"], payload, header["line"])
            elif kind == "problem":
                yield problem_from(header)

    def run(
        self, job: str, file: BinaryIO, place: str, size: int, budget: Budget, **options: Any
    ) -> Iterator[Message]:
        """The messages of one job of :data:`JOBS`."""
        remaining = budget.deadline - budget.clock()
        allowed = self._limits.parser_time(size)
        request = {"job": job, "place": place, "size": size, "options": options, "unpacked": budget.unpacked}
        request["entries"] = budget.entries
        connection = self._start()
        try:
            socket.send_fds(connection, [_frame(request, b"")], [file.fileno()])
            while True:
                started = time.monotonic()
                message = self._receive(connection, min(allowed, remaining))
                waited = time.monotonic() - started
                allowed -= waited
                remaining -= waited
                if message[0].get("kind") == "done":
                    budget.unpacked = max(budget.unpacked, int(message[0]["unpacked"]))
                    budget.check_time(place)
                    return
                yield message
        except _TimeOut:
            self.stop()
            yield _as_message(LimitReached(place, "parser_seconds", self._limits.parser_time(size)))
        except (OSError, EOFError, ValueError, KeyError, struct.error):
            yield _as_message(self._post_mortem(place, size))
        except GeneratorExit:
            self.stop()  # the rest of this file's answer would be taken for the next one's
            raise

    def _start(self) -> socket.socket:
        if self._process is not None and self._process.poll() is None and self._socket is not None:
            return self._socket
        self.stop()
        ours, theirs = socket.socketpair()
        root = str(Path(wantong.__file__).parent.parent)
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - our own module, fixed arguments
                [sys.executable, "-s", "-m", __name__],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd="/",
                env={
                    "PYTHONPATH": root,
                    "ARROW_DEFAULT_MEMORY_POOL": "system",
                    "OPENBLAS_NUM_THREADS": "1",
                    "OMP_NUM_THREADS": "1",
                    "MALLOC_ARENA_MAX": "1",
                    "PYTHONUTF8": "1",
                },
                start_new_session=True,
            )
        self._socket = ours
        ours.sendall(_frame(dataclasses.asdict(self._limits), b""))
        return ours

    def _receive(self, connection: socket.socket, seconds: float) -> Message:
        deadline = time.monotonic() + seconds
        waiting = select.poll()  # select() cannot wait for a descriptor above 1023
        waiting.register(connection, select.POLLIN)

        def exactly(count: int) -> bytes:
            buffer = bytearray(count)
            view, filled = memoryview(buffer), 0
            while filled < count:
                if not waiting.poll(max(0.0, deadline - time.monotonic()) * 1000):
                    raise _TimeOut
                got = connection.recv_into(view[filled:])
                if not got:
                    raise EOFError
                filled += got
            return bytes(buffer)

        header_size, payload_size = _FRAME.unpack(exactly(_FRAME.size))
        if header_size > MIB or payload_size > _MAX_FRAME:
            raise ValueError("frame too large")
        header = json.loads(exactly(header_size))
        return header, exactly(payload_size)

    def _post_mortem(self, place: str, size: int) -> ReadProblem:
        process = self._process
        code = None
        if process is not None:
            try:
                code = process.wait(2)
            except subprocess.TimeoutExpired:
                process.kill()
        self.stop()
        if code == -signal.SIGXCPU:
            return LimitReached(place, "parser_seconds", self._limits.parser_time(size))
        name = signal.Signals(-code).name if code is not None and code < 0 else f"exit {code}"
        return ReaderStopped(place, name)

    def stop(self) -> None:
        """End the worker, whatever it is doing."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


class _TimeOut(Exception):
    pass


def _frame(header: Mapping[str, Any], payload: bytes | memoryview) -> bytes:
    head = json.dumps(header).encode()
    return b"".join((_FRAME.pack(len(head), len(payload)), head, payload))


def _as_message(problem: ReadProblem) -> Message:
    return {"kind": "problem", "slug": problem.slug, "params": dict(problem.params)}, b""


def problem_from(header: Mapping[str, Any]) -> ReadProblem:
    """The problem a message tells of."""
    return BY_SLUG[header["slug"]](**header["params"])


# ---- the worker's side


def _chunks(
    read: Callable[[BinaryIO, str, Budget], Iterator[Chunk | ReadProblem]],
) -> Callable[..., Iterator[Message]]:
    def job(file: BinaryIO, place: str, budget: Budget) -> Iterator[Message]:
        for item in read(file, place, budget):
            if isinstance(item, CellsChunk):
                yield (
                    {"kind": "cells", "path": item.path, "column": item.column, "row": item.first_row},
                    item.data,
                )
            elif isinstance(item, TextChunk):
                yield {"kind": "text", "path": item.path, "line": item.first_line}, item.data
            elif isinstance(item, ReadProblem):
                yield _as_message(item)

    return job


def _xlsx(file: BinaryIO, place: str, budget: Budget) -> Iterator[Message]:
    from . import xlsx

    return _chunks(xlsx.read)(file, place, budget)


def _docx(file: BinaryIO, place: str, budget: Budget) -> Iterator[Message]:
    from . import docx

    return _chunks(docx.read)(file, place, budget)


def _pdf(file: BinaryIO, place: str, budget: Budget) -> Iterator[Message]:
    from . import pdf

    return _chunks(pdf.read)(file, place, budget)


def _parquet(file: BinaryIO, place: str, budget: Budget) -> Iterator[Message]:
    from . import parquet

    return _chunks(parquet.read)(file, place, budget)


def _xlsx_rows(file: BinaryIO, place: str, budget: Budget) -> Iterator[Message]:
    """Sheets by name and their rows in batches, for those who write a workbook anew; a number is a list of one."""
    from . import xlsx

    book = xlsx.Workbook(file, place, budget)
    for name, hidden, part in book.sheets:
        yield {"kind": "sheet", "name": name, "hidden": hidden}, b""
        batch: list[list[str | list[str]]] = []
        size = 0
        for item in book.rows(part):
            if isinstance(item, tuple):
                batch.append([[cell] if isinstance(cell, xlsx.Number) else cell for cell in item[1]])
                size += sum(map(len, item[1]))
                if size > MIB or len(batch) >= 10_000:
                    yield {"kind": "rows"}, json.dumps(batch).encode()
                    batch, size = [], 0
        yield {"kind": "rows"}, json.dumps(batch).encode()


def _parquet_batches(
    file: BinaryIO, place: str, budget: Budget, columns: list[str] | None = None
) -> Iterator[Message]:
    """The schema and record batches as Arrow streams."""
    import pyarrow as pa

    from . import parquet

    opened = parquet.open_file(file, place, budget)
    yield {"kind": "schema"}, opened.schema_arrow.serialize().to_pybytes()
    try:
        for batch in opened.iter_batches(parquet.ROWS, columns=columns, use_threads=False):
            budget.check_time(place)
            sink = pa.BufferOutputStream()
            with pa.ipc.new_stream(sink, batch.schema) as writer:
                writer.write_batch(batch)
            yield {"kind": "batch"}, sink.getvalue().to_pybytes()
    except (pa.ArrowException, OSError, ValueError) as error:
        raise Damaged(place, reason="reader", told=error) from None


JOBS: dict[str, Callable[..., Iterator[Message]]] = {
    "xlsx": _xlsx,
    "docx": _docx,
    "pdf": _pdf,
    "parquet": _parquet,
    "xlsx-rows": _xlsx_rows,
    "parquet-batches": _parquet_batches,
}


def _bound(limits: Limits) -> None:
    """No core file, no growth of files, and memory beyond what the code itself takes."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    statm = Path("/proc/self/statm")
    if statm.exists():
        mapped = int(statm.read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        _set(resource.RLIMIT_AS, mapped + limits.parser_bytes)


def _bound_time(seconds: float) -> None:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    used = usage.ru_utime + usage.ru_stime
    _set(resource.RLIMIT_CPU, int(used + seconds) + 1)


def _set(what: int, wanted: int) -> None:
    """A soft limit, so that the next file can have another, within the hard one that may be there already."""
    hard = resource.getrlimit(what)[1]
    resource.setrlimit(what, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))


def _exactly(connection: socket.socket, count: int) -> bytes:
    parts = bytearray()
    while len(parts) < count:
        part = connection.recv(count - len(parts))
        if not part:
            sys.exit(0)
        parts += part
    return bytes(parts)


def serve(connection: socket.socket) -> None:
    """Answer requests until the parent goes away."""
    size, _ = _FRAME.unpack(_exactly(connection, _FRAME.size))
    limits = Limits(**json.loads(_exactly(connection, size)))
    import pyarrow  # noqa: F401 - its code must not count as memory of a file
    import pypdf  # noqa: F401

    _bound(limits)
    while True:
        data, descriptors, _, _ = socket.recv_fds(connection, _FRAME.size, 1)
        if not data:
            return
        data += _exactly(connection, _FRAME.size - len(data)) if len(data) < _FRAME.size else b""
        request = json.loads(_exactly(connection, _FRAME.unpack(data)[0]))
        budget = Budget(limits)
        budget.unpacked, budget.entries = request["unpacked"], request["entries"]
        place = request["place"]
        _bound_time(limits.parser_time(request["size"]))
        failure: ReadProblem | None = None
        with os.fdopen(descriptors[0], "rb") as file:
            file.seek(0)
            try:
                for header, payload in JOBS[request["job"]](file, place, budget, **request["options"]):
                    connection.sendall(_frame(header, payload))
            except ReadProblem as problem:
                failure = problem.with_traceback(None)
            except MemoryError:
                failure = LimitReached(place, "parser_bytes", limits.parser_bytes)
            except RecursionError:
                failure = LimitReached(place, "nesting", limits.nesting)
            except BrokenPipeError:
                return
            except Exception as error:
                failure = Damaged(place, reason="reader", told=f"{type(error).__name__}: {error}")
        if failure is not None:  # said when the error is gone, and with it whatever its frames held
            connection.sendall(_frame(*_as_message(failure)))
        connection.sendall(_frame({"kind": "done", "unpacked": budget.unpacked}, b""))


if __name__ == "__main__":
    with socket.socket(fileno=cast(int, sys.stdin.fileno())) as parent:
        serve(parent)
