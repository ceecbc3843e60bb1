"""Files that somebody sends, for services that read files."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.core.files.uploadedfile import UploadedFile

CHUNK = 1 << 20


@contextmanager
def laid_down(upload: UploadedFile[Any], name: str = "upload") -> Iterator[Path]:
    """An upload as a file called ``name`` in a folder of its own, gone afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        with path.open("wb") as target:
            for chunk in upload.chunks(CHUNK):
                target.write(chunk)
        yield path
