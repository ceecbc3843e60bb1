"""A declaration is the fold of its actions, and the row says the same."""

from __future__ import annotations

import datetime as dt

import pytest
from django.db import DatabaseError, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.border.gate.scene import CHAN, LEI, PAPER, WU, agree, allow, declare, resident, residents, run

from wantong.border.gate.declarations import ledger, services
from wantong.border.gate.declarations import problems as p
from wantong.border.gate.declarations.decision import next_step, requirements, rests_on_consent
from wantong.border.gate.declarations.models import Action as Row
from wantong.border.gate.declarations.workflow import Action, Projection, Workflow, apply, fold
from wantong.border.gate.rules import RuleBase
from wantong.ground.actors import Actor

ACTS = st.sampled_from(
    ["confirm", "approve", "explain", "answer_facts", "hold", "resume", "refuse", "recall"]
)


@pytest.mark.django_db(transaction=True)
@settings(max_examples=12, suppress_health_check=list(HealthCheck))
@given(
    steps=st.lists(st.tuples(st.sampled_from([CHAN, LEI, WU]), ACTS), max_size=8), seed=st.integers(0, 10**9)
)
def test_whatever_people_do_the_row_equals_the_fold(told, tmp_path, steps, seed):
    path = residents(tmp_path / "r.csv", 3)
    declaration = declare(path, WU, transfer_id=f"t{seed}-{len(steps)}-{Row.objects.count()}")
    agree([resident(n) for n in range(3)])
    allow()
    for actor, act in steps:
        run(declaration)
        wanted = [r["id"] for r in declaration.waiting_for if r["act"] == act]
        try:
            services.act(
                actor,
                declaration.id,
                act,
                "because",
                PAPER,
                requirements=wanted,
                facts={"sender_sector": "insurance"},
            )
        except (p.ActNotPossible, p.ActNotAllowed, p.OwnDeclaration, p.ActIncomplete):
            pass
        else:
            assert not (actor is WU and act in ("confirm", "approve", "explain")), "nobody decides on his own"
    run(declaration)
    projection = ledger.fold_of(declaration)
    cached = {name: getattr(declaration, name) for name in ledger.CACHED}
    ledger.cache(declaration, projection)
    assert cached == {name: getattr(declaration, name) for name in ledger.CACHED}
    numbers = list(declaration.actions.order_by("number").values_list("number", flat=True))
    assert numbers == list(range(1, projection.actions + 1))


@pytest.mark.django_db(transaction=True)
def test_history_cannot_be_rewritten(told, tmp_path):
    declare(residents(tmp_path / "r.csv", 3))
    with pytest.raises(DatabaseError), transaction.atomic():
        Row.objects.update(note="it was somebody else")
    with pytest.raises(DatabaseError), transaction.atomic():
        row = Row.objects.first()
        row.actor = "user:nobody"
        row.save()


def action(act: str, actor: str = "system:gate", **data: object) -> Action:
    return Action(act, actor, dt.datetime(2026, 11, 21, tzinfo=dt.UTC), data, "n")


def test_the_workflow_holds_together():
    flow = Workflow.load()
    reachable, before = {""}, set()
    while reachable != before:
        before = set(reachable)
        for rule in flow.acts.values():
            if rule.origins & reachable and rule.to:
                reachable.add(rule.to)
    assert reachable - {""} == set(flow.states), "every state can be reached"
    for rule in flow.acts.values():
        assert rule.origins <= {"", *flow.states} and (rule.to is None or rule.to in flow.states)
        assert rule.who <= {"declarer", "approver", "auditor", "operator", "system", "peer"}
    leaving = {o for rule in flow.acts.values() if rule.to for o in rule.origins}
    assert not leaving & flow.final, "what is final does not move"
    assert all("approver" not in rule.who or rule.origins for rule in flow.acts.values())


@given(st.lists(st.sampled_from(sorted(Workflow.load().acts)), max_size=12))
def test_no_history_leads_round_the_decision(acts):
    """In any order of acts that the workflow lets pass, nothing is released that was not classified and decided."""
    data = {
        "declare": {"workflow": "1", "facts": {}},
        "decide": {"substance": "s", "decision_id": "d", "assessment": {}},
        "answer_facts": {"facts": {}},
    }
    projection, done = Projection(), []
    for act in ["declare", *acts]:
        content = data.get(act, {"requirements": [], "waiting_for": []})
        try:
            projection = apply(projection, action(act, **content))
        except p.ActNotPossible:
            continue
        done.append(act)
    assert projection == fold(action(a, **data.get(a, {"requirements": [], "waiting_for": []})) for a in done)
    if "release" in done:
        first = done.index("release")
        assert {"classify", "decide"} <= set(done[:first])
    if projection.state == "receipted":
        assert done.index("release") < done.index("deliver") < done.index("receipt")


def test_a_signature_is_for_one_answer_and_papers_stay():
    history = [
        action("declare", "user:a", workflow="1", facts={}),
        action("classify"),
        action("decide", substance="one", assessment={}),
        action("wait", waiting_for=[]),
        action("approve", "user:b", requirements=["sign_off:x"]),
        action("confirm", "user:b", requirements=["paper:pia"]),
    ]
    same = fold([*history, action("decide", substance="one", assessment={})])
    other = fold([*history, action("decide", substance="two", assessment={})])
    assert set(same.met) == {"sign_off:x", "paper:pia"} and set(other.met) == {"paper:pia"}


def test_roles_are_not_names():
    flow, projection = Workflow.load(), fold([action("declare", "user:a", workflow="1", facts={})])
    with pytest.raises(p.ActNotAllowed):
        flow.check(projection, Actor("user:system", roles=frozenset({"auditor"})), "classify")
    with pytest.raises(p.ActNotAllowed):
        flow.check(projection, Actor("peer:x", roles=frozenset({"approver"})), "hold", ["note"])


# --- decisions --------------------------------------------------------------------------------------------------

ANSWER = {"primary_route": "exempt", "before": [], "missing_facts": [], "provisional": False}


@given(
    route=st.sampled_from([*RuleBase.load().routes, "a_route_of_tomorrow"]),
    before=st.lists(st.sampled_from([*RuleBase.load().obligations, "a_duty_of_tomorrow"]), unique=True),
    provisional=st.booleans(),
    missing=st.lists(st.sampled_from(["is_important_data", "n_sensitive"]), unique=True, min_size=1),
)
def test_nothing_that_the_law_wants_is_waved_through(route, before, provisional, missing):
    """Whatever the answer is: with nothing met, only an answer that wants nothing could be released, and none does."""
    answer = {"primary_route": route, "before": before, "provisional": provisional, "missing_facts": missing}
    on_consent = rests_on_consent(answer, {})
    wanted = requirements(answer, (), on_consent=on_consent)
    step, still_open = next_step(answer, wanted, ())
    assert step != "release"
    if route == "forbidden":
        assert step == "refuse" and next_step(answer, wanted, {r.id for r in wanted})[0] == "refuse"
    elif route == "needs_info":
        assert {r.name for r in still_open} == set(missing)
    else:
        named = {r.name for r in still_open}
        assert "whitelist" in named
        assert named >= set(before) - {"separate_consent"}
        assert ("separate_consent" in before) == on_consent == ("consent" in named)
        assert provisional == any(r.kind == "signature" for r in still_open)
        assert next_step(answer, wanted, {r.id for r in wanted}) == ("release", ())
    if route in (
        "security_assessment",
        "competent_authority_approval",
        "authority_authorisation",
        "a_route_of_tomorrow",
    ):
        assert step == "hold"
