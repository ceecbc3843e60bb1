"""From a grant to the policy of an agreement, and back. Pure.

What was granted stands in the agreement as ODRL constraints: purpose and fields as everywhere in the exchange
(:mod:`wantong.border.exchange.terms`), the term as ``dateTime``, calls as ``count``, and, with names of our own since ODRL has
none, the way of delivery and the request that it came from.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from wantong.border.exchange import terms
from wantong.border.exchange.sharing.codes import QUERY
from wantong.border.exchange.sharing.request import Grant

REQUEST: Final = terms.REQUEST
DELIVERY: Final = terms.DELIVERY
TERM: Final = "dateTime"
COUNT: Final = "count"
# the bay's own time; it knows no summer time
ZONE: Final = dt.timezone(dt.timedelta(hours=8))


@dataclass(frozen=True)
class Contract:
    """What an agreement says of a request: empty where it says nothing."""

    request: str
    delivery: str
    until: dt.datetime | None


def offer(plain: Mapping[str, Any], request: str, grant: Grant) -> dict[str, Any]:
    """``plain``, an offer of the dataset, narrowed to ``grant``; purpose and fields are added when it is asked for."""
    limits = [
        terms.constraint(TERM, "lteq", end_of(grant.until).isoformat()),
        terms.constraint(DELIVERY, "eq", grant.delivery),
        terms.constraint(REQUEST, "eq", request),
    ]
    if grant.delivery == QUERY:
        limits.append({"leftOperand": COUNT, "operator": "lteq", "rightOperand": str(grant.volume)})
    rules = [dict(rule) for rule in plain.get("permission", ())]
    for rule in rules:
        rule["constraint"] = [*rule.get("constraint", ()), *limits]
    return {**plain, "permission": rules}


def read(policy: Mapping[str, Any]) -> Contract:
    """What ``policy`` says of a request."""
    said: dict[str, str] = {}
    for rule in policy.get("permission", ()):
        for limit in rule.get("constraint", ()):
            left, right = limit.get("leftOperand"), limit.get("rightOperand")
            if left in (REQUEST, DELIVERY, TERM) and isinstance(right, str):
                said.setdefault(left, right)
    return Contract(said.get(REQUEST, ""), said.get(DELIVERY, ""), _moment(said.get(TERM, "")))


def end_of(day: dt.date) -> dt.datetime:
    """The last second of a day in the bay."""
    return dt.datetime.combine(day, dt.time(23, 59, 59), tzinfo=ZONE)


def _moment(text: str) -> dt.datetime | None:
    try:
        return dt.datetime.fromisoformat(text)
    except ValueError:
        return None
