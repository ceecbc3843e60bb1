"""The verbs of the node's log.

Everything that must be provable later is :func:`record`-ed in the transaction in which it happens; the worker
appends it to the log and asks the other nodes to witness it; :func:`receipt` then proves it to anyone.

Whom the node asks and trusts stands in ``trust.toml`` in the node's folder (see :mod:`wantong.ground.log.trust`).
"""

from __future__ import annotations

import json
import os
import threading
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import structlog
from django.db import transaction

from wantong.ground import bulk, canonical, config, keyring
from wantong.ground.config import NodeConfig
from wantong.ground.log import client, keys, merkle
from wantong.ground.log.audit import FETCH_DEADLINE, Website
from wantong.ground.log.checkpoint import open_checkpoint
from wantong.ground.log.mirror import Mirror, missing
from wantong.ground.log.models import LogEntry, time_ordered_id
from wantong.ground.log.note import MAX_NOTE_BYTES, Note
from wantong.ground.log.problems import (
    EntryTooLarge,
    EntryUnknown,
    LogProblem,
    ReceiptPending,
    RolledBack,
    Unproven,
    WitnessFailed,
)
from wantong.ground.log.store import RESTORED, Log
from wantong.ground.log.tiles import MAX_ENTRY
from wantong.ground.log.trust import Keys, Party, Trust
from wantong.ground.log.witness import Accepted, Answer, Witness, origin_hash, refuse
from wantong.ground.outbox.services import publish

logger = structlog.get_logger(__name__)

TRUST_FILE = "trust.toml"
FLUSH = 1000  # rows a flush takes at once
# what is recorded and logged within these pauses goes on together
GATHER = timedelta(milliseconds=30)
GATHER_FOR_WITNESSES = timedelta(milliseconds=200)
# bundles of another log that are copied while it waits for a cosignature, and seconds for each of its files
AT_ONCE, KEEP_DEADLINE = 2, 2.0
COPYING = 2  # seconds after which a log whose entries are copied in the background should ask again


# --- recording --------------------------------------------------------------------------------------------------


def record(kind: str, body: Mapping[str, Any], at: datetime) -> LogEntry:
    """Record that something of ``kind`` happened ``at`` (aware); part of the caller's transaction.

    The entry is ``body`` with ``id``, ``kind`` and ``time`` added, as canonical JSON. It is public and for ever:
    ``body`` holds digests, decisions and identifiers of agreements, never personal data. A digest of a payload goes
    to ``payload.sha256`` (or ``payload.salted_sha256``), where :func:`~wantong.ground.log.verify_receipt` finds it.

    Raises :class:`EntryTooLarge`; TypeError for what canonical JSON cannot hold; ValueError if ``body`` has one of
    the three keys or ``at`` is naive.
    """
    if taken := {"id", "kind", "time"} & body.keys():
        raise ValueError(f"the log itself writes {', '.join(sorted(taken))}")
    if at.tzinfo is None:
        raise ValueError("the time of an entry needs a time zone")
    identifier = time_ordered_id()
    time = at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    entry = canonical.dumps({**body, "id": str(identifier), "kind": kind, "time": time})
    if len(entry) > MAX_ENTRY:
        raise EntryTooLarge(size=len(entry), limit=MAX_ENTRY)
    row = LogEntry.objects.create(
        id=identifier, kind=kind, body=entry.decode(), leaf_hash=merkle.leaf_hash(entry).hex(), recorded_at=at
    )
    publish("log.append", "log.append", {"entry": str(identifier)}, delay=GATHER)
    return row


def adopt(entries: Sequence[bytes]) -> int:
    """Take entries that were made durable elsewhere, each canonical JSON with an ``id`` of its own, ``kind`` and ``time``.

    Part of the caller's transaction; one that is here already is passed over. Returns how many are new. Raises
    :class:`EntryTooLarge`, KeyError, ValueError.
    """
    rows = []
    for entry in entries:
        if len(entry) > MAX_ENTRY:
            raise EntryTooLarge(size=len(entry), limit=MAX_ENTRY)
        body = json.loads(entry)
        at = datetime.fromisoformat(body["time"])
        rows.append((uuid.UUID(body["id"]), body["kind"], entry.decode(), merkle.leaf_hash(entry).hex(), at))
    fields = ("id", "kind", "body", "leaf_hash", "recorded_at")
    new = bulk.insert(LogEntry, fields, rows, ignore_conflicts=True)
    if new:
        publish("log.append", "log.append", {"entry": str(rows[0][0])}, delay=GATHER)
    return new


def flush() -> int:
    """Append everything recorded but not yet logged; returns how many entries that were.

    Raises :class:`~wantong.ground.log.problems.StorageFull` or ``StorageFailed``, and as :func:`confirm`; what was
    recorded stays recorded.
    """
    total = 0
    while rows := list(LogEntry.objects.filter(index=None)[:FLUSH]):
        confirm()
        log = node_log()
        # a crash between these two leaves rows that are appended again, to the same places
        appended = log.append_many([row.body.encode() for row in rows])
        with transaction.atomic():
            for row, at in zip(rows, appended, strict=True):
                row.index = at.index
            LogEntry.objects.bulk_update(rows, ["index"])
            size = max(at.index for at in appended) + 1
            publish("log.witness", "log.witness", {"size": size}, delay=GATHER_FOR_WITNESSES)
        total += len(rows)
    return total


def confirm() -> None:
    """After a restore: append nothing before as many nodes as a receipt needs have said that they know no more of it.

    What they know is fetched from their mirrors first. Two logs of one name that differ would be a lie to everyone;
    waiting is not. Raises :class:`RolledBack` while a witness knows entries that nobody gives back,
    :class:`WitnessFailed` while too few answer.
    """
    marker = config.current().log / RESTORED
    if not marker.exists():
        return
    log, trust = node_log(), node_trust()
    peers = trust.peers(config.current().participant_id)
    for peer in peers:
        recover(peer)
    outcome = client.collect(log, peers, again=True)
    for problem in outcome.failed:
        if problem.params.get("reason") == "ahead":
            raise RolledBack(published=problem.params["size"], stored=log.size)
    if len(outcome.cosigned) < trust.quorum:
        raise next(iter(outcome.failed), WitnessFailed(config.current().participant_id, "unreachable"))
    marker.unlink()


def recover(peer: Party) -> int:
    """Append what ``peer``'s mirror of this log has and the log lacks; returns how many entries that were.

    Only what this log once signed is taken. A peer that has nothing, or nothing that holds, gives nothing.
    """
    log, own = node_log(), identity()
    assert own.log is not None
    source = Website(f"{peer.url}/log/mirrors/{origin_hash(own.id)}", reach=peer.reach)
    try:
        note = Note.parse(source.fetch("checkpoint", MAX_NOTE_BYTES))
        head = open_checkpoint(note, own.log_keys)
        if head.size <= log.size:
            return 0
        entries = [entry for part in missing(source, head, log.tree()) for entry in part]
    except LogProblem as problem:
        logger.warning("log.not_recovered", peer=peer.id, problem=problem.slug, reason=str(problem))
        return 0
    places = log.append_many(entries)
    with transaction.atomic():
        for entry, place in zip(entries, places, strict=True):
            body = json.loads(entry)
            # one that was recorded but not logged when the backup was made gets its place when it is appended again
            LogEntry.objects.get_or_create(
                id=body["id"],
                defaults={
                    "kind": body["kind"],
                    "body": entry.decode(),
                    "leaf_hash": place.leaf_hash.hex(),
                    "index": place.index,
                    "recorded_at": datetime.fromisoformat(body["time"]),
                },
            )
    if entries:
        logger.info("log.recovered", peer=peer.id, entries=len(entries))
    return len(entries)


def receipt(entry_id: uuid.UUID | str) -> bytes | None:
    """The receipt of an entry, or None while it is not logged or not witnessed by enough other nodes.

    Raises :class:`EntryUnknown` if nothing with that id was recorded here.
    """
    row = LogEntry.objects.filter(id=entry_id).first()
    if row is None:
        raise EntryUnknown(index=str(entry_id))
    if row.index is None:
        return None
    try:
        return node_log().receipt(row.index, node_trust())
    except ReceiptPending:
        return None


# --- witnessing -------------------------------------------------------------------------------------------------


def collect_cosignatures() -> client.Round:
    """Ask the other nodes to cosign our newest checkpoint, and publish it with what they signed."""
    log = node_log()
    outcome = client.collect(log, node_trust().peers(config.current().participant_id))
    log.publish()
    return outcome


def witnessed(size: int) -> bool:
    """Whether enough other nodes have seen a checkpoint that covers the first ``size`` entries."""
    return size == 0 or node_log().is_witnessed(size - 1, node_trust())


def add_checkpoint(body: bytes, at: datetime) -> Answer:
    """Answer another log's request to witness its checkpoint; see :class:`~wantong.ground.log.Witness`.

    Its entries are copied first: what this node has cosigned, it can give back. A log that has no address is only
    witnessed.
    """
    own = config.current().participant_id
    logs = {origin: keys for origin, keys in node_trust().log_keys().items() if origin != own}
    return node_witness().add_checkpoint(body, logs, int(at.timestamp()), _keep)


def _keep(accepted: Accepted) -> Answer | None:
    """Copy the entries under a checkpoint that is about to be cosigned; a refusal while they cannot be had."""
    origin, note = accepted.checkpoint.origin, accepted.note
    if mirror(origin_hash(origin)).behind(accepted.checkpoint.size) > AT_ONCE:
        with transaction.atomic():
            publish("log.mirror", f"log.mirror {origin}", {"origin": origin, "note": bytes(note).decode()})
        return replace(refuse(503, "your entries are being copied; ask again"), retry_after=COPYING)
    try:
        follow(origin, note, deadline=KEEP_DEADLINE)
    except Unproven as problem:
        logger.error("log.not_what_it_signed", origin=origin, reason=str(problem))
        return refuse(422, "the entries served are not those of the checkpoint")
    except (LogProblem, BlockingIOError) as problem:
        logger.warning("log.not_copied", origin=origin, reason=str(problem))
        return replace(refuse(503, "your entries could not be copied; ask again"), retry_after=1)
    return None


def follow(origin: str, note: Note, deadline: float = FETCH_DEADLINE) -> int:
    """Copy the entries under ``note``, a verified checkpoint of another log; returns the size of the copy.

    ``deadline``: seconds for each of its files. Raises as :meth:`Mirror.follow`.
    """
    party = node_trust().log(origin)
    if party is None or not party.url:
        return 0
    source = Website(f"{party.url}/log", deadline=deadline, reach=party.reach)
    return mirror(origin_hash(origin)).follow(source, note)


def mirror(origin_hash: str) -> Mirror:
    """This node's copy of another log, by the hex SHA-256 of its origin."""
    return Mirror(config.current().log / "mirrors" / origin_hash)


# --- the node's own log, witness and trust ----------------------------------------------------------------------

_lock = threading.Lock()
_open: dict[tuple[int, type, Path], Any] = {}
_stamps: dict[tuple[int, type, Path], tuple[int, ...]] = {}
_trust: dict[Path, tuple[tuple[int, int], Trust]] = {}


def node_log() -> Log:
    """The log of this node, opened once a process. Raises as :meth:`Log.open`."""
    node = config.current()
    with _lock:
        key = (os.getpid(), Log, node.log)  # a forked child must not touch its parent's connection
        if key not in _open or _stamps[key] != keyring.stamp(node.keys):
            pair, at = _keys(node)
            earlier = [old.verifier for old, _, until in pair.others if until]
            if key in _open:
                _open[key].sign_with(pair.signers, earlier)
            else:
                _open[key] = Log.open(
                    node.log,
                    origin=node.participant_id,
                    signer=pair.log,
                    beside=pair.signers[1:],
                    earlier=earlier,
                )
            _stamps[key] = at
        log: Log = _open[key]
        return log


def node_witness() -> Witness:
    """The witness of this node, opened once a process."""
    node = config.current()
    with _lock:
        key = (os.getpid(), Witness, node.log)
        if key not in _open or _stamps[key] != keyring.stamp(node.keys):
            pair, at = _keys(node)
            if key in _open:
                _open[key].sign_with(pair.witness)
            else:
                _open[key] = Witness(node.log, pair.witness)
            _stamps[key] = at
        witness: Witness = _open[key]
        return witness


def _keys(node: NodeConfig) -> tuple[keys.NodeKeys, tuple[int, ...]]:
    """The keys of the node, and the stamp of the moment before they were read."""
    keys.generate_keys(node.keys, node.participant_id)
    at = keyring.stamp(node.keys)
    return keys.load_keys(node.keys), at


def node_trust() -> Trust:
    """Whom this node trusts, from ``trust.toml``; without that file, nobody but itself (and receipts need no witness).

    Read again when the file changes. Raises :class:`~wantong.ground.log.problems.Malformed`.
    """
    path = config.current().directory / TRUST_FILE
    try:
        stat = path.stat()
    except FileNotFoundError:
        return Trust((identity(),), quorum=0)
    stamp = (stat.st_mtime_ns, stat.st_size)
    with _lock:
        known = _trust.get(path)
        if known is None or known[0] != stamp:
            known = _trust[path] = (stamp, Trust.parse(path.read_bytes()))
        return known[1]


def identity() -> Party:
    """This node as others should have it in their trust files: its names, address and public keys."""
    node = config.current()
    pair = keys.generate_keys(node.keys, node.participant_id)
    return Party(
        node.participant_id,
        dict(node.name),
        node.jurisdiction,
        node.url,
        pair.log.verifier,
        pair.witness.verifier,
        also=tuple(Keys(log.verifier, witness.verifier, until) for log, witness, until in pair.others),
    )
