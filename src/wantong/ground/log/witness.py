"""C2SP tlog-witness: the rules by which a witness cosigns a log's checkpoint, and the witness that keeps them.

Source: https://c2sp.org/tlog-witness. :func:`judge` is the whole decision, pure; :class:`Witness` makes it atomic
and durable: what it has cosigned is on disk before the answer leaves, so a log can never be rolled back or forked
past it, whatever crashes.
"""

from __future__ import annotations

import sqlite3
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from threading import Lock

from wantong.ground.log.checkpoint import Checkpoint, open_checkpoint
from wantong.ground.log.merkle import EMPTY_ROOT, verify_consistency
from wantong.ground.log.note import (
    COSIGNATURE,
    MAX_NOTE_BYTES,
    Note,
    SigningKey,
    VerifierKey,
    decode_hash,
    decode_size,
)
from wantong.ground.log.problems import Malformed, StorageFailed, Unproven

MAX_REQUEST_BYTES = MAX_NOTE_BYTES
MAX_PROOF_LINES = 63
SIZE_TYPE = "text/x.tlog.size"
TEXT_TYPE = "text/plain; charset=utf-8"


# --- messages ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AddCheckpoint:
    """The request: a checkpoint, and a proof that it grew out of the ``old`` size."""

    old: int
    proof: tuple[bytes, ...]
    note: Note

    def __bytes__(self) -> bytes:
        lines = [f"old {self.old}", *(b64encode(h).decode() for h in self.proof)]
        return "".join(f"{line}\n" for line in lines).encode() + b"\n" + bytes(self.note)

    @classmethod
    def parse(cls, body: bytes) -> AddCheckpoint:
        """Read a request body. Raises :class:`Malformed`."""
        if len(body) > MAX_REQUEST_BYTES:
            raise Malformed("request", "too-large")
        head, blank, note = body.partition(b"\n\n")
        if not blank:
            raise Malformed("request", "truncated")
        try:
            first, *proof = head.decode("ascii").split("\n")
        except UnicodeDecodeError:
            raise Malformed("request", "ascii") from None
        if not first.startswith("old "):
            raise Malformed("request", "old-size")
        if len(proof) > MAX_PROOF_LINES:
            raise Malformed("request", "too-many-hashes")
        old = decode_size(first[len("old ") :], "request")
        return cls(old, tuple(decode_hash(line, "request") for line in proof), Note.parse(note))


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer: 200 with cosignature lines, 409 with the size, or a refusal with one line of reason.

    ``retry_after``: seconds after which to ask again, if the refusal is only for now.
    """

    status: int
    body: bytes
    content_type: str = TEXT_TYPE
    retry_after: int | None = None


# --- the rules --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Accepted:
    """A checkpoint that may be cosigned, as a note with only the signatures of the log that were verified."""

    checkpoint: Checkpoint
    note: Note


Keep = Callable[[Accepted], Answer | None]
"""Called with what may be cosigned: None, or the answer to give instead."""

LogKeys = Mapping[str, tuple[VerifierKey, ...]]
"""The logs a witness knows: origin → the keys it trusts for that origin."""


def judge(
    request: AddCheckpoint, logs: LogKeys, latest: Callable[[str], Checkpoint | None]
) -> Accepted | Answer:
    """Decide on one request, in the order and with the status codes of the specification.

    ``latest`` tells the checkpoint last cosigned for an origin; it must be asked and the result stored in one
    transaction. Never raises.
    """
    try:
        new = Checkpoint.parse(request.note.text)
    except Malformed:
        return refuse(400, "malformed checkpoint")
    keys = logs.get(new.origin)
    if keys is None:
        return refuse(404, "unknown log origin")
    try:
        open_checkpoint(request.note, keys)
    except Unproven:
        return refuse(403, "no valid signature by a key trusted for this origin")
    if request.old > new.size:
        return refuse(400, "old size is larger than the checkpoint")
    known = latest(new.origin) or Checkpoint(new.origin, 0, EMPTY_ROOT)
    if request.old != known.size:
        return Answer(409, b"%d\n" % known.size, SIZE_TYPE)
    if new.size == 0 and new.root != EMPTY_ROOT:
        return refuse(422, "the empty tree has another root")
    try:
        # also refuses a proof where none belongs, and two roots for one size
        verify_consistency(request.old, new.size, request.proof, known.root, new.root)
    except Unproven:
        return refuse(422, "the checkpoint is not consistent with the one cosigned before")
    signatures = tuple(s for s in request.note.signatures if any(key.made(s) for key in keys))
    return Accepted(new, Note(request.note.text, signatures))


def refuse(status: int, reason: str) -> Answer:
    """A refusal in the form of the specification."""
    return Answer(status, reason.encode() + b"\n")


# --- the witness ------------------------------------------------------------------------------------------------

_SCHEMA = """
CREATE TABLE IF NOT EXISTS cosigned (
    origin TEXT PRIMARY KEY,
    origin_hash TEXT NOT NULL UNIQUE,
    note BLOB NOT NULL
) STRICT
"""


class Witness:
    """Cosigns the checkpoints of other logs; safe with any number of threads and processes over one folder."""

    def __init__(self, directory: Path, signer: SigningKey) -> None:
        """Opens or creates ``witness.db`` in ``directory``. ``signer`` is a cosigning key."""
        if signer.algorithm != COSIGNATURE:
            raise ValueError("a witness signs with a cosignature key")
        directory.mkdir(parents=True, exist_ok=True)
        self._signer = signer
        self._lock = Lock()
        try:
            self._db = sqlite3.connect(
                directory / "witness.db", isolation_level=None, timeout=30, check_same_thread=False
            )
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.execute(_SCHEMA)
        except sqlite3.Error as error:
            raise StorageFailed(reason=str(error)) from error

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def sign_with(self, signer: SigningKey) -> None:
        """From now on it cosigns with this key."""
        with self._lock:
            self._signer = signer

    def add_checkpoint(self, body: bytes, logs: LogKeys, time: int, keep: Keep | None = None) -> Answer:
        """Answer one ``add-checkpoint`` call. ``time`` is now, in POSIX seconds.

        ``keep`` is called with what may be cosigned, before it is; an answer of its own is given instead. Raises
        :class:`StorageFailed` if the decision cannot be stored; then nothing was cosigned.
        """
        try:
            request = AddCheckpoint.parse(body)
        except Malformed:
            return refuse(400, "malformed request")
        if keep is not None:
            # outside the transaction, for it may take a while: another checkpoint may be cosigned meanwhile
            with self._lock:
                verdict = judge(request, logs, self._latest)
            refusal = verdict if isinstance(verdict, Answer) else keep(verdict)
            if refusal is not None:
                return refusal
        with self._transaction():
            verdict = judge(request, logs, self._latest)
            if isinstance(verdict, Answer):
                return verdict
            cosignature = self._signer.sign(verdict.note.text, time)
            origin = verdict.checkpoint.origin
            self._db.execute(
                "INSERT OR REPLACE INTO cosigned VALUES (?, ?, ?)",
                (origin, origin_hash(origin), bytes(verdict.note.with_signatures([cosignature]))),
            )
        return Answer(200, str(cosignature).encode())

    def checkpoint(self, origin_hash: str) -> bytes | None:
        """The newest checkpoint cosigned for a log, with both signatures, by the hex SHA-256 of its origin."""
        with self._lock:
            row = self._db.execute(
                "SELECT note FROM cosigned WHERE origin_hash = ?", (origin_hash,)
            ).fetchone()
        return row[0] if row else None

    def _latest(self, origin: str) -> Checkpoint | None:
        row = self._db.execute("SELECT note FROM cosigned WHERE origin = ?", (origin,)).fetchone()
        return Checkpoint.parse(Note.parse(row[0]).text) if row else None

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._lock:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                yield
                self._db.execute("COMMIT")
            except sqlite3.Error as error:
                raise StorageFailed(reason=str(error)) from error
            finally:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")


def origin_hash(origin: str) -> str:
    """The name of a log in addresses: the hex SHA-256 of its origin."""
    return sha256(origin.encode()).hexdigest()
