"""Problem documents: their own members say what they say, whatever a problem was raised with."""

from __future__ import annotations

import pytest

from wantong.ground.problems import TYPE_BASE, Problem


@pytest.mark.parametrize("name", ["type", "status", "title", "detail", "next"])
def test_no_param_takes_the_place_of_a_member(name: str) -> None:
    plain, told = Problem().to_dict(), Problem(**{name: "x", "other": 1}).to_dict()
    assert told == {**plain, "other": 1} and told["type"] == f"{TYPE_BASE}internal"
