"""DOCX: paragraphs as text, tables as columns, streamed by expat (python-docx builds the whole document in memory)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO

from ..chunks import Chunk, TextChunk
from .archive import EntrySource, open_archive
from .limits import MIB, Budget
from .problems import Encrypted, LimitReached, PicturesNotRead, ReadProblem
from .tables import Columns, find_header, form_text
from .xml import Handler, parse

_PARTS = re.compile(r"word/(document|header\d*|footer\d*|footnotes|endnotes|comments)\.xml\Z")


class _Table:
    def __init__(self) -> None:
        self.rows: list[list[str]] = []
        self.cell: list[str] = []
        self.size = 0


class _Body(Handler):
    """Gathers paragraphs outside tables and whole tables; a table inside a cell is a table of its own."""

    def __init__(self, place: str, limit: int) -> None:
        self.paragraphs: list[str] = []
        self.finished: list[_Table] = []
        self._place, self._limit = place, limit
        self._tables: list[_Table] = []
        self._parts: list[str] = []
        self._open = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name in ("t", "delText", "instrText"):
            self._open = True
        elif name == "tbl":
            self._tables.append(_Table())
        elif name == "tr" and self._tables:
            self._tables[-1].rows.append([])
        elif name in ("tab", "br", "cr"):
            self._parts.append(" ")

    def text(self, text: str) -> None:
        if self._open:
            self._parts.append(text)

    def end(self, name: str) -> None:
        if name in ("t", "delText", "instrText"):
            self._open = False
        elif name == "p":
            paragraph = "".join(self._parts)
            self._parts.clear()
            if self._tables:
                self._tables[-1].cell.append(paragraph)
            else:
                self.paragraphs.append(paragraph)
        elif name == "tc" and self._tables:
            table = self._tables[-1]
            cell = " ".join(part for part in table.cell if part)
            table.cell.clear()
            table.size += len(cell) + 1
            if table.size > self._limit:
                raise LimitReached(self._place, "parser_bytes", self._limit)
            if table.rows:
                table.rows[-1].append(cell)
        elif name == "tbl" and self._tables:
            self.finished.append(self._tables.pop())


def read(file: BinaryIO, place: str, budget: Budget) -> Iterator[Chunk | ReadProblem]:
    """Body, headers, footers, notes and comments; text that a revision deleted is still in the file, so it is read."""
    archive = open_archive(file, place, budget)
    names = archive.namelist()
    number = 0
    for part in sorted(names, key=lambda name: name != "word/document.xml"):
        if not _PARTS.match(part):
            continue
        entry = archive.getinfo(part)
        if entry.flag_bits & 1:
            yield Encrypted(place)
            continue
        path = place if part == "word/document.xml" else f"{place}#{part[5:-4]}"
        body = _Body(place, budget.limits.parser_bytes // 8)
        line = 1
        with EntrySource(archive, entry, place, budget).open() as stream:
            for _ in parse(stream, body, place, budget):
                for table in body.finished:
                    number += 1
                    yield from _table(table.rows, f"{place}#table {number}", budget)
                body.finished.clear()
                if sum(map(len, body.paragraphs)) > MIB:
                    yield _text(path, body.paragraphs, line)
                    line += len(body.paragraphs)
                    body.paragraphs.clear()
        if any(body.paragraphs):
            yield _text(path, body.paragraphs, line)
    if pictures := sum(1 for name in names if name.startswith("word/media/")):
        yield PicturesNotRead(place, pictures)


def _text(path: str, paragraphs: list[str], line: int) -> TextChunk:
    return TextChunk(path, ("\n".join(paragraphs) + "\n").encode("utf-8", "replace"), line)


def _table(rows: list[list[str]], path: str, budget: Budget) -> Iterator[Chunk | ReadProblem]:
    form = form_text(rows)
    if form is not None:
        yield TextChunk(path, form, 1)
        return
    index = find_header(rows)
    columns = Columns(path, rows[index] if index is not None else (), budget.limits)
    start = 0 if index is None else index + 1
    above = "\n".join("\t".join(row) for row in rows[: max(0, start - 1)])
    if above:
        yield TextChunk(path, above.encode("utf-8", "replace"), 1)
    for number, row in enumerate(rows[start:], 1):
        yield from columns.add(number, row)
    yield from columns.flush()
    yield from columns.remarks()
