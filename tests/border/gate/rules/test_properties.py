"""What must hold of every answer, whatever the facts."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wantong.border.gate.rules import (
    NEEDS_INFO,
    Assessment,
    FactsProblem,
    assess,
    explain,
    next_questions,
)
from wantong.border.gate.rules.assess import engine
from wantong.border.gate.rules.facts import evaluate

from .sheets import BASE, complete, partial

DEFAULTS = {name: fact.default for name, fact in BASE.facts.items() if fact.default is not None}


def substance(answer: Assessment) -> dict[str, Any]:
    """All of an answer but its account of what was missing and assumed."""
    return {k: v for k, v in answer.to_dict().items() if k not in ("missing_facts", "assumptions_used")}


def test_a_hundred_thousand_random_fact_sets_are_answered_and_the_complete_ones_decided() -> None:
    chance = random.Random(20261121)
    routes = set()
    for _ in range(50_000):
        sheet = complete(chance)
        answer = assess(sheet)
        assert answer.primary_route != NEEDS_INFO, sheet
        assert answer.missing_facts == () and answer.assumptions_used == {}, sheet
        routes.add(answer.primary_route)
        assert assess(partial(chance, sheet)).rule_base_version == BASE.label
    # the only way to a zone's exemption is rare; all other routes must have come up
    assert routes >= set(BASE.routes) - {NEEDS_INFO, "ftz_list_exempt"}


def test_an_answer_changes_only_by_facts_it_listed_as_missing_or_assumed() -> None:
    chance = random.Random(7)
    kept = changed = 0
    for _ in range(8_000):
        sheet = complete(chance)
        known = partial(chance, sheet)
        answer = assess(known)
        named = {*answer.missing_facts, *answer.assumptions_used}
        added = {
            n: v for n, v in sheet.items() if n not in known and n not in named and chance.random() < 0.7
        }
        assert substance(assess({**known, **added})) == substance(answer), (known, added)
        kept += bool(added)
        changed += substance(assess(sheet)) != substance(answer)
    assert kept > 4_000 and changed > 3_000  # both kinds were really tried


def test_assumed_facts_given_their_default_change_nothing() -> None:
    chance = random.Random(11)
    for _ in range(3_000):
        known = partial(chance, complete(chance))
        try:
            answer = assess(known)
            spelled_out = assess({**known, **answer.assumptions_used})
        except FactsProblem:
            continue  # a default spelled out may contradict what was given; see the test of contradictions
        assert substance(spelled_out) == substance(answer), known
        assert not set(spelled_out.assumptions_used) & set(answer.assumptions_used)


def test_every_listed_assumption_is_a_default_of_a_fact_not_given() -> None:
    chance = random.Random(13)
    for _ in range(2_000):
        known = partial(chance, complete(chance))
        answer = assess(known)
        assert all(DEFAULTS[n] == v and n not in known for n, v in answer.assumptions_used.items())
        assert all(n not in DEFAULTS and n not in known for n in answer.missing_facts if n != "no_rule")


def test_the_compiled_rules_agree_with_a_plain_walk_of_their_trees() -> None:
    chance = random.Random(17)
    machine = engine(BASE)
    for _ in range(1_500):
        known = partial(chance, complete(chance))
        program = machine.program(known, known["transfer_date"])
        assert program is not None
        bits = machine.encode(program, known)
        for compiled in (*program.deciding, *program.options, *program.duties):
            residual = compiled.residual(bits.true, bits.false, bits.unknown)
            walked = evaluate(compiled.rule.when, known, BASE, known["transfer_date"])
            assert {-1: False, 0: True}.get(residual) is walked, (compiled.rule.id, known)
            residual = compiled.residual(bits.true_assumed, bits.false_assumed, bits.unknown_assumed)
            walked = evaluate(compiled.rule.when, DEFAULTS | known, BASE, known["transfer_date"])
            assert {-1: False, 0: True}.get(residual) is walked, (compiled.rule.id, known)


def test_asking_the_next_question_again_and_again_leads_to_the_answer_of_the_whole_sheet() -> None:
    chance = random.Random(19)
    asked = 0
    for _ in range(60):
        sheet = complete(chance)
        known: dict[str, Any] = {}
        while questions := next_questions(known):
            assert questions[0].fact not in known
            known[questions[0].fact] = sheet[questions[0].fact]
            asked += 1
        assert substance(assess(known)) == substance(assess(sheet))
    assert asked / 60 < 0.75 * len(BASE.facts)  # it asks only what matters


def test_required_questions_are_the_missing_facts_of_an_open_route() -> None:
    chance = random.Random(23)
    for _ in range(500):
        known = partial(chance, complete(chance))
        answer = assess(known)
        questions = next_questions(known)
        assert {q.fact for q in questions} == {*answer.missing_facts, *answer.assumptions_used} - {"no_rule"}
        if answer.primary_route != NEEDS_INFO:
            assert not any(q.required for q in questions)
        elif answer.missing_facts != ("no_rule",):
            assert questions[0].required


def test_an_explanation_names_the_deciding_rule_and_what_fails_of_the_others() -> None:
    chance = random.Random(29)
    for _ in range(1_000):
        known = partial(chance, complete(chance))
        said = explain(known)
        assert said.assessment == assess(known)
        assert {r.route for r in said.routes} == set(BASE.routes) - {NEEDS_INFO}
        if said.assessment.primary_route != NEEDS_INFO:
            assert said.why is not None and said.why.rule.id == said.assessment.rule_ids[0]
            assert said.why.holds is True and all(c.holds is True for c in said.why.because)
            assert said.routes[0].route == said.assessment.primary_route
        for route in said.why_not:
            for trace in route.rules:
                if trace.in_force and route.status == "not_met":
                    assert trace.because and all(c.holds is False for c in trace.because)


@given(
    st.dictionaries(
        st.sampled_from([*BASE.facts, "no_such_fact"]),
        st.one_of(
            st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=12), st.dates(), st.datetimes(),
            st.sampled_from(["CN", "HK", "MO", "gba9", "hk", "none", "2026-11-21", "2026-02-30"]),
            st.lists(st.integers(), max_size=2),
        ),
        max_size=6,
    ),
    st.one_of(st.none(), st.dates()),
)  # fmt: skip
def test_whatever_is_given_is_answered_or_refused_by_name(facts: dict[str, Any], on: Any) -> None:
    try:
        answer = assess(facts, on)
    except FactsProblem as problem:
        assert problem.errors and all(e["kind"] for e in problem.errors)
        for lang in ("zh-hans", "zh-hant", "en", "pt"):
            assert "⟦" not in problem.explain(lang)["detail"]
    else:
        assert answer.to_dict()["primary_route"] in BASE.routes


@pytest.mark.parametrize("lost", ["transfer_date", "from_jurisdiction", "to_jurisdiction"])
def test_without_day_or_places_nothing_is_decided(lost: str) -> None:
    sheet = complete(random.Random(31))
    del sheet[lost]
    answer = assess(sheet)
    assert (answer.primary_route, answer.missing_facts) == (NEEDS_INFO, (lost,))
