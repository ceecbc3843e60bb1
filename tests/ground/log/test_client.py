"""Asking witnesses that are slow, silent, lying or endless."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import contextmanager, suppress

import pytest

from wantong.ground.log import Party, Witness
from wantong.ground.log.client import MAX_ANSWER_BYTES, collect, submit
from wantong.ground.log.note import Note
from wantong.ground.log.problems import WitnessFailed


@contextmanager
def server(*answers):
    """A bare TCP server: each connection gets the next of ``answers``, bytes or a function of (socket, request)."""
    listener = socket.create_server(("127.0.0.1", 0))
    requests: list[bytes] = []
    stop = threading.Event()

    def serve() -> None:
        for answer in answers:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(5)
                request = b""
                while b"\r\n\r\n" not in request or len(request.split(b"\r\n\r\n", 1)[1]) < _length(request):
                    request += connection.recv(65536)
                requests.append(request.split(b"\r\n\r\n", 1)[1])
                with suppress(OSError):
                    answer(connection, request) if callable(answer) else connection.sendall(answer)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", requests, stop
    finally:
        stop.set()
        listener.close()
        thread.join(10)


def _length(request: bytes) -> int:
    for line in request.split(b"\r\n"):
        if line.lower().startswith(b"content-length:"):
            return int(line.split(b":")[1])
    return 0


def http(status: int, body: bytes, content_type: str = "text/plain") -> bytes:
    head = f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\nContent-Type: {content_type}\r\nConnection: close\r\n\r\n"
    return head.encode() + body


@pytest.fixture
def peer(bay):
    def at(url: str) -> Party:
        return Party("gd.test.example", {}, "gd", url, None, bay.witnesses["gd"].verifier)

    return at


def ask(bay, peer, url, deadline=2.0) -> None:
    submit(bay.log, Note.parse(bay.log.checkpoint()), peer(url), deadline=deadline)


def size(number: int) -> bytes:
    return http(409, b"%d\n" % number, "text/x.tlog.size")


def test_a_witness_that_has_seen_another_size_than_we_remember_is_asked_again_from_there(bay, peer, tmp_path):
    witness = Witness(tmp_path / "gd", bay.witnesses["gd"])
    logs = {"hk.test.example": (bay.signer.verifier,)}

    def real(connection, request):
        answer = witness.add_checkpoint(request.split(b"\r\n\r\n", 1)[1], logs, 77)
        connection.sendall(http(answer.status, answer.body, answer.content_type))

    bay.log.append(b"one")
    with server(real, real, real) as (url, requests, _):
        ask(bay, peer, url)
        with bay.log._writing, bay.log._transaction():
            bay.log._db.execute("DELETE FROM witness")  # as if the answer had been lost
        bay.log.append(b"two")
        ask(bay, peer, url)
    assert [request.split(b"\n")[0] for request in requests] == [b"old 0", b"old 0", b"old 1"]
    note = Note.parse(bay.log.checkpoint())
    [seen] = note.verify([bay.witnesses["gd"].verifier])
    assert seen.time == 77
    assert bay.log.witness_size(bay.witnesses["gd"].verifier) == 2


@pytest.mark.parametrize(
    "answers, reason",
    [
        ([http(500, b"")], "status"),
        ([http(301, b"", "text/plain")], "status"),
        ([http(404, b"unknown\n")], "status"),
        ([http(409, b"5\n")], "answer"),  # not the type the specification prescribes
        ([http(409, b"05\n", "text/x.tlog.size")], "answer"),
        ([http(409, b"0", "text/x.tlog.size")], "answer"),
        ([http(409, b"99999999999999999999999\n", "text/x.tlog.size")], "answer"),
        ([size(7)], "ahead"),
        ([size(0), size(0)], "status"),
        ([http(200, b"")], "answer"),
        ([http(200, b"thanks\n")], "answer"),
        ([http(200, "— gd.test.example/witness AAAAAAAAAA==\n".encode())], "cosignature"),
        (
            [b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n" + b"x" * (MAX_ANSWER_BYTES + 1)],
            "too-large",
        ),
        ([b"not http at all\r\n\r\n"], "unreachable"),
        ([b""], "unreachable"),
    ],
)
def test_answers_that_cannot_be_used(bay, peer, answers, reason):
    bay.log.append(b"x")
    with server(*answers) as (url, *_), pytest.raises(WitnessFailed) as caught:
        ask(bay, peer, url)
    assert caught.value.reason == reason
    assert len(Note.parse(bay.log.checkpoint()).signatures) == 1


def test_a_cosignature_on_another_checkpoint_is_not_kept(bay, peer):
    bay.log.append(b"x")
    line = str(bay.witnesses["gd"].sign(b"hk.test.example\n9\nAAAA\n", 5)).encode()
    with server(http(200, line)) as (url, *_), pytest.raises(WitnessFailed) as caught:
        ask(bay, peer, url)
    assert caught.value.reason == "cosignature"


def test_lines_by_strangers_beside_the_right_one_are_ignored(bay, peer):
    bay.log.append(b"x")
    note = Note.parse(bay.log.checkpoint())
    lines = str(bay.witnesses["mo"].sign(note.text, 5)) + str(bay.witnesses["gd"].sign(note.text, 6))
    with server(http(200, lines.encode())) as (url, *_):
        ask(bay, peer, url)
    signers = {s.name for s in Note.parse(bay.log.checkpoint()).signatures}
    assert signers == {"hk.test.example", "gd.test.example/witness"}


def test_a_witness_that_drips_is_given_up_in_time(bay, peer):
    def drip(connection, request):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n")
        while True:
            connection.sendall(b"x")
            time.sleep(0.05)

    bay.log.append(b"x")
    start = time.monotonic()
    with server(drip) as (url, *_), pytest.raises(WitnessFailed) as caught:
        ask(bay, peer, url, deadline=0.5)
    assert caught.value.reason == "slow"
    assert time.monotonic() - start < 5


def test_a_witness_that_drips_its_headers_is_given_up_too(bay, peer):
    def drip(connection, request):
        connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
        while True:
            connection.sendall(b"x")
            time.sleep(0.05)

    bay.log.append(b"x")
    start = time.monotonic()
    with server(drip) as (url, *_), pytest.raises(WitnessFailed) as caught:
        ask(bay, peer, url, deadline=0.5)
    assert caught.value.reason == "slow"
    assert time.monotonic() - start < 5


@pytest.mark.parametrize(
    "url", ["nothing", "ftp://x", "http://", "http://[", "http://127.0.0.1:x", "http://\u0001"]
)
def test_addresses_that_are_none(bay, peer, url):
    bay.log.append(b"x")
    with pytest.raises(WitnessFailed) as caught:
        ask(bay, peer, url)
    assert caught.value.reason in ("address", "unreachable")


def test_a_witness_that_says_nothing_does_not_hold_up_the_others(bay, peer, tmp_path):
    def silent(connection, request):
        time.sleep(1.5)

    bay.log.append(b"x")
    note = Note.parse(bay.log.checkpoint())
    line = str(bay.witnesses["mo"].sign(note.text, 5)).encode()
    with server(silent) as (slow, *_), server(http(200, line)) as (good, *_):
        mo = Party("mo.test.example", {}, "mo", good, None, bay.witnesses["mo"].verifier)
        gone = Party("xx.test.example", {}, "", "http://127.0.0.1:9", None, bay.witnesses["hk"].verifier)
        outcome = collect(bay.log, [peer(slow), mo, gone], deadline=0.5)
    assert [p.id for p in outcome.cosigned] == ["mo.test.example"]
    assert sorted(problem.reason for problem in outcome.failed) == ["slow", "unreachable"]
    assert bay.log.is_witnessed(0, bay.trust)
    # who has cosigned is not asked again
    assert collect(bay.log, [mo]).cosigned == ()
