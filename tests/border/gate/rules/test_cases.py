"""Every case of the rule base, given and our own, comes out as it says."""

from collections.abc import Mapping
from typing import Any

import pytest

from wantong.border.gate.rules import RuleBase, assess

BASE = RuleBase.load()


def failures(case: Mapping[str, Any], answer: Mapping[str, Any]) -> list[str]:
    """What ``answer`` lacks or has too much for ``case``; empty if it agrees."""
    found = []
    if answer["primary_route"] != case["expected_route"]:
        found.append(f"route {answer['primary_route']} instead of {case['expected_route']}")
    wanted = {
        "also_permitted": "also_permitted",
        "expected_before": "before",
        "expected_obligations": "obligations",
        "expected_rules": "rule_ids",
        "expected_authorities": "authorities",
        "expected_assumptions": "assumptions_used",
    }
    unwanted = {
        "not_permitted": "also_permitted",
        "not_before": "before",
        "not_obligations": "obligations",
        "not_rules": "rule_ids",
    }
    for key, part in wanted.items():
        found += [f"{part} lacks {name}" for name in case.get(key, ()) if name not in answer[part]]
    for key, part in unwanted.items():
        found += [f"{part} has {name}" for name in case.get(key, ()) if name in answer[part]]
    if "missing" in case and set(case["missing"]) != set(answer["missing_facts"]):
        found.append(f"missing {answer['missing_facts']} instead of {case['missing']}")
    if "provisional" in case and case["provisional"] != answer["provisional"]:
        found.append(f"provisional is {answer['provisional']}")
    return found


@pytest.mark.parametrize("case", BASE.cases, ids=lambda case: case["id"])
def test_case(case: Mapping[str, Any]) -> None:
    assert failures(case, assess(case["facts"]).to_dict()) == []


def test_every_case_states_its_basis_and_has_an_id_of_its_own() -> None:
    assert {case["basis"] for case in BASE.cases} <= {"example", "threshold", "qa", "none", "ours"}
    ids = [case["id"] for case in BASE.cases]
    assert len(ids) == len(set(ids)) >= 83
    assert all(case["citation"] for case in BASE.cases)
