"""A chart that suits a table, chosen by the types of its columns. Pure.

Time across and a quantity up gives lines, a category and a quantity bars; what has neither gets no chart.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from wantong.border.exchange.opendata.tables import Table, plain

MOST_POINTS = 400
MOST_BARS = 24
MOST_SERIES = 6
TIME = ("date", "datetime", "yearmonth")
# quantities that must not be added up
_AVERAGED = re.compile(
    r"index|rate|ratio|average|mean|aqhi|percent|share|household|率|指数|指數|平均|比例|占比|índice|taxa|média",
    re.I,
)
_IDENTIFIES = re.compile(r"(^|[_ ])(id|code|no|number)$|编号|編號|代码|代碼|序号|序號", re.I)


@dataclass(frozen=True)
class Chart:
    """``kind`` is ``line`` or ``bar``; ``series`` maps a name to one value for each of ``x`` (None: nothing there).

    ``aggregate`` says how several rows of one x became one value (``sum`` or ``mean``; empty: there was one each);
    ``of`` is how many values of x or series there are in all, if not all are shown.
    """

    kind: str
    x_column: str
    y_column: str
    series_column: str
    aggregate: str
    x: tuple[str, ...]
    series: Mapping[str, tuple[float | None, ...]]
    of: int = 0

    def to_dict(self) -> dict[str, Any]:
        return {
            "kind": self.kind, "x_column": self.x_column, "y_column": self.y_column, "series_column": self.series_column,
            "aggregate": self.aggregate, "x": list(self.x), "series": {k: list(v) for k, v in self.series.items()}, "of": self.of,
        }  # fmt: skip


def suggest(table: Table, wish: Mapping[str, Any] | None = None) -> Chart | None:
    """The chart of a table: as the owner wishes (names of columns) where he does, else by its types; None if none suits."""
    wish = wish or {}
    names = {column.name: column.type for column in table.columns}
    if not table.rows or any(wish.get(key) and wish[key] not in names for key in ("x", "y", "series")):
        return None
    x = wish.get("x") or _across(table, names)
    quantities = [
        n
        for n, kind in names.items()
        if kind in ("integer", "number") and n != x and not _IDENTIFIES.search(n)
    ]
    y = wish.get("y") or (
        quantities[-1] if quantities and _totals(quantities[-1]) else quantities[0] if quantities else ""
    )
    if not x or not y:
        return None
    by = wish.get("series") or _apart(table, names, x)
    return _draw(table, x, y, by, _is_time(table, x, names), str(wish.get("aggregate", "")))


def _across(table: Table, names: Mapping[str, str]) -> str:
    for name, kind in names.items():
        if kind in TIME or _is_time(table, name, names):
            return name
    texts = [name for name, kind in names.items() if kind == "string"]
    # the text that tells rows apart best, the first of equals
    return max(
        texts, key=lambda name: (min(_distinct(table, name), MOST_BARS), -texts.index(name)), default=""
    )


def _is_time(table: Table, name: str, names: Mapping[str, str]) -> bool:
    if names[name] in TIME:
        return True
    if names[name] != "integer" or not re.search(r"year|年|ano$", name, re.I):
        return False
    years = [value for value in table.data.column(name).to_pylist() if value is not None]
    return bool(years) and min(years) >= 1500 and max(years) <= 2500


def _totals(name: str) -> bool:
    return bool(re.search(r"total|总|總|合计|合計", name, re.I))


def _apart(table: Table, names: Mapping[str, str], x: str) -> str:
    """What tells several rows of one x apart: the text with the fewest values that does, if there are not many."""
    if _distinct(table, x) == table.rows:
        return ""
    texts = [name for name, kind in names.items() if kind == "string" and name != x]
    few = [name for name in texts if 1 < _distinct(table, name) <= 60]
    return min(few, key=lambda name: (_distinct(table, name), texts.index(name)), default="")


def _distinct(table: Table, name: str) -> int:
    return len(table.data.column(name).unique())


def _draw(table: Table, x: str, y: str, by: str, time: bool, aggregate: str) -> Chart | None:
    aggregate = aggregate if aggregate in ("sum", "mean") else "mean" if _AVERAGED.search(y) else "sum"
    across = [None if at is None else str(plain(at)) for at in table.data.column(x).to_pylist()]
    apart = table.data.column(by).cast(pa.string()) if by else pa.array([y] * table.rows)
    values = table.data.column(y).cast(pa.float64())
    every = pa.table({"x": pa.array(across, pa.string()), "by": apart, "y": values}).drop_null()
    points = list(dict.fromkeys(every.column("x").to_pylist()))
    if time:
        # days become months, months years: as much as it takes
        length = next((n for n in (40, 10, 7, 4) if len({at[:n] for at in points}) <= MOST_POINTS), 4)
        every = every.set_column(0, "x", pc.utf8_slice_codeunits(every.column("x"), 0, length))
        points = sorted({at[:length] for at in points})
    several = every.num_rows > len(every.group_by(["x", "by"]).aggregate([]))
    together = every.group_by(["x", "by"], use_threads=False).aggregate([("y", aggregate)])
    cells: dict[str, dict[str, float]] = defaultdict(dict)
    for row in together.to_pylist():
        if math.isfinite(row[f"y_{aggregate}"]):  # a sum may run over
            cells[row["by"]][row["x"]] = round(row[f"y_{aggregate}"], 4)
    series = sorted(cells, key=lambda name: (-sum(map(abs, cells[name].values())), name))
    of = len(series) if len(series) > MOST_SERIES else 0
    if not time and len(points) > MOST_BARS:
        of = len(points)
        points = sorted(points, key=lambda at: -sum(abs(cells[name].get(at, 0)) for name in series))[
            :MOST_BARS
        ]
    drawn = {name: tuple(cells[name].get(at) for at in points) for name in series[:MOST_SERIES]}
    if not points or not drawn:
        return None
    return Chart("line" if time else "bar", x, y, by, aggregate if several else "", tuple(points), drawn, of)
