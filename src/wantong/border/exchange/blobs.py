"""The blob store: payloads by their SHA-256, written once, whole or not at all.

``<root>/<first two hex digits>/<sha256>``. A file appears under its name only when it is complete and durable, so
whatever has a name can be trusted to be it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from wantong.ground import drafts

PIECE = 1 << 20


@dataclass(frozen=True)
class Blob:
    sha256: str
    size: int


def path(root: Path, sha256: str) -> Path:
    """Where the blob is or would be. Raises ValueError for what is not a digest: it may come from outside."""
    if len(sha256) != 64 or not set(sha256) <= set("0123456789abcdef"):
        raise ValueError("not a SHA-256 in lower-case hex")
    return root / sha256[:2] / sha256


def store(root: Path, source: BinaryIO, largest: int | None = None) -> Blob:
    """Copy ``source`` into the store, piece by piece. Raises ValueError if it is longer than ``largest`` bytes."""
    digest, size = hashlib.sha256(), 0
    with drafts.draft(root) as folder:
        with (folder / "blob").open("xb") as file:
            while piece := source.read(PIECE):
                size += len(piece)
                if largest is not None and size > largest:
                    raise ValueError(f"longer than {largest} bytes")
                digest.update(piece)
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        adopt(root, folder / "blob", digest.hexdigest())
    return Blob(digest.hexdigest(), size)


def adopt(root: Path, file: Path, sha256: str) -> Path:
    """Move a complete, durable ``file`` of the same file system, whose digest is known, into the store."""
    target = path(root, sha256)
    target.parent.mkdir(parents=True, exist_ok=True)
    file.rename(target)
    sync(target.parent)
    sync(root)
    return target


def remove(root: Path, sha256: str, unless: Callable[[str], bool]) -> None:
    """Delete a blob that nobody refers to any more (``unless`` says whether somebody does)."""
    if not unless(sha256):
        with contextlib.suppress(FileNotFoundError):
            path(root, sha256).unlink()


def sync(folder: Path) -> None:
    """Make the names in ``folder`` durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
