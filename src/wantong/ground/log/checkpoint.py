"""C2SP tlog-checkpoint: what a log says of itself at one size, and signs.

Source: https://c2sp.org/tlog-checkpoint.
"""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass

from wantong.ground.log.note import Note, SigningKey, VerifierKey, decode_hash, decode_size, decode_text
from wantong.ground.log.problems import Malformed, Unproven


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The tree of the log ``origin`` had ``size`` leaves and this ``root``. ``extensions`` are kept, never read."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    def __bytes__(self) -> bytes:
        """The note text."""
        lines = [self.origin, str(self.size), b64encode(self.root).decode(), *self.extensions]
        return "".join(f"{line}\n" for line in lines).encode()

    @classmethod
    def parse(cls, text: bytes) -> Checkpoint:
        """Read a note text. Raises :class:`Malformed`. Nothing is verified: see :func:`open_checkpoint`."""
        lines = decode_text(text, "checkpoint").split("\n")
        if len(lines) < 4 or lines.pop() or not all(lines):
            raise Malformed("checkpoint", "lines")
        origin, size, root, *extensions = lines
        return cls(
            origin, decode_size(size, "checkpoint"), decode_hash(root, "checkpoint"), tuple(extensions)
        )


def sign_checkpoint(checkpoint: Checkpoint, *signers: SigningKey) -> Note:
    """The checkpoint as a note with the log's signature, or two while one key takes over from another."""
    text = bytes(checkpoint)
    return Note(text, tuple(signer.sign(text) for signer in signers))


def open_checkpoint(note: Note, keys: tuple[VerifierKey, ...]) -> Checkpoint:
    """The checkpoint inside ``note`` if one of the log's ``keys`` signed it.

    Raises :class:`Malformed`, or :class:`Unproven` (``signature``, ``log-signature``).
    """
    checkpoint = Checkpoint.parse(note.text)
    if not note.verify(keys):
        raise Unproven("log-signature", origin=checkpoint.origin)
    return checkpoint
