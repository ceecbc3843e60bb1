"""The index that a query service asks: who is in it only shows to who knows his number and the node's key.

::

    <parcel>/records.sqlite   read-only once made: key → place, commitment, the person's rows as JSON fragments
    <parcel>/consents.bin     eight bytes a place: from when to when (Unix seconds, uint32, little endian) he consents

Only whitelisted columns are in it, masked already, so that nothing else can leave by any fault of what reads it. Keys
are HMACs of the person's number under a key that is not in the parcel. ``consents.bin`` is the one thing that changes:
the node writes a person's eight bytes in place, the data plane has them in its memory map at the same moment.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import mmap
import os
import sqlite3
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from wantong.border.gate.consent.commitment import normal

RECORDS, CONSENTS = "records.sqlite", "consents.bin"
MEDIA_TYPE = "application/vnd.wantong.records+sqlite3"
MOST_ROWS = 100
"""Rows one person may have: a record about one person is not a table."""

_VALUE, _ROW = "\x1f", "\n"  # JSON escapes both, so they cannot stand in a value
_WINDOW = struct.Struct("<II")
_SCHEMA = """
CREATE TABLE person (
    key BLOB PRIMARY KEY,
    place INTEGER NOT NULL UNIQUE,
    commitment BLOB NOT NULL UNIQUE,
    rows TEXT NOT NULL,
    count INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
"""


class TooManyRows(ValueError):
    """A person has more than :data:`MOST_ROWS` rows."""


@dataclass(frozen=True, slots=True)
class Found:
    """A person in the index: his commitment, where his consent stands, his rows, one JSON fragment a value."""

    place: int
    commitment: bytes
    rows: str


def key_of(secret: bytes, identifier: str) -> bytes:
    """Under what a person stands in the index of the service whose ``secret`` it is."""
    return hmac.digest(secret, b"key\x1f" + normal(identifier).encode(), hashlib.sha256)[:16]


def nobody(secret: bytes, identifier: str) -> bytes:
    """What stands for a person who is not in the index where others have their commitment: tells nobody apart."""
    return hmac.digest(secret, b"nobody\x1f" + normal(identifier).encode(), hashlib.sha256)


def service_secret(root: bytes, transfer_id: str) -> bytes:
    """The secret of one service, from the node's own."""
    return hmac.digest(root, b"wantong query 1\x1f" + transfer_id.encode(), hashlib.sha256)


def build(
    folder: Path,
    rows: Iterable[tuple[str, Sequence[str]]],
    *,
    secret: bytes,
    commitments: Mapping[str, str],
) -> int:
    """Make the index in ``folder`` from (identifier, values); rows of nobody are left out. Returns how many are in it.

    Raises :class:`TooManyRows`, KeyError for an identifier without commitment.
    """
    path = folder / RECORDS
    total = people = 0
    db = sqlite3.connect(path, isolation_level=None)
    try:
        db.executescript("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF;" + _SCHEMA)
        db.execute("BEGIN")
        for identifier, values in rows:
            if not normal(identifier):
                continue
            fragment = _VALUE.join(json.dumps(value, ensure_ascii=False) for value in values)
            ((place, count),) = db.execute(
                "INSERT INTO person VALUES (?, ?, ?, ?, 1) ON CONFLICT (key) DO UPDATE"
                " SET rows = rows || ? || excluded.rows, count = count + 1 RETURNING place, count",
                (key_of(secret, identifier), people, bytes.fromhex(commitments[identifier]), fragment, _ROW),
            ).fetchall()
            if count > MOST_ROWS:
                raise TooManyRows(count)
            total += 1
            people += place == people
        db.execute("COMMIT")
    finally:
        db.close()
    return total


def close_consents(folder: Path) -> None:
    """From here on nobody in the index of ``folder`` is answered for who has not been admitted."""
    with _database(folder) as db:
        ((people,),) = db.execute("SELECT count(*) FROM person").fetchall()
    with (folder / CONSENTS).open("wb") as file:
        file.write(bytes(_WINDOW.size * people))
        file.flush()
        os.fsync(file.fileno())


def admit(folder: Path, windows: Mapping[str, tuple[int, int]]) -> None:
    """Write from when to when these persons (by commitment, hex) may be answered for; durable when it returns.

    Who is not in the index is passed over. Raises FileNotFoundError if there is none, or it is not about consent.
    """
    descriptor = os.open(folder / CONSENTS, os.O_WRONLY)
    try:
        with _database(folder) as db:
            for commitment, (begins, ends) in windows.items():
                found = db.execute(
                    "SELECT place FROM person WHERE commitment = ?", (bytes.fromhex(commitment),)
                ).fetchone()
                if found is None:
                    continue
                at = found[0] * _WINDOW.size
                # the half that closes first, the half that opens last: no reader sees more than was or will be true
                halves = [(at, begins), (at + 4, ends)]
                for offset, value in halves if ends else halves[::-1]:
                    os.pwrite(descriptor, struct.pack("<I", min(value, 0xFFFFFFFF)), offset)
        os.fdatasync(descriptor)
    finally:
        os.close(descriptor)


class Records:
    """An open index, to be asked by one thread. Raises FileNotFoundError if there is none in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self._db = _connect(folder)
        self._consents: mmap.mmap | None = None
        with contextlib.suppress(FileNotFoundError), (folder / CONSENTS).open("rb") as file:
            self._consents = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)

    def __enter__(self) -> Records:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._db.close()
        if self._consents is not None:
            self._consents.close()

    def find(self, key: bytes) -> Found | None:
        """The person who stands under ``key`` (see :func:`key_of`)."""
        row = self._db.execute("SELECT place, commitment, rows FROM person WHERE key = ?", (key,)).fetchone()
        return None if row is None else Found(*row)

    def permitted(self, place: int, now: float) -> bool:
        """Whether the person may be answered for at this moment."""
        if self._consents is None:
            return True
        begins, ends = _WINDOW.unpack_from(self._consents, place * _WINDOW.size)
        return bool(begins <= now < ends)


class Cut:
    """Which of an index' columns are asked for, ready to be cut out of a person's rows."""

    __slots__ = ("_parts",)

    def __init__(self, columns: Sequence[str], asked: Sequence[str]) -> None:
        """Raises ValueError for a field that is not among ``columns``."""
        self._parts = tuple(
            (json.dumps(name, ensure_ascii=False) + ":", columns.index(name)) for name in asked
        )

    def answer(self, rows: str) -> bytes:
        """``{"records": [...]}`` of these fields alone, in UTF-8."""
        objects = []
        for row in rows.split(_ROW):
            values = row.split(_VALUE)
            objects.append("{" + ",".join([name + values[index] for name, index in self._parts]) + "}")
        return ('{"records":[' + ",".join(objects) + "]}").encode()


def _connect(folder: Path) -> sqlite3.Connection:
    path = folder / RECORDS
    if not path.exists():
        raise FileNotFoundError(path)
    # a parcel is never changed, only replaced: no locks are needed, and no journal is looked for
    uri = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
    return sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)


@contextlib.contextmanager
def _database(folder: Path) -> Iterator[sqlite3.Connection]:
    db = _connect(folder)
    try:
        yield db
    finally:
        db.close()
