"""The folder where a released payload waits to be fetched, and the one rename that decides a race.

::

    outgoing/<transfer id>/            ready: payload and manifest.json, complete and durable
    outgoing/.left/<transfer id>/      claimed: its first byte has left or is about to
    outgoing/.draft/<transfer id>-…/   being made; those of a worker that died are swept by the next
    outgoing/<transfer id>/standing    of a parcel that is asked and does not leave: one byte, 1 until it is taken back

Between the reader who is about to send (:func:`claim`) and the gate that wants the payload back because a person
has withdrawn (:func:`take_back`) stands nothing but ``rename(2)``: exactly one of them moves the folder. No lock,
no database, so that the data plane can do it.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CHUNK = 1 << 20
MANIFEST = "manifest.json"
STANDING = "standing"

# the identifiers of the Dataspace Protocol are URNs or UUIDs; a file name that begins with a letter or a digit and
# holds no separator can neither leave the folder nor collide with its hidden neighbours
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")


def is_name(transfer_id: str) -> bool:
    """Whether ``transfer_id`` may name a folder."""
    return _NAME.fullmatch(transfer_id) is not None


@dataclass(frozen=True)
class Parcel:
    """A payload in its folder. ``manifest``: sha256, size, chunk_size, chunks (hex each), media_type, filename,
    and ``waybill``, what the receiving gate must know."""

    folder: Path
    manifest: Mapping[str, Any]

    @property
    def payload(self) -> Path:
        return self.folder / str(self.manifest["filename"])


def draft(outgoing: Path, transfer_id: str) -> Path:
    """A new empty folder in which one parcel is put together."""
    folder = outgoing / ".draft" / f"{_checked(transfer_id)}-{secrets.token_hex(8)}"
    folder.mkdir(parents=True, mode=0o700)
    return folder


def seal(folder: Path, filename: str, media_type: str, waybill: Mapping[str, Any]) -> dict[str, Any]:
    """Digest the payload ``folder/filename``, write its manifest, make both durable. Returns the manifest."""
    whole = hashlib.sha256()
    chunks: list[str] = []
    size = 0
    with (folder / filename).open("rb") as payload:
        while chunk := payload.read(CHUNK):
            whole.update(chunk)
            chunks.append(hashlib.sha256(chunk).hexdigest())
            size += len(chunk)
        os.fsync(payload.fileno())
    manifest: dict[str, Any] = {
        "filename": filename,
        "media_type": media_type,
        "size": size,
        "sha256": whole.hexdigest(),
        "chunk_size": CHUNK,
        "chunks": chunks,
        "waybill": dict(waybill),
    }
    with (folder / MANIFEST).open("w", encoding="utf-8") as file:
        json.dump(manifest, file, ensure_ascii=False, sort_keys=True)
        file.flush()
        os.fsync(file.fileno())
    _sync(folder)
    return manifest


def publish(outgoing: Path, transfer_id: str, folder: Path) -> None:
    """Put a sealed draft in its place, instead of a parcel that waits there; whole or not at all.

    Raises FileExistsError if that transfer's payload has left already.
    """
    take_back(outgoing, transfer_id)
    folder.rename(outgoing / _checked(transfer_id))
    _sync(outgoing)
    # looked at last: a claim of the earlier parcel may have come in between
    if has_left(outgoing, transfer_id):
        take_back(outgoing, transfer_id)
        raise FileExistsError(errno.EEXIST, "this transfer has left", transfer_id)


def ready(outgoing: Path, transfer_id: str) -> Parcel | None:
    """The parcel that waits to be fetched, if there is one."""
    return _open(outgoing / _checked(transfer_id))


def claim(outgoing: Path, transfer_id: str) -> Parcel | None:
    """Take the parcel for sending: from now on it has left. None if there is none to take.

    Claiming what has been claimed returns the same parcel again (a range request, a retry).
    """
    left = outgoing / ".left"
    target = left / _checked(transfer_id)
    left.mkdir(exist_ok=True, mode=0o700)
    # a folder cannot be renamed onto one that is not empty, so a parcel leaves once
    with contextlib.suppress(OSError):
        (outgoing / transfer_id).rename(target)
        _sync(outgoing)
        _sync(left)
    return _open(target)


def has_left(outgoing: Path, transfer_id: str) -> bool:
    """Whether :func:`claim` has taken this transfer's parcel."""
    return (outgoing / ".left" / _checked(transfer_id)).is_dir()


def take_back(outgoing: Path, transfer_id: str) -> bool:
    """Withdraw the parcel that waits. True if it did not leave and never will; False if there was none, or it left."""
    grave = outgoing / ".draft" / f"{_checked(transfer_id)}-{secrets.token_hex(8)}"
    grave.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    # who has it open sees it in his memory map: from here on he answers nobody, though he has the files
    with contextlib.suppress(FileNotFoundError), (outgoing / transfer_id / STANDING).open("r+b") as flag:
        flag.write(b"\0")
    try:
        (outgoing / transfer_id).rename(grave)
    except FileNotFoundError:
        return False
    _sync(outgoing)
    shutil.rmtree(grave, ignore_errors=True)
    return True


def discard(outgoing: Path, transfer_id: str) -> None:
    """Delete what has been delivered: the receiver has it, and here it would only be a copy of personal data."""
    take_back(outgoing, transfer_id)
    shutil.rmtree(outgoing / ".left" / _checked(transfer_id), ignore_errors=True)


def sweep(outgoing: Path) -> None:
    """Delete what processes that died left half-made. Only the node's single worker may call this, when it starts."""
    for dead in (outgoing / ".draft").glob("*"):
        shutil.rmtree(dead, ignore_errors=True)


def _open(folder: Path) -> Parcel | None:
    try:
        return Parcel(folder, json.loads((folder / MANIFEST).read_text("utf-8")))
    except (FileNotFoundError, NotADirectoryError):
        return None


def _checked(transfer_id: str) -> str:
    if not is_name(transfer_id):
        raise ValueError(f"no folder can be named {transfer_id!r}")
    return transfer_id


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
