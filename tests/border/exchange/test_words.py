"""Policies in words: the common terms in four languages, the others as they are written, and nothing left out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wantong.border.exchange import terms, words
from wantong.border.exchange.policies import (
    Party,
    Request,
    Since,
    World,
    compile_policy,
    parse,
    values,
    vocabulary,
)
from wantong.border.exchange.problems import TermsUnmet
from wantong.ground.i18n import LANGUAGES, catalogue


def said(lang, *constraints, kind="permission", action="use"):
    (clause,) = words.clauses({kind: [{"action": action, "constraint": list(constraints)}]}, lang)
    return clause


def test_a_request_reads_as_it_was_meant():
    asked = terms.request(terms.offer("o"), "urn:d", "planning", ["a", "b"])
    assert [c.limits for c in words.clauses(asked, "en")] == [
        ("only for the purpose “Planning”", "only the fields a; b")
    ]
    assert [c.limits for c in words.clauses(asked, "zh-hant")] == [("只限用途：規劃", "只限欄位：a、b")]


def test_terms_are_one_whatever_their_prefix():
    for left in ("purpose", "odrl:purpose", "http://www.w3.org/ns/odrl/2/purpose", {"@id": "odrl:purpose"}):
        for operator in ("eq", "odrl:eq", {"@id": "http://www.w3.org/ns/odrl/2/eq"}):
            clause = said(
                "pt", {"leftOperand": left, "operator": operator, "rightOperand": {"@id": "planning"}}
            )
            assert clause.limits == ("só para a finalidade «Planeamento»",)


def test_what_has_no_words_is_shown_as_it_is_written():
    clause = said(
        "en", {"leftOperand": "urn:x/phase", "operator": "gt", "rightOperand": 3}, action="https://x/fly"
    )
    assert clause.action == "https://x/fly" and clause.limits == ("urn:x/phase is more than 3",)


def test_limits_that_belong_together_stay_together():
    one = {"leftOperand": "purpose", "operator": "eq", "rightOperand": "planning"}
    two = {"leftOperand": "spatial", "operator": "eq", "rightOperand": "MO"}
    assert said("en", {"or": [one, {"and": [one, two]}]}).limits == (
        "at least one of this: only for the purpose “Planning”; "
        "all of this: only for the purpose “Planning”; only in Macao",
    )


def test_duties_of_a_permission_are_told():
    rule = {"action": "use", "duty": [{"action": "attribute"}, {"action": "delete", "constraint": [{"leftOperand": "dateTime", "operator": "lteq", "rightOperand": "2027-01-01"}]}]}  # fmt: skip
    (clause,) = words.clauses({"permission": [rule]}, "zh-hans")
    assert clause.duties == ("注明出处", "删除（截至 2027-01-01）")


WORDS = vocabulary.load()
GIVEN = [operand for operand in WORDS.operands.values() if operand.given == "exchange"]
RIGHT = {"instant": "2027-01-01Z", "duration": "P1D", "number": "3"}
OPERATORS = [
    "eq",
    "neq",
    "lt",
    "lteq",
    "gt",
    "gteq",
    "isA",
    "hasPart",
    "isPartOf",
    "isAnyOf",
    "isAllOf",
    "isNoneOf",
]


@pytest.mark.parametrize("operand", GIVEN, ids=lambda operand: operand.name)
def test_whatever_is_enforced_reads_as_a_sentence(operand):
    tree = WORDS.trees[{"region": "places", "party": "receivers"}.get(operand.type, "purposes")]
    said_of = 0
    for operator in OPERATORS:
        try:
            values.test(operand.type, operator, RIGHT.get(operand.type, "x"), tree)
        except values.NotUnderstood:
            continue
        said_of += 1
        name = operand.name.removeprefix("https://w3id.org/wantong/")
        assert f"odrl.limit.{name}.{operator}" in catalogue()
    assert said_of >= 4


def test_every_word_of_the_data_has_a_name():
    for name in WORDS.operands:
        assert f"odrl.left.{name.removeprefix('https://w3id.org/wantong/')}" in catalogue(), name
    for code in WORDS.trees["places"].broader:
        assert f"odrl.place.{code}" in catalogue()
    for code in WORDS.trees["receivers"].broader:
        assert f"odrl.kind.{code}" in catalogue()


def test_times_places_and_bodies_are_said_in_words():
    assert said("en", limit("dateTime", "lteq", "2027-12-31T16:00:00Z")).limits == (
        "until 2028-01-01 00:00 (UTC+8)",
    )
    assert said("zh-hant", limit("spatial", "isPartOf", "gba9")).limits == ("只限大灣區內地九市之內",)
    assert said("pt", limit("recipient", "isA", "public-hospital")).limits == (
        "só por entidades do tipo: hospital público",
    )
    assert said("en", limit("count", "term-lteq", "3")).limits == ("at most 3 times",)


def test_reasons_are_sentences_in_every_language():
    policy = {"@id": "p", "permission": [{"action": "use", "constraint": [
        limit("count", "lteq", "3"), limit("recipient", "isA", "bank"), limit("spatial", "eq", "GBA"), limit("urn:mood", "eq", "good"),
        limit("count", "isA", "3"), limit("count", "lt", "x"), limit("elapsedTime", "lt", "P2D"), limit("dateTime", "lt", "2026-01-01Z"),
        limit("purpose", "eq", "p"),
    ]}]}  # fmt: skip
    now = datetime(2026, 11, 21, tzinfo=UTC)
    known = {
        "count": 4,
        "recipient": Party("hk.example"),
        "spatial": "CN-GD",
        "elapsedTime": Since(now - timedelta(days=3, hours=1), now),
    }
    compiled = compile_policy(parse(policy))
    asked = [(Request("use"), World(now, known)), (Request("sell"), World(now)), (Request("use"), World())]
    for lang in LANGUAGES:
        for request, world in asked:
            text = TermsUnmet.of(compiled.decide(request, world)).explain(lang)["detail"]
            assert "⟦" not in text and "{" not in text
    text = TermsUnmet.of(compiled.decide(*asked[0])).explain("en")["detail"]
    assert "not met: at most 3 times (now: 4)" in text and "(now: 3 days 1 hour 0 minutes)" in text
    assert (
        "hk.example (what kind of body it is has not been recorded)" in text
        and "“urn:mood” is not understood" in text
    )


def limit(left, operator, right):
    return {"leftOperand": left, "operator": operator, "rightOperand": right}


@pytest.mark.parametrize("key", [k for k in catalogue() if k.startswith("odrl.limit.")])
def test_every_sentence_says_the_right_hand_side(key):
    assert all("{right}" in catalogue()[key][lang] for lang in LANGUAGES)


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(
        st.sampled_from(["action", "constraint", "leftOperand", "operator", "rightOperand", "and", "or", "duty", "@id", "@value", "permission"]),
        inner,
        max_size=4,
    ),
    max_leaves=30,
)  # fmt: skip


@given(st.dictionaries(st.sampled_from(terms.RULES), JUNK, max_size=3), st.sampled_from(LANGUAGES))
def test_any_policy_ends_in_words(policy, lang):
    for clause in words.clauses(policy, lang):
        assert isinstance(clause.action, str) and all(isinstance(text, str) for text in clause.limits)
        assert "⟦" not in "".join((clause.action, *clause.limits)) or "⟦" in str(policy)


@pytest.mark.parametrize(("span", "en", "zh"), [("P1Y", "1 year", "1 年"), ("P6MT12H", "6 months 12 hours", "6 个月12 小时"), ("P", "P", "P"), ("soon", "soon", "soon"), ("P1.5Y", "P1.5Y", "P1.5Y")])  # fmt: skip
def test_a_span_of_time_is_said_in_words(span, en, zh):
    limit = {"leftOperand": "elapsedTime", "operator": "lteq", "rightOperand": span}
    assert said("en", limit, kind="obligation", action="delete").limits == (f"within {en} of receipt",)
    assert said("zh-hans", limit).limits == (f"自收到之日起 {zh}内",)


def test_depth_is_bounded():
    deep: dict = {"leftOperand": "count", "operator": "lteq", "rightOperand": "3"}
    for _ in range(500):
        deep = {"and": [deep]}
    assert len(said("en", deep).limits) == 1
