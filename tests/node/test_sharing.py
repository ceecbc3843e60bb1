"""Two real nodes share data: asked for over the API, decided, agreed, delivered, in every new version, rated."""

from __future__ import annotations

import pytest
from click.testing import CliRunner
from tests.node import killing

from wantong.cli.share import command
from wantong.node.bay import Bay
from wantong.node.demo import sharing
from wantong.node.demo.desk import Desk, until

pytestmark = [
    pytest.mark.processes,
    pytest.mark.slow,
    pytest.mark.xdist_group("processes"),
    pytest.mark.timeout(600),
]


@pytest.fixture
def databases(tested_database: str):
    with killing.databases(tested_database) as urls:
        yield urls


def test_a_bureau_of_macao_asks_a_bureau_of_guangdong(tmp_path, databases):
    bay = Bay(tmp_path / "bay")
    bay.make(any_port=True, database=databases)
    with bay.running():
        shared = sharing.play(bay)
        owner, asker = Desk(bay.nodes["gd"], "clerk"), Desk(bay.nodes["mo"], "clerk")
        # what the subscriber has, put together from a whole delivery and a set of changes, is the owner's newest
        told = asker.get(f"/sharing/requests/{shared.at_once}")
        assert [one["mode"] for one in told["deliveries"]] == ["whole", "changes"]
        assert told["deliveries"][1]["added"] == told["deliveries"][1]["changed"] == 1
        data = asker.text(f"/sharing/requests/{shared.at_once}/data")
        assert sorted(data.split()) == sorted(sharing.table(moved=True).split())
        # the owner's thread says the same, and knows the rating
        mine = until(
            lambda: (seen := owner.get(f"/sharing/requests/{shared.at_once}"))["ratings"] and seen,
            "the rating",
        )
        assert [one["delivered_at"] is not None for one in mine["deliveries"]] == [True, True]
        assert mine["ratings"] == [5] and mine["agreement_id"] == told["agreement_id"]
        acts = [action["act"] for action in owner.get(f"/sharing/requests/{shared.decided}")["actions"]]
        assert acts == ["ask", "endorse", "approve", "agree", "consign", "deliver"]
        asked = asker.get(f"/sharing/requests/{shared.decided}")["actions"]
        assert [action["act"] for action in asked][:3] == ["ask", "grant", "agree"]
        assert "user:officer" not in str(asked), "who decided stays at the owner's"
        # each step that is logged can be proven
        entry = next(action["log_entry"] for action in asked if action["act"] == "deliver")
        asker.receipt(entry, tmp_path / "deliver.receipt")
        assert owner.get("/sharing/figures")["times"]["count"] == 2
        by_command(bay, shared)


def by_command(bay: Bay, shared: sharing.Shared) -> None:
    """The same as an engineer sees and does it."""
    runner = CliRunner()

    def run(node: str, operator: str, *arguments: str) -> str:
        env = {
            "WANTONG_URL": bay.nodes[node].url,
            "WANTONG_TOKEN": bay.nodes[node].operators()[operator]["token"],
            "WANTONG_LANG": "en",
        }
        done = runner.invoke(command, arguments, env=env)
        assert done.exit_code in (0, 2), done.output
        return done.output

    listed = run("mo", "clerk", "list", "--of", "gd.wantong.example")
    assert shared.dataset in listed and "Shared unconditionally" in listed
    assert "In force" in run("mo", "clerk", "show")
    thread = run("gd", "officer", "show", shared.decided)
    assert "Endorsed  user:clerk" in thread and "Approved, as the second person  user:officer" in thread
    refused = run("gd", "officer", "decide", shared.decided, "approve", "--note", "again")
    assert "Not possible in this state" in refused
    asked = run(
        "gd", "clerk", "ask", shared.dataset, "--body", "gd-transport", "--purpose", "planning", "--basis",
        "statutory_duty", "--article", "x", "--until", "2099-01-01", "--volume", "5",
    )  # fmt: skip
    assert "within three years" in asked
    assert "does not answer" in runner.invoke(command, ["show", "--node", "http://127.0.0.1:9"]).output
