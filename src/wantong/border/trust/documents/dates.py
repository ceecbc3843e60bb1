"""Dates of which only a part is known: some identity cards carry a year of birth and nothing more."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True, order=True)
class PartialDate:
    """A year, a month of a year, or a day. Raises ValueError for what is none of these."""

    year: int
    month: int | None = None
    day: int | None = None

    def __post_init__(self) -> None:
        if self.day is not None and self.month is None:
            raise ValueError("a day needs a month")
        date(self.year, *(1 if part is None else part for part in (self.month, self.day)))

    @classmethod
    def parse(cls, text: str) -> PartialDate:
        """``1961``, ``1961-03`` or ``1961-03-07`` (ISO 8601). Raises ValueError."""
        found = re.fullmatch(r"([0-9]{4})(?:-([0-9]{2})(?:-([0-9]{2}))?)?", text.strip())
        if found is None:
            raise ValueError("not a date of the form 1961, 1961-03 or 1961-03-07")
        return cls(*(int(part) if part else None for part in found.groups()))  # type: ignore[arg-type]

    @classmethod
    def of(cls, day: date) -> PartialDate:
        """The whole of ``day``."""
        return cls(day.year, day.month, day.day)

    def agrees(self, other: PartialDate) -> bool:
        """Whether both may be the same day: no part that both know differs."""
        return all(
            a == b or a is None or b is None
            for a, b in zip(
                (self.year, self.month, self.day), (other.year, other.month, other.day), strict=True
            )
        )

    def __str__(self) -> str:
        parts = [f"{self.year:04}"]
        parts += [f"{part:02}" for part in (self.month, self.day) if part is not None]
        return "-".join(parts)
