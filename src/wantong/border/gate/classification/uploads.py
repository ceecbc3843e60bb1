"""Scanning a file that somebody sends: bounded, one or two at a time, and nothing of it is kept."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import IO, Any, ClassVar

from django.core.files.uploadedfile import TemporaryUploadedFile, UploadedFile

from wantong.border.gate.classification.readers import Limits
from wantong.border.gate.classification.report import Report
from wantong.border.gate.classification.scan import scan
from wantong.ground.problems import Problem
from wantong.ground.turns import Turns

MAX_BYTES = 64 << 20
AT_ONCE = 2
PATIENCE = 20.0
"""Seconds that a scan waits for its turn."""
RETRY_AFTER = 10


class UploadTooLarge(Problem):
    """The file is beyond :data:`MAX_BYTES`; ``wantong scan`` has no such bound."""

    slug: ClassVar[str] = "scan-too-large"
    status: ClassVar[int] = 413


class Busy(Problem):
    """Other scans are running and none has ended in time."""

    slug: ClassVar[str] = "scan-busy"
    status: ClassVar[int] = 503


_TURNS = Turns(AT_ONCE, PATIENCE, lambda: Busy(retry_after=RETRY_AFTER))


def scan_upload(upload: UploadedFile[Any], *, on: date, declared: str | None = None) -> Report:
    """The report on an uploaded file. Raises :class:`UploadTooLarge`, :class:`Busy`.

    The bytes lie in a file without a name, readable by this process alone and gone when it ends, however it ends.
    """
    if (upload.size or 0) > MAX_BYTES:
        raise UploadTooLarge(allowed=MAX_BYTES)
    with _TURNS.turn(), _nameless(upload) as file:
        return scan(
            Path(f"/proc/self/fd/{file.fileno()}"),
            on=on,
            declared=declared,
            limits=Limits.for_upload(),
            shown_as=_name(upload),
        )


def _nameless(upload: UploadedFile[Any]) -> IO[bytes]:
    if isinstance(upload, TemporaryUploadedFile):
        # Django's own temporary file loses its name at once instead of when the request ends
        with suppress(FileNotFoundError):
            Path(upload.temporary_file_path()).unlink()
        whole: Any = upload.file
        whole.flush()
        return open(f"/proc/self/fd/{whole.fileno()}", "rb")  # noqa: PTH123 - its caller closes it
    file = tempfile.TemporaryFile()  # noqa: SIM115 - its caller closes it
    for chunk in upload.chunks():
        file.write(chunk)
    file.flush()
    return file


def _name(upload: UploadedFile[Any]) -> str:
    """The sender's name for the file, without folders and without what would confuse a reader."""
    bare = (upload.name or "").replace("\\", "/").rpartition("/")[2]
    return "".join(char for char in bare if char.isprintable())[-120:] or "file"
