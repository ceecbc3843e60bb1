"""Levels: three scales kept apart, and one effective level that is never above what it rests on."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wantong.border.trust.identity.accounts import levels
from wantong.border.trust.identity.accounts.levels import Assurance, BadTable, aged, effective, read
from wantong.ground import yamlfile
from wantong.ground.i18n import LANGUAGES

TABLE = levels.load()
ON = date(2026, 11, 21)
NOW = datetime(2026, 11, 21, tzinfo=UTC)
scale = st.integers(0, 3)


@given(st.lists(scale, min_size=1, max_size=3), scale, st.none() | scale)
def test_nothing_is_surer_than_what_it_rests_on(ials, aal, link):
    parts = [*ials, aal, *([] if link is None else [link])]
    assert effective(ials, aal, link) == min(parts)


@given(st.lists(scale, min_size=1, max_size=3), scale, scale, scale)
def test_more_sureness_never_makes_less(ials, aal, link, more):
    assert effective([max(one, more) for one in ials], aal, link) >= effective(ials, aal, link)
    assert effective(ials, max(aal, more), link) >= effective(ials, aal, link)


def test_a_level_is_of_somebody():
    with pytest.raises(ValueError, match="somebody"):
        effective([], 3)


hours = st.integers(-5, 60_000).map(lambda n: timedelta(hours=n))


@given(scale, hours, hours)
def test_age_only_takes_away(level, young, old):
    if young > old:
        young, old = old, young
    limits = TABLE.limits.proofing
    assert aged(level, NOW - old, NOW, limits) <= aged(level, NOW - young, NOW, limits) or young < timedelta(
        0
    )
    assert aged(level, NOW - old, NOW, limits) <= level


def test_an_authentication_decays_to_one_factor_and_then_to_nothing():
    limits = TABLE.limits.authentication
    at = [aged(2, NOW - timedelta(hours=n), NOW, limits) for n in (0, 24, 25, 720, 721)]
    assert at == [2, 2, 1, 1, 0]
    assert aged(2, None, NOW, limits) == aged(2, NOW + timedelta(seconds=1), NOW, limits) == 0


@pytest.mark.parametrize(
    ("scheme", "native", "ial"),
    [("guangdong", "2", 0), ("guangdong", "3", 1), ("guangdong", "4", 2), ("guangdong", "5", 2),
     ("iam-smart", "default", 2), ("iam-smart", "plus", 2), ("one-account", "account", 1), ("one-account", "eid", 2),
     ("local", "self", 0), ("guangdong", "6", 0), ("nobody", "4", 0)],
)  # fmt: skip
def test_what_other_systems_levels_mean_here(scheme, native, ial):
    assert TABLE.levels(scheme, native, ON).ial == ial


def test_before_it_was_judged_it_meant_nothing():
    assert TABLE.find("guangdong", "4", date(2025, 12, 31)) is None


def test_every_judgement_says_whose_it_is_and_why_in_four_languages():
    for row in TABLE.mapped:
        assert row.judged_by and row.source and set(row.note) == set(LANGUAGES), row


def test_a_newer_judgement_counts_from_its_day():
    raw = yamlfile.load(levels.DEFAULT)
    row = raw["schemes"]["guangdong"][2]
    raw["schemes"]["guangdong"] = [
        {**row, "until": date(2027, 1, 1)}, {**row, "since": date(2027, 1, 1), "ial": 3, "judged_by": "an agreement"},
    ]  # fmt: skip
    table = read(raw)
    assert table.levels("guangdong", "4", date(2026, 12, 31)).ial == 2
    assert table.levels("guangdong", "4", date(2027, 1, 1)).ial == 3


@pytest.mark.parametrize(
    "change", [{"ial": 4}, {"ial": True}, {"ial": "2"}, {"since": "2026"}, {"until": date(2020, 1, 1)}]
)
def test_nonsense_is_no_table(change):
    raw = yamlfile.load(levels.DEFAULT)
    raw["schemes"]["guangdong"][0] |= change
    with pytest.raises(BadTable):
        read(raw)


def test_an_acr_names_a_level():
    assert Assurance.SUBSTANTIAL.acr == "urn:wantong:acr:substantial"
    assert [Assurance.of(level.acr) for level in Assurance] == list(Assurance)
    assert Assurance.of("urn:somebody:else") is None


def test_what_nobody_reaches_here_is_said_with_the_reason():
    table = levels.load()
    assert {row.level for row in table.unreached} == {"aal3", "fal3"}
    assert all(set(row.why) == set(LANGUAGES) and row.source for row in table.unreached)
    # and nothing that people themselves sign in with says otherwise
    assert all(row.levels.aal < 3 for row in table.mapped if row.scheme == "local")
