"""The machine readable zone of travel documents (ICAO Doc 9303, parts 3 to 6): fields and check digits."""

from __future__ import annotations

import re
from dataclasses import dataclass

from wantong.border.trust.documents.dates import PartialDate
from wantong.border.trust.documents.numbers import mrz_check_digit

WIDTHS = {88: 44, 44: 44, 72: 36, 36: 36, 90: 30}
"""Characters of a zone (or of its line with the dates), and of one line."""


@dataclass(frozen=True)
class Zone:
    """What a zone says, unchecked. Dates are ``YYMMDD`` as printed; ``checks`` are pairs of a field and its digit."""

    number: str
    nationality: str
    issuer: str
    birth: str
    sex: str
    expiry: str
    checks: tuple[tuple[str, str], ...]

    @property
    def wrong(self) -> int:
        """How many check digits do not agree with their fields."""
        return sum(not _agrees(field, digit) for field, digit in self.checks)

    def born(self, today_year: int) -> PartialDate | None:
        """The date of birth as far as it is told; its century is the last in which it is not ahead of ``today_year``."""
        return _date(self.birth, today_year)

    def expires(self, today_year: int) -> PartialDate | None:
        """The day of expiry: within fifty years of ``today_year``."""
        return _date(self.expiry, today_year + 50)


def read(text: str) -> Zone | None:
    """The zone in ``text``, its lines joined; None if it is not as long as one of the forms."""
    width = WIDTHS.get(len(text))
    if width is None:
        return None
    if width == 30:
        return _td1(text[:30], text[30:60])
    upper, line = (text[:width], text[width:]) if len(text) > width else ("", text)
    number, optional = line[:9], line[28 : width - 2 if width == 44 else width - 1]
    composite = line[:10] + line[13:20] + line[21 : width - 1]
    checks = [(number, line[9]), (line[13:19], line[19]), (line[21:27], line[27])]
    if width == 44:
        checks.append((optional, line[42]))
    checks.append((composite, line[-1]))
    issuer = upper[2:5].replace("<", "")
    return Zone(
        number.replace("<", ""), line[10:13].replace("<", ""), issuer, line[13:19], line[20], line[21:27],
        tuple(checks),
    )  # fmt: skip


def _td1(first: str, second: str) -> Zone:
    number, digit = first[5:14], first[14]
    if digit == "<":  # a longer number goes on in the optional data, its check digit last (part 5, note j)
        rest = first[15:30].split("<")[0]
        number, digit = number + rest[:-1], rest[-1:] or "<"
    composite = first[5:30] + second[:7] + second[8:15] + second[18:29]
    checks = ((number, digit), (second[:6], second[6]), (second[8:14], second[14]), (composite, second[29]))
    return Zone(
        number.replace("<", ""), second[15:18].replace("<", ""), first[2:5].replace("<", ""), second[:6], second[7],
        second[8:14], checks,
    )  # fmt: skip


def _agrees(field: str, digit: str) -> bool:
    if digit == "<" and set(field) <= {"<"}:
        return True  # an empty optional field may leave its check digit out
    return digit.isdigit() and mrz_check_digit(field) == int(digit)


def _date(text: str, latest: int) -> PartialDate | None:
    """``YYMMDD`` in the last year of these two digits up to ``latest``; month or day may be unknown (``<<``)."""
    found = re.fullmatch(r"([0-9]{2})([0-9]{2}|<<)([0-9]{2}|<<)", text)
    if found is None:
        return None
    year = latest - (latest - int(found[1])) % 100
    month, day = (None if part == "<<" else int(part) for part in found.groups()[1:])
    try:
        return PartialDate(year, month, day if month is not None else None)
    except ValueError:
        return None
