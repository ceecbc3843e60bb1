"""How long somebody who fails to sign in must wait. Pure arithmetic; :mod:`.attempts` keeps the counts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

# after this long without a failure, the count begins anew
FORGET = timedelta(hours=24)
LONGEST = timedelta(hours=1)


@dataclass(frozen=True)
class Limit:
    """``free`` failures cost nothing; the next costs ``first``, and each one after that twice as much."""

    free: int
    first: timedelta

    def pause(self, failures: int) -> timedelta:
        """The pause after the given number of failures in a row, never more than an hour."""
        excess = failures - self.free
        if excess <= 0:
            return timedelta()
        # capped exponent: 2**30 seconds is far beyond LONGEST already
        doubled: timedelta = self.first * 2 ** min(excess - 1, 30)
        return min(doubled, LONGEST)


# One person at one place earns a pause soon. A name attacked from many places does so late, so that a stranger
# cannot easily lock an operator out.
NAME_AND_ADDRESS = Limit(free=4, first=timedelta(seconds=30))
NAME = Limit(free=30, first=timedelta(seconds=30))
