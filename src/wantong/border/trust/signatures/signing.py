"""What every form needs to sign: who signs, when, and where timestamps and material come from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from wantong.border.trust.signatures import primitives
from wantong.border.trust.signatures.found import Level, Material
from wantong.ground.crypto.keys import Signer
from wantong.ground.crypto.x509 import public_of
from wantong.ground.problems import Problem

Stamper = Callable[[str, bytes], bytes]
"""From the name of a hash and a value of it to a TimeStampToken (RFC 3161, DER). May ask a server: raises its problems."""

LEVELS = (Level.B, Level.T, Level.LT, Level.LTA)


class CannotSign(Problem):
    """This cannot be signed in this way; ``reason`` is a code of the messages ``signatures.cannot``."""

    slug = "signatures-cannot-sign"
    status = 422
    CODES = {"reason": "signatures.cannot"}  # noqa: RUF012 - a class attribute of the base


@dataclass(frozen=True)
class Signatory:
    """A key and its certificates (DER), the leaf first, without the anchor.

    Raises ValueError if the leaf is not the key's: nobody could check such a signature.
    """

    signer: Signer
    chain: tuple[bytes, ...]

    def __post_init__(self) -> None:
        if not self.chain or public_of(self.chain[0]) != self.signer.public:
            raise ValueError("the first certificate is not that of the key")

    @property
    def leaf(self) -> bytes:
        return self.chain[0]

    @property
    def hash(self) -> str:
        """The hash that goes with the key."""
        return self.signer.suite.hash


@dataclass(frozen=True)
class Order:
    """How to sign: up to which level, at what moment (UTC), and what is said beside.

    ``stamper`` is asked from B-T on, ``material`` stands inside from B-LT on. ``said``: ``place``, ``role``, ``reason``.
    """

    at: datetime
    level: Level = Level.B
    stamper: Stamper | None = None
    material: Material = field(default_factory=Material)
    said: Mapping[str, str] = field(default_factory=dict)

    @property
    def time(self) -> datetime:
        """The moment as signatures write it, to the second."""
        return self.at.astimezone(UTC).replace(microsecond=0)

    def reaches(self, level: Level) -> bool:
        """Whether ``level`` is asked for, or more."""
        return LEVELS.index(self.level) >= LEVELS.index(level)

    def stamp(self, data: bytes, hashed: str = "sha256") -> bytes:
        """A timestamp over ``data``. Raises :class:`CannotSign` if nobody stamps."""
        if self.stamper is None:
            raise CannotSign(reason="no-timestamps")
        return self.stamper(hashed, primitives.digest(hashed, data))


def needs(signatories: Sequence[Signatory], most: int | None = None) -> None:
    """Raise :class:`CannotSign` if nobody signs, or more than the form takes."""
    if not signatories:
        raise CannotSign(reason="nobody")
    if most is not None and len(signatories) > most:
        raise CannotSign(reason="too-many-signers")
