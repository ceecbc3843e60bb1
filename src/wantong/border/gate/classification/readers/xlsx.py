"""XLSX as columns, streamed from the ZIP by expat.

Not openpyxl: it turns every number into a float or int (``1.10101199001011E+17`` loses how it was written), keeps
all shared strings as objects, and needs about three times as long for the same sheet (`benchmarks/readers.py`). Formulas
are read by their cached value, dates by their number format.
"""

from __future__ import annotations

import posixpath
import re
from array import array
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import BinaryIO

from ..chunks import Chunk, TextChunk
from .archive import EntrySource, open_archive
from .limits import Budget
from .problems import Damaged, DigitsLost, HiddenContent, LimitReached, PicturesNotRead, ReadProblem
from .tables import FORM_ROWS, Columns, column_name, find_header, form_text
from .xml import Handler, parse

_BUILT_IN_DATES = frozenset((*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59)))
_QUOTED = re.compile(r'"[^"]*"|\\.|\[[^\]]*\]')
_MAX_ROWS, _MAX_COLUMNS = 1_048_576, 16_384


class Number(str):
    """A cell that was stored as a number, as text."""

    __slots__ = ()


class Strings:
    """The shared strings in one buffer: 8 bytes beside its text for each, not a Python object."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._ends = array("Q")

    def append(self, text: str) -> None:
        self._data += text.encode("utf-8", "replace")
        self._ends.append(len(self._data))

    def __getitem__(self, index: int) -> str:
        if not 0 <= index < len(self._ends):
            return ""
        return self._data[self._ends[index - 1] if index else 0 : self._ends[index]].decode()


class _StringsHandler(Handler):
    def __init__(self, strings: Strings) -> None:
        self._strings = strings
        self._parts: list[str] = []
        self._open = False
        self._phonetic = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "t":
            self._open = not self._phonetic
        elif name == "rPh":
            self._phonetic = True

    def end(self, name: str) -> None:
        if name == "t":
            self._open = False
        elif name == "rPh":
            self._phonetic = False
        elif name == "si":
            self._strings.append("".join(self._parts))
            self._parts.clear()

    def text(self, text: str) -> None:
        if self._open:
            self._parts.append(text)


class _StylesHandler(Handler):
    """Which cell styles show a number as a date."""

    def __init__(self) -> None:
        self._custom: dict[str, bool] = {}
        self._inside = False
        self.dates: list[bool] = []

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "numFmt":
            code = _QUOTED.sub("", attributes.get("formatCode", "")).lower()
            self._custom[attributes.get("numFmtId", "")] = (
                any(letter in code for letter in "ymdh") and "e+" not in code
            )
        elif name == "cellXfs":
            self._inside = True
        elif name == "xf" and self._inside:
            number = attributes.get("numFmtId", "0")
            built_in = number.isdigit() and int(number) in _BUILT_IN_DATES
            self.dates.append(self._custom.get(number, built_in))

    def end(self, name: str) -> None:
        if name == "cellXfs":
            self._inside = False


class _WorkbookHandler(Handler):
    def __init__(self) -> None:
        self.sheets: list[tuple[str, str, str]] = []  # name, state, relation
        self.epoch_1904 = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "sheet":
            relation = next((v for k, v in attributes.items() if k.endswith(":id") or k == "id"), "")
            self.sheets.append((attributes.get("name", "?"), attributes.get("state", "visible"), relation))
        elif name == "workbookPr":
            self.epoch_1904 = attributes.get("date1904") in ("1", "true")


class _RelationsHandler(Handler):
    def __init__(self) -> None:
        self.targets: dict[str, str] = {}

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "Relationship" and attributes.get("TargetMode") != "External":
            self.targets[attributes.get("Id", "")] = attributes.get("Target", "")


def serial_date(serial: float, epoch_1904: bool) -> str | None:
    """An Excel date serial as ISO text; None if it is none. (Day 60 of 1900 never was, but Excel has it.)"""
    if not 0 <= serial < 2_958_466:
        return None
    start = datetime(1904, 1, 1) if epoch_1904 else datetime(1899, 12, 30 if serial >= 60 else 31)  # noqa: DTZ001
    moment = start + timedelta(days=int(serial), seconds=round((serial - int(serial)) * 86_400))
    if serial < 1:
        return moment.strftime("%H:%M:%S")
    return (
        moment.date().isoformat() if serial == int(serial) else moment.isoformat(sep=" ", timespec="seconds")
    )


def number_text(raw: str) -> tuple[str, bool]:
    """A stored number as its digits, and whether digits of a long integer are gone (15 is what Excel keeps)."""
    plain = raw.lstrip("-")
    if plain.isdigit():
        return raw, len(plain) > 15 and plain[15:].strip("0") == ""
    if "e" not in plain and "E" not in plain:
        return raw, False
    try:
        value = float(raw)
    except ValueError:
        return raw, False
    if abs(value) < 1e15 or abs(value) >= 1e25:
        return repr(value) if value != int(value) or abs(value) >= 1e25 else str(int(value)), False
    mantissa, _, exponent = plain.lower().partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).ljust(int(exponent) + len(whole), "0")
    return digits, True


class _SheetHandler(Handler):
    def __init__(self, strings: Strings, dates: list[bool], epoch_1904: bool, limits_columns: int) -> None:
        self._strings, self._dates, self._epoch_1904 = strings, dates, epoch_1904
        self._max_columns = min(limits_columns, _MAX_COLUMNS)
        self.rows: list[tuple[int, list[str]]] = []
        self.lost: dict[int, int] = {}
        self.hidden = False
        self.too_wide = False
        self._number = 0
        self._row: list[str] = []
        self._column = -1
        self._type = self._style = ""
        self._parts: list[str] = []
        self._open = self._phonetic = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "c":
            self._column = self._place(attributes.get("r", ""))
            self._type, self._style = attributes.get("t", "n"), attributes.get("s", "")
            self._parts.clear()
        elif name == "v" or name == "t":
            self._open = not self._phonetic
        elif name == "row":
            number = attributes.get("r", "")
            self._number = int(number) if number.isdigit() and len(number) < 9 else self._number + 1
            self._row = []
            self._column = -1
            self.hidden |= attributes.get("hidden") in ("1", "true")
        elif name == "rPh":
            self._phonetic = True
        elif name == "col":
            self.hidden |= attributes.get("hidden") in ("1", "true")

    def text(self, text: str) -> None:
        if self._open:
            self._parts.append(text)

    def end(self, name: str) -> None:
        if name == "v" or name == "t":
            self._open = False
        elif name == "c":
            if self._parts:
                self._put(self._value("".join(self._parts)))
        elif name == "row":
            if self._row:
                self.rows.append((self._number, self._row))
                self._row = []
        elif name == "rPh":
            self._phonetic = False

    def _place(self, reference: str) -> int:
        """The column index of ``BC12``; the next one if there is no reference."""
        index = 0
        for char in reference:
            if "A" <= char <= "Z":
                index = index * 26 + ord(char) - 64
                if index > _MAX_COLUMNS:
                    break
            else:
                break
        return index - 1 if index else self._column + 1

    def _put(self, value: str) -> None:
        if self._column >= self._max_columns:
            self.too_wide = True
            return
        missing = self._column - len(self._row)
        if missing < 0:
            self._row[self._column] = value
            return
        if missing:
            self._row.extend([""] * missing)
        self._row.append(value)

    def _value(self, raw: str) -> str:
        if self._type == "s":
            return self._strings[int(raw)] if raw.isdigit() and len(raw) < 10 else ""
        if self._type == "n":
            if (
                self._style
                and self._style.isdigit()
                and int(self._style) < len(self._dates)
                and self._dates[int(self._style)]
            ):
                try:
                    return serial_date(float(raw), self._epoch_1904) or raw
                except ValueError:
                    return raw
            value, lost = number_text(raw)
            if lost:
                self.lost[self._column] = self.lost.get(self._column, 0) + 1
                return value
            return Number(value)
        if self._type == "b":
            return "true" if raw == "1" else "false"
        return raw


class Workbook:
    """An XLSX file. Raises :class:`Damaged` and the like when what names its sheets cannot be read."""

    def __init__(self, file: BinaryIO, place: str, budget: Budget) -> None:
        self.place, self._budget = place, budget
        self._archive = open_archive(file, place, budget)
        self.names = frozenset(self._archive.namelist())
        if len(self.names) > budget.limits.entries:
            raise LimitReached(place, "entries", budget.limits.entries)
        workbook = _WorkbookHandler()
        self._read("xl/workbook.xml", workbook)
        relations = _RelationsHandler()
        if "xl/_rels/workbook.xml.rels" in self.names:
            self._read("xl/_rels/workbook.xml.rels", relations)
        self._epoch_1904 = workbook.epoch_1904
        self.sheets: list[tuple[str, bool, str]] = []  # name, hidden, part
        for name, state, relation in workbook.sheets:
            target = relations.targets.get(relation, "")
            part = (
                target.lstrip("/")
                if target.startswith("/")
                else posixpath.normpath(posixpath.join("xl", target))
            )
            self.sheets.append((name, state != "visible", part))
        self._strings = Strings()
        self._dates: list[bool] | None = None

    def _read(self, part: str, handler: Handler) -> None:
        for _ in self._parse(part, handler):
            pass

    def _parse(self, part: str, handler: Handler) -> Iterator[None]:
        source = EntrySource(self._archive, self._archive.getinfo(part), self.place, self._budget)
        if source.entry.flag_bits & 1:
            raise Damaged(self.place, reason="part-encrypted", part=part)
        with source.open() as stream:
            yield from parse(stream, handler, self.place, self._budget)

    def _load(self) -> None:
        """Strings and styles, once a sheet needs them."""
        styles = _StylesHandler()
        if "xl/styles.xml" in self.names:
            self._read("xl/styles.xml", styles)
        if "xl/sharedStrings.xml" in self.names:
            self._read("xl/sharedStrings.xml", _StringsHandler(self._strings))
        self._dates = styles.dates

    def rows(self, part: str) -> Iterator[tuple[int, list[str]] | _SheetHandler]:
        """(row number from 1, cells) of a sheet; at the end the handler that knows what was lost."""
        if part not in self.names:
            return  # a chart sheet, or a reference to nothing
        if self._dates is None:
            self._load()
        assert self._dates is not None
        sheet = _SheetHandler(self._strings, self._dates, self._epoch_1904, self._budget.limits.columns)
        last = 0
        for _ in self._parse(part, sheet):
            for number, row in sheet.rows:
                if number > _MAX_ROWS:
                    raise Damaged(self.place, reason="sheet-rows", row=number, most=_MAX_ROWS)
                last = max(last + 1, number)
                yield last, row
            sheet.rows.clear()
        yield sheet


def read(file: BinaryIO, place: str, budget: Budget) -> Iterator[Chunk | ReadProblem]:
    """All sheets of a workbook, hidden ones too, then its comments."""
    book = Workbook(file, place, budget)
    for name, hidden, part in book.sheets:
        path = f"{place}#{''.join(c for c in name if c.isprintable())[:64]}"
        if hidden:
            yield HiddenContent(path)
        try:
            yield from _sheet(book, path, part, hidden, budget)
        except (Damaged, LimitReached) as problem:
            yield type(problem)(**{**problem.params, "path": path})
    for part in sorted(book.names):
        if re.fullmatch(r"xl/(threadedComments/threadedComment|comments/comment|comments)\d+\.xml", part):
            strings = _AllText()
            book._read(part, strings)
            yield TextChunk(f"{place}#{posixpath.basename(part)}", strings.data(), 1)
    if pictures := sum(1 for part in book.names if part.startswith("xl/media/")):
        yield PicturesNotRead(place, pictures)


class _AllText(Handler):
    """All text of a part, a line for each paragraph-like element."""

    def __init__(self) -> None:
        self._parts: list[str] = []

    def text(self, text: str) -> None:
        self._parts.append(text)

    def end(self, name: str) -> None:
        if name in ("comment", "text", "threadedComment", "p"):
            self._parts.append("\n")

    def data(self) -> bytes:
        return "".join(self._parts).encode("utf-8", "replace")


def _sheet(
    book: Workbook, path: str, part: str, hidden: bool, budget: Budget
) -> Iterator[Chunk | ReadProblem]:
    rows = book.rows(part)
    first: list[tuple[int, list[str]]] = []
    sheet: _SheetHandler | None = None
    for item in rows:
        if isinstance(item, _SheetHandler):
            sheet = item
            break
        first.append(item)
        if len(first) >= FORM_ROWS:
            break
    form = form_text([row for _, row in first]) if sheet is not None else None
    if form is not None:
        yield TextChunk(path, form, 1)
        first = []
    index = find_header([row for _, row in first])
    header: list[str] = []
    offset = 0
    if index is not None:
        offset, header = first[index]
        above = "\n".join("\t".join(cell for cell in row if cell) for _, row in first[:index])
        if above:
            yield TextChunk(path, above.encode("utf-8", "replace"), 1)
        first = first[index + 1 :]
    columns = Columns(path, header, budget.limits)
    for number, row in first:
        yield from columns.add(number - offset, row)
    if sheet is None:
        for item in rows:
            if isinstance(item, _SheetHandler):
                sheet = item
            else:
                yield from columns.add(item[0] - offset, item[1])
    yield from columns.flush()
    yield from columns.remarks()
    if sheet is not None:
        for lost, count in sorted(sheet.lost.items()):
            yield DigitsLost(path, column_name(header, lost), count)
        if sheet.too_wide:
            yield LimitReached(path, "columns", budget.limits.columns)
        if sheet.hidden and not hidden:
            yield HiddenContent(path)
