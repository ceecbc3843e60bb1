"""Every case of the rule base, given and our own, comes out as it says."""

from collections.abc import Mapping
from typing import Any

import pytest

from wantong.border.gate.rules import RuleBase, assess
from wantong.border.gate.rules.cases import failures

BASE = RuleBase.load()


@pytest.mark.parametrize("case", BASE.cases, ids=lambda case: case["id"])
def test_case(case: Mapping[str, Any]) -> None:
    assert failures(case, assess(case["facts"]).to_dict()) == []


def test_every_case_states_its_basis_and_has_an_id_of_its_own() -> None:
    assert {case["basis"] for case in BASE.cases} <= {"example", "threshold", "qa", "none", "ours"}
    ids = [case["id"] for case in BASE.cases]
    assert len(ids) == len(set(ids)) >= 83
    assert all(case["citation"] for case in BASE.cases)
