"""Working days against an independent list of holidays, and terms over the awkward weeks."""

from __future__ import annotations

import datetime as dt

import holidays
import pytest

from wantong.border.gate.rules import RuleBase
from wantong.border.gate.rules.calendars import Calendar, add_months

CALENDARS = RuleBase.load().calendars
YEARS = (2024, 2025, 2026)
OTHERS = {
    "gd": [holidays.country_holidays("CN", years=YEARS)],
    "hk": [holidays.country_holidays("HK", years=YEARS, categories=("public", "optional"))],
    # half days before the two New Years count as worked with us; Good Friday the package calls optional
    "mo": [
        holidays.country_holidays(
            "MO", years=YEARS, categories=("public", "government", "optional"), language="en_US"
        )
    ],
}


@pytest.mark.parametrize("place", ["gd", "hk", "mo"])
def test_every_day_of_three_years_agrees_with_the_holidays_package(place: str) -> None:
    calendar = CALENDARS[place]
    (other,) = OTHERS[place]
    day = dt.date(2024, 1, 1)
    while day.year <= 2026:
        closed = day in other and "Afternoon" not in other[day]
        swapped = place == "gd" and day in other.weekend_workdays
        assert calendar.is_working_day(day) is (swapped or (day.weekday() < 5 and not closed)), day
        day += dt.timedelta(1)


def test_a_calendar_knows_nothing_outside_its_years() -> None:
    calendar = CALENDARS["hk"]
    assert calendar.is_working_day(dt.date(2027, 1, 4)) is None
    assert calendar.add_working_days(dt.date(2026, 12, 31), 1) is None
    assert calendar.add_working_days(dt.date(2026, 12, 24), 5) is None  # 25 and 26 closed, then 28 to 31
    assert calendar.add_working_days(dt.date(2026, 12, 24), 4) == dt.date(2026, 12, 31)
    assert calendar.add_working_days(dt.date(9999, 12, 31), 10) is None
    assert calendar.add_working_days(dt.date(2023, 12, 30), 1) is None
    assert calendar.add_working_days(dt.date(2023, 12, 31), 1) == dt.date(2024, 1, 2)


def test_the_day_itself_is_not_counted_and_worked_weekends_are() -> None:
    gd, hk = CALENDARS["gd"], CALENDARS["hk"]
    assert gd.add_working_days(dt.date(2026, 2, 13), 1) == dt.date(
        2026, 2, 14
    )  # a Saturday worked in exchange
    assert hk.add_working_days(dt.date(2026, 2, 13), 1) == dt.date(2026, 2, 16)
    assert gd.add_working_days(dt.date(2026, 2, 14), 1) == dt.date(2026, 2, 24)
    assert gd.add_working_days(dt.date(2026, 5, 6), 0) == dt.date(2026, 5, 6)


def test_years_without_a_gap() -> None:
    with pytest.raises(ValueError, match="gap"):
        Calendar.from_data("xx", {"source": "none", "years": {2024: {}, 2026: {}}})


@pytest.mark.parametrize(
    ("start", "count", "end"),
    [
        ("2026-01-31", 1, "2026-02-28"),
        ("2024-01-31", 1, "2024-02-29"),
        ("2026-11-30", 3, "2027-02-28"),
        ("2026-12-15", 1, "2027-01-15"),
        ("2026-06-15", 24, "2028-06-15"),
        ("9999-11-30", 1, "9999-12-30"),
    ],
)
def test_months(start: str, count: int, end: str) -> None:
    assert add_months(dt.date.fromisoformat(start), count) == dt.date.fromisoformat(end)


def test_months_beyond_the_calendar() -> None:
    assert add_months(dt.date(9999, 12, 1), 1) is None
