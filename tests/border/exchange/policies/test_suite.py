"""SolidLab's ODRL test suite: every case passes; what is corrected in one is listed with the reason."""

from __future__ import annotations

import pytest
from tests.border.exchange.policies import suite

CASES = {case.number: case for case in suite.cases()}


def test_all_cases_are_here():
    assert sorted(CASES) == [f"{number:03}" for number in range(1, 69)]


def test_what_is_listed_is_a_case_and_has_a_reason():
    for number, entry in suite.listed().items():
        assert number in CASES and entry["reason"].strip()
        assert entry.keys() == {"reason", "meant"}


@pytest.mark.parametrize("number", CASES)
def test_a_case_passes(number):
    assert suite.differences(CASES[number]) == []


def test_what_is_compared_with_corrections_fails_without_them(monkeypatch):
    """So that a correction which is not needed any more does not stay."""
    corrected = list(suite.listed())
    monkeypatch.setattr(suite, "listed", dict)
    assert all(suite.differences(CASES[number]) for number in corrected)
