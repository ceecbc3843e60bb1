"""Shapes: what an identifier looks like as bytes, found at memory speed, by three interchangeable engines.

A *shape* is a small, fixed-length regular expression over bytes (literals, classes, ``{n}``) between two
boundaries. That is all candidates need, and the restriction pays twice:

- a match is one number, its start, so hits stay in arrays and every check is done for all of them at once;
- its longest run (eleven digits, say) can be found *bit-parallel*: one bit a byte for each character class, packed
  64 to a word, and a run is a handful of ANDs and shifts over words (the idea of Parabix, R. Cameron, PPoPP 2008);
  what stands around the run is then looked up for all runs at once. No call into Python is made for a match, so a
  file full of identifiers is read nearly as fast as one without.

Engines: ``bits`` (NumPy, everywhere, the default), ``hyperscan`` (x86-64, one database a shape) and ``re2``. They
give the same positions; tests hold them to it, and ``benchmarks/scan.py`` prints what each costs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Words = NDArray[np.uint64]
Positions = NDArray[np.int64]

PAD = 128
"""Line breaks put before and after a block, so that every window around a hit lies inside it."""

_ALNUM = frozenset(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
_ANY = frozenset(range(256))
DIGITS = frozenset(b"0123456789")
BOUNDARIES: dict[str, frozenset[int]] = {
    # what may stand beside the shape; bytes of Chinese characters are neither letters nor digits here
    "word": _ANY - _ALNUM,
    "digit": _ANY - frozenset(b"0123456789"),
    "mrz": _ANY - _ALNUM - frozenset(b"<"),
    "any": _ANY,
}

_TOKEN = re.compile(
    rb"(\[(?:\\x[0-9a-f]{2}|\\.|[^\]\\])+\]|\\x[0-9a-f]{2}|\\.|[^\\\[\]{}])(?:\{(\d+)\})?", re.DOTALL
)
_MEMBER = re.compile(rb"\\x([0-9a-f]{2})|\\(.)|(.)", re.DOTALL)


def _members(token: bytes) -> frozenset[int]:
    """The bytes a class or a literal stands for."""
    body = token[1:-1] if token.startswith(b"[") and len(token) > 1 else token
    units: list[int | None] = []  # None marks a range dash
    for code, escaped, plain in _MEMBER.findall(body):
        units.append(
            int(code, 16) if code else None if plain == b"-" and token[:1] == b"[" else (escaped or plain)[0]
        )
    found: set[int] = set()
    i = 0
    while i < len(units):
        low = units[i]
        if low is None:  # a dash at an end is itself
            found.add(ord("-"))
            i += 1
        elif i + 2 < len(units) and units[i + 1] is None and (high := units[i + 2]) is not None:
            found.update(range(low, high + 1))
            i += 3
        else:
            found.add(low)
            i += 1
    return frozenset(found)


def parse(form: str) -> tuple[tuple[frozenset[int], int], ...]:
    """``form`` as segments (class, how many), neighbours of one class joined. Raises ValueError if it is not a shape.

    Characters outside ASCII stand for their UTF-8 bytes.
    """
    source = form.encode()
    segments: list[tuple[frozenset[int], int]] = []
    at = 0
    while at < len(source):
        token = _TOKEN.match(source, at)
        if token is None:
            raise ValueError(f"not a shape: {form!r} at {at}")
        members, count = _members(token[1]), int(token[2] or 1)
        if segments and segments[-1][0] == members:
            count += segments.pop()[1]
        segments.append((members, count))
        at = token.end()
    return tuple(segments)


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


@dataclass(frozen=True)
class Shape:
    """One look of an identifier. ``form`` as in the module's text; boundaries by name (:data:`BOUNDARIES`)."""

    form: str
    before: str = "word"
    after: str = "word"

    @cached_property
    def segments(self) -> tuple[tuple[frozenset[int], int], ...]:
        return parse(self.form)

    @cached_property
    def length(self) -> int:
        """Bytes, without boundaries."""
        return sum(count for _, count in self.segments)

    @cached_property
    def plan(self) -> Plan:
        """How the bit-parallel engine looks for the shape."""
        return _plan(self)

    def regex(self) -> bytes:
        """The shape with its boundaries as a regular expression over Latin-1 bytes (one byte each side)."""

        def written(members: frozenset[int]) -> bytes:
            return b"[" + b"".join(b"\\x%02x-\\x%02x" % bounds for bounds in _ranges(members)) + b"]"

        body = b"".join(written(members) + (b"{%d}" % n if n > 1 else b"") for members, n in self.segments)
        return written(BOUNDARIES[self.before]) + body + written(BOUNDARIES[self.after])


def _plan(shape: Shape) -> Plan:
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
        runs.append((sum(n for _, n in segments[first:end]) - 2 * len(_ranges(members)), first, end))
    # the first of the longest, so that other groups of the class lie after it
    _, first, last = max(runs, key=lambda run: (run[0], -run[1]))
    members = max((c for c, _ in segments[first:last]), key=len)
    before, after = BOUNDARIES[shape.before], BOUNDARIES[shape.after]
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


def _ranges(members: frozenset[int]) -> list[tuple[int, int]]:
    bounds: list[tuple[int, int]] = []
    for byte in sorted(members):
        if bounds and bounds[-1][1] == byte - 1:
            bounds[-1] = (bounds[-1][0], byte)
        else:
            bounds.append((byte, byte))
    return bounds


def padded(data: bytes | memoryview) -> Bytes:
    """``data`` between two runs of :data:`PAD` line breaks, as an array of a whole number of 64-byte words."""
    size = len(data)
    total = -(-(size + 2 * PAD) // 64) * 64
    block = np.empty(total, np.uint8)
    block[:PAD] = 10
    block[PAD : PAD + size] = np.frombuffer(data, np.uint8)
    block[PAD + size :] = 10
    return block


class Matcher(Protocol):
    """Finds the starts of every shape in a padded block; ``starts[i]`` belongs to ``shapes[i]``, ascending.

    ``streams`` may carry bit streams of the block made already; only ``bits`` has a use for them.
    """

    def __call__(self, block: Bytes, streams: Streams | None = None) -> list[Positions]: ...


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
            made = ~self.members(_ANY - members) if len(members) > 128 else self._packed(members)
            self._classes[members] = made
        return made

    def _packed(self, members: frozenset[int]) -> Words:
        rest = members
        known: Words | None = None
        if members > DIGITS:  # the class all others build on is packed once
            known, rest = self.members(DIGITS), members - DIGITS
        inside = np.zeros(self.block.size, np.bool_)
        for low, high in _ranges(rest):
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
def _mask(members: frozenset[int]) -> NDArray[np.bool_]:
    mask = np.zeros(256, np.bool_)
    mask[list(members)] = True
    return mask


class BitMatcher:
    """The bit-parallel engine; see the module's text."""

    def __init__(self, shapes: Sequence[Shape]) -> None:
        self.shapes = tuple(shapes)
        grouped: dict[Anchor, list[tuple[int, Plan]]] = {}
        for number, shape in enumerate(self.shapes):
            grouped.setdefault(shape.plan.anchor, []).append((number, shape.plan))
        self._groups = list(grouped.items())

    def __call__(self, block: Bytes, streams: Streams | None = None) -> list[Positions]:
        streams = streams or Streams(block)
        found = [_NONE] * len(self.shapes)
        for anchor, plans in self._groups:
            runs = streams.anchored(anchor)
            if runs.size:
                beside = _Beside(block, runs)
                for number, plan in plans:
                    found[number] = beside.starts(plan)
        return found


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
                    self._chosen[key] = self.runs[_mask(members)[values]]
                found, whole = self._chosen[key], False
            else:
                found = found[_mask(members)[self.block[found + offset]]]
        for offset, members in plan.further:
            if not found.size:
                return _NONE
            found = found[_mask(members)[self.block[found + offset]]]
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


class HyperscanMatcher:
    """One Hyperscan database a shape: measured faster than one database for all, which mixes weak patterns."""

    def __init__(self, shapes: Sequence[Shape]) -> None:
        import hyperscan

        self.shapes = tuple(shapes)
        self.databases: list[Any] = []
        for shape in self.shapes:
            database = hyperscan.Database()
            flags = hyperscan.HS_FLAG_DOTALL
            database.compile(expressions=[shape.regex()], ids=[0], elements=1, flags=[flags])
            self.databases.append(database)

    def __call__(self, block: Bytes, streams: Streams | None = None) -> list[Positions]:
        data = block.tobytes()
        found: list[Positions] = []
        for shape, database in zip(self.shapes, self.databases, strict=True):
            ends: list[int] = []
            keep = ends.append

            def hit(
                _id: int,
                _from: int,
                to: int,
                _flags: int,
                _context: object,
                keep: Callable[[int], None] = keep,
            ) -> None:
                keep(to)

            database.scan(data, match_event_handler=hit)
            found.append(np.asarray(ends, np.int64) - (shape.length + 1))
        return found


class Re2Matcher:
    """google-re2; every start is tried, for neighbours may share a boundary."""

    def __init__(self, shapes: Sequence[Shape]) -> None:
        import re2

        self.shapes = tuple(shapes)
        options = re2.Options()
        options.encoding = re2.Options.Encoding.LATIN1
        options.dot_nl = True
        options.log_errors = False
        self.patterns = [re2.compile(shape.regex(), options) for shape in self.shapes]

    def __call__(self, block: Bytes, streams: Streams | None = None) -> list[Positions]:
        data = block.tobytes()
        found: list[Positions] = []
        for pattern in self.patterns:
            starts: list[int] = []
            at = 0
            while (match := pattern.search(data, at)) is not None:
                starts.append(match.start() + 1)
                at = match.start() + 1
            found.append(np.asarray(starts, np.int64))
        return found


ENGINES: dict[str, Callable[[Sequence[Shape]], Matcher]] = {
    "bits": BitMatcher,
    "hyperscan": HyperscanMatcher,
    "re2": Re2Matcher,
}


def matcher(shapes: Sequence[Shape], engine: str = "auto") -> Matcher:
    """A matcher for ``shapes``; ``auto`` is ``bits``. Raises KeyError for an unknown engine, ImportError if absent."""
    return ENGINES["bits" if engine == "auto" else engine](shapes)
