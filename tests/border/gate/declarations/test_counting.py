"""Person counts: distinct, sensitive apart, once, and a warning before the threshold."""

from __future__ import annotations

import datetime as dt

import pytest
from django.db import IntegrityError, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.border.gate.scene import CHAN, WU, declare, facts, residents

from wantong.border.gate.declarations import counting, counts
from wantong.border.gate.declarations.counting import Counts, warnings
from wantong.border.gate.declarations.models import CountedPerson, SenderYear
from wantong.border.gate.rules import RuleBase

DAY = dt.date(2026, 11, 21)


@pytest.mark.parametrize(
    ("sensitive", "nonsensitive", "said"),
    [
        (0, 0, []),
        (7_999, 79_999, []),
        (8_000, 80_000, [("PI_LOW", 80), ("SPI_HIGH", 80)]),
        (9_500, 0, [("SPI_HIGH", 95)]),
        (10_000, 0, [("SPI_HIGH", 100)]),
        (0, 960_000, [("PI_LOW", 100), ("PI_HIGH", 95)]),
    ],
)
def test_a_warning_comes_before_the_threshold(sensitive, nonsensitive, said):
    found = warnings(Counts("s", 2026, sensitive, nonsensitive), DAY)
    assert [(w.parameter, w.percent) for w in found] == said
    assert all(w.citation for w in found)


def test_before_the_provisions_were_in_force_there_is_nothing_to_warn_of():
    assert warnings(Counts("s", 2024, 10**7, 10**7), dt.date(2024, 3, 21)) == ()


def test_exempt_scenes_are_not_counted_and_the_rules_exist():
    known = {rule.id for rule in RuleBase.load().rules}
    assert counting._not_counted() <= known
    assert not counting.is_counted(["CN-E03", "CN-D03"]) and counting.is_counted(["CN-E07"])


@pytest.mark.django_db(transaction=True)
@settings(max_examples=25, suppress_health_check=list(HealthCheck))
@given(
    deliveries=st.lists(st.tuples(st.sets(st.sampled_from("abcdefgh")), st.booleans()), max_size=8),
    number=st.integers(0, 10**9),
)
def test_everybody_is_counted_once_and_as_sensitive_if_ever(node, deliveries, number):
    """Against the plain definition: a set of all, and a set of those with sensitive data."""
    sender = f"s{number}-{SenderYear.objects.count()}"
    everyone, sensitive = set(), set()
    for persons, is_sensitive in deliveries:
        with transaction.atomic():
            counts.count(counts.lock_year(sender), [name * 64 for name in persons], is_sensitive)
        everyone |= persons
        sensitive |= persons if is_sensitive else set()
    found = counts.person_counts(sender)
    assert (found.sensitive, found.nonsensitive) == (len(sensitive), len(everyone - sensitive))
    rows = CountedPerson.objects.filter(year__sender=sender)
    assert rows.count() == len(everyone) and rows.filter(sensitive=True).count() == len(sensitive)


@pytest.mark.django_db(transaction=True)
def test_the_database_counts_nobody_twice(node):
    with transaction.atomic():
        year = counts.lock_year("s")
        counts.count(year, ["a" * 64], True)
    with pytest.raises(IntegrityError), transaction.atomic():
        CountedPerson.objects.create(year=year, commitment="a" * 64, sensitive=False)


@pytest.mark.django_db(transaction=True)
def test_what_the_sender_knows_of_other_channels_is_never_less_than_what_the_node_has_seen(told, tmp_path):
    few = declare(residents(tmp_path / "f.csv", 5), WU, facts=facts(n_sensitive=2), transfer_id="few")
    many = declare(residents(tmp_path / "m.csv", 4), CHAN, facts=facts(n_sensitive=700), transfer_id="many")
    seen = {}
    for declaration in (few, many):
        [decided] = declaration.actions.filter(act="decide")
        seen[declaration.transfer_id] = decided.data["facts"]["n_sensitive"]
    assert seen == {"few": 5, "many": 700}
