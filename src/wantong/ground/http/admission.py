"""Who is served now, who waits, who is sent away: a bounded queue that judges by age, not only by length.

A short burst is worth waiting for. A queue that does not empty any more is not: everybody in it would be answered
too late, and no more of them. So while the queue was empty within the last ``patience`` seconds one may wait that
long, the oldest first; after that only ``target`` seconds, and the newest first, for the oldest has probably gone.
(Controlled delay: Nichols and Jacobson, ACM Queue 10(5), 2012; for servers: Maurer, ACM Queue 13(8), 2015.)

Pure: time comes in as an argument, in seconds of any steady clock.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import Enum
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Capacity:
    """How many are served at once (``slots``), how many may wait, and for how many seconds (see the module)."""

    slots: int
    waiting: int
    patience: float = 2.0
    target: float = 0.5


class Verdict(Enum):
    """What becomes of one who arrives."""

    SERVED = "served"
    WAITS = "waits"
    SENT_AWAY = "sent-away"


class Queue(Generic[T]):
    """The state of one server; whoever arrives and is served must leave."""

    def __init__(self, capacity: Capacity) -> None:
        self.capacity = capacity
        self.busy = 0
        self._waiting: deque[tuple[float, T]] = deque()
        self._empty_at = float("-inf")

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def age(self, now: float) -> float:
        """For how long the one at the head of the queue has waited; 0 if nobody waits."""
        return now - self._waiting[0][0] if self._waiting else 0.0

    def standing(self, now: float) -> float:
        """For how many seconds beyond ``patience`` the queue has not been empty; 0 while it is a passing burst."""
        return max(0.0, now - self._empty_at - self.capacity.patience) if self._waiting else 0.0

    def arrive(self, who: T, now: float) -> Verdict:
        """Somebody asks to be served."""
        if self.busy < self.capacity.slots:
            self.busy += 1
            return Verdict.SERVED
        if len(self._waiting) >= self.capacity.waiting:
            return Verdict.SENT_AWAY
        if not self._waiting:
            self._empty_at = now
        self._waiting.append((now, who))
        return Verdict.WAITS

    def leave(self, now: float) -> T | None:
        """One who was served is done; returns who is served instead."""
        if not self._waiting:
            self.busy -= 1
            return None
        _, who = self._waiting.pop() if self.standing(now) else self._waiting.popleft()
        return who

    def overdue(self, now: float) -> list[T]:
        """Take out those who have waited too long."""
        longest = self.capacity.target if self.standing(now) else self.capacity.patience
        late = []
        while self._waiting and now - self._waiting[0][0] > longest:
            late.append(self._waiting.popleft()[1])
        return late

    def withdraw(self, who: T) -> bool:
        """Somebody does not want to wait any more; False if he was not waiting."""
        for entry in self._waiting:
            if entry[1] is who:
                self._waiting.remove(entry)
                return True
        return False


def come_back(standing: float, dice: float) -> int:
    """After how many whole seconds to ask again: the longer the queue has stood the later, and not all at once.

    ``dice`` is a random number in [0, 1).
    """
    longest = min(1.0 + standing / 2, 30.0)
    return 1 + int(dice * longest)
