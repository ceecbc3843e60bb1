"""How much a file may cost: bounds as data, and what has been used of them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from .problems import LimitReached

MIB = 1 << 20


@dataclass(frozen=True)
class Limits:
    """Bounds of one read. Whatever lies beyond one is told as :class:`LimitReached`, and the rest is still read.

    The defaults fit a command an engineer starts on his own files: a plain file may be of any size, for it is
    streamed; what unpacks is bounded by ratio and sum. :meth:`for_upload` fits files of strangers.
    """

    seconds: float = 3600.0
    """wall-clock time of the whole read"""
    entries: int = 100_000
    """files in folders and archives, together"""
    depth: int = 5
    """archives inside one another"""
    folder_depth: int = 64
    """folders inside one another"""
    unpacked_bytes: int = 64 << 30
    """what all archives may unpack to, together"""
    ratio: int = 200
    """unpacked : packed size of one archived file, asked once it has given ``ratio_free_bytes``"""
    ratio_free_bytes: int = 16 * MIB
    columns: int = 16_384
    """columns of one table (XLSX allows 16,384)"""
    cell_bytes: int = MIB
    """one cell; longer ones are cut"""
    nesting: int = 64
    """depth of JSON and XML"""
    pages: int = 5_000
    """pages of one PDF"""
    parser_seconds: float = 30.0
    """processor time, and time waited for, of a parser of a structured format, for any one file …"""
    parser_seconds_per_mib: float = 2.0
    """… and for every MiB that file has"""
    parser_bytes: int = 1 << 30
    """memory of that parser beyond its own code"""

    @classmethod
    def for_upload(cls) -> Limits:
        """Bounds for a file that a stranger sends and waits for."""
        return cls(
            seconds=60.0,
            entries=2_000,
            depth=3,
            unpacked_bytes=1 << 30,
            ratio=100,
            pages=500,
            parser_seconds=15.0,
            parser_seconds_per_mib=1.0,
            parser_bytes=512 * MIB,
        )

    def parser_time(self, size: int) -> float:
        """Seconds a parser may take for a file of ``size`` bytes."""
        return self.parser_seconds + self.parser_seconds_per_mib * size / MIB


@dataclass
class Budget:
    """What is left of :class:`Limits` during one read. ``clock`` counts seconds from any origin."""

    limits: Limits
    clock: Callable[[], float] = time.monotonic
    entries: int = 0
    unpacked: int = 0
    deadline: float = field(init=False)

    def __post_init__(self) -> None:
        self.deadline = self.clock() + self.limits.seconds

    def check_time(self, place: str) -> None:
        if self.clock() > self.deadline:
            raise LimitReached(place, "seconds", self.limits.seconds)

    def spend_entry(self, place: str) -> None:
        self.entries += 1
        if self.entries > self.limits.entries:
            raise LimitReached(place, "entries", self.limits.entries)

    def spend_unpacked(self, place: str, count: int) -> None:
        self.unpacked += count
        if self.unpacked > self.limits.unpacked_bytes:
            raise LimitReached(place, "unpacked_bytes", self.limits.unpacked_bytes)
