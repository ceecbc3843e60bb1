"""A person takes a consent back: before it leaves, in the moment it leaves, after it left."""

from __future__ import annotations

import threading
import time

import pytest
from django.db import connection
from tests.border.gate.scene import (
    CHAN,
    HK,
    LEI,
    PAPER,
    PURPOSE,
    agree,
    allow,
    confirm,
    consignment,
    declare,
    read_csv,
    resident,
    residents,
    run,
)

from wantong.border.gate import keys
from wantong.border.gate.consent import services as consent
from wantong.border.gate.declarations import counts, deliverable, outgoing, services, steps
from wantong.ground import actors
from wantong.ground.outbox import services as outbox
from wantong.ground.outbox.models import Event, State

pytestmark = pytest.mark.django_db(transaction=True)


def released(tmp_path, count=5, **more):
    declaration = declare(residents(tmp_path / f"{more.get('transfer_id', 'r')}.csv", count), **more)
    return confirm(declaration)


@pytest.fixture
def scheme(told):
    """Everybody has agreed, and the whitelist covers it."""
    allow()
    return agree([resident(n) for n in range(60)])


def consent_of(number):
    return consent.of_person(resident(number))[0]


def tokens(parcel):
    return {row[0] for row in read_csv(parcel.payload)[1:]}


def token(node, number):

    return deliverable.pseudonym(
        resident(number), keys.pseudonym_key(node.keys, "social-insurance", HK, PURPOSE)
    )


def test_before_it_leaves_the_parcel_comes_back_and_goes_without_that_person(told, node, scheme, tmp_path):
    declaration = released(tmp_path)
    assert token(node, 2) in tokens(outgoing.ready(node.outgoing, declaration.transfer_id))
    withdrawn = consent.withdraw(CHAN, consent_of(2).id)
    assert outgoing.ready(node.outgoing, declaration.transfer_id) is None, "already when the verb returns"
    assert withdrawn.uses.get().fate == "stopped"

    assert run(declaration).state == "released"
    parcel = outgoing.ready(node.outgoing, declaration.transfer_id)
    assert tokens(parcel) == {token(node, n) for n in (0, 1, 3, 4)}
    assert [topic for topic, _ in told] == ["gate.released", "gate.released"]
    services.delivered(actors.system("test"), declaration.transfer_id)
    assert counts.person_counts(declaration.sender).sensitive == 4


def test_after_it_left_the_receiver_is_told_once_and_by_pseudonym_only(told, node, scheme, tmp_path):
    declaration = released(tmp_path)
    assert outgoing.claim(node.outgoing, declaration.transfer_id)
    consent.withdraw(CHAN, consent_of(2).id)
    consent.withdraw(CHAN, consent_of(2).id)
    run(declaration)
    assert declaration.state == "released", "what has left goes its way"
    [payload] = [payload for topic, payload in told if topic == "gate.withdrawn"]
    assert payload["subject"] == token(node, 2) and payload["transfer_id"] == declaration.transfer_id
    assert consent_of(2).uses.get().fate == "recalled"
    services.delivered(actors.system("test"), declaration.transfer_id)
    consent.withdraw(CHAN, consent_of(3).id)
    run(declaration)
    assert [p["subject"] for t, p in told if t == "gate.withdrawn"] == [token(node, 2), token(node, 3)]


def test_the_last_person_who_withdraws_leaves_nothing_to_send(told, node, scheme, tmp_path):
    declaration = released(tmp_path, 2)
    for number in (0, 1):
        consent.withdraw(CHAN, consent_of(number).id)
    assert run(declaration).state == "waiting"
    assert outgoing.ready(node.outgoing, declaration.transfer_id) is None


def test_forgetting_a_person_withdraws_and_leaves_no_way_back(told, node, scheme, tmp_path):
    declaration = released(tmp_path)
    known = consent.commitment_of(resident(2))
    assert consent.forget(LEI, resident(2)) and not consent.forget(LEI, resident(2))
    run(declaration)
    assert token(node, 2) not in tokens(outgoing.ready(node.outgoing, declaration.transfer_id))
    again = consent.commitments([resident(2)])[resident(2)]
    assert again != known, "the same number is a stranger now"


@pytest.mark.parametrize("wait", [0.0, 0.002, 0.004, 0.006, 0.008, 0.010, 0.015, 0.020, 0.3])
def test_withdrawing_and_leaving_race_and_one_of_them_wins(wait, told, node, scheme, tmp_path):
    """A reader claims as the data plane does, at some moment around the withdrawal."""
    declaration = released(tmp_path, 6)
    start, claimed = threading.Barrier(2), []

    def read():
        start.wait()
        time.sleep(wait)
        claimed.append(outgoing.claim(node.outgoing, declaration.transfer_id))

    reader = threading.Thread(target=read)
    reader.start()
    start.wait()
    withdrawn = consent.withdraw(CHAN, consent_of(5).id)
    left = outgoing.has_left(node.outgoing, declaration.transfer_id)
    fate = withdrawn.uses.get().fate
    reader.join()
    run(declaration)

    mine, [parcel] = token(node, 5), claimed
    recalls = [payload["subject"] for topic, payload in told if topic == "gate.withdrawn"]
    if fate == "recalled":
        assert left and mine in tokens(parcel) and recalls == [mine]
    else:
        # who comes after the withdrawal finds nothing, or a parcel without that person
        assert fate == "stopped" and recalls == []
        assert parcel is None or mine not in tokens(parcel)
        assert mine not in tokens(outgoing.claim(node.outgoing, declaration.transfer_id))
    if wait == 0.3:
        assert fate == "stopped"


def test_withdrawals_while_parcels_are_made(told, node, scheme, tmp_path):
    """Two workers and two people who withdraw, all at once: nothing leaves with who had withdrawn before."""
    declarations = [
        services.declare(CHAN, consignment(residents(tmp_path / f"{n}.csv", 40), transfer_id=f"many-{n}"))
        for n in range(4)
    ]
    for declaration in declarations:
        run(declaration)
        wanted = [r["id"] for r in declaration.waiting_for]
        services.act(LEI, declaration.id, "confirm", document=PAPER, requirements=wanted)
    stop = threading.Event()

    def work():
        try:
            while not stop.is_set():
                if not outbox.run_due():
                    time.sleep(0.005)
        finally:
            connection.close()

    def take_back(numbers):
        try:
            for number in numbers:
                consent.withdraw(CHAN, consent_of(number).id)
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(2)]
    people = [threading.Thread(target=take_back, args=(numbers,)) for numbers in (range(10), range(10, 20))]
    for thread in threads + people:
        thread.start()
    for thread in people:
        thread.join()
    stop.set()
    for thread in threads:
        thread.join()
    Event.objects.filter(state=State.DUE).update(leased_until=None)
    outbox.drain()
    gone = {token(node, number) for number in range(20)}
    for declaration in declarations:
        declaration.refresh_from_db()
        assert declaration.state == "released"
        parcel = outgoing.ready(node.outgoing, declaration.transfer_id)
        assert tokens(parcel) == {token(node, number) for number in range(20, 40)}
        assert not tokens(parcel) & gone
        leaving = declaration.passengers.filter(leaves=True).count()
        assert leaving == 20


def test_a_crash_between_taking_back_and_writing_it_down_is_mended(told, node, scheme, tmp_path, monkeypatch):
    declaration = released(tmp_path)
    transfer = declaration.transfer_id
    with monkeypatch.context() as dying:
        dying.setattr(steps, "recall", lambda *_, **__: outgoing.take_back(node.outgoing, transfer))
        consent.withdraw(CHAN, consent_of(1).id)
    declaration.refresh_from_db()
    assert declaration.state == "released" and outgoing.ready(node.outgoing, transfer) is None
    assert run(declaration).state == "released"
    assert token(node, 1) not in tokens(outgoing.ready(node.outgoing, declaration.transfer_id))
