"""Facts as people write them: every fault is named, all at once, and nothing they wrote is repeated."""

from __future__ import annotations

import datetime as dt

import pytest

from wantong.border.gate.rules import (
    ContradictoryFacts,
    FactsProblem,
    RuleBase,
    UnknownFacts,
    UnreadableFacts,
    assess,
)
from wantong.border.gate.rules.facts import MAX_BYTES, check, parse

BASE = RuleBase.load()
SHEET = {"transfer_date": "2026-11-21", "from_jurisdiction": "CN", "to_jurisdiction": "HK"}


def refused(**facts: object) -> FactsProblem:
    with pytest.raises(FactsProblem) as caught:
        assess({**SHEET, **facts})
    with pytest.raises(type(caught.value)):  # the same without day and places, where no program is chosen
        check(facts, BASE)
    return caught.value


def test_an_unknown_name_comes_with_a_suggestion() -> None:
    problem = refused(is_persnal=True)
    assert isinstance(problem, UnknownFacts)
    assert problem.errors == ({"kind": "unknown-fact", "fact": "is_persnal", "did_you_mean": "is_personal"},)
    assert "Did you mean is_personal?" in problem.explain("en")["detail"]
    assert "您是不是指“is_personal”？" in problem.explain("zh-hans")["detail"]


def test_an_unknown_name_is_refused_even_if_null() -> None:
    assert isinstance(refused(colour=None), UnknownFacts)


@pytest.mark.parametrize(
    ("fact", "value", "kind"),
    [
        ("n_sensitive", -1, "out-of-range"),
        ("n_sensitive", 10**11, "out-of-range"),
        ("n_sensitive", "5", "wrong-type"),
        ("n_sensitive", 5.0, "wrong-type"),
        ("n_sensitive", True, "wrong-type"),
        ("is_personal", "yes", "wrong-type"),
        ("is_personal", 1, "wrong-type"),
        ("from_area", "GBA9", "not-a-value"),
        ("from_area", 9, "wrong-type"),
        ("from_area", ["gba9"], "wrong-type"),
        ("transfer_date", "2026-02-30", "bad-date"),
        ("transfer_date", "21/11/2026", "bad-date"),
        ("transfer_date", "20261121", "bad-date"),
        ("transfer_date", 20261121, "bad-date"),
        ("transfer_date", dt.datetime(2026, 11, 21, 8), "bad-date"),
    ],
)
def test_impossible_values(fact: str, value: object, kind: str) -> None:
    problem = refused(**{fact: value})
    assert [(e["fact"], e["kind"]) for e in problem.errors] == [(fact, kind)]
    assert problem.slug == "facts-impossible" and problem.status == 422


def test_a_value_comes_with_a_suggestion() -> None:
    assert refused(to_area="HK").errors[0]["did_you_mean"] == "hk"
    assert refused(contract="gba_cnhk").errors[0]["did_you_mean"] in ("gba_cn_hk", "gba_cn_mo")


@pytest.mark.parametrize(
    ("facts", "id"),
    [
        ({"from_area": "hk"}, "from-place-mainland"),
        ({"from_jurisdiction": "HK", "to_jurisdiction": "CN", "from_area": "gba9"}, "from-place-hongkong"),
        ({"from_jurisdiction": "MO", "from_area": "hk"}, "from-place-macao"),
        ({"to_jurisdiction": "CN", "to_area": "mo"}, "to-place-mainland"),
        ({"to_area": "gba9"}, "to-place-hongkong"),
        ({"to_jurisdiction": "MO", "to_area": "hk"}, "to-place-macao"),
        ({"to_jurisdiction": "OTHER", "to_area": "hk"}, "to-place-outside"),
        ({"is_personal": False, "n_sensitive": 3}, "no-person-yet-counted"),
        ({"is_personal": False, "n_nonsensitive": 1}, "no-person-yet-counted"),
        ({"is_personal": False, "has_minor_under14": True}, "no-person-yet-children"),
        ({"personal_or_household": True, "sender_is_state_organ": True}, "private-yet-state-organ"),
        ({"personal_or_household": True, "sender_is_ciio": True}, "private-yet-critical-operator"),
        ({"is_public_data": False, "public_data_open": "conditional"}, "open-data-not-public"),
        ({"is_public_data": True, "public_data_open": "not_public"}, "public-data-without-attribute"),
        ({"from_jurisdiction": "HK", "from_ftz": "nansha"}, "zone-outside-mainland"),
        ({"from_area": "cn_other", "from_ftz": "hengqin"}, "zone-outside-nine-cities"),
    ],
)
def test_contradictions(facts: dict[str, object], id: str) -> None:
    with pytest.raises(ContradictoryFacts) as caught:
        assess({**SHEET, **facts})
    assert [e["id"] for e in caught.value.errors] == [id]
    for lang in ("zh-hans", "zh-hant", "en", "pt"):
        assert "⟦" not in caught.value.explain(lang)["detail"]


def test_every_contradiction_is_tried_and_said_in_four_languages() -> None:
    tried = {id for _, id in test_contradictions.pytestmark[0].args[1]}
    assert tried == {c.id for c in BASE.contradictions}


def test_a_default_takes_no_part_in_contradictions() -> None:
    assert assess({**SHEET, "public_data_open": "not_open", "from_area": "gba9"}) is not None


def test_all_faults_at_once_gravest_kind_first() -> None:
    problem = refused(is_persnal=True, n_sensitive=-1, is_personal=False, n_nonsensitive=3)
    assert isinstance(problem, UnknownFacts)
    assert {e["kind"] for e in problem.errors} == {"unknown-fact", "out-of-range", "contradiction"}


def test_values_are_not_repeated_back() -> None:
    problem = refused(from_area="440304199001011234")
    assert "440304199001011234" not in str(problem) + str(problem.to_dict("en"))


def test_null_is_the_same_as_absent() -> None:
    assert assess({**SHEET, "is_personal": None, "is_core_data": None}) == assess(SHEET)


@pytest.mark.parametrize(
    "text",
    [
        "transfer_date: 2026-11-21\nis_personal: true",
        '{"transfer_date": "2026-11-21", "is_personal": true}',
        "{transfer_date: 2026-11-21, is_personal: true}",
        "\ufefffacts:\n  transfer_date: '2026-11-21'\n  is_personal: true",
    ],
)
def test_yaml_and_json_are_read_alike(text: str) -> None:
    assert check(parse(text.encode()), BASE) == {"transfer_date": dt.date(2026, 11, 21), "is_personal": True}


@pytest.mark.parametrize(
    "text",
    [
        b"", b"[1, 2]", b"just words", b"1: 2", b"a: 1\na: 2", b'{"a": 1, "a": 2}', b"a: &x [1]\nb: *x",
        b"!!python/object/apply:os.system [ls]", b"\xff\xfe\x00", b"{" * 4000, b"[" * 4000, b"a: [",
        b"a: " + b"x" * MAX_BYTES, b"a: \x00",
    ],
)  # fmt: skip
def test_what_is_no_mapping_of_names_to_values_is_unreadable(text: bytes) -> None:
    with pytest.raises(UnreadableFacts):
        parse(text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"[1, 2]", "no-mapping"), (b"a: 1\na: 2", "twice"), (b'{"a": 1, "a": 2}', "twice"),
        (b"a: &x [1]\nb: *x", "alias"), (b"\xff\xfe\x00", "unreadable"), (b"a: [", "unreadable"),
        (b"a: " + b"x" * MAX_BYTES, "too-large"),
    ],
)  # fmt: skip
def test_why_it_is_unreadable_is_a_code(text: bytes, reason: str) -> None:
    with pytest.raises(UnreadableFacts) as refused:
        parse(text)
    assert refused.value.params["reason"] == reason


def test_the_day_asked_for_prevails_over_the_facts() -> None:
    sheet = {**SHEET, "to_jurisdiction": "MO", "from_area": "gba9", "to_area": "mo", "is_personal": True,
             "sender_is_ciio": False, "is_important_data": False, "n_nonsensitive": 300_000, "n_sensitive": 0,
             "scenario": "other"}  # fmt: skip
    assert assess(sheet).primary_route == "gba_standard_contract"
    earlier = assess(sheet, dt.date(2024, 9, 9))
    assert (earlier.primary_route, earlier.transfer_date) == (
        "national_standard_contract",
        dt.date(2024, 9, 9),
    )
    assert assess({k: v for k, v in sheet.items() if k != "transfer_date"}, dt.date(2024, 9, 9)) == earlier
