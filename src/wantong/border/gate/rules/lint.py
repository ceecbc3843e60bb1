"""What a careful reader would object to in a rule base that loads: ``wantong rules check``.

Loading already refuses what cannot be understood. The findings here are about what can be understood and is still
wrong or weak: rules that can never decide, rules that contradict each other, cases without an answer, thin sources.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, groupby
from typing import Literal

from wantong.border.gate.rules import grammar
from wantong.border.gate.rules.assess import Engine, engine
from wantong.border.gate.rules.base import Rule, RuleBase
from wantong.border.gate.rules.cases import failures
from wantong.border.gate.rules.compile import Compiled, Program
from wantong.border.gate.rules.witness import find
from wantong.ground.problems import Problem

Severity = Literal["error", "warning", "note"]
_RANK = {"error": 0, "warning": 1, "note": 2}
_THIN = frozenset({"none", "secondary"})  # grades of reading that cannot carry high confidence


@dataclass(frozen=True, slots=True)
class Finding:
    """One objection. ``kind`` is stable; ``subject`` is the id of the rule, document, … it is about."""

    severity: Severity
    kind: str
    subject: str
    text: str

    def to_dict(self) -> dict[str, str]:
        return {"severity": self.severity, "kind": self.kind, "subject": self.subject, "text": self.text}


def check(base: RuleBase) -> tuple[Finding, ...]:
    """Every finding on ``base``, errors first."""
    parts = (logic(base), sources(base), references(base), cases(base))
    found = dict.fromkeys(finding for part in parts for finding in part)
    return tuple(sorted(found, key=lambda f: (_RANK[f.severity], f.kind, f.subject)))


def document_of(citation: str) -> str:
    """The id of the document that ``citation`` begins with: ``PROV`` for ``PROV 5(1)(1)``."""
    return citation.replace(";", " ").replace(",", " ").split()[0] if citation.strip() else ""


def _programs(machine: Engine) -> Iterator[Program]:
    """Every program of the base: each pair of places on the first day of each state of the law."""
    base = machine.base
    for origin in base.facts["from_jurisdiction"].values:
        for destination in base.facts["to_jurisdiction"].values:
            for day in base.boundaries:
                if base.in_force(day, origin, destination):
                    yield machine.programs.on(day, origin, destination)


def logic(base: RuleBase) -> Iterator[Finding]:
    """Rules that can never hold or decide, rules that disagree, facts without an answer; by search over all facts."""
    machine = engine(base)
    can_hold: set[str] = set()
    can_decide: set[str] = set()
    programs = list(_programs(machine))
    for _, of_pair in groupby(programs, lambda p: (p.origin, p.destination)):
        yield from _gaps(list(of_pair))
    for program in programs:
        where = f"{program.origin}→{program.destination} on {program.day}"
        for i, compiled in enumerate(program.deciding):
            rule = compiled.rule
            if rule.id not in can_decide and find(program, [compiled], program.deciding[:i]) is not None:
                can_decide.add(rule.id)
        for compiled in (*program.deciding, *program.options, *program.duties):
            if compiled.rule.id not in can_hold and find(program, [compiled]) is not None:
                can_hold.add(compiled.rule.id)
        yield from _overlaps(program, where)
    for rule in machine.base.rules:
        if rule.id not in can_hold:
            yield Finding("error", "never-true", rule.id, "no facts make its condition true")
        elif rule.decides and rule.id not in can_decide:
            yield Finding("error", "unreachable", rule.id, "rules of higher priority always decide before it")


def _overlaps(program: Program, where: str) -> Iterator[Finding]:
    for one, other in combinations(program.deciding, 2):
        if one.rule.priority != other.rule.priority or one.rule.route == other.rule.route:
            continue
        above: list[Compiled] = [c for c in program.deciding if c.rule.priority > one.rule.priority]
        if find(program, [one, other], above) is not None:
            text = f"{other.rule.id} has the same priority and another route, and both can decide ({where})"
            yield Finding("error", "overlap", one.rule.id, text)


def _gaps(programs: Sequence[Program]) -> Iterator[Finding]:
    """Facts without an answer. ``programs`` are those of one pair, rising by day."""
    first, today = programs[0], [p for p in programs if p.day <= p.base.as_of]
    if not any(c.rule.kind != "gate" for c in programs[-1].deciding):
        return  # gates only, or nothing that decides: the law of the sending place is not modelled
    subject = f"{first.origin}→{first.destination}"
    without = {p.day: f for p in programs if p.deciding and (f := find(p, [], p.deciding)) is not None}
    if today and today[-1].day in without:
        facts = ", ".join(f"{k}={v}" for k, v in without[today[-1].day].items())
        yield Finding("error", "gap", subject, f"no rule decides by today's law, for example for {facts}")
    elif without:
        covered = next(p.day for p in programs if p.day > max(without))
        yield Finding("note", "gap", subject, f"some facts have no answer before {covered}")


def sources(base: RuleBase) -> Iterator[Finding]:
    """Missing, unknown, undated and thin sources; rules older than what they cite; gates that leave a way round."""
    for rule in base.rules:
        known = [base.documents[d] for d in map(document_of, rule.citations) if d in base.documents]
        if not rule.citations:
            yield Finding("error", "uncited", rule.id, "cites nothing")
        for citation in rule.citations:
            if document_of(citation) not in base.documents:
                yield Finding("error", "unknown-document", rule.id, f"{citation!r} names no known document")
        if rule.confidence == "low":
            told = "must be checked" + ("; its route waits for a named human" if rule.decides else "")
            yield Finding("note", "low-confidence", rule.id, told)
        if rule.confidence == "high" and known and all(d.seen in _THIN for d in known):
            seen = ", ".join(f"{d.id}: {d.seen}" for d in known)
            yield Finding(
                "warning", "overconfident", rule.id, f"high confidence on sources never read ({seen})"
            )
        dates = [d.in_force for d in known if d.in_force]
        if dates and rule.period.start < min(dates):
            text = f"in force from {rule.period.start}, before every text it cites ({min(dates)})"
            yield Finding("warning", "before-its-source", rule.id, text)
        if rule.kind == "gate" and not rule.closes_alternatives:
            yield Finding("warning", "open-gate", rule.id, "a gate that leaves alternatives open")
    for document in base.documents.values():
        if document.in_force is None:
            yield Finding("note", "undated", document.id, "the day it took effect is not known")
    for parameter in base.parameters.values():
        for dated in parameter.values:
            if document_of(dated.citation) not in base.documents:
                text = f"{dated.citation!r} names no known document"
                yield Finding("error", "unknown-document", parameter.name, text)
    for obligation in base.obligations.values():
        if document_of(obligation.citation) not in base.documents:
            text = f"{obligation.citation!r} names no known document"
            yield Finding("error", "unknown-document", obligation.id, text)


def references(base: RuleBase) -> Iterator[Finding]:
    """What stands in the base and is used by nothing."""
    facts = {name for r in base.rules for name in grammar.facts_in(r.when)} | {
        "transfer_date", "from_jurisdiction", "to_jurisdiction",
    }  # fmt: skip
    cited = {document_of(c) for r in base.rules for c in r.citations}
    cited |= {document_of(o.citation) for o in base.obligations.values()}
    cited |= {document_of(d.citation) for p in base.parameters.values() for d in p.values}
    named = {name for r in base.rules for name in (*r.before, *r.obligations)}
    offices = {name for r in base.rules for name in r.authorities}
    routes = {r.route for r in base.rules if r.route} | {"needs_info"}
    figures = {name for r in base.rules for name in _figures(r)}
    for kind, all_, used in (
        ("unused-fact", base.facts, facts),
        ("unused-document", base.documents, cited),
        ("unused-obligation", base.obligations, named),
        ("unused-authority", base.authorities, offices),
        ("unused-route", base.routes, routes),
        ("unused-parameter", base.parameters, figures),
    ):
        for name in all_:
            if name not in used:
                yield Finding("note", kind, name, "no rule uses it")


def _figures(rule: Rule) -> Iterator[str]:
    if rule.deadline and isinstance(rule.deadline.amount, str):
        yield rule.deadline.amount
    for atom in grammar.atoms(rule.when):
        for value in atom.value if isinstance(atom.value, tuple) else (atom.value,):
            if isinstance(value, grammar.Parameter):
                yield value.name


def cases(base: RuleBase) -> Iterator[Finding]:
    """Worked cases that come out otherwise than they say, and rules that no case tries."""
    machine = engine(base)
    fired: set[str] = set()
    for case in machine.base.cases:
        try:
            answer = machine.assess(case["facts"]).to_dict()
        except Problem as problem:
            yield Finding("error", "case", case["id"], str(problem))
            continue
        fired.update(answer["rule_ids"])
        for text in failures(case, answer):
            yield Finding("error", "case", case["id"], text)
    if machine.base.cases:
        for rule in machine.base.rules:
            if rule.id not in fired:
                yield Finding("warning", "untried", rule.id, "no case brings it about")
