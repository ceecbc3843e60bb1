"""A file as a typed table, and the table as CSV, JSON and Parquet. Pure.

A column is what all its values are: ``integer``, ``number``, ``boolean``, ``date``, ``datetime``, ``yearmonth`` or
``string`` (names of Frictionless Table Schema). Numbers with leading zeros are codes and stay text; a date that could
be read in two ways stays text too.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from wantong.border.exchange.opendata.problems import NotATable
from wantong.border.gate.classification.readers.encoding import detect
from wantong.ground.plain import stored

LARGEST = 256 << 20
MOST_COLUMNS = 500
GROUP = 65_536  # rows of a Parquet row group: what a reader over HTTP fetches at least
_INT64_MAX = (1 << 63) - 1
_INTEGER = r"^-?(0|[1-9][0-9]{0,17})$"
_NUMBER = r"^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]{1,3})?$"
_DATES = ("%Y-%m-%d", "%Y/%m/%d", "%d-%m-%Y", "%d/%m/%Y", "%m/%d/%Y")
_DATETIMES = ("%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S")
_MONTH = r"^[12][0-9]{3}-(0[1-9]|1[0-2])$"
FORMATS = {"csv": "CSV", "json": "JSON", "parquet": "Parquet"}
MEDIA_TYPES = {"csv": "text/csv", "json": "application/json", "parquet": "application/vnd.apache.parquet"}


@dataclass(frozen=True)
class Column:
    """A column: its name, its type, how many of its cells have no value."""

    name: str
    type: str
    empty: int


@dataclass(frozen=True)
class Table:
    """A table and its columns."""

    data: pa.Table
    columns: tuple[Column, ...]

    @property
    def rows(self) -> int:
        return int(self.data.num_rows)

    @property
    def filled(self) -> float:
        """The share of cells that have a value."""
        cells = self.rows * len(self.columns)
        return 1 - sum(column.empty for column in self.columns) / cells if cells else 0.0


def read(path: Path, filename: str = "") -> Table:
    """The table in a CSV, TSV, JSON (array of objects), XLSX or Parquet file. Raises :class:`NotATable`."""
    name = (filename or path.name).lower()
    if path.stat().st_size > LARGEST:
        raise NotATable(reason="too-large", most=LARGEST)
    if name.endswith(".parquet"):
        return _parquet(path)
    if name.endswith((".csv", ".tsv", ".txt")):
        return _typed(_csv(path.read_bytes(), "\t" if name.endswith(".tsv") else ""))
    if name.endswith(".json"):
        return _typed(_json(path.read_bytes()))
    if name.endswith(".xlsx"):
        return _typed(_xlsx(path))
    raise NotATable(reason="choice", choices="CSV, TSV, JSON, XLSX, Parquet")


def write(table: Table, kind: str, target: Path) -> None:
    """The table as ``csv``, ``json`` or ``parquet``: the same bytes for the same table."""
    {"csv": _write_csv, "json": _write_json, "parquet": _write_parquet}[kind](table.data, target)


def compress(path: Path) -> Path:
    """``path`` with gzip beside it, the same bytes every time."""
    packed = path.with_name(path.name + ".gz")
    with (
        path.open("rb") as source,
        packed.open("wb") as raw,
        gzip.GzipFile("", "wb", 6, raw, mtime=0) as target,
    ):
        while piece := source.read(1 << 20):
            target.write(piece)
    return packed


def plain(value: Any) -> Any:
    """A value as JSON has it."""
    return value if value is None or isinstance(value, (bool, int, float, str)) else value.isoformat()


def last(table: Table, name: str) -> date | str | None:
    """The largest value of a column of dates, moments (as a date) or months (as text)."""
    value = pc.max(table.data.column(name)).as_py()
    return value.date() if isinstance(value, datetime) else value


# --- reading ----------------------------------------------------------------------------------------------------


def _csv(raw: bytes, delimiter: str) -> pa.Table:
    encoding = detect([raw[: 1 << 16], raw])
    try:
        text = raw[encoding.mark :].decode(encoding.name)
    except (UnicodeDecodeError, LookupError):
        raise NotATable(reason="encoding") from None
    delimiter = delimiter or _delimiter(text[: 1 << 14])
    try:
        header = next(csv.reader(io.StringIO(text[: 1 << 20]), delimiter=delimiter), [])
    except csv.Error as error:
        raise NotATable(reason="unreadable", told=str(error)[:200]) from None
    names = [f"column_{at + 1}" for at in range(len(header))]
    if not names or len(names) > MOST_COLUMNS:
        raise NotATable(reason="columns", most=MOST_COLUMNS)
    try:
        data = pacsv.read_csv(
            io.BytesIO(text.encode()),
            read_options=pacsv.ReadOptions(column_names=names, skip_rows=1, use_threads=False),
            parse_options=pacsv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
            convert_options=pacsv.ConvertOptions(column_types=dict.fromkeys(names, pa.string())),
        )
    except pa.ArrowInvalid as error:
        # what it got after what it expected is a row of the data
        told = str(error).splitlines()[0].partition(", got ")[0][:200]
        raise NotATable(reason="unreadable", told=told) from None
    return _named(data, header)


def _delimiter(head: str) -> str:
    line = head.splitlines()[0] if head.strip() else ""
    return max(",\t;|", key=line.count)


def _named(data: pa.Table, header: Sequence[Any]) -> pa.Table:
    """Columns by their names; one without a name and without values is none."""
    names: list[str] = []
    kept = []
    for at, said in enumerate(header):
        name = stored(" ".join(str(said or "").split()))[:200]
        values = data.column(at)
        if not name and pc.all(pc.equal(pc.utf8_trim_whitespace(values), "")).as_py():
            continue
        name = name or f"column_{at + 1}"
        again = sum(other == name or other.startswith(f"{name}_") for other in names)
        names.append(f"{name}_{again + 1}" if name in names else name)
        kept.append(values)
    if not kept:
        raise NotATable(reason="nameless")
    return pa.table(kept, names=names)


def _json(raw: bytes) -> pa.Table:
    try:
        rows = json.loads(raw)
    except ValueError as error:
        raise NotATable(reason="unreadable", told=f"{type(error).__name__}: {error}"[:200]) from None
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise NotATable(reason="no-rows")
    return _of_rows(list(dict.fromkeys(key for row in rows for key in row)), iter(rows))


def _of_rows(names: Sequence[str], rows: Iterator[Any]) -> pa.Table:
    if len(names) > MOST_COLUMNS:
        raise NotATable(reason="columns", most=MOST_COLUMNS)
    columns: list[list[str]] = [[] for _ in names]
    for row in rows:
        for column, name in zip(columns, names, strict=True):
            column.append(_text(row.get(name)))
    return _named(
        pa.table([pa.array(c, pa.string()) for c in columns], names=[f"c{i}" for i in range(len(names))]),
        names,
    )


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (dict, list)):
        return json.dumps(value, ensure_ascii=False)
    return stored(str(plain(value) if not isinstance(value, (int, float)) else value))


def _xlsx(path: Path) -> pa.Table:
    import openpyxl

    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
        rows = book.worksheets[0].iter_rows(values_only=True)
        header = [str(cell) if cell is not None else "" for cell in next(rows, ())]
        data = [dict(enumerate(row)) for row in rows]
    except Exception as error:  # whatever a broken workbook makes of its reader
        raise NotATable(reason="unreadable", told=type(error).__name__) from None
    table = _of_rows(
        [str(at) for at in range(len(header))], ({str(k): v for k, v in row.items()} for row in data)
    )
    return _named(table, header) if header else table


def _parquet(path: Path) -> Table:
    try:
        data = pq.read_table(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise NotATable(reason="unreadable", told=f"{type(error).__name__}: {error}"[:200]) from None
    columns, arrays = [], []
    for name in data.column_names[:MOST_COLUMNS]:
        array, kind = _of_arrow(data.column(name))
        columns.append(Column(stored(name), kind, array.null_count))
        arrays.append(array)
    return Table(pa.table(arrays, names=[column.name for column in columns]), tuple(columns))


def _of_arrow(array: pa.ChunkedArray) -> tuple[pa.ChunkedArray, str]:
    kind = array.type
    if pa.types.is_boolean(kind):
        return array, "boolean"
    if pa.types.is_uint64(kind) and (pc.max(array).as_py() or 0) > _INT64_MAX:
        return array.cast(pa.string()), "string"  # no number that anybody adds up
    if pa.types.is_integer(kind):
        return array.cast(pa.int64()), "integer"
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return _finite(array.cast(pa.float64())), "number"
    if pa.types.is_date(kind) and (days := _between_years(array, pa.date32())) is not None:
        return days, "date"
    if pa.types.is_timestamp(kind) and (moments := _between_years(array, pa.timestamp("us"))) is not None:
        return moments, "datetime"
    try:
        return array.cast(pa.string()), "string"
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise NotATable(reason="column-type", column_type=str(kind)[:100]) from None


def _between_years(array: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray | None:
    """Days or moments as ``kind``, to the microsecond; None if some lie outside the years 1 to 9999."""
    fine = pa.types.is_timestamp(array.type) and array.type.unit == "ns"
    try:
        told = array.cast(kind, safe=not fine)
        pc.min_max(told).as_py()  # what Python can say
    except (pa.ArrowInvalid, OverflowError, ValueError):
        return None
    return told


def _finite(array: pa.ChunkedArray) -> pa.ChunkedArray:
    """Without what is no number and what is endless: neither JSON nor CSV has a word for them, so nothing is there."""
    return pc.if_else(pc.is_finite(array), array, pa.scalar(None, pa.float64()))


# --- types ------------------------------------------------------------------------------------------------------


def _typed(text: pa.Table) -> Table:
    columns, arrays = [], []
    for name in text.column_names:
        values = pc.utf8_trim_whitespace(text.column(name))
        values = pc.if_else(pc.equal(values, ""), pa.scalar(None, pa.string()), values)
        array, kind = _column(values)
        columns.append(Column(name, kind, array.null_count))
        arrays.append(array)
    return Table(pa.table(arrays, names=text.column_names), tuple(columns))


def _column(values: pa.ChunkedArray) -> tuple[pa.ChunkedArray, str]:
    said = values.drop_null()
    if not len(said):
        return values, "string"
    all_match: Callable[[str], bool] = partial(_all, said)
    if all_match(_INTEGER):
        return values.cast(pa.int64()), "integer"
    if all_match(_NUMBER):
        return _finite(values.cast(pa.float64())), "number"
    if all_match(r"^(?i:true|false)$"):
        return pc.equal(pc.utf8_lower(values), "true"), "boolean"
    if all_match(_MONTH):
        return values, "yearmonth"
    if all_match(r"^[0-9]{1,4}[-/][0-9]{1,2}[-/][0-9]{1,4}$"):
        read = [parsed for form in _DATES if (parsed := _parsed(values, form)) is not None]
        if len(read) == 1:
            return read[0].cast(pa.date32()), "date"
    if all_match(r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}$"):
        for form in _DATETIMES:
            if (parsed := _parsed(values, form)) is not None:
                return parsed.cast(pa.timestamp("us")), "datetime"
    return values, "string"


def _all(values: pa.ChunkedArray, pattern: str) -> bool:
    return bool(pc.all(pc.match_substring_regex(values, pattern)).as_py())


def _parsed(values: pa.ChunkedArray, form: str) -> pa.ChunkedArray | None:
    # strptime takes a year of two digits for one of four
    shape = r"^[0-9]{4}[-/]" if form.startswith("%Y") else r"[-/][0-9]{4}$"
    if not _all(values.drop_null(), shape):
        return None
    parsed = pc.strptime(values, format=form, unit="s", error_is_null=True)
    if parsed.null_count != values.null_count:
        return None
    # it takes the thirtieth of February for the first of March
    at = form.split("-" if "-" in form else "/").index("%d") if form in _DATES else None
    pieces = pc.split_pattern_regex(values.drop_null(), "[-/T ]")
    days = pc.list_element(pieces, 2 if at is None else at).cast(pa.int64())
    return parsed if pc.all(pc.equal(days, pc.day(parsed.drop_null()))).as_py() else None


# --- writing ----------------------------------------------------------------------------------------------------


def _write_csv(data: pa.Table, target: Path) -> None:
    pacsv.write_csv(data, target, pacsv.WriteOptions(quoting_style="needed"))


def _write_json(data: pa.Table, target: Path) -> None:
    with target.open("w", encoding="utf-8") as file:
        lead = "[\n"
        for batch in data.to_batches(max_chunksize=8192):
            for row in batch.to_pylist():
                values = {name: plain(value) for name, value in row.items()}
                file.write(
                    lead + json.dumps(values, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
                )
                lead = ",\n"
        file.write("\n]\n" if lead == ",\n" else "[]\n")


def _write_parquet(data: pa.Table, target: Path) -> None:
    pq.write_table(data, target, compression="zstd", row_group_size=GROUP, store_schema=False)
