"""The data plane over real HTTP: who gets which bytes, and that a payload leaves once it is claimed and not before."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from datetime import UTC, datetime, timedelta

import httpx
import pytest
import uvicorn
from joserfc.jwk import OKPKey

from wantong.border.exchange import access, dataplane, download, exporting
from wantong.border.exchange.manifest import Manifest
from wantong.border.gate.declarations import outgoing
from wantong.border.trust import keys
from wantong.ground import keyring

PAYLOAD = b"".join(b"%08d,row\n" % i for i in range(300_000))


@pytest.fixture
def plane(node):
    """The data plane of ``node`` in its own thread; returns an HTTP client for it."""
    keys.generate(node.keys)
    config = uvicorn.Config(
        dataplane.app(node), host="127.0.0.1", port=0, loop="uvloop", http="httptools", log_config=None
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()), daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
        yield client
    server.should_exit = True
    thread.join(10)


def put(node, transfer="t-1", payload=PAYLOAD):
    folder = outgoing.draft(node.outgoing, transfer)
    (folder / "payload.csv").write_bytes(payload)
    manifest = outgoing.seal(folder, "payload.csv", "text/csv", {"agreement_id": "a"})
    outgoing.publish(node.outgoing, transfer, folder)
    return manifest


def token(node, transfer="t-1", at=None, key=None):
    key = key or keys.load(node.keys, keys.DATA)
    return access.issue(key, access.Access(transfer, "a", "gd.example"), at or datetime.now(UTC))


def bearer(text, **more):
    return {"Authorization": f"Bearer {text}", **more}


def metered(node, transfer="t-1"):
    """The meter's first line, which is written when the last byte has left: a reader may be quicker."""
    path = node.run / "meter" / f"{transfer}.jsonl"
    for _ in range(1000):
        if path.exists() and (text := path.read_text()).endswith("\n"):
            return text
        time.sleep(0.01)
    raise AssertionError("nothing was metered")


def test_manifest_and_payload_are_what_was_sealed(node, plane):
    manifest = put(node)
    assert plane.get("/data/t-1/manifest", headers=bearer(token(node))).json() == manifest
    assert not outgoing.has_left(node.outgoing, "t-1"), "to look is not to take"
    answer = plane.get("/data/t-1", headers=bearer(token(node)))
    assert (answer.status_code, answer.content) == (200, PAYLOAD)
    assert answer.headers["ETag"] == f'"{manifest["sha256"]}"'
    assert int(answer.headers["Content-Length"]) == len(PAYLOAD)
    assert outgoing.has_left(node.outgoing, "t-1")
    metered(node)
    meter = exporting.meter("t-1")
    assert (meter["requests"], meter["bytes"], meter["end"]) == (1, len(PAYLOAD), True)


@pytest.mark.parametrize(("asked", "status", "first", "last"), [
    ("bytes=0-0", 206, 0, 0), ("bytes=5-", 206, 5, len(PAYLOAD) - 1), ("bytes=10-19", 206, 10, 19),
    (f"bytes={len(PAYLOAD) - 1}-", 206, len(PAYLOAD) - 1, len(PAYLOAD) - 1), ("bytes=7-99999999999", 206, 7, len(PAYLOAD) - 1),
    (f"bytes={len(PAYLOAD)}-", 416, 0, 0), ("bytes=9-3", 416, 0, 0),
    ("bytes=-5", 200, 0, len(PAYLOAD) - 1), ("bytes=0-1,5-9", 200, 0, len(PAYLOAD) - 1), ("lines=1-2", 200, 0, len(PAYLOAD) - 1),
])  # fmt: skip
def test_ranges(node, plane, asked, status, first, last):
    put(node)
    answer = plane.get("/data/t-1", headers=bearer(token(node), Range=asked))
    assert answer.status_code == status
    if status != 416:
        assert answer.content == PAYLOAD[first : last + 1]
    if status == 206:
        assert answer.headers["Content-Range"] == f"bytes {first}-{last}/{len(PAYLOAD)}"


def test_only_the_right_token_opens_a_payload(node, plane):
    put(node)
    put(node, "t-2")
    stranger = OKPKey.generate_key("Ed25519")
    now = datetime.now(UTC)
    wrong = {
        "none": {},
        "another scheme": {"Authorization": f"Basic {token(node)}"},
        "another transfer's": bearer(token(node, "t-2")),
        "another key's": bearer(token(node, key=stranger)),
        "the protocol key's": bearer(token(node, key=keys.load(node.keys, keys.PROTOCOL))),
        "expired": bearer(token(node, at=now - access.LIFETIME - timedelta(seconds=1))),
        "not good yet": bearer(token(node, at=now + timedelta(minutes=5))),
        "garbage": bearer("x.y.z"),
        "endless": bearer("x" * 5000),
    }
    for name, headers in wrong.items():
        for path in ("/data/t-1", "/data/t-1/manifest"):
            answer = plane.get(path, headers=headers)
            assert answer.status_code == 401, name
            assert answer.json()["type"].endswith("/unauthenticated")
    assert not outgoing.has_left(node.outgoing, "t-1")
    for path in ("/data/..%2Ft-1", "/data/.left", "/data/%00"):
        assert plane.get(path, headers=bearer(token(node))).status_code in (401, 404)


def test_tokens_of_the_old_key_open_until_it_is_removed_and_the_plane_runs_on(node, plane):
    put(node)
    old, stolen = token(node), keys.load(node.keys, keys.DATA)

    def opens(text):
        return plane.get("/data/t-1/manifest", headers=bearer(text)).status_code

    begun = keyring.begin(
        node.keys, lambda folder: keys.make(folder, keys.PROTOCOL, keys.DATA), datetime.now(UTC)
    ).begun
    assert opens(old) == opens(token(node)) == 200
    keyring.switch(node.keys)
    new = token(node)
    assert keys.load(node.keys, keys.DATA).thumbprint() != stolen.thumbprint()
    assert opens(old) == opens(new) == 200
    expired = token(node, at=datetime.now(UTC) - access.LIFETIME - timedelta(seconds=1), key=stolen)
    assert opens(expired) == 401, "an old key makes no token live longer"
    keyring.finish(node.keys, datetime.now(UTC))
    assert opens(old) == opens(new) == 200
    keyring.forget(node.keys, keys.DATA, begun)
    assert opens(new) == opens(token(node)) == 200
    for text in (
        old,
        token(node, key=stolen),
        token(node, at=datetime.now(UTC) + timedelta(seconds=20), key=stolen),
    ):
        assert opens(text) == 401, "who has the old key has nothing"
    assert access.KEPT > access.LIFETIME, "until then every token of the old key has ended"


def test_what_was_taken_back_is_gone(node, plane):
    put(node)
    assert outgoing.take_back(node.outgoing, "t-1")
    for path in ("/data/t-1", "/data/t-1/manifest"):
        assert plane.get(path, headers=bearer(token(node))).status_code == 410


def test_a_payload_made_anew_is_not_mixed_with_the_old_one(node, plane):
    old = put(node)
    put(node, payload=PAYLOAD[:5000])
    answer = plane.get("/data/t-1", headers=bearer(token(node), **{"If-Match": f'"{old["sha256"]}"'}))
    assert answer.status_code == 412
    assert not outgoing.has_left(node.outgoing, "t-1"), (
        "nothing has left for a manifest that is not true any more"
    )


def test_head_takes_nothing(node, plane):
    put(node)
    answer = plane.head("/data/t-1", headers=bearer(token(node)))
    assert int(answer.headers["Content-Length"]) == len(PAYLOAD) and answer.content == b""
    assert not outgoing.has_left(node.outgoing, "t-1")


def test_claim_and_withdrawal_at_one_moment_have_one_winner(node, plane):
    for n in range(12):
        transfer = f"race-{n}"
        put(node, transfer, b"a\n1\n")
        results = {}

        def take(transfer=transfer, results=results):
            results["left"] = (
                plane.get(f"/data/{transfer}", headers=bearer(token(node, transfer))).status_code == 200
            )

        thread = threading.Thread(target=take)
        thread.start()
        time.sleep(0.0005 * n)
        back = outgoing.take_back(node.outgoing, transfer)
        thread.join()
        assert results["left"] != back


def test_our_own_client_fetches_from_our_own_server_and_resumes(node, plane, tmp_path):
    manifest = put(node)
    endpoint = f"{plane.base_url}/data/t-1"
    found = Manifest.read(download.fetch_manifest(endpoint, token(node)), 1 << 30)
    part = tmp_path / "part"
    part.write_bytes(PAYLOAD[: 2 << 20])
    assert download.fetch(endpoint, token(node), found, part, deadline=time.monotonic() + 30)
    assert part.read_bytes() == PAYLOAD and found.sha256 == manifest["sha256"]
    assert json.loads(metered(node))["first"] == 2 << 20


def test_a_slow_reader_costs_no_memory(node, plane):
    big = b"x" * (64 << 20)
    put(node, payload=big)
    import resource

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with plane.stream("GET", "/data/t-1", headers=bearer(token(node))) as answer:
        pieces = answer.iter_raw()
        next(pieces)
        time.sleep(0.5)
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 24 << 10
