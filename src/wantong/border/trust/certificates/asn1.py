"""DER, read strictly: what certificates, revocation lists and OCSP answers are written in.

X.690 leaves one way to write each value, and what is signed must be read in one way by everybody; a parser that forgives
gives two readers two certificates. Refused are indefinite and padded lengths, booleans that are neither 0 nor 255, padded
integers, times without seconds or ``Z``, and bytes left over. Nothing recurses: a reader of a structure asks for the
fields it knows, so nesting costs an attacker bytes and us nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, NamedTuple, TypeVar

T = TypeVar("T")

BOOLEAN: Final = 0x01
INTEGER: Final = 0x02
BIT_STRING: Final = 0x03
OCTET_STRING: Final = 0x04
NULL: Final = 0x05
OID: Final = 0x06
ENUMERATED: Final = 0x0A
UTF8: Final = 0x0C
PRINTABLE: Final = 0x13
TELETEX: Final = 0x14
IA5: Final = 0x16
UTC_TIME: Final = 0x17
GENERALIZED_TIME: Final = 0x18
VISIBLE: Final = 0x1A
UNIVERSAL: Final = 0x1C
BMP: Final = 0x1E
SEQUENCE: Final = 0x30
SET: Final = 0x31

_ENCODINGS: Final = {
    UTF8: "utf-8",
    PRINTABLE: "ascii",
    TELETEX: "latin-1",  # T.61 in name; everybody who still writes it means Latin-1
    IA5: "ascii",
    VISIBLE: "ascii",
    UNIVERSAL: "utf-32-be",
    BMP: "utf-16-be",
    0x12: "ascii",
}


class Malformed(ValueError):
    """Bytes that are not what they claim to be; ``code`` is stable, ``what`` names the part in the standard's own word."""

    def __init__(self, code: str, what: str = "") -> None:
        self.code = code
        self.what = what
        super().__init__(f"{code}: {what}" if what else code)


class Value(NamedTuple):
    """One tag–length–value inside ``data``: it begins at ``start``, its content runs from ``body`` to ``end``."""

    data: bytes
    tag: int
    start: int
    body: int
    end: int

    @property
    def content(self) -> bytes:
        return self.data[self.body : self.end]

    @property
    def raw(self) -> bytes:
        """With tag and length: the bytes that get signed or hashed."""
        return self.data[self.start : self.end]

    def children(self) -> list[Value]:
        """The values inside. Raises Malformed."""
        found, at = [], self.body
        while at < self.end:
            value = read_at(self.data, at, self.end)
            found.append(value)
            at = value.end
        return found


def read_at(data: bytes, at: int, end: int) -> Value:
    """The value that begins ``at`` and may run to ``end``. Raises Malformed."""
    body = at + 2
    if body > end:
        raise Malformed("truncated")
    tag, length = data[at], data[at + 1]
    if tag & 0x1F == 0x1F:
        raise Malformed("tag")
    if length & 0x80:
        size = length & 0x7F
        body += size
        if not 1 <= size <= 4 or body > end:
            raise Malformed("length")
        length = int.from_bytes(data[at + 2 : body], "big")
        if length < 0x80 or not length >> 8 * (size - 1):
            raise Malformed("length")
    if body + length > end:
        raise Malformed("truncated")
    return Value(data, tag, at, body, body + length)


def parse(data: bytes, tag: int = SEQUENCE, what: str = "") -> Value:
    """The one value that ``data`` is. Raises Malformed for another tag and for bytes left over."""
    value = read_at(data, 0, len(data))
    if value.end != len(data):
        raise Malformed("trailing", what)
    return expect(value, tag, what)


def expect(value: Value, tag: int, what: str = "") -> Value:
    """``value`` if it has ``tag``. Raises Malformed."""
    if value.tag != tag:
        raise Malformed("unexpected", what)
    return value


class Fields:
    """The fields of a constructed value, taken one after the other."""

    __slots__ = ("_at", "_data", "_end", "_what")

    def __init__(self, value: Value, tag: int | None = SEQUENCE, what: str = "") -> None:
        if tag is not None:
            expect(value, tag, what)
        self._data, self._at, self._end, self._what = value.data, value.body, value.end, what

    @property
    def more(self) -> bool:
        return self._at < self._end

    def take(self, tag: int | None = None, what: str = "") -> Value:
        """The next field, of ``tag`` unless any will do. Raises Malformed."""
        value = read_at(self._data, self._at, self._end)
        if tag is not None and value.tag != tag:
            raise Malformed("unexpected", what or self._what)
        self._at = value.end
        return value

    def maybe(self, *tags: int) -> Value | None:
        """The next field if it has one of ``tags``."""
        if self._at >= self._end or self._data[self._at] not in tags:
            return None
        return self.take()

    def end(self) -> None:
        """Nothing may be left. Raises Malformed."""
        if self.more:
            raise Malformed("trailing", self._what)


def inner(value: Value, tag: int | None = None) -> Value:
    """What an explicit tag holds. Raises Malformed unless it is one value, of ``tag`` if given."""
    fields = Fields(value, None)
    held = fields.take(tag)
    fields.end()
    return held


def each(value: Value, read: Callable[[Value], T], tag: int | None = SEQUENCE, least: int = 1) -> list[T]:
    """``read`` of every value inside. Raises Malformed, also for fewer than ``least``."""
    if tag is not None:
        expect(value, tag)
    found = [read(child) for child in value.children()]
    if len(found) < least:
        raise Malformed("empty")
    return found


def integer(value: Value) -> int:
    """A number; the caller has looked at the tag, which implicit tagging may have changed. Raises Malformed."""
    content = value.content
    if not content or (len(content) > 1 and content[0] in (0, 0xFF) and (content[0] ^ content[1]) < 0x80):
        raise Malformed("integer")
    return int.from_bytes(content, "big", signed=True)


def number(value: Value) -> int:
    """A serial number or the number of a list: RFC 5280 gives them 20 bytes, nobody needs 64. Raises Malformed."""
    if value.end - value.body > 64:
        raise Malformed("integer")
    return integer(value)


def small(value: Value) -> int:
    """A number that counts something: not negative and below 2³¹. Raises Malformed."""
    if not 0 <= (number := integer(value)) < 1 << 31:
        raise Malformed("integer")
    return number


def boolean(value: Value) -> bool:
    """Raises Malformed unless it is written as DER wants it."""
    if value.content not in (b"\x00", b"\xff"):
        raise Malformed("boolean")
    return value.content == b"\xff"


@lru_cache(maxsize=1024)
def _dotted(content: bytes) -> str:
    if not content or content[-1] & 0x80:
        raise Malformed("oid")
    arcs, arc, fresh = [], 0, True
    for byte in content:
        if fresh and byte == 0x80:
            raise Malformed("oid")
        arc = arc << 7 | byte & 0x7F
        fresh = not byte & 0x80
        if fresh:
            arcs.append(arc)
            arc = 0
    first = min(arcs[0] // 40, 2)
    return ".".join(map(str, (first, arcs[0] - 40 * first, *arcs[1:])))


def oid(value: Value) -> str:
    """An object identifier in dots. Raises Malformed, also for one of more than 128 bytes."""
    if value.end - value.body > 128:
        raise Malformed("oid")
    return _dotted(value.content)


def bits(value: Value) -> bytes:
    """A bit string that is bytes: a key, a signature. Raises Malformed."""
    content = value.content
    if not content or content[0]:
        raise Malformed("bits")
    return content[1:]


def flags(value: Value) -> frozenset[int]:
    """The numbers of the bits that are set; DER writes no zeros at the end. Raises Malformed."""
    content = value.content
    if not content or content[0] > 7 or (len(content) == 1 and content[0]) or len(content) > 9:
        raise Malformed("bits")
    if len(content) > 1 and not content[-1] >> content[0] & 1:
        raise Malformed("bits")
    if content[-1] & (1 << content[0]) - 1 and len(content) > 1:
        raise Malformed("bits")
    return frozenset(
        8 * index + bit for index, byte in enumerate(content[1:]) for bit in range(8) if byte & 0x80 >> bit
    )


def time(value: Value) -> datetime:
    """A UTCTime or GeneralizedTime in the one form that RFC 5280 4.1.2.5 allows. Raises Malformed."""
    return _time(value.tag, value.content)


@lru_cache(maxsize=1024)
def _time(tag: int, text: bytes) -> datetime:
    if tag == UTC_TIME and len(text) == 13:
        year = text[:2]
        text = (b"19" if year >= b"50" else b"20") + text
    elif tag != GENERALIZED_TIME or len(text) != 15:
        raise Malformed("time")
    if text[14:] != b"Z" or not text[:14].isdigit():
        raise Malformed("time")
    parts = [int(text[at : at + 2]) for at in range(4, 14, 2)]
    try:
        return datetime(int(text[:4]), *parts, tzinfo=UTC)  # type: ignore[misc,arg-type]  # five numbers
    except ValueError:
        raise Malformed("time") from None


def text(value: Value) -> str | None:
    """A character string; None if the tag is none of a string. Raises Malformed for bytes that its encoding has not."""
    encoding = _ENCODINGS.get(value.tag)
    if encoding is None:
        return None
    try:
        return value.content.decode(encoding)
    except UnicodeDecodeError:
        raise Malformed("text") from None


def ascii_text(value: Value) -> str:
    """An implicitly tagged IA5String. Raises Malformed."""
    try:
        return value.content.decode("ascii")
    except UnicodeDecodeError:
        raise Malformed("text") from None


def write(tag: int, *contents: bytes) -> bytes:
    """One value as DER."""
    content = b"".join(contents)
    if len(content) < 0x80:
        return bytes((tag, len(content))) + content
    size = (len(content).bit_length() + 7) // 8
    return bytes((tag, 0x80 | size)) + len(content).to_bytes(size, "big") + content


def oid_der(dotted: str) -> bytes:
    """An object identifier as DER."""
    first, second, *rest = map(int, dotted.split("."))
    content = bytearray()
    for arc in (40 * first + second, *rest):
        content += bytes((arc >> shift & 0x7F | (0x80 if shift else 0)) for shift in _shifts(arc))
    return write(OID, bytes(content))


def _shifts(arc: int) -> range:
    return range(7 * (max(arc.bit_length() - 1, 0) // 7), -1, -7)


def first(data: bytes) -> bytes:
    """The first value in ``data``, whatever follows. Raises Malformed."""
    return read_at(data, 0, len(data)).raw
