"""Decisions a second on one core under agreements with constraints, beside Cedar on the same agreement.

The agreement is what a crossing has: use within an area, for purposes, by kinds of body, within a time, so many times,
and no passing on. Requests are drawn at random with a fixed seed; about half are permitted. Every one of our answers
names its rule and, if it is no, each constraint and what it was. Cedar gets the agreement as a pre-parsed policy with
the areas and kinds of body already resolved, and returns its answer alone.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from processor import seconds

from wantong.border.exchange.policies import Party, Request, World, compile_policy, parse

GOAL = 50_000
UNTIL = datetime(2027, 12, 31, tzinfo=UTC)
AGREEMENT: dict[str, Any] = {
    "@id": "urn:agreement", "@type": "Agreement", "target": "urn:data", "assignee": "hk.example", "assigner": "gd.example",
    "permission": [{"action": "use", "constraint": [
        {"leftOperand": "spatial", "operator": "isPartOf", "rightOperand": "GBA"},
        {"leftOperand": "purpose", "operator": "isAnyOf", "rightOperand": ["research", "planning"]},
        {"or": [
            {"leftOperand": "recipient", "operator": "isA", "rightOperand": "public-body"},
            {"leftOperand": "recipient", "operator": "isA", "rightOperand": "research-institution"},
        ]},
        {"leftOperand": "dateTime", "operator": "lteq", "rightOperand": UNTIL.isoformat()},
        {"leftOperand": "count", "operator": "lteq", "rightOperand": "100"},
    ]}],
    "prohibition": [{"action": "distribute"}],
}  # fmt: skip
KINDS = ("public-body", "university", "bank")
AREAS = ("HK", "MO", "440400", "CN-GD")


def worlds(count: int) -> list[World]:
    chance = random.Random(1)
    return [
        World(
            datetime(2026, 11, 21, tzinfo=UTC) + timedelta(days=chance.choice((0, 100, 200, 300, 500))),
            {
                "spatial": chance.choices(AREAS, (5, 4, 4, 1))[0],
                "purpose": chance.choices(("grid_research", "planning", "marketing"), (5, 5, 1))[0],
                "recipient": Party("hk.example", frozenset({chance.choices(KINDS, (5, 5, 1))[0]})),
                "count": chance.randint(1, 115),
            },
        )
        for _ in range(count)
    ]


def rate(work: Callable[[Any], object], items: Sequence[Any], rounds: int) -> float:
    """The median over ``rounds`` of items a second of this process's processor time."""

    def all_of_them() -> None:
        for item in items:
            work(item)

    return statistics.median(len(items) / seconds(all_of_them, 1) for _ in range(rounds))


def cedar(drawn: Sequence[World], rounds: int) -> float:
    import cedarpy

    policy = cedarpy.PolicySet.from_str(
        f"""permit(principal == Node::"hk", action == Action::"use", resource == Data::"d") when {{
          context.areas.contains("GBA") && context.purposes.containsAny(["research", "planning"]) &&
          (context.kinds.contains("public-body") || context.kinds.contains("research-institution")) &&
          context.now <= {UNTIL.timestamp():.0f} && context.count <= 100 }};
        forbid(principal, action == Action::"distribute", resource == Data::"d");"""
    )
    entities = cedarpy.Entities.from_json_str("[]")
    resolved = {"grid_research": ["research"], "planning": ["planning"], "marketing": ["marketing"]}
    bodies = {"public-body": ["public-body"], "university": ["research-institution"], "bank": ["bank"]}
    asked = [
        {
            "principal": 'Node::"hk"', "action": 'Action::"use"', "resource": 'Data::"d"',
            "context": {
                "areas": [] if one.facts["spatial"] == "CN-GD" else ["GBA"], "purposes": resolved[one.facts["purpose"]],
                "kinds": bodies[min(one.facts["recipient"].kinds)], "now": int(one.now.timestamp()) if one.now else 0,
                "count": one.facts["count"],
            },
        }
        for one in drawn
    ]  # fmt: skip
    policies = compile_policy(parse(AGREEMENT))
    request = Request("use", "urn:data", "hk.example")
    for ours, theirs in zip(drawn[:200], asked, strict=False):
        said = policies.decide(request, ours).permitted is True
        assert cedarpy.is_authorized(theirs, policy, entities).allowed == said, ours
    return rate(lambda one: cedarpy.is_authorized(one, policy, entities), asked, rounds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--requests", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    drawn = worlds(options.requests)
    policy = compile_policy(parse(AGREEMENT))
    request, onward = (
        Request("use", "urn:data", "hk.example"),
        Request("distribute", "urn:data", "hk.example"),
    )
    answers = [policy.decide(request, one).permitted for one in drawn]
    permitted = [one for one, answer in zip(drawn, answers, strict=True) if answer]
    refused = [one for one, answer in zip(drawn, answers, strict=True) if not answer]
    theirs = cedar(drawn[:2_000], options.rounds)
    figures = {
        name: rate(work, items, options.rounds)
        for name, work, items in (
            ("decide, as drawn", partial(policy.decide, request), drawn),
            ("decide, permitted", partial(policy.decide, request), permitted or drawn),
            ("decide, refused or open: every reason told", partial(policy.decide, request), refused or drawn),
            ("decide, prohibited", partial(policy.decide, onward), drawn),
            (
                "parse and compile",
                lambda _: compile_policy(parse(AGREEMENT)),
                drawn[: max(len(drawn) // 25, 1)],
            ),
        )
    }
    figures["Cedar (cedarpy), answer only"] = theirs
    ratio = figures["decide, as drawn"] / theirs
    if options.json:
        print(json.dumps({"decisions_per_second": figures, "ratio_to_cedar": ratio, "goal": GOAL}))
        return
    print(
        f"{len(permitted) / len(drawn):.0%} of {len(drawn):,} requests permitted; one core, median of {options.rounds}"
    )
    for name, value in figures.items():
        print(f"{name:46} {value:>10,.0f}/s  {1e6 / value:>8.1f} µs  {value / theirs:>8.1f} × Cedar")
    worst = min(value for name, value in figures.items() if name.startswith("decide"))
    print(f"goal {GOAL:,} decisions a second on one core: {'met' if worst >= GOAL else 'not met'}")


if __name__ == "__main__":
    main()
