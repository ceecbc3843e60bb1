"""The same language read in the plainest way, straight from the JSON, as an oracle: slow, and without a shared line.

It knows the operands that :mod:`.drawing` draws, with values spelt out one by one.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

INSIDE = {
    "HK": ["HK", "GBA"], "MO": ["MO", "GBA"], "440400": ["440400", "GBA9", "CN-GD", "CN", "GBA"],
    "CN-GD": ["CN-GD", "CN"], "CN": ["CN"],
}  # fmt: skip
OVERLAP = {"CN-GD": ["440400", "GBA9", "GBA"], "CN": ["440400", "GBA9", "CN-GD", "GBA"]}
KIND_OF = {"traffic_planning": "planning", "grid_research": "research", "bank": "financial-institution"}
INCLUDED = {"read": "use", "distribute": "use", "display": "play", "play": "use", "sell": "transfer"}


def negate(answer: bool | None) -> bool | None:
    return None if answer is None else not answer


def any_of(answers: list[bool | None]) -> bool | None:
    if True in answers:
        return True
    return None if None in answers else False


def all_of(answers: list[bool | None]) -> bool | None:
    return negate(any_of([negate(answer) for answer in answers]))


def is_in(place: str, area: str) -> bool | None:
    if area not in (*INSIDE, "GBA", "GBA9"):
        return True if place == area else None
    if area in INSIDE[place]:
        return True
    return None if area in OVERLAP.get(place, []) else False


def is_kind(one: str, other: str) -> bool | None:
    if one == other or KIND_OF.get(one) == other:
        return True
    return None if ":" in other else False


def is_party(party: tuple[str, list[str] | None], other: str) -> bool | None:
    name, kinds = party
    if other in ("bank", "financial-institution", "public-body"):
        return None if kinds is None else any(is_kind(kind, other) for kind in kinds)
    return name == other


def atom(told: dict[str, Any], facts: dict[str, Any]) -> bool | None:
    left, operator, right = told["leftOperand"], told["operator"], told["rightOperand"]
    value = facts.get(left)
    if left in ("dateTime", "count", "elapsedTime"):
        if left == "dateTime":
            limit: Any = datetime.fromisoformat(right)
        elif left == "count":
            limit = int(right)
        else:
            if operator not in ("lt", "lteq", "term-lteq", "gt", "gteq"):
                return None
            limit = timedelta(days=int(right[1:-1]))
        if operator not in ("eq", "neq", "lt", "lteq", "gt", "gteq", "term-lteq") or value is None:
            return None
        return {
            "eq": value == limit, "neq": value != limit, "lt": value < limit, "lteq": value <= limit,
            "term-lteq": value <= limit, "gt": value > limit, "gteq": value >= limit,
        }[operator]  # fmt: skip
    if left == "https://w3id.org/wantong/field":
        if operator not in ("isAnyOf", "isNoneOf", "isAllOf") or value is None:
            return None
        listed = right if isinstance(right, list) else [right]
        if operator == "isAnyOf":
            return all(name in listed for name in value)
        if operator == "isNoneOf":
            return not any(name in listed for name in value)
        return all(name in value for name in listed)
    test = {"spatial": is_in, "purpose": is_kind, "recipient": is_party}.get(left)
    if test is None:
        return None
    if operator in ("isAnyOf", "isNoneOf"):
        many = right if isinstance(right, list) else [right]
    elif isinstance(right, str) and (
        operator in ("eq", "neq", "isA") or (operator == "isPartOf" and left != "purpose")
    ):
        many = [right]
    else:
        return None
    if value is None:
        return None
    found = any_of([test(value, one) for one in many])
    return negate(found) if operator in ("neq", "isNoneOf") else found


def constraint(told: dict[str, Any], facts: dict[str, Any]) -> bool | None:
    if "and" in told:
        return all_of([constraint(part, facts) for part in told["and"]])
    if "or" in told:
        return any_of([constraint(part, facts) for part in told["or"]])
    if "xone" in told:
        answers = [constraint(part, facts) for part in told["xone"]]
        if answers.count(True) > 1:
            return False
        return None if None in answers else answers.count(True) == 1
    if "andSequence" in told:
        for part in told["andSequence"]:
            answer = constraint(part, facts)
            if answer is not True:
                return answer
        return True
    return atom(told, facts)


def concerns(ruled: str, asked: str) -> bool:
    while asked != ruled:
        if asked not in INCLUDED:
            return False
        asked = INCLUDED[asked]
    return True


def decide(policy: dict[str, Any], action: str, target: str, who: str, facts: dict[str, Any]) -> bool | None:
    def rule(told: dict[str, Any]) -> bool | None:
        if not concerns(told["action"], action):
            return False
        answers = [constraint(one, facts) for one in told.get("constraint", [])]
        named = told.get("target", policy.get("target")), told.get("assignee", policy.get("assignee"))
        answers += [named[0] in (None, target), named[1] in (None, who)]
        return all_of(answers)

    barred = any_of([rule(one) for one in policy.get("prohibition", [])])
    granted = any_of([rule(one) for one in policy.get("permission", [])])
    return all_of([granted, negate(barred)])
