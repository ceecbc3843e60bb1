"""What every table has in common: where its header stands, and turning rows into columns."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import zip_longest

from ..chunks import CellsChunk
from ..columns import is_address, is_han_name, looks_like_name
from ..kinds import context_kinds, header_text, identifiers, word_pattern
from .limits import MIB, Limits
from .problems import CellsCut, LimitReached, ReadProblem

HEADER_ROWS = 40
"""A header is looked for in so many first rows: notices of an office may stand above it."""

_DATA = re.compile(
    r"[-+(]?[\d０-９][\d０-９.,:/\s%eE()+-]*\Z"  # a number, a date, a time
    r"|[^@\s]+@[^@\s]+\.\w+\Z"
    r"|\d{4}年.*|(?=.*\d{5}).+",  # a written date; anything with a long number
    re.DOTALL,
)
_YEAR = re.compile(r"(?:19|20)\d\d[年]?\Z")
_LABELS = frozenset(
    [
        "id",
        "no",
        "name",
        "names",
        "email",
        "e-mail",
        "mail",
        "phone",
        "mobile",
        "tel",
        "address",
        "passport",
        "hkid",
        "dob",
        "date",
        "text",
        "nome",
        "telefone",
        "morada",
        "姓名",
        "名称",
        "名稱",
        "证件号",
        "證件號",
        "证件号码",
        "證件號碼",
        "身份证",
        "身份證",
        "身份证号",
        "身份證號",
        "身份证号码",
        "身份證號碼",
        "电话",
        "電話",
        "手机",
        "手機",
        "手机号",
        "手机号码",
        "邮箱",
        "郵箱",
        "电邮",
        "電郵",
        "地址",
        "住址",
        "序号",
        "序號",
        "编号",
        "編號",
        "备注",
        "備註",
        "性别",
        "性別",
        "车牌",
        "車牌",
        "卡号",
        "卡號",
        "账号",
        "帳號",
        "出生日期",
    ]
)


def find_header(rows: Sequence[Sequence[str]], *, named: bool = False) -> int | None:
    """Which of a table's first rows names its columns; None if none does (the data begin at once).

    The header is the first row about as wide as the table, if it looks like names and not like data. The first cell of
    a single column is its name if it is a usual one or stands over figures; if the rows are surely a table and no list
    (``named``), also if nothing about it is like a value.
    """
    widths = Counter(len(cells) for row in rows if (cells := _filled(row)))
    if not widths:
        return None
    usual = max(widths, key=lambda width: (widths[width], width))
    for index, row in enumerate(rows[:HEADER_ROWS]):
        cells = _filled(row)
        if len(cells) < max(1, 0.6 * usual) or (usual > 1 and len(cells) == 1):
            continue
        below = [_filled(row) for row in rows[index + 1 :]]
        if _names(cells, below) or (named and usual == 1 and _is_name(cells[0], [b[0] for b in below if b])):
            return index
        return None
    return None


FORM_ROWS = HEADER_ROWS + 20
"""A form is a page: a table of more rows is none."""


@cache
def _kind_words() -> re.Pattern[str]:
    every = (*identifiers(), *context_kinds())
    return word_pattern([word for kind in every for word in kind.all_words])


def _is_label(cell: str) -> bool:
    if cell.endswith((":", "：")):
        return True
    return len(cell) <= 20 and not _DATA.match(cell) and bool(_kind_words().search(header_text(cell)))


def labels_of(row: Sequence[str]) -> list[str]:
    """For each cell of a form's row the label before it, without its colon; empty for labels and what has none."""
    labels: list[str] = []
    label = ""
    for cell in (cell.strip() for cell in row):
        if cell and (label or not _is_label(cell)):
            labels.append(label)
            label = ""
        else:
            labels.append("")
            label = cell.rstrip(":： ") or label
    return labels


def form_text(rows: Sequence[Sequence[str]]) -> bytes | None:
    """A table that is a form, with labels beside their values, as running text (``姓名：张伟``); None if it is none.

    Read as columns it would hide what the labels say, and show the first person's name as a column's.
    """
    filled = [cells for row in rows if len(cells := _filled(row)) > 1]
    forms = [c for c in filled if _is_label(c[0]) and not _is_label(c[1])]
    if not 2 <= len(rows) <= FORM_ROWS or len(forms) < max(2, 0.6 * len(filled)):
        return None
    lines: list[str] = []
    for row in rows:
        for label, cell in zip(labels_of(row), row, strict=True):
            if label:
                lines.pop()
            if cell.strip():
                lines.append(f"{label}：{cell}" if label else cell)
    return ("\n".join(" ".join(line.split()) for line in lines) + "\n").encode("utf-8", "replace")


def _filled(row: Sequence[str]) -> list[str]:
    return [cell.strip() for cell in row if cell and cell.strip()]


def _names(cells: Sequence[str], below: Sequence[Sequence[str]]) -> bool:
    data = sum(1 for cell in cells if _DATA.match(cell) and not _YEAR.match(cell))
    if data > 0.2 * len(cells) or any(len(cell) > 200 for cell in cells):
        return False
    if len(cells) == 1:
        label = cells[0].lower()
        others = [row[0] for row in below if row]
        return label in _LABELS or (
            bool(others) and sum(1 for cell in others if _DATA.match(cell)) > len(others) / 2
        )
    repeated = sum(1 for cell in cells if any(cell in row for row in below[:HEADER_ROWS]))
    return len(set(cells)) >= 0.8 * len(cells) and repeated <= 0.3 * len(cells)


_NOT_A_COLUMN = re.compile(r"[:：。！？；@]|[.!?;]\Z|\d[\d -]{5,}")
_SHORT_HAN = re.compile(r"[㐀-鿿]{2,4}")


def _is_name(cell: str, below: Sequence[str]) -> bool:
    """Whether the first cell of a single column may be its name.

    What is taken for a name is neither found nor masked, so nobody's own name or address may pass for one. A Chinese
    word (项目, 高度) often looks like somebody's name: what stands below decides.
    """
    if len(cell) > 60 or _DATA.match(cell) or _NOT_A_COLUMN.search(cell) or cell in below:
        return False
    if _is_label(cell):
        return True
    personal = sum(map(_is_personal, below)) / len(below) if below else 0.5
    if _is_personal(cell):
        return personal <= 0.2 and is_han_name(cell)
    # over names that nearly all are known as such, a cell that is none is no name nobody knows
    return personal <= 0.5 or (personal >= 0.9 and not _SHORT_HAN.fullmatch(cell))


def _is_personal(cell: str) -> bool:
    return looks_like_name(cell) or is_address(cell)


def column_name(header: Sequence[str], index: int) -> str:
    """The name of column ``index`` (from 0); a column without one is called ``#3`` by its place."""
    name = header[index].strip() if index < len(header) else ""
    return name or f"#{index + 1}"


class Columns:
    """Rows in, :class:`CellsChunk` out: cells gathered a column at a time until about a MiB is held.

    Rows may be ragged and numbers may jump (an XLSX leaves out empty rows). Cells longer than the bound are cut,
    which :meth:`remarks` tells.
    """

    def __init__(self, path: str, header: Sequence[str], limits: Limits) -> None:
        self._path, self._header, self._limits = path, header, limits
        self._rows: list[Sequence[str]] = []
        self._first = 1
        self._size = 0
        self._cut = 0
        self._too_wide = False

    def add(self, number: int, row: Sequence[str]) -> Iterator[CellsChunk]:
        """One row, ``number`` from 1; yields chunks when enough is held."""
        if number != self._first + len(self._rows):
            yield from self.flush()
            self._first = number
        if len(row) > self._limits.columns:
            self._too_wide = True
            row = [*row[: self._limits.columns - 1], " ".join(row[self._limits.columns - 1 :])]
        self._rows.append(row)
        self._size += sum(map(len, row)) + len(row)
        if self._size >= MIB:
            yield from self.flush()

    def flush(self) -> Iterator[CellsChunk]:
        """What is still held."""
        rows, first = self._rows, self._first
        self._rows, self._first, self._size = [], first + len(rows), 0
        for index, cells in enumerate(zip_longest(*rows, fillvalue="")):
            if any(cells):
                yield CellsChunk(self._path, column_name(self._header, index), self._lines(cells), first)

    def remarks(self) -> Iterator[ReadProblem]:
        """What happened to be out of bounds."""
        if self._too_wide:
            yield LimitReached(self._path, "columns", self._limits.columns)
        if self._cut:
            yield CellsCut(self._path, self._cut, self._limits.cell_bytes)

    def _lines(self, cells: Sequence[str]) -> bytes:
        limit = self._limits.cell_bytes
        if max(map(len, cells)) > limit:
            self._cut += sum(1 for cell in cells if len(cell) > limit)
            cells = [cell[:limit] for cell in cells]
        return one_a_line(cells)


def one_a_line(cells: Sequence[str]) -> bytes:
    """Cells as a chunk holds them: line breaks inside one become a blank."""
    joined = "\n".join(cells)
    if joined.count("\n") >= len(cells) or "\r" in joined:
        joined = "\n".join(" ".join(cell.splitlines()) for cell in cells)
    return joined.encode("utf-8", "replace")
