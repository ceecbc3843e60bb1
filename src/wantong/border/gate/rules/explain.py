"""Why this route, why not the others, and what to ask next.

Explanations walk the same rules as :func:`.assess.assess`, but in words: every comparison of every rule with what
was given, what was assumed and what is missing.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from wantong.border.gate.rules import facts as fact_checks
from wantong.border.gate.rules import grammar
from wantong.border.gate.rules.assess import FRAME, Assessment, Engine, Known, decide, engine
from wantong.border.gate.rules.base import NEEDS_INFO, Fact, Rule, RuleBase
from wantong.border.gate.rules.compile import Compiled, Program
from wantong.border.gate.rules.witness import answers

Source = Literal["given", "assumed", "missing"]
Status = Literal[
    "chosen", "permitted", "undecided", "overruled", "excluded", "not_met", "not_in_force", "no_rule"
]


@dataclass(frozen=True, slots=True)
class Condition:
    """One comparison of a rule beside the fact as it stands.

    ``text`` is the comparison as the rule states it, ``expected`` its right side with parameters resolved, ``value``
    the fact's value (None if missing), ``holds`` the outcome (None if unknown).
    """

    text: str
    fact: str
    operator: str
    expected: bool | int | str | tuple[bool | int | str, ...]
    value: bool | int | str | None
    source: Source
    holds: bool | None


@dataclass(frozen=True, slots=True)
class RuleTrace:
    """A rule and how it came out. ``because`` holds the comparisons to which the outcome is due."""

    rule: Rule
    holds: bool | None
    in_force: bool
    reached: bool  # whether the selection came as far as this rule
    because: tuple[Condition, ...]

    def to_dict(self) -> dict[str, Any]:
        return {
            "rule_id": self.rule.id,
            "title": self.rule.title,
            "kind": self.rule.kind,
            "route": self.rule.route,
            "citations": list(self.rule.citations),
            "confidence": self.rule.confidence,
            "in_force": {
                "from": self.rule.period.start.isoformat(),
                "to": self.rule.period.end.isoformat() if self.rule.period.end else None,
            },
            "holds": self.holds,
            "reached": self.reached,
            "because": [
                {
                    "text": c.text,
                    "fact": c.fact,
                    "operator": c.operator,
                    "expected": list(c.expected) if isinstance(c.expected, tuple) else c.expected,
                    "value": c.value,
                    "source": c.source,
                    "holds": c.holds,
                }
                for c in self.because
            ],
        }


@dataclass(frozen=True, slots=True)
class RouteTrace:
    """What became of one route.

    ``chosen``: it is the answer. ``permitted``: also open. ``undecided``: hangs on missing facts. ``overruled``: its
    conditions hold, but a rule of higher priority decides. ``excluded``: it would be an option, but the deciding
    rule closes alternatives. ``not_met``: its conditions do not hold. ``not_in_force``: rules lead to it, on other
    days. ``no_rule``: for these two places no rule leads to it.
    """

    route: str
    status: Status
    rules: tuple[RuleTrace, ...]

    def to_dict(self) -> dict[str, Any]:
        return {"route": self.route, "status": self.status, "rules": [r.to_dict() for r in self.rules]}


@dataclass(frozen=True, slots=True)
class Explanation:
    """An assessment with its reasons. ``why`` is None where no rule decides (``needs_info``)."""

    assessment: Assessment
    why: RuleTrace | None
    also: tuple[RuleTrace, ...]  # options and duties that apply
    routes: tuple[RouteTrace, ...]  # every route of the rule base, the chosen one first

    @property
    def why_not(self) -> tuple[RouteTrace, ...]:
        """The routes that are neither chosen nor permitted, those for which rules exist first."""
        return tuple(r for r in self.routes if r.status not in ("chosen", "permitted"))

    def to_dict(self) -> dict[str, Any]:
        return {
            "assessment": self.assessment.to_dict(),
            "why": self.why.to_dict() if self.why else None,
            "also": [r.to_dict() for r in self.also],
            "routes": [r.to_dict() for r in self.routes],
        }


@dataclass(frozen=True, slots=True)
class Question:
    """A fact that is not known and could still change the answer.

    ``affects`` is ``route`` if the route can still change, else ``duties``. ``required``: without it there is no
    answer yet. ``default`` is what is assumed meanwhile (None: nothing). ``rules`` are the ids of the rules that
    hang on it.
    """

    fact: str
    type: str
    values: tuple[str, ...]
    default: bool | int | str | None
    required: bool
    affects: Literal["route", "duties"]
    rules: tuple[str, ...]


_ORDER: Mapping[Status, int] = {
    "chosen": 0, "permitted": 1, "undecided": 2, "overruled": 3, "excluded": 4, "not_met": 5, "not_in_force": 6,
    "no_rule": 7,
}  # fmt: skip


def explain(
    facts: Mapping[str, Any], on: dt.date | None = None, *, base: RuleBase | None = None
) -> Explanation:
    """The assessment of ``facts`` with its reasons. Arguments and errors as for :func:`.assess.assess`."""
    machine = engine(base)
    answer = machine.assess(facts, on)
    known = fact_checks.check(facts, machine.base)
    if answer.transfer_date is None or any(name not in known for name in FRAME[1:]):
        routes = tuple(RouteTrace(r, "undecided", ()) for r in machine.base.routes if r != NEEDS_INFO)
        return Explanation(answer, None, (), routes)
    return _Explainer(machine.base, known, answer, answer.transfer_date).explanation()


class _Explainer:
    def __init__(self, base: RuleBase, known: Mapping[str, Any], answer: Assessment, day: dt.date) -> None:
        self.base, self.given, self.answer, self.day = base, known, answer, day
        defaults = {name: f.default for name, f in base.facts.items() if f.default is not None}
        self.facts: Mapping[str, Any] = defaults | dict(known)
        self.pair = (known["from_jurisdiction"], known["to_jurisdiction"])

    def explanation(self) -> Explanation:
        rules = [r for r in self.base.rules if self.pair[0] in r.origins and self.pair[1] in r.destinations]
        decided_at: Rule | None = None
        if self.answer.primary_route != NEEDS_INFO:
            decided_at = self.base.by_id[self.answer.rule_ids[0]]
        traces = []
        reached = True
        for rule in rules:
            if not rule.decides:
                reached = True
            traces.append(self._trace(rule, reached))
            if rule is decided_at:
                reached = False
        why = next((t for t in traces if t.rule is decided_at), None) if decided_at else None
        also = tuple(t for t in traces if t is not why and t.rule.id in self.answer.rule_ids)
        routes = [self._route(route, traces) for route in self.base.routes if route != NEEDS_INFO]
        routes.sort(key=lambda r: _ORDER[r.status])
        return Explanation(self.answer, why, also, tuple(routes))

    def _trace(self, rule: Rule, reached: bool) -> RuleTrace:
        in_force = self.day in rule.period
        if not in_force:
            return RuleTrace(rule, None, False, False, ())
        holds = fact_checks.evaluate(rule.when, self.facts, self.base, self.day)
        return RuleTrace(rule, holds, True, reached, tuple(self._because(rule.when, holds)))

    def _because(self, tree: grammar.Expression, holds: bool | None) -> Iterator[Condition]:
        """The comparisons of ``tree`` to which its outcome is due: those that came out the same way."""
        for atom in grammar.atoms(grammar.negation_free(tree)):
            outcome = fact_checks.evaluate(atom, self.facts, self.base, self.day)
            if outcome is holds:
                yield self._condition(atom, outcome)

    def _condition(self, atom: grammar.Atom, holds: bool | None) -> Condition:
        def resolve(value: grammar.Value) -> bool | int | str:
            if isinstance(value, grammar.Parameter):
                return self.base.parameters[value.name].on(self.day) or 0
            return value

        value = atom.value
        source: Source = (
            "given" if atom.fact in self.given else "assumed" if atom.fact in self.facts else "missing"
        )
        return Condition(
            text=str(atom),
            fact=atom.fact,
            operator=atom.operator,
            expected=tuple(map(resolve, value)) if isinstance(value, tuple) else resolve(value),
            value=self.facts.get(atom.fact),
            source=source,
            holds=holds,
        )

    def _route(self, route: str, traces: Sequence[RuleTrace]) -> RouteTrace:
        mine = tuple(t for t in traces if t.rule.route == route)
        current = tuple(t for t in mine if t.in_force)
        status: Status
        if route == self.answer.primary_route:
            status = "chosen"
        elif route in self.answer.also_permitted:
            status = "permitted"
        elif not mine:
            status = "no_rule"
        elif not current:
            status = "not_in_force"
        elif self.answer.primary_route == NEEDS_INFO:
            status = "undecided" if any(t.holds is not False for t in current) else "not_met"
        elif any(t.holds is True and t.rule.kind == "option" for t in current):
            status = "excluded"
        elif any(t.holds is True for t in current):
            status = "overruled"
        elif any(t.holds is None for t in current):
            status = "undecided"
        else:
            status = "not_met"
        return RouteTrace(route, status, mine)


def next_questions(
    facts: Mapping[str, Any], on: dt.date | None = None, *, base: RuleBase | None = None
) -> tuple[Question, ...]:
    """The facts that are not known and could still change the answer, the most decisive first.

    Required facts come first, then those that can still change the route, then those that only change what comes
    with it; within each group the fact whose answer settles most rules on average. When the tuple is empty nothing
    that could be asked matters any more. Arguments and errors as for :func:`.assess.assess`.
    """
    machine = engine(base)
    answer = machine.assess(facts, on)
    known = fact_checks.check(facts, machine.base)
    if answer.transfer_date is None or any(name not in known for name in FRAME[1:]):
        lacking = [n for n in FRAME if n not in known and not (n == FRAME[0] and answer.transfer_date)]
        return tuple(_question(machine.base.facts[name], True, "route", ()) for name in lacking)
    return _Inquiry(machine, known, answer).questions()


def _question(
    fact: Fact, required: bool, affects: Literal["route", "duties"], rules: tuple[str, ...]
) -> Question:
    return Question(fact.name, fact.type, fact.values, fact.default, required, affects, rules)


class _Inquiry:
    """Ranks the open facts of one program by trying every answer to each."""

    def __init__(self, machine: Engine, known: Mapping[str, Any], answer: Assessment) -> None:
        self.machine, self.known, self.answer = machine, known, answer
        program = machine.program(known, answer.transfer_date)
        if program is None:
            raise ValueError("no program without day and places")
        self.program: Program = program
        self.bits = machine.encode(program, known)

    def questions(self) -> tuple[Question, ...]:
        program, facts = self.program, self.machine.base.facts
        verdict = decide(program, self.bits)
        others: tuple[Compiled, ...] = program.duties
        if verdict.decided is None:
            route_rules = program.deciding
        else:
            route_rules = program.deciding[: program.deciding.index(verdict.decided) + 1]
            others = tuple(c for c in others if c.rule.id not in verdict.decided.rule.excludes)
            if not verdict.decided.rule.closes_alternatives:
                others = program.options + others
        route_hangs = self._hangs(route_rules)
        other_hangs = self._hangs(others)
        listed = set(self.answer.missing_facts) | set(self.answer.assumptions_used)
        found: list[tuple[bool, bool, float, int, Question]] = []
        for name, mine in program.fact_bits.items():
            for_route = tuple(rule for rule, bits in route_hangs if bits & mine)
            for_others = tuple(rule for rule, bits in other_hangs if bits & mine)
            if name not in listed or name in self.known or not (for_route or for_others):
                continue
            fact = facts[name]
            open_ = self.answer.primary_route == NEEDS_INFO
            question = _question(
                fact,
                required=open_ and fact.default is None and bool(for_route),
                affects="route" if for_route else "duties",
                rules=for_route + for_others,
            )
            weight = self._settled(fact, route_rules, others)
            found.append((not question.required, question.affects != "route", -weight, len(found), question))
        return tuple(question for *_, question in sorted(found, key=lambda f: f[:4]))

    def _hangs(self, rules: Sequence[Compiled]) -> list[tuple[str, int]]:
        true, false, unknown = self.bits[:3]
        residuals = ((c.rule.id, c.residual(true, false, unknown)) for c in rules)
        return [(rule, bits) for rule, bits in residuals if bits > 0]

    def _settled(self, fact: Fact, route_rules: Sequence[Compiled], others: Sequence[Compiled]) -> float:
        """How many open rules an answer to ``fact`` settles on average; a deciding rule counts for ten others."""
        mine, encode = self.program.encoders[fact.name]
        outcomes = [encode(value) for value in answers(self.program, fact)]
        settled = 0.0
        for rules, worth in ((route_rules, 10), (others, 1)):
            open_now = len(self._hangs(rules))
            for true_bits in outcomes:
                known: Known = self.bits._replace(
                    true=self.bits.true | true_bits,
                    false=self.bits.false | (mine & ~true_bits),
                    unknown=self.bits.unknown & ~mine,
                )
                residuals = (c.residual(known.true, known.false, known.unknown) for c in rules)
                settled += worth * (open_now - sum(1 for r in residuals if r > 0)) / len(outcomes)
        return settled
