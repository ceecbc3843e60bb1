"""Working days of the three places, from data: weekends, public holidays, and worked weekend days of the Mainland.

A calendar only knows the years its source has published. A term that runs beyond them has no date yet, and the
answer says so instead of guessing.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_DAY = dt.timedelta(days=1)
_SATURDAY = 5


@dataclass(frozen=True, slots=True)
class Calendar:
    """The working days of one place.

    ``closed`` holds public holidays and days off in lieu that fall on a weekday; ``worked`` holds weekend days that
    are worked in exchange. ``first`` and ``last`` bound the days the source covers.
    """

    place: str
    first: dt.date
    last: dt.date
    closed: frozenset[dt.date]
    worked: frozenset[dt.date]
    source: str

    @staticmethod
    def from_data(place: str, data: Mapping[str, Any]) -> Calendar:
        """A calendar from its YAML entry: ``source``, and per year ``closed`` and ``worked`` as ``MM-DD``."""
        years = sorted(data["years"])
        if years != list(range(years[0], years[-1] + 1)):
            raise ValueError(f"the years of calendar {place} have a gap")

        def days(key: str) -> frozenset[dt.date]:
            return frozenset(
                dt.date.fromisoformat(f"{y}-{d}") for y in years for d in data["years"][y].get(key, ())
            )

        return Calendar(
            place=place,
            first=dt.date(years[0], 1, 1),
            last=dt.date(years[-1], 12, 31),
            closed=days("closed"),
            worked=days("worked"),
            source=data["source"],
        )

    def is_working_day(self, day: dt.date) -> bool | None:
        """Whether ``day`` is worked; None outside the published years."""
        if not self.first <= day <= self.last:
            return None
        if day.weekday() >= _SATURDAY:
            return day in self.worked
        return day not in self.closed

    def add_working_days(self, start: dt.date, count: int) -> dt.date | None:
        """The ``count``-th working day after ``start``, which itself is not counted; None if not yet published."""
        day = start
        while count > 0:
            if day >= self.last or day + _DAY < self.first:
                return None
            day += _DAY
            count -= day in self.worked if day.weekday() >= _SATURDAY else day not in self.closed
        return day


def add_months(start: dt.date, count: int) -> dt.date | None:
    """The same day ``count`` months later, or the last of that month; None beyond the year 9999."""
    month = start.month - 1 + count
    year = start.year + month // 12
    if year > dt.MAXYEAR:
        return None
    first_of_next = (
        dt.date(year + (month % 12 == 11), (month % 12 + 1) % 12 + 1, 1) if year < dt.MAXYEAR else None
    )
    last = (first_of_next - _DAY).day if first_of_next else 31
    return dt.date(year, month % 12 + 1, min(start.day, last))
