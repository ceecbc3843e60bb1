"""Tables read and written anew in their own format: the ground under :mod:`.masking`.

Each format gives its cells a column at a time, in batches, to a function that says what to write instead.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import IO, Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from wantong.border.gate.classification import readers
from wantong.border.gate.classification.marks import MARK
from wantong.border.gate.classification.readers import archive, delimited, formats, jsons
from wantong.border.gate.classification.readers.limits import MIB, Budget, Limits
from wantong.border.gate.classification.readers.parquet import text_array
from wantong.border.gate.classification.readers.problems import Damaged, Encrypted, LimitReached, Unsupported
from wantong.border.gate.classification.readers.source import FileSource
from wantong.border.gate.classification.readers.tables import (
    FORM_ROWS,
    column_name,
    find_header,
    form_text,
    labels_of,
)
from wantong.border.gate.classification.readers.worker import Workshop, problem_from

BATCH = 10_000
JSON_DOCUMENT = 64 * MIB
"""A JSON document (not lines) is held in memory to be written anew, so its size is bounded."""


class Change(Protocol):
    """What is done to the cells."""

    def column(self, sheet: str, column: str | None, values: Sequence[str]) -> Sequence[str]:
        """Values of a column (lines of running text if it is None) of a sheet (or "") as they may be written."""
        ...

    def touches(self, sheet: str, column: str) -> bool:
        """Whether values of the column may be written as other text than they are."""
        ...


Keep = Callable[[Mapping[str, str]], bool]


@dataclass
class Counts:
    """Rows read and written, cells disarmed, and the columns there were."""

    rows_in: int = 0
    rows_out: int = 0
    disarmed: int = 0
    columns: set[str] = field(default_factory=set)


class Table(Protocol):
    """A file that can be written anew."""

    format: str

    def rewrite(self, target: Path, change: Change, columns: list[str] | None, keep: Keep | None) -> Counts:
        """Write to ``target``; with ``columns`` only those, in that order; with ``keep`` only such rows."""
        ...


@contextmanager
def open_table(path: Path, limits: Limits, media_type: str = "") -> Iterator[Table]:
    """The table in a file, by its bytes, then its name, then ``media_type``.

    Raises :class:`ReadProblem` (:class:`Unsupported` for PDF and the like).
    """
    source = FileSource(path, str(path), media_type)
    budget = Budget(limits)
    with source.open() as file:
        head = file.read(formats.HEAD)
    format = formats.by_magic(head)
    if format == "zip":
        with source.open() as file:
            format = formats.office_kind(
                frozenset(archive.open_archive(file, source.place, budget).namelist())
            )
    if format in ("xlsx", "parquet"):
        with Workshop(limits) as workshop:
            yield (_Workbook if format == "xlsx" else _Parquet)(source, workshop, budget)
        return
    if format is not None:
        raise (
            Encrypted(source.place) if format == "parquet-encrypted" else Unsupported(source.place, format)
        )
    with readers.open_text(source, budget) as text:
        yield _text_table(text, source, limits)


# ---- cells


_FORMULA = frozenset("=+-@\t\r|＝＋－＠")
_PLAIN = re.compile(rf"[-+－＋][\d\s().,，/{MARK}-]*(?:[eE][-+]?\d+)?%?\Z")


def disarmed(cell: str) -> str:
    """A cell that no spreadsheet runs as a formula (CSV injection): numbers and phone numbers stay as they are."""
    if cell and cell[0] in _FORMULA and not _PLAIN.match(cell):
        return "'" + cell
    return cell


def _disarm(columns: Iterable[Sequence[str]], counts: Counts) -> list[Sequence[str]]:
    safe: list[Sequence[str]] = []
    for cells in columns:
        suspect = [place for place, cell in enumerate(cells) if cell and cell[0] in _FORMULA]
        if suspect:
            made = list(cells)
            for place in suspect:
                made[place] = disarmed(made[place])
                counts.disarmed += made[place] != cells[place]
            cells = made
        safe.append(cells)
    return safe


def _batch(
    rows: Sequence[Sequence[str]],
    names: Sequence[str],
    sheet: str,
    change: Change,
    chosen: Sequence[int] | None,
    keep: Keep | None,
    counts: Counts,
) -> list[Sequence[str]]:
    """Rows in, rows as they may be written out."""
    counts.rows_in += len(rows)
    if keep is not None:
        rows = [row for row in rows if keep(dict(zip_longest(names, row[: len(names)], fillvalue="")))]
    counts.rows_out += len(rows)
    if not rows:
        return []
    wanted = range(max(len(names), *map(len, rows))) if chosen is None else chosen
    if min(map(len, rows)) > max(wanted, default=-1):
        columns = [[row[index] for row in rows] for index in wanted]
    else:
        columns = [[row[index] if index < len(row) else "" for row in rows] for index in wanted]
    changed = [
        change.column(sheet, column_name(names, index), column)
        for index, column in zip(wanted, columns, strict=True)
    ]
    return list(zip(*_disarm(changed, counts), strict=True))


def _chosen(names: Sequence[str], columns: Sequence[str] | None) -> list[int] | None:
    """Places of ``columns``; one that is missing is left out here and told by the caller."""
    if columns is None:
        return None
    return [names.index(name) for name in columns if name in names]


# ---- delimited


class _Delimited:
    format = "csv"

    def __init__(self, text: readers.Text, first: bytes, dialect: delimited.Dialect, limits: Limits) -> None:
        self._text, self._first, self._dialect, self._limits = text, first, dialect, limits

    def rewrite(self, target: Path, change: Change, columns: list[str] | None, keep: Keep | None) -> Counts:
        counts = Counts()
        dialect = self._dialect
        if len(dialect.header) > self._limits.columns:
            raise LimitReached(self._text.place, "columns", self._limits.columns)
        counts.columns.update(dialect.header)
        chosen = _chosen(dialect.header, columns)
        width = len(dialect.header)
        if columns is not None and len(set(dialect.header)) != width:
            raise Damaged(self._text.place, reason="column-twice")
        with target.open("w", encoding="utf-8-sig" if self._text.marked else "utf-8", newline="") as file:
            out = csv.writer(file, delimiter=dialect.delimiter, lineterminator="\n")
            if columns is None:
                self._notices(file, change)
            if dialect.header:
                out.writerow([disarmed(name) for name in (dialect.header if columns is None else columns)])
            reader = csv.reader(self._lines(), delimiter=dialect.delimiter)
            rows: list[list[str]] = []
            size = 0
            try:
                for row in reader:
                    if columns is not None and len(row) != width:
                        if not row:
                            continue
                        # a cell too many or too few, and every value may stand under another name
                        raise Damaged(
                            self._text.place,
                            reason="cells",
                            line=reader.line_num,
                            cells=len(row),
                            width=width,
                        )
                    rows.append(row)
                    size += len(row)
                    if len(rows) >= BATCH or size > 500_000:
                        out.writerows(_batch(rows, dialect.header, "", change, chosen, keep, counts))
                        rows, size = [], 0
            except csv.Error:
                raise LimitReached(self._text.place, "cell_bytes", csv.field_size_limit()) from None
            out.writerows(_batch(rows, dialect.header, "", change, chosen, keep, counts))
        return counts

    def _notices(self, file: IO[str], change: Change) -> None:
        above = self._first[slice(*self._dialect.notices)].decode()
        if above.strip():
            lines = above.splitlines()
            file.write("\n".join(change.column("", None, lines)) + "\n")

    def _lines(self) -> Iterator[str]:
        yield from io.StringIO(self._first[self._dialect.skip :].decode(), newline="")
        for piece in self._text.pieces:
            yield from io.StringIO(str(piece, "utf-8"), newline="")


def _text_table(text: readers.Text, source: FileSource, limits: Limits) -> Table:
    first = bytes(next(text.pieces, b""))
    promised = formats.by_extension(source.name)
    kind = readers.text_kind(first[: delimited.SNIFFED], promised, source.media_type)
    if isinstance(kind, delimited.Dialect):
        return _Delimited(text, first, kind, limits)
    if kind == "lines":
        return _JsonLines(text, first, limits)
    if kind == "json":
        return _Json(text, first, limits)
    return _Running(text, first)


# ---- running text


class _Running:
    format = "text"

    def __init__(self, text: readers.Text, first: bytes) -> None:
        self._text, self._first = text, first

    def rewrite(self, target: Path, change: Change, columns: list[str] | None, keep: Keep | None) -> Counts:
        counts = Counts()
        with target.open("w", encoding="utf-8-sig" if self._text.marked else "utf-8", newline="") as file:
            for piece in self._pieces():
                lines = piece.split("\n")
                counts.rows_in += len(lines) - (lines[-1] == "")
                file.write("\n".join(change.column("", None, lines)))
        counts.rows_out = counts.rows_in
        return counts

    def _pieces(self) -> Iterator[str]:
        if self._first:
            yield self._first.decode()
        for piece in self._text.pieces:
            yield str(piece, "utf-8")


# ---- JSON

_Slot = tuple[Any, Any]


class _Leaves:
    """All values of some JSON records by column path, to be changed in place."""

    def __init__(self, place: str, limits: Limits) -> None:
        self._place, self._limits = place, limits
        self.slots: dict[str, list[_Slot]] = defaultdict(list)

    def add(self, holder: list[Any], index: int) -> None:
        """A record standing at ``holder[index]``."""
        stack: list[tuple[str, Any, Any, int]] = [("", holder, index, 0)]
        while stack:
            path, box, at, depth = stack.pop()
            if depth > self._limits.nesting:
                raise LimitReached(self._place, "nesting", self._limits.nesting)
            value = box[at]
            if isinstance(value, jsons.Members):
                for place, pair in enumerate(value):
                    value[place] = pair = list(pair)  # type: ignore[assignment, call-overload]
                    key = pair[0]
                    if jsons.is_data(key):
                        self.slots[f"{path}.(key)" if path else "(key)"].append((pair, 0))
                        key = "*"
                    stack.append((f"{path}.{key}" if path else key, pair, 1, depth + 1))
            elif isinstance(value, list):
                stack.extend((path, value, place, depth + 1) for place in range(len(value)))
            elif value is not None:
                self.slots[path or jsons.ROOT].append((box, at))

    def change(self, change: Change, counts: Counts) -> None:
        """Every value as it may be written. Values that stay keep their type."""
        for path, slots in self.slots.items():
            before = [_told(box[at]) for box, at in slots]
            after = change.column("", path, before)
            for (box, at), old, new in zip(slots, before, after, strict=True):
                if new != old:
                    box[at] = new
        self.slots.clear()


class _Number(str):
    """A number as it was written, so that it can be written again the same."""


def _told(value: Any) -> str:
    return value if isinstance(value, str) else str(value).lower()


_decode = json.JSONDecoder(
    object_pairs_hook=jsons.Members,
    parse_int=_Number,
    parse_float=_Number,
    parse_constant=_Number,
    strict=False,
).decode


def _encoded(value: Any) -> str:
    """JSON text of what :func:`_decode` gave, member order and doubled names kept."""
    if isinstance(value, jsons.Members):
        return "{" + ", ".join(f"{json.dumps(k, ensure_ascii=False)}: {_encoded(v)}" for k, v in value) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_encoded, value)) + "]"
    if isinstance(value, _Number):
        return str(value)
    return json.dumps(value, ensure_ascii=False)


def _flat(record: Any) -> dict[str, str]:
    """The first value of every path of a record: what decides whether the row is kept."""
    found: dict[str, str] = {}
    stack = [("", record)]
    while stack:
        path, value = stack.pop()
        if isinstance(value, jsons.Members):
            stack.extend((f"{path}.{key}" if path else key, item) for key, item in reversed(value))
        elif isinstance(value, list):
            stack.extend((path, item) for item in reversed(value))
        else:
            found.setdefault(path or jsons.ROOT, "" if value is None else _told(value))
    return found


def _pick(record: Any, columns: Sequence[str], path: str = "") -> Any:
    """The parts of a record that lie on or below ``columns``."""
    if isinstance(record, jsons.Members):
        kept = jsons.Members()
        for key, value in record:
            here = f"{path}.{key}" if path else key
            if here in columns:
                kept.append((key, value))
            elif any(column.startswith(here + ".") for column in columns):
                kept.append((key, _pick(value, columns, here)))
        return kept
    if isinstance(record, list):
        return [_pick(item, columns, path) for item in record if isinstance(item, list)]
    return record


def _paths(record: Any) -> Iterator[str]:
    """All paths of a record, of branches too."""
    stack = [("", record)]
    while stack:
        path, value = stack.pop()
        if path:
            yield path
        if isinstance(value, jsons.Members):
            stack.extend((f"{path}.{key}" if path else key, item) for key, item in value)
        elif isinstance(value, list):
            stack.extend((path, item) for item in value)


class _Records:
    """What JSON lines and JSON documents have in common."""

    def __init__(self, text: readers.Text, first: bytes, limits: Limits) -> None:
        self._text, self._first, self._limits = text, first, limits

    def _changed(
        self, records: list[Any], change: Change, columns: list[str] | None, keep: Keep | None, counts: Counts
    ) -> list[Any]:
        counts.rows_in += len(records)
        for record in records:
            counts.columns.update(_paths(record))
        if keep is not None:
            records = [record for record in records if keep(_flat(record))]
        if columns is not None:
            records = [_pick(record, columns) for record in records]
        counts.rows_out += len(records)
        leaves = _Leaves(self._text.place, self._limits)
        for index in range(len(records)):
            leaves.add(records, index)
        leaves.change(change, counts)
        return records


class _JsonLines(_Records):
    format = "jsonl"

    def rewrite(self, target: Path, change: Change, columns: list[str] | None, keep: Keep | None) -> Counts:
        counts = Counts()
        with target.open("w", encoding="utf-8", newline="") as file:
            for records in self._batches():
                for record in self._changed(records, change, columns, keep, counts):
                    file.write(_encoded(record) + "\n")
        return counts

    def _batches(self) -> Iterator[list[Any]]:
        number = 0
        records: list[Any] = []
        size = 0
        pieces: Iterable[Any] = (self._first,)
        for source in (pieces, self._text.pieces):
            for piece in source:
                for line in bytes(piece).split(b"\n"):
                    if not line.strip():
                        continue
                    number += 1
                    try:
                        records.append(_decode(line.decode()))
                    except (ValueError, RecursionError) as error:
                        raise Damaged(
                            self._text.place, reason="json-record", record=number, told=error
                        ) from None
                    size += len(line)
                    if size > 4 * MIB:
                        yield records
                        records, size = [], 0
        yield records


class _Json(_Records):
    format = "json"

    def rewrite(self, target: Path, change: Change, columns: list[str] | None, keep: Keep | None) -> Counts:
        parts = [self._first]
        size = len(self._first)
        for piece in self._text.pieces:
            size += len(piece)
            if size > JSON_DOCUMENT:
                raise LimitReached(self._text.place, "cell_bytes", JSON_DOCUMENT)
            parts.append(bytes(piece))
        try:
            document = _decode(b"".join(parts).decode())
        except (ValueError, RecursionError) as error:
            raise Damaged(self._text.place, reason="json", told=error) from None
        counts = Counts()
        is_list = isinstance(document, list) and not isinstance(document, jsons.Members)
        records = self._changed(document if is_list else [document], change, columns, keep, counts)
        with target.open("w", encoding="utf-8", newline="") as file:
            if is_list:
                file.write("[\n" + ",\n".join(map(_encoded, records)) + "\n]\n")
            else:
                file.write((_encoded(records[0]) if records else "null") + "\n")
        return counts


# ---- XLSX


class _Workbook:
    format = "xlsx"

    def __init__(self, source: FileSource, workshop: Workshop, budget: Budget) -> None:
        self._source, self._workshop, self._budget = source, workshop, budget

    def rewrite(self, target: Path, change: Change, columns: list[str] | None, keep: Keep | None) -> Counts:
        import openpyxl  # a tenth of a second that only who writes a workbook should wait for

        counts = Counts()
        book = openpyxl.Workbook(write_only=True)
        for name, hidden, rows in self._sheets():
            self._sheet(book.create_sheet(name[:31]), name, hidden, rows, change, columns, keep, counts)
        if not book.worksheets:
            book.create_sheet("Sheet1")
        book.save(target)
        return counts

    def _sheets(self) -> Iterator[tuple[str, bool, Iterator[list[str]]]]:
        """Each sheet must be read to its end before the next."""
        with self._source.open() as file:
            messages = self._workshop.run(
                "xlsx-rows", file, self._source.place, self._source.size, self._budget
            )
            upcoming = next(messages, None)

            def rows() -> Iterator[list[str]]:
                nonlocal upcoming
                while (upcoming := next(messages, None)) is not None and upcoming[0]["kind"] == "rows":
                    for row in json.loads(upcoming[1]):
                        yield [_Number(cell[0]) if isinstance(cell, list) else cell for cell in row]

            while upcoming is not None:
                header = upcoming[0]
                if header["kind"] == "problem":
                    raise problem_from(header)
                yield str(header["name"]), bool(header["hidden"]), rows()

    def _sheet(
        self,
        sheet: Any,
        name: str,
        hidden: bool,
        rows: Iterator[list[str]],
        change: Change,
        columns: list[str] | None,
        keep: Keep | None,
        counts: Counts,
    ) -> None:
        if hidden:
            sheet.sheet_state = "hidden"
        first: list[list[str]] = []
        for row in rows:
            first.append(row)
            if len(first) >= FORM_ROWS:
                break
        if columns is None and len(first) < FORM_ROWS and form_text(first) is not None:
            self._write(sheet, _form(first, name, change, counts))
            counts.rows_in += len(first)
            counts.rows_out += len(first)
            return
        index = find_header(first)
        names = (
            [] if index is None else [column_name(first[index], place) for place in range(len(first[index]))]
        )
        counts.columns.update(names)
        chosen = _chosen(names, columns)
        start = 0 if index is None else index + 1
        if columns is None:
            for above in first[: max(0, start - 1)]:
                sheet.append([disarmed(cell) for cell in change.column(name, None, above)])
        if names and (chosen is None or chosen):
            sheet.append(
                [disarmed(names[place]) for place in (range(len(names)) if chosen is None else chosen)]
            )
        batch = first[start:]
        if chosen == [] and columns is not None:
            for _ in rows:
                pass
            return
        for row in rows:
            batch.append(row)
            if len(batch) >= BATCH:
                self._write(sheet, _batch(batch, names, name, change, chosen, keep, counts))
                batch = []
        self._write(sheet, _batch(batch, names, name, change, chosen, keep, counts))

    @staticmethod
    def _write(sheet: Any, rows: Iterable[Sequence[str]]) -> None:
        for row in rows:
            sheet.append([_stored(cell) for cell in row])


def _form(rows: Sequence[Sequence[str]], sheet: str, change: Change, counts: Counts) -> Iterator[list[str]]:
    """A form's rows: each value changed as running text after its label, the labels as they are."""
    befores = [f"{label}：" if label else "" for row in rows for label in labels_of(row)]
    cells = [cell for row in rows for cell in row]
    texts = [before + cell for before, cell in zip(befores, cells, strict=True)]
    changes = zip(befores, texts, change.column(sheet, None, texts), strict=True)
    for row in rows:
        made: list[str] = []
        for cell, (before, text, new) in zip(row, changes, strict=False):
            kept = cell if new == text else new.removeprefix(before)
            safe = kept if isinstance(kept, _Number) else disarmed(kept)
            counts.disarmed += safe != kept
            made.append(safe)
        yield made


def _stored(cell: str) -> str | int | float | None:
    """A cell as openpyxl writes it: what was a number and is unchanged is one again."""
    if isinstance(cell, _Number):
        return int(cell) if cell.lstrip("-").isdigit() else float(cell)
    return _CONTROL.sub(" ", cell) or None


_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")


# ---- Parquet


class _Parquet:
    format = "parquet"

    def __init__(self, source: FileSource, workshop: Workshop, budget: Budget) -> None:
        self._source, self._workshop, self._budget = source, workshop, budget

    def rewrite(self, target: Path, change: Change, columns: list[str] | None, keep: Keep | None) -> Counts:
        counts = Counts()
        writer: pq.ParquetWriter | None = None
        schema: pa.Schema | None = None
        try:
            for batch in self._batches():
                counts.columns.update(batch.schema.names)
                counts.rows_in += batch.num_rows
                if keep is not None:
                    batch = batch.filter(pa.array([keep(row) for row in _text_rows(batch)], pa.bool_()))
                counts.rows_out += batch.num_rows
                if columns is not None:
                    batch = batch.select([name for name in columns if name in batch.schema.names])
                arrays = [
                    _changed_array(name, array, change)
                    for name, array in zip(batch.schema.names, batch.columns, strict=True)
                ]
                made = pa.record_batch(arrays, names=batch.schema.names)
                if writer is None or schema is None:
                    schema = made.schema
                    writer = pq.ParquetWriter(target, schema, compression="zstd")
                writer.write_batch(made.cast(schema))
        finally:
            if writer is not None:
                writer.close()
        return counts

    def _batches(self) -> Iterator[pa.RecordBatch]:
        with self._source.open() as file:
            for header, payload in self._workshop.run(
                "parquet-batches", file, self._source.place, self._source.size, self._budget
            ):
                if header["kind"] == "problem":
                    raise problem_from(header)
                if header["kind"] == "schema":
                    schema = pa.ipc.read_schema(pa.py_buffer(payload))
                    yield pa.RecordBatch.from_arrays(
                        [pa.array([], field.type) for field in schema], schema=schema
                    )
                else:
                    with pa.ipc.open_stream(payload) as stream:
                        yield from stream


def _text_rows(batch: pa.RecordBatch) -> Iterator[dict[str, str]]:
    for row in batch.to_pylist():
        yield {name: "" if value is None else str(value) for name, value in row.items()}


def _changed_array(name: str, array: pa.Array, change: Change) -> pa.Array:
    """A column as it may be written: text and what is touched as text, all else in its own type."""
    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if not pa.types.is_nested(array.type):
        if not _is_text(array.type) and not change.touches("", name):
            return array
        before = text_array(array).to_pylist()
        after = change.column("", name, [value or "" for value in before])
        return pa.array(
            [None if old is None else new for old, new in zip(before, after, strict=True)], pa.large_string()
        )
    made = _changed_type(name, name, array.type, change)
    records = [[value] for value in array.to_pylist()]
    slots: dict[str, list[_Slot]] = defaultdict(list)
    for record in records:
        stack: list[tuple[str, Any, Any]] = [(name, record, 0)]
        while stack:
            path, box, at = stack.pop()
            value = box[at]
            if isinstance(value, dict):
                stack.extend((f"{path}.{key}", value, key) for key in value)
            elif isinstance(value, list):
                stack.extend((path, value, place) for place in range(len(value)))
            elif value is not None and (isinstance(value, str) or change.touches("", path)):
                slots[path].append((box, at))
    for path, places in slots.items():
        for (box, at), new in zip(
            places, change.column("", path, [str(b[a]) for b, a in places]), strict=True
        ):
            box[at] = new
    return pa.array([record[0] for record in records], made)


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _changed_type(column: str, path: str, kind: pa.DataType, change: Change) -> pa.DataType:
    """The type of a nested column once its touched leaves are text. Raises :class:`Unsupported` for maps."""
    if pa.types.is_struct(kind):
        return pa.struct(
            [pa.field(f.name, _changed_type(column, f"{path}.{f.name}", f.type, change)) for f in kind]
        )
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return pa.large_list(_changed_type(column, path, kind.value_type, change))
    if pa.types.is_nested(kind):
        raise Unsupported(column, f"parquet, {kind}")
    return pa.large_string() if _is_text(kind) or change.touches("", path) else kind
