"""JSON and JSON lines as columns: ``{"person": {"id": 1}}`` is a cell of the column ``person.id``.

Lists add nothing to a path, so a list of people is a table. Names of members that look like data (a map keyed by
identity numbers) are data: they become cells of ``people.(key)`` and share the column ``people.*``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from ..chunks import CellsChunk, TextChunk
from .limits import MIB, Limits
from .problems import CellsCut, Damaged, LimitReached, ReadProblem
from .tables import one_a_line

ROOT = "$"
_DATA_KEY = re.compile(r"\d{5}|@|\A\W*\d[\d\W]*\Z|.{65}", re.DOTALL)


def is_data(key: str) -> bool:
    """Whether the name of a member is itself a datum, as in a map keyed by identity numbers."""
    return _DATA_KEY.search(key) is not None


class _Column:
    __slots__ = ("cells", "name", "next")

    def __init__(self, name: str) -> None:
        self.name, self.next = name, 1
        self.cells: list[str] = []


class _Cells:
    """Cells by column path, given out when about a MiB is held."""

    def __init__(self, path: str, limits: Limits) -> None:
        self._path, self._limits = path, limits
        self._columns: dict[str, _Column] = {}
        self._names: dict[tuple[str, str], str] = {}
        self._size = 0
        self._cut = 0
        self._too_many = False

    def name(self, parent: str, key: str, row: int) -> str:
        """The column path of a member ``key`` of ``parent``; a key that is data is stored as a cell."""
        known = self._names.get((parent, key))
        if known is not None:
            return known
        if is_data(key):
            self.put(f"{parent}.(key)" if parent else "(key)", key, row)
            return f"{parent}.*" if parent else "*"
        made = f"{parent}.{key}" if parent else key
        if len(self._names) < self._limits.columns:
            self._names[parent, key] = made
        return made

    def put(self, path: str, value: str, row: int) -> None:
        """A cell; empty ones before it are added so that rows stay side by side (up to ten thousand)."""
        column = self._columns.get(path)
        if column is None:
            if len(self._columns) >= self._limits.columns:
                self._too_many = True
                path = "*"
            column = self._columns.setdefault(path, _Column(path))
        size = len(value)
        if size > self._limits.cell_bytes:
            value = value[: self._limits.cell_bytes]
            self._cut += 1
        missing = row - column.next
        if 0 < missing <= 10_000:
            column.cells.extend([""] * missing)
            column.next += missing
            size += missing
        column.cells.append(value)
        column.next += 1
        self._size += size + 1

    def flush(self) -> Iterator[CellsChunk]:
        """What is held."""
        self._size = 0
        for column in self._columns.values():
            if column.cells:
                yield CellsChunk(
                    self._path, column.name or ROOT, one_a_line(column.cells), column.next - len(column.cells)
                )
                column.cells = []

    def flush_if_ready(self) -> Iterator[CellsChunk]:
        """What is held if it is enough."""
        if self._size >= MIB:
            yield from self.flush()

    def remarks(self) -> Iterator[ReadProblem]:
        """What happened to be out of bounds."""
        if self._too_many:
            yield LimitReached(self._path, "columns", self._limits.columns)
        if self._cut:
            yield CellsCut(self._path, self._cut, self._limits.cell_bytes)


class Members(list[tuple[str, Any]]):
    """A JSON object as pairs: a name that stands twice must not hide its first value."""


_decode = json.JSONDecoder(
    object_pairs_hook=Members, parse_int=str, parse_float=str, parse_constant=str, strict=False
).decode


def looks_like_lines(sample: bytes) -> bool:
    """Whether a text that begins with ``{`` or ``[`` holds one JSON value a line."""
    lines = [line for line in sample.split(b"\n")[:3] if line.strip()]
    if len(lines) < 2:
        return False
    try:
        return all(isinstance(_decode(line.decode("utf-8", "replace")), list) for line in lines[:2])
    except (ValueError, RecursionError):
        return False


def read_lines(
    pieces: Iterable[memoryview | bytes], path: str, limits: Limits
) -> Iterator[CellsChunk | TextChunk | ReadProblem]:
    """JSON lines. A line that is no JSON is read as text, and the first such is told."""
    cells = _Cells(path, limits)
    number = row = 0
    bad = 0
    for piece in pieces:
        for raw in bytes(piece).split(b"\n"):
            number += 1
            if not raw.strip():
                continue
            row += 1
            text = raw.decode("utf-8", "replace")
            try:
                value = _decode(text)
                _walk(value, cells, row, limits)
            except (ValueError, RecursionError) as error:
                bad += 1
                if bad == 1:
                    yield Damaged(path, reason="json-line", line=number, told=error)
                yield TextChunk(path, raw, number)
            yield from cells.flush_if_ready()
        if bytes(piece[-1:]) == b"\n":
            number -= 1
    yield from cells.flush()
    yield from cells.remarks()


def _walk(value: Any, cells: _Cells, row: int, limits: Limits) -> None:
    stack: list[tuple[str, Any, int]] = [("", value, 0)]
    while stack:
        column, value, depth = stack.pop()
        if depth > limits.nesting:
            raise ValueError(f"nested deeper than {limits.nesting}")
        if isinstance(value, Members):
            stack.extend((cells.name(column, key, row), item, depth + 1) for key, item in reversed(value))
        elif isinstance(value, list):
            stack.extend((column, item, depth + 1) for item in reversed(value))
        elif value is not None:
            cells.put(column, value if isinstance(value, str) else str(value).lower(), row)


# a whole member with a plain value comes first: one match instead of four for most of what there is
_TOKEN = re.compile(
    r"""
    "([^"\\]*+)"\s*+:\s*+(?:"([^"\\]*+)"|([^\s{}\[\],:"]++)(?=[\s,}]))\s*+(,?)
    | ([{}\[\],:])
    | "((?:[^"\\]*+(?:\\.[^"\\]*+)*+))"
    | ([^\s{}\[\],:"]++)
    | (")                       # a string that does not end here
    """,
    re.VERBOSE | re.DOTALL,
)
_LITERAL = re.compile(r"(?:true|false|null|-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)\Z")
_LONGEST = 16 * MIB


def looks_like_document(sample: bytes) -> bool:
    """Whether a text that begins with ``{`` or ``[`` goes on as JSON does, as far as ``sample`` reaches."""
    text = sample.decode("utf-8", "replace")
    tokens = list(islice(_TOKEN.finditer(text), 400))
    bare = [token[3] or token[7] for token in tokens if (token[3] or token[7]) and token.end() < len(text)]
    if not all(map(_LITERAL.match, bare)):
        return False
    first, second = tokens[0][5], tokens[1] if len(tokens) > 1 else None
    return second is not None and (
        first == "[" or second[1] is not None or second[6] is not None or second[5] == "}"
    )


def read(
    pieces: Iterable[memoryview | bytes], path: str, limits: Limits
) -> Iterator[CellsChunk | ReadProblem]:
    """One JSON document of any size, streamed.

    In a list of objects the rows are its elements; elsewhere they count the values of each column. This is a scan
    and no validation: what is malformed is told once, and whatever still looks like a value is read.

    Not ijson: its C parser dies with a segmentation fault on a number of more than 4,300 digits (3.6.0), and it
    turns numbers into Decimal, which forgets how they were written.
    """
    document = _Document(path, limits)
    rest = ""
    for piece in pieces:
        text = rest + str(piece, "utf-8")
        rest = document.feed(text)
        yield from document.cells.flush_if_ready()
        if document.stopped:
            break
        if len(rest) > _LONGEST:
            yield LimitReached(path, "cell_bytes", limits.cell_bytes)
            rest = ""
            break
    else:
        document.end(rest)
    yield from document.cells.flush()
    yield from document.cells.remarks()
    if document.stopped:
        yield document.stopped
    elif document.damage:
        yield Damaged(path, reason=document.damage)


class _Document:
    """The state of a scan: which objects and lists are open, and the column their values belong to."""

    def __init__(self, path: str, limits: Limits) -> None:
        self.cells = _Cells(path, limits)
        self.damage = ""
        self.stopped: ReadProblem | None = None
        self._path, self._nesting = path, limits.nesting
        self._open: list[tuple[bool, str]] = []  # is it an object, its column
        self._column = ""
        self._key = False  # the next string names a member
        self._row = 0

    def feed(self, text: str) -> str:
        """Scan ``text``; returns its end that may go on in the next piece."""
        cells = self.cells
        for token in _TOKEN.finditer(text):
            key, plain, value, comma, mark, string, bare, _ = token.groups()
            if key is not None:
                parent = self._open[-1][1] if self._open else ""
                self._column = cells.name(parent, key, self._row)
                if plain is not None:
                    cells.put(self._column, plain, self._row)
                else:
                    self._literal(value)
                self._key = comma == "," and bool(self._open) and self._open[-1][0]
            elif string is not None:
                value = _unescape(string) if "\\" in string else string
                if self._key:
                    self._column = cells.name(self._open[-1][1], value, self._row)
                else:
                    cells.put(self._column, value, self._row)
            elif bare is not None:
                if token.end() == len(text):
                    return bare
                self._literal(bare)
            elif mark is None:
                return text[token.start() :]
            elif mark in "{[":
                if len(self._open) >= self._nesting:
                    self.stopped = LimitReached(self._path, "nesting", self._nesting)
                    return ""
                if len(self._open) == 1 and not self._open[0][0]:
                    self._row += 1
                self._open.append((mark == "{", self._column))
                self._key = mark == "{"
            elif mark == ",":
                if self._open:
                    self._key, self._column = self._open[-1]
            elif mark == ":":
                self._key = False
            elif self._open:
                if self._open[-1][0] is not (mark == "}"):
                    self.damage = self.damage or "json-brackets"
                self._column = self._open.pop()[1]
                self._key = False
            else:
                self.damage = self.damage or "json-brackets"
        return ""

    def end(self, rest: str) -> None:
        """The text is over; ``rest`` is what :meth:`feed` gave back last."""
        if rest.startswith('"'):
            self.cells.put(self._column, rest[1:], self._row)
            self.damage = "json-string"
        elif rest:
            self._literal(rest)
        if self._open:
            self.damage = self.damage or "json-end"

    def _literal(self, bare: str) -> None:
        if bare != "null":
            self.cells.put(self._column, bare, self._row)
            if not _LITERAL.match(bare):
                self.damage = self.damage or "json-words"


def _unescape(string: str) -> str:
    try:
        value: str = json.loads(f'"{string}"', strict=False)
    except ValueError:
        return string
    return value
