"""The rules translated to Cedar policies by machine, as an oracle: on complete facts both must find the same."""

from __future__ import annotations

import random
from typing import Any

import cedarpy
import pytest

from wantong.border.gate.rules import assess, grammar
from wantong.border.gate.rules.base import Rule

from .sheets import BASE, PAIRS, complete

SAMPLES = 1_200


def spelled(value: Any, day: Any) -> str:
    if isinstance(value, grammar.Parameter):
        return str(BASE.parameters[value.name].on(day))
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int) else f'"{value}"'


def cedar(tree: grammar.Expression, day: Any) -> str:
    """``tree`` as a Cedar expression; written from the grammar's tree, not from the compiled form under test."""
    match tree:
        case grammar.Atom(fact, "in", tuple(values)):
            return f"[{', '.join(spelled(v, day) for v in values)}].contains(context.{fact})"
        case grammar.Atom(fact, operator, value):
            return f"context.{fact} {operator} {spelled(value, day)}"
        case grammar.Not(operand):
            return f"!({cedar(operand, day)})"
        case grammar.And(operands):
            return " && ".join(f"({cedar(o, day)})" for o in operands)
        case grammar.Or(operands):
            return " || ".join(f"({cedar(o, day)})" for o in operands)
    raise AssertionError(tree)


class Oracle:
    """The rules of one pair and day as one permit policy each; Cedar says which are satisfied."""

    def __init__(self, rules: tuple[Rule, ...], day: Any) -> None:
        self.rules = rules
        source = "\n".join(
            f"permit(principal, action, resource) when {{ {cedar(r.when, day)} }};" for r in rules
        )
        self.policies = (
            cedarpy.PolicySet.from_str(source) if hasattr(cedarpy.PolicySet, "from_str") else source
        )

    def satisfied(self, facts: dict[str, Any]) -> list[Rule]:
        request = {
            "principal": 'Sender::"a"', "action": 'Action::"send"', "resource": 'Data::"d"',
            "context": {name: value for name, value in facts.items() if name != "transfer_date"},
        }  # fmt: skip
        result = cedarpy.is_authorized(request, self.policies, [])
        assert result.diagnostics.errors == []
        found = {int(reason.removeprefix("policy")) for reason in result.diagnostics.reasons}
        return [rule for i, rule in enumerate(self.rules) if i in found]


@pytest.mark.parametrize("pair", PAIRS, ids=lambda p: f"{p[0]}-{p[1]}")
def test_cedar_finds_the_same_rules_and_the_same_route(pair: tuple[str, str]) -> None:
    chance = random.Random(repr(pair))
    oracles: dict[tuple[str, ...], Oracle] = {}
    for _ in range(SAMPLES // len(PAIRS)):
        facts = complete(chance)
        while (facts["from_jurisdiction"], facts["to_jurisdiction"]) != pair:
            facts = complete(chance)
        day = facts["transfer_date"]
        rules = tuple(
            r for r in BASE.rules if pair[0] in r.origins and pair[1] in r.destinations and day in r.period
        )
        ids = tuple(r.id for r in rules)
        oracle = oracles.get(ids) or oracles.setdefault(ids, Oracle(rules, day))
        true = oracle.satisfied(facts)
        answer = assess(facts)
        decided = min(
            (r for r in true if r.kind not in ("option", "duty")), key=lambda r: (-r.priority, rules.index(r))
        )
        duties = [r.id for r in true if r.kind == "duty" and r.id not in decided.excludes]
        options = [r for r in true if r.kind == "option" and not decided.closes_alternatives]
        assert answer.primary_route == decided.route, facts
        assert list(answer.rule_ids) == [decided.id, *duties, *(o.id for o in options)], facts
        assert set(answer.also_permitted) == {o.route for o in options}
