"""Thousands of rows in one statement, the same on SQLite and PostgreSQL."""

from __future__ import annotations

import pytest
from django.db import IntegrityError, transaction

from wantong.border.gate.consent.models import Subject
from wantong.border.gate.declarations.models import CountedPerson, SenderYear
from wantong.ground import bulk

pytestmark = pytest.mark.django_db(transaction=True)
FIELDS = ("lookup", "salt", "commitment")


def subjects(start: int, count: int) -> list[tuple[str, bytes, str]]:
    # every byte and what arrays are quoted with
    return [
        (f"{n}\"{{}},\\'", bytes((n + i) % 256 for i in range(32)), f"c{n}")
        for n in range(start, start + count)
    ]


def test_what_is_inserted_is_what_is_read():
    rows = subjects(0, 300)
    assert bulk.insert(Subject, FIELDS, rows) == 300
    assert {(s.lookup, bytes(s.salt), s.commitment) for s in Subject.objects.all()} == set(rows)
    assert bulk.insert(Subject, FIELDS, []) == 0


def test_a_conflict_is_left_out_or_told():
    bulk.insert(Subject, FIELDS, subjects(0, 10))
    assert bulk.insert(Subject, FIELDS, subjects(5, 10), ignore_conflicts=True) == 5
    with pytest.raises(IntegrityError), transaction.atomic():
        bulk.insert(Subject, FIELDS, subjects(14, 2))
    assert Subject.objects.count() == 15


def test_foreign_keys_and_truth_values():
    year = SenderYear.objects.create(sender="s", year=2026)
    rows = [(year.pk, "a", True), (year.pk, "b", False)]
    assert bulk.insert(CountedPerson, ("year", "commitment", "sensitive"), rows) == 2
    assert dict(year.persons.values_list("commitment", "sensitive")) == {"a": True, "b": False}


def test_among_very_many_finds_each_once(monkeypatch):
    monkeypatch.setattr(bulk, "BATCH", 7)
    rows = subjects(0, 40)
    bulk.insert(Subject, FIELDS, rows)
    wanted = [lookup for lookup, *_ in rows[10:31]] + ["nobody"]
    found = [s.commitment for some in bulk.among(Subject.objects.all(), "lookup", iter(wanted)) for s in some]
    assert sorted(found) == sorted(c for *_, c in rows[10:31])
    changed = [some.update(commitment=f"x{n}") for n, some in enumerate(_one_each(wanted[:3]))]
    assert changed == [1, 1, 1]
    assert [s for some in bulk.among(Subject.objects.all(), "lookup", []) for s in some] == []


def _one_each(values):
    for value in values:
        yield from bulk.among(Subject.objects.all(), "lookup", [value])
