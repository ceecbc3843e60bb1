"""A query service from the agreement to the answer, through the gate: who is answered with what, and what stays of it."""

from __future__ import annotations

import hashlib
import json

import pytest
from tests.border.exchange.query import scene
from tests.border.exchange.query.scene import (
    COLUMNS,
    FIELDS,
    FORMAT,
    KIND,
    MONTHS,
    NAME,
    Service,
    agreement,
    released,
    request,
    resident,
    serving,
    slug,
    start_of,
)
from tests.border.gate.scene import agree, allow

from wantong.border.exchange.query import services
from wantong.border.exchange.query.models import Call
from wantong.border.exchange.terms import constraint
from wantong.border.gate.consent.models import ConsentUse
from wantong.border.gate.consent.services import commitment_of
from wantong.border.gate.declarations import counts
from wantong.border.gate.declarations.models import Declaration
from wantong.ground import canonical
from wantong.ground.log import services as log
from wantong.ground.log.models import LogEntry

pytestmark = pytest.mark.django_db(transaction=True)


def test_one_record_about_one_person_for_a_case(peer, tmp_path, drain):
    process = released(peer, tmp_path)
    endpoint, token = start_of(peer)
    assert endpoint.endswith(f"/query/{process.id}")
    with serving() as client:
        service = Service(client, process)
        answer = service.ask(3, token=token)
        assert answer.status_code == 200, answer.text
        ((record),) = answer.json()["records"]
        assert record == {NAME: "██3", KIND: "养老保险", MONTHS: "3"}, "masked as the whitelist says"
        assert answer.headers["cache-control"] == "no-store"
        entry, salt = answer.headers["wantong-entry"], bytes.fromhex(answer.headers["wantong-salt"])
    drain()
    row = LogEntry.objects.get(id=entry)
    body = json.loads(row.body)
    assert canonical.dumps(body) == row.body.encode(), "byte for byte canonical"
    assert body["decision"] == "answered" and body["fields"] == list(FIELDS)
    assert body["payload"]["salted_sha256"] == hashlib.sha256(salt + answer.content).hexdigest()
    assert body["case"] == hashlib.sha256(salt + "案-2026-17".encode()).hexdigest()
    commitment = bytes.fromhex(commitment_of(resident(3)))
    assert body["subject"] == hashlib.sha256(commitment + entry.encode()).hexdigest()
    assert resident(3) not in row.body and "陈" not in row.body and "案" not in row.body
    assert row.index is not None and log.receipt(entry) is not None
    call = Call.objects.get(id=entry)
    assert (call.case, call.why) == ("案-2026-17", "")
    assert [c.id for c in services.calls_about(resident(3))] == [call.id]


def test_who_is_not_there_and_who_did_not_agree_are_one_answer(peer, tmp_path, drain):
    process = released(peer, tmp_path)
    with serving() as client:
        service = Service(client, process)
        unknown, refused = service.ask("449901195001010000"), service.ask(15)
    assert unknown.status_code == refused.status_code == 404
    assert unknown.content == refused.content and slug(unknown) == "query-no-record"
    hidden = ("wantong-entry", "wantong-salt", "date")
    told = [{k: v for k, v in a.headers.items() if k not in hidden} for a in (unknown, refused)]
    assert told[0] == told[1]
    drain()
    public = [
        json.loads(LogEntry.objects.get(id=a.headers["wantong-entry"]).body) for a in (unknown, refused)
    ]
    for name in ("id", "time", "subject", "case"):
        assert public[0].pop(name) != public[1].pop(name) or name == "time"
    assert public[0] == public[1], "nor does the log tell them apart"
    assert set(Call.objects.values_list("why", flat=True)) == {"no-record", "no-consent"}


def test_the_gate_decides_once_with_the_volume_and_nothing_before(peer, tmp_path, drain):
    scene.publish(tmp_path)
    process = request(peer, agreement(peer, constraint("count", "lteq", "5")))
    declaration = Declaration.objects.get(transfer_id=process.id)
    assert declaration.state == "waiting" and declaration.service["volume"] == 5
    assert {r["id"] for r in declaration.waiting_for} >= {"catalogue:whitelist"}
    counted = declaration.actions.get(act="decide").data["counts"]
    assert counted["sensitive"] + counted["nonsensitive"] == 5, (
        "as many persons as may be asked for, of twenty"
    )
    with serving() as client:
        assert slug(Service(client, process).ask(0)) == "query-closed"
    allow()
    agree([resident(n) for n in range(10)], fields=FIELDS)
    declaration = scene.confirm(process)
    assert declaration.state == "released"
    body = json.loads(LogEntry.objects.get(kind="gate.export.release").body)
    assert body["service"]["volume"] == 5 and body["service"]["format"] == FORMAT
    with serving() as client:
        assert Service(client, process).ask(0).status_code == 200


def test_outside_the_whitelist_another_purpose_and_nonsense(peer, tmp_path, drain):
    process = released(peer, tmp_path)
    with serving() as client:
        service = Service(client, process)
        for more in (
            {"fields": [NAME, COLUMNS[0]]},
            {"fields": ["陈3 的电话"]},
            {"purpose": "marketing"},
        ):
            answer = service.ask(3, **more)
            assert answer.status_code == 403 and slug(answer) == "query-fields-not-released", more
        for more in (
            {"fields": []}, {"fields": NAME}, {"fields": [NAME, NAME]}, {"subject": ""}, {"case": " \n"}, {"case": 5},
            {"call": "x"}, {"extra": 1}, {"subject": "1" * 201}, {"purpose": None},
        ):  # fmt: skip
            answer = service.ask(3, **more)
            assert answer.status_code == 400 and slug(answer) == "query-bad-question", more
        headers = {"Authorization": f"Bearer {service.token}"}
        for content in (b"", b"[]", b"{", b"\xff" * 30, b"[" * 5000):
            assert client.post(f"/query/{process.id}", content=content, headers=headers).status_code == 400
        assert client.post(f"/query/{process.id}", content=b" " * 9000, headers=headers).status_code == 413
    drain()
    logged = LogEntry.objects.filter(kind="query.call")
    assert logged.count() == 3, "what is no question is not logged; what was refused is"
    assert not any("电话" in row.body or COLUMNS[0] in row.body for row in logged), (
        "a public log names only what was released"
    )


def test_fields_are_those_that_are_asked_for_and_no_more(peer, tmp_path):
    process = released(peer, tmp_path)
    with serving() as client:
        answer = Service(client, process).ask(3, fields=[MONTHS])
    assert answer.content == b'{"records":[{"' + MONTHS.encode() + b'":"3"}]}'


def test_what_was_answered_counts_and_the_rest_does_not(peer, tmp_path, drain):
    process = released(peer, tmp_path)
    with serving() as client:
        service = Service(client, process)
        for person in (1, 2, 2, 15):
            service.ask(person)
    drain()
    declaration = Declaration.objects.get(transfer_id=process.id)
    assert declaration.passengers.filter(leaves=True).count() == 2
    counted = counts.person_counts("gd.test.example")
    assert counted.sensitive + counted.nonsensitive == 2
    assert ConsentUse.objects.filter(fate="left").count() == 2
    peer.post(
        f"/transfers/{process.pid}/completion",
        {"@context": ["https://w3id.org/dspace/2025/1/context.jsonld"], "@type": "TransferCompletionMessage",
         "providerPid": process.pid, "consumerPid": "urn:theirs:t1"},
    )  # fmt: skip
    drain()
    declaration.refresh_from_db()
    assert declaration.state in ("delivered", "receipted")
    counted = counts.person_counts("gd.test.example")
    assert counted.sensitive + counted.nonsensitive == 2, "counted once"
    with serving() as client:
        assert slug(Service(client, process).ask(1)) == "query-closed"


def test_the_catalogue_offers_it_for_what_is_about_persons(peer, tmp_path):
    scene.publish(tmp_path)
    told = peer.call("GET", f"/dsp/2025-1/catalog/datasets/{scene.DATASET}").json()
    assert [d["format"] for d in told["distribution"]] == ["HttpData-PULL", FORMAT]
