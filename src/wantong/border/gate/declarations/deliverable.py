"""From a payload to what may leave: only some columns, only some rows, masked. One pass, constant memory."""

from __future__ import annotations

import csv
import hashlib
import hmac
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from wantong.border.gate.consent.commitment import normal
from wantong.border.gate.declarations.problems import ColumnsMissing, PayloadMissing, PayloadUnreadable

# a longer cell is no cell of a register, but an attack or a broken quotation mark
MAX_CELL = 1 << 20
MAX_COLUMNS = 10_000
csv.field_size_limit(MAX_CELL)


@dataclass(frozen=True)
class Selected:
    """What went into the deliverable."""

    rows: int
    left_out: int


def digest(path: Path) -> tuple[str, int]:
    """SHA-256 (hex) and size of a file. Raises PayloadMissing."""
    whole, size = hashlib.sha256(), 0
    try:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                whole.update(block)
                size += len(block)
    except OSError as error:
        raise PayloadMissing(reason=type(error).__name__) from None
    if not size:
        raise PayloadMissing(reason="empty")
    return whole.hexdigest(), size


def header(path: Path) -> tuple[str, ...]:
    """The column names. Raises PayloadMissing, PayloadUnreadable."""
    with _rows(path) as (names, _):
        return names


def column(path: Path, name: str) -> Iterator[str]:
    """The cells of one column. Raises PayloadMissing, PayloadUnreadable, ColumnsMissing."""
    with _rows(path) as (names, rows):
        at = _places(names, (name,))[0]
        for row in rows:
            yield row[at]


def select(
    source: Path,
    target: Path,
    *,
    columns: Sequence[str],
    keep_row: Callable[[Mapping[str, str]], bool] | None = None,
    masks: Mapping[str, str],
    key: bytes,
) -> Selected:
    """Write ``columns`` of the rows for which ``keep_row`` says yes to ``target``, each cell through its mask.

    Raises PayloadMissing, PayloadUnreadable, ColumnsMissing.
    """
    kept = left_out = 0
    with _rows(source) as (names, rows), target.open("w", encoding="utf-8", newline="") as file:
        places = _places(names, columns)
        maskers = [(at, mask(masks[name], key)) for name, at in zip(columns, places, strict=True)]
        out = csv.writer(file, lineterminator="\n")
        out.writerow(columns)
        for row in rows:
            if keep_row is not None and not keep_row(dict(zip(names, row, strict=True))):
                left_out += 1
                continue
            out.writerow([masked(row[at]) for at, masked in maskers])
            kept += 1
    return Selected(kept, left_out)


def strike(source: Path, target: Path, column_name: str, token: str) -> int:
    """Copy a delivered table without the rows of one pseudonym. Returns how many rows were struck."""
    struck = 0
    with _rows(source) as (names, rows), target.open("w", encoding="utf-8", newline="") as file:
        at = _places(names, (column_name,))[0]
        out = csv.writer(file, lineterminator="\n")
        out.writerow(names)
        for row in rows:
            if row[at] == token:
                struck += 1
            else:
                out.writerow(row)
    return struck


def pseudonym(key: bytes, value: str) -> str:
    """The token that stands for a value under ``key``."""
    return "t" + hmac.digest(key, normal(value).encode(), hashlib.sha256).hex()[:32]


def mask(name: str, key: bytes) -> Callable[[str], str]:
    """The function behind the name of a mask. Raises KeyError for one that does not exist."""
    masks: Mapping[str, Callable[[str], str]] = {
        "keep": _safe,
        "redact": lambda value: "",
        "partial": lambda value: _safe(
            value[:1] + "*" * (len(value) - 2) + value[-1:] if len(value) > 2 else "*" * len(value)
        ),
        "tokenise": lambda value: pseudonym(key, value) if value.strip() else "",
        "generalise": lambda value: _safe(value[:4]),
    }
    return masks[name]


def _safe(value: str) -> str:
    """A cell that no spreadsheet takes for a formula (CSV injection)."""
    return "'" + value if value[:1] in ("=", "+", "@", "\t", "\r") else value


def _places(names: Sequence[str], wanted: Sequence[str]) -> list[int]:
    if missing := [name for name in wanted if name not in names]:
        raise ColumnsMissing(columns=", ".join(missing)[:500])
    return [names.index(name) for name in wanted]


@contextmanager
def _rows(path: Path) -> Iterator[tuple[tuple[str, ...], Iterator[list[str]]]]:
    try:
        file = path.open(encoding="utf-8-sig", newline="")
    except OSError as error:
        raise PayloadMissing(reason=type(error).__name__) from None
    with file:
        try:
            reader = csv.reader(file, strict=True)
            names = tuple(next(reader, ()))
            if not names or len(names) > MAX_COLUMNS or len(set(names)) != len(names):
                raise PayloadUnreadable(reason="no header, too many columns, or a column name twice")
            yield names, _even(reader, len(names))
        except (UnicodeDecodeError, csv.Error) as error:
            raise PayloadUnreadable(reason=type(error).__name__) from None


def _even(reader: Iterator[list[str]], width: int) -> Iterator[list[str]]:
    for number, row in enumerate(reader, 2):
        if len(row) == width:
            yield row
        elif row:
            raise PayloadUnreadable(reason=f"row {number} has {len(row)} cells, not {width}")
