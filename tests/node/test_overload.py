"""A real node under ten times its load: it sends away what it cannot do, recovers, and has all that it acknowledged."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import threading
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from tests.ground.http.load import load, request
from tests.node.test_processes import wait_for, wantong

from wantong.border.gate.whitelist.services import OPEN_DATA

pytestmark = pytest.mark.processes


def token_for(folder: Path) -> str:
    made = wantong("node", "operator", folder, "lin", "--role", "declarer", "--token")
    said, _ = made.communicate(timeout=60)
    return said.split("wt_")[1].split()[0].join(("wt_", ""))


def figures(url: str) -> dict[str, float]:
    lines = httpx.get(f"{url}/metrics").text.splitlines()
    return {
        name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[0] != "#")
    }


@pytest.fixture
def place(folder: Path):
    """A node that writes its log to a file: under load it writes more than a pipe holds."""
    with (folder.parent / "node.log").open("w") as log:
        process = wantong("node", "run", folder, log=log)
        url = f"http://{(folder / 'node.toml').read_text().split('web = ')[1].split(chr(34))[1]}"
        try:
            wait_for(lambda: httpx.get(f"{url}/readyz").status_code == 200)
            yield folder, url
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()


def test_ten_times_its_load_is_shed_and_nothing_acknowledged_is_lost(place):
    folder, url = place
    token = token_for(folder)

    def propose(number: int) -> bytes:
        body = {
            "dataset_id": f"urn:load:{number}", "fields": {"a": "keep"}, "open": True, "legal_basis": OPEN_DATA,
            "valid_from": "2026-01-01", "valid_until": "2027-01-01",
        }  # fmt: skip
        return request(
            "POST", "/api/whitelist", json.dumps(body).encode(),
            Authorization=f"Bearer {token}", Content_Type="application/json",
        )  # fmt: skip

    names: list[str] = []
    calm = load(url, propose, clients=4, seconds=1.5)
    assert calm.count(201) == len(calm.answers) > 0, {status for status, *_ in calm.answers}
    before = figures(url)['wantong_process_resident_bytes{process="web"}']

    def shifted(number: int) -> bytes:
        return propose(number + 1_000_000)

    storm: list = []
    asking = threading.Thread(target=lambda: storm.append(load(url, shifted, clients=300, seconds=4.0)))
    asking.start()
    while asking.is_alive():
        assert httpx.get(f"{url}/healthz", timeout=20).status_code == 200
        asking.join(0.3)
    [storm] = storm
    assert {status for status, *_ in storm.answers} <= {201, 429, 503} and not storm.broken
    assert storm.count(503) > 0 < storm.count(201)
    assert all("retry-after" in headers for status, _, headers, _ in storm.answers if status != 201)
    # nobody who is served has waited longer than patience allows
    assert figures(url)['wantong_http_slowest_wait_seconds{process="web"}'] < 2.0 + 0.5
    # it recovers: within seconds everybody is served again
    wait_for(lambda: figures(url)['wantong_http_waiting{process="web"}'] == 0, seconds=10)
    after = load(url, lambda number: propose(number + 2_000_000), clients=4, seconds=0.5)
    assert after.count(201) == len(after.answers) > 0
    grown = figures(url)['wantong_process_resident_bytes{process="web"}'] - before
    assert grown < 64 << 20, f"{grown / 2**20:.0f} MiB more"
    for outcome in (calm, storm, after):
        names += [
            json.loads(sent.partition(b"\r\n\r\n")[2])["dataset_id"]
            for status, _, _, sent in outcome.answers
            if status == 201
        ]
    with closing(sqlite3.connect(folder / "db.sqlite3")) as database:
        stored = [row[0] for row in database.execute("SELECT dataset_id FROM whitelist_whitelistitem")]
    assert len(stored) == len(set(stored))
    assert set(names) <= set(stored), "acknowledged is stored"
    assert len(set(stored) - set(names)) <= 4 * 3, "and nothing that was sent away"
    told = (folder.parent / "node.log").read_text()
    assert '"event": "http.overloaded"' in told
