"""C2SP signed-note: a text and the signatures under it; Ed25519 keys and their string forms.

Sources: https://c2sp.org/signed-note, https://c2sp.org/tlog-cosignature. The private key form
(``PRIVATE+KEY+<name>+<id>+<base64>``) is that of Go's ``golang.org/x/mod/sumdb/note``.

Two signature types: :data:`ED25519` (0x01) over the text itself, by which a log signs its checkpoints, and
:data:`COSIGNATURE` (0x04), a time and a signature over that time and the text, by which a witness says what it saw.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from wantong.ground.log.problems import Malformed, Unproven

ED25519 = 0x01
COSIGNATURE = 0x04

MAX_NOTE_BYTES = 256 * 1024
MAX_SIGNATURES = 100
MAX_TIMESTAMP = (1 << 63) - 1

_SIGNATURE_LENGTH = {ED25519: 64, COSIGNATURE: 8 + 64}
_CONTROL = re.compile(rb"[\x00-\x09\x0b-\x1f]")
_NOT_IN_NAMES = re.compile(r"[\s+\x00-\x1f]")
_HEX_ID = re.compile(r"[0-9a-f]{8}", re.ASCII)
_DECIMAL = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)


# --- small things all formats here share ------------------------------------------------------------------------


def decode_base64(text: str, thing: str) -> bytes:
    """Standard base64 in its one canonical spelling. Raises :class:`Malformed` (``base64``)."""
    try:
        encoded = text.encode("ascii")
        decoded = binascii.a2b_base64(encoded, strict_mode=True)
    except ValueError:
        raise Malformed(thing, "base64") from None
    if binascii.b2a_base64(decoded, newline=False) != encoded:  # bits beyond the last byte
        raise Malformed(thing, "base64")
    return decoded


def decode_hash(text: str, thing: str) -> bytes:
    """A SHA-256 hash in base64. Raises :class:`Malformed`."""
    decoded = decode_base64(text, thing)
    if len(decoded) != 32:
        raise Malformed(thing, "hash")
    return decoded


def decode_size(text: str, thing: str) -> int:
    """A decimal without leading zeroes, at most 2**63 - 1. Raises :class:`Malformed` (``number``)."""
    if not _DECIMAL.fullmatch(text) or int(text) > MAX_TIMESTAMP:
        raise Malformed(thing, "number")
    return int(text)


def decode_text(data: bytes, thing: str) -> str:
    """UTF-8 without control characters but newline, bounded. Raises :class:`Malformed`."""
    if len(data) > MAX_NOTE_BYTES:
        raise Malformed(thing, "too-large")
    if _CONTROL.search(data):
        raise Malformed(thing, "control")
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise Malformed(thing, "utf8") from None


def check_name(name: str) -> str:
    """A key name: not empty, no spaces, no plus, no control characters. Raises :class:`Malformed` (``name``)."""
    if not name or _NOT_IN_NAMES.search(name):
        raise Malformed("vkey", "name")
    return name


def key_id(name: str, algorithm: int, public: bytes) -> bytes:
    """The four bytes that, with the name, say which key made a signature."""
    return sha256(name.encode() + b"\n" + bytes([algorithm]) + public).digest()[:4]


# --- signatures -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature line, not yet verified."""

    name: str
    key_id: bytes
    data: bytes

    def __str__(self) -> str:
        """The line, with its newline."""
        return f"— {self.name} {b64encode(self.key_id + self.data).decode()}\n"

    @classmethod
    def parse(cls, line: str) -> Signature:
        """Read a line without its newline. Raises :class:`Malformed`."""
        mark, _, rest = line.partition(" ")
        name, space, encoded = rest.partition(" ")
        if mark != "—" or not space:
            raise Malformed("note", "signature-line")
        try:
            check_name(name)
        except Malformed:
            raise Malformed("note", "name") from None
        decoded = decode_base64(encoded, "note")
        if len(decoded) < 5:
            raise Malformed("note", "signature-line")
        return cls(name, decoded[:4], decoded[4:])


@dataclass(frozen=True, slots=True)
class Verified:
    """A signature that holds. ``time`` is the POSIX time a cosigner stated, None for plain signatures."""

    key: VerifierKey
    signature: Signature
    time: int | None


# --- keys -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class VerifierKey:
    """A public key under a name: what a vkey string holds."""

    name: str
    algorithm: int
    public: bytes

    @cached_property
    def id(self) -> bytes:
        return key_id(self.name, self.algorithm, self.public)

    @cached_property
    def _key(self) -> Ed25519PublicKey:
        return Ed25519PublicKey.from_public_bytes(self.public)

    def __str__(self) -> str:
        """The vkey string."""
        return f"{self.name}+{self.id.hex()}+{b64encode(bytes([self.algorithm]) + self.public).decode()}"

    @classmethod
    def parse(cls, vkey: str) -> VerifierKey:
        """Read a vkey string. Raises :class:`Malformed`, also when the key id is not that of the key."""
        parts = vkey.split("+", 2)
        if len(parts) != 3 or not _HEX_ID.fullmatch(parts[1]):
            raise Malformed("vkey", "syntax")
        name, identifier, encoded = parts
        key = cls(check_name(name), *_key_material(encoded, "vkey"))
        if key.id.hex() != identifier:
            raise Malformed("vkey", "key-id")
        return key

    def made(self, signature: Signature) -> bool:
        """Whether the signature claims to be by this key."""
        return signature.key_id == self.id and signature.name == self.name

    def verify(self, text: bytes, signature: Signature) -> Verified:
        """Check a signature over ``text`` (the note text with its last newline).

        Raises :class:`Unproven` (``signature``).
        """
        data, time = signature.data, None
        if len(data) != _SIGNATURE_LENGTH[self.algorithm] or not self.made(signature):
            raise Unproven("signature", name=self.name)
        if self.algorithm == COSIGNATURE:
            time = int.from_bytes(data[:8])
            data = data[8:]
            if not 0 < time <= MAX_TIMESTAMP:
                raise Unproven("signature", name=self.name)
            text = cosigned_message(text, time)
        try:
            self._key.verify(data, text)
        except InvalidSignature:
            raise Unproven("signature", name=self.name) from None
        return Verified(self, signature, time)


@dataclass(frozen=True)
class SigningKey:
    """A private key under a name. Its ``repr`` shows no secret."""

    name: str
    algorithm: int
    seed: bytes = field(repr=False)

    @classmethod
    def generate(cls, name: str, algorithm: int = ED25519) -> SigningKey:
        """A new random key. Raises :class:`Malformed` if the name cannot be a key name."""
        return cls(check_name(name), algorithm, Ed25519PrivateKey.generate().private_bytes_raw())

    @cached_property
    def _key(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(self.seed)

    @cached_property
    def verifier(self) -> VerifierKey:
        """The public half."""
        return VerifierKey(self.name, self.algorithm, self._key.public_key().public_bytes_raw())

    def dumps(self) -> str:
        """The secret string to keep in a file readable by its owner alone."""
        encoded = b64encode(bytes([self.algorithm]) + self.seed).decode()
        return f"PRIVATE+KEY+{self.name}+{self.verifier.id.hex()}+{encoded}"

    @classmethod
    def loads(cls, secret: str) -> SigningKey:
        """Read a secret string. Raises :class:`Malformed`; the message never shows the secret."""
        parts = secret.strip().split("+", 4)
        if len(parts) != 5 or parts[:2] != ["PRIVATE", "KEY"]:
            raise Malformed("skey", "syntax")
        key = cls(check_name(parts[2]), *_key_material(parts[4], "skey"))
        if key.verifier.id.hex() != parts[3]:
            raise Malformed("skey", "key-id")
        return key

    def sign(self, text: bytes, time: int | None = None) -> Signature:
        """Sign a note text. A cosigning key (0x04) needs the POSIX ``time`` in seconds; others refuse one."""
        if (self.algorithm == COSIGNATURE) != (time is not None):
            raise ValueError("a cosignature has a time, other signatures have none")
        stamp = b"" if time is None else time.to_bytes(8)
        message = text if time is None else cosigned_message(text, time)
        return Signature(self.name, self.verifier.id, stamp + self._key.sign(message))


def cosigned_message(text: bytes, time: int) -> bytes:
    """What a 0x04 cosigner signs: a header, the time, the whole note text."""
    return b"cosignature/v1\ntime %d\n" % time + text


def _key_material(encoded: str, thing: str) -> tuple[int, bytes]:
    material = decode_base64(encoded, thing)
    if not material or material[0] not in _SIGNATURE_LENGTH:
        raise Malformed(thing, "algorithm")
    if len(material) != 33:
        raise Malformed(thing, "key-length")
    return material[0], material[1:]


# --- notes ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Note:
    """A text ending in a newline, and the signatures under it, not yet verified."""

    text: bytes
    signatures: tuple[Signature, ...]

    def __bytes__(self) -> bytes:
        return self.text + b"\n" + "".join(map(str, self.signatures)).encode()

    @classmethod
    def parse(cls, data: bytes) -> Note:
        """Read a note. Raises :class:`Malformed`."""
        decode_text(data, "note")
        text, blank, lines = data.rpartition(b"\n\n")
        if not blank or not lines.endswith(b"\n"):
            raise Malformed("note", "no-signatures")
        rows = lines[:-1].decode().split("\n")
        if len(rows) > MAX_SIGNATURES:
            raise Malformed("note", "too-many-signatures")
        return cls(text + b"\n", tuple(map(Signature.parse, rows)))

    def verify(self, keys: Iterable[VerifierKey]) -> list[Verified]:
        """The signatures by known ``keys``, one a key (of several cosignatures the earliest).

        Signatures by others are ignored. Raises :class:`Unproven` (``signature``) if one that claims to be by a
        known key does not hold: the whole note is then refused, as the specification advises.
        """
        known = {(key.name, key.id): key for key in keys}
        held: dict[VerifierKey, Verified] = {}
        for signature in self.signatures:
            key = known.get((signature.name, signature.key_id))
            if key is None:
                continue
            verified = key.verify(self.text, signature)
            before = held.get(key)
            if before is None or (verified.time or 0) < (before.time or 0):
                held[key] = verified
        return list(held.values())

    def with_signatures(self, signatures: Sequence[Signature]) -> Note:
        """The same text with more signatures under it; equal ones are not repeated."""
        fresh = (s for s in signatures if s not in self.signatures)
        return Note(self.text, (*self.signatures, *fresh))
