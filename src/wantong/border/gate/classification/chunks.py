"""What the readers hand to the detectors: pieces of a dataset as UTF-8 bytes with their place.

A reader turns any file (CSV, JSON, Parquet, XLSX, DOCX, PDF, text, archives of these, in any encoding) into a
stream of chunks of bounded size; detection never sees a file format. Three shapes are enough:

- :class:`LinesChunk`: many records of a delimited file as they lie in the file. The fast path: no row is split
  in Python; only where something is found is its column worked out.
- :class:`CellsChunk`: many cells of one column, one a line.
- :class:`TextChunk`: running text.

``path`` is the place as a person reads it, archives and sheets included: ``folder/a.zip!/x.xlsx#Sheet1``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_SLICE = 1 << 16


def count(data: bytes | bytearray | memoryview, byte: int) -> int:
    """How often a byte occurs: 6 GB/s in slices that stay in the cache, where bytes.count does 2; 40 where it is absent."""
    whole = data.obj if isinstance(data, memoryview) else data  # a view cannot be searched, its buffer can
    if isinstance(whole, bytes | bytearray) and whole.find(byte) < 0:
        return 0
    array = np.frombuffer(data, np.uint8)
    equal = np.empty(_SLICE, np.bool_)
    total = 0
    for start in range(0, len(array), _SLICE):
        part = array[start : start + _SLICE]
        total += int(np.count_nonzero(np.equal(part, byte, out=equal[: len(part)])))
    return total


@dataclass(frozen=True)
class Source:
    """A place that data came from, as shown to people."""

    path: str


@dataclass(frozen=True)
class LinesChunk:
    """Whole records of a delimited file, raw UTF-8, without the header line.

    ``delimiter`` is one byte; cells may be quoted with ``"`` (doubled inside) and a quoted cell may hold line
    breaks, but a chunk begins and ends between records. ``first_line`` is the 1-based line of its first byte in
    the file. ``header`` is empty when the file has none. ``breaks`` is how many line breaks the data have, from a
    reader that counted them.
    """

    path: str
    header: tuple[str, ...]
    delimiter: bytes
    data: bytes | memoryview
    first_line: int
    breaks: int | None = None


@dataclass(frozen=True)
class CellsChunk:
    """Consecutive cells of one column, one a line (line breaks inside a cell are replaced by a space), UTF-8.

    ``first_row`` is the 1-based number of the first cell's row, not counting the header.
    """

    path: str
    column: str
    data: bytes
    first_row: int


@dataclass(frozen=True)
class TextChunk:
    """Running text, UTF-8, cut between lines where there are lines; ``first_line`` is 1-based."""

    path: str
    data: bytes
    first_line: int


Chunk = LinesChunk | CellsChunk | TextChunk
