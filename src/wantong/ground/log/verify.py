"""Does this receipt prove what it claims? Offline, with nothing but the keys a verifier trusts.

:func:`verify_receipt` makes the whole decision, step by step as https://c2sp.org/tlog-proof prescribes, and says
in a :class:`Verdict` what is proven, by whom, and since when, or exactly why not. No Django, no network, no clock.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from hmac import compare_digest
from pathlib import Path
from typing import Any

from wantong.ground.log.checkpoint import open_checkpoint
from wantong.ground.log.merkle import leaf_hash, verify_inclusion
from wantong.ground.log.note import Note, Verified
from wantong.ground.log.problems import LogProblem, Malformed, Unproven
from wantong.ground.log.proof import Proof
from wantong.ground.log.trust import Party, Trust
from wantong.ground.log.words import BAY, Sighting, Statement, sightings_of

MIN_SALT = 16

_HEX_DIGEST = re.compile(r"(?:sha256:)?([0-9a-f]{64})", re.ASCII)


@dataclass(frozen=True)
class Verdict:
    """What a receipt proves.

    ``proven`` is the answer; ``statements`` say why, in order. ``entry`` is the logged entry as JSON when it is
    JSON, ``index`` its place, ``log`` who logged it, ``sightings`` which foreign witnesses saw it. ``file`` is
    True or False when a file was compared, else None. All of it is meaningful only as far as ``statements`` hold.
    """

    proven: bool
    statements: tuple[Statement, ...]
    log: Party | None = None
    index: int | None = None
    size: int | None = None
    entry: Mapping[str, Any] | None = None
    sightings: tuple[Sighting, ...] = ()
    file: bool | None = None

    def explain(self, lang: str) -> list[str]:
        """The statements as sentences."""
        return [statement.text(lang) for statement in self.statements]

    def to_dict(self, lang: str = "en") -> dict[str, Any]:
        """For programs; ``code`` and the keys are stable, ``text`` is in ``lang``."""
        return {
            "proven": self.proven,
            "statements": [s.to_dict(lang) for s in self.statements],
            "log": self.log.id if self.log else None,
            "index": self.index,
            "size": self.size,
            "entry": self.entry,
            "witnesses": [{"id": s.witness.id, "time": s.time} for s in self.sightings],
            "file": self.file,
        }


def verify_receipt(
    receipt: bytes, trust: Trust, file: Path | None = None, *, salt: bytes | None = None
) -> Verdict:
    """Verify a receipt, and that it speaks of ``file`` if one is given.

    ``salt`` is needed when the entry holds only a salted digest. A bad receipt is a verdict, not an error; raises
    OSError only if ``file`` cannot be read.
    """
    said: list[Statement] = []
    found: dict[str, Any] = {}
    try:
        # 1. The receipt is a proof, and carries the entry it is about.
        proof = Proof.parse(receipt)
        if proof.extra is None:
            raise Unproven("no-entry")

        # 2. A log we trust signed the checkpoint.
        origin = proof.checkpoint.text.split(b"\n", 1)[0].decode()
        log = trust.log(origin)
        if log is None or log.log is None:
            raise Unproven("unknown-log", origin=origin)
        checkpoint = open_checkpoint(proof.checkpoint, log.log_keys)

        # 3. The entry stands in the tree of that checkpoint.
        verify_inclusion(leaf_hash(proof.extra), proof.index, checkpoint.size, proof.hashes, checkpoint.root)
        entry = _entry(proof.extra)
        found.update(log=log, index=proof.index, size=checkpoint.size, entry=entry)
        said.append(_logged(log, proof.index, entry))

        # 4. Enough witnesses that are not the log itself have seen that checkpoint, and no other of its size.
        witnesses = trust.witnesses(origin)
        seen = trust.counted(proof.checkpoint.verify(witnesses))
        sightings = sightings_of(seen, witnesses)
        found["sightings"] = sightings
        said += (
            Statement("verdict.witnessed", True, {"witness": s.witness, "time": s.at}) for s in sightings
        )
        if not trust.enough(v.key for v in seen):
            raise Unproven("quorum-group" if trust.group else "quorum", seen=len(seen), needed=trust.quorum)
        _check_key_in_use(log, proof.checkpoint, seen)

        # 5. The file is the one the entry names.
        if file is not None:
            found["file"] = False
            _check_file(file, entry, salt)
            found["file"] = True
            said.append(Statement("verdict.file", True, {"file": file.name}))
        elif entry is not None and _named_digest(entry) is not None:
            said.append(Statement("verdict.file-not-given", True))
    except LogProblem as problem:
        said.append(Statement("verdict.refused", False, {"problem": problem}))
        return Verdict(False, tuple(said), **found)
    return Verdict(True, tuple(said), **found)


def _check_key_in_use(log: Party, note: Note, seen: Sequence[Verified]) -> None:
    """A key that the log has left behind signs no new checkpoint: a witness must have seen it while the key was in use."""
    until = [log.until(v.key) for v in note.verify(log.log_keys)]
    ends = [end for end in until if end is not None]
    if len(ends) < len(until):
        return
    times = [v.time for v in seen if v.time is not None]
    if not times or min(times) > max(ends).timestamp():
        raise Unproven("key-retired", until=max(ends).isoformat())


# --- files and their digests ------------------------------------------------------------------------------------


def salted_digest(file: Path, salt: bytes) -> str:
    """``sha256:<hex>`` of the salt followed by the file: says nothing about the file to who lacks the salt.

    Raises :class:`Malformed` for a salt shorter than 16 bytes, OSError.
    """
    if len(salt) < MIN_SALT:
        raise Malformed("salt", "salt-length")
    return "sha256:" + _digest(file, salt)


def parse_salt(text: str) -> bytes:
    """A salt in hex. Raises :class:`Malformed`."""
    try:
        salt = bytes.fromhex(text.strip())
    except ValueError:
        raise Malformed("salt", "hex") from None
    if not MIN_SALT <= len(salt) <= 1024:
        raise Malformed("salt", "salt-length")
    return salt


def _check_file(file: Path, entry: Mapping[str, Any] | None, salt: bytes | None) -> None:
    named = _named_digest(entry) if entry is not None else None
    if named is None:
        raise Unproven("file-not-named")
    salted, digest = named
    if salted and salt is None:
        raise Unproven("salt-missing")
    if not compare_digest(_digest(file, salt if salted and salt else b""), digest):
        raise Unproven("file-differs", file=file.name)


def _named_digest(entry: Mapping[str, Any]) -> tuple[bool, str] | None:
    """(salted, hex digest) of the payload the entry names."""
    payload = entry.get("payload")
    if isinstance(payload, dict):
        for name, salted in (("sha256", False), ("salted_sha256", True)):
            value = payload.get(name)
            if isinstance(value, str) and (match := _HEX_DIGEST.fullmatch(value)):
                return salted, match[1]
    return None


def _digest(file: Path, salt: bytes) -> str:
    digest = sha256(salt)
    with file.open("rb") as stream:
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


# --- entries ----------------------------------------------------------------------------------------------------


def _entry(data: bytes) -> Mapping[str, Any] | None:
    """The entry if it is a JSON object; None for NaN, lone surrogates and all else that JSON cannot carry on."""
    try:
        value = json.loads(data, parse_constant=_no_number)
        if b"\\u" in data:
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _no_number(name: str) -> None:
    raise ValueError(name)


def _logged(log: Party, index: int, entry: Mapping[str, Any] | None) -> Statement:
    kind, time = (entry or {}).get("kind"), (entry or {}).get("time")
    if isinstance(kind, str) and isinstance(time, str):
        return Statement(
            "verdict.logged", True, {"log": log, "index": index, "kind": kind, "time": _told(time)}
        )
    return Statement("verdict.logged-opaque", True, {"log": log, "index": index})


def _told(time: str) -> datetime | str:
    """A time that an entry tells, on the clock of the bay; as it stands there if it is none."""
    try:
        at = datetime.fromisoformat(time)
        return at.astimezone(BAY) if at.tzinfo else time
    except (ValueError, OverflowError):
        return time
