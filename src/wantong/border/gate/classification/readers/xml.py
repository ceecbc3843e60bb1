"""XML of office files by plain expat: no document type, no entities, bounded depth, nothing kept in memory.

Office Open XML never has a document type declaration, so the first sign of one ends the reading: neither entity
expansion nor external entities can begin.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import BinaryIO
from xml.parsers import expat

from .limits import Budget
from .problems import Damaged, LimitReached

_PIECE = 1 << 17


class Handler:
    """Override what is needed. Names come without prefix."""

    def start(self, name: str, attributes: dict[str, str]) -> None: ...

    def end(self, name: str) -> None: ...

    def text(self, text: str) -> None: ...


def parse(stream: BinaryIO, handler: Handler, place: str, budget: Budget) -> Iterator[None]:
    """Feed ``stream`` to ``handler``, pausing after each piece so that the caller can take out what was gathered.

    Raises :class:`Damaged` for malformed XML or a document type, :class:`LimitReached` for depth.
    """
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.buffer_size = 1 << 16
    depth = 0
    nesting = budget.limits.nesting

    def forbidden(*_: object) -> None:
        raise Damaged(place, reason="document-type")

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > nesting:
            raise LimitReached(place, "nesting", nesting)
        handler.start(name.rpartition(":")[2], attributes)

    def end(name: str) -> None:
        nonlocal depth
        depth -= 1
        handler.end(name.rpartition(":")[2])

    parser.StartDoctypeDeclHandler = forbidden
    parser.EntityDeclHandler = forbidden
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = handler.text
    feed: Callable[[bytes, bool], object] = parser.Parse
    try:
        while True:
            piece = stream.read(_PIECE)
            feed(piece, not piece)
            yield
            if not piece:
                return
            budget.check_time(place)
    except (expat.ExpatError, ValueError) as error:  # the latter: an encoding expat does not know
        raise Damaged(place, reason="xml", told=error) from None


def attribute(attributes: dict[str, str], local: str) -> str | None:
    """The attribute with this local name, whatever its prefix."""
    value = attributes.get(local)
    if value is None:
        for name, candidate in attributes.items():
            if name.rpartition(":")[2] == local:
                return candidate
    return value
