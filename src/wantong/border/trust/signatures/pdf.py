"""A PDF with a gap in it: what of signing PDFs needs the key, and sees only bytes.

A PDF of a stranger is a program for its reader. So whatever reads one (:mod:`.pades`) may run in a process that has no
key; it gives back the PDF with an empty place, and here the place is filled.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from wantong.border.trust.signatures import cms, primitives
from wantong.border.trust.signatures.found import Level, Material
from wantong.border.trust.signatures.signing import CannotSign, Order, Signatory, needs

ROOM: Final = 4096
"""Bytes kept for a signature beside its certificates; PDF writes each as two digits."""
ROOM_FOR_STAMP: Final = 12288
WIDTH, HEIGHT, MARGIN = 232, 76, 36
"""Of a visible seal, in points."""


@dataclass(frozen=True)
class Seal:
    """How a signature shows on a page: ``page`` (0 the first, -1 the last), its box in points, the drawing as a PDF."""

    page: int
    box: tuple[int, int, int, int]
    drawing: bytes


@dataclass(frozen=True)
class Prepared:
    """A PDF with an empty place for a signature: the bytes from ``start`` to ``end``, which are not signed."""

    content: bytes
    start: int
    end: int

    def digest(self, hashed: str) -> bytes:
        """The hash of everything but the gap."""
        return primitives.digest(hashed, self.content[: self.start] + self.content[self.end :])

    def filled(self, der: bytes) -> bytes:
        """The PDF with ``der`` in its place. Raises ValueError if it is too small."""
        room = self.end - self.start - 2
        text = der.hex().encode().ljust(room, b"0")
        if len(text) > room:
            raise ValueError("the signature does not fit")
        return b"".join((self.content[: self.start], b"<", text, b">", self.content[self.end :]))


class Prepare(Protocol):
    """Makes an empty place of ``room`` bytes for one more signature, or for a timestamp over the whole document."""

    def __call__(
        self, content: bytes, order: Order, *, room: int, timestamp: bool = False, seal: Seal | None = None
    ) -> Prepared: ...


class AddMaterial(Protocol):
    """Puts certificates and revocation data beside the signatures."""

    def __call__(self, content: bytes, material: Material) -> bytes: ...


def sign(
    content: bytes,
    signatories: Sequence[Signatory],
    order: Order,
    *,
    prepare: Prepare,
    add_material: AddMaterial,
    seal: Seal | None = None,
) -> bytes:
    """Sign a PDF, once for each of ``signatories``; the first shows the ``seal``. Raises :class:`CannotSign`."""
    needs(signatories)
    if order.reaches(Level.LT) and not (order.material.crls or order.material.ocsps):
        raise CannotSign(reason="no-material")
    for index, signatory in enumerate(signatories):
        kept = ROOM + sum(map(len, signatory.chain)) + (ROOM_FOR_STAMP if order.reaches(Level.T) else 0)
        content = _fill(prepare(content, order, room=kept, seal=None if index else seal), signatory, order)
    if order.reaches(Level.LT):
        content = add_material(content, order.material)
    if order.reaches(Level.LTA):
        prepared = prepare(content, order, room=ROOM_FOR_STAMP, timestamp=True)
        if order.stamper is None:
            raise CannotSign(reason="no-timestamps")
        content = prepared.filled(order.stamper("sha256", prepared.digest("sha256")))
    return content


def _fill(prepared: Prepared, signatory: Signatory, order: Order) -> bytes:
    """Sign what was prepared, with a timestamp over the signature from B-T on."""
    hashed = signatory.hash
    stamp = order.stamp if order.reaches(Level.T) else None
    try:
        return prepared.filled(cms.build(hashed, prepared.digest(hashed), signatory, stamp=stamp))
    except ValueError:
        raise CannotSign(reason="no-room") from None
