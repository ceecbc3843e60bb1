"""Finds facts under which given rules are true and others false, or proves that there are none.

A search with Kleene pruning: a partial set of facts that already makes a wanted rule false, an unwanted one true, or
a contradiction hold is given up at once. Complete, because every fact has only as many different answers as the
rules can tell apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from wantong.border.gate.rules.base import Fact
from wantong.border.gate.rules.compile import Compiled, Program


def answers(program: Program, fact: Fact) -> list[Any]:
    """One value of ``fact`` for every set of comparisons the rules of ``program`` can tell apart."""
    if fact.type == "bool":
        candidates: list[Any] = [False, True]
    elif fact.type == "enum":
        candidates = list(fact.values)
    else:
        tests = program.tests.get(fact.name, ())
        numbers = {n for _, _, v in tests for n in (v if isinstance(v, tuple) else (v,))}
        candidates = sorted({0} | {n + step for n in numbers for step in (-1, 0, 1) if n + step >= 0})
    _, encode = program.encoders[fact.name]
    by_bits = {encode(value): value for value in reversed(candidates)}
    return [value for value in candidates if by_bits.get(encode(value)) == value]


def find(
    program: Program,
    true: Sequence[Compiled],
    false: Sequence[Compiled] = (),
    given: Mapping[str, Any] | None = None,
) -> Mapping[str, Any] | None:
    """Facts that make every rule of ``true`` true and every one of ``false`` false, whatever the other facts are.

    None if there are none. ``given`` facts are kept as they are. The facts are free of contradictions among themselves; places and day are the program's.
    """
    facts = program.base.facts
    values = {name: answers(program, facts[name]) for name, bits in program.fact_bits.items() if bits}

    def search(known: dict[str, Any], is_true: int, is_false: int) -> Mapping[str, Any] | None:
        unknown = program.all_bits & ~is_true & ~is_false
        if any(c(is_true, is_false, unknown) == 0 for _, c in program.contradictions):
            return None
        hangs_on = 0
        for rule in true:
            residual = rule.residual(is_true, is_false, unknown)
            if residual < 0:
                return None
            hangs_on |= residual
        for rule in false:
            residual = rule.residual(is_true, is_false, unknown)
            if residual == 0:
                return None
            if residual > 0 and not hangs_on:
                hangs_on = residual
        if not hangs_on:
            return known
        name = next(n for n, bits in program.fact_bits.items() if bits & hangs_on)
        bits, encode = program.encoders[name]
        for value in values[name]:
            ones = encode(value)
            found = search({**known, name: value}, is_true | ones, is_false | (bits & ~ones))
            if found is not None:
                return found
        return None

    start = {**(given or {}), "from_jurisdiction": program.origin, "to_jurisdiction": program.destination}
    is_true = is_false = 0
    for name, value in start.items():
        bits, encode = program.encoders[name]
        ones = encode(value)
        is_true |= ones
        is_false |= bits & ~ones
    return search(start, is_true, is_false)
