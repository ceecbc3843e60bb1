"""C2SP tlog-tiles: a Merkle tree as static files of 256 hashes, and entries in bundles of 256.

Source: https://c2sp.org/tlog-tiles. Pure: reading and writing of files is the business of the store.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256

from wantong.ground.log.merkle import EMPTY_ROOT, HASH_SIZE, fold
from wantong.ground.log.problems import EntryTooLarge, Malformed

TILE_WIDTH = 256
TILE_BYTES = TILE_WIDTH * HASH_SIZE
MAX_ENTRY = 0xFFFF
MAX_BUNDLE_BYTES = TILE_WIDTH * (2 + MAX_ENTRY)

ENTRIES = -1  # the "level" of entry bundles in a TilePath

ReadTile = Callable[[int, int, int], bytes]  # (level, number, width) → width * 32 bytes


# --- paths ------------------------------------------------------------------------------------------------------

_PATH = re.compile(
    r"tile/(entries|0|[1-9][0-9]?)/((?:x[0-9]{3}/){0,6}[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?", re.ASCII
)


@dataclass(frozen=True, slots=True)
class TilePath:
    """One resource of the tree: a tile of hashes (``level`` 0 to 63) or an entry bundle (``level`` ``ENTRIES``)."""

    level: int
    number: int
    width: int = TILE_WIDTH

    def __str__(self) -> str:
        """The path under the log's prefix, as ``tile/0/x001/x234/067.p/12``."""
        digits = f"{self.number:03d}"
        digits = digits.zfill(-(-len(digits) // 3) * 3)
        groups = [digits[i : i + 3] for i in range(0, len(digits), 3)]
        number = "/".join([*(f"x{group}" for group in groups[:-1]), groups[-1]])
        level = "entries" if self.level == ENTRIES else str(self.level)
        partial = "" if self.width == TILE_WIDTH else f".p/{self.width}"
        return f"tile/{level}/{number}{partial}"

    @classmethod
    def parse(cls, path: str) -> TilePath:
        """Read a path. Raises :class:`Malformed` for every spelling but the one in the specification."""
        match = _PATH.fullmatch(path)
        if match is None:
            raise Malformed("tile-path", "syntax")
        level = ENTRIES if match[1] == "entries" else int(match[1])
        width = int(match[3]) if match[3] else TILE_WIDTH
        parsed = cls(level, int(match[2].replace("x", "").replace("/", "")), width)
        if level > 63 or (match[3] and width >= TILE_WIDTH) or str(parsed) != path or parsed.number >> 55:
            raise Malformed("tile-path", "syntax")
        return parsed


def tile_width(level: int, number: int, size: int) -> int:
    """How many hashes (or entries) the resource has in a tree of ``size`` leaves: 0 to 256."""
    hashes = size >> (8 * max(level, 0))
    return max(0, min(TILE_WIDTH, hashes - number * TILE_WIDTH))


def paths(size: int, since: int = 0) -> Iterator[TilePath]:
    """Every resource of a tree of ``size`` leaves that a tree of ``since`` leaves does not have, bundles first."""
    for level in range(ENTRIES, 64):
        shift = 8 * max(level, 0)
        hashes = size >> shift
        if not hashes:
            return
        if hashes == since >> shift:
            continue
        for number in range((since >> shift) // TILE_WIDTH, -(-hashes // TILE_WIDTH)):
            yield TilePath(level, number, tile_width(level, number, size))


# --- entry bundles ----------------------------------------------------------------------------------------------


def pack_entries(entries: Iterable[bytes]) -> bytes:
    """Entries as a bundle: each with a big-endian uint16 length before it. Raises :class:`EntryTooLarge`."""
    parts: list[bytes] = []
    for entry in entries:
        if len(entry) > MAX_ENTRY:
            raise EntryTooLarge(size=len(entry), limit=MAX_ENTRY)
        parts += (len(entry).to_bytes(2), entry)
    return b"".join(parts)


def unpack_entries(bundle: bytes, count: int | None = None) -> list[bytes]:
    """The entries of a bundle. Raises :class:`Malformed` if it is cut short or holds not exactly ``count``."""
    entries = []
    at, end = 0, len(bundle)
    while at < end:
        stop = at + 2 + int.from_bytes(bundle[at : at + 2])
        if stop > end or at + 2 > end:
            raise Malformed("bundle", "truncated")
        entries.append(bundle[at + 2 : stop])
        at = stop
    if len(entries) != count if count is not None else len(entries) > TILE_WIDTH:
        raise Malformed("bundle", "count")
    return entries


# --- trees ------------------------------------------------------------------------------------------------------


class TileReader:
    """Hashes of complete subtrees out of tiles, for the functions of :mod:`~wantong.ground.log.merkle`.

    ``read`` gets a tile; the tiles of a tree of ``size`` leaves are asked for, in their partial form where the
    tree ends. Tiles are kept for the life of the reader (one proof touches a handful).
    """

    def __init__(self, read: ReadTile, size: int) -> None:
        self._read = read
        self._size = size
        self._tiles: dict[tuple[int, int], bytes] = {}

    def tile(self, level: int, number: int) -> bytes:
        """The tile as wide as the tree makes it. Raises :class:`Malformed` if it has another length."""
        key = (level, number)
        if key not in self._tiles:
            width = tile_width(level, number, self._size)
            tile = self._read(level, number, width)
            if len(tile) != width * HASH_SIZE:
                raise Malformed("tile", "length")
            self._tiles[key] = tile
        return self._tiles[key]

    def __call__(self, height: int, index: int) -> bytes:
        """The hash over the leaves ``[index << height, (index + 1) << height)``."""
        level, inside = divmod(height, 8)
        first = index << inside
        number, offset = divmod(first, TILE_WIDTH)
        tile = self.tile(level, number)
        return _subtree(tile[offset * HASH_SIZE : (offset + (1 << inside)) * HASH_SIZE])


def _subtree(hashes: bytes) -> bytes:
    """The root over a power of two of concatenated hashes."""
    while len(hashes) > HASH_SIZE:
        hashes = b"".join(
            sha256(b"\x01" + hashes[i : i + 2 * HASH_SIZE]).digest()
            for i in range(0, len(hashes), 2 * HASH_SIZE)
        )
    return hashes


class TreeBuilder:
    """Grows a tree leaf by leaf and hands out the tiles that change; holds only the right edge, whatever the size.

    ``edge[level]`` is the rightmost, not yet full, tile of each level.
    """

    def __init__(self) -> None:
        self.size = 0
        self._peaks: list[
            bytes
        ] = []  # roots of the complete subtrees, one for each set bit of size, tallest first
        self._edge: list[bytearray] = [bytearray()]

    @classmethod
    def resume(cls, size: int, read: ReadTile) -> TreeBuilder:
        """The builder of a tree of ``size`` leaves, from the tiles of its right edge.

        Raises :class:`Malformed` if a tile has the wrong length.
        """
        tree = cls()
        tree.size = size
        reader = TileReader(read, size)
        levels = max(1, -(-size.bit_length() // 8))
        tree._edge = [
            bytearray(
                reader.tile(level, (size >> 8 * level) // TILE_WIDTH)
                if (size >> 8 * level) % TILE_WIDTH
                else b""
            )
            for level in range(levels)
        ]
        tree._peaks = [
            reader(height, (size >> height) - 1)
            for height in reversed(range(size.bit_length()))
            if size >> height & 1
        ]
        return tree

    def extend(self, leaves: Sequence[bytes]) -> dict[tuple[int, int], bytes]:
        """Add leaf hashes; returns the new content of every tile that changed, by (level, number)."""
        changed: dict[tuple[int, int], bytes] = {}
        peaks, edge, size = self._peaks, self._edge, self.size
        touched = 0  # levels 0..touched have grown
        for leaf in leaves:
            edge[0] += leaf
            node, height, rest = leaf, 0, size
            while rest & 1:
                node = sha256(b"\x01" + peaks.pop() + node).digest()
                rest >>= 1
                height += 1
                if not height & 7:
                    level = height >> 3
                    if level == len(edge):
                        edge.append(bytearray())
                    touched = max(touched, level)
                    changed[level - 1, size >> height] = bytes(edge[level - 1])
                    edge[level - 1].clear()
                    edge[level] += node
            peaks.append(node)
            size += 1
        if leaves:
            for level in range(touched + 1):
                if edge[level]:
                    changed[level, size >> 8 * (level + 1)] = bytes(edge[level])
        self.size = size
        return changed

    def root(self) -> bytes:
        """The root of the tree as it stands."""
        return fold(self._peaks) if self._peaks else EMPTY_ROOT
