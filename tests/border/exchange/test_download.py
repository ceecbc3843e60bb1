"""Fetching from a peer that lies, stalls, cuts, floods or redirects: bounded, typed, and nothing false on disk."""

from __future__ import annotations

import hashlib
import json
import re
import socket
import threading
import time
from contextlib import contextmanager, suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wantong.border.exchange import download
from wantong.border.exchange.manifest import BadManifest, Manifest

STEP = 64 << 10
PAYLOAD = bytes(i * 31 % 251 for i in range(5 * STEP + 123))
LIMIT = 1 << 30


def document(payload: bytes = PAYLOAD, **more):
    chunks = [hashlib.sha256(payload[i : i + STEP]).hexdigest() for i in range(0, len(payload), STEP)]
    return {"sha256": hashlib.sha256(payload).hexdigest(), "size": len(payload), "chunk_size": STEP, "chunks": chunks,
            "media_type": "text/csv", "filename": "payload.csv", "waybill": {}, **more}  # fmt: skip


@contextmanager
def server(answer):
    """``answer(connection, request)`` writes raw bytes: nothing is too rude for it."""
    listener = socket.create_server(("127.0.0.1", 0))
    requests = []

    def serve():
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=one, args=(connection,), daemon=True).start()

    def one(connection):
        with connection:
            data = b""
            while b"\r\n\r\n" not in data:
                piece = connection.recv(4096)
                if not piece:
                    return
                data += piece
            requests.append(data.decode())
            with suppress(OSError):
                answer(connection, data.decode())

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/data/t", requests
    finally:
        listener.close()


def honest(payload=PAYLOAD, cut=None, corrupt=None):
    def answer(connection, request):
        start = int(re.search(r"bytes=(\d+)-", request)[1])
        body = bytearray(payload[start:])
        if corrupt is not None and corrupt >= start:
            body[corrupt - start] ^= 1
        head = f"HTTP/1.1 206 P\r\nContent-Range: bytes {start}-{len(payload) - 1}/{len(payload)}\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode() + bytes(body[:cut]))

    return answer


def get(url, part, manifest=None, deadline=5.0, **more):
    manifest = manifest or Manifest.read(document(), LIMIT)
    return download.fetch(url, "token", manifest, part, deadline=time.monotonic() + deadline, **more)


def test_the_payload_arrives_whole(tmp_path):
    seen = []
    with server(honest()) as (url, requests):
        assert get(url, tmp_path / "part", on_chunk=seen.append)
    assert (tmp_path / "part").read_bytes() == PAYLOAD
    assert seen[-1] == len(PAYLOAD)
    assert "Authorization: Bearer token" in requests[0] and 'If-Match: "' in requests[0]


def test_a_manifest_that_is_cut_off_is_asked_for_again(tmp_path):
    whole = json.dumps(document()).encode()

    def answer(connection, request):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(whole) + whole[:100])

    with server(answer) as (url, _), pytest.raises(download.Cut):
        download.fetch_manifest(url, "token")


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/csv\r\nContent-Length: 5\r\n\r\n"


@pytest.mark.parametrize("cut", range(len(HEAD)))
def test_an_answer_that_is_cut_off_in_its_head_is_none(tmp_path, cut):
    def answer(connection, request):
        connection.sendall(HEAD[:cut])

    with server(answer) as (url, _):
        with pytest.raises(download.Cut):
            download.fetch_manifest(url, "token")
        with pytest.raises(download.Cut):
            download.fetch_unannounced(
                url, "token", tmp_path / "part", largest=100, deadline=time.monotonic() + 5
            )


def test_after_a_cut_only_the_rest_is_asked_for(tmp_path):
    with server(honest(cut=2 * STEP + 77)) as (url, _), pytest.raises(download.Cut):
        get(url, tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == PAYLOAD[: 2 * STEP]
    with server(honest()) as (url, requests):
        assert get(url, tmp_path / "part")
    assert f"bytes={2 * STEP}-" in requests[0]
    assert (tmp_path / "part").read_bytes() == PAYLOAD


@given(cuts=st.lists(st.integers(0, 3 * STEP), max_size=6), torn=st.integers(0, STEP - 1))
def test_however_it_is_cut_the_file_is_always_a_true_beginning(tmp_path_factory, cuts, torn):
    part = tmp_path_factory.mktemp("d") / "part"
    for cut in cuts:
        with server(honest(cut=cut)) as (url, _), suppress(download.Cut):
            get(url, part)
        assert PAYLOAD.startswith(part.read_bytes())
        if part.stat().st_size < len(PAYLOAD):
            # a crash can leave the beginning of a chunk that nobody has verified
            with part.open("ab") as file:
                file.write(b"\xff" * torn)
    with server(honest()) as (url, _):
        assert get(url, part)
    assert part.read_bytes() == PAYLOAD


def test_a_wrong_byte_is_noticed_before_it_is_written(tmp_path):
    with server(honest(corrupt=3 * STEP + 5)) as (url, _), pytest.raises(download.Lie):
        get(url, tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == PAYLOAD[: 3 * STEP]


def test_the_digest_of_the_whole_is_left_to_the_gate(tmp_path):
    # it reads the payload in any case, and refuses one that is not what was promised (test_transfer)
    manifest = Manifest.read(document(sha256="0" * 64), LIMIT)
    with server(honest()) as (url, _):
        assert get(url, tmp_path / "part", manifest)


def test_a_chunk_that_came_before_the_cut_counts(tmp_path):
    seen = []
    with server(honest(cut=STEP + 1)) as (url, _), pytest.raises(download.Cut):
        get(url, tmp_path / "part", on_chunk=seen.append)
    assert seen == [STEP], "a peer that brings one chunk a call is slow, but brings something"


@pytest.mark.parametrize("failing", [1, 2, 3])
def test_a_disk_that_fails_on_the_way_is_not_forgotten_in_the_end(tmp_path, monkeypatch, failing):
    """The system reports a failed write to the first who syncs, and the last sync of all would succeed."""
    calls = []

    def sync(descriptor):
        calls.append(descriptor)
        if len(calls) == failing:
            raise OSError(5, "Input/output error")

    monkeypatch.setattr(download._Keeper, "FLUSH", STEP)
    monkeypatch.setattr(download.os, "fdatasync", sync)
    slow = download.Manifest.is_chunk

    def is_chunk(self, index, data):
        time.sleep(0.02)  # so that every sync has ended when the next one is due
        return slow(self, index, data)

    monkeypatch.setattr(download.Manifest, "is_chunk", is_chunk)
    with server(honest()) as (url, _), pytest.raises(download.Cut):
        get(url, tmp_path / "part")
    assert (tmp_path / "part").stat().st_size == 0, "nobody knows what of it is on the disk"


def test_a_peer_that_sends_more_than_it_said_is_cut_off(tmp_path):
    def flood(connection, request):
        connection.sendall(b"HTTP/1.1 206 P\r\nContent-Range: bytes 0-%d/%d\r\nContent-Length: %d\r\n\r\n"
                           % (len(PAYLOAD) - 1, len(PAYLOAD), len(PAYLOAD)))  # fmt: skip
        connection.sendall(PAYLOAD)
        while True:
            connection.sendall(b"x" * 65536)

    with server(flood) as (url, _):
        assert get(url, tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == PAYLOAD


TEN_GB = 10 << 30


@pytest.mark.parametrize("head", [
    b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % TEN_GB,
    b"HTTP/1.1 206 P\r\nContent-Range: bytes 0-%d/%d\r\nContent-Length: %d\r\n\r\n" % (TEN_GB - 1, TEN_GB, TEN_GB),
    b"HTTP/1.1 206 P\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"HTTP/1.1 206 P\r\nContent-Range: bytes 5-9/10\r\nContent-Length: 5\r\n\r\n",
    b"HTTP/1.1 302 F\r\nLocation: http://127.0.0.1:1/inside\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 204 N\r\n\r\n",
])  # fmt: skip
def test_another_answer_than_the_one_asked_for_is_a_lie(tmp_path, head):
    with (
        server(lambda connection, _: connection.sendall(head + b"x" * 1000)) as (url, _),
        pytest.raises(download.Lie),
    ):
        get(url, tmp_path / "part")
    assert (tmp_path / "part").stat().st_size == 0


@pytest.mark.parametrize(
    "mess",
    [
        b"",
        b"\x00" * 100,
        b"HTTP/1.1 999999\r\n\r\n",
        b"H" * 100_000,
        b"HTTP/1.1 206 P\r\n" + b"A: b\r\n" * 200,
    ],
)
def test_what_is_not_http_is_a_cut(tmp_path, mess):
    with (
        server(lambda connection, _: connection.sendall(mess)) as (url, _),
        pytest.raises((download.Cut, download.Lie)),
    ):
        get(url, tmp_path / "part")


@pytest.mark.parametrize(("status", "error"), [
    (401, download.Denied), (403, download.Denied), (404, download.Gone), (410, download.Gone),
    (412, download.Changed), (429, download.Cut), (500, download.Cut), (503, download.Cut), (418, download.Lie),
])  # fmt: skip
def test_every_refusal_has_its_meaning(tmp_path, status, error):
    head = f"HTTP/1.1 {status} X\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n".encode()
    with server(lambda connection, _: connection.sendall(head)) as (url, _), pytest.raises(error) as caught:
        get(url, tmp_path / "part")
    if error is download.Cut:
        assert caught.value.retry_after == 7


def test_a_peer_that_falls_silent_is_left(tmp_path, monkeypatch):
    monkeypatch.setattr(download, "SILENCE", 0.3)

    def silent(connection, request):
        connection.sendall(b"HTTP/1.1 206 P\r\nContent-Range: bytes 0-%d/%d\r\nContent-Length: %d\r\n\r\nabc"
                           % (len(PAYLOAD) - 1, len(PAYLOAD), len(PAYLOAD)))  # fmt: skip
        time.sleep(5)

    begun = time.monotonic()
    with server(silent) as (url, _), pytest.raises(download.Cut):
        get(url, tmp_path / "part")
    assert time.monotonic() - begun < 3


def test_a_peer_that_drips_is_left(tmp_path, monkeypatch):
    monkeypatch.setattr(download, "CHUNK_TIMEOUT", 0.5)

    def drip(connection, request):
        honest(cut=0)(connection, request)
        for byte in PAYLOAD:
            connection.sendall(bytes([byte]))
            time.sleep(0.02)

    begun = time.monotonic()
    with server(drip) as (url, _), pytest.raises(download.Cut):
        get(url, tmp_path / "part")
    assert time.monotonic() - begun < 3


def test_nobody_there_is_a_cut(tmp_path):
    with pytest.raises(download.Cut):
        get("http://127.0.0.1:1/data/t", tmp_path / "part")


def test_when_the_time_is_over_it_stops_between_two_chunks_and_goes_on_later(tmp_path):
    with server(honest()) as (url, _):
        assert get(url, tmp_path / "part", deadline=-1.0) is False
        assert get(url, tmp_path / "part") is True


def test_an_empty_payload_needs_no_request(tmp_path):
    assert get("http://127.0.0.1:1/", tmp_path / "part", Manifest.read(document(b""), LIMIT))


def test_the_manifest_itself_is_bounded():
    def endless(connection, request):
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            connection.sendall(b'{"a":1}' * 10_000)

    with server(endless) as (url, _), pytest.raises(download.Lie):
        download.fetch_manifest(url, "token")
    good = json.dumps(document()).encode()
    with server(
        lambda c, _: c.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(good) + good)
    ) as (url, _):
        assert Manifest.read(download.fetch_manifest(url, "token"), LIMIT).size == len(PAYLOAD)


@pytest.mark.parametrize("change", [
    {"size": -1}, {"size": True}, {"size": "5"}, {"size": LIMIT + 1}, {"size": len(PAYLOAD) + STEP}, {"chunk_size": 1},
    {"chunk_size": 1 << 40}, {"chunks": []}, {"chunks": ["x" * 64] * 6}, {"chunks": None}, {"sha256": "ABC"},
    {"sha256": None}, {"filename": "../../etc/passwd"}, {"filename": ".."}, {"filename": "a\x00b"}, {"filename": ""},
    {"media_type": 5}, {"waybill": []},
])  # fmt: skip
def test_a_manifest_that_cannot_be_true_is_refused(change):
    with pytest.raises(BadManifest):
        Manifest.read(document(**change), LIMIT)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda x: st.lists(x) | st.dictionaries(st.sampled_from(list(document())), x),
    )
)
def test_any_json_as_a_manifest_is_read_or_refused(value):
    with suppress(BadManifest):
        Manifest.read(value, LIMIT)
