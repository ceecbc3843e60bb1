"""How a value of each type is compared: from an operator and a right operand, a test of the left one. Pure.

A test answers True, False or None. None is the answer wherever the comparison itself is open: a date without a time
zone that is now somewhere on earth and not elsewhere, a month against a number of days, an area that overlaps
another, a code of a list nobody here has. What cannot be read at all has no test (:class:`NotUnderstood`).

XML Schema's rules for times without a zone: https://www.w3.org/TR/xmlschema11-2/#dateTime (order is partial, ±14 h).
"""

from __future__ import annotations

import calendar
import math
import operator as op
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

from wantong.border.exchange.policies.model import Scalar, Truth
from wantong.border.exchange.policies.vocabulary import Tree

Test = Callable[[Any], Truth]
Right = Scalar | tuple[Scalar, ...]


class NotUnderstood(Exception):
    """``what`` (``operator`` or ``value``) of a constraint means nothing for its left operand."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


@dataclass(frozen=True, slots=True)
class Party:
    """Who receives: the participant's id and the kinds of body it is; ``kinds`` None: nobody has recorded them."""

    id: str
    kinds: frozenset[str] | None = None


def test(type_: str, operator: str, right: Right, tree: Tree | None = None) -> Test:
    """The test that ``operator right`` is for a left operand of ``type_``. Raises :class:`NotUnderstood`."""
    return _TYPES[type_](operator, right, tree)


# --- instants ---------------------------------------------------------------------------------------------------

_ZONE: Final = timedelta(hours=14)
_DATE = re.compile(r"(\d{4}-\d\d-\d\d)(Z|[+-]\d\d:\d\d)?", re.ASCII)
_DATETIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?", re.ASCII)


def _instant(operator: str, right: Right, tree: Tree | None) -> Test:
    spans = instants(right)
    compare = _INSTANTS.get(operator)
    if compare is None:
        raise NotUnderstood("operator")
    if len(spans) == 1:
        ((first, last),) = spans
        return lambda now: compare(now, first, last) if isinstance(now, datetime) else None

    def somewhere(now: object) -> Truth:
        if not isinstance(now, datetime):
            return None
        answers = {compare(now, first, last) for first, last in spans}
        return answers.pop() if len(answers) == 1 else None

    return somewhere


def instants(right: Right) -> tuple[tuple[datetime, datetime], ...]:
    """First and last instant that a date or a time means; two pairs, the earliest and the latest, without a zone.

    Raises :class:`NotUnderstood`.
    """
    if not isinstance(right, str):
        raise NotUnderstood("value")
    try:
        if match := _DATE.fullmatch(right):
            day = date.fromisoformat(match[1])
            first = datetime.combine(day, time(), _zone(match[2]))
            last = first + timedelta(days=1, microseconds=-1)
        elif _DATETIME.fullmatch(right):
            first = last = datetime.fromisoformat(right)
        else:
            raise NotUnderstood("value")
        if first.tzinfo is not None:
            return ((first.astimezone(UTC), last.astimezone(UTC)),)
        first, last = first.replace(tzinfo=UTC), last.replace(tzinfo=UTC)
        return ((first - _ZONE, last - _ZONE), (first + _ZONE, last + _ZONE))
    except (ValueError, OverflowError):
        raise NotUnderstood("value") from None


def _zone(text: str | None) -> Any:
    return datetime.fromisoformat(f"2000-01-01T00:00:00{text}").tzinfo if text else None


_INSTANTS: Final[Mapping[str, Callable[[datetime, datetime, datetime], bool]]] = {
    "eq": lambda now, first, last: first <= now <= last,
    "neq": lambda now, first, last: not first <= now <= last,
    "lt": lambda now, first, last: now < first,
    "lteq": lambda now, first, last: now <= last,
    "gt": lambda now, first, last: now > last,
    "gteq": lambda now, first, last: now >= first,
}

# --- durations --------------------------------------------------------------------------------------------------

_DURATION = re.compile(
    r"P(?!$)(?:(\d{1,4})Y)?(?:(\d{1,5})M)?(?:(\d{1,5})W)?(?:(\d{1,6})D)?"
    r"(?:T(?!$)(?:(\d{1,7})H)?(?:(\d{1,8})M)?(?:(\d{1,9})(?:\.\d+)?S)?)?",
    re.ASCII,
)
# what a run of so many months may be, in days, at the least and at the most; XML Schema, 3.3.6.2
_MONTH_DAYS: Final = (28, 31)


@dataclass(frozen=True, slots=True)
class Duration:
    """An ISO 8601 duration: months are no fixed number of days."""

    months: int
    rest: timedelta

    @staticmethod
    def read(text: object) -> Duration:
        """Raises :class:`NotUnderstood`."""
        match = _DURATION.fullmatch(text) if isinstance(text, str) else None
        if match is None:
            raise NotUnderstood("value")
        years, months, weeks, days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
        return Duration(
            12 * years + months,
            timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=seconds),
        )

    def after(self, start: datetime) -> datetime:
        """The instant so long after ``start``: months by the calendar, its last day where a month is shorter.

        What lies beyond the calendar's end is its end.
        """
        month = start.month - 1 + self.months
        year, month = start.year + month // 12, month % 12 + 1
        if year > 9998:
            return datetime.max.replace(tzinfo=UTC)
        day = min(start.day, calendar.monthrange(year, month)[1])
        try:
            return start.replace(year=year, month=month, day=day) + self.rest
        except OverflowError:
            return datetime.max.replace(tzinfo=UTC)

    @property
    def bounds(self) -> tuple[timedelta, timedelta]:
        """The least and the most that it may be."""
        least, most = (timedelta(days=days * self.months) for days in _MONTH_DAYS)
        return least + self.rest, most + self.rest


@dataclass(frozen=True, slots=True)
class Since:
    """A time that runs: from ``start`` until ``now``."""

    start: datetime
    now: datetime


def _duration(operator: str, right: Right, tree: Tree | None) -> Test:
    told = Duration.read(right)
    compare = _NUMBERS.get(operator) if operator not in ("eq", "neq") else None
    if compare is None:
        raise NotUnderstood("operator")
    least, most = told.bounds

    def lasted(value: object) -> Truth:
        if isinstance(value, Since):
            return compare(value.now, told.after(value.start))
        if isinstance(value, timedelta):
            low, high = compare(value, least), compare(value, most)
            return low if low == high else None
        return None

    return lasted


# --- numbers ----------------------------------------------------------------------------------------------------

_NUMBERS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "eq": op.eq,
    "neq": op.ne,
    "lt": op.lt,
    "lteq": op.le,
    "gt": op.gt,
    "gteq": op.ge,
}


def _number(operator: str, right: Right, tree: Tree | None) -> Test:
    limit = _as_number(right)
    compare = _NUMBERS.get(operator)
    if compare is None:
        raise NotUnderstood("operator")
    return lambda value: compare(value, limit) if type(value) in (int, float) else None


def _as_number(right: Right) -> int | float:
    if isinstance(right, str) and re.fullmatch(r"[+-]?\d{1,18}(\.\d{1,18})?", right, re.ASCII):
        return float(right) if "." in right else int(right)
    if type(right) in (int, float) and math.isfinite(right):  # type: ignore[arg-type]
        return right  # type: ignore[return-value]
    raise NotUnderstood("value")


# --- codes, areas, parties, sets --------------------------------------------------------------------------------


def _code(operator: str, right: Right, tree: Tree | None) -> Test:
    """One code; one that is a kind of another is that other too."""

    def one(said: str) -> Test:
        # a word of somebody else's list: whether ours is a kind of it is not known
        foreign = ":" in said and (tree is None or tree.code(said) not in tree.broader)

        def check(value: str) -> Truth:
            if value == said:
                return True
            if foreign:
                return None
            return tree is not None and tree.lies_in(value, said) is True

        return check

    return _among(operator, right, one, str)


def _region(operator: str, right: Right, tree: Tree | None) -> Test:
    assert tree is not None
    areas = tree

    def one(said: str) -> Test:
        return lambda value: areas.lies_in(value, said)

    return _among("eq" if operator == "isPartOf" else operator, right, one, str)


_PARTICIPANT = re.compile(
    r"did:[a-z0-9]+:\S+|urn:\S+|[a-z0-9-]+(\.[a-z0-9-]+)+(:\d+)?", re.ASCII | re.IGNORECASE
)


def _party(operator: str, right: Right, tree: Tree | None) -> Test:
    """A participant by its id, or a kind of body."""
    assert tree is not None
    kinds = tree

    def one(said: str) -> Test:
        kind = kinds.code(said)
        if kind in kinds.broader:

            def is_kind(value: Party) -> Truth:
                if value.kinds is None:
                    return None
                return any(kind in kinds.broader.get(own, ()) for own in value.kinds)

            return is_kind
        known = _PARTICIPANT.fullmatch(said) is not None
        return lambda value: True if value.id == said else (False if known else None)

    return _among("eq" if operator == "isPartOf" else operator, right, one, Party)


def _among(operator: str, right: Right, one: Callable[[str], Test], type_: type) -> Test:
    """``eq``/``isA`` one, ``isAnyOf`` several, and their opposites, where ``one`` tests against a single value."""
    if operator in ("eq", "isA", "neq"):
        if not isinstance(right, str) or not right:
            raise NotUnderstood("value")
        tests = [one(right)]
    elif operator in ("isAnyOf", "isNoneOf"):
        tests = [one(said) for said in _texts(right)]
    else:
        raise NotUnderstood("operator")
    negated = operator in ("neq", "isNoneOf")

    def check(value: object) -> Truth:
        if not isinstance(value, type_):
            return None
        found: Truth = False
        for single in tests:
            answer = single(value)
            if answer:
                return not negated
            if answer is None:
                found = None
        return found if found is None else negated

    return check


def _names(operator: str, right: Right, tree: Tree | None) -> Test:
    """A set of names, such as columns: ``isAnyOf``/``isPartOf`` each of them is one of those told."""
    told = frozenset(_texts(right))
    compare = _SETS.get(operator)
    if compare is None:
        raise NotUnderstood("operator")
    return lambda value: compare(value, told) if isinstance(value, frozenset) else None


_SETS: Final[Mapping[str, Callable[[frozenset[str], frozenset[str]], bool]]] = {
    "eq": op.eq,
    "neq": op.ne,
    "isAnyOf": op.le,
    "isPartOf": op.le,
    "isNoneOf": lambda value, told: value.isdisjoint(told),
    "isAllOf": op.ge,
    "hasPart": op.ge,
}


def _texts(right: Right) -> tuple[str, ...]:
    found = right if isinstance(right, tuple) else (right,)
    if not found or not all(isinstance(one, str) and one for one in found):
        raise NotUnderstood("value")
    return tuple(str(one) for one in found)


_TYPES: Final[Mapping[str, Callable[[str, Right, Tree | None], Test]]] = {
    "instant": _instant,
    "duration": _duration,
    "number": _number,
    "code": _code,
    "region": _region,
    "party": _party,
    "names": _names,
}
