"""Consent: a signed record, a person who is only a commitment, a word that can be taken back."""

from __future__ import annotations

import datetime as dt
import threading

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st
from tests.border.gate.scene import CHAN, COLUMNS, HK, LEI, PURPOSE, agree, resident

from wantong.border.gate import keys
from wantong.border.gate.consent import commitment, services
from wantong.border.gate.consent.models import Consent, ConsentRecord, Subject
from wantong.border.gate.consent.problems import BadConsent, RecordNotGenuine, UnknownConsent
from wantong.border.gate.consent.record import Signer, open_record
from wantong.ground.actors import Actor
from wantong.ground.http.auth import NotAllowed
from wantong.ground.log.models import LogEntry

pytestmark = pytest.mark.django_db(transaction=True)


def permitted(names, **more):
    question = {
        "dataset_id": "social-insurance",
        "purpose": PURPOSE,
        "receiver": HK,
        "fields": COLUMNS,
        "at": timezone.now(),
        **more,
    }
    return services.permitted(subjects=names, **question)


def test_the_record_has_the_four_sections_and_the_nodes_signature(node):
    [granted] = agree([resident(1)], notice="您的社会保险参保记录将提供给……")
    [stored] = granted.records.all()
    record = open_record(stored.jws, services.public_key())
    assert set(record) == {"header", "pii_processing", "party_identification", "events"}
    assert record["header"]["record_id"] == str(granted.id)
    assert record["header"]["pii_principal_id"] == granted.commitment
    [purpose] = record["pii_processing"]["purposes"]
    assert (purpose["purpose"], purpose["recipient_third_parties"]) == (PURPOSE, [HK])
    assert {i["pii_type"] for i in purpose["pii_information"]} == set(COLUMNS)
    assert [e["event_state"] for e in record["events"]] == ["given"]
    assert resident(1) not in stored.jws and record["pii_processing"]["privacy_notice"].startswith("sha256:")

    services.withdraw(CHAN, granted.id)
    last = granted.records.get(event="withdrawn")
    states = [e["event_state"] for e in open_record(last.jws, services.public_key())["events"]]
    assert states == ["given", "withdrawn"]


def test_a_record_changed_or_signed_by_another_is_not_genuine(node, tmp_path):
    [granted] = agree([resident(1)])
    token = granted.records.get().jws
    head, body, signature = token.split(".")
    other = Signer(keys.signing_key(tmp_path / "other"))
    for wrong in (
        f"{head}.{body[:-2]}AA.{signature}",
        f"{head}.{body}.{signature[:-4]}AAAA",
        "",
        "a.b.c",
        token + "x",
    ):
        with pytest.raises(RecordNotGenuine):
            open_record(wrong, services.public_key())
    with pytest.raises(RecordNotGenuine):
        other.open(token)


def test_only_the_whole_grant_permits(node):
    agree([resident(1)])
    known = services.commitments([resident(1), resident(2)])
    one, two = known[resident(1)], known[resident(2)]
    assert permitted({one, two}) == {one}
    assert permitted({one}, fields=COLUMNS[:1]) == {one}
    now = timezone.now()
    for other in (
        {"fields": (*COLUMNS, "电话")},
        {"purpose": "marketing"},
        {"receiver": "mo.test.example"},
        {"dataset_id": "another"},
        {"at": now - dt.timedelta(days=1)},
        {"at": now + dt.timedelta(days=366)},
    ):
        assert permitted({one}, **other) == set()


def test_withdrawing_again_changes_nothing_and_a_new_grant_is_new(node):
    [granted] = agree([resident(1)])
    first = services.withdraw(CHAN, granted.id).withdrawn_at
    assert services.withdraw(CHAN, granted.id).withdrawn_at == first
    assert permitted({granted.commitment}) == set()
    [again] = agree([resident(1)])
    assert again.commitment == granted.commitment and permitted({again.commitment}) == {again.commitment}
    assert [c.id for c in services.of_person(resident(1))] == [again.id, granted.id]


def test_nothing_of_the_person_is_stored_and_forgetting_is_for_ever(node):
    agree([resident(1)])
    name = services.commitment_of(resident(1))
    text = str([list(model.objects.values()) for model in (Subject, Consent, ConsentRecord, LogEntry)])
    assert resident(1) not in text
    assert services.forget(LEI, resident(1))
    assert services.commitment_of(resident(1)) is None and services.of_person(resident(1)) == []
    assert Consent.objects.get().state == "withdrawn"
    # with every key and the number itself, the old commitment cannot be found again
    key = keys.secret(node.keys, "commitment")
    assert not Subject.objects.filter(lookup=commitment.lookup(key, resident(1))).exists()
    assert services.commitments([resident(1)])[resident(1)] != name


def test_one_document_number_is_one_person_however_it_is_written():
    for other in ("A123456(3)", "a123456 (3)", "Ａ１２３４５６（３）", " A 123456-3 "):
        assert commitment.normal(other) == "A1234563"


@given(st.text(min_size=1), st.text(min_size=1))
def test_commitments_differ_with_person_and_salt(one, other):
    same = commitment.normal(one) == commitment.normal(other)
    assert (commitment.commitment(b"x" * 32, one) == commitment.commitment(b"x" * 32, other)) is same
    assert commitment.commitment(b"x" * 32, one) != commitment.commitment(b"y" * 32, one)


def test_two_writers_who_meet_a_person_at_once_agree_on_who_he_is(node):
    numbers = [resident(n) for n in range(200)]
    results, start = [], threading.Barrier(4)

    def meet(order):
        try:
            start.wait()
            results.append(services.commitments(order))
        finally:
            connection.close()

    threads = [threading.Thread(target=meet, args=(numbers[::step],)) for step in (1, -1, 2, -2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    known = services.commitments(numbers)
    assert len(results) == 4 and all(known[n] == r[n] for r in results for n in r)
    assert Subject.objects.count() == 200


def test_keys_are_made_once_and_are_nobody_elses(node):
    made, start = [], threading.Barrier(8)

    def need():
        start.wait()
        made.append(keys.secret(node.keys, "fresh"))

    threads = [threading.Thread(target=need) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == 1 and len(made[0]) == 32
    assert (node.keys / "fresh.key").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in node.keys.iterdir()] == ["fresh.key"]


def test_the_database_keeps_records_and_sense(node):
    [granted] = agree([resident(1)])
    with pytest.raises(DatabaseError), transaction.atomic():
        ConsentRecord.objects.update(jws="x")
    with pytest.raises(IntegrityError), transaction.atomic():
        Consent.objects.filter(id=granted.id).update(state="withdrawn")
    with pytest.raises(IntegrityError), transaction.atomic():
        Consent.objects.filter(id=granted.id).update(valid_until=granted.valid_from)


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"dataset_id": ""}, "bad-text"),
        ({"purpose": "a\x00b"}, "bad-text"),
        ({"receiver": "x" * 201}, "bad-text"),
        ({"fields": []}, "none"),
        ({"fields": [""]}, "none"),
        ({"valid_until": dt.datetime(2027, 1, 1)}, "no-zone"),
        ({"valid_until": dt.datetime(2020, 1, 1, tzinfo=dt.UTC)}, "term"),
        ({"valid_until": dt.datetime(2099, 1, 1, tzinfo=dt.UTC)}, "term"),
    ],
)
def test_what_cannot_be_is_told_and_not_stored(node, wrong, reason):
    with pytest.raises(BadConsent) as refused:
        agree([resident(1)], **wrong)
    assert refused.value.params["reason"] == reason
    with pytest.raises(BadConsent) as refused:
        agree([resident(1), "  "])
    assert refused.value.params["reason"] == "no-person"
    with pytest.raises(UnknownConsent):
        services.withdraw(CHAN, "no such consent")
    with pytest.raises(NotAllowed):
        services.grant(
            Actor("user:x"), resident(1), dataset_id="d", purpose="p", receiver="r", fields=["a"],
            valid_until=timezone.now() + dt.timedelta(days=1),
        )  # fmt: skip
    assert not Consent.objects.exists() and not Subject.objects.exists() and not LogEntry.objects.exists()
