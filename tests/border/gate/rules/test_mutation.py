"""A wrong in any rule is noticed by some case."""

from __future__ import annotations

from collections import Counter

from wantong.border.gate.rules import RuleBase

from .mutants import Jury, mutants, without_effect

GOAL = 0.95


def test_at_least_95_percent_of_all_small_wrongs_are_noticed_by_a_case() -> None:
    base = RuleBase.load()
    jury = Jury(base, base.cases)
    noticed: Counter[str] = Counter()
    missed: Counter[str] = Counter()
    survivors = []
    for mutant in mutants(base):
        if jury.notices(mutant):
            noticed[mutant.kind] += 1
        elif not without_effect(base, mutant):
            missed[mutant.kind] += 1
            survivors.append(f"{mutant.kind} of {mutant.of.id}: {mutant.text}")
    # every rule is there for a reason, on its day, for its places, with its route
    assert [m for m in survivors if m.startswith(("deletion", "route", "place"))] == []
    share = noticed.total() / (noticed.total() + missed.total())
    assert noticed.total() > 1500
    assert share >= GOAL, f"{share:.3f}\n" + "\n".join(survivors)
