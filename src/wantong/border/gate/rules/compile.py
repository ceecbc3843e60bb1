"""From rules to closures over bit sets.

For one pair of places and one stretch of days in which no law changes, every comparison that any rule makes
(``n_sensitive > 0``, ``from_area == 'gba9'``) is an *atom* with a bit of its own. A set of facts is then three
numbers, disjoint and together covering all atoms: the true ones ``T``, the false ones ``F``, the unknown ones
``U``. A rule is a closure ``(T, F, U) -> residual`` in Kleene's three-valued logic, where

    residual < 0    the rule is false
    residual == 0   the rule is true
    residual > 0    the rule is unknown, and the set bits are the atoms on which it still hangs

An `and` of comparisons, which is most rules, costs one or two integer operations. The residual is what makes an
answer honest: it names exactly the facts that are missing, and, computed once without the defaults, exactly the
defaults that took part.
"""

from __future__ import annotations

import datetime as dt
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from wantong.border.gate.rules import grammar
from wantong.border.gate.rules.base import Fact, Rule, RuleBase, day_of

Closure = Callable[[int, int, int], int]
Encoder = Callable[[Any], int]  # a fact's value → its true bits; -1 if the fact cannot have this value
FALSE = -1
TRUE = 0


@dataclass(slots=True)
class Condition:
    """A compiled expression: the bits of its topmost `and`, and a closure for what lies deeper (None if nothing)."""

    bits: int
    deeper: Closure | None

    def __call__(self, true: int, false: int, unknown: int) -> int:
        """The residual, see the module's text."""
        if self.bits & false:
            return FALSE
        residual = self.bits & unknown
        if self.deeper is not None:
            rest = self.deeper(true, false, unknown)
            if rest < 0:
                return FALSE
            residual |= rest
        return residual


class Atoms:
    """Gives every distinct comparison a bit, fact by fact."""

    def __init__(self, resolve: Callable[[grammar.Value], bool | int | str]) -> None:
        self._resolve = resolve
        self._bits: dict[tuple[str, str, Any], int] = {}
        self.by_fact: dict[str, int] = {}  # fact → all its bits
        self.tests: dict[str, list[tuple[int, str, Any]]] = {}  # fact → (bit, operator, value)

    def bit(self, atom: grammar.Atom) -> int:
        value = atom.value
        resolved = (
            tuple(self._resolve(v) for v in value) if isinstance(value, tuple) else self._resolve(value)
        )
        key = (atom.fact, atom.operator, (type(resolved), resolved))
        bit = self._bits.get(key)
        if bit is None:
            bit = self._bits[key] = 1 << len(self._bits)
            self.by_fact[atom.fact] = self.by_fact.get(atom.fact, 0) | bit
            self.tests.setdefault(atom.fact, []).append((bit, atom.operator, resolved))
        return bit

    @property
    def all(self) -> int:
        return (1 << len(self._bits)) - 1


def holds(operator: str, given: Any, value: Any) -> bool:
    """Whether ``given operator value``; both are known."""
    match operator:
        case "==":
            return bool(given == value)
        case "!=":
            return bool(given != value)
        case "<":
            return bool(given < value)
        case "<=":
            return bool(given <= value)
        case ">":
            return bool(given > value)
        case ">=":
            return bool(given >= value)
        case "in":
            return given in value
        case "not in":
            return given not in value
    raise ValueError(f"unknown operator {operator}")


def compile_condition(tree: grammar.Expression, atoms: Atoms) -> Condition:
    """``tree`` over the bits of ``atoms``."""
    tree = grammar.negation_free(tree)
    operands = tree.operands if isinstance(tree, grammar.And) else (tree,)
    bits, closures = _split(operands, atoms)
    return Condition(bits, _conjunction(0, closures) if closures else None)


def _split(operands: Iterable[grammar.Expression], atoms: Atoms) -> tuple[int, list[Closure]]:
    bits, closures = 0, []
    for operand in operands:
        if isinstance(operand, grammar.Atom):
            bits |= atoms.bit(operand)
        elif isinstance(operand, grammar.And):
            closures.append(_conjunction(*_split(operand.operands, atoms)))
        elif isinstance(operand, grammar.Or):
            closures.append(_disjunction(*_split(operand.operands, atoms)))
    return bits, closures


def _conjunction(bits: int, closures: list[Closure]) -> Closure:
    if len(closures) == 1 and not bits:
        return closures[0]

    def conjunction(true: int, false: int, unknown: int) -> int:
        if bits & false:
            return FALSE
        residual = bits & unknown
        for closure in closures:
            rest = closure(true, false, unknown)
            if rest < 0:
                return FALSE
            residual |= rest
        return residual

    return conjunction


def _disjunction(bits: int, closures: list[Closure]) -> Closure:
    def disjunction(true: int, false: int, unknown: int) -> int:
        if bits & true:
            return TRUE
        residual = bits & unknown
        for closure in closures:
            rest = closure(true, false, unknown)
            if rest == 0:
                return TRUE
            if rest > 0:
                residual |= rest
        return residual or FALSE

    return disjunction


def _encoder(fact: Fact, tests: list[tuple[int, str, Any]]) -> Encoder:
    """A function from a value of ``fact`` to the bits that are then true; -1 for an impossible value."""

    def bits(value: Any) -> int:
        return sum(bit for bit, operator, other in tests if holds(operator, value, other))

    if fact.type == "bool":
        if_true, if_false = bits(True), bits(False)

        def encode_bool(value: Any) -> int:
            return if_true if value is True else if_false if value is False else -1

        return encode_bool

    if fact.type == "enum":
        table = {value: bits(value) for value in fact.values}

        def encode_enum(value: Any) -> int:
            return table.get(value, -1) if isinstance(value, str) else -1

        return encode_enum

    if fact.type == "int":
        # the truth of every comparison is constant between two neighbouring breaks
        numbers = {n for _, _, v in tests for n in (v if isinstance(v, tuple) else (v,))}
        breaks = sorted({n + step for n in numbers for step in (0, 1)})
        lowest = fact.minimum if fact.minimum is not None else -(10**18)
        highest = fact.maximum if fact.maximum is not None else 10**18
        by_region = [bits((breaks[0] if breaks else 0) - 1), *(bits(n) for n in breaks)]

        def encode_int(value: Any) -> int:
            if not isinstance(value, int) or isinstance(value, bool) or not lowest <= value <= highest:
                return -1
            return by_region[bisect_right(breaks, value)]

        return encode_int

    def encode_date(value: Any) -> int:
        day = day_of(value) if isinstance(value, str) else value
        return 0 if isinstance(day, dt.date) and not isinstance(day, dt.datetime) else -1

    return encode_date


@dataclass(frozen=True, slots=True)
class Compiled:
    """A rule ready to be asked: ``bits`` and ``deeper`` as in :class:`Condition`."""

    rule: Rule
    bits: int
    deeper: Closure | None

    def residual(self, true: int, false: int, unknown: int) -> int:
        """False (-1), true (0) or the atoms on which the rule hangs; the loops of assess.py inline this."""
        return Condition(self.bits, self.deeper)(true, false, unknown)


class Program:
    """All rules for one pair of places on the days between two changes of law, compiled over common atoms.

    Built once by :meth:`Programs.on` and then only read; safe to share between threads.
    """

    def __init__(self, base: RuleBase, on: dt.date, origin: str, destination: str) -> None:
        self.base, self.day, self.origin, self.destination = base, on, origin, destination

        def resolve(value: grammar.Value) -> bool | int | str:
            if isinstance(value, grammar.Parameter):
                figure = base.parameters[value.name].on(on)
                if figure is None:  # the builder of the base has made sure
                    raise ValueError(f"{value.name} has no value on {on}")
                return figure
            return value

        atoms = Atoms(resolve)
        deciding: list[Compiled] = []
        options: list[Compiled] = []
        duties: list[Compiled] = []
        for rule in base.in_force(on, origin, destination):
            condition = compile_condition(rule.when, atoms)
            compiled = Compiled(rule, condition.bits, condition.deeper)
            (deciding if rule.decides else options if rule.kind == "option" else duties).append(compiled)
        self.contradictions = [(c, compile_condition(c.when, atoms)) for c in base.contradictions]
        self.deciding, self.options, self.duties = tuple(deciding), tuple(options), tuple(duties)
        self.all_bits = atoms.all
        self.tests: Mapping[str, list[tuple[int, str, Any]]] = atoms.tests
        self.fact_bits: Mapping[str, int] = {name: atoms.by_fact.get(name, 0) for name in base.facts}
        self.encoders: Mapping[str, tuple[int, Encoder]] = {
            name: (self.fact_bits[name], _encoder(fact, atoms.tests.get(name, [])))
            for name, fact in base.facts.items()
        }
        self.default_bits = self.default_true = 0
        for name, fact in base.facts.items():
            if fact.default is not None:
                self.default_bits |= self.fact_bits[name]
                self.default_true |= self.encoders[name][1](fact.default)

    def facts_of(self, bits: int) -> tuple[str, ...]:
        """The facts to which ``bits`` belong, in the order of the fact table."""
        return tuple(name for name, mine in self.fact_bits.items() if mine & bits)


class Programs:
    """The compiled programs of one rule base, made when first needed."""

    def __init__(self, base: RuleBase) -> None:
        self.base = base
        self._programs: dict[tuple[int, str, str], Program] = {}

    def on(self, day: dt.date, origin: str, destination: str) -> Program:
        """The program for data going from ``origin`` to ``destination`` on ``day``."""
        key = (bisect_right(self.base.boundaries, day), origin, destination)
        program = self._programs.get(key)
        if program is None:
            program = self._programs[key] = Program(self.base, day, origin, destination)
        return program
