"""The log of a node on disk: durable group commit, one transaction a batch, one signed checkpoint a batch.

``log.db`` (SQLite, WAL, ``synchronous=FULL``) is the one source of truth: entries, tiles, the index by leaf hash
that makes appending idempotent, the newest signed checkpoint, cosignatures. Everything another process or a static
file server sees is derived from it and can be made again (:meth:`Log.publish`).

*Group commit.* A thread that appends queues its entries; the first one there leads: it takes what has gathered,
commits it, wakes the owners, and hands the lead to the next in the queue. No thread of our own, nothing to start
or to stop. Several processes may append to one folder: ``BEGIN IMMEDIATE`` puts their batches in a row.

*Why a crash cannot fork the log.* A checkpoint is signed inside the transaction that stores its entries and leaves
this class only after the commit is durable. Size only grows and the root is a function of stored entries, so two
roots for one size could only come from an older copy of the database put back; :meth:`Log.open` then finds a
published checkpoint ahead of the database and refuses.
"""

from __future__ import annotations

import errno
import fcntl
import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Any

from wantong.ground.log import merkle, tiles
from wantong.ground.log.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from wantong.ground.log.merkle import HASH_SIZE
from wantong.ground.log.note import Note, Signature, SigningKey, VerifierKey
from wantong.ground.log.problems import (
    EntryTooLarge,
    EntryUnknown,
    Malformed,
    NotServed,
    OriginMismatch,
    ReceiptPending,
    RolledBack,
    StorageFailed,
    StorageFull,
    Unproven,
)
from wantong.ground.log.proof import Proof
from wantong.ground.log.tiles import ENTRIES, MAX_ENTRY, TILE_WIDTH, TilePath, TileReader, TreeBuilder
from wantong.ground.log.trust import Trust

BATCH = 1024  # entries a transaction takes at most, unless one caller brings more at once
GATHER = 0.002  # seconds a leader waits at most for the callers it expects
PUBLIC = "public"  # the folder of static files, under the log's folder
RESTORED = "restored"  # a file there that says: this came out of a backup, others may have seen more of it

_SCHEMA = """
CREATE TABLE IF NOT EXISTS head (         -- one row: the newest checkpoint this log has signed
    only INTEGER PRIMARY KEY CHECK (only = 0),
    size INTEGER NOT NULL,
    note BLOB NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS segment (      -- entries [start, start + count), packed as in a bundle; never across two
    start INTEGER PRIMARY KEY,
    count INTEGER NOT NULL,
    packed BLOB NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS leaf (
    hash BLOB PRIMARY KEY,
    position INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tile (
    level INTEGER NOT NULL,
    number INTEGER NOT NULL,
    hashes BLOB NOT NULL,
    PRIMARY KEY (level, number)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS witnessed (    -- checkpoints with cosignatures
    size INTEGER PRIMARY KEY,
    note BLOB NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS witness (      -- the size each witness last cosigned, as far as we know
    vkey TEXT PRIMARY KEY,
    size INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
"""

# A batch of leaf hashes goes in and comes out in one statement: stepping row by row from Python would give up and
# fight for the interpreter lock once a row, against every thread that waits to append.
_FIND = """
WITH RECURSIVE n(i) AS (VALUES (0) UNION ALL SELECT i + 1 FROM n WHERE i + 1 < :count)
SELECT n.i, leaf.position FROM n JOIN leaf ON leaf.hash = substr(:hashes, 1 + 32 * n.i, 32)
"""
_INDEX = """
WITH RECURSIVE n(i) AS (VALUES (0) UNION ALL SELECT i + 1 FROM n WHERE i + 1 < :count)
INSERT INTO leaf SELECT substr(:hashes, 1 + 32 * i, 32), :start + i FROM n
"""


@dataclass(frozen=True, slots=True)
class Appended:
    """Where an entry stands. It is on disk and under a signed checkpoint."""

    index: int
    leaf_hash: bytes


class _Ticket:
    """What one caller brought, and the lock it sleeps on until it is served or must lead.

    ``next`` is the ticket that its owner wakes when it is served itself: a chain of wake-ups keeps the threads from
    all fighting for the interpreter at once.
    """

    __slots__ = ("entries", "error", "lock", "next", "result")

    def __init__(self, entries: Sequence[bytes]) -> None:
        self.entries = entries
        self.result: list[Appended] | None = None
        self.error: Exception | None = None
        self.next: _Ticket | None = None
        self.lock = threading.Lock()
        self.lock.acquire()

    @property
    def served(self) -> bool:
        return self.result is not None or self.error is not None


class Log:
    """One append-only log; see the module's text. Thread-safe; open one per process and folder."""

    def __init__(
        self,
        directory: Path,
        origin: str,
        signers: tuple[SigningKey, ...],
        earlier: tuple[VerifierKey, ...] = (),
    ) -> None:
        self.directory = directory
        self.origin = origin
        self._signers, self._earlier = signers, earlier
        self._db = _connect(directory / "log.db")
        self._reader = _connect(directory / "log.db")
        self._reading = threading.Lock()
        self._writing = threading.Lock()  # one transaction at a time on our one writing connection
        self._mutex = threading.Lock()  # guards the queue and who leads
        self._queue: list[_Ticket] = []
        self._leading = False
        self._expected = 1  # callers in sight when the last batch was done: as many are likely to come back
        self._gathering = 0  # how many tickets the leader waits for, 0 if it does not
        self._gathered = threading.Lock()  # released when they are there
        self._gathered.acquire()
        self._tree: TreeBuilder | None = None  # the right edge as of our last commit, dropped when in doubt

    # --- opening ------------------------------------------------------------------------------------------------

    @classmethod
    def open(
        cls,
        directory: Path,
        *,
        origin: str,
        signer: SigningKey,
        beside: Sequence[SigningKey] = (),
        earlier: Sequence[VerifierKey] = (),
    ) -> Log:
        """Open the log in ``directory``, or begin an empty one there. Keys ``beside`` sign too; ``earlier`` ones did.

        Raises :class:`OriginMismatch` if the folder holds the log of another origin or key, :class:`RolledBack`
        if its database is older than what it has published, :class:`StorageFailed`.
        """
        directory.mkdir(parents=True, exist_ok=True)
        log = cls(directory, origin, (signer, *beside), tuple(earlier))
        try:
            with log._transaction():
                if log._db.execute("SELECT 1 FROM head").fetchone() is None:
                    empty = sign_checkpoint(Checkpoint(origin, 0, merkle.EMPTY_ROOT), *log._signers)
                    log._db.execute("INSERT INTO head VALUES (0, 0, ?)", (bytes(empty),))
            log._check_identity()
            log._check_published()
        except BaseException:
            log.close()
            raise
        return log

    def close(self) -> None:
        """Close the database. Appends under way end first."""
        with self._reading:
            self._reader.close()
        with self._writing:
            self._db.close()

    def _check_identity(self) -> None:
        try:
            head = open_checkpoint(Note.parse(self.checkpoint()), self._verifiers)
        except Unproven:
            raise OriginMismatch(origin=self.origin) from None
        if head.origin != self.origin:
            raise OriginMismatch(origin=self.origin)

    def _check_published(self) -> None:
        path = self.directory / PUBLIC / "checkpoint"
        if not path.exists():
            return
        try:
            published = open_checkpoint(Note.parse(path.read_bytes()), self._verifiers)
        except (Malformed, Unproven):
            raise OriginMismatch(origin=self.origin) from None
        if published.size > self.size or self.root(published.size) != published.root:
            raise RolledBack(published=published.size, stored=self.size)

    @property
    def _verifiers(self) -> tuple[VerifierKey, ...]:
        return (*(signer.verifier for signer in self._signers), *self._earlier)

    def sign_with(self, signers: Sequence[SigningKey], earlier: Sequence[VerifierKey] = ()) -> None:
        """From now on checkpoints are signed with all of ``signers``, the newest one too. Raises :class:`StorageFailed`."""
        with self._writing, self._transaction():
            self._signers, self._earlier = tuple(signers), tuple(earlier)
            row = self._db.execute("SELECT size, note FROM head").fetchone()
            size, note = row[0], Note.parse(row[1])
            signed = Note(note.text, tuple(signer.sign(note.text) for signer in self._signers))
            if signed.signatures == note.signatures:
                return
            self._db.execute("UPDATE head SET note = ?", (bytes(signed),))
            row = self._db.execute("SELECT note FROM witnessed WHERE size = ?", (size,)).fetchone()
            if row is not None:
                seen = Note.parse(row[0])
                ours = {(s.name, s.key_id) for s in (*note.signatures, *signed.signatures)}
                cosigned = tuple(s for s in seen.signatures if (s.name, s.key_id) not in ours)
                self._db.execute(
                    "UPDATE witnessed SET note = ? WHERE size = ?",
                    (bytes(Note(note.text, (*signed.signatures, *cosigned))), size),
                )

    # --- appending ----------------------------------------------------------------------------------------------

    def append(self, entry: bytes) -> Appended:
        """Append one entry; returns when it is durable and under a signed checkpoint.

        The same bytes again give the same place. Raises :class:`EntryTooLarge`, :class:`StorageFull`,
        :class:`StorageFailed`; after a storage error the entry is not acknowledged and may be tried again.
        """
        return self.append_many((entry,))[0]

    def append_many(self, entries: Sequence[bytes]) -> list[Appended]:
        """Append several entries in one transaction; as :meth:`append`, in order."""
        for entry in entries:
            if len(entry) > MAX_ENTRY:
                raise EntryTooLarge(size=len(entry), limit=MAX_ENTRY)
        if not entries:
            return []
        ticket = _Ticket(entries)
        with self._mutex:
            self._queue.append(ticket)
            lead, self._leading = not self._leading, True
            if self._gathering and len(self._queue) >= self._gathering:
                self._gathering = 0
                self._gathered.release()
        interruption = None if lead else self._sleep(ticket)
        try:
            if not ticket.served:
                self._lead(ticket)
        finally:
            if ticket.next is not None:
                ticket.next.lock.release()
        if interruption is not None:
            raise interruption
        if ticket.error is not None:
            raise ticket.error
        assert ticket.result is not None
        return ticket.result

    def _sleep(self, ticket: _Ticket) -> BaseException | None:
        """Until served, or made the leader. Ctrl-C is kept for later: others wait for this caller to pass things on."""
        interruption: BaseException | None = None
        while True:
            try:
                ticket.lock.acquire()
            except BaseException as error:
                interruption = error
            else:
                return interruption

    def _lead(self, own: _Ticket) -> None:
        """Commit what is queued (``own`` is the first of it), then pass the lead on, whatever happens."""
        batch: list[_Ticket] = []
        try:
            batch = self._gather()
            results = self._commit([entry for ticket in batch for entry in ticket.entries])
            at = 0
            for ticket in batch:
                ticket.result = results[at : at + len(ticket.entries)]
                at += len(ticket.entries)
        except BaseException as error:
            for ticket in batch:
                ticket.result = None
                ticket.error = error if isinstance(error, Exception) else StorageFailed(reason="interrupted")
            if not isinstance(error, Exception):
                raise
        finally:
            for ticket, following in pairwise(batch):
                ticket.next = following
            with self._mutex:
                if own in self._queue:
                    self._queue.remove(own)  # interrupted before it was taken
                successor = self._queue[0] if self._queue else None
                self._leading = successor is not None
                self._expected = len(batch) + len(self._queue)
            if successor is not None:
                successor.lock.release()

    def _gather(self) -> list[_Ticket]:
        """Take a batch from the queue, after a short wait if more callers are likely.

        Callers that append one entry after the other come back all at once after a batch; who commits the first few
        of them alone makes all others wait for two commits instead of one.
        """
        with self._mutex:
            short = len(self._queue) < min(self._expected, BATCH)
            self._gathering = min(self._expected, BATCH) if short else 0
        if short:
            self._gathered.acquire(timeout=GATHER)
        with self._mutex:
            if short and not self._gathering:
                self._gathered.acquire(blocking=False)  # they came just after we gave up waiting
            self._gathering = 0
            count = entries = 0
            for ticket in self._queue:
                entries += len(ticket.entries)
                if count and entries > BATCH:
                    break
                count += 1
            batch = self._queue[:count]
            del self._queue[:count]
        return batch

    def _commit(self, entries: list[bytes]) -> list[Appended]:
        leaves = [sha256(b"\x00" + entry).digest() for entry in entries]
        with self._writing, self._transaction():
            size: int = self._db.execute("SELECT size FROM head").fetchone()[0]
            known = dict(self._find(leaves))
            fresh: dict[bytes, bytes] = {}
            for leaf, entry in zip(leaves, entries, strict=True):
                if leaf not in known:
                    known[leaf] = size + len(fresh)
                    fresh[leaf] = entry
            if fresh:
                self._store(size, fresh)
        return [Appended(known[leaf], leaf) for leaf in leaves]

    def _find(self, leaves: list[bytes]) -> Iterator[tuple[bytes, int]]:
        rows = self._db.execute(_FIND, {"count": len(leaves), "hashes": b"".join(leaves)})
        return ((leaves[i], position) for i, position in rows.fetchall())

    def _store(self, size: int, fresh: dict[bytes, bytes]) -> None:
        tree = self._tree
        self._tree = None  # until the commit has succeeded, nobody knows where the right edge is
        if tree is None or tree.size != size:
            tree = TreeBuilder.resume(size, self._read_tile(self._db))
        changed = tree.extend(list(fresh))
        entries, start = list(fresh.values()), size
        while entries:
            take = TILE_WIDTH - start % TILE_WIDTH
            packed = tiles.pack_entries(entries[:take])
            self._db.execute("INSERT INTO segment VALUES (?, ?, ?)", (start, len(entries[:take]), packed))
            del entries[:take]
            start += take
        self._db.execute(_INDEX, {"count": len(fresh), "hashes": b"".join(fresh), "start": size})
        self._db.executemany(
            "INSERT OR REPLACE INTO tile VALUES (?, ?, ?)",
            [(level, number, hashes) for (level, number), hashes in changed.items()],
        )
        note = sign_checkpoint(Checkpoint(self.origin, tree.size, tree.root()), *self._signers)
        self._db.execute("UPDATE head SET size = ?, note = ?", (tree.size, bytes(note)))
        self._db.execute("COMMIT")
        self._tree = tree

    # --- reading ------------------------------------------------------------------------------------------------

    @property
    def size(self) -> int:
        """The size of the newest signed checkpoint."""
        size: int = self._one("SELECT size FROM head")[0]
        return size

    def checkpoint(self) -> bytes:
        """The newest signed checkpoint, with the cosignatures it has so far."""
        size, note = self._one("SELECT size, note FROM head")
        witnessed = self._maybe("SELECT note FROM witnessed WHERE size = ?", size)
        found: bytes = witnessed[0] if witnessed else note
        return found

    def witnessed_checkpoint(self) -> bytes | None:
        """The largest checkpoint that any witness has cosigned."""
        row = self._maybe("SELECT note FROM witnessed ORDER BY size DESC LIMIT 1")
        note: bytes | None = row[0] if row else None
        return note

    def tree(self) -> TreeBuilder:
        """The tree as it stands, to be grown by whoever wants to know what entries would make of it."""
        size = self.size

        def read(level: int, number: int, width: int) -> bytes:
            return self.resource(TilePath(level, number, width))

        return TreeBuilder.resume(size, read) if size else TreeBuilder()

    def root(self, size: int) -> bytes:
        """The root of the first ``size`` leaves. Raises :class:`NotServed` beyond the newest checkpoint."""
        return merkle.root_hash(size, self._nodes(size))

    def inclusion_proof(self, index: int, size: int) -> list[bytes]:
        """Raises :class:`NotServed` unless ``0 <= index < size`` and the tree has that size."""
        if not 0 <= index < size:
            raise NotServed(what=str(index))
        return merkle.inclusion_proof(index, size, self._nodes(size))

    def consistency_proof(self, old: int, new: int) -> list[bytes]:
        """Raises :class:`NotServed` unless ``0 <= old <= new`` and the tree has that size."""
        if not 0 <= old <= new:
            raise NotServed(what=str(old))
        return merkle.consistency_proof(old, new, self._nodes(new))

    def entry(self, index: int) -> bytes:
        """The entry at ``index``. Raises :class:`EntryUnknown`."""
        if not 0 <= index < self.size:
            raise EntryUnknown(index=index)
        start, packed = self._one(
            "SELECT start, packed FROM segment WHERE start <= ? ORDER BY start DESC LIMIT 1", index
        )
        return tiles.unpack_entries(packed)[index - int(start)]

    def find(self, entry: bytes) -> Appended | None:
        """Where these bytes stand, if they are in the log."""
        leaf = merkle.leaf_hash(entry)
        row = self._maybe("SELECT position FROM leaf WHERE hash = ?", leaf)
        return Appended(row[0], leaf) if row else None

    def resource(self, path: TilePath) -> bytes:
        """A tile or an entry bundle of any width the tree has had. Raises :class:`NotServed`."""
        if path.level == ENTRIES:
            first = path.number * TILE_WIDTH
            rows = self._all(
                "SELECT packed FROM segment WHERE start >= ? AND start < ? ORDER BY start",
                first,
                first + TILE_WIDTH,
            )
            bundle: bytes = b"".join(row[0] for row in rows)
            end = 0
            for _ in range(path.width):
                if end >= len(bundle):
                    raise NotServed(what=str(path))
                end += 2 + int.from_bytes(bundle[end : end + 2])
            return bundle[:end]
        row = self._maybe("SELECT hashes FROM tile WHERE level = ? AND number = ?", path.level, path.number)
        if row is None or len(row[0]) < path.width * HASH_SIZE:
            raise NotServed(what=str(path))
        hashes: bytes = row[0][: path.width * HASH_SIZE]
        return hashes

    def _nodes(self, size: int) -> TileReader:
        if not 0 <= size <= self.size:
            raise NotServed(what=str(size))
        return TileReader(lambda level, number, width: self.resource(TilePath(level, number, width)), size)

    # --- witnesses and receipts ---------------------------------------------------------------------------------

    def witness_size(self, witness: VerifierKey) -> int:
        """The size this witness last cosigned, as far as we know; 0 if never."""
        row = self._maybe("SELECT size FROM witness WHERE vkey = ?", str(witness))
        return int(row[0]) if row else 0

    def add_cosignature(self, checkpoint: Note, witness: VerifierKey, cosignature: Signature) -> None:
        """Keep a cosignature on one of our own checkpoints.

        Raises :class:`Unproven` if it does not hold, or if the checkpoint is not ours.
        """
        size = open_checkpoint(checkpoint, self._verifiers).size
        witness.verify(checkpoint.text, cosignature)
        with self._writing, self._transaction():
            row = self._db.execute("SELECT note FROM witnessed WHERE size = ?", (size,)).fetchone()
            note = Note.parse(row[0]) if row else checkpoint
            others = tuple(s for s in note.signatures if not witness.made(s))
            note = Note(note.text, (*others, cosignature))
            self._db.execute("INSERT OR REPLACE INTO witnessed VALUES (?, ?)", (size, bytes(note)))
            self._db.execute(
                "INSERT INTO witness VALUES (?, ?) ON CONFLICT DO UPDATE SET size = max(size, excluded.size)",
                (str(witness), size),
            )

    def is_witnessed(self, index: int, trust: Trust) -> bool:
        """Whether a checkpoint that covers entry ``index`` has enough witnesses."""
        return self._covering(index, trust) is not None

    def receipt(self, index: int, trust: Trust) -> bytes:
        """A self-contained proof of the entry at ``index``, under the earliest checkpoint with enough witnesses.

        Raises :class:`EntryUnknown`, or :class:`ReceiptPending` while too few witnesses have seen the entry.
        """
        entry = self.entry(index)
        covering = self._covering(index, trust)
        if covering is None:
            raise ReceiptPending(index=index)
        size, note = covering
        return bytes(Proof(index, tuple(self.inclusion_proof(index, size)), note, entry))

    def _covering(self, index: int, trust: Trust) -> tuple[int, Note] | None:
        witnesses = trust.witnesses(self.origin)
        after = index
        while row := self._maybe(
            "SELECT size, note FROM witnessed WHERE size > ? ORDER BY size LIMIT 1", after
        ):
            after, note = row[0], Note.parse(row[1])
            # cosignatures were verified when they were added
            if trust.enough(key for key in witnesses if any(map(key.made, note.signatures))):
                return after, note
        size, data = self._one("SELECT size, note FROM head")
        return (size, Note.parse(data)) if size > index and trust.enough(()) else None

    # --- static files -------------------------------------------------------------------------------------------

    def publish(self) -> Checkpoint:
        """Write the newest checkpoint and all it needs as static files under ``public/``; returns it.

        Every file appears whole or not at all, and the checkpoint last, so a reader of the folder never meets a
        checkpoint whose tiles are missing. Missing files, after a crash, are written again: the published
        checkpoint says where to begin. Raises :class:`StorageFull`, :class:`StorageFailed`.
        """
        try:
            return self._publish()
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise StorageFull from error
            raise StorageFailed(reason=error.strerror or "") from error

    def _publish(self) -> Checkpoint:
        public = self.directory / PUBLIC
        note = self.checkpoint()
        new = Checkpoint.parse(Note.parse(note).text)
        target = public / "checkpoint"
        with exclusive(public / ".lock"):
            old = Checkpoint.parse(Note.parse(target.read_bytes()).text).size if target.exists() else 0
            if old > new.size:
                return new  # another process was faster
            for path in tiles.paths(new.size, old):
                write_file(public / str(path), self.resource(path), durable=path.width == TILE_WIDTH)
            write_file(target, note, durable=True)
            self._drop_partials(old, new.size)
        return new

    def _drop_partials(self, old: int, new: int) -> None:
        """Remove the partial forms of what has become full since ``old``, as the specification allows."""
        for path in tiles.paths(new, old):
            if path.width == TILE_WIDTH:
                partials = (self.directory / PUBLIC / str(path)).with_suffix(".p")
                for partial in partials.glob("*"):
                    partial.unlink(missing_ok=True)
                with suppress(OSError):
                    partials.rmdir()

    # --- the database -------------------------------------------------------------------------------------------

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        try:
            self._db.execute("BEGIN IMMEDIATE")
            yield
            if self._db.in_transaction:
                self._db.execute("COMMIT")
        except sqlite3.Error as error:
            raise _typed(error) from error
        finally:
            if self._db.in_transaction:
                with suppress(sqlite3.Error):
                    self._db.execute("ROLLBACK")

    def _read_tile(self, db: sqlite3.Connection) -> tiles.ReadTile:
        def read(level: int, number: int, width: int) -> bytes:
            row = db.execute(
                "SELECT hashes FROM tile WHERE level = ? AND number = ?", (level, number)
            ).fetchone()
            hashes: bytes = row[0][: width * HASH_SIZE] if row else b""
            return hashes

        return read

    def _all(self, sql: str, *params: Any) -> list[Any]:
        try:
            with self._reading:
                return self._reader.execute(sql, params).fetchall()
        except sqlite3.Error as error:
            raise _typed(error) from error

    def _maybe(self, sql: str, *params: Any) -> Any:
        rows = self._all(sql, *params)
        return rows[0] if rows else None

    def _one(self, sql: str, *params: Any) -> Any:
        return self._all(sql, *params)[0]


def _connect(path: Path) -> sqlite3.Connection:
    try:
        db = sqlite3.connect(path, isolation_level=None, timeout=30, check_same_thread=False)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        # every leaf hash lands on another page of its index: with the 2 MB cache that SQLite has by default, or
        # with a checkpoint every 4 MB, a batch of 220 took 4.5 ms instead of 2
        db.execute("PRAGMA cache_size = -32768")
        db.execute("PRAGMA wal_autocheckpoint = 4000")
        db.executescript(_SCHEMA)
    except sqlite3.Error as error:
        raise _typed(error) from error
    return db


def _typed(error: sqlite3.Error) -> StorageFull | StorageFailed:
    if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
        return StorageFull()
    return StorageFailed(reason=str(error))


@contextmanager
def exclusive(path: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold a lock file, against other threads and processes; the kernel lets go of it when its holder dies.

    Raises BlockingIOError if another holds it and nobody wants to ``wait``.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield


def write_file(path: Path, content: bytes, *, durable: bool) -> None:
    """Write a file that appears whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
