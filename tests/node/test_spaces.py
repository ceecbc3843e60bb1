"""Between real nodes: data is worked on offshore and returned by law; a project releases and receives; a resident's way."""

from __future__ import annotations

import datetime as dt
import io
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.node import killing
from tests.node.test_crossings import Silence, wantong

from wantong.ground import clock
from wantong.node.bay import Bay
from wantong.node.demo import resident
from wantong.node.demo.desk import Desk, GaveUp, Refused, until
from wantong.node.demo.narration import Narrator
from wantong.node.demo.scenario import Stage
from wantong.node.demo.wallet import Pocket

pytestmark = [
    pytest.mark.processes,
    pytest.mark.slow,
    pytest.mark.timeout(600),
]
ROWS = "visitor,day,spent\n" + "".join(f"V{n:03},2026-03-{n % 28 + 1:02},{n * 10}\n" for n in range(1, 41))


@pytest.fixture(scope="module")
def bay(tmp_path_factory, tested_database: str) -> Iterator[Bay]:
    with killing.databases(tested_database) as databases:
        made = Bay(tmp_path_factory.mktemp("spaces") / "bay")
        made.make(any_port=True, database=databases)
        with made.running():
            yield made


def desks(bay: Bay, place: str) -> tuple[Desk, Desk]:
    return Desk(bay.nodes[place], "clerk"), Desk(bay.nodes[place], "officer")


def fetch(desk: Desk, pid: str) -> str:
    """From a negotiation to the data that has arrived; the id of the transfer."""

    def agreed() -> str | None:
        seen = desk.get(f"/negotiations/{pid}")
        assert seen["state"] != "TERMINATED", seen["reason"]
        return seen["agreement_id"] if seen["state"] == "FINALIZED" else None

    transfer = desk.act("/transfers", {"agreement_id": until(agreed, "an agreement")})

    def here() -> bool:
        seen = desk.get(f"/transfers/{transfer['id']}")
        assert seen["state"] != "TERMINATED", seen["reason"]
        return any(row["transfer_id"] == transfer["id"] for row in desk.get("/received"))

    until(here, "the data")
    return str(transfer["id"])


def publish(
    clerk: Desk, officer: Desk, tmp_path: Path, name: str, receiver: str, purpose: str, **more
) -> None:
    path = tmp_path / f"{name}.csv"
    path.write_text(ROWS, "utf-8")
    facts = {"is_personal": False, "is_important_data": False, **more}
    clerk.publish(
        path,
        {
            "id": name, "title": {"en": name}, "fields": [{"name": "visitor"}, {"name": "day"}, {"name": "spent"}],
            "media_type": "text/csv", "facts": facts,
        },
    )  # fmt: skip
    if receiver:
        today = clock.today()
        item = clerk.act(
            "/whitelist",
            {
                "dataset_id": name, "fields": {"visitor": "keep", "day": "keep", "spent": "keep"}, "purpose": purpose, "receiver": receiver,
                "legal_basis": "contract", "valid_from": today.isoformat(),
                "valid_until": (today + dt.timedelta(days=30)).isoformat(),
            },
        )  # fmt: skip
        officer.act(f"/whitelist/{item['id']}/approve", {"note": "test"})


def test_data_of_hong_kong_is_worked_on_in_guangdong_and_returns_by_law(bay, tmp_path):
    (gd, gd_officer), (hk, hk_officer) = desks(bay, "gd"), desks(bay, "hk")
    publish(
        hk, hk_officer, tmp_path, "visitors", gd.participant_id, "analysis", from_area="hk", to_area="gba9"
    )
    process = gd.act(
        "/negotiations",
        {
            "participant_id": hk.participant_id,
            "dataset_id": "visitors",
            "purpose": "analysis",
            "fields": ["visitor", "day", "spent"],
        },
    )
    transfer = fetch(gd, process["pid"])

    space = gd_officer.act(
        "/offshore/spaces",
        {"title": {"en": "Offshore"}, "purpose": "analysis", "parties": [hk.participant_id]},
    )
    paper = {"title": "Collected in Hong Kong", "number": "HK-1"}
    item = gd.act(
        f"/offshore/spaces/{space['id']}/items",
        {"transfer_id": transfer, "name": "visitors", "document": paper},
    )
    gd_officer.act(f"/offshore/items/{item['id']}/confirm")
    sql = "SELECT count(*) AS visitors, sum(spent::INT) AS spent FROM visitors"
    job = gd.act(
        f"/offshore/spaces/{space['id']}/jobs", {"title": "Sums", "sql": sql, "inputs": ["visitors"]}
    )
    with pytest.raises(Refused):
        gd.act(f"/offshore/jobs/{job['id']}/approve")
    gd_officer.act(f"/offshore/jobs/{job['id']}/approve")
    gd.act(f"/offshore/jobs/{job['id']}/runs", {"name": "sums"})

    def made() -> dict | None:
        found = gd.get(f"/offshore/spaces/{space['id']}")["items"]
        return next((one for one in found if one["name"] == "sums"), None)

    result = until(made, "the result")
    assert result["law"][hk.participant_id]["route"] == "exempt"
    assert gd.text(f"/offshore/items/{result['id']}/data").split() == ["visitors,spent", "40,8200"]

    back = gd.act(
        f"/offshore/items/{result['id']}/return", {"receiver": hk.participant_id, "title": {"en": "Sums"}}
    )
    item = next(one for one in gd.get("/whitelist", dataset_id=back["dataset_id"])["items"])
    gd_officer.act(f"/whitelist/{item['id']}/approve", {"note": "test"})
    process = hk.act(
        "/negotiations",
        {
            "participant_id": gd.participant_id,
            "dataset_id": back["dataset_id"],
            "purpose": "analysis",
            "fields": ["visitors", "spent"],
        },
    )
    home = fetch(hk, process["pid"])
    assert hk.text(f"/received/{home}/data").split() == ["visitors,spent", "40,8200"]
    seen = next(
        one
        for one in gd_officer.get("/declarations")["declarations"]
        if one["dataset_id"] == back["dataset_id"]
    )
    declaration = gd_officer.get(f"/declarations/{seen['id']}")
    assert declaration["assessment"]["primary_route"] == "exempt"

    # the space's history is in the log, and anybody can check it
    entry = gd.get(f"/offshore/spaces/{space['id']}")["history"][-1]["log_entry"]
    receipt = gd_officer.receipt(entry, tmp_path / "receipts" / "return.receipt")
    assert wantong("verify", receipt, "--trust", bay.trust_file).returncode == 0
    assert gd_officer.act(f"/offshore/spaces/{space['id']}/close", {"note": "done"})["closed_at"]


def test_two_institutions_review_release_receive_and_take_out_a_crate(bay, tmp_path):
    (gd, gd_officer), (hk, hk_officer) = desks(bay, "gd"), desks(bay, "hk")
    publish(hk, hk_officer, tmp_path, "cohort", "", "", from_area="hk", to_area="gba9")
    until_day = (clock.today() + dt.timedelta(days=60)).isoformat()
    project = gd.act(
        "/research/projects",
        {
            "partner": hk.participant_id,
            "title": {"en": "Cohort"},
            "kinds": ["human_subjects"],
            "until": until_day,
        },
    )
    there = f"/research/projects/{project['id']}"

    def known() -> bool:
        try:
            return bool(hk.get(there))
        except Refused:
            return False

    until(known, "the project in Hong Kong")
    hk_officer.act(f"{there}/answer", {"agreed": True})
    release = hk.act(
        f"{there}/releases",
        {"dataset_id": "cohort", "kind": "human_subjects", "fields": {"day": "keep", "spent": "keep"}},
    )
    with pytest.raises(Refused, match="research-reviews-missing"):
        hk_officer.act(f"/research/releases/{release['id']}/release")
    for desk, names in ((hk_officer, ("data_release", "ethics")), (gd_officer, ("ethics",))):
        for name in names:
            desk.act(
                f"{there}/reviews",
                {"name": name, "approved": True, "document": {"title": "Approval", "number": "EC-7"}},
            )
    until(
        lambda: not next(iter(hk.get(there)["releases"]))["missing"], "the review of Guangdong in Hong Kong"
    )
    hk_officer.act(f"/research/releases/{release['id']}/release")
    found = until(lambda: gd.get(there)["releases"], "the release in Guangdong")[0]
    process = gd.act(f"/research/releases/{found['id']}/fetch")
    transfer = fetch(gd, process["pid"])
    assert gd.text(f"/received/{transfer}/data").splitlines()[:2] == ["day,spent", "2026-03-02,10"]

    answer = gd._client.get(f"/api{there}/crate")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        graph = {
            entity["@id"]: entity for entity in json.loads(archive.read("ro-crate-metadata.json"))["@graph"]
        }
        (data,) = [name for name in archive.namelist() if name.startswith("data/")]
        assert archive.read(data).startswith(b"day,spent") and graph[data]["sha256"]
    # the review is taken back on the other side: nothing more is released here
    gd_officer.act(
        f"{there}/reviews",
        {"name": "ethics", "approved": False, "document": {"title": "Withdrawn", "number": "EC-8"}},
    )
    until(lambda: next(iter(hk.get(there)["releases"]))["state"] == "ended", "the end of the release")
    item = next(iter(hk.get("/whitelist", dataset_id="cohort")["items"]))
    assert item["state"] == "revoked"


class Curious(Pocket):
    """A wallet that shows the date of birth though nobody asked."""

    def _shown(self, query, asked):
        return super()._shown({**query, "claims": [*query["claims"], {"path": ["birthdate"]}]}, asked)


def test_a_resident_of_hong_kong_goes_his_way_through_the_bay_and_once_more(bay):
    for _ in range(2):  # what the first time left behind does not stand in the way of the second
        narrator = Narrator(Silence())
        resident.run(bay, narrator, "zh-hant")
        (story,) = narrator.crossings
        assert story.ok, story.problem
        assert len({step.page for step in story.steps}) == 5 and not any("{" in s.text for s in story.steps)
    # the employer's node has the two fields, and nothing else of the degree in any form
    kept = repr(killing.rows(bay.nodes["mo"], "SELECT * FROM verifier_inquiry"))
    kept = re.sub(r"\\+u([0-9a-f]{4})", lambda code: chr(int(code[1], 16)), kept)
    assert resident.DEGREE["degree"] in kept and "passed" in kept
    hidden = [resident.DEGREE[name] for name in ("name", "birthdate", "field", "awarded_on")]
    assert [said for said in (*hidden, "D2025-") if said in kept] == []


def test_a_wallet_that_shows_more_than_it_was_asked_is_seen(bay, tmp_path):
    stage, wallet = Stage(bay, Narrator(Silence()), tmp_path, "en"), Curious()
    with stage.narrator.crossing("7", "", "hk", "mo", "failed") as crossing:
        resident.present(stage, wallet, resident.receive(stage, wallet))
    assert crossing.problem.startswith(GaveUp.__name__), crossing.problem
