"""Small wrongs done to a rule base, one at a time: would any case notice?"""

from __future__ import annotations

import dataclasses
import datetime as dt
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from wantong.border.gate.rules import RuleBase, grammar
from wantong.border.gate.rules.assess import Engine
from wantong.border.gate.rules.base import Period, Rule
from wantong.border.gate.rules.cases import failures
from wantong.border.gate.rules.witness import find

DAY = dt.timedelta(days=1)
_TOKENS = re.compile(r"'[^']*'|[A-Za-z0-9_]+|[<>=!]=|[<>]|[()\[\],]")
_OPERATORS = {
    "==": ["!="], "!=": ["=="], "<": ["<=", ">="], ">=": [">", "<"], ">": [">=", "<="], "<=": ["<", ">"],
    "and": ["or"], "or": ["and"], "true": ["false"], "false": ["true"],
}  # fmt: skip


class Mutant(NamedTuple):
    """``rule`` is the wronged rule, None if it is deleted; ``of`` the right one."""

    kind: str
    text: str
    of: Rule
    rule: Rule | None


def tokens_of(source: str) -> list[str]:
    return _TOKENS.findall(source)


def token_mutants(base: RuleBase, rule: Rule) -> Iterator[Mutant]:
    """One token of the condition exchanged for another that the grammar and the fact table still accept."""
    tokens = tokens_of(rule.source)
    seen = {str(rule.when)}
    fact = None
    for i, token in enumerate(tokens):
        if token in base.facts:
            fact = base.facts[token]
        others = list(_OPERATORS.get(token, []))
        if re.fullmatch(r"[0-9]+", token):
            others = [str(int(token) + 1), str(max(0, int(token) - 1))]
        elif token in base.parameters:
            others = [p for p in base.parameters if p != token][:2]
        elif token.startswith("'") and fact is not None:
            at = fact.values.index(token[1:-1])
            others = [f"'{fact.values[(at + 1) % len(fact.values)]}'"]
        elif token == "not":
            others = [""]
        for other in others:
            source = " ".join([*tokens[:i], other, *tokens[i + 1 :]])
            try:
                when = grammar.parse(source, base.facts, set(base.parameters))
            except grammar.ExpressionError:
                continue
            if str(when) in seen or not figures_hold(base, when, rule.period.start):
                continue
            seen.add(str(when))
            yield Mutant("token", source, rule, dataclasses.replace(rule, when=when, source=source))


def figures_hold(base: RuleBase, when: grammar.Expression, day: dt.date) -> bool:
    """Whether every figure in ``when`` has a value on ``day``: else the base would not load."""
    values = [v for a in grammar.atoms(when) for v in (a.value if isinstance(a.value, tuple) else (a.value,))]
    return all(
        base.parameters[v.name].on(day) is not None for v in values if isinstance(v, grammar.Parameter)
    )


def other_mutants(base: RuleBase, rule: Rule, below: Rule | None) -> Iterator[Mutant]:
    """Everything but the condition: existence, route, rank, days, places, lists, confidence, flags, term."""

    def but(kind: str, text: str, **changes: Any) -> Mutant:
        return Mutant(kind, text, rule, dataclasses.replace(rule, **changes))

    yield Mutant("deletion", "", rule, None)
    if rule.route is not None:
        routes = [r for r in base.routes if r not in (rule.route, "needs_info")]
        yield but("route", routes[0], route=routes[0])
    if rule.decides:  # elsewhere confidence is told, but changes no answer
        yield but("confidence", "", confidence="high" if rule.confidence == "low" else "low")
    if below is not None:
        yield but("priority", f"under {below.id}", priority=below.priority - 1)
    start, end = rule.period.start, rule.period.end
    yield but("date", "begins a day later", period=Period(min(start, dt.date.max - DAY) + DAY, end))
    if figures_hold(base, rule.when, start - DAY):
        yield but("date", "begins a day earlier", period=Period(start - DAY, end))
    if end is not None:
        yield but("date", "ends a day later", period=Period(start, end + DAY))
        yield but("date", "ends a day earlier", period=Period(start, end - DAY))
    for name in ("origins", "destinations"):
        for place in sorted(getattr(rule, name)):
            yield but("place", f"{name} without {place}", **{name: getattr(rule, name) - {place}})
    if rule.kind == "option":
        return  # an option adds its route and its citations to an answer; the rest of it is told by explain()
    for name in ("before", "obligations", "authorities"):
        items = getattr(rule, name)
        for i, item in enumerate(items):
            yield but("list", f"{name} without {item}", **{name: items[:i] + items[i + 1 :]})
    if rule.deadline is not None:
        yield but("deadline", "", deadline=None)
        if rule.deadline.amount is not None:
            more = dataclasses.replace(rule.deadline, amount=11)
            yield but("deadline", "another number", deadline=more)
        for place in rule.deadline.places:
            less = tuple(p for p in rule.deadline.places if p != place)
            yield but("deadline", f"not {place}", deadline=dataclasses.replace(rule.deadline, places=less))
    if rule.decides and any(
        o.kind == "option" and o.origins & rule.origins and o.destinations & rule.destinations
        and o.period.overlaps(rule.period) for o in base.rules
    ):  # fmt: skip
        yield but("closes", "", closes_alternatives=not rule.closes_alternatives)
    for other in sorted(rule.excludes):
        yield but("excludes", f"not {other}", excludes=rule.excludes - {other})


def mutants(base: RuleBase) -> Iterator[Mutant]:
    for i, rule in enumerate(base.rules):
        below = next(
            (
                r for r in base.rules[i + 1 :]
                if r.decides and r.route != rule.route and r.origins & rule.origins
                and r.destinations & rule.destinations and r.period.overlaps(rule.period)
            ),
            None,
        ) if rule.decides else None  # fmt: skip
        yield from token_mutants(base, rule)
        yield from other_mutants(base, rule, below)


def without_effect(base: RuleBase, mutant: Mutant) -> bool:
    """Whether no facts at all tell a list, an exclusion or a closure from its mutant: proved by search, never guessed."""
    rule, wrong = mutant.of, mutant.rule
    if wrong is None or mutant.kind not in ("list", "excludes", "closes"):
        return False
    engine = Engine(base)
    for origin in rule.origins:
        for destination in rule.destinations:
            for day in (d for d in base.boundaries if d in rule.period):
                program = engine.programs.on(day, origin, destination)
                here = {c.rule.id: c for c in (*program.deciding, *program.duties)}
                compiled = here[rule.id]
                above = program.deciding[: program.deciding.index(compiled)] if rule.decides else ()
                if mutant.kind == "closes":
                    if any(find(program, [compiled, option], above) for option in program.options):
                        return False
                    continue
                if mutant.kind == "excludes":
                    gone = here.get(next(iter(rule.excludes - wrong.excludes)))
                    if gone and find(program, [compiled, gone], above) is not None:
                        return False
                    continue
                name = next(
                    n
                    for n in ("before", "obligations", "authorities")
                    if getattr(rule, n) != getattr(wrong, n)
                )
                item = next(i for i in getattr(rule, name) if i not in getattr(wrong, name))
                also = [
                    c for c in program.duties
                    if c.rule is not rule and c.rule.id not in rule.excludes and item in getattr(c.rule, name)
                ]  # fmt: skip
                if find(program, [compiled], [*above, *also]) is not None:
                    return False
    return True


def wronged(base: RuleBase, mutant: Mutant) -> RuleBase:
    rules = [mutant.rule if r is mutant.of else r for r in base.rules if r is not mutant.of or mutant.rule]
    rules.sort(key=lambda r: (not r.decides, -r.priority))
    return dataclasses.replace(base, rules=tuple(rules))


class Jury:
    """The cases, those that bring a rule about first: most wrongs are seen at once."""

    def __init__(self, base: RuleBase, cases: Sequence[Mapping[str, Any]]) -> None:
        self.base = base
        engine = Engine(base)
        self.cases = [(case, frozenset(engine.assess(case["facts"]).rule_ids)) for case in cases]

    def notices(self, mutant: Mutant) -> bool:
        engine = Engine(wronged(self.base, mutant))
        rule = mutant.of
        cases = [
            (rule.id not in fired, i, case)
            for i, (case, fired) in enumerate(self.cases)
            if case["facts"]["from_jurisdiction"] in rule.origins
            and case["facts"]["to_jurisdiction"] in rule.destinations
        ]
        return any(
            failures(case, engine.assess(case["facts"]).to_dict())
            for *_, case in sorted(cases, key=lambda c: c[:2])
        )
