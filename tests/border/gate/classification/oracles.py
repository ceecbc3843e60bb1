"""Other people's engines behind the interface of ours, and columns counted one byte at a time.

They are what the engines of the package are held to, and what ``benchmarks/scan.py`` compares with.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from wantong.border.gate.classification.shapes import PAD, Bytes, Found, Layout, Positions, Shape


def columns(block: Bytes, delimiter: int | None, layout: Layout, at: Positions) -> Positions:
    """The column of every position; moves the carry."""
    if delimiter is None:
        return np.zeros(at.size, np.int64)
    column, quoted, by_place = layout.carry.column, layout.carry.quoted, np.zeros(block.size, np.int64)
    end = block.size - PAD
    while end > PAD and block[end - 1] == 10:
        end -= 1
    for place in range(PAD, end):
        by_place[place] = column
        byte = block[place]
        if byte == 34 and layout.quotes:
            quoted = not quoted
        elif not quoted and byte == delimiter:
            column += 1
        elif not quoted and byte == 10:
            column = 0
    layout.carry.column = column if layout.open or quoted else 0
    layout.carry.quoted = quoted
    return by_place[at]


class Oracle:
    """An engine told by where one shape begins."""

    def __init__(self, shapes: Sequence[Shape], delimiter: int | None = None) -> None:
        self.shapes, self.delimiter = tuple(shapes), delimiter

    def __call__(self, block: Bytes, layout: Layout) -> list[Found]:
        data = block.tobytes()
        starts = [np.array(self.starts(i, data), np.int64) for i in range(len(self.shapes))]
        flat = columns(block, self.delimiter, layout, np.concatenate(starts))
        return list(zip(starts, np.split(flat, np.cumsum([at.size for at in starts])[:-1]), strict=True))

    def starts(self, number: int, data: bytes) -> list[int]:
        raise NotImplementedError


class RegexMatcher(Oracle):
    """Python's ``re``."""

    def starts(self, number: int, data: bytes) -> list[int]:
        pattern = re.compile(b"(?=" + self.shapes[number].regex() + b")", re.DOTALL)
        return [match.start() + 1 for match in pattern.finditer(data)]


class HyperscanMatcher(Oracle):
    """One Hyperscan database a shape: measured faster than one database for all, which mixes weak patterns."""

    def __init__(self, shapes: Sequence[Shape], delimiter: int | None = None) -> None:
        import hyperscan

        super().__init__(shapes, delimiter)
        self.databases = []
        for shape in self.shapes:
            database = hyperscan.Database()
            database.compile(
                expressions=[shape.regex()], ids=[0], elements=1, flags=[hyperscan.HS_FLAG_DOTALL]
            )
            self.databases.append(database)

    def starts(self, number: int, data: bytes) -> list[int]:
        found: list[int] = []
        before = self.shapes[number].length + 1
        self.databases[number].scan(
            data, match_event_handler=lambda _id, _from, to, _flags, _context: found.append(to - before)
        )
        return found


class Re2Matcher(Oracle):
    """google-re2; every start is tried, for neighbours may share a boundary."""

    def __init__(self, shapes: Sequence[Shape], delimiter: int | None = None) -> None:
        import re2

        super().__init__(shapes, delimiter)
        options = re2.Options()
        options.encoding = re2.Options.Encoding.LATIN1
        options.dot_nl = True
        options.log_errors = False
        self.patterns = [re2.compile(shape.regex(), options) for shape in self.shapes]

    def starts(self, number: int, data: bytes) -> list[int]:
        found: list[int] = []
        at = 0
        while (match := self.patterns[number].search(data, at)) is not None:
            at = match.start() + 1
            found.append(at)
        return found
