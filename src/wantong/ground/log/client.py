"""Asking witnesses: submit our checkpoint with a consistency proof, keep the cosignature if it holds.

A witness may stall, lie or answer without end: every call has one deadline for the whole of it, bodies are bounded,
redirects are not followed, and nothing an answer says is believed before it is verified.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import httpx

from wantong.ground.log.checkpoint import Checkpoint
from wantong.ground.log.note import Note, Signature, VerifierKey, decode_size
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


def collect(log: Log, peers: Sequence[Party], *, deadline: float = DEADLINE) -> Round:
    """Ask those ``peers`` that have not cosigned the newest checkpoint yet, side by side; keep what they sign."""
    note = Note.parse(log.checkpoint())
    size = Checkpoint.parse(note.text).size
    missing = [p for p in peers if p.witness and not any(p.witness.made(s) for s in note.signatures)]
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
    witness = peer.witness
    assert witness is not None
    checkpoint = Checkpoint.parse(note.text)
    until = time.monotonic() + deadline
    old = min(log.witness_size(witness), checkpoint.size)
    answer = _post(log, note, checkpoint, peer, old, until)
    if answer.status == 409:
        # our memory of what it has seen is not its own (we lost an answer, or are new to it): once more from there
        old = _size(answer, peer)
        if old > checkpoint.size:
            if old <= log.size:
                return  # a newer checkpoint of ours got there first
            raise WitnessFailed(peer.id, "ahead", size=old)
        answer = _post(log, note, checkpoint, peer, old, until)
    if answer.status != 200:
        raise WitnessFailed(peer.id, "status", status=answer.status)
    log.add_cosignature(note, witness, _cosignature(answer, note, witness, peer))


# --- one round trip ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Answer:
    status: int
    content_type: str
    body: bytes


def _post(log: Log, note: Note, checkpoint: Checkpoint, peer: Party, old: int, until: float) -> _Answer:
    proof = log.consistency_proof(old, checkpoint.size)
    body = bytes(AddCheckpoint(old, tuple(proof), note))
    remaining = until - time.monotonic()
    if remaining <= 0:
        raise WitnessFailed(peer.id, "slow")
    try:
        with (
            httpx.Client(timeout=remaining, follow_redirects=False, trust_env=False) as http,
            http.stream(
                "POST",
                peer.url.rstrip("/") + WITNESS_PATH + "/add-checkpoint",
                content=body,
                headers={"Accept-Encoding": "identity"},
            ) as response,
        ):
            received = b""
            for chunk in response.iter_raw(4096):
                received += chunk
                if len(received) > MAX_ANSWER_BYTES:
                    raise WitnessFailed(peer.id, "too-large")
                if time.monotonic() > until:
                    raise WitnessFailed(peer.id, "slow")
            return _Answer(response.status_code, response.headers.get("Content-Type", ""), received)
    except httpx.TimeoutException:
        raise WitnessFailed(peer.id, "slow") from None
    except (httpx.HTTPError, httpx.InvalidURL):
        raise WitnessFailed(peer.id, "unreachable") from None


def _size(answer: _Answer, peer: Party) -> int:
    text = answer.body.decode("ascii", "replace")
    if answer.content_type.split(";")[0].strip() != SIZE_TYPE or not text.endswith("\n"):
        raise WitnessFailed(peer.id, "answer")
    try:
        return decode_size(text[:-1], "request")
    except Malformed:
        raise WitnessFailed(peer.id, "answer") from None


def _cosignature(answer: _Answer, note: Note, witness: VerifierKey, peer: Party) -> Signature:
    """The line of the answer that is by ``witness``; others are ignored, as the specification asks."""
    try:
        parsed = Note.parse(note.text + b"\n" + answer.body)
    except Malformed:
        raise WitnessFailed(peer.id, "answer") from None
    try:
        verified = parsed.verify((witness,))
    except Unproven:
        raise WitnessFailed(peer.id, "cosignature") from None
    if not verified:
        raise WitnessFailed(peer.id, "cosignature")
    return verified[0].signature
