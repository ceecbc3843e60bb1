"""What lies behind a result, by construction and by random graphs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wantong.border.exchange.offshore.lineage import Item, Mixed, facts, owners, roots

PLACES = st.sampled_from(["HK", "MO", "CN", ""])


@st.composite
def spaces(draw) -> dict[str, Item]:
    """Items in order; each is admitted from somewhere, or made of earlier ones and sometimes of what is not there."""
    space: dict[str, Item] = {}
    for number in range(draw(st.integers(1, 8))):
        name = f"i{number}"
        if space and draw(st.booleans()):
            made_of = draw(st.lists(st.sampled_from([*space, "elsewhere"]), min_size=1, max_size=3))
            space[name] = Item(name, made_of=tuple(made_of))
        else:
            place = draw(PLACES)
            space[name] = Item(name, owner=f"{place.lower()}.example" if place else "", place=place)
    return space


def behind(name: str, space: dict[str, Item]) -> set[str]:
    """The same by recursion: what was admitted, or ``?`` for what nobody admitted from outside."""
    item = space.get(name)
    if item is None:
        return {"?"}
    if item.made_of:
        return set().union(*(behind(parent, space) for parent in item.made_of))
    return {name} if item.place not in ("", "CN") else {"?"}


@given(spaces())
def test_only_what_came_from_outside_is_behind_anything(space):
    for name in space:
        expected = behind(name, space)
        if "?" in expected:
            with pytest.raises(Mixed):
                roots(name, space, "CN")
        else:
            found = roots(name, space, "CN")
            assert {item.id for item in found} == expected
            assert owners(found) == {space[n].owner for n in expected}
            assert facts(found)["domestic_data_added"] is False


def test_a_circle_that_cannot_be_does_not_hang():
    space = {"a": Item("a", made_of=("b",)), "b": Item("b", made_of=("a",))}
    assert roots("a", space, "CN") == ()


def test_facts_of_several_sources_are_the_stricter_ones():
    one = Item(
        "a",
        "hk",
        "HK",
        {"is_personal": True, "is_important_data": False, "n_sensitive": 3, "to_area": "gba9"},
    )
    two = Item("b", "hk", "HK", {"is_personal": False, "n_sensitive": 4, "to_area": "gba9"})
    told = facts([one, two])
    assert told["is_personal"] is True and told["n_sensitive"] == 7 and told["from_area"] == "gba9"
    assert "is_important_data" not in told, "one of them has not said: the gate must ask"
    assert told["scenario"] == "transit_processing"
