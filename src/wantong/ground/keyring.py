"""Two sets of keys at once, while a node changes its keys: which one signs now, and what survives a kill at any moment.

::

    keys/log.key …                                   no change under way
    keys/log.key …  keys/next/log.key …              announced: the old keys sign, the next are known to who asked
    keys/log.key …  keys/next/log.key …              switched: the next keys sign
    keys/log.key …  keys/retired/<when>/log.key …    done: the next have become the keys, the old are kept

The stage stands in ``keys/rotation.json``, which is replaced whole; what moves between two stages is moved file by file
and may be moved again. A reader finds the right key whatever has been moved when somebody was killed.

A key whose signatures end by themselves (tokens, sessions) proves nothing later: its old one is not kept but removed
by :func:`forget` when the last of them has ended, whichever stage the others have come to. Until then it counts.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from wantong.ground.problems import Problem

STAGE = "rotation.json"
NEXT = "next"
RETIRED = "retired"
UNTIL = "until"
KEPT = ".kept"
Stage = Literal["announced", "switched"]


class RotationUnderWay(Problem):
    """The keys are being changed already."""

    slug = "rotation-under-way"
    status = 409


class NoRotation(Problem):
    """The keys are not being changed, or not at this stage."""

    slug = "no-rotation"
    status = 409


@dataclass(frozen=True)
class Rotation:
    """A change of keys under way: since when, how far, and which nodes have acknowledged the next keys."""

    begun: str
    stage: Stage = "announced"
    acknowledged: tuple[str, ...] = ()


@dataclass(frozen=True)
class Old:
    """A key that signed until a moment (UTC)."""

    file: Path
    until: datetime


def read(folder: Path) -> Rotation | None:
    """The change under way in the key folder, if there is one."""
    try:
        told = json.loads((folder / STAGE).read_text())
    except FileNotFoundError:
        return None
    return Rotation(told["begun"], told["stage"], tuple(told["acknowledged"]))


def begin(folder: Path, make: Callable[[Path], None], now: datetime) -> Rotation:
    """Make the next keys (``make`` is given a folder to put them in). Raises :class:`RotationUnderWay`."""
    with alone(folder):
        if read(folder) is not None:
            raise RotationUnderWay
        # of a beginning that was killed: nobody has seen these
        shutil.rmtree(folder / NEXT, ignore_errors=True)
        (folder / NEXT).mkdir(mode=0o700)
        make(folder / NEXT)
        _sync(folder / NEXT)
        rotation = Rotation(now.astimezone(UTC).strftime("%Y%m%dT%H%M%S.%fZ"))
        _write(folder, rotation)
        return rotation


def acknowledge(folder: Path, who: str) -> Rotation:
    """Note that a node knows the next keys. Raises :class:`NoRotation`."""
    with alone(folder):
        rotation = _under_way(folder)
        if who not in rotation.acknowledged:
            rotation = replace(rotation, acknowledged=(*rotation.acknowledged, who))
            _write(folder, rotation)
        return rotation


def switch(folder: Path) -> Rotation:
    """From now on the next keys sign; once more does nothing. Raises :class:`NoRotation`."""
    with alone(folder):
        rotation = replace(_under_way(folder), stage="switched")
        _write(folder, rotation)
        return rotation


def finish(folder: Path, now: datetime) -> None:
    """The next keys become the keys and the old ones are kept apart; once more does nothing. Raises :class:`NoRotation`."""
    with alone(folder):
        rotation = _under_way(folder)
        if rotation.stage != "switched":
            raise NoRotation
        kept = folder / RETIRED / rotation.begun
        for place in (kept.parent, kept):
            place.mkdir(exist_ok=True, mode=0o700)
        if not (kept / UNTIL).exists():
            overwrite(kept / UNTIL, now.astimezone(UTC).isoformat(timespec="seconds"))
        for following in sorted((folder / NEXT).glob("*.key")):
            with contextlib.suppress(
                FileExistsError, FileNotFoundError
            ):  # a kind of key that is new has no old one
                os.link(folder / following.name, kept / following.name)
            _sync(kept)
            following.replace(folder / following.name)
            _sync(folder)
        (folder / STAGE).unlink()
        shutil.rmtree(folder / NEXT, ignore_errors=True)
        _sync(folder)


def forget(folder: Path, name: str, begun: str) -> None:
    """Remove the old key ``name`` of the change that began at ``begun``, for good; once more does nothing.

    Raises :class:`NoRotation` while it is the one that signs.
    """
    with alone(folder):
        rotation = read(folder)
        if rotation is not None and rotation.begun == begun:
            if rotation.stage != "switched":
                raise NoRotation
            with contextlib.suppress(FileNotFoundError):
                (folder / NEXT / name).replace(folder / name)
        kept = folder / RETIRED / begun
        with contextlib.suppress(FileNotFoundError):
            (kept / name).unlink()
            _sync(kept)
        # what happens below the folder does not show in its stamp
        os.utime(folder)
        _sync(folder)


def abandon(folder: Path) -> None:
    """Let go of next keys that nobody has signed with. Raises :class:`NoRotation` if there are none."""
    with alone(folder):
        if _under_way(folder).stage != "announced":
            raise NoRotation
        (folder / STAGE).unlink()
        shutil.rmtree(folder / NEXT, ignore_errors=True)
        _sync(folder)


def active(folder: Path, name: str) -> Path:
    """The file of the key that signs now."""
    rotation = read(folder)
    following = folder / NEXT / name
    return following if rotation and rotation.stage == "switched" and following.exists() else folder / name


def beside(folder: Path, name: str) -> tuple[Path, ...]:
    """The other key that still, or already, speaks for this node; none if no change is under way."""
    rotation = read(folder)
    if rotation is None:
        return ()
    if rotation.stage == "announced":
        found = folder / NEXT / name
    else:
        moved = folder / RETIRED / rotation.begun / name
        found = folder / name if (folder / NEXT / name).exists() else moved
    return (found,) if found.exists() else ()


def retired(folder: Path, name: str) -> tuple[Old, ...]:
    """The keys that have signed before, the oldest first."""
    rotation = read(folder)
    kept = sorted((folder / RETIRED).glob(f"*/{name}"))
    return tuple(
        Old(file, datetime.fromisoformat((file.parent / UNTIL).read_text()))
        for file in kept
        if rotation is None or file.parent.name != rotation.begun
    )


def texts(folder: Path, name: str) -> tuple[str, ...]:
    """What the keys ``name`` say that lie in the folder: first the one that signs now, then all others.

    Raises FileNotFoundError if there is none.
    """
    for tries in reversed(range(10)):
        files = (active(folder, name), *beside(folder, name), *(old.file for old in retired(folder, name)))
        try:
            return tuple(file.read_text() for file in files)
        except FileNotFoundError:  # moved meanwhile
            if not tries:
                raise
    raise AssertionError


def line(folder: Path, name: str) -> tuple[str, ...]:
    """What the keys ``name`` say in the order in which they came to count, the one that counts now last.

    For what is made with all of them together. Raises FileNotFoundError if there is none.
    """
    with alone(folder):
        rotation = read(folder)
        files = [old.file for old in retired(folder, name)]
        if rotation is not None and rotation.stage == "switched":
            files += beside(folder, name)
        return tuple(file.read_text() for file in (*files, active(folder, name)))


def write_once(path: Path, text: str) -> None:
    """Store a secret that only this user can read, unless there is one already. Durable when it returns."""
    if path.exists():
        return
    # written aside and linked: nobody ever reads half a key, and of two processes the first wins
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    try:
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink()


def stamp(folder: Path) -> tuple[int, ...]:
    """Changes whenever another key may have become the one that signs. Raises FileNotFoundError."""
    stamps = [folder.stat().st_mtime_ns]
    with contextlib.suppress(FileNotFoundError):
        found = (folder / STAGE).stat()
        stamps += (found.st_mtime_ns, found.st_ino)
    return tuple(stamps)


class InUse(Exception):
    """Keys are being copied somewhere with what they open: none may be removed now."""


@contextlib.contextmanager
def kept(folder: Path) -> Iterator[None]:
    """No key that something sealed may still need is removed meanwhile (:func:`removing`)."""
    with _marked(folder, fcntl.LOCK_SH):
        yield


@contextlib.contextmanager
def removing(folder: Path) -> Iterator[None]:
    """Nobody copies the keys meanwhile. Raises :class:`InUse` at once if somebody does."""
    try:
        with _marked(folder, fcntl.LOCK_EX | fcntl.LOCK_NB):
            yield
    except BlockingIOError:
        raise InUse from None


@contextlib.contextmanager
def _marked(folder: Path, lock: int) -> Iterator[None]:
    descriptor = os.open(folder / KEPT, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, lock)
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Nothing is moved by anybody else meanwhile."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _under_way(folder: Path) -> Rotation:
    rotation = read(folder)
    if rotation is None:
        raise NoRotation
    return rotation


def _write(folder: Path, rotation: Rotation) -> None:
    overwrite(folder / STAGE, json.dumps(asdict(rotation)))


def overwrite(path: Path, text: str) -> None:
    """Replace a secret whole, or store the first; only this user can read it. Durable when it returns."""
    draft = path.with_name(f".{path.name}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    _sync(path.parent)


def _sync(folder: Path) -> None:
    """Make what was renamed in ``folder`` survive a loss of power."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
