"""Asking witnesses: submit our checkpoint with a consistency proof, keep the cosignature if it holds.

A witness may stall, lie or answer without end: :mod:`~wantong.ground.http.fetch` bounds every exchange, and nothing
that an answer says is believed before it is verified.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime

from wantong.ground.http.fetch import FetchFailed, Reply, shared
from wantong.ground.http.limits import seconds_to_wait
from wantong.ground.log.checkpoint import Checkpoint
from wantong.ground.log.note import Note, Verified, VerifierKey, decode_size
from wantong.ground.log.problems import LogProblem, Malformed, Unproven, WitnessFailed
from wantong.ground.log.store import Log
from wantong.ground.log.trust import Party
from wantong.ground.log.witness import SIZE_TYPE, AddCheckpoint

MAX_ANSWER_BYTES = 64 * 1024
DEADLINE = 5.0  # seconds, for one witness and all its round trips
WITNESS_PATH = "/log/witness"


@dataclass(frozen=True)
class Round:
    """What came of asking some witnesses about the checkpoint of ``size``: who cosigned, and who failed and why."""

    size: int
    cosigned: tuple[Party, ...]
    failed: tuple[LogProblem, ...]


def collect(log: Log, peers: Sequence[Party], *, deadline: float = DEADLINE, again: bool = False) -> Round:
    """Ask those ``peers`` that have not cosigned the newest checkpoint yet, side by side; keep what they sign.

    ``again`` asks all of them: what they know of the log may be more than it has itself.
    """
    note = Note.parse(log.checkpoint())
    size = Checkpoint.parse(note.text).size
    missing = [
        p
        for p in peers
        if p.witness and (again or not any(k.made(s) for k in p.living.witness_keys for s in note.signatures))
    ]
    cosigned: list[Party] = []
    failed: list[LogProblem] = []

    def ask(peer: Party) -> None:
        try:
            submit(log, note, peer, deadline=deadline)
            cosigned.append(peer)
        except LogProblem as problem:
            failed.append(problem)

    if missing:
        with ThreadPoolExecutor(len(missing)) as pool:
            list(pool.map(ask, missing))
    return Round(size, tuple(cosigned), tuple(failed))


def submit(log: Log, note: Note, peer: Party, *, deadline: float = DEADLINE) -> None:
    """Have one witness cosign ``note`` and keep the cosignature in the log. Raises :class:`WitnessFailed`."""
    witnesses = peer.living.witness_keys
    checkpoint = Checkpoint.parse(note.text)
    until = time.monotonic() + deadline
    old = min(max(map(log.witness_size, peer.witness_keys), default=0), checkpoint.size)
    answer = _post(log, note, checkpoint, peer, old, until)
    if answer.status == 409:
        # our memory of what it has seen is not its own (we lost an answer, or are new to it): once more from there
        old = _size(answer, peer)
        if old > checkpoint.size:
            if old <= log.size:
                return  # a newer checkpoint of ours got there first
            raise WitnessFailed(peer.id, "ahead", size=old)
        answer = _post(log, note, checkpoint, peer, old, until)
    if answer.status in (429, 503):
        after = seconds_to_wait(answer.headers.get("retry-after"), datetime.now(UTC))
        raise WitnessFailed(peer.id, "status", status=answer.status, retry_after=after)
    if answer.status != 200:
        raise WitnessFailed(peer.id, "status", status=answer.status)
    verified = _cosignature(answer, note, witnesses, peer)
    log.add_cosignature(note, verified.key, verified.signature)


# --- one round trip ---------------------------------------------------------------------------------------------


def _post(log: Log, note: Note, checkpoint: Checkpoint, peer: Party, old: int, until: float) -> Reply:
    body = bytes(AddCheckpoint(old, tuple(log.consistency_proof(old, checkpoint.size)), note))
    url = peer.url.rstrip("/") + WITNESS_PATH + "/add-checkpoint"
    try:
        http = shared(peer.reach)
        return http.post(url, body, limit=MAX_ANSWER_BYTES, deadline=until - time.monotonic())
    except FetchFailed as failure:
        raise WitnessFailed(peer.id, failure.reason) from None


def _size(answer: Reply, peer: Party) -> int:
    text = answer.body.decode("ascii", "replace")
    if answer.headers.get("content-type", "").split(";")[0].strip() != SIZE_TYPE or not text.endswith("\n"):
        raise WitnessFailed(peer.id, "answer")
    try:
        return decode_size(text[:-1], "request")
    except Malformed:
        raise WitnessFailed(peer.id, "answer") from None


def _cosignature(answer: Reply, note: Note, witnesses: Sequence[VerifierKey], peer: Party) -> Verified:
    """The line of the answer that is by one of ``witnesses``; others are ignored, as the specification asks."""
    try:
        parsed = Note.parse(note.text + b"\n" + answer.body)
    except Malformed:
        raise WitnessFailed(peer.id, "answer") from None
    try:
        verified = parsed.verify(witnesses)
    except Unproven:
        raise WitnessFailed(peer.id, "cosignature") from None
    if not verified:
        raise WitnessFailed(peer.id, "cosignature")
    return verified[0]
