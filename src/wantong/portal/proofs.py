"""A receipt as a picture: how one entry hangs together with the head of the log, step by step.

Pure: from a parsed proof to the joins of its Merkle path (RFC 6962), and from those to the places of a drawing that
a template turns into SVG. Nothing here decides whether a receipt is good; that is
:func:`wantong.ground.log.verify_receipt`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from wantong.ground.log.merkle import leaf_hash, node_hash, split
from wantong.ground.log.proof import Proof

# a drawing shows at most so many joins; of longer paths the middle is left out (and said to be)
MOST_JOINS = 12


@dataclass(frozen=True)
class Join:
    """One step of a path: the hash so far joins its neighbour, the hash over the entries ``first``…``last``."""

    side: Literal["left", "right"]
    first: int
    last: int
    neighbour: bytes
    result: bytes


@dataclass(frozen=True)
class Path:
    """The way from entry ``index`` (its hash is ``leaf``) to the root of a tree of ``size`` entries."""

    index: int
    size: int
    leaf: bytes
    joins: tuple[Join, ...]

    @property
    def root(self) -> bytes:
        return self.joins[-1].result if self.joins else self.leaf


def path_of(proof: Proof) -> Path | None:
    """The path of a receipt, or None where its parts cannot belong to one tree (the verdict says more)."""
    try:
        size = int(proof.checkpoint.text.split(b"\n")[1])
    except (IndexError, ValueError):
        return None
    if proof.extra is None or not 0 <= proof.index < size:
        return None
    neighbours = _neighbours(proof.index, size)
    if len(neighbours) != len(proof.hashes):
        return None
    return make_path(proof.index, size, leaf_hash(proof.extra), proof.hashes)


def make_path(index: int, size: int, leaf: bytes, hashes: Sequence[bytes]) -> Path:
    """The path over ``hashes`` (an inclusion proof, from the leaf up). Raises ValueError if their number is wrong."""
    joins = []
    here = leaf
    for (side, first, last), neighbour in zip(_neighbours(index, size), hashes, strict=True):
        here = node_hash(neighbour, here) if side == "left" else node_hash(here, neighbour)
        joins.append(Join(side, first, last, neighbour, here))
    return Path(index, size, leaf, tuple(joins))


def _neighbours(index: int, size: int) -> list[tuple[Literal["left", "right"], int, int]]:
    """For each join from the leaf up: where the neighbour stands and which entries it covers."""
    found: list[tuple[Literal["left", "right"], int, int]] = []
    low, high = 0, size
    while high - low > 1:
        middle = low + split(high - low)
        if index < middle:
            found.append(("right", middle, high - 1))
            high = middle
        else:
            found.append(("left", low, middle - 1))
            low = middle
    return found[::-1]


@dataclass(frozen=True)
class Rung:
    """Where one join is drawn. ``entries`` is how many entries the neighbour covers; ``skipped`` stands for the
    joins that are left out below this one."""

    side: Literal["left", "right"]
    first: int
    last: int
    entries: int
    y: int
    neighbour_x: int
    neighbour_y: int
    wing: int
    hash: str
    skipped: int

    @property
    def curve(self) -> str:
        """From the neighbour up to where both have become one, as SVG path data."""
        x, y = self.neighbour_x, self.neighbour_y
        return f"M{x} {y}C{x} {y - 34} {CENTRE} {y - 16} {CENTRE} {self.y}"

    @property
    def triangle(self) -> str:
        """All the entries behind the neighbour, as SVG points."""
        x, y, half = self.neighbour_x, self.neighbour_y, self.wing
        return f"{x},{y} {x - half},{y + 14} {x + half},{y + 14}"


@dataclass(frozen=True)
class Drawing:
    """A drawing 400 wide and ``height`` high: the entry below, the head of the log above, neighbours at the sides."""

    height: int
    root_y: int
    leaf_y: int
    rungs: tuple[Rung, ...]


WIDTH, CENTRE, STEP, TOP, BOTTOM = 400, 200, 52, 96, 96
SIDE = 118  # how far from the centre a neighbour stands


def draw(path: Path) -> Drawing:
    """Lay a path out, the entry at the bottom."""
    numbered = list(enumerate(path.joins))
    skipped = 0
    if len(numbered) > MOST_JOINS:
        half = MOST_JOINS // 2
        skipped = len(numbered) - MOST_JOINS
        numbered = numbered[:half] + numbered[-half:]
    leaf_y = TOP + STEP * len(numbered)
    rungs = []
    for place, (number, join) in enumerate(numbered):
        y = leaf_y - STEP * place
        entries = join.last - join.first + 1
        gap = skipped if skipped and place == MOST_JOINS // 2 else 0
        rungs.append(
            Rung(
                side=join.side,
                first=join.first,
                last=join.last,
                entries=entries,
                y=y - STEP,
                neighbour_x=CENTRE + (SIDE if join.side == "right" else -SIDE),
                neighbour_y=y,
                # a neighbour that covers more is drawn wider, up to a limit
                wing=min(14 + 4 * number, 46),
                hash=join.neighbour.hex()[:8],
                skipped=gap,
            )
        )
    return Drawing(leaf_y + BOTTOM, TOP, leaf_y, tuple(rungs))
