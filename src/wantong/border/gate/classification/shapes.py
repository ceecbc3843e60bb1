"""Shapes: what an identifier looks like as bytes, and what finds them.

A *shape* is a small, fixed-length regular expression over bytes (literals, classes, ``{n}``) between two
boundaries. That is all candidates need, and the restriction pays twice:

- a match is one number, its start, so hits stay in arrays and every check is done for all of them at once;
- nothing has to be remembered for longer than a shape is long: an automaton can begin anywhere in the data
  (``automaton.py``), and runs of a class can be found bit-parallel (``bits.py``).

Two engines find shapes, with the column each stands in, and give the same: ``bits`` needs NumPy only and starts at
once; ``automaton`` is several times as fast and is compiled first. ``matcher`` chooses.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Flags = NDArray[np.bool_]
Positions = NDArray[np.int64]

PAD = 128
"""Line breaks put before and after a block, so that every window around a hit lies inside it."""

DIGITS = frozenset(b"0123456789")
ALNUM = DIGITS | frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
ANY = frozenset(range(256))
BOUNDARIES: dict[str, frozenset[int]] = {
    # what may stand beside the shape; bytes of Chinese characters are neither letters nor digits here
    "word": ANY - ALNUM,
    "digit": ANY - DIGITS,
    "mrz": ANY - ALNUM - frozenset(b"<"),
    "any": ANY,
}

_TOKEN = re.compile(
    rb"(\[(?:\\x[0-9a-f]{2}|\\.|[^\]\\])+\]|\\x[0-9a-f]{2}|\\.|[^\\\[\]{}])(?:\{(\d+)\})?", re.DOTALL
)
_MEMBER = re.compile(rb"\\x([0-9a-f]{2})|\\(.)|(.)", re.DOTALL)


def _members(token: bytes) -> frozenset[int]:
    """The bytes a class or a literal stands for."""
    body = token[1:-1] if token.startswith(b"[") and len(token) > 1 else token
    if body.startswith(b"^") and body != token:
        return ANY - _members(b"[" + body[1:] + b"]")
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
class Shape:
    """One look of an identifier. ``form`` as in the module's text; boundaries by name (:data:`BOUNDARIES`) or a class."""

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
    def bounds(self) -> tuple[frozenset[int], frozenset[int]]:
        """The bytes that may stand before and after."""
        before, after = (
            BOUNDARIES[side] if side in BOUNDARIES else _members(side.encode())
            for side in (self.before, self.after)
        )
        return before, after

    def regex(self) -> bytes:
        """The shape with its boundaries as a regular expression over Latin-1 bytes (one byte each side)."""

        def written(members: frozenset[int]) -> bytes:
            return b"[" + b"".join(b"\\x%02x-\\x%02x" % bounds for bounds in ranges(members)) + b"]"

        body = b"".join(written(members) + (b"{%d}" % n if n > 1 else b"") for members, n in self.segments)
        return written(self.bounds[0]) + body + written(self.bounds[1])


def ranges(members: frozenset[int]) -> list[tuple[int, int]]:
    """The class as ranges of bytes, both ends included."""
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


@dataclass
class Carry:
    """What a block leaves to the next one of the same chunk: inside quotes or not, and in which column."""

    quoted: bool = False
    column: int = 0


@dataclass(frozen=True)
class Layout:
    """How a block of cells lies: whether quotation marks may hold delimiters, and whether it ends within a line.

    ``carry`` comes from the block before and is moved to this one's end.
    """

    quotes: bool = False
    open: bool = False
    carry: Carry = field(default_factory=Carry)


Found = tuple[Positions, Positions]
"""Where a shape begins, ascending, and in which column each of these places is."""


class Matcher(Protocol):
    """Finds every shape in a padded block; ``found[i]`` belongs to ``shapes[i]``."""

    def __call__(self, block: Bytes, layout: Layout) -> list[Found]: ...


def matcher(shapes: Sequence[Shape], delimiter: int | None, engine: str = "auto") -> Matcher:
    """A matcher for ``shapes`` among cells with that delimiter; without one every column is 0. It may learn: one a thread.

    ``engine`` is ``bits``, ``automaton`` or ``auto``, which begins with the one and goes on with the other.

    Raises KeyError for an unknown engine, ImportError if ``automaton`` is asked for where Numba is not installed.
    """
    from wantong.border.gate.classification import automaton, bits

    engines: dict[str, Callable[[Sequence[Shape], int | None], Matcher]] = {
        "auto": automaton.Auto,
        "automaton": automaton.Automaton,
        "bits": bits.BitMatcher,
    }
    return engines[engine](shapes, delimiter)
