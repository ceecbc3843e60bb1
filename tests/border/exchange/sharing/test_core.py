"""The pure core: a request is the fold of its acts, a grant becomes a policy and comes back, versions differ and merge."""

from __future__ import annotations

import datetime as dt
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wantong.border.exchange import terms
from wantong.border.exchange.schemas import check
from wantong.border.exchange.sharing import changes, codes, contract, figures, quality
from wantong.border.exchange.sharing.request import (
    Action,
    Grant,
    OwnEndorsement,
    OwnRequest,
    Projection,
    Wish,
    Workflow,
    apply,
    fold,
)
from wantong.ground.actors import Actor
from wantong.ground.workflow import ActIncomplete, ActNotAllowed, ActNotPossible

NOW = dt.datetime(2026, 11, 21, 9, tzinfo=dt.UTC)
WISH = Wish(
    "benefit", "statutory_duty", "社会保险法第七十四条", ("a", "b"), 1000, dt.date(2027, 6, 30), "file"
)
GRANT = Grant("benefit", ("a", "b"), {"a": "keep", "b": "tokenise"}, dt.date(2027, 6, 30), "file", 1000)
CHAN = Actor("user:chan", "", frozenset({"declarer", "approver"}))
LEI = Actor("user:lei", "", frozenset({"declarer", "approver"}))
HO = Actor("user:ho", "", frozenset({"approver"}))


def done(act, actor="user:chan", **data):
    if act == "ask":
        data = {"workflow": "1", "wish": WISH.to_dict()}
    return Action(act, actor, NOW, data, "words")


def asked():
    return fold([done("ask")])


def test_the_workflow_holds_together():
    flow = Workflow.load()
    for name, rule in flow.acts.items():
        assert rule.origins <= {"", *flow.states}, name
        assert rule.to is None or rule.to in flow.states
        assert flow.side(name) in ("owner", "asker", "both")
        if rule.to:
            assert not rule.origins & flow.final, f"{name} leads out of an end"


def test_a_conditional_item_takes_two_people_neither_of_whom_asked():
    flow, request = Workflow.load(), asked()
    with pytest.raises(OwnRequest):
        flow.check(request, CHAN, "endorse", ["note"])
    flow.check(request, LEI, "endorse", ["note"])
    endorsed = apply(request, done("endorse", "user:lei"))
    for own, problem in ((LEI, OwnEndorsement), (CHAN, OwnRequest)):
        with pytest.raises(problem):
            flow.check(endorsed, own, "approve", ["note"])
    flow.check(endorsed, HO, "approve", ["note"])
    with pytest.raises(ActNotPossible):
        flow.check(request, HO, "approve", ["note"])
    with pytest.raises(ActNotAllowed):
        flow.check(request, HO, "grant")


def test_a_refusal_needs_a_code_and_words():
    flow = Workflow.load()
    with pytest.raises(ActIncomplete) as raised:
        flow.check(asked(), HO, "refuse", ["note"])
    assert raised.value.params["missing"] == "code"


@given(st.lists(st.sampled_from(sorted(Workflow.load().acts)), max_size=14))
def test_in_any_order_nothing_is_granted_without_a_grant_and_no_end_is_left(acts):
    data = {
        "grant": {"grant": GRANT.to_dict()},
        "approve": {"grant": GRANT.to_dict()},
        "refuse": {"code": "not_fit"},
        "agree": {"agreement_id": "urn:a"},
        "announce": {"version": 2},
        "consign": {"delivery": "d", "version": 1, "mode": "whole"},
        "deliver": {"delivery": "d"},
        "rate": {"delivery": "d", "score": 4},
        "report": {"report": "r", "delivery": "d", "field": "a", "commitment": "c"},
        "answer": {"report": "r", "code": "corrected"},
        "miss": {"missed": "grant"},
    }
    request, ended = asked(), ""
    for act in acts:
        try:
            request = apply(request, done(act, **data.get(act, {})))
        except ActNotPossible:
            continue
        assert not ended or request.state == ended
        if not request.is_open:
            ended = request.state
        if request.state in ("granted", "in_force"):
            assert request.grant == GRANT
        if request.state == "in_force":
            assert request.agreement_id


def test_a_grant_covers_its_fields_its_purpose_its_term_and_nothing_more():
    day = dt.date(2027, 6, 30)
    assert GRANT.covers(["a"], "benefit", day) and GRANT.covers(["b", "a"], "benefit", day)
    assert not GRANT.covers([], "benefit", day)
    assert not GRANT.covers(["a", "c"], "benefit", day)
    assert not GRANT.covers(["a"], "marketing", day)
    assert not GRANT.covers(["a"], "benefit", day + dt.timedelta(days=1))
    assert GRANT.within(WISH, ["a", "b", "c"])
    for wider in (
        {"fields": ("a", "c"), "masks": {"a": "keep", "c": "keep"}},
        {"until": dt.date(2027, 7, 1)},
        {"delivery": "subscription"},
        {"purpose": "other"},
        {"volume": 1001},
        {"masks": {"a": "keep"}},
    ):
        assert not Grant(**{**GRANT.__dict__, **wider}).within(WISH, ["a", "b", "c"]), wider


def test_a_grant_stands_in_the_agreement_and_is_read_back():
    for delivery in codes.deliveries():
        grant = Grant(**{**GRANT.__dict__, "delivery": delivery})
        offer = contract.offer(terms.offer("o:1"), "5e0…", grant)
        asked = terms.request(offer, "urn:d", grant.purpose, grant.fields)
        check(asked, "MessageOffer")
        assert terms.within(asked, terms.offer("o:1")), "it narrows the plain offer"
        assert terms.fields_of(asked) == list(grant.fields) and terms.purpose_of(asked) == "benefit"
        said = contract.read(asked)
        assert (said.request, said.delivery) == ("5e0…", delivery)
        assert said.until == dt.datetime(2027, 6, 30, 15, 59, 59, tzinfo=dt.UTC)
    assert contract.read(terms.offer("x")) == contract.Contract("", "", None)


ROWS = st.dictionaries(st.text("abcdef", min_size=1, max_size=3), st.text("xyz01", max_size=3), max_size=12)


@given(ROWS, ROWS)
def test_what_has_changed_is_enough_to_have_the_newest(old, new):
    before, after = (
        changes.index([{"k": k, "v": v} for k, v in rows.items()], ["k"], ["k", "v"]) for rows in (old, new)
    )
    differ = changes.compare(before, after)
    salt = b"s" * 32
    removed = [changes.digest(salt, key) for key in differ.removed]
    part = changes.index(differ.rows, ["k"], ["k", "v"])
    merged = changes.merge(before, part, removed, salt)
    assert changes.state(merged) == changes.state(after)
    assert dict(merged) == dict(after)
    assert differ.added + differ.changed == len(differ.rows)
    assert len(after) == len(before) + differ.added - len(differ.removed)
    if before != after:
        assert changes.state(before) != changes.state(after)


def test_a_column_with_doubles_or_blanks_is_no_key():
    for rows in ([{"k": "1"}, {"k": "1"}], [{"k": ""}]):
        with pytest.raises(changes.NotAKey):
            changes.index(rows, ["k"], ["k"])


def test_quality_is_what_was_measured():
    fields = [{"name": "day", "type": "date"}, {"name": "count", "type": "integer"}, {"name": "note"}]
    meter = quality.Meter(fields)
    for day, count, note in (
        ("2026-01-01", "12", "x"), ("2026-01-02", "", ""), ("yesterday", "1e9", "y"), ("2026-02-30", "7", "z"),
    ):  # fmt: skip
        meter.feed({"day": day, "count": count, "note": note})
    measured = meter.measured()
    assert measured.columns["day"].to_dict() == {"filled": 4, "checked": 4, "valid": 3}
    assert measured.columns["count"].to_dict() == {"filled": 3, "checked": 3, "valid": 2}
    assert measured.columns["note"].checked == 0
    assert quality.Measured.of(measured.to_dict()) == measured

    def judged(**more):
        return quality.judge(
            measured, **{"updated_at": NOW, "cycle": "P1M", "ratings": [], "now": NOW, **more}
        )

    fresh = judged()
    assert fresh.parts == {"completeness": 10 / 12, "validity": 5 / 7, "freshness": 1.0}
    assert fresh.score == round(100 * (30 * 10 / 12 + 30 * 5 / 7 + 25) / 85)
    late = judged(now=NOW + dt.timedelta(days=62))
    assert late.parts["freshness"] == 0.5
    assert judged(now=NOW + dt.timedelta(days=400)).parts["freshness"] == 0
    assert "freshness" not in judged(cycle="now and then").parts
    assert judged(ratings=[5, 4]).parts["rating"] == 0.875
    assert judged(ratings=[1, 1, 1]).score < fresh.score < judged(ratings=[5]).score
    assert quality.judge(None, updated_at=NOW, cycle="", ratings=[], now=NOW) == quality.Quality(None)


def test_a_kind_with_a_check_digit_is_checked():
    meter = quality.Meter([{"name": "code"}], {"code": "uscc"})
    for value in ("91350100M000100Y43", "91350100M000100Y44"):
        meter.feed({"code": value})
    assert meter.measured().columns["code"].to_dict() == {"filled": 2, "checked": 2, "valid": 1}


def test_the_figures_of_the_dashboard():
    def case(n, **more):
        at = dt.datetime(2026, 10, 31, 20, tzinfo=dt.UTC) + dt.timedelta(days=n)
        had = more.pop("hours", None)
        return figures.Case(
            **{
                "dataset_id": f"d{n % 2}", "owner_body": "own", "asker_body": f"ask{n % 3}", "state": "in_force",
                "sharing": "conditional", "asked_at": at,
                "had_at": at + dt.timedelta(hours=had) if had is not None else None,
                "granted": had is not None, **more,
            }
        )  # fmt: skip

    cases = [case(0, hours=1, sharing="unconditional"), case(1, hours=2), case(2, hours=10, ratings=(4, 5)),
             case(3, state="refused", refusal="not_fit"), case(4, state="asked")]  # fmt: skip
    random.Random(1).shuffle(cases)
    told = figures.figures(cases, contract.ZONE).to_dict()
    assert (told["asked"], told["granted"], told["refused"], told["open"]) == (5, 3, 1, 1)
    assert told["times"] == {"count": 3, "mean": 4.3333, "median": 2, "p90": 8.4}
    assert told["at_once"]["median"] == 1
    assert [(m["month"], m["asked"]) for m in told["months"]] == [("2026-11", 5)], "the bay's months"
    assert told["refusals"] == [{"code": "not_fit", "count": 1}]
    assert told["bodies"][0]["body"] == "own" and told["bodies"][0]["asked_of"] == 5
    assert next(d for d in told["datasets"] if d["dataset_id"] == "d0")["rating"] == 4.5
    assert figures.figures([], contract.ZONE).times == figures.Times()


def test_every_refusal_of_the_node_itself_is_one_of_the_list():
    assert {"not_shareable", "unknown_dataset", "unknown_fields", "not_taken"} <= set(codes.refusals())
    assert not {"not_shareable", "unknown_dataset"} & set(codes.refusals(by_people=True))
    assert Projection().is_open
