"""The portable engine: shapes found in bit streams, with NumPy alone.

A shape's longest run (eleven digits, say) is found *bit-parallel*: one bit a byte for each character class, packed
64 to a word, and a run is a handful of ANDs and shifts over words (the idea of Parabix, R. Cameron, PPoPP 2008);
what stands around the run is then looked up for all runs at once. No call into Python is made for a match, so a
file full of identifiers is read nearly as fast as one without. Columns are ranks in the streams of delimiters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from wantong.border.gate.classification.shapes import (
    ANY,
    DIGITS,
    PAD,
    Bytes,
    Flags,
    Found,
    Layout,
    Positions,
    Shape,
    ranges,
)

Words = NDArray[np.uint64]


@dataclass(frozen=True)
class Anchor:
    """A run of ``count`` bytes of a class; ``left``/``right``: it begins/ends there, so a longer run has no start inside.

    ``also`` are further runs of the class, (how far on, how long), that begin and end there: groups of digits.
    """

    members: frozenset[int]
    count: int
    left: bool
    right: bool
    also: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class Plan:
    """A shape as its longest run, found in streams, and the bytes around it, looked up where the run is.

    ``shift`` is how far the run lies from the shape's start; ``next_to`` are the bytes at its ends (offset from the
    run's start, class, class as 256 bits), ``further`` the others, the most selective first.
    """

    anchor: Anchor
    shift: int
    next_to: tuple[tuple[int, frozenset[int], int], ...]
    further: tuple[tuple[int, frozenset[int]], ...]


@cache
def plan_of(shape: Shape) -> Plan:
    """How to look for a shape."""
    segments = shape.segments
    runs: list[tuple[int, int, int]] = []  # (worth, first segment, end)
    for i, (members, _) in enumerate(segments):
        first, end = (
            i,
            i + 1,
        )  # the run may take in neighbours of narrower classes: 852[0-9]{8} is eleven digits
        while first > 0 and segments[first - 1][0] <= members:
            first -= 1
        while end < len(segments) and segments[end][0] <= members:
            end += 1
        # long runs are rare; each range of a class costs a pass over the block
        runs.append((sum(n for _, n in segments[first:end]) - 2 * len(ranges(members)), first, end))
    # the first of the longest, so that other groups of the class lie after it
    _, first, last = max(runs, key=lambda run: (run[0], -run[1]))
    members = max((c for c, _ in segments[first:last]), key=len)
    before, after = shape.bounds
    shift, count = sum(n for _, n in segments[:first]), sum(n for _, n in segments[first:last])
    sides = [(-shift - 1, before), (shape.length - shift, after)]
    at = -shift
    for c, n in segments:
        sides += [(at + k, c) for k in range(n) if not (0 <= at + k < count and c == members)]
        at += n
    left = (segments[first - 1][0] if first else before) & members
    right = (segments[last][0] if last < len(segments) else after) & members
    also = _groups(segments[last:], count, members, after) if not right else ()
    for start, n in also:
        sides = [side for side in sides if not start <= side[0] < start + n]
    # a class of few bytes rules most out; among equals the furthest, for the nearest are likest to the run
    sides = sorted(
        (side for side in sides if len(side[1]) < 256), key=lambda side: (len(side[1]), -abs(side[0]))
    )
    ends = -1, 0, count
    return Plan(
        Anchor(members, count, not left, not right, also),
        shift,
        tuple((at, c, sum(1 << byte for byte in c)) for at, c in sides if at in ends),
        tuple((at, c) for at, c in sides if at not in ends),
    )


def _groups(
    segments: Sequence[tuple[frozenset[int], int]], at: int, members: frozenset[int], after: frozenset[int]
) -> tuple[tuple[int, int], ...]:
    """Later runs of ``members`` that stand between bytes of other classes: (how far on, how long)."""
    found: list[tuple[int, int]] = []
    for i, (c, n) in enumerate(segments):
        following = segments[i + 1][0] if i + 1 < len(segments) else after
        if c == members and i > 0 and not (segments[i - 1][0] & members) and not (following & members):
            found.append((at, n))
        at += n
    return tuple(found)


_NONE: Positions = np.empty(0, np.int64)


def positions(words: Words, ascending: bool = True) -> Positions:
    """Where the bits of a stream are set."""
    filled = np.flatnonzero(words != 0)
    if not filled.size:
        return _NONE
    left, base = words[filled], filled << 6
    parts: list[Positions] = []
    for _ in range(2):  # hits are sparse: nearly every word has one bit, or two
        parts.append(base + np.bitwise_count((left & -left) - np.uint64(1)))
        left = left & (left - np.uint64(1))
        more = np.flatnonzero(left != 0)
        if not more.size:
            break
        left, base = left[more], base[more]
    else:
        bits = np.flatnonzero(np.unpackbits(left.view(np.uint8), bitorder="little").view(np.bool_))
        parts.append(base[bits >> 6] + (bits & 63))
    if len(parts) == 1:
        return parts[0]
    joined = np.concatenate(parts)
    return np.sort(joined) if ascending else joined


def down(words: Words, by: int) -> Words:
    """Bit ``i`` of the result is bit ``i + by`` of ``words``; 0 < by < 64."""
    moved = words >> np.uint64(by)
    moved[:-1] |= words[1:] << np.uint64(64 - by)
    return moved


def up(words: Words, by: int) -> Words:
    """Bit ``i`` of the result is bit ``i - by`` of ``words``; 0 < by < 64."""
    moved = words << np.uint64(by)
    moved[1:] |= words[:-1] >> np.uint64(64 - by)
    return moved


class Streams:
    """The bit streams of one block: which bytes belong to a class, where runs of a class begin. Made once each."""

    def __init__(self, block: Bytes) -> None:
        self.block = block
        self._classes: dict[frozenset[int], Words] = {}
        self._runs: dict[tuple[frozenset[int], int], Words | None] = {}
        self._begins: dict[frozenset[int], Words] = {}
        self._edges: dict[tuple[frozenset[int], int, bool, bool], Words | None] = {}
        self._anchors: dict[Anchor, Positions] = {}

    def members(self, members: frozenset[int]) -> Words:
        """Bit ``i`` says whether byte ``i`` is in the class."""
        made = self._classes.get(members)
        if made is None:
            made = ~self.members(ANY - members) if len(members) > 128 else self._packed(members)
            self._classes[members] = made
        return made

    def _packed(self, members: frozenset[int]) -> Words:
        rest = members
        known: Words | None = None
        if members > DIGITS:  # the class all others build on is packed once
            known, rest = self.members(DIGITS), members - DIGITS
        inside = np.zeros(self.block.size, np.bool_)
        for low, high in ranges(rest):
            if low == high:
                inside |= self.block == low
            else:
                inside |= (self.block - np.uint8(low)) <= np.uint8(high - low)
        packed = np.packbits(inside, bitorder="little").view(np.uint64)
        return packed if known is None else packed | known

    def run(self, members: frozenset[int], length: int) -> Words | None:
        """Bit ``i`` says whether bytes ``i`` … ``i + length - 1`` are all in the class; None if nowhere."""
        key = members, length
        if key not in self._runs:
            if length == 1:
                made: Words | None = self.members(members)
            else:
                # the longest power of two below: shared by all lengths above it
                half = 1 << ((length - 1).bit_length() - 1)
                part = self.run(members, half)
                made = None if part is None else part & down(part, length - half)
            self._runs[key] = made if made is not None and made.any() else None
        return self._runs[key]

    def anchored(self, anchor: Anchor) -> Positions:
        """Where the runs of an anchor begin."""
        if anchor not in self._anchors:
            run = self._edged(anchor.members, anchor.count, anchor.left, anchor.right)
            for shift, count in anchor.also:
                other = self._edged(anchor.members, count, True, True) if run is not None else None
                run = None if run is None or other is None else run & down(other, shift)
            if run is None:
                self._anchors[anchor] = _NONE
            else:
                found = positions(run, ascending=False)
                self._anchors[anchor] = found[found < self.block.size - PAD // 2]
        return self._anchors[anchor]

    def _edged(self, members: frozenset[int], count: int, left: bool, right: bool) -> Words | None:
        """Runs that begin (``left``) and end (``right``) where they do."""
        key = members, count, left, right
        if key not in self._edges:
            run = self.run(members, count)
            if run is not None and left:
                if members not in self._begins:
                    self._begins[members] = ~up(self.members(members), 1)
                run = run & self._begins[members]
            if run is not None and right:
                run = run & ~down(self.members(members), count)
            self._edges[key] = run
        return self._edges[key]


@cache
def mask(members: frozenset[int]) -> Flags:
    """By byte: is it in the class?"""
    flags = np.zeros(256, np.bool_)
    flags[list(members)] = True
    return flags


def _rank(words: Words) -> NDArray[np.int64]:
    """Bits set before each word."""
    counts = np.zeros(words.size + 1, np.int64)
    np.cumsum(np.bitwise_count(words), out=counts[1:])
    return counts


def _before(words: Words, ranks: NDArray[np.int64], at: Positions) -> NDArray[np.int64]:
    """Bits set before each position."""
    below = (np.uint64(1) << (at & 63).astype(np.uint64)) - np.uint64(1)
    counts: NDArray[np.int64] = ranks[at >> 6] + np.bitwise_count(words[at >> 6] & below)
    return counts


def columns_of(streams: Streams, delimiter: int, layout: Layout, at: Positions) -> Positions:
    """The column number of each position; moves the layout's carry to the block's end."""
    carry, end = layout.carry, streams.block.size - PAD
    while end > PAD and streams.block[end - 1] == 10:
        end -= 1
    if not (at.size or layout.quotes or layout.open or carry.column):
        return at
    delimiters = streams.members(frozenset((delimiter,)))
    breaks = streams.members(frozenset((10,)))
    if layout.quotes:
        inside = streams.members(frozenset((34,))).copy()
        odd = np.bitwise_count(inside) & np.uint8(1)
        for shift in (1, 2, 4, 8, 16, 32):
            inside ^= inside << np.uint64(shift)
        flipped = (np.cumsum(odd) - odd + carry.quoted) & 1
        inside ^= np.where(flipped == 1, ~np.uint64(0), np.uint64(0))
        carry.quoted = bool((int(odd.sum()) + carry.quoted) & 1)
        delimiters, breaks = delimiters & ~inside, breaks & ~inside
    ends = positions(breaks)
    ends = ends[(ends >= PAD) & (ends < end)]
    ranks = _rank(delimiters)
    first, last = np.array([PAD]), np.array([end])
    at_line = np.concatenate(
        [_before(delimiters, ranks, first) - carry.column, _before(delimiters, ranks, ends)]
    )
    carried = carry.column
    last_line = int(_before(delimiters, ranks, last)[0] - at_line[-1])
    carry.column = last_line if layout.open or carry.quoted else 0
    found: Positions
    width = int(at_line[1] - at_line[0]) + 1 if len(at_line) > 1 else 0
    if width > last_line and (np.diff(at_line) == width - 1).all():
        # every line has the same delimiters: one rank gives the column
        both = delimiters | breaks
        ranks = _rank(both)
        found = (_before(both, ranks, at) - _before(both, ranks, first) + carried) % width
        return found
    lines = _rank(breaks)
    found = (
        _before(delimiters, ranks, at) - at_line[_before(breaks, lines, at) - _before(breaks, lines, first)]
    )
    return found


class BitMatcher:
    """The bit-parallel engine; see the module's text."""

    def __init__(self, shapes: Sequence[Shape], delimiter: int | None = None) -> None:
        self.shapes, self.delimiter = tuple(shapes), delimiter
        grouped: dict[Anchor, list[tuple[int, Plan]]] = {}
        for number, shape in enumerate(self.shapes):
            plan = plan_of(shape)
            grouped.setdefault(plan.anchor, []).append((number, plan))
        self._groups = list(grouped.items())

    def __call__(self, block: Bytes, layout: Layout) -> list[Found]:
        streams = Streams(block)
        starts = [_NONE] * len(self.shapes)
        for anchor, plans in self._groups:
            runs = streams.anchored(anchor)
            if runs.size:
                beside = _Beside(block, runs)
                for number, plan in plans:
                    starts[number] = beside.starts(plan)
        if self.delimiter is None:
            return [(at, np.zeros(at.size, np.int64)) for at in starts]
        columns = columns_of(streams, self.delimiter, layout, np.concatenate(starts))
        return list(zip(starts, np.split(columns, np.cumsum([at.size for at in starts])[:-1]), strict=True))


class _Beside:
    """The bytes beside an anchor's runs, looked up once for all the shapes that hang on it."""

    def __init__(self, block: Bytes, runs: Positions) -> None:
        self.block, self.runs = block, runs
        self._sides: dict[int, tuple[Bytes, int]] = {}
        self._chosen: dict[tuple[int, frozenset[int]], Positions] = {}

    def starts(self, plan: Plan) -> Positions:
        """Where a shape, with its boundaries, begins."""
        found = self.runs
        whole = True
        for offset, members, bits in plan.next_to:
            values, present = self._side(offset)
            if not present & bits:  # in a table every run stands in its cell: most shapes end here
                return _NONE
            if not present & ~bits:
                continue
            if whole:
                key = offset, members
                if key not in self._chosen:
                    self._chosen[key] = self.runs[mask(members)[values]]
                found, whole = self._chosen[key], False
            else:
                found = found[mask(members)[self.block[found + offset]]]
        for offset, members in plan.further:
            if not found.size:
                return _NONE
            found = found[mask(members)[self.block[found + offset]]]
        return np.sort(found) - plan.shift

    def _side(self, offset: int) -> tuple[Bytes, int]:
        """The bytes at ``offset`` from each run, and which bytes these are, as a set of 256 bits."""
        made = self._sides.get(offset)
        if made is None:
            values = self.block[self.runs + offset]
            present = np.zeros(256, np.bool_)
            present[values] = True
            made = values, int.from_bytes(np.packbits(present, bitorder="little").tobytes(), "little")
            self._sides[offset] = made
        return made
