"""A consignment is called by a language map, or by one text if nobody has said in which language."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.border.gate import scene

from wantong.border.gate.declarations.problems import BadConsignment

MAP = {"zh-hans": "参保记录", "en": "Insurance records"}


def brought(title) -> object:
    return scene.consignment(Path("x.csv"), title=title).check("gd")


@pytest.mark.parametrize("title", [MAP, "参保记录"])
def test_both_are_taken_and_make_a_digest(title):
    consignment = brought(title)
    assert consignment.title == title
    assert consignment.digest("0" * 64) != brought({"en": "other"}).digest("0" * 64)


def test_the_order_of_languages_changes_nothing():
    assert brought(MAP).digest("") == brought(dict(reversed(MAP.items()))).digest("")


@pytest.mark.parametrize(
    "title", [{}, {"fr": "x"}, {"en": ""}, {"en": 5}, {"en": "x" * 301}, "", "x" * 301, 5, None, ["x"]]
)
def test_other_titles_are_refused(title):
    with pytest.raises(BadConsignment) as refused:
        brought(title)
    assert refused.value.params["field"] == "title"
