"""The index: who is found in it and what is cut out of it, whatever the table holds."""

from __future__ import annotations

import csv
import io
import json
import secrets
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wantong.border.exchange.query import records
from wantong.border.exchange.query.form import StandingRecords
from wantong.border.gate import keys
from wantong.border.gate.declarations import deliverable
from wantong.border.gate.declarations.standing import Task
from wantong.ground import config

TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=12)
NAMES = st.lists(st.text('abc姓名%"\\', min_size=1, max_size=6), min_size=1, max_size=5, unique=True).filter(
    lambda names: "id" not in names
)
SECRET = secrets.token_bytes(32)


def commitment(identifier: str) -> str:
    return records.nobody(b"c" * 32, identifier).hex()


@settings(max_examples=60)
@given(st.data())
def test_an_answer_is_what_was_asked_of_what_was_indexed(data):
    columns = data.draw(NAMES)
    people = data.draw(st.integers(0, 12))
    rows = [
        (f"P{data.draw(st.integers(0, people))}", data.draw(st.tuples(*[TEXT] * len(columns))))
        for _ in range(people)
    ]
    asked = data.draw(st.permutations(columns).map(lambda names: names[: max(1, len(names) // 2)]))
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        names = {identifier: commitment(identifier) for identifier, _ in rows}
        assert records.build(place, rows, secret=SECRET, commitments=names) == len(rows)
        with records.Records(place) as index:
            cut = records.Cut(columns, asked)
            for identifier in {f"P{n}" for n in range(people + 2)}:
                own = [values for name, values in rows if name == identifier]
                found = index.find(records.key_of(SECRET, identifier))
                assert (found is not None) == bool(own)
                if found is None:
                    continue
                assert found.commitment.hex() == commitment(identifier)
                assert index.place_of(found.commitment) == found.place
                answer = json.loads(cut.answer(found.rows))
                assert answer == {
                    "records": [{name: values[columns.index(name)] for name in asked} for values in own]
                }
            assert index.place_of(b"\0" * 32) is None


@settings(max_examples=25)
@given(
    st.lists(st.tuples(TEXT, TEXT, TEXT), min_size=1, max_size=8),
    st.fixed_dictionaries(
        {name: st.sampled_from(("keep", "partial", "redact", "tokenise")) for name in "abc"}
    ),
    st.sets(st.sampled_from("abc"), min_size=1),
)
def test_the_index_holds_what_a_file_of_the_same_release_would_hold(rows, masks, released):
    """Answer ⊆ whitelist ∩ asked, masked as the profile says: cell by cell the same as the file of the release."""
    columns, key = sorted(released), b"k" * 32
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        source = place / "source.csv"
        with source.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows(
                [["id", "a", "b", "c"], *((f"P{n}", *row) for n, row in enumerate(rows))]
            )
        profile = {name: masks[name] for name in columns}
        (place / "file").mkdir()
        (place / "index").mkdir()
        payload, _, _ = deliverable.make(
            source,
            place / "file",
            source_type="text/csv",
            columns=columns,
            keep_row=None,
            masks=profile,
            key=key,
        )
        expected = list(csv.DictReader(io.StringIO(payload.read_text("utf-8"), newline="")))
        people = {f"P{n}": commitment(f"P{n}") for n in range(len(rows))}
        node = config.current()
        task = Task("t", source, "text/csv", columns, profile, key, "id", people, {}, False)
        made = StandingRecords().make(task, place / "index")
        assert made.rows == len(rows)
        assert sorted(path.name for path in (place / "index").iterdir()) == [records.RECORDS, "standing"]
        secret = records.service_secret(keys.secret(node.keys, "query"), "t")
        with records.Records(place / "index") as index:
            for number, wanted in enumerate(expected):
                found = index.find(records.key_of(secret, f"p{number}"))
                for asked in ([name] for name in columns):
                    answer = json.loads(records.Cut(columns, asked).answer(found.rows))
                    assert answer == {"records": [{name: wanted[name] for name in asked}]}
        raw = (place / "index" / records.RECORDS).read_bytes()
        assert b"P0" not in raw or any("P0" in cell for row in expected for cell in row.values())


def test_who_has_too_many_rows_has_no_record(tmp_path):
    rows = [("P1", ("x",))] * (records.MOST_ROWS + 1)
    with pytest.raises(records.TooManyRows):
        records.build(tmp_path, rows, secret=SECRET, commitments={"P1": commitment("P1")})
    assert not list(tmp_path.iterdir()), "nothing half made stays"


def test_consent_is_told_person_by_person_and_at_once(tmp_path):
    people = [f"P{n}" for n in range(9)]
    names = {name: commitment(name) for name in people}
    records.build(tmp_path, [(name, ("x",)) for name in people], secret=SECRET, commitments=names)
    with records.Records(tmp_path) as index:
        assert index.permitted(3, 0), "what does not rest on consent is for all"
    records.close_consents(tmp_path)
    with records.Records(tmp_path) as index:
        place = {name: index.find(records.key_of(SECRET, name)).place for name in people}
        assert not any(index.permitted(place[name], 100) for name in people)
        records.admit(tmp_path, {names["P4"]: (100, 200), "00" * 32: (0, 2**40)})
        assert [index.permitted(place["P4"], now) for now in (99, 100, 199, 200)] == [
            False,
            True,
            True,
            False,
        ]
        assert not any(index.permitted(place[name], 150) for name in people if name != "P4")
        records.admit(tmp_path, {names["P4"]: (0, 0)})
        assert not index.permitted(place["P4"], 150), "the open index sees it without being opened again"


def test_one_number_in_any_writing_is_one_person(tmp_path):
    assert records.key_of(SECRET, "Ａ123456（3）") == records.key_of(SECRET, "a123456(3)")
    assert records.key_of(SECRET, "A1234563") != records.key_of(secrets.token_bytes(32), "A1234563")
