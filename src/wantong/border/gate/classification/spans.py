"""Where in a text the data of people stand: for masks that leave the rest of the text as it is.

The same engine as the scan's, with places instead of tallies, and without its weighing of a column as a whole: a
passed check that is announced or strong enough by itself is a span. That is a little more than a scan reports,
which is the right side to err on when data are to leave.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from wantong.border.gate.classification.checks import Flags
from wantong.border.gate.classification.columns import LABELLED
from wantong.border.gate.classification.detect import BLOCK, Detector, Rule, Table
from wantong.border.gate.classification.kinds import REPORTED, identifiers
from wantong.border.gate.classification.shapes import PAD, Layout, Positions, padded

_NARROW = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F) if code not in (0xFF0C, 0xFF02)}
_NARROW |= {0x3000: 0x20, 0xA0: 0x20, 0x2212: 0x2D, **dict.fromkeys(range(0x2010, 0x2016), 0x2D)}
_UNSEEN = "\u200b\u200c\u200d"


@dataclass(frozen=True)
class Span:
    """Characters ``start`` to ``end`` of a text are of a kind."""

    start: int
    end: int
    kind: str


class _Places(Detector):
    def __init__(self) -> None:
        super().__init__(identifiers())
        self.found: list[tuple[int, int, str]] = []

    def _seen(self, rule: Rule, starts: Positions, lasts: Positions, announced: Flags) -> None:
        for start, last, told in zip(starts.tolist(), lasts.tolist(), announced.tolist(), strict=True):
            if told or rule.alone >= REPORTED:
                self.found.append((start - PAD, last + 1 - PAD, rule.kind))

    def places(self, data: bytes, column: str | None) -> list[tuple[int, int, str]]:
        self.found, self.tallies = [], {}
        self._looked.clear()
        table = Table("", (column,) if column is not None else (), None, column is None)
        block = padded(data)
        taken = np.zeros(block.size, np.bool_)
        for hit in self._hits(block, Layout(), None, column is None):
            self._count(block, hit, table, taken)
        return self.found


class SpanFinder:
    """Finds spans in cells of a column or in lines of running text, many at a time (a call costs milliseconds)."""

    def __init__(self) -> None:
        self._places = _Places()

    def cells(self, cells: Sequence[str], column: str | None = None) -> list[list[Span]]:
        """The spans of each cell, in order, not overlapping. ``column`` None means running text."""
        found: list[list[Span]] = []
        start = size = 0
        for index, cell in enumerate(cells):
            size += 3 * len(cell) + 1
            if size > BLOCK:
                found += self._batch(cells[start : index + 1], column)
                start, size = index + 1, 0
        return found + self._batch(cells[start:], column)

    def _batch(self, cells: Sequence[str], column: str | None) -> list[list[Span]]:
        if not cells:
            return []
        narrow, origin = _narrowed("\n".join(cell.replace("\n", " ") for cell in cells))
        data = narrow.encode("utf-8", "replace")
        place = _characters(data)
        spans = [(place(start), place(end), kind) for start, end, kind in self._places.places(data, column)]
        for kind, pattern in LABELLED.items():
            for match in pattern.finditer(narrow):
                group = 1 if match[1] is not None else 2
                spans.append((match.start(group), match.end(group), kind))
        if origin is not None:
            spans = [(origin[start], origin[end - 1] + 1, kind) for start, end, kind in spans]
        starts = list(accumulate((len(cell) + 1 for cell in cells), initial=0))
        result: list[list[Span]] = [[] for _ in cells]
        upto = index = 0
        for start, end, kind in sorted(spans, key=lambda span: (span[0], -span[1])):
            while start >= starts[index + 1]:
                index += 1
            start = max(start, upto)
            while start < end and index < len(cells):  # a number split over two lines is a span in each
                here = min(end, starts[index + 1] - 1)
                if here > start:
                    result[index].append(Span(start - starts[index], here - starts[index], kind))
                upto = max(upto, here)
                if end <= starts[index + 1]:
                    break
                index += 1
                start = starts[index]
        return result


def _narrowed(text: str) -> tuple[str, list[int] | None]:
    """The text with full-width forms narrowed, and where each character came from if some were dropped."""
    if text.isascii():
        return text, None
    narrow = text.translate(_NARROW)
    if not any(char in narrow for char in _UNSEEN):
        return narrow, None
    origin = [place for place, char in enumerate(narrow) if char not in _UNSEEN]
    return "".join(narrow[place] for place in origin), origin


def _characters(data: bytes) -> Callable[[int], int]:
    """From a byte's place in UTF-8 to its character's."""
    if data.isascii():
        return lambda at: at
    array = np.frombuffer(data, np.uint8)
    before = np.concatenate([[0], np.cumsum((array & 0xC0) != 0x80)])
    return lambda at: int(before[at])
