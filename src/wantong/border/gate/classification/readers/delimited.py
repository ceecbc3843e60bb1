"""CSV, TSV and their kin: what separates, where the header stands, and blocks of whole records."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ..chunks import Chunk, LinesChunk, TextChunk, count
from .limits import MIB, Limits
from .problems import LimitReached, ReadProblem
from .tables import column_name, find_header

DELIMITERS = (",", "\t", ";", "|")
SNIFFED = 1 << 18
_LONGEST_RECORD = MIB


@dataclass(frozen=True)
class Dialect:
    """How a delimited file is written.

    ``skip`` bytes and ``skip_lines`` lines (of the UTF-8 form) stand before the first record: a ``sep=`` line, an
    office's notices, the header. ``header`` is empty when the file has none.
    """

    delimiter: str
    header: tuple[str, ...]
    skip: int
    skip_lines: int
    notices: tuple[int, int] = (0, 0)
    """from which byte to which stand an office's notices above the header: words that belong to no column"""


def sniff(sample: bytes, *, expected: bool) -> Dialect | None:
    """The dialect of a file that begins with ``sample`` (whole lines of UTF-8); None if it is no table.

    ``expected``: its name or its media type says that it is one, so one column will do, its first cell may be its
    name, and less regularity is asked.
    """
    start = 0
    told: str | None = None
    if sample[:4].lower() == b"sep=" and sample[5:6] in (b"\r", b"\n"):
        told, start = chr(sample[4]), sample.index(b"\n") + 1
    text = sample[start:].decode("utf-8", "replace")
    best: tuple[float, str, list[list[str]]] | None = None
    for delimiter in (told,) if told else DELIMITERS:
        rows = _parse(text, delimiter)
        widths = Counter(len(row) for row in rows if row)
        if not widths:
            continue
        width = max(widths, key=lambda w: (widths[w] if w > 1 else widths[w] / 4, w))
        regular = widths[width] / widths.total()
        if width > 1 and (regular >= 0.9 or expected) and (expected or widths[width] > 1):
            score = regular * min(width, 4)
            if best is None or score > best[0]:
                best = (score, delimiter, rows)
    if best is None:
        if not expected:
            return None
        best = (0, told or ",", _parse(text, told or ","))
    _, delimiter, rows = best
    index = find_header(rows, named=expected)
    if index is None:
        return Dialect(delimiter, (), start, 1 if start else 0)
    above = _bytes_of_records(text, delimiter, index)
    through = _bytes_of_records(text, delimiter, index + 1)
    return Dialect(
        delimiter,
        tuple(column_name(rows[index], place) for place in range(len(rows[index]))),
        start + through,
        sample.count(b"\n", 0, start + through),
        notices=(start, start + above),
    )


def _parse(text: str, delimiter: str, rows: int = 1000) -> list[list[str]]:
    found: list[list[str]] = []
    try:
        for row in csv.reader(io.StringIO(text.replace("\0", " "), newline=""), delimiter=delimiter):
            found.append(row)
            if len(found) >= rows:
                break
    except csv.Error:  # a cell of more than 128 KiB: what came before is enough to judge by
        pass
    return found


def _bytes_of_records(text: str, delimiter: str, count: int) -> int:
    """Bytes that the first ``count`` records take, line breaks inside quotes included."""
    lines = io.StringIO(text.replace("\0", " "), newline="")
    used = 0

    def counted() -> Iterator[str]:
        nonlocal used
        for line in lines:
            used += len(line.encode())
            yield line

    reader = csv.reader(counted(), delimiter=delimiter)
    for _ in range(count):
        next(reader, None)
    return used


def read(
    pieces: Iterable[memoryview | bytes],
    first: bytes | memoryview,
    dialect: Dialect,
    path: str,
    limits: Limits,
) -> Iterator[Chunk | ReadProblem]:
    """The records of a delimited file whose first piece is ``first``, the others coming from ``pieces``."""
    notices = bytes(first[slice(*dialect.notices)])
    if notices.strip():
        yield TextChunk(path, notices, 1)
    line = dialect.skip_lines + 1
    delimiter = dialect.delimiter.encode()
    if len(dialect.header) > limits.columns:
        yield LimitReached(path, "columns", limits.columns)
        yield TextChunk(path, bytes(first[dialect.notices[1] : dialect.skip]), 1)
        for piece in _chain(first[dialect.skip :], pieces):
            yield TextChunk(path, bytes(piece), line)
            line += count(piece, 10)
        return
    for block in _whole_records(_chain(first[dialect.skip :], pieces)):
        breaks = count(block, 10)
        yield LinesChunk(path, dialect.header, delimiter, block, line, breaks)
        line += breaks


def _chain(first: bytes | memoryview, rest: Iterable[memoryview | bytes]) -> Iterator[memoryview | bytes]:
    if len(first):
        yield first
    yield from rest


def _whole_records(pieces: Iterable[memoryview | bytes]) -> Iterator[memoryview | bytes]:
    """Line-aligned pieces realigned so that none ends inside quotes: the number of quotes in each is even.

    A stray quote (``5" pipe``) would hold back everything after it, so what is held back is bounded.
    """
    held = b""
    for piece in pieces:
        if not held and count(piece, 34) % 2 == 0:
            yield piece
            continue
        data = held + bytes(piece)
        cut = _last_even_line(data)
        if cut == 0 and len(data) < _LONGEST_RECORD:
            held = data
            continue
        cut = cut or len(data)
        yield memoryview(data)[:cut]
        held = data[cut:]
    if held:
        yield held


def _last_even_line(data: bytes) -> int:
    """The end of the last line before which quotes are balanced, looked for in the last MiB; else the very end."""
    odd = data.count(b'"') % 2
    cut = end = len(data)
    while odd:
        before = data.rfind(b"\n", 0, cut - 1) + 1
        odd ^= data.count(b'"', before, cut) % 2
        cut = before
        if cut == 0 or end - cut > _LONGEST_RECORD:
            return 0 if cut == 0 and not odd else end
    return cut
