"""Files of every format, each with the truth about itself."""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from random import Random

import docx
import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
from reportlab.lib.pagesizes import A4
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfgen import canvas

ANYWHERE = "*"
Place = tuple[str, str | None]  # what follows the file's name, and the column


@dataclass(frozen=True)
class Paper:
    """One file and what it holds.

    `truth` counts values by (place, column, kind); the column "*" asks for the kind anywhere in the file.
    `fair` are (kind, column) that an honest reader may report or not ("*" for any column); they count neither way.
    """

    name: str
    data: bytes
    truth: dict[tuple[str, str | None, str], int]
    fair: frozenset[tuple[str, str]] = frozenset()
    values: frozenset[str] = frozenset()
    """what must not be left in a masked copy: the values that are there"""


@dataclass(frozen=True)
class Column:
    """A column: its header, its cells, and the kind of all cells (`kind`) or of each (`kinds`)."""

    header: str
    cells: Sequence[object]
    kind: str | None = None
    kinds: Sequence[str | None] | None = None

    def truth(self) -> Counter[str]:
        kinds = self.kinds or [self.kind] * len(self.cells)
        return Counter(k for k, cell in zip(kinds, self.cells, strict=True) if k and cell not in ("", None))


@dataclass(frozen=True)
class Table:
    """Columns, with rows above the header (titles) and below the data (notes)."""

    name: str
    columns: Sequence[Column]
    above: Sequence[Sequence[str]] = ()
    below: Sequence[Sequence[str]] = ()
    headless: bool = False
    fair: Iterable[tuple[str, str]] = ()

    def rows(self) -> list[list[object]]:
        body = [list(row) for row in zip(*(c.cells for c in self.columns), strict=True)]
        head = [] if self.headless else [[c.header for c in self.columns]]
        return [*map(list, self.above), *head, *body, *map(list, self.below)]

    def truth(self, place: str = "", prefix: str = "") -> dict[tuple[str, str | None, str], int]:
        found: Counter[tuple[str, str | None, str]] = Counter()
        for column in self.columns:
            for kind, n in column.truth().items():
                found[place, ANYWHERE if self.headless else prefix + column.header, kind] += n
        return dict(found)

    def paper(self, ending: str, data: bytes, place: str = "", prefix: str = "") -> Paper:
        return Paper(
            f"{self.name}.{ending}", data, self.truth(place, prefix), frozenset(self.fair), self.values()
        )

    def values(self) -> frozenset[str]:
        """Cells that hold nothing but a value of their kind, long enough to be told from other text."""
        return frozenset(
            str(cell)
            for c in self.columns
            for kind, cell in zip(c.kinds or [c.kind] * len(c.cells), c.cells, strict=True)
            if kind and kind not in ("name", "health", "religion", "location") and len(str(cell)) >= 6
        )

    def csv(
        self,
        encoding: str = "utf-8",
        delimiter: str = ",",
        quoting: int = csv.QUOTE_MINIMAL,
        ending: str = "csv",
        newline: str = "\r\n",
    ) -> Paper:
        out = io.StringIO()
        csv.writer(out, delimiter=delimiter, quoting=quoting, lineterminator=newline).writerows(self.rows())  # type: ignore[arg-type]
        return self.paper(ending, out.getvalue().encode(encoding))

    def xlsx(self, sheet: str = "Sheet1", merge: Sequence[str] = ()) -> Paper:
        return workbook(f"{self.name}.xlsx", {sheet: self}, merge)

    def jsonl(self) -> Paper:
        keys = [c.header for c in self.columns]
        body = zip(*(c.cells for c in self.columns), strict=True)
        lines = [
            json.dumps(dict(zip(keys, row, strict=True)), ensure_ascii=False, default=str) for row in body
        ]
        return self.paper("jsonl", "\n".join(lines).encode())

    def nested(self) -> Paper:
        keys = [c.header for c in self.columns]
        body = zip(*(c.cells for c in self.columns), strict=True)
        records = [
            {"meta": {"seq": i, "src": "export"}, "rec": dict(zip(keys, row, strict=True))}
            for i, row in enumerate(body)
        ]
        text = json.dumps(
            {"code": 0, "msg": "ok", "data": {"total": len(records), "list": records}},
            ensure_ascii=True,
            default=str,
            indent=1,
        )
        return self.paper("json", text.encode(), prefix="data.list.rec.")

    def parquet(self) -> Paper:
        out = io.BytesIO()
        pq.write_table(pa.table({c.header: list(c.cells) for c in self.columns}), out)
        return self.paper("parquet", out.getvalue())

    def docx(self, before: str = "") -> Paper:
        document = docx.Document()
        if before:
            document.add_paragraph(before)
        rows = self.rows()
        grid = document.add_table(len(rows), len(rows[0]))
        for row, cells in zip(grid.rows, rows, strict=True):
            for cell, value in zip(row.cells, cells, strict=True):
                cell.text = str(value)
        out = io.BytesIO()
        document.save(out)
        return self.paper("docx", out.getvalue(), "#table 1")


def workbook(name: str, sheets: dict[str, Table], merge: Sequence[str] = ()) -> Paper:
    book = openpyxl.Workbook()
    book.remove(book.active)
    truth: dict[tuple[str, str | None, str], int] = {}
    fair: set[tuple[str, str]] = set()
    for title, table in sheets.items():
        sheet = book.create_sheet(title)
        for row in table.rows():
            sheet.append(row)
        for cells in merge:
            sheet.merge_cells(cells)
        truth |= table.truth(f"#{title}")
        fair |= set(table.fair)
    out = io.BytesIO()
    book.save(out)
    return Paper(name, out.getvalue(), truth, frozenset(fair))


def archive(name: str, papers: Sequence[Paper]) -> Paper:
    out = io.BytesIO()
    truth = {}
    fair: set[tuple[str, str]] = set()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as bundle:
        for paper in papers:
            bundle.writestr(paper.name, paper.data)
            truth |= {
                (f"!/{paper.name}{place}", column, kind): n
                for (place, column, kind), n in paper.truth.items()
            }
            fair |= paper.fair
    return Paper(name, out.getvalue(), truth, frozenset(fair))


MARK = re.compile("⟪(.*?)¦(.*?)⟫", re.DOTALL)


def mark(kind: str, value: str) -> str:
    return f"⟪{kind}¦{value}⟫"


@dataclass
class Prose:
    """Running text in the making; `mark` says in a line what a value is."""

    name: str
    fair: frozenset[tuple[str, str]] = frozenset()
    lines: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    values: set[str] = field(default_factory=set)

    def line(self, text: str) -> None:
        marked = MARK.findall(text)
        self.counts.update(kind for kind, _ in marked)
        self.values.update(value for kind, value in marked if kind not in ("name", "mrz"))
        self.lines += MARK.sub(r"\2", text).split("\n")

    def truth(self, place: str = "", column: str | None = None) -> dict[tuple[str, str | None, str], int]:
        return {(place, column, kind): n for kind, n in self.counts.items()}

    def text(self, ending: str = "txt", encoding: str = "utf-8", newline: str = "\n") -> Paper:
        return Paper(
            f"{self.name}.{ending}",
            newline.join(self.lines).encode(encoding),
            self.truth(column=ANYWHERE),
            self.fair,
        )

    def docx(self) -> Paper:
        document = docx.Document()
        for line in self.lines:
            document.add_paragraph(line)
        out = io.BytesIO()
        document.save(out)
        return Paper(f"{self.name}.docx", out.getvalue(), self.truth(), self.fair)

    def pdf(self) -> Paper:
        pdfmetrics.registerFont(UnicodeCIDFont("STSong-Light"))
        out = io.BytesIO()
        page = canvas.Canvas(out, pagesize=A4)
        for number, line in enumerate(self.lines):
            if number and number % 40 == 0:
                page.showPage()
            page.setFont("STSong-Light", 9)
            page.drawString(40, 800 - number % 40 * 18, line)
        page.save()
        return Paper(f"{self.name}.pdf", out.getvalue(), self.truth(ANYWHERE, None), self.fair)


def serial(rng: Random, n: int, first: str = "") -> str:
    return first + "".join(rng.choice("0123456789") for _ in range(n - len(first)))
