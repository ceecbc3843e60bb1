"""Offers and agreements: ODRL policies as the Dataspace Protocol profiles them.

A dataset's *offer* says what may be done with it. A *request* takes an offer and adds for what (``purpose``) and
which fields; it may narrow the offer, never widen it. The *agreement* is the request, signed off by both.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

Policy = dict[str, Any]

PURPOSE: Final = "purpose"
# which columns; no ODRL term exists for it
FIELDS: Final = "https://w3id.org/wantong/field"
# the request (see the package sharing) that an agreement was made for, and how its data is delivered: kept there, in
# exchange.supply, not by whoever evaluates the policy of a single transfer
REQUEST: Final = "https://w3id.org/wantong/request"
DELIVERY: Final = "https://w3id.org/wantong/delivery"
# calls of a query service on one day
CALLS_PER_DAY: Final = "https://w3id.org/wantong/callsPerDay"
RULES: Final = ("permission", "prohibition", "obligation")


def constraint(left: str, operator: str, right: str | list[str]) -> dict[str, Any]:
    """An atomic ODRL constraint."""
    return {"leftOperand": left, "operator": operator, "rightOperand": right}


def offer(identifier: str, rules: Mapping[str, Any] | None = None) -> Policy:
    """An offer for a catalogue (without target); without ``rules`` it permits use and asks nothing."""
    chosen = {name: list(rules[name]) for name in RULES if rules and rules.get(name)}
    if not chosen.get("permission") and not chosen.get("prohibition"):
        chosen["permission"] = [{"action": "use"}]
    return {"@id": identifier, "@type": "Offer", **chosen}


def request(offered: Mapping[str, Any], target: str, purpose: str, fields: Sequence[str] = ()) -> Policy:
    """``offered`` as a consumer asks for it: with its target, his purpose and, if not all, the fields he needs."""
    wish = [constraint(PURPOSE, "eq", purpose)] if purpose else []
    if fields:
        wish.append(constraint(FIELDS, "isAnyOf", list(fields)))
    asked = {name: [dict(rule) for rule in offered[name]] for name in RULES if offered.get(name)}
    for rule in asked.get("permission", ()):
        if wish:
            rule["constraint"] = [*rule.get("constraint", ()), *wish]
    return {"@id": offered["@id"], "@type": "Offer", "target": target, **asked}


def agreement(
    identifier: str, asked: Mapping[str, Any], *, target: str, assigner: str, assignee: str, at: datetime
) -> Policy:
    """The agreement on what was ``asked``."""
    return {
        "@id": identifier,
        "@type": "Agreement",
        "target": target,
        "assigner": assigner,
        "assignee": assignee,
        "timestamp": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        **{name: asked[name] for name in RULES if asked.get(name)},
    }


def within(asked: Mapping[str, Any], offered: Mapping[str, Any]) -> bool:
    """Whether ``asked`` takes no more than ``offered`` gives.

    Every permission must be an offered one with at least its constraints, and every prohibition and obligation must
    still be there. Constraints on top only narrow. Logical constraints are compared as they are written.
    """
    given = [_rule(rule) for rule in offered.get("permission", ())]
    for rule in asked.get("permission", ()):
        action, limits, rest = _rule(rule)
        if not any(action == a and rest == r and limits >= needed for a, needed, r in given):
            return False
    return all(
        {_rule(rule) for rule in offered.get(name, ())} <= {_rule(rule) for rule in asked.get(name, ())}
        for name in ("prohibition", "obligation")
    )


def same(one: Mapping[str, Any], another: Mapping[str, Any]) -> bool:
    """Whether two policies hold the same rules, whatever their ids and order."""
    return all(
        sorted(map(repr, map(_rule, one.get(name, ()))))
        == sorted(map(repr, map(_rule, another.get(name, ()))))
        for name in RULES
    )


def purpose_of(policy: Mapping[str, Any]) -> str:
    """The purpose a request or agreement names, or an empty string."""
    return named(policy, PURPOSE)


def named(policy: Mapping[str, Any], left: str) -> str:
    """What a permission says that ``left`` is, or an empty string."""
    return next((str(right) for right in _operands(policy, left, "eq") if isinstance(right, str)), "")


def fields_of(policy: Mapping[str, Any]) -> list[str]:
    """The fields it is limited to; empty if it is not."""
    return next(
        (
            [str(name) for name in right]
            for right in _operands(policy, FIELDS, "isAnyOf")
            if isinstance(right, list)
        ),
        [],
    )


def _operands(policy: Mapping[str, Any], left: str, operator: str) -> Iterable[Any]:
    for rule in policy.get("permission", ()):
        for limit in rule.get("constraint", ()):
            if limit.get("leftOperand") == left and limit.get("operator") == operator:
                yield limit.get("rightOperand")


def _rule(rule: Mapping[str, Any]) -> tuple[str, frozenset[str], str]:
    limits = frozenset(map(_text, rule.get("constraint", ())))
    rest = {name: value for name, value in rule.items() if name not in ("action", "constraint")}
    return str(rule["action"]), limits, _text(rest)


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
