"""Two nodes that know each other by credentials alone: data crosses, until an issuer's word counts no longer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from tests.node.test_processes import ROOT, wait_for

from wantong.border.trust.dcp import did
from wantong.node.bay import Bay

pytestmark = [
    pytest.mark.processes,
    pytest.mark.slow,
    pytest.mark.timeout(600),
]
ROWS = b"day,arrivals\n2026-01-01,7\n2026-01-02,9\n"


SEVERAL = """
import json, sys
from wantong.cli.claims import command
for arguments in json.loads(sys.argv[1]):
    command.main(arguments, standalone_mode=False)
"""


def claims(node, *commands: tuple[str, ...]) -> list[str]:
    """What ``wantong node claims`` prints; several commands in one process, which takes long to start."""
    said = [[verb, str(node.directory), *arguments] for verb, *arguments in commands]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src"), "WANTONG_LANG": "en"}
    done = subprocess.run(
        [sys.executable, "-c", SEVERAL, json.dumps(said)], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


def test_data_crosses_between_nodes_that_show_credentials(tmp_path: Path):
    bay = Bay(tmp_path / "bay")
    bay.make(any_port=True)
    for node in bay.nodes.values():
        with (node.directory / "node.toml").open("a") as file:
            file.write('\n[claims]\nnetworks = ["127.0.0.0/8"]\n')
    with bay.running():
        gd, hk, mo = (bay.nodes[place] for place in ("gd", "hk", "mo"))
        dids = {place: did.name(node.url) for place, node in bay.nodes.items()}
        # Macao's node says who is a member; the others ask it, and are brought what they are entitled to
        claims(mo, *(("entitle", dids[place]) for place in ("gd", "hk")))
        for node, other in ((gd, "hk"), (hk, "gd")):
            claims(
                node,
                ("accept", dids["mo"]),
                ("recognise", f"{other}.wantong.example", dids[other]),
                ("ask", dids["mo"]),
            )
        for node in (gd, hk):
            wait_for(lambda node=node: brought(node), 60)
        dataset = publish(hk)
        crossing = cross(gd, dataset)
        assert crossing["state"] == "COMPLETED", crossing
        with gd.client("clerk") as client:
            carried = client.get(f"/api/received/{crossing['id']}/data").content
        assert carried == ROWS

        told = claims(hk, ("show", "gd.wantong.example"), ("reject", dids["mo"]))
        assert f"{dids['gd']}: accepted" in told[0] and "".join(told).count("✓") == 9
        # one conversation, many messages, and credentials were asked for once by each
        for node in (gd, hk):
            asked = node.log.read_text().count('"path": "/dcp/presentations/query"')
            assert 1 <= asked <= 3, asked
        # no token, no credential in anybody's log
        for node in bay.nodes.values():
            assert "eyJ" not in node.log.read_text()

        # Hong Kong's operator no longer takes Macao's word: refused at once, and told why
        with gd.client("clerk") as client:
            refused = client.get("/api/catalogue/hk.wantong.example")
        assert refused.status_code >= 400 and "is not accepted here as an issuer" in refused.text, (
            refused.text
        )
        assert "✗" in "".join(claims(hk, ("show", "gd.wantong.example")))


def test_what_an_issuer_s_operator_gives_he_can_take_back(tmp_path: Path):
    node = SimpleNamespace(directory=tmp_path / "mo")
    made = [sys.executable, "-m", "wantong", "node", "init", str(node.directory), "--jurisdiction", "mo"]
    subprocess.run(
        [*made, "--url", "https://mo.example"],
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")}, capture_output=True, check=True,
    )  # fmt: skip
    clinic = "did:web:clinic.example"
    told = claims(
        node,
        ("entitle", clinic, "--type", "PublicBodyCredential"),
        ("disentitle", clinic),
        *[("disentitle", clinic, "--type", "PublicBodyCredential")] * 2,
    )
    assert [line.partition(";")[0] for line in told] == [
        f"{clinic} gets PublicBodyCredential when it asks.",
        f"{clinic} was not entitled to MembershipCredential",
        f"{clinic} gets no more PublicBodyCredential by itself",
        f"{clinic} was not entitled to PublicBodyCredential",
    ]


def brought(node) -> bool:
    """Whether an issuer has brought a credential."""
    lines = [json.loads(line) for line in node.log.read_text().splitlines() if '"/dcp/credentials"' in line]
    return any(line.get("status") == 200 for line in lines)


def publish(node) -> str:
    with node.client("clerk") as clerk, node.client("officer") as officer:
        metadata = {
            "id": "urn:hk:claims", "title": {"en": "Arrivals"}, "media_type": "text/csv", "filename": "x.csv",
            "is_open": True, "fields": [{"name": "day"}, {"name": "arrivals"}],
            "facts": {"is_personal": False, "from_area": "hk", "to_area": "gba9"},
        }  # fmt: skip
        answer = clerk.post(
            "/api/datasets", data={"metadata": json.dumps(metadata)}, files={"file": ("x.csv", ROWS)}
        )
        assert answer.status_code == 201, answer.text
        item = clerk.post("/api/whitelist", json={
            "dataset_id": "urn:hk:claims", "fields": {"day": "keep", "arrivals": "keep"}, "open": True,
            "legal_basis": "open_data", "valid_from": "2026-01-01", "valid_until": "2028-01-01",
        })  # fmt: skip
        assert item.status_code == 201, item.text
        assert officer.post(f"/api/whitelist/{item.json()['id']}/approve", json={}).status_code == 200
    return "urn:hk:claims"


def cross(node, dataset: str) -> dict:
    with node.client("clerk") as client:
        asked = {"participant_id": "hk.wantong.example", "dataset_id": dataset}
        begun = client.post(
            "/api/negotiations", json=asked, headers={"Idempotency-Key": f"n{time.time_ns()}"}
        )
        assert begun.status_code == 201, begun.text

        def settled(path: str, *states: str):
            told = client.get(path).json()
            return told if told.get("state") in states else None

        path = f"/api/negotiations/{begun.json()['pid']}"
        talk = wait_for(lambda: settled(path, "FINALIZED", "TERMINATED"), 60)
        assert talk["state"] == "FINALIZED", talk
        sent = client.post("/api/transfers", json={"agreement_id": talk["agreement_id"]})
        assert sent.status_code == 201, sent.text
        path = f"/api/transfers/{sent.json()['id']}"
        return wait_for(lambda: settled(path, "COMPLETED", "TERMINATED"), 60)
