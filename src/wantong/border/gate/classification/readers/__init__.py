"""Readers: any file, folder or archive as a stream of chunks, in bounded memory and time.

CSV, TSV, JSON lines, JSON, Parquet, XLSX, DOCX, PDF text, plain text, and folders and ZIP archives of these, in
UTF-8, UTF-16, GB18030, Big5 (with the Hong Kong supplement) or Windows-1252. A format is told by its bytes, not by
its name. Whatever cannot be read, or only in part, is a :class:`ReadProblem` in the same stream, in its place, and
the reading goes on with the next file: nothing is passed over in silence.

Text is streamed in this process (blocks of 4 MiB; measured in `benchmarks/readers.py`); the structured formats are
parsed in a process that can be killed (:mod:`.worker`).
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from ..chunks import Chunk, TextChunk
from . import archive, delimited, formats, jsons
from .encoding import Encoding, Utf8Pieces, detect
from .limits import Budget, Limits
from .problems import (
    Encrypted,
    LimitReached,
    LinkSkipped,
    Missing,
    MixedEncoding,
    NotAFile,
    ReadProblem,
    Remark,
    Unreadable,
    Unsupported,
    WrongExtension,
)
from .source import BLOCK, ByteSource, FileSource
from .worker import Workshop

__all__ = ["Limits", "Progress", "ReadProblem", "Remark", "open_path"]

Progress = Callable[[str, int, int], None]
"""Called with (the file being read, bytes read so far of all files, bytes in all), both as they lie on disk."""

_SAMPLE = 1 << 18


def open_path(
    path: str | Path,
    *,
    limits: Limits | None = None,
    progress: Progress | None = None,
    shown_as: str | None = None,
    media_type: str = "",
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Chunk | ReadProblem]:
    """Everything a file or folder holds, as chunks, and a :class:`ReadProblem` for whatever could not be read.

    ``shown_as`` is the name people know the file by, if it is another; ``media_type`` decides where neither name nor
    content says that a file is a table. ``path`` itself may be a symbolic link; links inside folders and archives are
    not followed. Nothing is raised for what a file does; closing the iterator frees all it holds.
    """
    limits = limits or Limits()
    budget = Budget(limits, clock)
    with Workshop(limits) as workshop:
        reading = _Reading(budget, workshop, progress)
        try:
            yield from reading.path(Path(path), shown_as or str(path), media_type)
        except LimitReached as reached:  # of the read as a whole: time, files, bytes unpacked
            yield reached


class _Reading:
    def __init__(self, budget: Budget, workshop: Workshop, progress: Progress | None) -> None:
        self._budget, self._workshop, self._progress = budget, workshop, progress
        self._done = self._total = 0

    def path(self, path: Path, place: str, media_type: str) -> Iterator[Chunk | ReadProblem]:
        try:
            source = None if path.is_dir() else FileSource(path, place, media_type)
        except ReadProblem as problem:
            yield problem
            return
        except OSError as error:
            yield Unreadable(place, error.strerror or type(error).__name__)
            return
        except ValueError:  # a NUL in its name
            yield Missing(place)
            return
        if source is None:
            if self._progress:
                self._total = _size_of_folder(path, self._budget.limits)
            yield from self._folder(path, place.rstrip("/"), 1)
            return
        self._total = source.size
        yield from self._top_level(source)

    def _folder(self, folder: Path, place: str, depth: int) -> Iterator[Chunk | ReadProblem]:
        if depth > self._budget.limits.folder_depth:
            yield LimitReached(place, "folder_depth", self._budget.limits.folder_depth)
            return
        try:
            found = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as error:
            yield Unreadable(place, error.strerror or type(error).__name__)
            return
        for entry in found:
            inside = f"{place}/{entry.name.encode('utf-8', 'replace').decode()}"
            self._budget.check_time(inside)
            if entry.is_symlink():
                yield LinkSkipped(inside)
                continue
            try:
                if entry.is_dir(follow_symlinks=False):
                    source = None
                elif not stat.S_ISREG(entry.stat(follow_symlinks=False).st_mode):
                    yield NotAFile(inside)
                    continue
                else:
                    self._budget.spend_entry(inside)
                    source = FileSource(Path(entry.path), inside)
            except ReadProblem as problem:
                if isinstance(problem, LimitReached):
                    raise
                yield problem
            except OSError as error:  # gone since the folder was listed, or its path is too long
                yield Unreadable(inside, error.strerror or type(error).__name__)
            else:
                if source is None:
                    yield from self._folder(Path(entry.path), inside, depth + 1)
                else:
                    yield from self._top_level(source)

    def _top_level(self, source: FileSource) -> Iterator[Chunk | ReadProblem]:
        if self._progress:
            self._progress(source.place, self._done, self._total)
        yield from self.file(source, 0)
        self._done += source.size
        if self._progress:
            self._progress(source.place, self._done, self._total)

    def file(self, source: ByteSource, depth: int) -> Iterator[Chunk | ReadProblem]:
        """One file; problems of this file are yielded, bounds of the whole read raised."""
        try:
            yield from self._recognised(source, depth)
        except LimitReached as reached:
            if reached.params["limit"] in ("seconds", "entries", "unpacked_bytes"):
                raise
            yield reached
        except ReadProblem as problem:
            yield problem
        except OSError as error:
            yield Unreadable(source.place, error.strerror or type(error).__name__)

    def _recognised(self, source: ByteSource, depth: int) -> Iterator[Chunk | ReadProblem]:
        with source.open() as stream:
            head = _read_up_to(stream, formats.HEAD)
        promised = formats.by_extension(source.name)
        format = formats.by_magic(head)
        if format is None:
            yield from self._text(source, promised)
            return
        if format == "zip":
            yield from self._zip(source, depth, promised)
            return
        if promised not in (None, format) and format in ("pdf", "parquet"):
            yield WrongExtension(source.place, format)
        if format in ("pdf", "parquet"):
            with source.open_seekable() as file:
                yield from self._workshop.read(format, file, source.place, source.size, self._budget)
        elif format == "parquet-encrypted" or (format == "ole" and _is_encrypted_office(source)):
            yield Encrypted(source.place)
        else:
            yield Unsupported(source.place, format)

    def _zip(self, source: ByteSource, depth: int, promised: str | None) -> Iterator[Chunk | ReadProblem]:
        with source.open_seekable() as file:
            opened = archive.open_archive(file, source.place, self._budget)
            format = formats.office_kind(frozenset(opened.namelist()))
            if promised not in (None, format):
                yield WrongExtension(source.place, format)
            if format != "zip":
                yield from self._workshop.read(format, file, source.place, source.size, self._budget)
                return
            if depth >= self._budget.limits.depth:
                yield LimitReached(source.place, "depth", self._budget.limits.depth)
                return
            for entry in archive.entries(opened, source.place, self._budget):
                if isinstance(entry, ReadProblem):
                    yield entry
                else:
                    yield from self.file(entry, depth + 1)

    def _text(self, source: ByteSource, promised: str | None) -> Iterator[Chunk | ReadProblem]:
        encoding = text_encoding(source)
        with source.open() as stream:
            pieces = Utf8Pieces(self._watched(stream, source), encoding, self._budget, source.place)
            yield from read_text(pieces, source, promised, self._budget.limits)
            if pieces.repaired or pieces.lost:
                yield MixedEncoding(source.place, encoding.name, pieces.repaired or pieces.lost)

    def _watched(self, stream: BinaryIO, source: ByteSource) -> BinaryIO:
        if self._progress and isinstance(source, FileSource):
            return cast(BinaryIO, _Watched(stream, source.place, self._done, self._total, self._progress))
        return stream


def _is_encrypted_office(source: ByteSource) -> bool:
    """Whether an OLE container is Office's envelope of an encrypted file: it has a stream of that name somewhere."""
    name = "EncryptedPackage".encode("utf-16-le")
    tail = b""
    with source.open() as stream:
        while piece := stream.read(BLOCK):
            if name in tail + piece:
                return True
            tail = piece[-len(name) :]
    return False


def read_text(
    pieces: Utf8Pieces, source: ByteSource, promised: str | None, limits: Limits
) -> Iterator[Chunk | ReadProblem]:
    """Text in whatever form its content has: JSON, a table, or running text."""
    stream = iter(pieces)
    first = next(stream, None)
    if first is None:
        return
    sample = bytes(first[: delimited.SNIFFED])
    kind = text_kind(sample, promised, source.media_type)
    if (
        b"\n" not in sample
        and isinstance(kind, delimited.Dialect)
        and _first_line_too_wide(first, limits.columns)
    ):
        yield LimitReached(source.place, "columns", limits.columns)
        kind = "text"
    if kind == "lines":
        yield from jsons.read_lines(_chain(first, stream), source.place, limits)
    elif kind == "json":
        yield from jsons.read(_chain(first, stream), source.place, limits)
    elif isinstance(kind, delimited.Dialect):
        yield from delimited.read(stream, first, kind, source.place, limits)
    else:
        line = 1
        for piece in _chain(first, stream):
            data = bytes(piece)
            yield TextChunk(source.place, data, line)
            line += data.count(b"\n")


def text_kind(sample: bytes, promised: str | None, media_type: str = "") -> str | delimited.Dialect:
    """``json``, ``lines``, ``text`` or the dialect of a table, for a UTF-8 text that begins with ``sample``.

    A table of one column looks like lines of text. If no name promises anything, the media type tells them apart.
    """
    start = sample.lstrip()[:1]
    if start in (b"{", b"["):
        if promised == "lines" or (promised != "json" and jsons.looks_like_lines(sample)):
            return "lines"
        if promised == "json" or (promised != "delimited" and jsons.looks_like_document(sample)):
            return "json"
    if promised == "json" and jsons.looks_like_lines(sample):
        return "lines"
    cut = sample.rfind(b"\n") + 1 if len(sample) >= delimited.SNIFFED else len(sample)
    lines = sample[: cut or len(sample)]
    table = delimited.sniff(lines, expected=promised == "delimited")
    if table is None and promised is None and formats.is_delimited(media_type):
        table = delimited.sniff(lines, expected=True)
    return table or "text"


def _first_line_too_wide(first: memoryview | bytes, columns: int) -> bool:
    line = bytes(first).partition(b"\n")[0]
    return any(line.count(delimiter.encode()) >= columns for delimiter in delimited.DELIMITERS)


def _chain(first: memoryview | bytes, rest: Iterator[memoryview | bytes]) -> Iterator[memoryview | bytes]:
    yield first
    yield from rest


def _read_up_to(stream: BinaryIO, count: int) -> bytes:
    parts = bytearray()
    while len(parts) < count and (piece := stream.read(count - len(parts))):
        parts += piece
    return bytes(parts)


def _suffix(name: str) -> str:
    return Path(name).suffix.lstrip(".").lower()[:16] or "binary"


def _size_of_folder(folder: Path, limits: Limits) -> int:
    """Bytes of a folder's files, for the progress bar: what cannot be told now is told when it is read."""
    total = seen = 0
    top = str(folder).count(os.sep)
    for place, inside, names in os.walk(folder):
        if place.count(os.sep) - top >= limits.folder_depth:
            inside.clear()
        for name in names:
            seen += 1
            if seen > limits.entries:
                return total
            with suppress(OSError):
                found = os.lstat(os.path.join(place, name))  # noqa: PTH118  (a path is not made for each of a million)
                total += found.st_size if stat.S_ISREG(found.st_mode) else 0
    return total


class _Watched:
    """A stream that reports how far it has been read."""

    def __init__(self, stream: BinaryIO, place: str, done: int, total: int, progress: Progress) -> None:
        self._stream, self._place, self._total, self._progress = stream, place, total, progress
        self._done = done

    def readinto(self, target: memoryview) -> int:
        count: int = self._stream.readinto(target)  # type: ignore[attr-defined]
        self._tell(count or 0)
        return count

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(size)
        self._tell(len(data))
        return data

    def _tell(self, count: int) -> None:
        self._done += count
        self._progress(self._place, self._done, self._total)


@dataclass(frozen=True)
class Text:
    """A text file for those who write it anew: its place, its pieces in UTF-8, whether it began with a mark."""

    place: str
    pieces: Iterator[memoryview | bytes]
    marked: bool


@contextmanager
def open_text(source: ByteSource, budget: Budget) -> Iterator[Text]:
    """A file of text in any encoding. Raises :class:`Unsupported` if it is not text."""
    encoding = text_encoding(source)
    with source.open() as stream:
        yield Text(source.place, iter(Utf8Pieces(stream, encoding, budget, source.place)), encoding.mark > 0)


def text_encoding(source: ByteSource) -> Encoding:
    """The encoding of a text file, from its beginning and pieces of the rest. Raises :class:`Unsupported`."""
    with source.open() as stream:
        head = _read_up_to(stream, _SAMPLE)
    encoding = detect([head, *_samples(source, head)])
    # zeros are half of UTF-16, but no part of other text
    if not encoding.name.startswith(("utf-16", "utf-32")) and formats.is_binary(head[: formats.HEAD]):
        raise Unsupported(source.place, _suffix(source.name))
    return encoding


def _samples(source: ByteSource, head: bytes) -> Iterator[bytes]:
    """Pieces of the rest: a file may begin with pages of ASCII and still be in GB18030."""
    if len(head) < _SAMPLE or not isinstance(source, FileSource):
        return
    with source.open() as stream:
        for part in range(1, 8):
            stream.seek(max(len(head), source.size * part // 8))
            piece = stream.read(_SAMPLE // 8)
            yield piece[piece.find(b"\n") + 1 :]
