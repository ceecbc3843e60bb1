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


@dataclass(frozen=True)
class Source:
    """A place that data came from, as shown to people."""

    path: str


@dataclass(frozen=True)
class LinesChunk:
    """Whole records of a delimited file, raw UTF-8, without the header line.

    ``delimiter`` is one byte; cells may be quoted with ``"`` (doubled inside) and a quoted cell may hold line
    breaks, but a chunk begins and ends between records. ``first_line`` is the 1-based line of its first byte in
    the file. ``header`` is empty when the file has none.
    """

    path: str
    header: tuple[str, ...]
    delimiter: bytes
    data: bytes | memoryview
    first_line: int


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
