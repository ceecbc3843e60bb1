"""Assessments a second on one core, beside Cedar deciding the same rules on the same facts in the same run.

Facts are drawn at random with a fixed seed, every sheet different. Ours returns the whole answer (route, duties,
deadlines by three calendars, citations, assumptions, missing facts). Cedar gets the rules of the pair and day as
pre-parsed policies and returns which of them are satisfied: less work, and only on complete facts.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from processor import seconds, spent
from tests.border.gate.rules.sheets import BASE, complete, partial
from tests.border.gate.rules.test_cedar import Oracle

from wantong.border.gate.rules import assess
from wantong.border.gate.rules.assess import Engine

GOAL = 20_000
ROUNDS = 5


def rate(work: Callable[[Any], object], items: Sequence[Any], rounds: int = ROUNDS) -> float:
    """The median over ``rounds`` of items a second of this process's processor time."""

    def all_of_them() -> None:
        for item in items:
            work(item)

    return statistics.median(len(items) / seconds(all_of_them, 1) for _ in range(rounds))


def cedar(sheets: Sequence[dict[str, Any]]) -> float:
    oracles: dict[tuple[str, ...], Oracle] = {}
    pairs = []
    for sheet in sheets:
        day, origin, destination = (
            sheet[n] for n in ("transfer_date", "from_jurisdiction", "to_jurisdiction")
        )
        rules = BASE.in_force(day, origin, destination)
        ids = tuple(rule.id for rule in rules)
        pairs.append((oracles.get(ids) or oracles.setdefault(ids, Oracle(rules, day)), sheet))
    return rate(lambda pair: pair[0].satisfied(pair[1]), pairs, 3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--sheets", type=int, default=20_000)
    options = parser.parse_args()
    chance = random.Random(1)
    whole = [complete(chance) for _ in range(options.sheets)]
    some = [partial(chance, sheet) for sheet in whole]
    cases = [case["facts"] for case in BASE.cases]
    cold = Engine(BASE)
    start = spent()
    for sheet in whole[:2_000]:
        cold.assess(sheet)
    first = min(2_000, len(whole)) / max(spent() - start, 0.01)
    theirs = cedar(whole[:400])
    figures = {
        "first 2,000 sheets of a new engine, compiling included": first,
        "complete facts (51 a sheet), answer": rate(assess, whole),
        "complete facts (51 a sheet), answer as JSON-ready dict": rate(lambda s: assess(s).to_dict(), whole),
        "partial facts (25 a sheet on average), answer": rate(assess, some),
        "the worked cases, answer": rate(assess, cases * 20),
        "Cedar (cedarpy), complete facts, satisfied rules only": theirs,
    }
    ratio = figures["complete facts (51 a sheet), answer"] / theirs
    if options.json:
        print(json.dumps({"assessments_per_second": figures, "ratio_to_cedar": ratio, "goal": GOAL}))
        return
    print(f"{BASE.label}: {len(BASE.rules)} rules, {len(BASE.facts)} facts; one core, median of {ROUNDS}")
    for name, value in figures.items():
        print(f"{name:60} {value:>10,.0f}/s  {1e6 / value:>8.1f} µs  {value / theirs:>7.1f} × Cedar")
    steady = min(v for name, v in figures.items() if not name.startswith(("Cedar", "first")))
    print(f"goal {GOAL:,}/s a core once compiled: {'met' if steady >= GOAL else 'not met'}")


if __name__ == "__main__":
    main()
