"""Two real nodes share data: asked for over the API, decided, agreed, delivered, in every new version, rated.

And one record about one person at a time: what a body is granted as queries, its officials ask of the other node.
"""

from __future__ import annotations

import csv
import datetime as dt
import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from tests.node import killing

from wantong.border.exchange import messages
from wantong.border.exchange.query import client, problems
from wantong.cli.share import command
from wantong.ground import clock
from wantong.ground.i18n import LANGUAGES
from wantong.node.bay import Bay, BayNode
from wantong.node.demo import people, sharing
from wantong.node.demo.desk import Desk, Refused, until

pytestmark = [
    pytest.mark.processes,
    pytest.mark.slow,
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
        by_query(bay, tmp_path)


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
    assert "until: it must be between" in asked
    assert "does not answer" in runner.invoke(command, ["show", "--node", "http://127.0.0.1:9"]).output


NUMBER, NAME, KIND, MONTHS, ACCOUNT = "公民身份号码", "姓名", "险种", "缴费月数", "银行账号"
ASKED = (NAME, KIND, MONTHS, ACCOUNT)
GRANTED = (NAME, KIND, ACCOUNT)
PURPOSE = "benefit_portability"
CASE, REASON = "案-2026-17", "补贴资格核查"
FACTS = {
    "from_area": "gba9", "to_area": "mo", "to_jurisdiction": "MO", "is_personal": True, "is_important_data": False,
    "sender_is_ciio": False, "sender_is_state_organ": False, "scenario": "other", "channel": "api",
    "onward_outside_gba": False, "legal_basis": "consent", "contract": "gba_cn_mo",
    "chosen_route": "gba_standard_contract", "n_sensitive": 1,
}  # fmt: skip


def by_query(bay: Bay, folder: Path) -> None:
    """One record about one person, for a case: asked for, granted with less and masked, asked, and over when it is revoked."""
    gd, mo = bay.nodes["gd"], bay.nodes["mo"]
    clerk, officer, asker = Desk(gd, "clerk"), Desk(gd, "officer"), Desk(mo, "clerk")
    path = folder / "social-insurance.csv"
    everyone = people.social_insurance(path, 12)
    willing, silent = everyone[0], everyone[11]
    dataset = f"urn:wantong:gd:insured:{sharing.run_id()}"
    offer_residents(clerk, path, dataset)
    consents = clerk.act(
        "/consents",
        {
            "identifiers": [person.number for person in everyone[:10]],
            "dataset_id": dataset,
            "purpose": PURPOSE,
            "receiver": asker.participant_id,
            "fields": list(GRANTED),
            "valid_until": (dt.datetime.now(dt.UTC) + dt.timedelta(days=365)).isoformat(),
            "notice": "Notice.",
        },
    )["consents"]
    wish = {
        "dataset_id": dataset, "body": sharing.BODIES["mo"], "owner": clerk.participant_id, "purpose": PURPOSE,
        "basis": "consent", "article": "社会保险法第七十四条", "fields": list(ASKED), "volume": 100,
        "until": (clock.today() + dt.timedelta(days=90)).isoformat(), "delivery": "query", "case": CASE,
    }  # fmt: skip
    request = asker.act("/sharing/requests", wish)["id"]
    thread = f"/sharing/requests/{request}"
    known = "/sharing/requests"
    until(lambda: any(row["id"] == request for row in clerk.get(known)["requests"]) or None, "the request")
    clerk.act(f"{thread}/act", {"act": "endorse", "note": "用途与职责相符"})
    masks = {NAME: "partial", ACCOUNT: "tokenise"}
    officer.act(
        f"{thread}/act", {"act": "approve", "note": "核对无误", "fields": list(GRANTED), "masks": masks}
    )
    the_gate_is_satisfied(officer, thread)
    service = until(lambda: open_service(asker, dataset), "the query service")
    transfer = service["transfer_id"]
    assert (service["purpose"], service["fields"]) == (PURPOSE, list(GRANTED))
    assert service["terms"]["total"] == 100
    (carried,) = killing.rows(
        mo, f"SELECT format, state, data_address FROM exchange_transfer WHERE id = '{transfer}'"
    )
    assert (carried["format"], carried["state"]) == ("HttpData-QUERY", "STARTED")

    # one record, and of it what was granted, as it was granted
    plain = {row[NUMBER]: row for row in table_of(path)}
    answer = ask(asker, transfer, willing.number)
    (record,) = answer["records"]
    assert record.keys() == set(GRANTED)
    assert record[KIND] == plain[willing.number][KIND]
    assert record[NAME] not in ("", willing.name) and record[NAME].startswith("█"), record
    assert record[ACCOUNT] not in ("", plain[willing.number][ACCOUNT])
    # a person who has not consented, and one who is not there, are the same to who asks
    for nobody in (silent.number, "449901195001010000"):
        with pytest.raises(Refused, match="query-no-record"):
            ask(asker, transfer, nobody)
    # outside the grant: the asker's own node does not send it, and the owner's does not answer who sends it all the same
    with pytest.raises(Refused, match="query-bad-question"):
        ask(asker, transfer, willing.number, fields=[NAME, MONTHS])
    endpoint, token = messages.endpoint_of(parsed(carried["data_address"]))
    for beyond in ({"fields": [NAME, MONTHS]}, {"purpose": "marketing"}):
        told = {
            "subject": willing.number,
            "case": CASE,
            "purpose": PURPOSE,
            "fields": list(GRANTED),
            **beyond,
        }
        with pytest.raises(problems.FieldsNotReleased):
            client.ask(endpoint, token, **told)
    # who withdraws his consent is asked about in vain from then on
    officer.act(f"/consents/{consents[0]}/withdraw")
    with pytest.raises(Refused, match="query-no-record"):
        ask(asker, transfer, willing.number)
    assert len(ask(asker, transfer, everyone[1].number)["records"]) == 1

    both_logs_tell(gd, mo, transfer, answer)
    clerk.receipt(answer["provider_entry"], folder / "call.receipt")
    asker.receipt(answer["log_entry"], folder / "question.receipt")
    calls = officer.get(f"/queries/{provider_transfer(mo, transfer)}/calls")
    assert Counter(call["why_not"] for call in calls) == {
        "": 2,
        "no-record": 1,
        "no-consent": 2,
        "not-released": 2,
    }

    officer.act(f"{thread}/act", {"act": "revoke", "note": "用途已经实现"})
    with pytest.raises(problems.Closed):
        client.ask(
            endpoint, token, subject=everyone[1].number, case=CASE, purpose=PURPOSE, fields=list(GRANTED)
        )
    until(lambda: asker.get(thread)["state"] == "revoked" or None, "the asker hears of it")
    until(lambda: open_service(asker, dataset) is None or None, "the end of the service")
    with pytest.raises(Refused, match="query-no-service"):
        ask(asker, transfer, everyone[1].number)
    acts = [action["act"] for action in officer.get(thread)["actions"]]
    assert acts == ["ask", "endorse", "approve", "agree", "consign", "deliver", "revoke"]
    (ended,) = killing.rows(
        gd, f"SELECT state, reason FROM exchange_transfer WHERE counterpart_pid LIKE '%{transfer}'"
    )
    assert ended == {"state": "TERMINATED", "reason": "revoked by the owner"}
    killing.check_nothing_given_up(bay)


def offer_residents(clerk: Desk, path: Path, dataset: str) -> None:
    """A register of persons, in the directory on conditions."""
    with path.open(encoding="utf-8") as file:
        columns = file.readline().strip().split(",")
    metadata = {
        "id": dataset, "title": dict.fromkeys(LANGUAGES, "参保登记"), "fields": [{"name": name} for name in columns],
        "media_type": "text/csv", "update_cycle": "P1D", "facts": FACTS, "subject_column": NUMBER,
    }  # fmt: skip
    clerk.publish(path, metadata)
    ground = dict.fromkeys(LANGUAGES, "一事一议")
    entry = {"dataset_id": dataset, "body": sharing.BODIES["gd"], "sharing": "conditional", "ground": ground}
    clerk.act("/sharing/directory", entry)


def the_gate_is_satisfied(officer: Desk, thread: str) -> None:
    """The papers that the law wants are confirmed, until the gate waits for nothing."""

    def declared() -> str | None:
        return next((one["declaration_id"] for one in officer.get(thread)["deliveries"]), None)

    declaration = until(declared, "a declaration at the gate")

    def decided() -> Mapping[str, Any] | None:
        """What the gate says, unless it still works by itself."""
        seen = officer.get(f"/declarations/{declaration}")
        stopped = seen["state"] in ("held", "refused") or (seen["state"] == "waiting" and seen["needs"])
        return seen if stopped or seen["state"] == "released" else None

    while (seen := until(decided, "the gate's answer"))["state"] != "released":
        acts = sorted({need["act"] for need in seen["needs"] if need["act"]})
        assert seen["state"] == "waiting" and acts, seen["needs"]
        officer.act(
            f"/declarations/{declaration}/act",
            {
                "act": acts[0],
                "note": "已核对",
                "document": {"title": "粤澳标准合同备案", "number": "DEMO-1"},
                "requirements": [need["id"] for need in seen["needs"] if need["act"] == acts[0]],
            },
        )


def open_service(asker: Desk, dataset: str) -> dict[str, Any] | None:
    """The service over ``dataset`` that may be asked from here."""
    found: list[dict[str, Any]] = asker.get("/queries")
    return next((service for service in found if service["dataset_id"] == dataset), None)


def ask(asker: Desk, transfer: str, subject: str, fields: list[str] | None = None) -> Any:
    """What an official's program sends to its own node."""
    question = {"subject": subject, "case": CASE, "reason": REASON, "fields": fields or list(GRANTED)}
    return asker.act(f"/queries/{transfer}/ask", question)


def both_logs_tell(owner: BayNode, asker: BayNode, transfer: str, answer: Mapping[str, Any]) -> None:
    """Every question has its entries in both logs, the two of one question name each other, and no person is in either."""
    outcomes = ("answered", "query-no-record", "query-no-record", "query-no-record", "answered")
    # what the data plane wrote is taken into the log a moment later
    calls = until(
        lambda: (seen := logged(owner, "query.call")) and len(seen) == 7 and seen, "the calls in the log"
    )
    asked, told = logged(asker, "query.asked"), logged(asker, "query.outcome")
    assert [entry["outcome"] for entry in told] == list(outcomes)
    assert [entry["asked"] for entry in told] == [entry["id"] for entry in asked]
    assert {entry["transfer_id"] for entry in asked} == {transfer}
    theirs = {entry["id"]: entry for entry in calls}
    assert {entry["provider_entry"] for entry in told} < theirs.keys(), "two were not asked through the node"
    first = theirs[answer["provider_entry"]]
    assert (
        first["decision"] == "answered" and first["fields"] == list(GRANTED) and first["purpose"] == PURPOSE
    )
    assert answer["log_entry"] == asked[0]["id"] and asked[0]["fields"] == list(GRANTED)
    assert first["agreement_id"] == asked[0]["agreement_id"]
    for secret in (*answer["records"][0].values(), CASE, REASON):
        assert secret not in json.dumps([calls, asked, told], ensure_ascii=False)


def logged(node: BayNode, kind: str) -> list[dict[str, Any]]:
    """The entries of one kind, oldest first."""
    question = f"SELECT body FROM log_logentry WHERE kind = '{kind}' ORDER BY recorded_at, id"
    return [json.loads(row["body"]) for row in killing.rows(node, question)]


def provider_transfer(node: BayNode, transfer: str) -> str:
    """The owner's id of a transfer of ours."""
    (row,) = killing.rows(node, f"SELECT counterpart_pid FROM exchange_transfer WHERE id = '{transfer}'")
    name: str = row["counterpart_pid"].removeprefix("urn:uuid:")
    return name


def table_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def parsed(column: Any) -> dict[str, Any]:
    """A JSON column, as SQLite has it (text) or as PostgreSQL has it."""
    found: dict[str, Any] = json.loads(column) if isinstance(column, str) else column
    return found
