"""Policies in words: the common terms in four languages, the others as they are written, and nothing left out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wantong.border.exchange import terms, words
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
    assert clause.action == "fly" and clause.limits == ("phase is more than 3",)


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
