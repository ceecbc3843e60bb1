"""A copy of another node's log, kept by whoever witnesses it.

A witness alone can only say that entries are missing; a mirror gives them back. Therefore entries are copied before
they are cosigned. What a mirror holds is what the log has signed and the witness has found consistent: entries that do
not make the signed root are never kept.

The folder is laid out as https://c2sp.org/tlog-tiles prescribes, with every tile and bundle under its full name; the
part of one that the checkpoint covers is a prefix of the file.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from wantong.ground.log.audit import Source, bundle
from wantong.ground.log.checkpoint import Checkpoint
from wantong.ground.log.merkle import HASH_SIZE, leaf_hash
from wantong.ground.log.note import Note
from wantong.ground.log.problems import NotServed, Unproven
from wantong.ground.log.store import exclusive, write_file
from wantong.ground.log.tiles import (
    ENTRIES,
    TILE_WIDTH,
    TilePath,
    TreeBuilder,
    pack_entries,
    tile_width,
    unpack_entries,
)

STAGED = ".new"
CHECKPOINT = "checkpoint"


class Mirror:
    """The copy in one folder, for any number of threads and processes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def head(self) -> Checkpoint | None:
        """What the copy reaches; None if it is empty."""
        with contextlib.suppress(FileNotFoundError):
            return Checkpoint.parse(Note.parse((self.folder / CHECKPOINT).read_bytes()).text)
        return None

    @property
    def size(self) -> int:
        """How many entries are here."""
        head = self.head
        return head.size if head else 0

    def follow(self, source: Source, note: Note) -> int:
        """Fetch what ``note``, a checkpoint that has been verified, covers and this copy lacks; returns its new size.

        Raises :class:`Unproven` (``root``) if the entries are not those the log signed for, BlockingIOError while
        another follows, and what ``source`` raises; the copy is then as it was.
        """
        head = Checkpoint.parse(note.text)
        if head.size <= self.size:
            return self.size
        with exclusive(self.folder / ".lock", wait=False):
            return self._follow(source, note, head)

    def behind(self, size: int) -> int:
        """How many bundles must be fetched to reach ``size``."""
        return max(-(-size // TILE_WIDTH) - self.size // TILE_WIDTH, 0) if size > self.size else 0

    def _follow(self, source: Source, note: Note, head: Checkpoint) -> int:
        size = self.size
        if head.size <= size:
            return size
        tree = TreeBuilder.resume(size, self._hashes) if size else TreeBuilder()
        numbers = range(size // TILE_WIDTH, -(-head.size // TILE_WIDTH))
        changed: dict[tuple[int, int], bytes] = {}
        try:
            for number in numbers:
                entries = bundle(source, number, head.size)
                leaves = [leaf_hash(entry) for entry in entries]
                known = tree.size - number * TILE_WIDTH
                if known and b"".join(leaves[:known]) != self._hashes(0, number, known):
                    raise Unproven("root")
                changed |= tree.extend(leaves[known:])
                write_file(self._file(ENTRIES, number, STAGED), pack_entries(entries), durable=True)
            if tree.root() != head.root:
                raise Unproven("root")
            for (level, number), hashes in changed.items():
                write_file(self._file(level, number), hashes, durable=True)
            for number in numbers:
                self._file(ENTRIES, number, STAGED).replace(self._file(ENTRIES, number))
            write_file(self.folder / CHECKPOINT, bytes(note), durable=True)
        finally:
            for number in numbers:
                self._file(ENTRIES, number, STAGED).unlink(missing_ok=True)
        return head.size

    def fetch(self, path: str, limit: int = 0) -> bytes:
        """``checkpoint``, a tile or a bundle. Raises :class:`NotServed`, :class:`Malformed` for a path that is none."""
        try:
            if path == CHECKPOINT:
                return (self.folder / CHECKPOINT).read_bytes()
            wanted = TilePath.parse(path)
            if wanted.width > tile_width(wanted.level, wanted.number, self.size):
                raise NotServed(what=path)
            content = self._file(wanted.level, wanted.number).read_bytes()
        except FileNotFoundError:
            raise NotServed(what=path) from None
        if wanted.level == ENTRIES:
            return pack_entries(unpack_entries(content)[: wanted.width])
        return content[: wanted.width * HASH_SIZE]

    def _hashes(self, level: int, number: int, width: int) -> bytes:
        return self._file(level, number).read_bytes()[: width * HASH_SIZE]

    def _file(self, level: int, number: int, suffix: str = "") -> Path:
        return self.folder / (str(TilePath(level, number)) + suffix)


def missing(source: Source, head: Checkpoint, tree: TreeBuilder) -> Iterator[list[bytes]]:
    """The entries after those in ``tree`` up to ``head``, a bundle at a time; ``tree`` grows with them.

    Read to the end before anything is done with them: only then is known that they make the root. Raises
    :class:`Unproven` (``root``) at the end if they do not, and what ``source`` raises.
    """
    for number in range(tree.size // TILE_WIDTH, -(-head.size // TILE_WIDTH)):
        entries = bundle(source, number, head.size)[tree.size - number * TILE_WIDTH :]
        tree.extend([leaf_hash(entry) for entry in entries])
        yield entries
    if tree.root() != head.root:
        raise Unproven("root")
