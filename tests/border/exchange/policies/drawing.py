"""Policies and states of the world, drawn at random. The facts are plain; :func:`world` makes them ours."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from wantong.border.exchange.policies import Party, World

FIELD = "https://w3id.org/wantong/field"
DAYS = [datetime(2026, month, 1, tzinfo=UTC) for month in (1, 2, 3, 4)]
COLUMNS = ["name", "day", "sum"]


def atomic(left: str, operators: list[str], right: Any) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {"leftOperand": st.just(left), "operator": st.sampled_from(operators), "rightOperand": right}
    )


ORDER = ["eq", "neq", "lt", "lteq", "gt", "gteq", "term-lteq", "isAnyOf"]
CHOICE = ["eq", "neq", "isA", "isAnyOf", "isNoneOf", "isPartOf", "lt"]


def choice(*values: str) -> st.SearchStrategy[Any]:
    one = st.sampled_from(values)
    return one | st.lists(one, min_size=1, max_size=3, unique=True)


ATOMS = st.one_of(
    atomic("dateTime", ORDER, st.sampled_from([day.isoformat() for day in DAYS])),
    atomic("count", ORDER, st.sampled_from(["1", "2", "5"])),
    atomic("elapsedTime", ORDER, st.sampled_from(["P1D", "P5D"])),
    atomic(
        "purpose", CHOICE, choice("planning", "traffic_planning", "research", "https://example.org/other")
    ),
    atomic("spatial", CHOICE, choice("HK", "MO", "CN", "CN-GD", "GBA", "GBA9", "440400", "Mars")),
    atomic("recipient", CHOICE, choice("hk.example", "bank", "financial-institution", "public-body")),
    atomic(FIELD, ["isAnyOf", "isNoneOf", "isAllOf", "lt"], choice(*COLUMNS)),
    atomic("https://example.org/mood", ["eq"], st.just("good")),
)
CONSTRAINTS = st.recursive(
    ATOMS,
    lambda inner: st.builds(
        lambda how, parts: {how: parts},
        st.sampled_from(["and", "or", "xone", "andSequence"]),
        st.lists(inner, min_size=1, max_size=3),
    ),
    max_leaves=5,
)
ACTIONS = st.sampled_from(["use", "read", "distribute", "display", "transfer", "sell"])
RULES = st.fixed_dictionaries(
    {"action": ACTIONS},
    optional={
        "constraint": st.lists(CONSTRAINTS, max_size=3),
        "target": st.sampled_from(["urn:d", "urn:e"]),
        "assignee": st.sampled_from(["hk.example", "mo.example"]),
    },
)
POLICIES = st.fixed_dictionaries(
    {"@id": st.just("urn:p"), "@type": st.just("Set"), "permission": st.lists(RULES, max_size=3)},
    optional={
        "prohibition": st.lists(RULES, max_size=2),
        "target": st.just("urn:d"),
        "assignee": st.just("hk.example"),
    },
)
FACTS = st.fixed_dictionaries(
    {},
    optional={
        "dateTime": st.sampled_from(DAYS) | st.sampled_from(DAYS).map(lambda day: day + timedelta(days=3)),
        "count": st.integers(0, 6),
        "elapsedTime": st.sampled_from([timedelta(days=days) for days in (0, 1, 3, 5, 9)]),
        "purpose": st.sampled_from(["planning", "traffic_planning", "grid_research", "marketing"]),
        "spatial": st.sampled_from(["HK", "MO", "CN", "CN-GD", "440400"]),
        "recipient": st.tuples(
            st.sampled_from(["hk.example", "mo.example"]),
            st.none() | st.lists(st.sampled_from(["bank", "public-body"]), unique=True),
        ),
        FIELD: st.lists(st.sampled_from(COLUMNS), unique=True),
    },
)
ASKED = st.tuples(ACTIONS, st.sampled_from(["urn:d", "urn:e"]), st.sampled_from(["hk.example", "mo.example"]))


def world(facts: dict[str, Any]) -> World:
    """What the oracle reads as plain values, as the compiled policy takes it."""
    ours = {name: value for name, value in facts.items() if name != "dateTime"}
    if "recipient" in ours:
        name, kinds = ours["recipient"]
        ours["recipient"] = Party(name, None if kinds is None else frozenset(kinds))
    if FIELD in ours:
        ours[FIELD] = frozenset(ours[FIELD])
    return World(facts.get("dateTime"), ours)
