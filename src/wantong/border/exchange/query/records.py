"""The index that a query service asks: who is in it only shows to who knows his number and the node's key.

::

    <parcel>/records.bin    read-only once made, and read through a memory map
    <parcel>/consents.bin   eight bytes a place: from when to when (Unix seconds, uint32, little endian) he consents

    records.bin = header · fence · keys · starts · commitments · by commitment · rows
        keys           16 bytes a person, in order; his place is where he stands among them
        fence          where the keys with the same first bits begin (uint32): a key is looked for among about four
        starts         where a place's rows begin (uint64), and at last where all end
        commitments    32 bytes a place
        by commitment  the places in the order of their commitments (uint32)
        rows           a person's rows, UTF-8: every value a JSON fragment, \\x1f between values, a line feed between rows

Only whitelisted columns are in it, masked already, so that nothing else can leave by any fault of what reads it. Keys
are keyed digests of the persons' numbers under a secret that is not in the parcel. ``consents.bin`` is the one thing
that changes: the node writes a person's eight bytes in place, the data plane has them in its map at the same moment.

Beside a table of SQLite, read-only and without locks, a look costs a third (``benchmarks/query.py`` measures the whole).
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
import sys
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from types import TracebackType
from typing import IO, NamedTuple

from wantong.border.gate.consent.commitment import normal

RECORDS, CONSENTS = "records.bin", "consents.bin"
MEDIA_TYPE = "application/vnd.wantong.records"
MOST_ROWS = 100
"""Rows one person may have: a record about one person is not a table."""

_VALUE, _ROW = "\x1f", "\n"  # JSON escapes both, so they cannot stand in a value
_VALUE_BYTE, _ROW_BYTE = _VALUE.encode(), _ROW.encode()
_WINDOW = struct.Struct("<II")
_HEADER = struct.Struct("<16sII")
_PAIR, _SPAN = struct.Struct("<II"), struct.Struct("<QQ")
_MAGIC = b"wantong records\n"
_KEY, _COMMITMENT = 16, 32
# people are put in order by a database of their own, which is not kept
_SCHEMA = """
CREATE TABLE person (
    key BLOB PRIMARY KEY,
    commitment BLOB NOT NULL,
    rows TEXT NOT NULL,
    count INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
"""


class TooManyRows(ValueError):
    """A person has more than :data:`MOST_ROWS` rows."""


class Found(NamedTuple):
    """A person in the index: his commitment, where his consent stands, his rows, one JSON fragment a value."""

    place: int
    commitment: bytes
    rows: bytes


def key_of(secret: bytes, identifier: str) -> bytes:
    """Under what a person stands in the index of the service whose ``secret`` (32 bytes) it is."""
    return hashlib.blake2b(normal(identifier).encode(), digest_size=_KEY, key=secret, person=b"key").digest()


def nobody(secret: bytes, identifier: str) -> bytes:
    """What stands for a person who is not in the index where others have their commitment: tells nobody apart."""
    return hashlib.blake2b(
        normal(identifier).encode(), digest_size=_COMMITMENT, key=secret, person=b"nobody"
    ).digest()


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
    draft = folder / f".{RECORDS}.draft"
    total = 0
    db = sqlite3.connect(draft, isolation_level=None)
    try:
        db.executescript("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF;" + _SCHEMA)
        db.execute("BEGIN")
        for identifier, values in rows:
            if not normal(identifier):
                continue
            fragment = _VALUE.join(json.dumps(value, ensure_ascii=False) for value in values)
            ((count,),) = db.execute(
                "INSERT INTO person VALUES (?, ?, ?, 1) ON CONFLICT (key) DO UPDATE"
                " SET rows = rows || ? || excluded.rows, count = count + 1 RETURNING count",
                (key_of(secret, identifier), bytes.fromhex(commitments[identifier]), fragment, _ROW),
            ).fetchall()
            if count > MOST_ROWS:
                raise TooManyRows(count)
            total += 1
        with (folder / RECORDS).open("wb") as file:
            _write(db, file)
    finally:
        db.close()
        draft.unlink()
    return total


def _write(db: sqlite3.Connection, file: IO[bytes]) -> None:
    ((people,),) = db.execute("SELECT count(*) FROM person").fetchall()
    layout = _Layout.of(people)
    fence, starts = array("I", bytes(4 * (layout.fences + 1))), array("Q", [0])
    keys, commitments = bytearray(), []
    file.seek(layout.rows)
    for key, commitment, rows in db.execute("SELECT key, commitment, rows FROM person ORDER BY key"):
        fence[layout.fence_of(key) + 1] += 1
        keys += key
        commitments.append(commitment)
        starts.append(starts[-1] + file.write(rows.encode()))
    for number in range(layout.fences):
        fence[number + 1] += fence[number]
    by_commitment = array("I", sorted(range(people), key=commitments.__getitem__))
    if sys.byteorder == "big":
        for numbers in (fence, starts, by_commitment):
            numbers.byteswap()
    file.seek(0)
    file.write(_HEADER.pack(_MAGIC, people, layout.bits))
    for part in (fence.tobytes(), keys, starts.tobytes(), b"".join(commitments), by_commitment.tobytes()):
        file.write(part)
    assert file.tell() == layout.rows


@dataclass(frozen=True)
class _Layout:
    """Where everything stands in a file of so many people."""

    people: int
    bits: int

    @staticmethod
    def of(people: int) -> _Layout:
        return _Layout(people, min(max((people // 4).bit_length() - 1, 0), 28))

    @property
    def fences(self) -> int:
        return 1 << self.bits

    def fence_of(self, key: bytes) -> int:
        return int.from_bytes(key[:4]) >> (32 - self.bits)

    @property
    def keys(self) -> int:
        return _HEADER.size + 4 * (self.fences + 1)

    @property
    def starts(self) -> int:
        return self.keys + _KEY * self.people

    @property
    def commitments(self) -> int:
        return self.starts + 8 * (self.people + 1)

    @property
    def by_commitment(self) -> int:
        return self.commitments + _COMMITMENT * self.people

    @property
    def rows(self) -> int:
        return self.by_commitment + 4 * self.people


def close_consents(folder: Path) -> None:
    """From here on nobody in the index of ``folder`` is answered for who has not been admitted."""
    with (folder / RECORDS).open("rb") as file:
        _, people, _ = _HEADER.unpack(file.read(_HEADER.size))
    with (folder / CONSENTS).open("wb") as file:
        file.write(bytes(_WINDOW.size * max(people, 1)))
        file.flush()
        os.fsync(file.fileno())


def admit(folder: Path, windows: Mapping[str, tuple[int, int]]) -> None:
    """Write from when to when these persons (by commitment, hex) may be answered for; durable when it returns.

    Who is not in the index is passed over. Raises FileNotFoundError if there is none, or it is not about consent.
    """
    descriptor = os.open(folder / CONSENTS, os.O_WRONLY)
    try:
        with Records(folder) as index:
            for commitment, (begins, ends) in windows.items():
                place = index.place_of(bytes.fromhex(commitment))
                if place is None:
                    continue
                at = place * _WINDOW.size
                # the half that closes first, the half that opens last: no reader sees more than was or will be true
                halves = [(at, begins), (at + 4, ends)]
                for offset, value in halves if ends else halves[::-1]:
                    os.pwrite(descriptor, struct.pack("<I", min(value, 0xFFFFFFFF)), offset)
        os.fdatasync(descriptor)
    finally:
        os.close(descriptor)


class Records:
    """An open index. Raises FileNotFoundError if there is none in ``folder``, ValueError if the file is none."""

    def __init__(self, folder: Path) -> None:
        with (folder / RECORDS).open("rb") as file:
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        magic, people, bits = _HEADER.unpack_from(self._map)
        if magic != _MAGIC:
            raise ValueError("not an index of records")
        layout = self._layout = _Layout(people, bits)
        self._shift, self._keys, self._starts = 32 - bits, layout.keys, layout.starts
        self._commitments, self._rows = layout.commitments, layout.rows
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
        self._map.close()
        if self._consents is not None:
            self._consents.close()

    def find(self, key: bytes) -> Found | None:
        """The person who stands under ``key`` (see :func:`key_of`)."""
        found, keys = self._map, self._keys
        first, last = _PAIR.unpack_from(found, _HEADER.size + 4 * (int.from_bytes(key[:4]) >> self._shift))
        end = keys + _KEY * last
        at = found.find(key, keys + _KEY * first, end)
        while (at - keys) % _KEY and at >= 0:  # its bytes, across two others
            at = found.find(key, at + 1, end)
        if at < 0:
            return None
        place = (at - keys) // _KEY
        begin, end = _SPAN.unpack_from(found, self._starts + 8 * place)
        commitment = self._commitments + _COMMITMENT * place
        return Found(
            place,
            found[commitment : commitment + _COMMITMENT],
            found[self._rows + begin : self._rows + end],
        )

    def place_of(self, commitment: bytes) -> int | None:
        """Where the person with this commitment stands."""
        order = self._layout.by_commitment
        low, high = 0, self._layout.people
        while low < high:
            middle = (low + high) // 2
            place = int.from_bytes(self._map[order + 4 * middle : order + 4 * middle + 4], "little")
            at = self._commitments + _COMMITMENT * place
            there = self._map[at : at + _COMMITMENT]
            if there == commitment:
                return place
            low, high = (middle + 1, high) if there < commitment else (low, middle)
        return None

    def permitted(self, place: int, now: float) -> bool:
        """Whether the person may be answered for at this moment."""
        if self._consents is None:
            return True
        begins, ends = _WINDOW.unpack_from(self._consents, place * _WINDOW.size)
        return bool(begins <= now < ends)


class Cut:
    """Which of an index' columns are asked for, ready to be cut out of a person's rows."""

    __slots__ = ("_of", "_record")

    def __init__(self, columns: Sequence[str], asked: Sequence[str]) -> None:
        """Raises ValueError for a field that is not among ``columns``."""
        places = [columns.index(name) for name in asked]
        one = places[0]
        # itemgetter of one place gives no tuple
        self._of = itemgetter(*places) if len(places) > 1 else lambda values: (values[one],)
        names = [json.dumps(name, ensure_ascii=False).encode().replace(b"%", b"%%") for name in asked]
        self._record = b"{" + b",".join(name + b":%b" for name in names) + b"}"

    def answer(self, rows: bytes) -> bytes:
        """``{"records": [...]}`` of these fields alone, in UTF-8."""
        record, of = self._record, self._of
        return (
            b'{"records":['
            + b",".join([record % of(row.split(_VALUE_BYTE)) for row in rows.split(_ROW_BYTE)])
            + b"]}"
        )
