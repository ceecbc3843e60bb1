"""Worked cases: facts, and what the answer to them must and must not hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# key of a case → part of the answer that must hold all (or none) of the names listed there
WANTED: Mapping[str, str] = {
    "also_permitted": "also_permitted",
    "expected_before": "before",
    "expected_obligations": "obligations",
    "expected_rules": "rule_ids",
    "expected_authorities": "authorities",
    "expected_assumptions": "assumptions_used",
}
UNWANTED: Mapping[str, str] = {
    "not_permitted": "also_permitted",
    "not_before": "before",
    "not_obligations": "obligations",
    "not_rules": "rule_ids",
    "not_authorities": "authorities",
}


def failures(case: Mapping[str, Any], answer: Mapping[str, Any]) -> list[str]:
    """What ``answer`` (an assessment's ``to_dict()``) lacks or has too much for ``case``; empty if it agrees."""
    found = []
    if answer["primary_route"] != case["expected_route"]:
        found.append(f"route {answer['primary_route']} instead of {case['expected_route']}")
    for key, part in WANTED.items():
        found += [f"{part} lacks {name}" for name in case.get(key, ()) if name not in answer[part]]
    for key, part in UNWANTED.items():
        found += [f"{part} has {name}" for name in case.get(key, ()) if name in answer[part]]
    if "decided_by" in case and answer["rule_ids"][:1] != [case["decided_by"]]:
        found.append(f"decided by {answer['rule_ids'][:1]} instead of {case['decided_by']}")
    dates = {(d["rule_id"], place): day for d in answer["deadlines"] for place, day in d["dates"].items()}
    for due in case.get("deadlines", ()):
        if due["rule"] not in {d["rule_id"] for d in answer["deadlines"]}:
            found.append(f"no deadline of {due['rule']}")
        for place, day in due.get("dates", {}).items():
            if dates.get((due["rule"], place), "none") != day:
                found.append(
                    f"deadline of {due['rule']} in {place} is {dates.get((due['rule'], place), 'none')}"
                )
    if "missing" in case and set(case["missing"]) != set(answer["missing_facts"]):
        found.append(f"missing {answer['missing_facts']} instead of {list(case['missing'])}")
    if "provisional" in case and case["provisional"] != answer["provisional"]:
        found.append(f"provisional is {answer['provisional']}")
    return found
