"""C2SP tlog-proof: a self-contained proof that an entry is in a log, and who saw it there.

Source: https://c2sp.org/tlog-proof. A Wantong *receipt* is such a proof whose ``extra`` line holds the entry.
"""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass

from wantong.ground.log.note import MAX_NOTE_BYTES, Note, decode_base64, decode_hash, decode_size
from wantong.ground.log.problems import Malformed

HEADER = "c2sp.org/tlog-proof@v1"
MAX_PROOF_LINES = 63
MAX_PROOF_BYTES = (
    MAX_NOTE_BYTES + 128 * 1024
)  # a checkpoint, 63 hashes, and an entry of 65,535 bytes in base64
SUFFIX = ".tlog-proof"


@dataclass(frozen=True, slots=True)
class Proof:
    """The parts of a proof; nothing in it is verified yet. ``extra`` is None when there is no such line."""

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: Note
    extra: bytes | None = None

    def __bytes__(self) -> bytes:
        lines = [HEADER]
        if self.extra is not None:
            lines.append(f"extra {b64encode(self.extra).decode()}")
        lines.append(f"index {self.index}")
        lines += (b64encode(h).decode() for h in self.hashes)
        return "".join(f"{line}\n" for line in lines).encode() + b"\n" + bytes(self.checkpoint)

    @classmethod
    def parse(cls, data: bytes) -> Proof:
        """Read a proof. Raises :class:`Malformed`."""
        if len(data) > MAX_PROOF_BYTES:
            raise Malformed("proof", "too-large")
        head, blank, note = data.partition(b"\n\n")
        if not blank:
            raise Malformed("proof", "truncated")
        try:
            lines = head.decode("ascii").split("\n")
        except UnicodeDecodeError:
            raise Malformed("proof", "ascii") from None
        if lines.pop(0) != HEADER:
            raise Malformed("proof", "header")
        extra = None
        if lines and lines[0].startswith("extra "):
            extra = decode_base64(lines.pop(0)[len("extra ") :], "proof")
        if not lines or not lines[0].startswith("index "):
            raise Malformed("proof", "index")
        index = decode_size(lines.pop(0)[len("index ") :], "proof")
        if len(lines) > MAX_PROOF_LINES:
            raise Malformed("proof", "too-many-hashes")
        return cls(index, tuple(decode_hash(line, "proof") for line in lines), Note.parse(note), extra)
