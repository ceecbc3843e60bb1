"""How good the data of a directory entry is, from what can be measured. Pure; the formula is ``data/quality.yaml``."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

from wantong.border.exchange.sharing import codes
from wantong.border.gate.classification import identifiers as ids

Check = Callable[[str], object]

# the kinds of the scanner whose form a single value can be held against
KINDS: Final[Mapping[str, Callable[[str], bool]]] = {
    "cn-id": ids.is_cn_id,
    "cn-permit": ids.is_cn_permit,
    "hkid": ids.is_hkid,
    "mo-bir": ids.is_mo_bir,
    "home-return-permit": ids.is_home_return_permit,
    "exit-permit": ids.is_exit_permit,
    "passport": ids.is_passport,
    "bank-card": ids.is_bank_card,
    "uscc": ids.is_uscc,
}


@dataclass
class Column:
    """What was counted in one column: cells that are not blank, of these checked ones, of these good ones."""

    filled: int = 0
    checked: int = 0
    valid: int = 0

    def to_dict(self) -> dict[str, int]:
        return dict(self.__dict__)


@dataclass(frozen=True)
class Measured:
    """What was counted in a version of a dataset."""

    rows: int
    columns: Mapping[str, Column]

    def to_dict(self) -> dict[str, Any]:
        """As stored."""
        return {
            "rows": self.rows,
            "columns": {name: column.to_dict() for name, column in self.columns.items()},
        }

    @staticmethod
    def of(content: Mapping[str, Any]) -> Measured:
        """The inverse of :meth:`to_dict`."""
        return Measured(
            int(content["rows"]), {name: Column(**counts) for name, counts in content["columns"].items()}
        )


class Meter:
    """Counts while rows go by. ``fields`` are the columns, ``{"name", "type"?}``; ``kinds`` what the scanner found in them."""

    def __init__(self, fields: Sequence[Mapping[str, Any]], kinds: Mapping[str, str] | None = None) -> None:
        self.rows = 0
        self.columns = {str(column["name"]): Column() for column in fields}
        self._checks = {
            str(column["name"]): check
            for column in fields
            if (check := _check(str(column.get("type") or ""), (kinds or {}).get(str(column["name"]), "")))
        }

    def feed(self, row: Mapping[str, str]) -> None:
        """One row more; a column that it lacks counts as blank."""
        self.rows += 1
        for name, counts in self.columns.items():
            value = (row.get(name) or "").strip()
            if not value:
                continue
            counts.filled += 1
            if check := self._checks.get(name):
                counts.checked += 1
                counts.valid += bool(check(value))

    def measured(self) -> Measured:
        """What was counted."""
        return Measured(self.rows, self.columns)


@dataclass(frozen=True)
class Quality:
    """``score`` 0 to 100, None if nothing could be measured; ``parts`` are what it is made of, each between 0 and 1."""

    score: int | None
    parts: Mapping[str, float] = field(default_factory=dict)
    ratings: int = 0

    def to_dict(self) -> dict[str, Any]:
        """For pages and programs, with the version of the formula."""
        return {
            "score": self.score,
            "parts": {name: round(part, 4) for name, part in self.parts.items()},
            "ratings": self.ratings,
            "formula": codes.load("quality")["version"],
        }


def judge(
    measured: Measured | None,
    *,
    updated_at: dt.datetime,
    cycle: str,
    ratings: Iterable[int],
    now: dt.datetime,
) -> Quality:
    """The quality of a dataset whose newest version, published at ``updated_at``, was ``measured``.

    ``cycle`` is its update cycle (ISO 8601), ``ratings`` the last score of each delivery.
    """
    formula = codes.load("quality")
    scores = list(ratings)
    parts: dict[str, float] = {}
    if measured is not None and measured.rows and measured.columns:
        counts = measured.columns.values()
        parts["completeness"] = sum(c.filled for c in counts) / (measured.rows * len(measured.columns))
        if checked := sum(c.checked for c in counts):
            parts["validity"] = sum(c.valid for c in counts) / checked
    if days := codes.days_of(cycle):
        age = max((now - updated_at) / dt.timedelta(days=days), 0.0)
        gone = float(formula["freshness"]["gone_after_cycles"])
        parts["freshness"] = min(1.0, max(0.0, (gone - age) / (gone - 1)))
    if scores:
        least, best = formula["rating"]["least"], formula["rating"]["best"]
        parts["rating"] = (sum(scores) / len(scores) - least) / (best - least)
    weights = {name: formula["weights"][name] for name in parts}
    if not weights:
        return Quality(None)
    mean = sum(weights[name] * parts[name] for name in parts) / sum(weights.values())
    return Quality(round(100 * mean), parts, len(scores))


@cache
def _check(type_: str, kind: str) -> Check | None:
    """How a cell is held against its field; None where nothing is prescribed."""
    if known := KINDS.get(kind):
        return lambda value: known(ids.tidy(value))
    pattern = codes.load("quality")["types"].get(type_)
    return re.compile(pattern).fullmatch if pattern else None
