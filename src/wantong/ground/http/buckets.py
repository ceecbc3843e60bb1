"""Token buckets for any number of keys, shared by all processes of a node, in a file of fixed size.

One bucket is one number: the moment at which it will be full again (the generic cell rate algorithm, ITU-T I.371).
Taking ``n`` moves that moment ``n / rate`` seconds on; what would move it further than ``burst / rate`` from now must
wait. The file is a table of slots, mapped into every process. A key has its place in one set of slots; a bucket that
is full again says nothing and is written over, so that a flood of made-up keys costs no memory.

How exact it is: a set is read and written under a lock of the file, so processes never count past each other, and a
restarted process goes on where it was. When a set is filled by others the slot that is nearest to full is given away;
a key that loses its slot begins with a full bucket. Times are of the machine's steady clock; a moment that lies beyond
any bucket, as after a reboot, counts as none.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

SETS = 4096
WAYS = 8
_SLOT = struct.Struct("<Qd")  # the key's digest, when the bucket is full
_SET = WAYS * _SLOT.size


@dataclass(frozen=True)
class Rate:
    """``rate`` a second on the long run, ``burst`` at once. Both above 0."""

    rate: float
    burst: float

    @property
    def span(self) -> float:
        """Seconds in which an empty bucket fills."""
        return self.burst / self.rate


def take(full_at: float, rate: Rate, now: float, amount: float = 1.0) -> tuple[float, float]:
    """Take from a bucket that is full at ``full_at``: when it is full now, and how many seconds to wait.

    If there is something to wait, nothing was taken. What can never be had (more than ``burst``) waits for a full one.
    """
    if full_at - now > rate.span * 1.01 + 1:
        full_at = now  # of another life of the clock
    after = max(full_at, now) + amount / rate.rate
    wait = after - now - max(rate.span, amount / rate.rate)
    return (full_at, wait) if wait > 1e-9 else (after, 0.0)


class Buckets:
    """The buckets of one file; made if it is not there. Any number of threads and processes may share it."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        os.ftruncate(self._file, SETS * _SET)
        self._table = mmap.mmap(self._file, SETS * _SET)

    def close(self) -> None:
        self._table.close()
        os.close(self._file)

    def take(self, key: str, rate: Rate, amount: float = 1.0) -> float:
        """Take ``amount`` from the bucket of ``key``: 0 if it was there, else how many seconds to wait.

        An ``amount`` of 0 only looks whether one could be taken.
        """
        digest = blake2b(key.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        name = int.from_bytes(digest[:8]) | 1  # 0 marks a slot that was never used
        base = int.from_bytes(digest[8:]) % SETS * _SET
        with self._lock:
            fcntl.lockf(self._file, fcntl.LOCK_EX, _SET, base)
            try:
                now = self._clock()
                slots = list(_SLOT.iter_unpack(self._table[base : base + _SET]))
                place = next((i for i, (known, _) in enumerate(slots) if known == name), None)
                full_at = slots[place][1] if place is not None else now
                after, wait = take(full_at, rate, now, amount or 1.0)
                if amount and not wait:
                    if place is None:
                        place = min(range(WAYS), key=lambda i: slots[i][1])
                    _SLOT.pack_into(self._table, base + place * _SLOT.size, name, after)
                return wait
            finally:
                fcntl.lockf(self._file, fcntl.LOCK_UN, _SET, base)
