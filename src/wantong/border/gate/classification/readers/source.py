"""Where bytes come from: a file of this machine, or a file inside an archive. Both can be opened again from the start."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Protocol, cast

from .limits import Budget
from .problems import Missing, NotAFile, Unreadable

BLOCK = 4 << 20


class ByteSource(Protocol):
    """A file to read. ``place`` is how people see it, ``name`` its bare name, ``size`` its (claimed) size.

    ``media_type`` is what it was sent as ("" if nobody says).
    """

    place: str
    name: str
    size: int
    media_type: str

    def open(self) -> BinaryIO:
        """A fresh unbuffered stream from the first byte."""
        ...

    def open_seekable(self) -> BinaryIO:
        """The same with random access and a file descriptor."""
        ...


class FileSource:
    """A regular file. Raises :class:`Missing`, :class:`NotAFile` (pipe, device, socket, folder), :class:`Unreadable`."""

    def __init__(self, path: Path, place: str, media_type: str = "") -> None:
        self.path, self.place, self.name = path, place, PurePosixPath(place).name
        self.media_type = media_type
        with self.open() as file:
            self.size = os.fstat(file.fileno()).st_size

    def open(self) -> BinaryIO:
        try:
            # O_NONBLOCK: opening a pipe nobody writes to must not hang
            descriptor = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
        except FileNotFoundError:
            raise Missing(self.place) from None
        except OSError as error:
            if stat.S_ISSOCK(self.path.stat().st_mode):
                raise NotAFile(self.place) from None
            raise Unreadable(self.place, error.strerror or type(error).__name__) from None
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise NotAFile(self.place)
        return cast(BinaryIO, os.fdopen(descriptor, "rb", buffering=0))

    open_seekable = open


def spool(stream: BinaryIO, place: str, budget: Budget) -> BinaryIO:
    """``stream`` copied to an anonymous file that is gone when closed. The stream itself watches its size."""
    file = tempfile.TemporaryFile(prefix="wantong-")  # noqa: SIM115 - handed to the caller
    try:
        while piece := stream.read(BLOCK):
            budget.check_time(place)
            file.write(piece)
    except BaseException:
        file.close()
        raise
    file.seek(0)
    return cast(BinaryIO, file)
