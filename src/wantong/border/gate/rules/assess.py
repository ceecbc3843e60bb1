"""The question the gate asks: by the law of that day, on what route may this data leave, and what comes with it?

:func:`assess` is a pure function of the facts, the day and the rule base. It decides by the ``engine`` section of
the rule base; its work is done on bit sets (see :mod:`.compile`), so that an answer with everything that belongs to
it costs microseconds.

**Monotone.** Adding to an answer's facts any that it lists neither under ``missing_facts`` nor under
``assumptions_used`` leaves it as it is. So what was assumed is not the list of all defaults, but of those that took
part: where a default made a rule false, the comparisons it made false; where it made a rule true, those it made true.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Generic, NamedTuple, TypeVar

from wantong.border.gate.rules import facts as fact_checks
from wantong.border.gate.rules.base import NEEDS_INFO, Rule, RuleBase, day_of
from wantong.border.gate.rules.calendars import add_months
from wantong.border.gate.rules.compile import FALSE, Compiled, Program, Programs

# stands in missing_facts when no fact is missing but the rule base has no rule for the case
NO_RULE = "no_rule"
FRAME = ("transfer_date", "from_jurisdiction", "to_jurisdiction")  # without these no law can be chosen


@dataclass(frozen=True, slots=True)
class Due:
    """A deadline of this answer.

    ``days`` and ``unit`` give the term, ``event`` from what it runs. ``dates`` are its last days by the calendar of
    each place if the event falls on ``reference`` (the transfer date, the latest day on which a contract that the
    transfer rests on can have taken effect); a place whose calendar is not yet published has None.
    """

    rule_id: str
    text: str
    days: int | None
    months: int | None
    unit: str | None
    event: str | None
    reference: dt.date | None
    dates: Mapping[str, dt.date | None]
    stages: tuple[Mapping[str, Any], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        return {
            "rule_id": self.rule_id,
            "text": self.text,
            "days": self.days,
            "months": self.months,
            "unit": self.unit,
            "from": self.event,
            "reference_date": self.reference.isoformat() if self.reference else None,
            "dates": {place: day.isoformat() if day else None for place, day in self.dates.items()},
            "stages": [dict(stage) for stage in self.stages],
        }


@dataclass(frozen=True, slots=True)
class Assessment:
    """The whole answer.

    ``primary_route`` is a key of the rule base's routes. ``before`` must be done before sending, ``obligations``
    travel with the data; both are keys of the rule base's obligations. ``assumptions_used`` maps each fact that was
    not given and whose default took part to that default. ``missing_facts`` names facts that could still change the
    answer and have no default, first those that keep the route open; ``no_rule`` if no rule covers the case.
    ``provisional`` means that the route rests on a rule of low confidence: a named human must sign off.
    """

    primary_route: str
    also_permitted: tuple[str, ...]
    before: tuple[str, ...]
    obligations: tuple[str, ...]
    deadlines: tuple[Due, ...]
    authorities: tuple[str, ...]
    citations: tuple[str, ...]
    assumptions_used: Mapping[str, bool | int | str]
    missing_facts: tuple[str, ...]
    rule_ids: tuple[str, ...]
    rule_base_version: str
    transfer_date: dt.date | None
    provisional: bool

    def to_dict(self) -> dict[str, Any]:
        """Exactly these thirteen keys, ready for JSON."""
        return {
            "primary_route": self.primary_route,
            "also_permitted": list(self.also_permitted),
            "before": list(self.before),
            "obligations": list(self.obligations),
            "deadlines": [due.to_dict() for due in self.deadlines],
            "authorities": list(self.authorities),
            "citations": list(self.citations),
            "assumptions_used": dict(self.assumptions_used),
            "missing_facts": list(self.missing_facts),
            "rule_ids": list(self.rule_ids),
            "rule_base_version": self.rule_base_version,
            "transfer_date": self.transfer_date.isoformat() if self.transfer_date else None,
            "provisional": self.provisional,
        }


class Known(NamedTuple):
    """Facts as bit sets of one program: true, false and unknown atoms, without and with the defaults."""

    true: int
    false: int
    unknown: int
    true_assumed: int
    false_assumed: int
    unknown_assumed: int


class Verdict(NamedTuple):
    """What the deciding rules say: the one that decides (None: needs_info), and the atoms that mattered."""

    decided: Compiled | None
    missing: int  # atoms of facts without default that keep deciding rules unknown
    assumed: int  # atoms of defaults that took part


class Engine:
    """One rule base with its compiled programs. Thread-safe: programs are built once and then only read."""

    def __init__(self, base: RuleBase) -> None:
        self.base = base
        self.programs = Programs(base)
        self._parts = _Memo[_Parts]()
        self._assumptions = _Memo[Mapping[str, bool | int | str]]()
        self._missing = _Memo[tuple[str, ...]]()
        self._dues = _Memo[tuple[Due, ...]]()

    def assess(self, facts: Mapping[str, Any], on: dt.date | None = None) -> Assessment:
        """See :func:`assess`."""
        day = on if on is not None else day_given(facts.get("transfer_date"))
        program = self.program(facts, day)
        if program is None or day is None:
            return self._without_frame(facts, on)
        known = self.encode(program, facts)
        decided, missing, assumed = decide(program, known)
        rule = None if decided is None else decided.rule
        options = missing_too = 0
        if rule is not None and not rule.closes_alternatives:
            options, missing_too, took_part = fire(program.options, known)
            assumed |= took_part
        duties, missing_for_duties, took_part = fire(
            program.duties, known, rule.excludes if rule else _NOTHING
        )
        assumed |= took_part
        missing_too |= missing_for_duties

        key = (program, rule and rule.id, options, duties)
        parts = self._parts.get(key) or self._parts.put(key, _Parts.of(program, rule, options, duties))
        dues: tuple[Due, ...] = ()
        if parts.deadlines:
            dues = self._dues.get((key, day)) or self._dues.put(
                (key, day), tuple(due(self.base, r, day) for r in parts.deadlines)
            )
        assumptions = _EMPTY
        if assumed:
            assumptions = self._assumptions.get((program, assumed)) or self._assumptions.put(
                (program, assumed), self._defaults(program, assumed)
            )
        lacking: tuple[str, ...] = ()
        if missing | missing_too or rule is None:
            lacking = self._missing.get((program, rule is None, missing, missing_too)) or self._missing.put(
                (program, rule is None, missing, missing_too), _lacking(program, rule, missing, missing_too)
            )
        return Assessment(
            parts.route,
            parts.also_permitted,
            parts.before,
            parts.obligations,
            dues,
            parts.authorities,
            parts.citations,
            assumptions,
            lacking,
            parts.rule_ids,
            self.base.label,
            day,
            parts.provisional,
        )

    def program(self, facts: Mapping[str, Any], day: dt.date | None) -> Program | None:
        """The program for the places in ``facts`` on ``day``; None if one of the three is missing or impossible."""
        origin, destination = facts.get("from_jurisdiction"), facts.get("to_jurisdiction")
        if (
            day is None
            or origin not in self.base.facts["from_jurisdiction"].values
            or destination not in self.base.facts["to_jurisdiction"].values
        ):
            return None
        return self.programs.on(day, str(origin), str(destination))

    def encode(self, program: Program, facts: Mapping[str, Any]) -> Known:
        """``facts`` as bits of ``program``. Raises FactsProblem and its kin for facts that cannot be."""
        encoders = program.encoders
        true = given = 0
        for name, value in facts.items():
            entry = encoders.get(name)
            if entry is None:
                fact_checks.check(facts, self.base)
                raise AssertionError("the check accepts a fact that the program does not know")
            if value is None:
                continue
            bits, encode = entry
            one = encode(value)
            if one < 0:
                fact_checks.check(facts, self.base)
                raise AssertionError(f"the check accepts a value of {name} that the program refuses")
            true |= one
            given |= bits
        false = given & ~true
        unknown = program.all_bits & ~given
        for _, condition in program.contradictions:
            if not condition.bits & (false | unknown) and condition(true, false, unknown) == 0:
                fact_checks.check(facts, self.base)
        assumed = program.default_bits & unknown
        assumed_true = assumed & program.default_true
        return Known(
            true, false, unknown, true | assumed_true, false | (assumed & ~assumed_true), unknown & ~assumed
        )

    def _without_frame(self, facts: Mapping[str, Any], on: dt.date | None) -> Assessment:
        known = fact_checks.check(facts, self.base)
        if on is not None:
            known["transfer_date"] = on
        missing = tuple(name for name in FRAME if name not in known)
        day = known.get("transfer_date")
        return Assessment(
            NEEDS_INFO, (), (), (), (), (), (), _EMPTY, missing, (), self.base.label, day, False
        )

    def _defaults(self, program: Program, bits: int) -> Mapping[str, bool | int | str]:
        names = program.facts_of(bits & program.default_bits)
        return MappingProxyType({n: d for n in names if (d := self.base.facts[n].default) is not None})


_EMPTY: Mapping[str, bool | int | str] = MappingProxyType({})
_NOTHING: frozenset[str] = frozenset()
_T = TypeVar("_T")


class _Memo(dict[Any, _T], Generic[_T]):
    """A bounded memory; when full it starts afresh, which is simpler than ageing and as good for a small set."""

    LIMIT = 20_000

    def put(self, key: Any, value: _T) -> _T:
        if len(self) >= self.LIMIT:
            self.clear()
        self[key] = value
        return value


def _lacking(program: Program, rule: Rule | None, for_route: int, for_rest: int) -> tuple[str, ...]:
    names = program.facts_of(for_route & ~program.default_bits)
    if rule is None and not names:
        names = (NO_RULE,)
    return _once((*names, *program.facts_of(for_rest & ~program.default_bits)))


def day_given(value: Any) -> dt.date | None:
    if isinstance(value, str):
        return day_of(value)
    return value if isinstance(value, dt.date) and not isinstance(value, dt.datetime) else None


def decide(program: Program, known: Known) -> Verdict:
    """Try the deciding rules in order; the first true one decides unless a higher one with another route is open."""
    true, false, unknown, true_assumed, false_assumed, _ = known
    missing = assumed = 0
    open_routes: set[str | None] = set()
    for compiled in program.deciding:
        bits, deeper = compiled.bits, compiled.deeper
        if bits & false:
            continue
        hangs_on = bits & unknown
        if deeper is not None:
            rest = deeper(true, false, unknown)
            if rest < 0:
                continue
            hangs_on |= rest
        if hangs_on:
            residual = _with_defaults(compiled, known)
            if residual < 0:
                assumed |= hangs_on & false_assumed
                continue
            if residual > 0:
                assumed |= hangs_on
                missing |= residual
                open_routes.add(compiled.rule.route)
                continue
            assumed |= hangs_on & true_assumed
        if open_routes and open_routes != {compiled.rule.route}:
            return Verdict(None, missing, assumed)
        return Verdict(compiled, missing, assumed)
    return Verdict(None, missing, assumed)


def _with_defaults(compiled: Compiled, known: Known) -> int:
    """The residual of a rule that what was given leaves undecided, once the defaults are taken too."""
    if compiled.bits & known.false_assumed:
        return FALSE
    residual = compiled.bits & known.unknown_assumed
    if compiled.deeper is None:
        return residual
    rest = compiled.deeper(known.true_assumed, known.false_assumed, known.unknown_assumed)
    return FALSE if rest < 0 else residual | rest


def fire(
    rules: tuple[Compiled, ...], known: Known, excluded: frozenset[str] = frozenset()
) -> tuple[int, int, int]:
    """Which of ``rules`` are true (a bit each), the missing atoms of the unknown ones, and the assumed atoms."""
    true, false, unknown, true_assumed, false_assumed, _ = known
    fired = missing = assumed = 0
    place = 1
    for compiled in rules:
        bits, deeper = compiled.bits, compiled.deeper
        here, place = place, place << 1
        if bits & false or (excluded and compiled.rule.id in excluded):
            continue
        hangs_on = bits & unknown
        if deeper is not None:
            rest = deeper(true, false, unknown)
            if rest < 0:
                continue
            hangs_on |= rest
        if hangs_on:
            residual = _with_defaults(compiled, known)
            if residual < 0:
                assumed |= hangs_on & false_assumed
                continue
            if residual > 0:
                assumed |= hangs_on
                missing |= residual
                continue
            assumed |= hangs_on & true_assumed
        fired |= here
    return fired, missing, assumed


class _Parts(NamedTuple):
    """The parts of an answer that depend only on which rules are true."""

    route: str
    also_permitted: tuple[str, ...]
    before: tuple[str, ...]
    obligations: tuple[str, ...]
    deadlines: tuple[Rule, ...]
    authorities: tuple[str, ...]
    citations: tuple[str, ...]
    rule_ids: tuple[str, ...]
    provisional: bool

    @staticmethod
    def of(program: Program, decided: Rule | None, options: int, duties: int) -> _Parts:
        permitted = [c.rule for i, c in enumerate(program.options) if options >> i & 1]
        binding = [decided] if decided else []
        binding += [c.rule for i, c in enumerate(program.duties) if duties >> i & 1]
        listed = binding + permitted
        return _Parts(
            route=decided.route if decided and decided.route else NEEDS_INFO,
            also_permitted=_once(r.route for r in permitted if r.route),
            before=_once(name for r in binding for name in r.before),
            obligations=_once(name for r in binding for name in r.obligations),
            deadlines=tuple(r for r in binding if r.deadline),
            authorities=_once(name for r in binding for name in r.authorities),
            citations=_once(name for r in listed for name in r.citations),
            rule_ids=_once(r.id for r in listed),
            provisional=decided is not None and decided.confidence == "low",
        )


def _once(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


def due(base: RuleBase, rule: Rule, day: dt.date) -> Due:
    """The deadline of ``rule``, with its last days by each place's calendar counted from ``day``."""
    deadline = rule.deadline
    if deadline is None:
        raise ValueError(f"rule {rule.id} sets no deadline")
    amount = deadline.amount
    days = base.parameters[amount].on(day) if isinstance(amount, str) else amount

    def last(place: str) -> dt.date | None:
        if days is None or deadline.unit is None:
            return None
        if deadline.unit == "working_days":
            return base.calendars[place].add_working_days(day, days)
        if deadline.unit == "months":
            return add_months(day, days)
        return day + dt.timedelta(days) if (dt.date.max - day).days >= days else None

    return Due(
        rule_id=rule.id,
        text=deadline.text,
        days=days if deadline.unit != "months" else None,
        months=days if deadline.unit == "months" else None,
        unit=deadline.unit,
        event=deadline.event,
        reference=day if deadline.places else None,
        dates=MappingProxyType({place: last(place) for place in deadline.places}),
        stages=deadline.stages,
    )


def engine(base: RuleBase | None = None) -> Engine:
    """The engine of ``base`` (by default the packaged one); those of the last few bases are kept."""
    return _engine(base or RuleBase.load())


@lru_cache(maxsize=8)
def _engine(base: RuleBase) -> Engine:
    return Engine(base)


def assess(
    facts: Mapping[str, Any], on: dt.date | None = None, *, base: RuleBase | None = None
) -> Assessment:
    """The lawful route for a transfer with these ``facts`` by the law in force ``on`` that day.

    ``facts`` maps names of the rule base's facts to values (bool, int, enum text, ISO date or ``date``); null and
    absent are the same: not known. ``on`` is by default the ``transfer_date`` among the facts and prevails over it:
    that is how a decision is replayed on another day. A fact that decides and is not known makes the route
    ``needs_info``; nothing is guessed.

    Raises UnknownFacts, FactsProblem (impossible values) or ContradictoryFacts, each listing all faults.
    """
    return engine(base).assess(facts, on)
