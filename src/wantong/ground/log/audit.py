"""Reading a whole log again: every entry, every tile, every root, every signature, from its public files alone.

:func:`audit` believes nothing but the keys it is given. It rebuilds the tree from the entries, compares each tile it
is served, and checks that the tree grew out of every earlier checkpoint it is shown: a log that has rewritten,
dropped or hidden anything since then is caught, and the defect named. Memory does not grow with the log.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from wantong.ground.http.fetch import FetchFailed, shared
from wantong.ground.http.reach import EVERYWHERE, Reach
from wantong.ground.log.checkpoint import Checkpoint, open_checkpoint
from wantong.ground.log.merkle import HASH_SIZE, leaf_hash
from wantong.ground.log.note import MAX_NOTE_BYTES, Note
from wantong.ground.log.problems import LogProblem, Malformed, NotServed, StorageFailed, Unproven, Unreachable
from wantong.ground.log.tiles import (
    ENTRIES,
    MAX_BUNDLE_BYTES,
    TILE_BYTES,
    TILE_WIDTH,
    TilePath,
    TreeBuilder,
    tile_width,
    unpack_entries,
)
from wantong.ground.log.trust import Trust
from wantong.ground.log.words import Sighting, Statement, sightings_of

MAX_DEFECTS = 100
AHEAD = 8  # bundles fetched ahead of the one being hashed
FETCH_DEADLINE = 30.0

Progress = Callable[[int, int], None]  # (entries read, entries in all)


# --- where a log is read from -----------------------------------------------------------------------------------


class Source(Protocol):
    """The public files of a log."""

    def fetch(self, path: str, limit: int) -> bytes:
        """The resource, of at most ``limit`` bytes. Raises :class:`LogProblem`."""


@dataclass(frozen=True)
class Folder:
    """A log in a folder of static files."""

    root: Path

    def fetch(self, path: str, limit: int) -> bytes:
        try:
            with (self.root / path).open("rb") as file:
                content = file.read(limit + 1)
        except (FileNotFoundError, NotADirectoryError):
            raise NotServed(what=path) from None
        except OSError as error:
            raise StorageFailed(reason=error.strerror or "") from error
        if len(content) > limit:
            raise Malformed("tile", "too-large")
        return content


class Website:
    """A log behind an HTTP address. A server that stalls or never ends is given up after a deadline."""

    def __init__(self, prefix: str, *, deadline: float = FETCH_DEADLINE, reach: Reach = EVERYWHERE) -> None:
        self._prefix = prefix.rstrip("/") + "/"
        self._deadline = deadline
        self._http = shared(reach)

    def fetch(self, path: str, limit: int) -> bytes:
        try:
            reply = self._http.get(self._prefix + path, limit=limit, deadline=self._deadline)
        except FetchFailed as failure:
            if failure.reason == "too-large":
                raise Malformed("tile", "too-large") from None
            raise Unreachable(failure.reason) from None
        if reply.status in (404, 410):
            raise NotServed(what=path)
        if reply.status != 200:
            raise Unreachable("status", status=reply.status)
        return reply.body


# --- the audit --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Report:
    """What an audit found. ``sound`` means: complete, consistent, signed, with no defect at all."""

    sound: bool
    statements: tuple[Statement, ...]
    checkpoint: Checkpoint | None = None
    entries: int = 0
    sightings: tuple[Sighting, ...] = ()

    def explain(self, lang: str) -> list[str]:
        """The statements as sentences."""
        return [statement.text(lang) for statement in self.statements]

    def to_dict(self, lang: str = "en") -> dict[str, Any]:
        """For programs; ``code`` and the keys are stable, ``text`` is in ``lang``."""
        return {
            "sound": self.sound,
            "origin": self.checkpoint.origin if self.checkpoint else None,
            "size": self.checkpoint.size if self.checkpoint else None,
            "root": self.checkpoint.root.hex() if self.checkpoint else None,
            "entries_read": self.entries,
            "statements": [s.to_dict(lang) for s in self.statements],
            "witnesses": [{"id": s.witness.id, "time": s.time} for s in self.sightings],
        }


def audit(
    source: Source,
    trust: Trust,
    *,
    earlier: Sequence[bytes] = (),
    progress: Progress = lambda done, total: None,
) -> Report:
    """Read the whole log at ``source`` again.

    ``earlier`` are checkpoints of this log that were kept (or handed over by others, cosigned or not). A bad log is
    a report, not an error. Raises nothing of this package; ``progress`` may raise to stop.
    """
    said: list[Statement] = []
    try:
        note = Note.parse(source.fetch("checkpoint", MAX_NOTE_BYTES))
        head = _signed(note, trust, living=True)
        witnesses = trust.witnesses(head.origin)
        sightings = sightings_of(trust.counted(note.verify(witnesses)), witnesses)
        before = sorted((_earlier(data, trust, head) for data in earlier), key=lambda c: c.size)
    except LogProblem as problem:
        return Report(False, (Statement("audit.defect", False, {"problem": problem}),))
    said += (Statement("verdict.witnessed", True, {"witness": s.witness, "time": s.at}) for s in sightings)

    defects: list[Statement] = []
    tree = TreeBuilder()
    for statement in _read(source, head, before, tree, progress):
        (said if statement.holds else defects).append(statement)
        if len(defects) == MAX_DEFECTS:
            break
    complete = tree.size == head.size
    if complete and tree.root() != head.root:
        defects.append(Statement("audit.root", False, {"size": head.size}))
    if complete and not defects:
        log = trust.log(head.origin)
        said.insert(
            0, Statement("audit.sound", True, {"log": log, "size": head.size, "root": head.root.hex()})
        )
    return Report(complete and not defects, (*said, *defects), head, tree.size, sightings)


def _signed(note: Note, trust: Trust, *, living: bool = False) -> Checkpoint:
    """``living``: by a key that the log still uses."""
    origin = Checkpoint.parse(note.text).origin
    party = trust.log(origin)
    if party is None or party.log is None:
        raise Unproven("unknown-log", origin=origin)
    return open_checkpoint(note, (party.living if living else party).log_keys)


def _earlier(data: bytes, trust: Trust, head: Checkpoint) -> Checkpoint:
    checkpoint = _signed(Note.parse(data), trust)
    if checkpoint.origin != head.origin:
        raise Unproven("unknown-log", origin=checkpoint.origin)
    if checkpoint.size > head.size:
        raise Unproven("shrunk", old=checkpoint.size, new=head.size)
    return checkpoint


def _read(
    source: Source, head: Checkpoint, before: list[Checkpoint], tree: TreeBuilder, progress: Progress
) -> Iterator[Statement]:
    """Grow ``tree`` over all entries; yields what is found on the way. Stops where entries are missing."""
    pending = list(before)

    def check_earlier() -> Iterator[Statement]:
        while pending and pending[0].size == tree.size:
            old = pending.pop(0)
            holds = tree.root() == old.root
            yield Statement("audit.grew" if holds else "audit.forked", holds, {"size": old.size})

    yield from check_earlier()
    changed: dict[tuple[int, int], bytes] = {}
    for number, fetched in _bundles(source, head.size):
        try:
            leaves = [leaf_hash(entry) for entry in fetched.result()]
        except LogProblem as problem:
            path = str(TilePath(ENTRIES, number, tile_width(ENTRIES, number, head.size)))
            yield Statement("audit.unreadable", False, {"path": path, "problem": problem})
            return
        while leaves:
            stop = min(pending[0].size - tree.size, len(leaves)) if pending else len(leaves)
            changed.update(tree.extend(leaves[:stop]))
            del leaves[:stop]
            yield from check_earlier()
        for key in [key for key, hashes in changed.items() if len(hashes) == TILE_BYTES]:
            yield from _compare(source, *key, changed.pop(key))
        progress(tree.size, head.size)
    for (level, number), hashes in sorted(changed.items()):
        yield from _compare(source, level, number, hashes)


def _compare(source: Source, level: int, number: int, hashes: bytes) -> Iterator[Statement]:
    """Whether the served tile is the one the entries make; names the first entry or hash that differs."""
    path = TilePath(level, number, len(hashes) // HASH_SIZE)
    try:
        served = _fetch(source, path, TILE_BYTES)[: len(hashes)]
        if len(served) != len(hashes):
            raise Malformed("tile", "length")
    except LogProblem as problem:
        yield Statement("audit.unreadable", False, {"path": str(path), "problem": problem})
        return
    if served != hashes:
        at = next(
            i for i in range(path.width) if served[i * 32 : i * 32 + 32] != hashes[i * 32 : i * 32 + 32]
        )
        code = "audit.entry" if level == 0 else "audit.tile"
        yield Statement(code, False, {"path": str(path), "index": number * TILE_WIDTH + at})


def _bundles(source: Source, size: int) -> Iterator[tuple[int, Future[list[bytes]]]]:
    """The bundles of the log in order, fetched a few ahead."""
    waiting: list[tuple[int, Future[list[bytes]]]] = []

    with ThreadPoolExecutor(4) as pool:
        try:
            for number in range(-(-size // TILE_WIDTH)):
                waiting.append((number, pool.submit(bundle, source, number, size)))
                if len(waiting) == AHEAD:
                    yield waiting.pop(0)
            yield from waiting
        finally:
            for _, future in waiting:
                future.cancel()


def bundle(source: Source, number: int, size: int) -> list[bytes]:
    """The entries of a bundle that a log of ``size`` has. Raises :class:`Malformed` and what ``source`` raises."""
    width = tile_width(ENTRIES, number, size)
    entries = unpack_entries(_fetch(source, TilePath(ENTRIES, number, width), MAX_BUNDLE_BYTES))
    if len(entries) < width:
        raise Malformed("bundle", "count")
    return entries[:width]


def _fetch(source: Source, path: TilePath, limit: int) -> bytes:
    """A resource; the full form if its partial form is gone, as a log may drop it."""
    if path.width < TILE_WIDTH:
        with suppress(NotServed):
            return source.fetch(str(path), limit)
        path = TilePath(path.level, path.number)
    return source.fetch(str(path), limit)
