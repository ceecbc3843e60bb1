"""Half-made files: in a folder that is gone when its maker is done, and that somebody else removes when he was killed.

::

    <root>/.draft/<random>/    locked (flock) as long as its maker lives

Drafts lie beside what they will become, so that a rename puts them there whole. The kernel drops the lock of a process
that ends, however it ends, and :func:`sweep` removes what nobody holds: no pid is compared, no clock read, and what
another process is making stays.
"""

from __future__ import annotations

import atexit
import fcntl
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

DRAFTS = ".draft"


@contextmanager
def draft(root: Path) -> Iterator[Path]:
    """A new empty folder on the file system of ``root``, for as long as the context lasts; only this user can read it."""
    parent = root / DRAFTS
    parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder = parent / secrets.token_hex(8)
    with _locked(parent):  # nobody sweeps between its making and its lock
        folder.mkdir(mode=0o700)
        held = _open(folder)
        fcntl.flock(held, fcntl.LOCK_EX)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(held)


def sweep(root: Path) -> int:
    """Remove the drafts under ``root`` of processes that are dead; returns how many there were."""
    parent, removed = root / DRAFTS, 0
    if not parent.is_dir():
        return 0
    with _locked(parent):
        for folder in parent.iterdir():
            with suppress(OSError):
                held = _open(folder)
                try:
                    fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)  # BlockingIOError: its maker lives
                    shutil.rmtree(folder, ignore_errors=True)
                    removed += 1
                finally:
                    os.close(held)
    return removed


def settle_in(root: Path) -> None:
    """Give this process a temporary folder under ``root``: whatever it lays down in passing is removed with it.

    For the start of a long-running process: what ``tempfile`` makes from now on lies there.
    """
    sweep(root)
    tempfile.tempdir = str(_whole_life.enter_context(draft(root)))


_whole_life = ExitStack()
atexit.register(_whole_life.close)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    descriptor = _open(folder)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _open(folder: Path) -> int:
    return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
