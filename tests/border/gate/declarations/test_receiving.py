"""The receiving gate: look before use, keep the duties, strike, delete at term, refuse to pass on."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import shutil
from pathlib import Path

import pytest
from django.utils import timezone
from tests import databases
from tests.border.gate.scene import (
    CHAN,
    HK,
    LEI,
    PURPOSE,
    agree,
    allow,
    confirm,
    consignment,
    declare,
    facts,
    read_csv,
    resident,
    residents,
    run,
    waiting,
    write_csv,
)

from wantong.border.gate.declarations import outgoing, receiving, services
from wantong.border.gate.declarations import problems as p
from wantong.border.gate.declarations.consignment import Consignment
from wantong.border.gate.declarations.deliverable import digest
from wantong.border.gate.declarations.models import Holding, Obligation
from wantong.ground.actors import Actor
from wantong.ground.log.models import LogEntry
from wantong.ground.outbox import services as outbox
from wantong.ground.outbox.models import Event
from wantong.ground.outbox.services import Retry

pytestmark = pytest.mark.django_db(transaction=True)
SENDER = Actor("peer:gd.test.example")


@pytest.fixture
def sent(told, node, settings, tmp_path):
    """What the gate of Guangdong released to Hong Kong; from here on the node is Hong Kong's."""
    agree([resident(n) for n in range(5)])
    allow()
    declaration = confirm(declare(residents(tmp_path / "r.csv", 5)))
    parcel = outgoing.claim(node.outgoing, declaration.transfer_id)
    pulled = tmp_path / "pulled.csv"
    shutil.copy(parcel.payload, pulled)
    folder = tmp_path / "hongkong"
    settings.WANTONG = dataclasses.replace(
        node, participant_id=HK, jurisdiction="hk", directory=folder, url="http://127.0.0.1:2"
    )
    for place in (
        settings.WANTONG.keys,
        settings.WANTONG.blobs,
        settings.WANTONG.log,
        settings.WANTONG.outgoing,
    ):
        place.mkdir(parents=True)
    databases.empty()  # another node has another database
    told.clear()
    return arrival(pulled, json.loads(json.dumps(parcel.manifest)))


def arrival(path, manifest) -> Consignment:
    """What the exchange makes of a pulled payload and its manifest."""
    waybill = manifest["waybill"]
    return Consignment(
        dataset_id=waybill["dataset_id"],
        title=waybill["title"],
        path=path,
        media_type=manifest["media_type"],
        fields=tuple(waybill["fields"]),
        facts=waybill["facts"],
        purpose=waybill["purpose"],
        sender=waybill["sender"],
        receiver=waybill["receiver"],
        direction="import",
        transfer_id=waybill["transfer_id"],
        agreement_id=waybill["agreement_id"],
        sha256=manifest["sha256"],
        waybill=waybill,
    )


def accepted(consignment):
    return run(services.declare(SENDER, consignment))


def test_what_was_promised_is_accepted_with_its_duties(sent, told, settings):
    declaration = accepted(sent)
    assert declaration.state == "receipted"
    holding = declaration.holding
    assert holding.path == str(settings.WANTONG.blobs / sent.sha256)
    assert holding.subject_column == "公民身份号码"
    duties = {o.kind: o for o in declaration.obligations.all()}
    assert duties["no_onward_outside_gba"].scope == {"area": ["CN", "HK"]}
    assert duties["purpose_limit"].scope == {"purpose": PURPOSE}
    assert duties["minimum_retention"].until == timezone.localdate() + dt.timedelta(days=365)
    assert [(topic, payload["direction"]) for topic, payload in told] == [("gate.released", "import")]
    kinds = set(LogEntry.objects.values_list("kind", flat=True))
    assert {"gate.import.release", "gate.import.deliver"} <= kinds


def test_a_payload_other_than_promised_is_refused_with_a_record(sent, told):
    sent.path.write_bytes(sent.path.read_bytes().replace("养老".encode(), "医疗".encode(), 1))
    declaration = accepted(sent)
    assert (declaration.state, declaration.actions.last().note) == ("refused", "payload-differs")
    assert [topic for topic, _ in told] == ["gate.refused"]
    assert not Holding.objects.exists() and not Obligation.objects.exists()


def repromised(consignment, path, **waybill):
    """The same arrival with another payload, honestly promised."""
    return dataclasses.replace(
        consignment, path=path, sha256=digest(path)[0], waybill={**consignment.waybill, **waybill}
    )


def test_columns_that_nobody_agreed_on_are_refused(sent, tmp_path):
    more = write_csv(
        tmp_path / "m.csv", (*sent.fields, "电话"), [("t1", "陈*", "养老保险", 1, "13800138000")]
    )
    assert accepted(repromised(sent, more)).state == "refused"


def test_kinds_that_nobody_declared_are_held_for_a_person(sent, tmp_path):
    bare = write_csv(tmp_path / "b.csv", sent.fields, [("t1", "陈*", f"{resident(n)}", 1) for n in range(9)])
    declaration = accepted(repromised(sent, bare, kinds=[]))
    assert declaration.state == "held" and waiting(declaration) == {"question:kinds"}
    services.act(LEI, declaration.id, "explain", "an exercise", requirements=["question:kinds"])
    assert run(declaration).state == "receipted"


def test_another_answer_of_our_own_rules_is_held(sent):
    declaration = accepted(dataclasses.replace(sent, waybill={**sent.waybill, "route": "exempt"}))
    assert declaration.state == "held" and waiting(declaration) == {"question:route"}


def test_what_a_person_holds_is_not_accepted_though_nothing_else_stands_against_it(sent, monkeypatch):
    copy = receiving._copy

    def held_meanwhile(source, target):
        copy(source, target)
        monkeypatch.setattr(receiving, "_copy", copy)
        services.act(LEI, declaration.id, "hold", "let me look first")

    monkeypatch.setattr(receiving, "_copy", held_meanwhile)
    declaration = services.declare(SENDER, sent)
    assert run(declaration).state == "held"
    assert not Holding.objects.exists()
    services.act(LEI, declaration.id, "resume", "it is as it should be")
    assert run(declaration).state == "receipted"


def test_a_withdrawal_strikes_one_persons_rows_once(sent, told):
    declaration = accepted(sent)
    header, *rows = read_csv(sent.path)
    subject = rows[2][0]
    old = declaration.holding.path
    assert receiving.enforce_withdrawal(SENDER, sent.transfer_id, subject) == 1
    assert receiving.enforce_withdrawal(SENDER, sent.transfer_id, subject) == 1
    holding = Holding.objects.get()
    assert read_csv(Path(holding.path)) == [header, *(row for row in rows if row[0] != subject)]
    assert not Path(old).exists()
    assert declaration.actions.filter(act="withdraw_person").count() == 1
    with pytest.raises(p.UnknownDeclaration):
        receiving.enforce_withdrawal(Actor("peer:mo.test.example"), sent.transfer_id, subject)
    with pytest.raises(p.UnknownDeclaration):
        receiving.enforce_withdrawal(SENDER, "never-heard-of", subject)


def test_the_file_with_a_withdrawn_persons_rows_goes_even_if_the_process_dies_right_after_the_commit(
    sent, told, monkeypatch
):
    old = Path(accepted(sent).holding.path)
    subject = read_csv(old)[1][0]
    with monkeypatch.context() as dead:
        dead.setattr(receiving, "_unlink_if_unheld", lambda path: None)
        receiving.enforce_withdrawal(SENDER, sent.transfer_id, subject)
    assert old.exists()
    outbox.drain()
    assert not old.exists() and Path(Holding.objects.get().path).exists()


def test_a_withdrawal_that_overtakes_its_data_is_applied_on_acceptance(sent):
    _, *rows = read_csv(sent.path)
    declaration = services.declare(SENDER, sent)
    receiving.enforce_withdrawal(SENDER, sent.transfer_id, rows[0][0])
    run(declaration)
    assert [row[0] for row in read_csv(Path(Holding.objects.get().path))[1:]] == [row[0] for row in rows[1:]]


def test_the_receiver_refuses_to_pass_it_on_outside_the_area_or_for_another_purpose(sent, tmp_path):
    accepted(sent)
    receiving.onward_check("social-insurance", "CN", PURPOSE)
    with pytest.raises(p.OnwardForbidden) as away:
        receiving.onward_check("social-insurance", "OTHER", PURPOSE)
    assert away.value.params["obligation"] == "no_onward_outside_gba"
    with pytest.raises(p.OnwardForbidden):
        receiving.onward_check("social-insurance", "CN", "marketing")
    with pytest.raises(p.OnwardForbidden):
        receiving.onward_check("renamed", "MO", PURPOSE, payload_sha256=sent.sha256)

    onward = consignment(
        sent.path,
        dataset_id="renamed",
        facts={
            "to_jurisdiction": "MO",
            "from_area": "hk",
            "to_area": "mo",
            "is_personal": True,
            "contract": "rmc",
        },
        sender=HK,
        receiver="mo.test.example",
        transfer_id="onward",
    )
    declaration = run(services.declare(CHAN, onward))
    assert (declaration.state, declaration.actions.last().note) == ("refused", "onward-forbidden")


def test_it_is_deleted_when_its_term_ends(sent, monkeypatch, settings):
    declaration = accepted(sent)
    [timer] = Event.objects.filter(topic="gate.term")
    assert timer.available_at.date() >= timezone.localdate() + dt.timedelta(days=364)
    with pytest.raises(Retry):
        receiving.erase_at_term(declaration.id)
    later = timezone.localdate() + dt.timedelta(days=366)
    monkeypatch.setattr(receiving.timezone, "localdate", lambda *_: later)
    path = Path(declaration.holding.path)
    receiving.erase_at_term(declaration.id)
    receiving.erase_at_term(declaration.id)
    assert not path.exists() and Holding.objects.get().deleted_at
    assert declaration.actions.filter(act="erase").count() == 1
    receiving.onward_check("social-insurance", "OTHER", "anything")


def test_facts_of_another_place_are_no_import_here(sent):
    with pytest.raises(p.BadConsignment):
        services.declare(
            SENDER, dataclasses.replace(sent, facts=facts(to_jurisdiction="MO", from_jurisdiction="CN"))
        )
