"""Turns: as many as there are places, and no longer than patience lasts."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from wantong.ground.problems import Problem
from wantong.ground.turns import Turns


@contextmanager
def all_taken(turns: Turns, at_once: int) -> Iterator[None]:
    """Every place taken by somebody else."""
    with ExitStack() as places:
        for _ in range(at_once):
            places.enter_context(turns.turn())
        yield


def test_who_comes_when_all_places_are_taken_is_refused_in_time():
    turns = Turns(2, 0.05, Problem)
    start = time.monotonic()
    with all_taken(turns, 2), pytest.raises(Problem), turns.turn():
        raise AssertionError("there was a third place")
    assert 0.05 <= time.monotonic() - start < 2


def test_a_place_is_free_again_however_its_work_ended():
    turns = Turns(1, 0, Problem)
    with pytest.raises(ZeroDivisionError), turns.turn():
        _ = 1 / 0
    with turns.turn():
        pass
