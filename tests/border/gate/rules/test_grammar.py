"""Expressions: what parses, what is refused and where, and that printing and parsing agree."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wantong.border.gate.rules import RuleBase
from wantong.border.gate.rules.facts import evaluate
from wantong.border.gate.rules.grammar import (
    And,
    Atom,
    Expression,
    ExpressionError,
    Not,
    Or,
    Parameter,
    negation_free,
    parse,
    tokenize,
)

BASE = RuleBase.load()
FACTS, PARAMETERS = BASE.facts, set(BASE.parameters)


def read(source: str) -> Expression:
    return parse(source, FACTS, PARAMETERS)


def test_precedence_is_not_then_and_then_or() -> None:
    tree = read("is_personal or not is_core_data and n_sensitive > 0")
    personal, core = Atom("is_personal", "==", True), Atom("is_core_data", "==", True)
    assert tree == Or((personal, And((Not(core), Atom("n_sensitive", ">", 0)))))
    assert read("(is_personal or is_core_data) and n_sensitive > 0") == And(
        (Or((personal, core)), Atom("n_sensitive", ">", 0))
    )


def test_values_keep_their_types() -> None:
    assert read("n_sensitive >= SPI_HIGH") == Atom("n_sensitive", ">=", Parameter("SPI_HIGH"))
    assert read("from_area in ['gba9', 'hk']") == Atom("from_area", "in", ("gba9", "hk"))
    assert read("is_personal != false") == Atom("is_personal", "!=", False)


@pytest.mark.parametrize(
    ("source", "reason", "position"),
    [
        ("is_persnal == true", "unknown fact is_persnal", 0),
        ("n_sensitive > SPI_LOW", "unknown parameter SPI_LOW", 14),
        ("from_area == 'gba10'", "from_area is never 'gba10'", 13),
        ("from_area in ['hk', 'xx']", "from_area is never 'xx'", 20),
        ("is_personal == 'true'", "is_personal is of type bool, not enum", 15),
        ("n_sensitive == true", "n_sensitive is of type int, not bool", 15),
        ("is_personal < true", "is_personal has no order", 12),
        ("from_area > 'hk'", "from_area has no order", 10),
        ("n_sensitive", "n_sensitive is not a yes-or-no fact and needs a comparison", 0),
        ("is_personal ==", "expected a value, found the end", 14),
        ("is_personal == true and", "expected a fact, found the end", 23),
        ("(is_personal", "expected ), found the end", 12),
        ("is_personal is_core_data", "expected end, found is_core_data", 12),
        ("from_area in 'hk'", "expected [, found hk", 13),
        ("n_sensitive > 0 > 1", "expected end, found >", 16),
        ("__import__('os')", "unexpected '_'", 0),
        ("is_personal; true", "unexpected ';'", 11),
        ("transfer_date == '2026-01-01'", "transfer_date is of type date, not enum", 17),
        ("", "expected a fact, found the end", 0),
    ],
)
def test_what_does_not_fit_is_refused_with_reason_and_place(source: str, reason: str, position: int) -> None:
    with pytest.raises(ExpressionError) as caught:
        read(source)
    assert (caught.value.reason, caught.value.position) == (reason, position)


def values_of(name: str) -> st.SearchStrategy[object]:
    fact = FACTS[name]
    if fact.type == "bool":
        return st.booleans()
    return st.sampled_from(fact.values) if fact.type == "enum" else st.integers(0, 20)


NAMES = st.sampled_from([n for n, f in FACTS.items() if f.type != "date"][:12])
ATOMS = NAMES.flatmap(
    lambda n: (
        st.builds(
            Atom,
            st.just(n),
            st.sampled_from(["==", "!=", "<", "<=", ">", ">="] if FACTS[n].type == "int" else ["==", "!="]),
            values_of(n),
        )
        | st.builds(
            Atom, st.just(n), st.just("in"), st.lists(values_of(n), min_size=1, max_size=3).map(tuple)
        )
    )
)


def joined(inner: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
    several = st.lists(inner, min_size=2, max_size=3)

    def flat(kind: type[And] | type[Or], operands: list[Expression]) -> Expression:
        # the parser makes one node of a run of the same word
        return kind(tuple(o for x in operands for o in (x.operands if isinstance(x, kind) else (x,))))

    return st.builds(Not, inner) | several.map(lambda o: flat(And, o)) | several.map(lambda o: flat(Or, o))


TREES = st.recursive(ATOMS, joined, max_leaves=8)
SHEETS = st.fixed_dictionaries(
    {}, optional={n: values_of(n) for n in [n for n, f in FACTS.items() if f.type != "date"][:12]}
)


@given(TREES)
def test_a_printed_tree_parses_to_itself(tree: Expression) -> None:
    assert read(str(tree)) == tree


@given(TREES, SHEETS)
def test_pushing_negation_inwards_keeps_all_three_values(tree: Expression, sheet: dict[str, object]) -> None:
    assert evaluate(tree, sheet, BASE) is evaluate(negation_free(tree), sheet, BASE)


@given(TREES, SHEETS, SHEETS)
def test_what_is_definite_stays_so_when_more_is_known(
    tree: Expression, sheet: dict[str, object], more: dict[str, object]
) -> None:
    known = evaluate(tree, sheet, BASE)
    if known is not None:
        assert evaluate(tree, {**more, **sheet}, BASE) is known


@given(st.text(max_size=60))
def test_no_text_breaks_the_parser(source: str) -> None:
    try:
        tokenize(source)
        read(source)
    except ExpressionError as error:
        assert 0 <= error.position <= len(source)
