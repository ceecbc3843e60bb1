"""Three real nodes over loopback: data crosses, and goes on crossing while their processes are killed."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import signal
import time
from pathlib import Path

import pytest

from wantong.node import bay as bays
from wantong.node.bay import Bay

pytestmark = [pytest.mark.processes, pytest.mark.slow, pytest.mark.timeout(600)]

ROWS = b"day,arrivals\n" + b"".join(b"2026-01-%02d,%d\n" % (n % 28 + 1, n) for n in range(1_200_000))
FACTS = {"is_personal": False, "from_area": "hk", "to_area": "gba9"}


@pytest.fixture(scope="module")
def bay(tmp_path_factory):
    # ports of our own: another bay on this machine may be looking for free ones at this moment
    first = 20_000 + os.getpid() % 4_000 * 10
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bays, "FIRST_PORT", {"gd": first, "hk": first + 3, "mo": first + 6})
        bay = Bay(tmp_path_factory.mktemp("bay"))
        bay.make()
        with bay.running():
            yield bay


def publish(bay, name: str, rows: bytes) -> str:
    clerk, officer = bay.nodes["hk"].client("clerk"), bay.nodes["hk"].client("officer")
    metadata = {
        "id": f"urn:hk:{name}", "title": {"en": name}, "media_type": "text/csv", "filename": "x.csv", "is_open": True,
        "fields": [{"name": "day"}, {"name": "arrivals"}], "facts": FACTS,
    }  # fmt: skip
    answer = clerk.post(
        "/api/datasets", data={"metadata": json.dumps(metadata)}, files={"file": ("x.csv", rows)}
    )
    assert answer.status_code == 201, answer.text
    item = clerk.post("/api/whitelist", json={
        "dataset_id": f"urn:hk:{name}", "fields": {"day": "keep", "arrivals": "keep"}, "open": True,
        "legal_basis": "open_data", "valid_from": "2026-01-01", "valid_until": "2028-01-01",
    })  # fmt: skip
    assert item.status_code == 201, item.text
    assert officer.post(f"/api/whitelist/{item.json()['id']}/approve", json={}).status_code == 200
    return f"urn:hk:{name}"


def patiently(ask, done, seconds: float = 120):
    """Ask until it is done; a node that is being killed may not answer now and then."""
    deadline = time.monotonic() + seconds
    answer = None
    while time.monotonic() < deadline:
        with contextlib.suppress(Exception):
            answer = ask()
            if done(answer):
                return answer
        time.sleep(0.1)
    raise AssertionError(f"not done in {seconds} s: {answer}")


def listing(client, path: str) -> list:
    return patiently(lambda: client.get(path).json(), lambda a: isinstance(a, list))


def once(client, path: str, body, key: str):
    """Post until it is answered; the key makes sure that it happens once, whatever is killed meanwhile."""
    return patiently(
        lambda: client.post(path, json=body, headers={"Idempotency-Key": key}),
        lambda answer: answer.status_code == 201,
    ).json()


def cross(bay, dataset: str, meanwhile=lambda: None):
    """Negotiate and fetch from Hong Kong to Guangdong; returns the crossing as Guangdong sees it."""
    gd = bay.nodes["gd"].client("clerk")
    asked = {"participant_id": "hk.wantong.example", "dataset_id": dataset}
    pid = once(gd, "/api/negotiations", asked, f"negotiate-{dataset}")["pid"]
    meanwhile()
    ended = ("FINALIZED", "TERMINATED")
    talk = patiently(lambda: gd.get(f"/api/negotiations/{pid}").json(), lambda a: a["state"] in ended)
    assert talk["state"] == "FINALIZED", talk
    begun = once(gd, "/api/transfers", {"agreement_id": talk["agreement_id"]}, f"transfer-{dataset}")["id"]
    meanwhile()
    ended = ("COMPLETED", "TERMINATED")
    return patiently(lambda: gd.get(f"/api/transfers/{begun}").json(), lambda a: a["state"] in ended, 240)


def test_open_data_crosses_and_both_sides_hold_receipts(bay):
    crossing = cross(bay, publish(bay, "plain", ROWS[:20_000_000][: ROWS.rindex(b"\n", 0, 2_000_000) + 1]))
    assert crossing["state"] == "COMPLETED"
    gd, hk = bay.nodes["gd"].client("clerk"), bay.nodes["hk"].client("clerk")
    both = patiently(
        lambda: gd.get(f"/api/transfers/{crossing['id']}").json()["receipts"],
        lambda r: {e["kind"] for e in r["peer"]} >= {"gate.export.release", "gate.export.deliver"},
    )
    assert {e["kind"] for e in both["own"]} >= {"gate.import.release", "gate.import.deliver"}
    for entry, client in ((both["peer"][0], gd), (both["own"][0], hk)):
        receipt = patiently(lambda e=entry, c=client: c.get(e["receipt"]), lambda r: r.status_code == 200)
        assert receipt.content.startswith(b"c2sp.org/tlog-proof@v1")


def workers(node) -> list[int]:
    """The processes of a node that do the work: those below its supervisor."""
    children = Path(f"/proc/{node.process.pid}/task/{node.process.pid}/children").read_text().split()
    return [int(pid) for pid in children]


def test_killed_at_random_moments_it_still_crosses_once(bay):
    dice = random.Random(int(os.environ.get("WANTONG_SEED", "20261121")))
    dataset = publish(bay, "killed", ROWS)

    def kill():
        for _ in range(3):
            time.sleep(dice.uniform(0.0, 0.6))
            node = bay.nodes[dice.choice(("gd", "hk"))]
            if pids := workers(node):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(dice.choice(pids), signal.SIGKILL)

    crossing = cross(bay, dataset, kill)
    assert crossing["state"] == "COMPLETED", crossing
    gd, hk = bay.nodes["gd"].client("clerk"), bay.nodes["hk"].client("clerk")
    (here,) = [t for t in listing(gd, "/api/transfers") if t["dataset_id"] == dataset]
    (there,) = [t for t in listing(hk, "/api/transfers") if t["dataset_id"] == dataset]
    assert there["pid"] == here["counterpart_pid"]
    (received,) = [r for r in listing(gd, "/api/received") if r["dataset_id"] == dataset]
    assert (received["size"], received["sha256"]) == (len(ROWS), hashlib.sha256(ROWS).hexdigest())
    sent = patiently(
        lambda: hk.get(f"/api/transfers/{there['id']}").json(),
        lambda a: a["state"] == "COMPLETED" and a["declaration"]["state"] in ("delivered", "receipted"),
    )
    kinds = [entry["kind"] for entry in sent["receipts"]["own"]]
    assert kinds.count("gate.export.deliver") == kinds.count("gate.export.release") == 1
