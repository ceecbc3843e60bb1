"""Questions to a published table, in the terms of CKAN's DataStore (``datastore_search``), without SQL. Pure.

The table is its Parquet file; the last few stay in memory.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from wantong.border.exchange.opendata.tables import plain

MOST = 32_000  # rows of one answer, as in CKAN
FARTHEST = 1 << 40  # rows that a question skips; Arrow counts in 64 bits
KEPT = 128 << 20  # bytes of tables in memory
ID = "_id"
_CKAN_TYPES = {
    "int64": "int",
    "double": "numeric",
    "bool": "bool",
    "date32[day]": "date",
    "timestamp[us]": "timestamp",
}


class BadQuestion(Exception):
    """What is asked of a table cannot be; ``field`` names the parameter."""

    def __init__(self, field: str, reason: str) -> None:
        self.field, self.reason = field, reason
        super().__init__(f"{field}: {reason}")


class Tables:
    """Tables by their file, as many as fit into memory; any number of threads may share it."""

    def __init__(self, most: int = KEPT) -> None:
        self._most, self._kept, self._lock = most, OrderedDict[Path, pa.Table](), threading.Lock()

    def get(self, path: Path) -> pa.Table:
        """The table in a Parquet file, with the number of each row in ``_id``. Raises OSError."""
        with self._lock:
            if path in self._kept:
                self._kept.move_to_end(path)
                return self._kept[path]
        read = pq.read_table(path)
        read = read.add_column(0, ID, pa.array(range(1, read.num_rows + 1), pa.int64()))
        with self._lock:
            self._kept[path] = read
            while len(self._kept) > 1 and sum(table.nbytes for table in self._kept.values()) > self._most:
                self._kept.popitem(last=False)
        return read


def search(table: pa.Table, asked: Mapping[str, Any]) -> dict[str, Any]:
    """The answer to ``filters q fields sort limit offset distinct include_total records_format``.

    ``{"fields", "records", "total", "limit", "offset"}``; records are objects or, as asked, lists. Raises
    :class:`BadQuestion`.
    """
    mask = _filtered(table, asked.get("filters") or {})
    mask = _both(mask, _said(table, asked.get("q") or ""))
    found = table.filter(mask) if mask is not None else table
    names = _names(table, asked.get("fields"), table.column_names)
    sort = _sort(table, asked.get("sort") or "")
    distinct = asked.get("distinct") is True
    if distinct:
        names = [name for name in names if name != ID] or names
        if sort and not {name for name, _ in sort} <= set(names):
            raise BadQuestion("sort", "of distinct rows only by the fields asked for")
        found = found.select(names).group_by(names, use_threads=False).aggregate([])
    if sort:
        # the number of the row settles ties, so that pages neither repeat nor lose anything
        keys = [*sort, *([(ID, "ascending")] if not distinct and (ID, "ascending") not in sort else [])]
        found = found.take(pc.sort_indices(found, sort_keys=keys))
    limit = _count("limit", asked.get("limit", 100), MOST)
    offset = _count("offset", asked.get("offset", 0), FARTHEST)
    page = found.slice(offset, limit).select(names)
    rows: list[Any] = [{name: plain(value) for name, value in row.items()} for row in page.to_pylist()]
    form = asked.get("records_format", "objects")
    if form not in ("objects", "lists"):
        raise BadQuestion("records_format", "objects or lists")
    if form == "lists":
        rows = [list(row.values()) for row in rows]
    answer = {
        "fields": [
            {"id": name, "type": _CKAN_TYPES.get(str(page.schema.field(name).type), "text")} for name in names
        ],
        "records": rows,
        "limit": limit,
        "offset": offset,
        "records_format": form,
    }
    return (
        answer
        if asked.get("include_total") is False
        else answer | {"total": found.num_rows, "total_was_estimated": False}
    )


def _filtered(table: pa.Table, filters: Any) -> pa.ChunkedArray | None:
    if not isinstance(filters, Mapping):
        raise BadQuestion("filters", "an object of columns and values")
    mask = None
    for name, wanted in filters.items():
        if name not in table.column_names:
            raise BadQuestion("filters", f'there is no field "{str(name)[:100]}"')
        column = table.column(name)
        values = wanted if isinstance(wanted, list) else [wanted]
        ready = [cast for value in values if (cast := _cast(value, column.type)) is not None]
        found = pc.is_in(column, value_set=pa.array(ready, column.type))
        if None in values:
            found = pc.or_(found, pc.is_null(column))
        mask = _both(mask, found)
    return mask


def _cast(value: Any, kind: pa.DataType) -> Any:
    """A value of the column's type; None for one that no row can have."""
    if value is None or isinstance(value, (dict, list)):
        return None
    try:
        return pa.scalar(str(value).lower() if isinstance(value, bool) else str(value)).cast(kind).as_py()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OverflowError):
        return None


def _said(table: pa.Table, question: Any) -> pa.ChunkedArray | None:
    if isinstance(question, Mapping):
        mask = None
        for name, text in question.items():
            if name not in table.column_names:
                raise BadQuestion("q", f'there is no field "{str(name)[:100]}"')
            for word in str(text).split():
                mask = _both(mask, _holds(table.column(name), word))
        return mask
    mask = None
    for word in str(question).split():
        anywhere = None
        for name in table.column_names[1:]:
            found = _holds(table.column(name), word)
            anywhere = found if anywhere is None else pc.or_(anywhere, found)
        mask = _both(mask, anywhere)
    return mask


def _holds(column: pa.ChunkedArray, word: str) -> pa.ChunkedArray:
    found = pc.match_substring(column.cast(pa.string()), word, ignore_case=True)
    return pc.fill_null(found, False)


def _both(one: pa.ChunkedArray | None, other: pa.ChunkedArray | None) -> pa.ChunkedArray | None:
    if one is None or other is None:
        return other if one is None else one
    return pc.and_(one, other)


def _names(table: pa.Table, asked: Any, default: Sequence[str]) -> list[str]:
    if not asked:
        return list(default)
    names = [name.strip() for name in asked.split(",")] if isinstance(asked, str) else asked
    if isinstance(asked, str) and asked in table.column_names:
        names = [asked]  # its name has a comma
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise BadQuestion("fields", "names of fields")
    for name in names:
        if name not in table.column_names:
            raise BadQuestion("fields", f'there is no field "{name[:100]}"')
    return list(dict.fromkeys(names))


def _sort(table: pa.Table, asked: Any) -> list[tuple[str, str]]:
    parts = asked.split(",") if isinstance(asked, str) else asked
    if not isinstance(parts, list):
        raise BadQuestion("sort", "names of fields, each with asc or desc")
    keys = []
    for part in parts:
        text = str(part).strip()
        if not text:
            continue
        name, _, direction = text.rpartition(" ")
        if direction.lower() not in ("asc", "desc") or not name:
            name, direction = text, "asc"
        name = name.strip().strip('"')
        if name not in table.column_names:
            raise BadQuestion("sort", f'there is no field "{name[:100]}"')
        keys.append((name, "descending" if direction.lower() == "desc" else "ascending"))
    return keys


def _count(name: str, value: Any, most: int) -> int:
    try:
        number = int(value)
    except (TypeError, ValueError, OverflowError):
        raise BadQuestion(name, "a whole number") from None
    if number < 0 or isinstance(value, bool):
        raise BadQuestion(name, "not below zero")
    return min(number, most)
