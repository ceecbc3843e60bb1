"""From a payload to what may leave: only some columns, only some rows, masked. Streamed, in constant memory.

The work is done by :mod:`wantong.border.gate.classification.masking`; this gives it the gate's questions. A payload has
no name: where its content does not say that it is a table (of one column), the ``media_type`` it came with decides.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Never

from wantong.border.gate.classification.marks import token
from wantong.border.gate.classification.masking import ColumnsMissing as MaskColumnsMissing
from wantong.border.gate.classification.masking import MaskReport, select
from wantong.border.gate.classification.readers import ReadProblem
from wantong.border.gate.declarations.problems import ColumnsMissing, PayloadMissing, PayloadUnreadable

MEDIA_TYPES: Mapping[str, tuple[str, str]] = {
    "csv": (".csv", "text/csv"),
    "tsv": (".tsv", "text/tab-separated-values"),
    "jsonl": (".jsonl", "application/jsonl"),
    "json": (".json", "application/json"),
    "xlsx": (".xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    "parquet": (".parquet", "application/vnd.apache.parquet"),
}
"""Format → ending and media type of a deliverable."""

pseudonym = token
"""(value, key) → what stands for the value in a deliverable under the mask ``tokenise``."""


def digest(path: Path) -> tuple[str, int]:
    """SHA-256 (hex) and size of a file. Raises PayloadMissing."""
    whole, size = hashlib.sha256(), 0
    try:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                whole.update(block)
                size += len(block)
    except FileNotFoundError:
        raise PayloadMissing(reason="no-file") from None
    except OSError as error:
        raise PayloadMissing(reason="unreadable", told=type(error).__name__) from None
    if not size:
        raise PayloadMissing(reason="empty")
    return whole.hexdigest(), size


@dataclass(frozen=True)
class Payload:
    """A payload as it is known: by its digest, wherever it lies."""

    sha256: str
    media_type: str
    path: Path = field(compare=False)


def header(path: Path, media_type: str, sha256: str = "") -> tuple[str, ...]:
    """The column names; ``sha256`` is the payload's digest, if it is known: then it is read once.

    Raises PayloadMissing if there is not one row, PayloadUnreadable.
    """
    payload = Payload(sha256, media_type, path)
    return _header(payload) if sha256 else _header.__wrapped__(payload)


@lru_cache(maxsize=1000)
def _header(payload: Payload) -> tuple[str, ...]:
    def stop(row: Mapping[str, str]) -> Never:
        raise _FirstRow(row)

    try:
        _read(payload.path, payload.media_type, stop)
    except _FirstRow as first:
        return first.columns
    raise PayloadMissing(reason="no-rows")


def column(path: Path, name: str, media_type: str) -> set[str]:
    """The different values of one column that are not blank. Raises ColumnsMissing, PayloadUnreadable."""
    values: set[str] = set()

    def collect(row: Mapping[str, str]) -> bool:
        if name not in row:
            raise ColumnsMissing(columns=name)
        values.add(row[name])
        return False

    _read(path, media_type, collect)
    return {value for value in values if value.strip()}


def each_row(path: Path, look: Callable[[Mapping[str, str]], bool], media_type: str) -> None:
    """Give every row of a table to ``look``, in order. Raises PayloadUnreadable."""
    _read(path, media_type, look)


def make(
    source: Path,
    folder: Path,
    *,
    source_type: str,
    columns: Sequence[str],
    keep_row: Callable[[Mapping[str, str]], bool] | None,
    masks: Mapping[str, str],
    key: bytes,
) -> tuple[Path, str, MaskReport]:
    """The deliverable in ``folder``: its path, media type, and what was done. ``source_type`` is that of ``source``.

    Raises PayloadUnreadable, MaskProblem.
    """
    draft = folder / "payload"
    with _told():
        report = select(
            source, draft, columns=columns, keep_row=keep_row, masks=masks, key=key, media_type=source_type
        )
    ending, media_type = MEDIA_TYPES[report.format]
    return draft.rename(draft.with_suffix(ending)), media_type, report


def strike(source: Path, target: Path, name: str, value: str, media_type: str) -> int:
    """Copy a delivered table without the rows of one pseudonym; returns how many. Raises PayloadUnreadable."""
    columns = header(source, media_type)
    with _told():
        report = select(
            source,
            target,
            columns=columns,
            keep_row=lambda row: row[name] != value,
            media_type=media_type,
        )
    return report.rows_in - report.rows_out


_READ = {
    "file-damaged": "damaged",
    "file-encrypted": "encrypted",
    "file-format-unsupported": "format",
    "file-limit": "limit",
}


@contextmanager
def _told() -> Iterator[None]:
    """What a reader says, without the place on this machine: problems are shown to peers."""
    try:
        yield
    except ReadProblem as problem:
        seen = {name: value for name, value in problem.params.items() if name != "path"}
        told = str(seen.get("reason", problem.slug))
        raise PayloadUnreadable(
            **{**seen, "reason": _READ.get(problem.slug, "unreadable"), "told": told}
        ) from None
    except MaskColumnsMissing as problem:
        raise ColumnsMissing(**problem.params) from None


class _FirstRow(Exception):
    def __init__(self, row: Mapping[str, str]) -> None:
        self.columns = tuple(row)


def _read(path: Path, media_type: str, keep_row: Callable[[Mapping[str, str]], bool]) -> None:
    with TemporaryDirectory() as folder, _told():
        select(path, Path(folder) / "nothing", columns=(), keep_row=keep_row, media_type=media_type)
