"""The data plane against those who mean harm, and against being killed: no database is needed for any of this."""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from joserfc.jwk import OKPKey
from tests.border.exchange.query import process
from tests.border.exchange.query.process import AGREEMENT, PURPOSE, RECEIVER, TRANSFER, parcel, token
from tests.border.exchange.query.scene import serving, slug

from wantong.border.exchange import access
from wantong.border.exchange.query import journal, plane, terms
from wantong.border.gate.declarations import outgoing
from wantong.border.trust import keys
from wantong.ground import keyring
from wantong.ground.log.identifiers import uuid7


def question(person="P1", **more):
    return {
        "subject": person,
        "case": "2026-17",
        "purpose": PURPOSE,
        "fields": ["name"],
        "call": uuid7(),
        **more,
    }


def ask(client, node, person="P1", *, bearer=None, transfer=TRANSFER, **more):
    headers = {"Authorization": f"Bearer {bearer or token(node)}"}
    return client.post(f"/query/{transfer}", json=question(person, **more), headers=headers)


def entries(node):
    return [line for path in journal.segments(node.queries) for line in journal.read(path)]


def test_what_answers_needs_no_database():
    code = "import sys, wantong.border.exchange.query.plane; sys.exit('django' in sys.modules)"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode == 0


def test_only_the_right_token_asks(node):
    parcel(node)
    parcel(node, transfer="t-2")
    now, data = datetime.now(UTC), keys.load(node.keys, keys.DATA)

    def issue(key=data, at=now, audience=plane.AUDIENCE, **more):
        said = {"transfer_id": TRANSFER, "agreement_id": AGREEMENT, "receiver": RECEIVER, **more}
        return access.issue(key, access.Access(**said), at, audience)

    wrong = {
        "another agreement's": issue(agreement_id="urn:agreement:2"),
        "another receiver's": issue(receiver="mo.example"),
        "another transfer's": issue(transfer_id="t-2"),
        "a file's": issue(audience=access.AUDIENCE),
        "another key's": issue(OKPKey.generate_key("Ed25519")),
        "the protocol key's": issue(keys.load(node.keys, keys.PROTOCOL)),
        "expired": issue(at=now - access.LIFETIME - timedelta(seconds=1)),
        "not good yet": issue(at=now + timedelta(minutes=5)),
        "garbage": "x.y.z",
        "endless": "x" * 5000,
    }
    with serving(node) as client:
        for name, text in wrong.items():
            for _ in range(2):  # also when it is remembered
                answer = client.post(
                    f"/query/{TRANSFER}", json=question(), headers={"Authorization": f"Bearer {text}"}
                )
                assert answer.status_code == 401, name
                assert slug(answer) == "query-token-refused" and "wantong-entry" not in answer.headers
                answer = client.get(f"/query/{TRANSFER}", headers={"Authorization": f"Bearer {text}"})
                assert answer.status_code == 401, name
        assert client.post(f"/query/{TRANSFER}", json=question()).status_code == 401
        assert ask(client, node).status_code == 200
        # nor does a token for asking fetch the index as a file
        assert (
            client.get(f"/data/{TRANSFER}", headers={"Authorization": f"Bearer {issue()}"}).status_code == 401
        )
        for odd in ("..%2Ft-1", ".draft", "%00", "t-1/x", ""):
            assert ask(client, node, transfer=odd).status_code in (401, 404, 405, 410)
        told = client.get(f"/query/{TRANSFER}", headers={"Authorization": f"Bearer {issue()}"}).json()
        assert told["waybill"]["fields"] == ["name", "kind"] and told["calls"] == 1
    assert len(entries(node)) == 1


def test_a_token_that_was_good_is_not_good_for_ever(node, monkeypatch):
    parcel(node)
    opens = token(node)
    with serving(node) as client:
        assert ask(client, node, bearer=opens).status_code == 200
        later = time.time() + access.LIFETIME.total_seconds() + 1
        monkeypatch.setattr(plane.time, "time", lambda: later)
        assert ask(client, node, bearer=opens).status_code == 401, "remembered, and out of date"


def test_tokens_of_the_old_key_ask_until_it_is_removed_also_those_that_are_remembered(node, monkeypatch):
    monkeypatch.setattr(plane, "LOOK", 0.05)
    parcel(node)
    old, stolen = token(node), keys.load(node.keys, keys.DATA)
    begun = keyring.begin(
        node.keys, lambda folder: keys.make(folder, keys.PROTOCOL, keys.DATA), datetime.now(UTC)
    ).begun

    def asked(client, bearer):
        return ask(client, node, bearer=bearer).status_code

    with serving(node) as client:
        assert asked(client, old) == 200
        keyring.switch(node.keys)
        new = token(node)
        keyring.finish(node.keys, datetime.now(UTC))
        time.sleep(0.06)
        assert asked(client, old) == asked(client, new) == 200, "at once, and after another look"
        keyring.forget(node.keys, keys.DATA, begun)
        opens = access.Access(TRANSFER, AGREEMENT, RECEIVER)
        forged = access.issue(stolen, opens, datetime.now(UTC) - timedelta(seconds=5), plane.AUDIENCE)
        assert asked(client, forged) == 401
        time.sleep(0.06)
        assert asked(client, old) == 401 and asked(client, new) == asked(client, token(node)) == 200


def test_a_call_is_answered_once(node, monkeypatch):
    parcel(node)
    call = uuid7()
    with serving(node) as client:
        assert ask(client, node, call=call).status_code == 200
        for written in (call, call.replace("-", "")):
            again = ask(client, node, call=written)
            assert again.status_code == 409 and slug(again) == "query-already-asked"
        moment = int(time.time() * 1000)
        for odd in (moment - 31_000, moment + 31_000, 0):
            old = f"{odd:012x}7abc8{os.urandom(8).hex()[:15]}"
            assert slug(ask(client, node, call=old)) == "query-already-asked"
    with serving(node) as client:
        assert slug(ask(client, node, call=call)) == "query-already-asked", "nor after a restart"
        assert ask(client, node).status_code == 200
    assert len(entries(node)) == 2


def test_a_question_has_bounds(node):
    parcel(node)
    bearer = {"Authorization": f"Bearer {token(node)}"}
    with serving(node) as client:
        huge = json.dumps(question(case="x" * 20_000)).encode()
        assert client.post(f"/query/{TRANSFER}", content=huge, headers=bearer).status_code == 413

        def pieces():
            for _ in range(64):
                yield b" " * 1024

        assert client.post(f"/query/{TRANSFER}", content=pieces(), headers=bearer).status_code == 413
        deep = b'{"subject":' + b"[" * 3000
        assert client.post(f"/query/{TRANSFER}", content=deep, headers=bearer).status_code == 400
        for odd in (["name", ["name"]], [1], [True], [None], ["name"] * 2, [], "name", {"name": 1}):
            assert slug(ask(client, node, fields=odd)) == "query-bad-question", odd
        said = client.post(
            f"/query/{TRANSFER}", content=b"{", headers={**bearer, "Accept-Language": "zh-HK,zh;q=0.9"}
        )
        assert "查詢請求有誤" in said.json()["title"] and said.json()["reason"] == "not-json"
        assert said.json()["detail"] == "不是 JSON。未進行任何查詢。"
    assert not entries(node)


def test_who_is_not_there_takes_as_long_as_who_is(node):
    """Coarsely: a person's existence is not to be read off the clock. Both wait for the same disk."""
    parcel(node, people=500)
    with serving(node) as client:
        opens = token(node)
        taken = {"there": [], "not there": []}
        for n in range(60):
            for name, person in (("there", f"P{n}"), ("not there", f"Q{n}")):
                begun = time.perf_counter()
                ask(client, node, person, bearer=opens)
                taken[name].append(time.perf_counter() - begun)
    there, absent = (statistics.median(times) for times in taken.values())
    assert 1 / 3 < there / absent < 3


@pytest.mark.parametrize("limit", [{"total": 7}, {"per_day": 7}])
def test_limits_are_exact_however_many_ask_at_once(node, limit):
    parcel(node, **limit)
    opens = token(node)

    def many(client, count):
        answers = []

        def one():
            answers.append(ask(client, node, f"P{len(answers)}", bearer=opens))

        threads = [threading.Thread(target=one) for _ in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return answers

    with serving(node) as client:
        first = many(client, 5)
        assert {a.status_code for a in first} == {200}
    with serving(node) as client:
        answers = many(client, 24)
    assert sorted(a.status_code for a in answers) == [200] * 2 + [429] * 22
    refused = next(a for a in answers if a.status_code == 429)
    assert slug(refused) == "query-limit-reached"
    assert ("retry-after" in refused.headers) == ("per_day" in limit)
    counted = [line for line in entries(node) if line.private["day"] >= 0]
    assert len(counted) == 7
    assert sum(line.private["why"] == "limit" for line in entries(node)) == 1, (
        "told once a day, not filling a log"
    )


def test_what_nobody_finds_counts_too(node):
    """Who tries numbers uses up what he may ask."""
    parcel(node, total=3)
    with serving(node) as client:
        assert [ask(client, node, f"Q{n}").status_code for n in range(5)] == [404] * 3 + [429] * 2


def test_a_day_ends_at_midnight_in_the_bay(node, monkeypatch):
    parcel(node, per_day=1)
    day = terms.day_of(time.time())
    moment = terms.next_day(day) - 5
    monkeypatch.setattr(plane.time, "time", lambda: moment)
    with serving(node) as client:
        opens = access.issue(
            keys.load(node.keys, keys.DATA), access.Access(TRANSFER, AGREEMENT, RECEIVER),
            datetime.fromtimestamp(moment, UTC), plane.AUDIENCE,
        )  # fmt: skip

        def at(now):
            nonlocal moment
            moment = now
            call = f"{int(now * 1000):012x}7abc8{os.urandom(8).hex()[:15]}"
            return ask(client, node, bearer=opens, call=call)

        assert at(moment).status_code == 200
        full = at(moment + 1)
        assert full.status_code == 429 and int(full.headers["retry-after"]) <= 6
        assert at(moment + 5).status_code == 200


def test_the_term_ends_it(node):
    parcel(node, ends=int(time.time()) - 1)
    with serving(node) as client:
        answer = ask(client, node)
        assert answer.status_code == 403 and slug(answer) == "query-not-in-force"
    (line,) = entries(node)
    assert json.loads(line.entry)["decision"] == "not-answered" and line.private["why"] == "not-in-force"


def test_taken_back_while_the_disk_is_written_to_nothing_leaves(node, monkeypatch):
    parcel(node)
    writing, go = threading.Event(), threading.Event()
    sync = os.fdatasync

    def slow(descriptor):
        writing.set()
        go.wait(20)
        sync(descriptor)

    with serving(node) as client:
        assert ask(client, node).status_code == 200
        monkeypatch.setattr(journal.os, "fdatasync", slow)
        answers = []
        thread = threading.Thread(target=lambda: answers.append(ask(client, node, "P2")))
        thread.start()
        assert writing.wait(20)
        assert outgoing.take_back(node.outgoing, TRANSFER)
        go.set()
        thread.join(20)
        assert slug(answers[0]) == "query-closed" and b"name of" not in answers[0].content
        assert slug(ask(client, node)) == "query-closed", "though the data plane has the index open"
    lines = [(json.loads(line.entry), line.private) for line in entries(node)]
    assert [entry["decision"] for entry, _ in lines] == ["answered", "answered", "not-answered"]
    assert lines[2][1]["instead_of"] == lines[1][0]["id"], "the log says that it was not given after all"


def test_a_parcel_made_anew_is_asked_at_once(node):
    parcel(node, people=3)
    with serving(node) as client:
        opens = token(node)
        assert ask(client, node, "P5", bearer=opens).status_code == 404
        parcel(node, people=9)
        assert ask(client, node, "P5", bearer=opens).status_code == 200


def test_what_cannot_be_logged_is_not_answered(node, monkeypatch):
    parcel(node, total=4)
    write, full = os.write, threading.Event()

    def short(descriptor, data):
        if full.is_set() and b"query.call" in data:
            return write(descriptor, data[: len(data) // 2])
        return write(descriptor, data)

    monkeypatch.setattr(journal.os, "write", short)
    with serving(node) as client:
        assert ask(client, node).status_code == 200
        full.set()
        for _ in range(3):
            answer = ask(client, node)
            assert answer.status_code == 503 and slug(answer) == "query-not-logged"
            assert b"name of" not in answer.content
        full.clear()
        assert [ask(client, node).status_code for _ in range(4)] == [200] * 3 + [429], (
            "what was not answered does not count"
        )
    assert sum(json.loads(line.entry)["decision"] == "answered" for line in entries(node)) == 4


def test_files_of_the_journal_follow_one_another(node, monkeypatch):
    monkeypatch.setattr(journal.Journal.__init__, "__kwdefaults__", {"segment": 2000})
    parcel(node, total=30)
    with serving(node) as client:
        assert {ask(client, node).status_code for _ in range(20)} == {200}
    assert len(journal.segments(node.queries)) > 3
    with serving(node) as client:
        assert [ask(client, node).status_code for _ in range(12)] == [200] * 10 + [429] * 2


def test_one_writer_at_a_time(node):
    parcel(node)
    with serving(node) as client:
        assert ask(client, node).status_code == 200
        with serving(node) as second:
            assert slug(ask(second, node)) == "query-not-logged"
        assert ask(client, node).status_code == 200


def test_killed_in_the_middle_every_answered_call_has_its_entry(node):
    parcel(node, total=900)
    opens = token(node)
    answered: list[str] = []
    for kill_after in (0.15, 0.4):
        child, port = process.start(node)
        stop = threading.Event()

        def caller(port=port, stop=stop):
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=10) as client:
                while not stop.is_set():
                    with contextlib.suppress(httpx.HTTPError):
                        answer = ask(client, node, bearer=opens)
                        if answer.status_code == 200:
                            answered.append(answer.headers["wantong-entry"])

        threads = [threading.Thread(target=caller) for _ in range(6)]
        for thread in threads:
            thread.start()
        before, until = len(answered), time.monotonic() + 20
        while len(answered) == before and time.monotonic() < until:
            time.sleep(0.01)
        time.sleep(kill_after)
        child.kill()
        child.join()
        stop.set()
        for thread in threads:
            thread.join()
    logged = {json.loads(line.entry)["id"] for line in entries(node)}
    assert answered and set(answered) <= logged
    used = journal.used(node.queries)[TRANSFER].total
    assert len(set(answered)) <= used == sum(line.private["day"] >= 0 for line in entries(node))
    child, port = process.start(node)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30) as client:
            told = client.get(f"/query/{TRANSFER}", headers={"Authorization": f"Bearer {opens}"}).json()
            assert told["calls"] == used, "the limit goes on where it was"
    finally:
        child.kill()
        child.join()
