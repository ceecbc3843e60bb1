"""A person takes his consent back, or gives it, while he is being asked about; and what is on the wire meanwhile."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from pathlib import Path

import pytest
from django.db import connection
from tests.border.exchange.query import scene
from tests.border.exchange.query.scene import (
    COLUMNS,
    FIELDS,
    LEI,
    Service,
    question,
    released,
    resident,
    serving,
    slug,
)
from tests.border.gate.scene import agree, allow, write_csv

from wantong.border.exchange.query import journal, services
from wantong.border.exchange.query.models import Call
from wantong.border.gate.consent import services as consent
from wantong.border.gate.consent.models import ConsentUse
from wantong.border.gate.declarations import steps
from wantong.border.gate.declarations.models import Declaration
from wantong.border.gate.whitelist import services as whitelist
from wantong.border.gate.whitelist.models import WhitelistItem
from wantong.ground.actors import Actor
from wantong.ground.outbox import services as outbox

pytestmark = pytest.mark.django_db(transaction=True)


def withdraw(person: int):
    return consent.withdraw(LEI, consent.of_person(resident(person))[0].id)


def test_when_withdraw_returns_nobody_is_told_any_more(peer, tmp_path, node):
    process = released(peer, tmp_path, consents=6)
    stop = threading.Event()
    begun_after: dict[int, list[int]] = {person: [] for person in range(6)}
    withdrawn_at: dict[int, float] = {}
    with serving(node) as client:
        opens = Service(client, process).token

        def caller(person):
            mine = Service(client, process)
            while not stop.is_set():
                begun = time.monotonic()
                answer = mine.ask(person, token=opens)
                if person in withdrawn_at and begun > withdrawn_at[person]:
                    begun_after[person].append(answer.status_code)

        threads = [threading.Thread(target=caller, args=(person,)) for person in range(6)]
        for thread in threads:
            thread.start()
        for person in range(6):
            time.sleep(0.03)
            withdraw(person)
            withdrawn_at[person] = time.monotonic()
        until = time.monotonic() + 20
        while not all(begun_after.values()) and time.monotonic() < until:
            time.sleep(0.02)
        stop.set()
        for thread in threads:
            thread.join()
    connection.close()
    assert all(begun_after.values())
    assert {status for statuses in begun_after.values() for status in statuses} == {404}
    assert Declaration.objects.get(transfer_id=process.id).state == "released", "the others may be asked on"


def test_withdrawn_between_decision_and_answer_it_is_not_given(peer, tmp_path, node, monkeypatch, drain):
    process = released(peer, tmp_path)
    writing, go = threading.Event(), threading.Event()
    sync = os.fdatasync

    def slow(descriptor):
        if Path(f"/proc/self/fd/{descriptor}").readlink().suffix == ".log":
            writing.set()
            go.wait(20)
        sync(descriptor)

    with serving(node) as client:
        service = Service(client, process)
        assert service.ask(1).status_code == 200
        monkeypatch.setattr(journal.os, "fdatasync", slow)
        answers = []
        thread = threading.Thread(target=lambda: answers.append(service.ask(2)))
        thread.start()
        assert writing.wait(20)
        withdraw(2)
        go.set()
        thread.join(20)
        assert slug(answers[0]) == "query-no-record" and "养老".encode() not in answers[0].content
    drain()
    told = dict(Call.objects.values_list("id", "why"))
    assert sorted(told.values()) == ["", "stopped", "withdrawn"]
    assert ConsentUse.objects.filter(fate="left").count() == 1, "what was not given did not leave"


def test_who_agrees_may_be_asked_about_and_who_withdraws_after_an_answer_is_settled(
    peer, tmp_path, node, drain
):
    process = released(peer, tmp_path, consents=3)
    with serving(node) as client:
        service = Service(client, process)
        assert service.ask(7).status_code == 404
        agree([resident(7)], fields=FIELDS)
        drain()
        assert service.ask(7).status_code == 200
        drain()
        withdraw(7)
        assert service.ask(7).status_code == 404
        drain()
        assert (
            ConsentUse.objects.get(consent__commitment=consent.commitment_of(resident(7))).fate == "recalled"
        )
        assert service.ask(1).status_code == 200
        # a grant to somebody else, or for less, opens nothing
        agree([resident(8)], fields=FIELDS, receiver="mo.test.example")
        agree([resident(9)], fields=FIELDS[:1])
        drain()
        assert service.ask(8).status_code == service.ask(9).status_code == 404


def test_a_killed_process_between_commit_and_mirror_is_made_up_for(peer, tmp_path, node, monkeypatch, drain):
    process = released(peer, tmp_path)
    with serving(node) as client:
        service = Service(client, process)
        with monkeypatch.context() as died:
            died.setattr(steps, "admit", lambda *_: None)
            withdraw(3)
        drain()
        assert service.ask(3).status_code == 404


def test_a_revoked_release_ends_it_at_once(peer, tmp_path, node, drain):
    process = released(peer, tmp_path)
    with serving(node) as client:
        service = Service(client, process)
        assert service.ask(1).status_code == 200
        whitelist.revoke(LEI, WhitelistItem.objects.get().id, "no longer needed")
        assert slug(service.ask(1)) == "query-closed"
        drain()
        assert Declaration.objects.get(transfer_id=process.id).state == "waiting"
        allow()
        drain()
        assert Declaration.objects.get(transfer_id=process.id).state == "released"
        assert service.ask(1).status_code == 200, "released anew, under the token he has"


def test_forgotten_is_gone_from_the_answers_and_cannot_be_led_back(peer, tmp_path, node, drain):
    process = released(peer, tmp_path)
    with serving(node) as client:
        service = Service(client, process)
        assert service.ask(4).status_code == 200
        drain()
        assert len(services.calls_about(resident(4))) == 1
        consent.forget(Actor("user:op", "Op", frozenset({"operator"})), resident(4))
        assert service.ask(4).status_code == 404
        drain()
    assert services.calls_about(resident(4)) == []


def test_nothing_but_what_was_released_is_on_the_wire(peer, tmp_path, node):
    """Every byte that leaves the data plane, for every person, every field and much nonsense, is searched."""
    secrets = [f"秘密{n}" for n in range(8)]
    rows = [(resident(n), f"陈大文{n}", "养老保险", secrets[n]) for n in range(8)]
    path = write_csv(tmp_path / "register.csv", COLUMNS, rows)
    process = released(peer, tmp_path, path=path, consents=4, fields=FIELDS[:2])
    sent = bytearray()
    with serving(node) as client:
        port = client.base_url.port
        opens = scene.token_of(process)
        asked = [*FIELDS, COLUMNS[0], "*", "rows", "commitment"]
        with socket.create_connection(("127.0.0.1", port)) as wire:
            for n in range(10):
                for fields in (*([name] for name in asked), list(FIELDS[:2]), asked):
                    body = json.dumps(question(n, fields=fields)).encode()
                    head = (
                        f"POST /query/{process.id} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {opens}\r\n"
                    )
                    wire.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
                    answer = b""
                    while b"\r\n\r\n" not in answer:
                        answer += wire.recv(65536)
                    length = int(answer.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                    while len(answer.split(b"\r\n\r\n", 1)[1]) < length:
                        answer += wire.recv(65536)
                    sent += answer
        for path in ("", "/manifest", "/records.bin", "/../consents.bin"):
            for root in ("query", "data"):
                sent += client.get(
                    f"/{root}/{process.id}{path}", headers={"Authorization": f"Bearer {opens}"}
                ).content
    text = sent.decode()
    assert text.count("██") == 2 * 4, "the four who agreed, each once alone and once with the other field"
    for n in range(8):
        assert secrets[n] not in text and resident(n) not in text and f"陈大文{n}" not in text
        commitment = consent.commitment_of(resident(n))
        assert commitment not in text
    outbox.drain()
    held = (node.outgoing / process.id / "records.bin").read_bytes().decode("utf-8", "replace")
    assert not any(secret in held for secret in secrets), "what is not released is not even there"
