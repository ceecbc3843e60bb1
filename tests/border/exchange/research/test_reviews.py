"""Which reviews a release needs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wantong.border.exchange.research.reviews import (
    Needed,
    kinds,
    names,
    needed,
    source,
    standing,
    wants_number,
)

BAY = {"ours": "CN", "theirs": "HK"}
BACK = {"ours": "HK", "theirs": "CN"}


def test_the_owner_always_reviews_and_both_look_at_people():
    assert needed("general", "ours", BAY) == (Needed("data_release", "ours"),)
    assert needed("general", "theirs", BAY) == (Needed("data_release", "theirs"),)
    assert set(needed("human_subjects", "ours", BAY)) == {
        Needed("data_release", "ours"), Needed("ethics", "ours"), Needed("ethics", "theirs"),
    }  # fmt: skip


@pytest.mark.parametrize(("places", "side"), [(BAY, "ours"), (BACK, "theirs")])
def test_genetic_resources_are_reviewed_in_the_mainland_whoever_owns_the_data(places, side):
    for owner in ("ours", "theirs"):
        found = [one for one in needed("human_genetic", owner, places) if one.name == "genetic_resources"]
        assert found == [Needed("genetic_resources", side)]
    assert source("genetic_resources", "CN") and not source("genetic_resources", "HK")


def test_a_kind_that_nobody_knows_is_not_waved_through():
    with pytest.raises(KeyError):
        needed("brain_scans", "ours", BAY)


def test_every_review_has_a_source_where_it_is_made():
    for kind in kinds():
        for places in (BAY, BACK, {"ours": "MO", "theirs": "CN"}):
            for one in needed(kind, "ours", places):
                assert source(one.name, places[one.side]), one
    assert {name for name in names() if wants_number(name)} == {"ethics", "genetic_resources"}


MADE = st.lists(st.tuples(st.sampled_from(names()), st.sampled_from(["ours", "theirs"]), st.booleans()))


@given(MADE)
def test_the_last_word_counts(made):
    stand = standing(made)
    for name in names():
        for side in ("ours", "theirs"):
            words = [approved for n, s, approved in made if (n, s) == (name, side)]
            assert (Needed(name, side) in stand) == bool(words and words[-1])
