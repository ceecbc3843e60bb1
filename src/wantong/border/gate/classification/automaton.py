"""The fast engine: all shapes as one deterministic automaton, walked by a compiled loop.

A state of the automaton is a set of places in shapes, one bit each. All the states that bytes could ever lead to
are too many to make (half a million for the default scan), those that data do lead to are a few thousand. So they
are made on the way, as RE2 does: the loop stops at a transition it does not know, Python works it out, the loop
goes on. A block that brings too much that is new is given to ``bits``, and an automaton that has grown too large
forgets: no data, however odd, cost much more than with ``bits``, nor much memory.

Shapes have a fixed length, so the state depends on the last few bytes only and a walk can begin anywhere: four
stretches of a block are walked at once, because a step waits for a load that needs the step before. The column is
counted on the way, at no cost that could be measured.

The loop is :func:`walk`, plain Python that Numba compiles once a machine (it keeps the result beside this file or
in the user's cache). That takes seconds at first and a third of one to load, so :class:`Auto` begins with ``bits``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wantong.border.gate.classification.bits import BitMatcher, Streams, columns_of
from wantong.border.gate.classification.shapes import (
    PAD,
    Bytes,
    Flags,
    Found,
    Layout,
    Matcher,
    Positions,
    Shape,
)

STATES = 1 << 14
"""States an automaton may have before it forgets them: 4 MB of transitions, half the cache of a core and more."""

PAYS, PAYS_LOADED = 32 << 20, 2 << 20
"""Bytes after which the automaton is worth its beginning: with Numba still to be loaded, and without."""

_LANES = 4
_UNKNOWN, _ACCEPTS, _COUNTS, _BREAKS = (np.uint64(1 << bit) for bit in (31, 30, 29, 28))
_TARGET = np.uint64((1 << 28) - 1)
_FAR = 1 << 30
"""Columns about here are relative to where a stretch began: no line break was seen yet."""


def walk(
    begin: int,
    span: int,
    block: Bytes,
    classes: Bytes,
    table: NDArray[np.uint32],
    lanes: NDArray[np.uint64],
    seen: NDArray[np.uint64],
    used: Positions,
) -> np.int64:  # pragma: no cover - compiled
    """Walks four stretches of ``span`` bytes, from byte ``begin`` of each. Returns where it stopped: at the end, at a
    transition it does not know, or for want of room.

    ``table`` holds by state and class of bytes where the next state's row begins, and flags: it accepts, a cell
    ends here, a line ends here. ``lanes`` are by stretch (row, column); what is ``seen`` too (entry of the table,
    byte of the stretch, column), and ``used`` is how much that is.
    """
    s0, s1, s2, s3 = lanes[0, 0], lanes[1, 0], lanes[2, 0], lanes[3, 0]
    c0, c1, c2, c3 = lanes[0, 1], lanes[1, 1], lanes[2, 1], lanes[3, 1]
    n0, n1, n2, n3 = used[0], used[1], used[2], used[3]
    part0, part1 = block[PAD : PAD + span], block[PAD + span : PAD + 2 * span]
    part2, part3 = block[PAD + 2 * span : PAD + 3 * span], block[PAD + 3 * span : PAD + 4 * span]
    one, counts, breaks = np.uint64(1), np.uint64(29), np.uint64(28)
    stopped = np.int64(span)
    for i in range(
        np.uint64(begin), np.uint64(span)
    ):  # signed numbers are tested for being negative at every use
        t0 = np.uint64(table[s0 + classes[part0[i]]])
        t1 = np.uint64(table[s1 + classes[part1[i]]])
        t2 = np.uint64(table[s2 + classes[part2[i]]])
        t3 = np.uint64(table[s3 + classes[part3[i]]])
        either = t0 | t1 | t2 | t3
        if either >= _ACCEPTS:
            if either >= _UNKNOWN or max(max(n0, n1), max(n2, n3)) == seen.shape[2]:
                stopped = np.int64(i)
                break
            if t0 >= _ACCEPTS:
                seen[0, 0, n0], seen[0, 1, n0], seen[0, 2, n0] = t0, i, c0
                n0 += 1
            if t1 >= _ACCEPTS:
                seen[1, 0, n1], seen[1, 1, n1], seen[1, 2, n1] = t1, i, c1
                n1 += 1
            if t2 >= _ACCEPTS:
                seen[2, 0, n2], seen[2, 1, n2], seen[2, 2, n2] = t2, i, c2
                n2 += 1
            if t3 >= _ACCEPTS:
                seen[3, 0, n3], seen[3, 1, n3], seen[3, 2, n3] = t3, i, c3
                n3 += 1
        s0, s1, s2, s3 = t0 & _TARGET, t1 & _TARGET, t2 & _TARGET, t3 & _TARGET
        c0 = (c0 + ((t0 >> counts) & one)) & (((t0 >> breaks) & one) - one)
        c1 = (c1 + ((t1 >> counts) & one)) & (((t1 >> breaks) & one) - one)
        c2 = (c2 + ((t2 >> counts) & one)) & (((t2 >> breaks) & one) - one)
        c3 = (c3 + ((t3 >> counts) & one)) & (((t3 >> breaks) & one) - one)
    lanes[0, 0], lanes[1, 0], lanes[2, 0], lanes[3, 0] = s0, s1, s2, s3
    lanes[0, 1], lanes[1, 1], lanes[2, 1], lanes[3, 1] = c0, c1, c2, c3
    used[0], used[1], used[2], used[3] = n0, n1, n2, n3
    return stopped


def settle(
    span: int,
    block: Bytes,
    shift: int,
    seen: NDArray[np.uint64],
    used: Positions,
    begins: Positions,
    accepted: Positions,
    quoted: Flags,
    lengths: Positions,
    divided: Flags,
    delimiter: int,
    quotes: bool,
    carried: Positions,
) -> tuple[Positions, Positions, Positions]:  # pragma: no cover - compiled
    """What was seen as hits in the order of shapes: where those of each shape end, all starts, all columns.

    The shapes of a state are ``accepted[begins[state]:begins[state + 1]]``; ``divided`` are those that a delimiter
    may stand in, ``quoted`` the states within quotation marks; ``carried`` is the column in which a stretch begins.
    """
    ends = np.zeros(lengths.size + 1, np.int64)
    for lane in range(_LANES):
        for n in range(used[lane]):
            state = np.int64(seen[lane, 0, n] & _TARGET) >> shift
            for k in range(begins[state], begins[state + 1]):
                ends[accepted[k] + 1] += 1
    ends = np.cumsum(ends)
    starts, columns = np.empty(ends[-1], np.int64), np.empty(ends[-1], np.int64)
    for lane in range(_LANES):
        for n in range(used[lane]):
            state = np.int64(seen[lane, 0, n] & _TARGET) >> shift
            end, column = PAD + lane * span + np.int64(seen[lane, 1, n]), np.int64(seen[lane, 2, n])
            if column > _FAR // 2:
                column += carried[lane] - _FAR
            for k in range(begins[state], begins[state + 1]):
                shape = accepted[k]
                start, cells = int(end - lengths[shape]), 0
                if divided[shape]:
                    inside = quoted[state]
                    for j in range(end, start - 1, -1):
                        cells += int(j < end and block[j] == delimiter and not inside)
                        inside ^= quotes and block[j] == 34
                at = ends[shape]
                starts[at], columns[at] = start, column - cells
                ends[shape] += 1
    return ends[:-1], starts, columns


@cache
def _compiled(loop: Callable[..., Any]) -> Callable[..., Any]:
    """A loop as machine code. Raises ImportError without Numba."""
    import numba

    try:
        made: Any = numba.njit(loop, nogil=True, cache=True)
    except RuntimeError:  # nowhere to keep it: neither this folder nor the user's cache can be written to
        made = numba.njit(loop, nogil=True)
    return made  # type: ignore[no-any-return]


class Automaton:
    """The compiled engine; see the module's text. It learns as it goes: not for several threads at once."""

    def __init__(self, shapes: Sequence[Shape], delimiter: int | None = None, states: int = STATES) -> None:
        self._walk, self._settle = _compiled(walk), _compiled(settle)
        self._bits = BitMatcher(shapes, delimiter)
        self._delimiter = delimiter
        places: list[frozenset[int]] = []
        self._first = 0
        self._last: list[int] = []  # by shape, the bit of its last place
        for shape in shapes:
            self._first |= 1 << len(places)
            before, after = shape.bounds
            places += [before, *(members for members, n in shape.segments for _ in range(n)), after]
            self._last.append(1 << (len(places) - 1))
        self._final = sum(self._last)
        self._quoting, self._inside = 1 << len(places), 2 << len(places)
        of_class: dict[frozenset[int], int] = {}
        for place, members in enumerate(places):
            of_class[members] = of_class.get(members, 0) | 1 << place
        alike: dict[int, list[int]] = {}
        for byte in range(256):
            of_places = sum(bits for members, bits in of_class.items() if byte in members)
            apart = 1 + (34, 10, delimiter).index(byte) if byte in (34, 10, delimiter) else 0
            alike.setdefault(apart << len(places) | of_places, []).append(byte)
        self._masks = [key & (self._quoting - 1) for key in alike]
        self._classes = np.zeros(256, np.uint8)
        for number, same in enumerate(alike.values()):
            self._classes[same] = number
        self._shift = (len(alike) - 1).bit_length()
        self._lengths = np.array([shape.length for shape in shapes], np.int64)
        self._divided = np.array(
            [any({delimiter} & c for c, _ in shape.segments) for shape in shapes], np.bool_
        )
        self._lead = int(self._lengths.max(initial=0)) + 2
        if states < 2 * _LANES * (self._lead + 2):
            raise ValueError(f"{states} states are too few for shapes of {self._lead} bytes")
        self._most = states
        self._room = 1 << 10
        self._forget()

    def _forget(self) -> None:
        """Begins anew."""
        self._numbers: dict[int, int] = {}
        self._sets: list[int] = []
        self._table = np.full(self._most << self._shift, _UNKNOWN, np.uint32)
        self._begins = np.zeros(self._most + 1, np.int64)
        self._accepted = np.empty(0, np.int64)
        self._quoted = np.zeros(self._most, np.bool_)

    def _number(self, places: int) -> int:
        """The number of the state that is this set of places."""
        number = self._numbers.get(places)
        if number is None:
            number = self._numbers[places] = len(self._sets)
            self._sets.append(places)
            if places & self._final:
                shapes = [i for i, last in enumerate(self._last) if places & last]
                self._accepted = np.append(self._accepted, shapes)
            self._begins[number + 1] = self._accepted.size
            self._quoted[number] = bool(places & self._inside)
        return number

    def _step(self, state: int, byte: int) -> int:
        """The state after a byte, which the table knows from now on."""
        before, byte_class = self._sets[state], int(self._classes[byte])
        places = (((before & (self._quoting - 1) & ~self._final) << 1) | self._first) & self._masks[
            byte_class
        ]
        places |= before & (self._quoting | self._inside)
        if byte == 34 and places & self._quoting:
            places ^= self._inside
        number = self._number(places)
        entry = number << self._shift
        if places & self._final:
            entry |= int(_ACCEPTS)
        if not places & self._inside:
            entry |= int(_COUNTS) * (byte == self._delimiter) | int(_BREAKS) * (byte == 10)
        self._table[(state << self._shift) + byte_class] = entry
        return number

    def _entered(self, block: Bytes, at: int, quoting: int) -> int:
        """The state before the byte ``at``, with ``quoting`` as given."""
        state = self._number(0)
        for byte in block[at - self._lead : at].tolist():
            entry = int(self._table[(state << self._shift) + int(self._classes[byte])])
            state = self._step(state, byte) if entry >= _UNKNOWN else (entry & int(_TARGET)) >> self._shift
        return self._number(self._sets[state] | quoting)

    def __call__(self, block: Bytes, layout: Layout) -> list[Found]:
        return self._found(block, layout) or self._bits(block, layout)

    def _found(self, block: Bytes, layout: Layout) -> list[Found] | None:
        """What is in the block; None if it brings too much that is new."""
        span = -(-(block.size - 2 * PAD + 1) // _LANES)
        quotes = layout.quotes and self._delimiter is not None
        inside = [quotes and layout.carry.quoted]
        for begin in range(PAD, PAD + _LANES * span, span):
            odd = quotes and bool(np.count_nonzero(block[begin : begin + span] == 34) & 1)
            inside.append(inside[-1] ^ odd)
        if len(self._sets) > self._most - _LANES * (self._lead + 2):
            self._forget()
        lanes = np.full((_LANES, 2), _FAR, np.uint64)
        for lane in range(_LANES):
            quoting = self._quoting * quotes | self._inside * inside[lane]
            lanes[lane, 0] = self._entered(block, PAD + lane * span, quoting) << self._shift
        seen, used = np.empty((_LANES, 3, self._room), np.uint64), np.zeros(_LANES, np.int64)
        at, patience = 0, 1_000 + block.size // 1024
        while (at := self._walk(at, span, block, self._classes, self._table, lanes, seen, used)) < span:
            if used.max() == self._room:
                self._room *= 2
                seen = np.concatenate([seen, np.empty_like(seen)], axis=2)
            if patience == 0 or len(self._sets) > self._most - _LANES:
                return None
            patience -= 1
            for lane in range(_LANES):
                self._step(int(lanes[lane, 0]) >> self._shift, int(block[PAD + lane * span + at]))
        carried = [layout.carry.column]
        for column in lanes[:, 1].tolist():
            carried.append(carried[-1] + column - _FAR if column > _FAR // 2 else column)
        accepting = self._begins, self._accepted, self._quoted, self._lengths, self._divided
        where = self._delimiter or 0, quotes, np.array(carried)
        ends, starts, columns = self._settle(span, block, self._shift, seen, used, *accepting, *where)
        if self._delimiter is None:
            columns[:] = 0
        elif layout.open:  # the columns since the last line break, which the padding hides
            columns_of(Streams(block), self._delimiter, layout, np.empty(0, np.int64))
        else:
            layout.carry.quoted, layout.carry.column = inside[-1], carried[-1] if inside[-1] else 0
        bounds = ends.tolist()
        return [
            (starts[low:high], columns[low:high]) for low, high in zip([0, *bounds], bounds, strict=False)
        ]


class Auto:
    """``bits`` to begin with, the automaton when it pays: small inputs are done before Numba would be there."""

    def __init__(self, shapes: Sequence[Shape], delimiter: int | None = None) -> None:
        self._shapes, self._delimiter = tuple(shapes), delimiter
        self._match: Matcher = BitMatcher(shapes, delimiter)
        self._left = PAYS_LOADED if "numba" in sys.modules else PAYS

    def __call__(self, block: Bytes, layout: Layout) -> list[Found]:
        if self._left > 0:
            self._left -= block.size
            if self._left <= 0:
                with suppress(ImportError, OSError):  # not installed, or its library cannot be loaded
                    self._match = Automaton(self._shapes, self._delimiter)
        return self._match(block, layout)
