"""The data plane under a peer, or somebody at an address, who asks without end: he is sent away, his neighbours are served."""

from __future__ import annotations

import statistics
import threading
import time
from collections import Counter
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from joserfc.jwk import OKPKey
from tests.border.exchange.query.process import AGREEMENT, PURPOSE, RECEIVER, TRANSFER, parcel, token
from tests.border.exchange.query.scene import serving, slug
from tests.border.exchange.test_dataplane import PAYLOAD, put

from wantong.border.exchange import access, download
from wantong.border.exchange.manifest import Manifest
from wantong.border.exchange.query import client as asking
from wantong.border.exchange.query import journal
from wantong.border.exchange.query.plane import AUDIENCE
from wantong.border.exchange.query.problems import LimitReached, PeerBusy
from wantong.border.trust import keys
from wantong.ground.http import limits
from wantong.ground.log.identifiers import uuid7

GREEDY, OTHER = RECEIVER, "mo.example"
HERE, THERE = {"X-Forwarded-For": "198.51.100.9"}, {"X-Forwarded-For": "198.51.100.10"}


def few(**rates):
    return limits.read({"rates": {name.replace("_", "-"): rate for name, rate in rates.items()}})


@pytest.fixture
def served(node):
    """Two query services and two payloads, each of a receiver of its own."""
    parcel(node)
    parcel(node, transfer="t-2", receiver=OTHER)
    put(node, "f-1")
    put(node, "f-2")
    return node


def file_token(node, transfer, receiver, **more):
    key = more.pop("key", None) or keys.load(node.keys, keys.DATA)
    opens = access.Access(transfer, "a", receiver)
    return access.issue(key, opens, more.pop("at", datetime.now(UTC)))


def ask(client: httpx.Client, transfer: str, opens: str, **headers: str) -> httpx.Response:
    question = {"subject": "P1", "case": "1", "purpose": PURPOSE, "fields": ["name"], "call": uuid7()}
    return client.post(
        f"/query/{transfer}", json=question, headers={"Authorization": f"Bearer {opens}", **headers}
    )


def look(client: httpx.Client, transfer: str, opens: str, **headers: str) -> httpx.Response:
    return client.get(f"/data/{transfer}/manifest", headers={"Authorization": f"Bearer {opens}", **headers})


@pytest.mark.parametrize("kind", ["query", "file"])
def test_a_peer_that_floods_the_data_plane_is_sent_away_and_his_neighbours_are_served(served, kind):
    if kind == "query":
        call, names, tokens = ask, (TRANSFER, "t-2"), (token(served), token(served, "t-2", receiver=OTHER))
    else:
        call, names = look, ("f-1", "f-2")
        tokens = file_token(served, "f-1", GREEDY), file_token(served, "f-2", OTHER)
    told: Counter[int] = Counter()
    kept: list[httpx.Response] = []
    over = threading.Event()
    allowed = few(peer_query={"rate": 20, "burst": 10}, peer_data={"rate": 20, "burst": 10})
    with serving(served, allowed=allowed) as client:

        def flood() -> None:
            with httpx.Client(base_url=client.base_url, trust_env=False, timeout=30) as mine:
                while not over.is_set():
                    answer = call(mine, names[0], tokens[0])
                    told[answer.status_code] += 1
                    if answer.status_code != 200:
                        kept.append(answer)

        begun = time.monotonic()
        threads = [threading.Thread(target=flood) for _ in range(4)]
        for thread in threads:
            thread.start()
        neighbours, taken = [], []
        while time.monotonic() < begun + 2:
            before = time.monotonic()
            neighbours.append(call(client, names[1], tokens[1]).status_code)
            taken.append(time.monotonic() - before)
            time.sleep(0.07)
        over.set()
        for thread in threads:
            thread.join()
        lasted = time.monotonic() - begun
        assert set(neighbours) == {200} and len(neighbours) > 5
        assert statistics.median(taken) < 0.5
        assert set(told) == {200, 429} and told[429] > told[200]
        assert told[200] <= 10 + 20 * lasted + 1
        for answer in kept[:5]:
            assert answer.headers["content-type"] == "application/problem+json"
            assert slug(answer) == "too-many-requests" and int(answer.headers["retry-after"]) == 1
        # he comes back when he was told to
        time.sleep(1)
        assert call(client, names[0], tokens[0]).status_code == 200
    if kind == "query":
        entries = [line for path in journal.segments(served.queries) for line in journal.read(path)]
        assert len(entries) == told[200] + len(neighbours) + 1, "nothing of what was sent away has been done"


@pytest.mark.parametrize("kind", ["query", "file"])
def test_an_address_that_proves_nothing_again_and_again_is_not_listened_to_by_the_data_plane(served, kind):
    if kind == "query":
        call, name, good = ask, TRANSFER, token(served)
        expired = access.issue(
            keys.load(served.keys, keys.DATA), access.Access(TRANSFER, AGREEMENT, RECEIVER),
            datetime.now(UTC) - timedelta(hours=1), AUDIENCE,
        )  # fmt: skip
    else:
        call, name, good = look, "f-1", file_token(served, "f-1", GREEDY)
        expired = file_token(served, "f-1", GREEDY, at=datetime.now(UTC) - timedelta(hours=1))
    forged = file_token(served, name, GREEDY, key=OKPKey.generate_key("Ed25519"))
    allowed = few(
        unproven={"rate": 0.5, "burst": 3},
        peer_query={"rate": 0.001, "burst": 2},
        peer_data={"rate": 0.001, "burst": 2},
    )
    with serving(served, allowed=allowed) as client:
        answers = [call(client, name, text, **HERE) for text in ("x.y.z", expired, forged, "x.y.z", forged)]
        assert [a.status_code for a in answers] == [401, 401, 401, 429, 429]
        assert slug(answers[-1]) == "too-many-requests" and 1 <= int(answers[-1].headers["retry-after"]) <= 2
        assert call(client, name, "x.y.z", **THERE).status_code == 401, "another address is another asker"
        # nothing of it, nor of yesterday's token, is counted against whom it names
        assert [call(client, name, good, **THERE).status_code for _ in range(3)] == [200, 200, 429]
    shared = limits.Door(allowed, served.run / limits.FILE, limits.PEER_DATA)
    with pytest.raises(limits.TooManyRequests):
        shared.stranger("198.51.100.9")  # one count for both planes and the protocol


def test_who_asks_another_services_door_is_counted_too(served):
    """A token that is good for one service, tried at others: its holder is known, and it is he who pays."""
    opens = token(served, "t-2", receiver=OTHER)
    with serving(served, allowed=few(peer_query={"rate": 0.001, "burst": 4})) as client:
        assert [ask(client, TRANSFER, opens).status_code for _ in range(5)] == [401] * 4 + [429]
        assert ask(client, TRANSFER, token(served)).status_code == 200


def test_who_asks_is_told_to_come_back_and_does(served):
    opens, asked = token(served), {"case": "1", "purpose": PURPOSE, "fields": ("name",)}
    with serving(served, allowed=few(peer_query={"rate": 2, "burst": 1})) as client:
        endpoint = f"{str(client.base_url).rstrip('/')}/query/{TRANSFER}"
        begun = time.monotonic()
        for number in range(3):
            answer = asking.ask(endpoint, opens, subject=f"P{number}", timeout=10, **asked)
            assert answer.records == [{"name": f"name of P{number}"}]
        assert time.monotonic() - begun > 0.9
        with pytest.raises(PeerBusy) as told:
            asking.ask(endpoint, opens, subject="P4", timeout=0.3, peer="gd.example", **asked)
        assert told.value.headers == {"Retry-After": "1"}, (
            "longer than he will wait: whoever asked is told when"
        )
    entries = [line for path in journal.segments(served.queries) for line in journal.read(path)]
    assert len(entries) == 3


def test_the_limit_of_an_agreement_is_an_answer_and_no_reason_to_come_back(node):
    parcel(node, per_day=1)
    asked = {"subject": "P1", "case": "1", "purpose": PURPOSE, "fields": ("name",)}
    with serving(node) as client:
        endpoint = f"{str(client.base_url).rstrip('/')}/query/{TRANSFER}"
        asking.ask(endpoint, token(node), **asked)
        begun = time.monotonic()
        with pytest.raises(LimitReached):
            asking.ask(endpoint, token(node), **asked)
        assert time.monotonic() - begun < 2


def test_who_fetches_is_told_to_come_back_and_finds_what_he_has_verified(served, tmp_path):
    with serving(served, allowed=few(peer_data={"rate": 1, "burst": 1})) as client:
        endpoint, opens = f"{str(client.base_url).rstrip('/')}/data/f-1", file_token(served, "f-1", GREEDY)
        manifest = Manifest.read(download.fetch_manifest(endpoint, opens), 1 << 30)
        with pytest.raises(download.Cut) as cut:
            download.fetch(endpoint, opens, manifest, tmp_path / "part", deadline=time.monotonic() + 10)
        assert cut.value.retry_after == 1
        time.sleep(cut.value.retry_after)
        assert download.fetch(endpoint, opens, manifest, tmp_path / "part", deadline=time.monotonic() + 10)
    assert (tmp_path / "part").read_bytes() == PAYLOAD
