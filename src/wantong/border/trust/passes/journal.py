"""What a gate remembers: every decision, on disk before the gate opens, so that nobody passes twice after a power cut.

A file of lines, each a checksum and a JSON object, written whole with one ``write`` and made durable before
:meth:`Journal.record` returns. A line that a kill or a power cut left half is at the end and is cut off; a wrong one
anywhere else is damage and said so. One process writes (``flock``); what has been sent to the node is noted beside it.
"""

from __future__ import annotations

import fcntl
import json
import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Self

from wantong.border.trust.passes.gate import Decision, Direction, Passage
from wantong.ground.problems import Problem

NAME, SENT = "journal", "journal.sent"


class JournalDamaged(Problem):
    """A line of the journal that is not the last is not what was written: ``line``."""

    slug = "passes-journal-damaged"
    status = 500


class JournalTaken(Problem):
    """Another process writes this journal."""

    slug = "passes-journal-taken"
    status = 409


@dataclass(frozen=True)
class Entry:
    """One decision. ``opened`` is whether the gate opened: for an answer of ``ask``, whether a person let in."""

    number: int
    at: datetime
    answer: str
    code: str
    mode: str
    scope: str
    direction: str
    opened: bool
    key: str
    shown: str = ""
    by: str = ""

    def to_dict(self) -> dict[str, Any]:
        return {**self.__dict__, "at": self.at.isoformat()}

    @classmethod
    def from_dict(cls, told: dict[str, Any]) -> Self:
        """Raises KeyError, TypeError, ValueError for what is none."""
        return cls(**{**told, "at": datetime.fromisoformat(told["at"])})


def written(folder: Path) -> int:
    """How many entries the journal of a folder has, whoever has it open."""
    try:
        return (folder / NAME).read_bytes().count(b"\n")
    except FileNotFoundError:
        return 0


class Journal:
    """The journal in a folder, open for writing; also the gate's memory of who passed (:class:`.gate.Passages`)."""

    def __init__(self, folder: Path, remembers: timedelta = timedelta(days=7)) -> None:
        """Raises :class:`JournalDamaged`, :class:`JournalTaken`."""
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._path, self._remembers = folder, folder / NAME, remembers
        self._last: dict[bytes, Passage] = {}
        self._used: dict[bytes, datetime] = {}
        self._swept: datetime | None = None
        self._latest: list[tuple[int, datetime]] = []
        self.count = 0
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._file)
            raise JournalTaken from None
        try:
            self._read()
        except BaseException:
            os.close(self._file)
            raise
        _sync(folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        os.close(self._file)

    def last(self, key: bytes) -> Passage | None:
        return self._last.get(key)

    def used(self, shown: bytes) -> bool:
        return shown in self._used

    def latest(self, since: int) -> datetime | None:
        """The latest moment of an entry, of those numbered ``since`` and after."""
        return next((at for number, at in self._latest if number >= since), None)

    def record(
        self, decision: Decision, direction: Direction, *, opened: bool | None = None, by: str = ""
    ) -> Entry:
        """Write a decision down; durable when it returns. Raises OSError if it cannot be (then the gate stays shut).

        ``opened`` is given where a person decided (``by`` whom); otherwise the gate opens for ``admit`` alone.
        """
        open_ = decision.answer == "admit" if opened is None else opened
        failure = decision.verdict.failure
        entry = Entry(
            number=self.count,
            at=decision.verdict.at,
            answer=decision.answer,
            code=failure.code if failure else "",
            mode=decision.mode,
            scope=decision.scope,
            direction=direction,
            opened=open_,
            key=decision.key.hex(),
            shown=decision.passage.shown.hex() if decision.passage else "",
            by=by,
        )
        content = json.dumps(entry.to_dict(), separators=(",", ":")).encode()
        line = b"%08x %b\n" % (zlib.crc32(content), content)
        size = os.fstat(self._file).st_size
        try:
            if os.write(self._file, line) != len(line):
                raise OSError("the disk took half a line")
            os.fdatasync(self._file)
        except OSError:
            os.ftruncate(self._file, size)
            raise
        self.count += 1
        self._note(entry)
        return entry

    def unsent(self, most: int = 1000) -> list[Entry]:
        """The oldest entries that the node does not have yet."""
        first = self.sent
        found = (entry for entry in self._entries() if entry.number >= first)
        return [entry for entry, _ in zip(found, range(most), strict=False)]

    @property
    def sent(self) -> int:
        """How many entries the node has."""
        try:
            return int((self._folder / SENT).read_text())
        except FileNotFoundError:
            return 0

    @sent.setter
    def sent(self, count: int) -> None:
        draft = self._folder / f".{SENT}"
        with draft.open("w") as file:
            file.write(str(count))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self._folder / SENT)
        _sync(self._folder)

    def _read(self) -> None:
        """Everything that was written, and cut off what a kill left half."""
        end = 0
        for line in self._lines():
            entry = _entry(line, self.count)
            if entry is None:
                if end + len(line) < os.fstat(self._file).st_size:
                    raise JournalDamaged(line=self.count + 1)
                os.ftruncate(self._file, end)
                os.fsync(self._file)
                return
            end += len(line)
            self.count += 1
            self._note(entry)

    def _lines(self) -> Iterator[bytes]:
        with self._path.open("rb") as file:
            yield from file

    def _entries(self) -> Iterator[Entry]:
        for number, line in enumerate(self._lines()):
            entry = _entry(line, number)
            if entry is not None:
                yield entry

    def _note(self, entry: Entry) -> None:
        # each is later than all that come after it: one, as long as the clock goes forward
        while self._latest and self._latest[-1][1] <= entry.at:
            self._latest.pop()
        self._latest.append((entry.number, entry.at))
        if not entry.opened or not entry.key:
            return
        key, shown = bytes.fromhex(entry.key), bytes.fromhex(entry.shown)
        direction: Direction = "out" if entry.direction == "out" else "in"
        self._last[key] = Passage(key, direction, entry.at, shown)
        self._used[shown] = entry.at
        if self._swept is None or entry.at - self._swept > self._remembers / 8:
            self._forget(entry.at)

    def _forget(self, at: datetime) -> None:
        """Leave out of memory what no rule asks for any more."""
        self._swept, since = at, at - self._remembers
        self._last = {key: passage for key, passage in self._last.items() if passage.at >= since}
        self._used = {shown: when for shown, when in self._used.items() if when >= since}


def _entry(line: bytes, number: int) -> Entry | None:
    """The entry of a line, None if it is not one that was written whole."""
    try:
        checksum, content = line.rstrip(b"\n").split(b" ", 1)
        if not line.endswith(b"\n") or int(checksum, 16) != zlib.crc32(content):
            return None
        entry = Entry.from_dict(json.loads(content))
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return entry if entry.number == number else None


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
