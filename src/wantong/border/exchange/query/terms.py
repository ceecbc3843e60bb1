"""What an agreement allows of a query service: how much, how often, until when, for what. Pure.

Read from the constraints of an ODRL agreement's permissions::

    count             lteq 1000                         answers in all
    https://w3id.org/wantong/callsPerDay  lteq 200      calls a day, the bay's days
    dateTime          lteq 2026-12-31T23:59:59+08:00    until when
    purpose           eq credit-check                   every call must name it

A term that is not understood is not kept by guessing: it ends the transfer.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from zoneinfo import ZoneInfo

from wantong.border.exchange.terms import CALLS_PER_DAY, DELIVERY, FIELDS, PURPOSE, REQUEST
from wantong.ground.clock import ZONE

# kept elsewhere: the gate's whitelist keeps fields and purpose, the gate's rules and the trust list place and receiver;
# request and delivery say where an agreement came from, and limit nothing
ELSEWHERE: Final = frozenset({FIELDS, PURPOSE, REQUEST, DELIVERY, "spatial", "recipient"})
_BAY = ZoneInfo(ZONE)


class NotKept(ValueError):
    """A constraint that a query service cannot keep; the text names it."""


@dataclass(frozen=True)
class Terms:
    """``total`` calls in all and ``per_day`` calls a day, 0 for no limit; from ``begins`` until before ``ends``, Unix
    seconds, 0 for no bound."""

    total: int = 0
    per_day: int = 0
    begins: int = 0
    ends: int = 0

    @staticmethod
    def of(policy: Mapping[str, Any]) -> Terms:
        """The terms of an agreement; of several limits on one thing the narrowest. Raises :class:`NotKept`."""
        total = per_day = begins = ends = 0
        for limit in _constraints(policy):
            left, operator, right = (
                limit.get("leftOperand"),
                limit.get("operator"),
                limit.get("rightOperand"),
            )
            match left, operator:
                case ("count", "lteq" | "lt" | "eq"):
                    total = _least(total, _number(left, right) - (operator == "lt"))
                case (operand, "lteq" | "lt" | "eq") if operand == CALLS_PER_DAY:
                    per_day = _least(per_day, _number(left, right) - (operator == "lt"))
                case ("dateTime", "lteq" | "lt"):
                    ends = _least(ends, _moment(right) + (operator == "lteq"))
                case ("dateTime", "gteq" | "gt"):
                    begins = max(begins, _moment(right) + (operator == "gt"))
                case _ if left not in ELSEWHERE:
                    raise NotKept(f"{left} {operator}")
        return Terms(total, per_day, begins, ends)

    def to_dict(self) -> dict[str, int]:
        return dict(self.__dict__)


def end_of_day(day: dt.date) -> int:
    """The first second after ``day`` in the bay."""
    return int(dt.datetime.combine(day + dt.timedelta(days=1), dt.time(), _BAY).timestamp())


def day_of(moment: float) -> int:
    """The bay's day of a Unix time, as a count of days."""
    # UTC+8 without summer time, as wantong.ground.clock says
    return int(moment + 8 * 3600) // 86400


def next_day(day: int) -> int:
    """The Unix time at which the day after ``day`` begins."""
    return (day + 1) * 86400 - 8 * 3600


def _constraints(policy: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    for rule in policy.get("permission", ()):
        for limit in rule.get("constraint", ()):
            if "leftOperand" not in limit:
                raise NotKept("a logical constraint")
            yield limit


def _least(known: int, found: int) -> int:
    return min(known, found) if known else found


def _number(left: Any, right: Any) -> int:
    value = right.get("@value") if isinstance(right, Mapping) else right
    try:
        number = int(str(value))
    except ValueError:
        raise NotKept(f"{left} of {str(value)[:40]}") from None
    if number < 1:
        raise NotKept(f"{left} of {number}")
    return number


def _moment(right: Any) -> int:
    value = str(right.get("@value") if isinstance(right, Mapping) else right)
    try:
        moment = dt.datetime.fromisoformat(value)
    except ValueError:
        raise NotKept(f"dateTime of {value[:40]}") from None
    if len(value) == 10:
        return end_of_day(moment.date()) - 1
    return int((moment if moment.tzinfo else moment.replace(tzinfo=_BAY)).timestamp())
