"""DER put together from parts that are DER already, and parts as they were read.

asn1crypto encodes a tree of new values anew at every level: two to the power of its depth times, and three where a
length happens to end in 0x80, which it takes for BER's indefinite length and writes the value again
(wbond/asn1crypto #249). One timestamped signature in a hundred took minutes. So what is nested deeply is built here from
the bottom, and what somebody else has encoded is taken as it stands.
"""

from __future__ import annotations

from typing import Any, TypeVar

from asn1crypto import core, parser

Value = TypeVar("Value", bound=core.Asn1Value)

_UNIVERSAL, _CONTEXT = 0, 2
_CONSTRUCTED = 1


def sequence(*parts: bytes) -> bytes:
    """A SEQUENCE of these, which are whole values."""
    return _emit(_UNIVERSAL, 16, b"".join(parts))


def set_of(*parts: bytes) -> bytes:
    """A SET OF these, in the order that DER asks for."""
    return _emit(_UNIVERSAL, 17, b"".join(sorted(parts)))


def explicit(number: int, part: bytes) -> bytes:
    """A value in a context tag: ``[number] EXPLICIT``."""
    return _emit(_CONTEXT, number, part)


def implicit(number: int, part: bytes) -> bytes:
    """A constructed value whose own tag becomes ``[number]``."""
    return _emit(_CONTEXT, number, parser.parse(part, strict=True)[4])


def as_read(value: core.Asn1Value) -> bytes:
    """The octets of a value exactly as somebody else has encoded it; of a new one, its encoding."""
    if isinstance(value, core.Choice) and not value.explicit:
        return as_read(value.chosen)
    header: bytes | None = value._header
    if header is None:
        new: bytes = value.dump()
        return new
    contents: bytes = value.contents
    trailer: bytes = value._trailer
    return header + contents + trailer


def flat(value: Value) -> Value:
    """The same value, encoded once and for all."""
    read: Value = type(value).load(value.dump())
    return read


def _emit(class_: int, tag: int, contents: bytes) -> bytes:
    made: Any = parser.emit(class_, _CONSTRUCTED, tag, contents)
    return bytes(made)
