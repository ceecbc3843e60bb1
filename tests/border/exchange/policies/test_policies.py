"""Policies case by case: what is read, what each type of value means, what is not understood, and why an answer is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from wantong.border.exchange.policies import (
    Duration,
    MalformedPolicy,
    Party,
    Request,
    Since,
    World,
    compile_policy,
    parse,
    vocabulary,
)

NOW = datetime(2026, 11, 21, 4, 0, tzinfo=UTC)


def at(text):
    return datetime.fromisoformat(text)


def limit(left, operator, right, **more):
    return {"leftOperand": left, "operator": operator, "rightOperand": right, **more}


def compiled(*constraints, action="use", **more):
    rule = {"action": action, "constraint": list(constraints)} if constraints else {"action": action}
    return compile_policy(parse({"@id": "urn:p", "@type": "Offer", "permission": [rule], **more}))


def truth(constraint, now=NOW, action="use", **facts):
    return compiled(constraint).decide(Request(action), World(now, facts)).permitted


# --- words ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "left", ["count", "odrl:count", "http://www.w3.org/ns/odrl/2/count", {"@id": "odrl:count"}]
)
def test_a_word_is_one_however_it_is_spelt(left):
    assert truth(limit(left, "odrl:lteq", {"@value": "3", "@type": "xsd:integer"}), count=3) is True
    assert truth(limit(left, {"@id": "odrl:lteq"}, 3), count=4) is False


def test_keys_spelt_out_are_the_same_keys():
    policy = {
        "@id": "urn:p", "odrl:permission": {"odrl:action": {"@id": "odrl:use"},
        "odrl:constraint": {"odrl:leftOperand": "odrl:count", "odrl:operator": "odrl:lt", "odrl:rightOperand": 2}},
    }  # fmt: skip
    decide = compile_policy(parse(policy)).decide
    assert decide(Request("use"), World(NOW, {"count": 1})).permitted is True
    assert decide(Request("use"), World(NOW, {"count": 2})).permitted is False


def test_a_word_that_is_not_understood_is_named_and_never_ignored():
    policy = compiled(limit("https://example.org/purpose", "eq", "x"), limit("count", "lteq", "3"))
    decision = policy.decide(Request("use"), World(NOW, {"count": 1, "purpose": "x"}))
    assert decision.permitted is None
    assert [(why.code, why.left) for why in decision.why] == [("word", "https://example.org/purpose")]
    assert policy.strange() == ("https://example.org/purpose",)


@pytest.mark.parametrize("more", [
    {"conflict": "perm"}, {"profile": "https://example.org/profile"}, {"inheritFrom": "urn:other"},
    {"permission": [{"action": "use", "asTheCrowFlies": True}]},
    {"permission": [{"action": "use", "constraint": [limit("count", "lt", "3", unit="boxes")]}]},
    {"permission": [{"action": "use", "constraint": [limit("count", "lt", "3", status="2")]}]},
    {"permission": [{"action": "use", "constraint": [{"leftOperand": "count", "operator": "lt", "rightOperandReference": "urn:x"}]}]},
    {"permission": [{"action": "use", "constraint": [{"or": [limit("count", "lt", "3")], "mood": "good"}]}]},
    {"permission": [{"action": "use", "target": {"@id": "urn:t", "mood": "good"}}]},
    {"permission": [{"action": "use"}], "prohibition": [{"action": "https://example.org/fly"}]},
])  # fmt: skip
def test_strange_words_anywhere_leave_the_answer_open(more):
    policy = compiled(**more)
    decision = policy.decide(Request("use", "urn:t"), World(NOW, {"count": 1}))
    assert decision.permitted is None and policy.strange()
    assert decision.why[0].code in ("word", "action")


def test_descriptions_change_nothing():
    policy = compiled(
        **{"dct:description": "as agreed on the phone", "profile": next(iter(vocabulary.PROFILES))}
    )
    assert policy.decide(Request("use"), World(NOW)).permitted is True and policy.strange() == ()


def test_words_whose_value_an_exchange_cannot_know_are_told():
    policy = compiled(limit("payAmount", "eq", "5"), limit("count", "lteq", "3"))
    assert policy.strange() == () and policy.strange("exchange") == ("payAmount",)


@pytest.mark.parametrize(("constraint", "code"), [
    (limit("count", "isA", "3"), "operator"), (limit("count", "lt", "three"), "value"), (limit("count", "lt", True), "value"),
    (limit("dateTime", "lt", "tomorrow"), "value"), (limit("dateTime", "isAnyOf", ["2027-01-01"]), "value"),
    (limit("dateTime", "lt", "2027-02-30"), "value"), (limit("elapsedTime", "eq", "P1D"), "operator"),
    (limit("elapsedTime", "lt", "P"), "value"), (limit("elapsedTime", "lt", "P1DT"), "value"),
    (limit("spatial", "lt", "HK"), "operator"), (limit("spatial", "eq", ["HK", "MO"]), "value"),
    (limit("recipient", "isAnyOf", []), "value"),
])  # fmt: skip
def test_what_cannot_be_compared_is_said_so(constraint, code):
    facts = {"count": 1, "elapsedTime": timedelta(days=1), "spatial": "HK", "recipient": Party("hk.example")}
    decision = compiled(constraint).decide(Request("use"), World(NOW, facts))
    assert decision.permitted is None and [why.code for why in decision.why] == [code]


@pytest.mark.parametrize("document", [
    None, [], "x", {"permission": "use"}, {"permission": [{"action": "use", "constraint": "none"}]},
    {"permission": [{"action": ""}]}, {"permission": [{"action": "use", "constraint": [{"leftOperand": "count"}]}]},
    {"permission": [{"action": "use", "constraint": [{"or": []}]}]},
    {"permission": [{"action": "use", "constraint": [{"or": [limit("count", "lt", 1)], "and": []}]}]},
    {"permission": [{"action": "use", "constraint": [limit("count", "lt", None)]}]},
    {"permission": [{"action": "use", "odrl:action": "read"}]},
    {"permission": [{"action": "use"}] * 1001},
])  # fmt: skip
def test_what_is_no_policy_is_refused(document):
    with pytest.raises(MalformedPolicy):
        parse(document)


def test_depth_is_bounded():
    deep = limit("count", "lt", "3")
    for _ in range(50):
        deep = {"and": [deep]}
    with pytest.raises(MalformedPolicy):
        compiled(deep)


# --- values -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("operator", "right", "now", "expected"), [
    ("lteq", "2027-01-01", "2027-01-01T23:59:59-11:00", None),
    ("lteq", "2027-01-01", "2026-12-31T00:00:00Z", True),
    ("lteq", "2027-01-01", "2027-01-03T00:00:00Z", False),
    ("lteq", "2027-01-01+08:00", "2027-01-01T15:59:59Z", True),
    ("lteq", "2027-01-01+08:00", "2027-01-01T16:00:00Z", False),
    ("gt", "2027-01-01Z", "2027-01-01T12:00:00Z", False),
    ("eq", "2027-01-01Z", "2027-01-01T12:00:00Z", True),
    ("lt", "2027-01-01T08:00:00+08:00", "2027-01-01T00:00:00Z", False),
    ("lteq", "2027-01-01T08:00:00+08:00", "2027-01-01T00:00:00Z", True),
    ("gteq", "2027-01-01T00:00:00", "2027-01-01T13:00:00Z", None),
    ("gteq", "2027-01-01T00:00:00", "2027-01-01T15:00:00Z", True),
])  # fmt: skip
def test_dates_and_times(operator, right, now, expected):
    assert truth(limit("dateTime", operator, right), at(now)) is expected


def test_months_are_counted_by_the_calendar_where_the_beginning_is_known():
    month = limit("elapsedTime", "lteq", "P1M")
    start = at("2027-01-31T00:00:00Z")
    assert truth(month, elapsedTime=Since(start, at("2027-02-28T00:00:00Z"))) is True
    assert truth(month, elapsedTime=Since(start, at("2027-02-28T00:00:01Z"))) is False
    assert truth(month, elapsedTime=timedelta(days=28)) is True
    assert truth(month, elapsedTime=timedelta(days=30)) is None
    assert truth(month, elapsedTime=timedelta(days=32)) is False


def test_a_duration_ends_with_the_calendar():
    assert Duration.read("P9999Y").after(NOW).year == 9999
    assert Duration.read("P999999D").after(NOW) > NOW
    assert Duration.read("P1Y2M3W4DT5H6M7.5S").months == 14


@pytest.mark.parametrize(("place", "area", "expected"), [
    ("440400", "GBA9", True), ("440400", "GBA", True), ("440400", "CN-GD", True), ("440400", "CN", True),
    ("HK", "GBA", True), ("HK", "CN", False), ("MO", "HK", False), ("CN-GD", "GBA", None), ("CN-GD", "CN", True),
    ("CN", "440300", None), ("440300", "440400", False), ("HK", "Atlantis", None), ("hk", "CN-HK", True), ("gd", "CN", True),
])  # fmt: skip
def test_areas_lie_in_areas(place, area, expected):
    for operator in ("eq", "isPartOf"):
        assert truth(limit("spatial", operator, area), spatial=place) is expected
    refused = None if expected is None else not expected
    assert truth(limit("spatial", "neq", area), spatial=place) is refused
    assert truth(limit("spatial", "isAnyOf", [area, "HK"]), spatial=place) is (
        True if place in ("HK", "hk") else expected
    )


def test_kinds_of_body():
    hospital = Party("hk.hospital.example", frozenset({"public-hospital"}))
    for kind in ("public-hospital", "health-institution", "public-institution", "public-body"):
        assert truth(limit("recipient", "isA", kind), recipient=hospital) is True
    assert truth(limit("recipient", "isA", "bank"), recipient=hospital) is False
    assert truth(limit("recipient", "isNoneOf", ["bank", "insurer"]), recipient=hospital) is True
    assert truth(limit("recipient", "eq", "hk.hospital.example"), recipient=hospital) is True
    assert truth(limit("recipient", "eq", "mo.example"), recipient=hospital) is False
    assert truth(limit("recipient", "isNoneOf", ["https://example.org/Military"]), recipient=hospital) is None
    assert truth(limit("recipient", "isA", "bank"), recipient=Party("hk.example")) is None
    assert truth(limit("recipient", "isAnyOf", ["bank", "hk.example"]), recipient=Party("hk.example")) is True


def test_a_kind_of_a_purpose_is_that_purpose():
    for operator in ("eq", "isA"):
        assert truth(limit("purpose", operator, "planning"), purpose="traffic_planning") is True
        assert truth(limit("purpose", operator, "traffic_planning"), purpose="planning") is False
    assert truth(limit("purpose", "isNoneOf", ["planning"]), purpose="traffic_planning") is False
    assert truth(limit("purpose", "eq", "as-agreed"), purpose="as-agreed") is True
    assert truth(limit("purpose", "neq", "https://w3id.org/dpv#Marketing"), purpose="planning") is None


def test_columns():
    field = "https://w3id.org/wantong/field"
    assert truth(limit(field, "isAnyOf", ["a", "b"]), **{field: frozenset("a")}) is True
    assert truth(limit(field, "isAnyOf", ["a", "b"]), **{field: frozenset("ac")}) is False
    assert truth(limit(field, "isNoneOf", ["c"]), **{field: frozenset("ab")}) is True


def test_a_fact_of_the_wrong_type_is_no_fact():
    assert truth(limit("count", "lteq", "3"), count="2") is None
    assert truth(limit("spatial", "eq", "HK"), spatial=852) is None
    assert truth(limit("dateTime", "lt", "2027-01-01Z"), None) is None


# --- rules ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("ruled", "asked", "permitted"), [
    ("use", "read", True), ("use", "display", True), ("play", "display", True), ("read", "use", False),
    ("use", "sell", False), ("transfer", "sell", True), ("modify", "write", True), ("write", "modify", True),
    ("use", "copy", True), ("cc:Sharing", "share", True), ("use", "https://example.org/fly", False),
])  # fmt: skip
def test_an_action_includes_others(ruled, asked, permitted):
    assert compiled(action=ruled).decide(Request(asked), World(NOW)).permitted is permitted


def test_refinements_of_an_action_count():
    action = {"rdf:value": {"@id": "odrl:print"}, "refinement": [limit("resolution", "lteq", "1200")]}
    policy = compiled(action=action)
    assert policy.decide(Request("print"), World(NOW, {"resolution": 600})).permitted is True
    assert policy.decide(Request("print"), World(NOW, {"resolution": 2400})).permitted is False
    assert policy.decide(Request("print"), World(NOW)).permitted is None


def test_collections_and_their_refinements():
    target = {
        "@type": "AssetCollection",
        "source": "urn:all",
        "refinement": [limit("fileFormat", "eq", "text/csv")],
    }
    policy = compile_policy(parse({"@id": "p", "permission": [{"action": "use", "target": target}]}))
    world = World(NOW, {"fileFormat": "text/csv"}, {"urn:d": frozenset({"urn:all"})})
    assert policy.decide(Request("use", "urn:d"), world).permitted is True
    assert policy.decide(Request("use", "urn:e"), world).permitted is False
    assert policy.decide(Request("use", "urn:all"), World(NOW, {"fileFormat": "x"})).permitted is False


def test_a_duty_that_is_open_leaves_the_permission_open():
    rule = {"action": "use", "duty": [{"@id": "urn:pay", "action": "compensate"}]}
    policy = compile_policy(parse({"@id": "p", "permission": [rule]}))
    request = Request("use")
    assert policy.decide(request, World(NOW, duties={"urn:pay": True})).permitted is True
    late = policy.decide(request, World(NOW, duties={"urn:pay": False}))
    assert late.permitted is False and late.why[0].code == "duty-violated"
    still = policy.decide(request, World(NOW))
    assert still.permitted is None and (still.why[0].code, still.why[0].constraint) == (
        "duty-open",
        "urn:pay",
    )


def test_a_prohibition_overrides_and_what_nothing_permits_is_not_permitted():
    policy = compiled(prohibition=[{"action": "distribute"}])
    assert policy.decide(Request("use"), World(NOW)).permitted is True
    barred = policy.decide(Request("distribute"), World(NOW))
    assert barred.permitted is False and barred.why[0][:2] == ("barred", "prohibition[0]")
    nothing = policy.decide(Request("sell"), World(NOW))
    assert nothing.permitted is False and nothing.why[0].code == "no-permission"


def test_the_first_step_that_is_not_reached_is_named():
    steps = {
        "andSequence": [
            limit("count", "lteq", "3"),
            limit("spatial", "eq", "HK"),
            limit("purpose", "eq", "p"),
        ]
    }
    decision = compiled(steps).decide(
        Request("use"), World(NOW, {"count": 1, "spatial": "MO", "purpose": "q"})
    )
    assert decision.permitted is False and [why.left for why in decision.why] == ["spatial"]


def test_too_much_of_an_exclusive_choice_is_said():
    either = {"xone": [limit("count", "lteq", "3"), limit("count", "lteq", "4")]}
    decision = compiled(either).decide(Request("use"), World(NOW, {"count": 1}))
    assert decision.permitted is False and decision.why[0].operator == "xone"


def test_every_operand_has_a_type_a_meaning_and_a_source():
    words = vocabulary.load()
    assert {
        "dateTime",
        "count",
        "purpose",
        "spatial",
        "recipient",
        "elapsedTime",
        "delayPeriod",
    } <= words.operands.keys()
    for operand in words.operands.values():
        assert operand.meaning and operand.source and operand.given in ("exchange", "nobody")
        assert operand.given == "nobody" or operand.how, operand.name
    assert all(tree.broader for tree in words.trees.values())
