"""Why this route, why not the others, what to ask next: on facts where the reason is known."""

from __future__ import annotations

import datetime as dt
from typing import Any

from wantong.border.gate.rules import explain, next_questions

TODAY = dt.date(2026, 11, 21)
EXPORT: dict[str, Any] = {
    "from_jurisdiction": "CN", "from_area": "gba9", "to_jurisdiction": "HK", "to_area": "hk", "is_personal": True,
    "is_important_data": False, "sender_is_ciio": False, "n_nonsensitive": 50_000, "n_sensitive": 0,
    "scenario": "other",
}  # fmt: skip


def statuses(on: dt.date = TODAY, **facts: Any) -> dict[str, str]:
    return {r.route: r.status for r in explain({**EXPORT, **facts}, on).routes}


def test_what_became_of_each_route() -> None:
    said = statuses()
    assert said["exempt"] == "chosen" and said["gba_standard_contract"] == "permitted"
    assert said["security_assessment"] == "not_met" and said["notification_only"] == "no_rule"
    forbidden = statuses(receiver_on_restricted_list=True)
    assert forbidden["forbidden"] == "chosen"
    assert forbidden["exempt"] == "overruled" and forbidden["gba_standard_contract"] == "excluded"
    assert statuses(dt.date(2025, 12, 31))["certification"] == "not_in_force"
    open_ = statuses(sender_is_ciio=None)
    assert open_["exempt"] == open_["security_assessment"] == "undecided"
    assert open_["national_standard_contract"] == "not_met"


def test_the_failing_condition_is_shown_with_the_figure_of_the_day() -> None:
    route = next(r for r in explain(EXPORT, TODAY).routes if r.route == "security_assessment")
    trace = next(t for t in route.rules if t.rule.id == "CN-M04")
    (ordinary, sensitive) = trace.because
    assert (ordinary.text, ordinary.expected, ordinary.value) == (
        "n_nonsensitive >= PI_HIGH",
        1_000_000,
        50_000,
    )
    assert (sensitive.fact, sensitive.holds, sensitive.source) == ("n_sensitive", False, "given")


def test_the_deciding_rule_is_shown_with_what_was_given_and_what_was_assumed() -> None:
    why = explain(EXPORT, TODAY).why
    assert why is not None and why.rule.id == "CN-E07"
    sources = {c.fact: c.source for c in why.because}
    assert sources["n_sensitive"] == "given" and sources["has_minor_under14"] == "assumed"
    assert why.to_dict()["because"][0]["text"] == "is_personal == true"


def test_without_day_or_places_every_route_is_open() -> None:
    said = explain({"is_personal": True})
    assert said.why is None and {r.status for r in said.routes} == {"undecided"}
    assert [q.fact for q in next_questions({})] == ["transfer_date", "from_jurisdiction", "to_jurisdiction"]
    assert [q.fact for q in next_questions({}, TODAY)] == ["from_jurisdiction", "to_jurisdiction"]


def test_the_most_decisive_question_comes_first() -> None:
    known = {"from_jurisdiction": "CN", "to_jurisdiction": "HK"}
    questions = next_questions(known, TODAY)
    assert questions[0].fact == "is_personal" and questions[0].required
    assert not any(q.required for q in questions if q.default is not None)
    required = [q.required for q in questions]
    assert required == sorted(required, reverse=True)


def test_what_no_longer_matters_is_not_asked() -> None:
    asked = {q.fact for q in next_questions({**EXPORT, "is_state_secret": True}, TODAY)}
    assert "is_core_data" not in asked and "chosen_route" in asked  # a duty still hangs on the second
    assert not {"n_nonsensitive", "mo_consent", "hk_new_purpose"} & {
        q.fact for q in next_questions(EXPORT, TODAY)
    }


def test_options_carry_what_choosing_them_would_ask() -> None:
    from wantong.border.gate.rules import RuleBase

    base = RuleBase.load()
    for id, offices in (("HK-O01", {"HK_DPO", "GD_CAC"}), ("MO-O01", {"MO_DSPDP", "GD_CAC"})):
        option = base.by_id[id]
        assert "pia_gba" in option.before and "no_onward_outside_gba" in option.obligations
        assert set(option.authorities) == offices and option.deadline is not None
