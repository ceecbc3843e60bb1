"""ZIP archives as sources of files: nothing is unpacked to disk by name, and everything unpacked is counted."""

from __future__ import annotations

import io
import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from typing import BinaryIO, cast

from .limits import Budget
from .problems import (
    Damaged,
    Encrypted,
    HostileArchive,
    LimitReached,
    LinkSkipped,
    ReadProblem,
    UnsafeName,
    Unsupported,
)
from .source import spool

_ENTRY_BYTES = 46
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # LZMA's header may ask for 4 GiB of memory
DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    struct.error,
    NotImplementedError,
    ValueError,
    OverflowError,
)


def open_archive(file: BinaryIO, place: str, budget: Budget) -> zipfile.ZipFile:
    """The archive with its directory checked. Raises :class:`Damaged`, :class:`HostileArchive`, :class:`LimitReached`."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - 65_557))
    tail = file.read(65_557)
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) < at + 22:
        raise Damaged(place, reason="archive-end")
    # the directory is read into memory as a whole, so its size is asked before
    directory = min(struct.unpack_from("<I", tail, at + 12)[0], size)
    if directory > budget.limits.entries * (_ENTRY_BYTES + 256):
        raise LimitReached(place, "entries", budget.limits.entries)
    file.seek(0)
    try:
        archive = zipfile.ZipFile(file)
    except DAMAGE as error:
        raise Damaged(place, reason="reader", told=error) from None
    end = 0
    for entry in sorted(archive.infolist(), key=lambda entry: entry.header_offset):
        if entry.header_offset < end or entry.compress_size < 0:
            raise HostileArchive(place)
        end = entry.header_offset + 30 + len(entry.orig_filename) + entry.compress_size
    return archive


def shown_name(entry: zipfile.ZipInfo) -> str:
    """An entry's name as a person should see it: in the encoding its writer used, without control characters."""
    name = entry.filename
    if not entry.flag_bits & 0x800 and not name.isascii():
        raw = name.encode("cp437", "replace")
        for encoding in ("utf-8", "gb18030", "big5hkscs"):
            try:
                name = raw.decode(encoding)
                break
            except UnicodeDecodeError:
                continue
    return "".join(char if char.isprintable() else "\ufffd" for char in name)[:512]


class EntrySource:
    """A file inside an archive, as a :class:`~.source.ByteSource`; reading it spends the budget."""

    media_type = ""

    def __init__(self, archive: zipfile.ZipFile, entry: zipfile.ZipInfo, place: str, budget: Budget) -> None:
        self.archive, self.entry, self.place, self._budget = archive, entry, place, budget
        self.name = shown_name(entry).rpartition("/")[2]
        self.size = entry.file_size

    def open(self) -> BinaryIO:
        try:
            stream = self.archive.open(self.entry)
        except DAMAGE as error:
            raise Damaged(self.place, reason="reader", told=error) from None
        return cast(BinaryIO, _Counted(stream, self))

    def open_seekable(self) -> BinaryIO:
        with self.open() as stream:
            return spool(stream, self.place, self._budget)

    def spent(self, produced: int, total: int) -> None:
        limits = self._budget.limits
        if total > limits.ratio_free_bytes and total > limits.ratio * max(1, self.entry.compress_size):
            raise LimitReached(self.place, "ratio", limits.ratio)
        self._budget.spend_unpacked(self.place, produced)


class _Counted(io.RawIOBase):
    def __init__(self, stream: object, source: EntrySource) -> None:
        self._stream = cast(BinaryIO, stream)
        self._source = source
        self._total = 0

    def readable(self) -> bool:
        return True

    def readinto(self, target: object) -> int:
        view = memoryview(target)  # type: ignore[arg-type]
        try:
            data = self._stream.read(min(len(view), 1 << 20))
        except DAMAGE as error:
            raise Damaged(self._source.place, reason="reader", told=error) from None
        view[: len(data)] = data
        self._total += len(data)
        self._source.spent(len(data), self._total)
        return len(data)

    def close(self) -> None:
        self._stream.close()
        super().close()


def entries(archive: zipfile.ZipFile, place: str, budget: Budget) -> Iterator[EntrySource | ReadProblem]:
    """The files of an archive that can be read, and why others cannot."""
    for entry in archive.infolist():
        name = shown_name(entry)
        inside = f"{place}!/{name}"
        try:
            budget.spend_entry(place)
            budget.check_time(place)
        except LimitReached as reached:
            yield reached
            return
        if entry.is_dir():
            continue
        if name.startswith(("/", "\\")) or ".." in name.replace("\\", "/").split("/") or name[1:2] == ":":
            yield UnsafeName(inside)
        if stat.S_ISLNK(entry.external_attr >> 16):
            yield LinkSkipped(inside)
        elif entry.flag_bits & 1:
            yield Encrypted(inside)
        elif entry.compress_type not in _METHODS:
            yield Unsupported(inside, f"zip, method {entry.compress_type}")
        else:
            yield EntrySource(archive, entry, inside, budget)
