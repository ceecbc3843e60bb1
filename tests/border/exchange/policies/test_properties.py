"""What must hold of every policy: the closures say what a plain reading says, narrowing narrows, knowing settles."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.border.exchange.policies import naive
from tests.border.exchange.policies.drawing import ASKED, CONSTRAINTS, FACTS, POLICIES, RULES, world

from wantong.border.exchange.policies import Request, compile_policy, parse

RANK = {False: 0, None: 1, True: 2}


def ours(policy, asked, facts):
    return compile_policy(parse(policy)).decide(Request(*asked), world(facts))


@settings(max_examples=200)
@given(POLICIES, ASKED, FACTS)
def test_compiled_and_plainly_read_are_one(policy, asked, facts):
    assert ours(policy, asked, facts).permitted == naive.decide(policy, *asked, facts)


@settings(max_examples=80)
@given(POLICIES, ASKED, FACTS, st.data())
def test_more_facts_settle_and_never_overturn(policy, asked, facts, data):
    kept = data.draw(st.sets(st.sampled_from(sorted(facts)))) if facts else set()
    before = ours(policy, asked, {name: facts[name] for name in kept}).permitted
    assert before in (None, ours(policy, asked, facts).permitted)


@settings(max_examples=80)
@given(POLICIES, ASKED, FACTS, CONSTRAINTS, RULES, st.data())
def test_a_tightened_policy_never_permits_more(policy, asked, facts, constraint, rule, data):
    tighter = {**policy, "permission": [dict(one) for one in policy["permission"]]}
    match data.draw(st.sampled_from(["constrain", "drop", "prohibit"])):
        case "constrain":
            for one in tighter["permission"]:
                one["constraint"] = [*one.get("constraint", []), constraint]
        case "drop":
            tighter["permission"] = tighter["permission"][1:]
        case "prohibit":
            tighter["prohibition"] = [*policy.get("prohibition", []), rule]
    assert RANK[ours(tighter, asked, facts).permitted] <= RANK[ours(policy, asked, facts).permitted]


@settings(max_examples=80)
@given(POLICIES, ASKED, FACTS)
def test_every_answer_says_why(policy, asked, facts):
    decision = ours(policy, asked, facts)
    ids = {f"{kind}[{n}]" for kind in ("permission", "prohibition") for n in range(9)}
    assert decision.why
    for why in decision.why:
        assert why.rule in ids or why.code == "no-permission"
        assert (why.code == "granted") == (decision.permitted is True)
        if why.code in ("fails", "not-known", "open", "word", "operator", "value"):
            assert why.constraint.startswith(why.rule)


@settings(max_examples=80)
@given(POLICIES, ASKED, FACTS)
def test_a_report_says_what_the_decision_says(policy, asked, facts):
    compiled = compile_policy(parse(policy))
    state = world(facts)
    decision = compiled.decide(Request(*asked), state).permitted
    reports = compiled.report(Request(*asked), state)
    granted = [one.active for one in reports if one.kind == "permission"]
    barred = [one.active for one in reports if one.kind == "prohibition"]
    assert decision == naive.all_of([naive.any_of(granted), naive.negate(naive.any_of(barred))])


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(["use", "dateTime", "P1D", "eq"]),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(
        st.sampled_from(
            ["action", "constraint", "leftOperand", "operator", "rightOperand", "and", "or", "duty", "@id", "@value",
             "permission", "prohibition", "refinement", "target", "odrl:action", "profile", "andSequence", "@list"]
        ),
        inner, max_size=5,
    ),
    max_leaves=30,
)  # fmt: skip


@settings(max_examples=100)
@given(JUNK)
def test_anything_is_a_policy_or_is_refused(document):
    from wantong.border.exchange.policies import MalformedPolicy

    try:
        compiled = compile_policy(parse(document))
    except MalformedPolicy:
        return
    compiled.decide(Request("use"), world({}))
    compiled.strange("exchange")
