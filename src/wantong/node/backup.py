"""A node in one file: everything needed to bring it back, and the proof that what comes back is what was there.

The archive is a plain tar: the tables as lines (:mod:`wantong.node.tables`), the log's database, payloads, settings
and keys, and last ``manifest.json`` with the size and SHA-256 of every member, and its own. It holds private keys and personal
data: it is written for its owner only, and is to be kept encrypted.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import io
import json
import os
import re
import shutil
import sqlite3
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any, ClassVar

from django.db import DatabaseError, transaction

import wantong
from wantong.ground import keyring
from wantong.ground.config import NodeConfig
from wantong.ground.drafts import DRAFTS
from wantong.ground.log import audit
from wantong.ground.log.audit import Report
from wantong.ground.log.store import PUBLIC, RESTORED
from wantong.ground.log.words import Statement
from wantong.ground.problems import Problem
from wantong.node import config, setup, tables

FORMAT = 1
MANIFEST, SEAL = "manifest.json", "manifest.sha256"
TABLES = "tables"
DATABASES = ("log/log.db", "log/witness.db")
"""What the log keeps; copied while it is in use."""
KEYS = "keys"
KEPT = (
    KEYS,
    "blobs",
    "declared",
    "incoming",
    "outgoing",
    "open",
    "queries",
    # what people keep in their digital spaces, sealed
    "spaces",
    # files that were made once, of a dataset and consents as they were then: nothing could make them again
    "shared",
    "offshore",
    "node.toml",
    "card.json",
    "trust.toml",
)
"""What is taken from the node's folder as it is; what runs and what is being received is not."""

LARGEST_MANIFEST = 256 << 20
Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""


class NotABackup(Problem):
    """``file`` is no whole archive of a node: ``reason``."""

    slug = "not-a-backup"
    status = 422
    CODES: ClassVar[Mapping[str, str]] = {"reason": "node.not-a-backup"}


class OtherVersion(Problem):
    """The archive was made by ``theirs``, whose tables are not those of ``ours``."""

    slug = "backup-of-other-version"
    status = 409


class LogUnsound(Problem):
    """The audit of the restored log found faults: ``reason`` is the code of what it said last."""

    slug = "restored-log-unsound"
    status = 500

    def __init__(self, found: Statement) -> None:
        self._found = found
        super().__init__(reason=found.code)

    def said(self, lang: str) -> Mapping[str, Any]:
        """The reason is told in the words of the audit."""
        return {"reason": self._found.text(lang)}


@dataclass(frozen=True)
class Member:
    """One file of an archive: bytes, and SHA-256 in hex."""

    size: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """What an archive holds; ``schema`` names the structure of the tables."""

    participant_id: str
    made_at: str
    version: str
    schema: str
    tables: Mapping[str, Mapping[str, Any]]
    files: Mapping[str, Mapping[str, Any]]
    format: int = FORMAT


def backup(directory: Path, target: Path, progress: Progress = lambda *_: None) -> Manifest:
    """Write the node of ``directory``, running or not, to ``target``; a file there is replaced when all is written.

    The tables are of one moment. The log is read after them: it may hold more than they know, as after a crash, and
    never less. Raises BadSettings, DatabaseRefused, OSError.
    """
    node = config.load(directory).node
    setup.enter(directory)
    draft = target.with_name(target.name + ".part")
    try:
        manifest = _write(node, draft, progress)
        draft.replace(target)
    except DatabaseError as error:
        raise tables.DatabaseRefused.because(error) from error
    finally:
        draft.unlink(missing_ok=True)
    return manifest


@dataclass(frozen=True)
class Restored:
    """What came back: the manifest it was held to, and what an audit of the log says."""

    manifest: Manifest
    log: Report


def restore(
    source: Path, directory: Path, *, database: str | None = None, progress: Progress = lambda *_: None
) -> Restored:
    """Bring a node back from the archive ``source`` into ``directory``, which must be new or empty.

    ``database`` (as in ``node.toml``) puts its tables elsewhere than they were; it must be empty. Everything is
    compared with the manifest, and the log is audited. Raises FolderTaken, NotABackup, OtherVersion, RowsRefused,
    CopyDiffers, LogUnsound, DatabaseRefused; the folder is then as it was.
    """
    if directory.exists() and any(directory.iterdir()):
        raise setup.FolderTaken(directory=str(directory))
    directory.mkdir(parents=True, exist_ok=True)
    try:
        manifest = _unpacked(source, directory, progress)
        if manifest.schema != setup.schema():
            raise OtherVersion(theirs=manifest.version, ours=wantong.__version__)
        if database is not None:
            setup.change_database(directory, database)
        for folder in ("run", "log", *(kept for kept in KEPT if "." not in kept)):
            (directory / folder).mkdir(mode=0o700, exist_ok=True)
        setup.enter(directory)
        setup.prepare(directory)
        _fill(directory / TABLES, manifest, progress)
        shutil.rmtree(directory / TABLES)
        (directory / "log" / RESTORED).touch()
        # what its peers know better: asked when it runs
        from wantong.border.exchange import reconciling, renewing

        reconciling.begin(dt.datetime.fromisoformat(manifest.made_at))
        renewing.go_on()
        return Restored(manifest, _audit(progress))
    except BaseException as error:
        for entry in directory.iterdir():
            shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
        if isinstance(error, DatabaseError):
            raise tables.DatabaseRefused.because(error) from error
        raise


# ------------------------------------------------------------------------------------------------- writing


def _write(node: NodeConfig, draft: Path, progress: Progress) -> Manifest:
    files: dict[str, Member] = {}
    with (
        # tables are read first: what they hold sealed must open with the keys that are read after them
        keyring.kept(node.keys),
        tempfile.TemporaryDirectory(dir=node.run) as scratch,
        os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file,
        tarfile.open(fileobj=file, mode="w|", format=tarfile.PAX_FORMAT) as archive,
    ):
        spool = Path(scratch) / "spool"
        summaries = {}
        for label, summary in _dumped(spool, progress):
            summaries[label] = asdict(summary)
            files[f"{TABLES}/{label}"] = _add(archive, f"{TABLES}/{label}", spool)
        for name in DATABASES:
            if (node.directory / name).exists():
                _copy_database(node.directory / name, spool)
                files[name] = _add(archive, name, spool)
        # of one moment too: keys that are being changed move from folder to folder
        with keyring.alone(node.keys):
            # a hidden one is half written, perhaps by a process that was killed
            for path in (path for path in _files(node.keys) if not path.name.startswith(".")):
                name = path.relative_to(node.directory).as_posix()
                files[name] = _add(archive, name, path)
        paths = [path for kept in KEPT if kept != KEYS for path in _files(node.directory / kept)]
        for done, path in enumerate(paths, 1):
            name = path.relative_to(node.directory).as_posix()
            # what was erased or fetched meanwhile is gone, and rightly so
            with contextlib.suppress(FileNotFoundError):
                files[name] = _add(archive, name, path)
            progress("files", done, len(paths))
        manifest = Manifest(
            participant_id=node.participant_id,
            made_at=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
            version=wantong.__version__,
            schema=setup.schema(),
            tables=summaries,
            files={name: asdict(member) for name, member in files.items()},
        )
        content = json.dumps(asdict(manifest), indent=1).encode()
        for name, document in ((MANIFEST, content), (SEAL, hashlib.sha256(content).hexdigest().encode())):
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(document), 0o600
            archive.addfile(member, io.BytesIO(document))
    with draft.open("rb") as written:
        os.fsync(written.fileno())
    return manifest


def _dumped(spool: Path, progress: Progress) -> Iterator[tuple[str, tables.Summary]]:
    """Each table in turn, as lines in the file ``spool``; all of one moment."""
    every = tables.models()
    with tables.snapshot():
        for done, (label, model) in enumerate(every.items(), 1):
            counter = tables.Counter()
            with spool.open("wb") as file:
                for line in tables.dump(model):
                    counter.add(line)
                    file.write(line)
            yield label, counter.summary
            progress("tables", done, len(every))


def _copy_database(source: Path, target: Path) -> None:
    target.unlink(missing_ok=True)
    with (
        contextlib.closing(sqlite3.connect(source)) as old,
        contextlib.closing(sqlite3.connect(target)) as new,
    ):
        old.backup(new)
        new.execute("PRAGMA journal_mode=DELETE")


def _files(path: Path) -> list[Path]:
    found = sorted(path.rglob("*")) if path.is_dir() else [path]
    # what is being made when the backup is made is nobody's yet
    return [file for file in found if file.is_file() and not file.is_symlink() and DRAFTS not in file.parts]


def _add(archive: tarfile.TarFile, name: str, path: Path) -> Member:
    with path.open("rb") as file:
        member = tarfile.TarInfo(name)
        member.size, member.mode = os.fstat(file.fileno()).st_size, 0o600
        reader = _Hashed(file)
        archive.addfile(member, reader)
    return Member(member.size, reader.hash.hexdigest())


class _Hashed:
    """A file that is hashed while it is read."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.hash = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        piece = self._file.read(size)
        self.hash.update(piece)
        return piece


# ------------------------------------------------------------------------------------------------- reading

# nothing hidden but the parcels that have begun to leave
_NAME = re.compile(r"(?:outgoing/\.left/)?(?!\.)(?!.*/\.)[A-Za-z0-9._:/-]+")


def _unpacked(source: Path, directory: Path, progress: Progress) -> Manifest:
    """The members of an archive as files, each held to the manifest. Raises NotABackup."""
    found: dict[str, Member] = {}
    papers: dict[str, bytes] = {}
    try:
        size = source.stat().st_size
        with source.open("rb") as file, tarfile.open(fileobj=file, mode="r|") as archive:
            for member in archive:
                if not member.isfile() or not _NAME.fullmatch(member.name) or member.name in found | papers:
                    raise NotABackup(file=str(source), reason="no-place", member=member.name[:80])
                reader = _Hashed(archive.extractfile(member))  # type: ignore[arg-type]
                if member.name in (MANIFEST, SEAL):
                    if member.size > LARGEST_MANIFEST:
                        raise NotABackup(
                            file=f"{source}: {member.name}", reason="too-large", most=LARGEST_MANIFEST
                        )
                    papers[member.name] = reader.read()
                    continue
                if not _belongs(member.name):
                    raise NotABackup(file=str(source), reason="no-place", member=member.name[:80])
                path = directory / member.name
                # one by one: Path.mkdir gives the mode only to the last
                for folder in reversed(PurePosixPath(member.name).parents[:-1]):
                    (directory / folder).mkdir(exist_ok=True, mode=0o700)
                with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as target:
                    shutil.copyfileobj(reader, target)
                found[member.name] = Member(member.size, reader.hash.hexdigest())
                progress("unpacking", file.tell(), size)
    except (tarfile.TarError, EOFError) as error:
        told = f"{type(error).__name__}: {error}"[:200]
        raise NotABackup(file=str(source), reason="unreadable", told=told) from None
    if papers.keys() != {MANIFEST, SEAL}:
        raise NotABackup(file=str(source), reason="cut-short")
    if hashlib.sha256(papers[MANIFEST]).hexdigest().encode() != papers[SEAL]:
        raise NotABackup(file=str(source), reason="damaged", member=MANIFEST)
    try:
        manifest = Manifest(**json.loads(papers[MANIFEST]))
        given = {name: Member(**member) for name, member in manifest.files.items()}
    except (ValueError, TypeError, AttributeError, RecursionError):
        raise NotABackup(file=str(source), reason="damaged", member=MANIFEST) from None
    if manifest.format != FORMAT:
        raise NotABackup(file=str(source), reason="format", format=manifest.format)
    if wrong := sorted(name for name in given.keys() | found.keys() if given.get(name) != found.get(name)):
        raise NotABackup(file=str(source), reason="differs", member=wrong[0], manifest=MANIFEST)
    return manifest


def _belongs(name: str) -> bool:
    return name in DATABASES or PurePosixPath(name).parts[0] in (TABLES, *KEPT)


def _fill(folder: Path, manifest: Manifest, progress: Progress) -> None:
    """Load the tables and hold them to the manifest."""
    every = tables.models()
    if set(every) != set(manifest.tables):
        raise NotABackup(file=MANIFEST, reason="tables")
    with transaction.atomic():
        tables.empty()
        for done, (label, model) in enumerate(every.items(), 1):
            with (folder / label).open("rb") as lines:
                tables.load(model, lines)
            progress("tables", done, len(every))
        tables.continue_numbering()
        for done, (label, summary) in enumerate(tables.summaries(), 1):
            if asdict(summary) != dict(manifest.tables[label]):
                raise tables.CopyDiffers(table=label)
            progress("compared", done, len(every))


def _audit(progress: Progress) -> Report:
    """The restored log read as a stranger would. Raises LogUnsound if it is not sound."""
    from wantong.ground.log import services

    log = services.node_log()
    log.publish()
    report = audit.audit(audit.Folder(log.directory / PUBLIC), services.node_trust())
    if not report.sound:
        raise LogUnsound(report.statements[-1])
    progress("log", report.entries, report.entries)
    return report
