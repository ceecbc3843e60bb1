"""Transfers through both gates, against a counterparty that may be anyone."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import re
from pathlib import Path

import pytest
from django.utils import timezone

from wantong.border.exchange import crossings, importing, messages, services, terms
from wantong.border.exchange.models import Agreement, ReceivedDataset, Transfer
from wantong.border.gate.declarations import outgoing
from wantong.border.gate.declarations import services as gate
from wantong.border.gate.declarations.models import Declaration, Holding
from wantong.border.gate.whitelist import services as whitelist
from wantong.ground.actors import Actor
from wantong.ground.outbox.models import Event

pytestmark = pytest.mark.django_db(transaction=True)

CLERK = Actor("user:clerk", "Clerk", frozenset({"declarer"}))
OFFICER = Actor("user:officer", "Officer", frozenset({"approver"}))
CONTEXT = ["https://w3id.org/dspace/2025/1/context.jsonld"]
FACTS = {"from_area": "gba9", "to_area": "hk", "is_personal": False, "is_important_data": False}
CSV = b"day,arrivals\n2026-01-01,100\n2026-01-02,200\n"


def message(kind, provider, consumer, **more):
    return {"@context": CONTEXT, "@type": kind, "providerPid": provider, "consumerPid": consumer, **more}


def settle(drain):
    """Everything that must still happen, however long it would wait."""
    for _ in range(60):
        if not Event.objects.filter(state="due", topic__startswith="exchange.").exists():
            break
        Event.objects.filter(state="due").exclude(
            topic__in=("log.witness", "gate.receipt", "gate.term")
        ).update(available_at="2000-01-01T00:00Z")
        drain()


# --- we are the provider ----------------------------------------------------------------------------------------


@pytest.fixture
def agreed(peer, publish):
    """An open dataset of ours, released by the whitelist, and an agreement on it."""
    dataset = publish(facts=FACTS)
    release(dataset)
    return agree(peer, dataset)


def release(dataset):
    today = timezone.localdate()
    item = whitelist.propose(
        CLERK, dataset_id=dataset.id, fields={"day": "keep", "arrivals": "keep"}, open=True, legal_basis="open_data",
        valid_from=today, valid_until=today + dt.timedelta(days=30),
    )  # fmt: skip
    whitelist.approve(OFFICER, item.id)


def agree(peer, dataset):
    policy = terms.agreement(
        "urn:agreement:1", terms.offer("x"), target=dataset.id, assigner="gd.test.example",
        assignee=peer.participant_id, at=timezone.now(),
    )  # fmt: skip
    return Agreement.objects.create(
        id="urn:agreement:1",
        role="provider",
        peer=peer.row,
        dataset_id=dataset.id,
        policy=policy,
        title=dataset.title,
    )


def request(peer, agreement, **more):
    body = {"@context": CONTEXT, "@type": "TransferRequestMessage", "consumerPid": "urn:theirs:t1",
            "agreementId": agreement.id, "format": "HttpData-PULL", "callbackAddress": peer.base, **more}  # fmt: skip
    return peer.post("/transfers/request", body)


def test_what_the_gate_releases_is_started_and_what_is_fetched_is_delivered(peer, agreed, drain, node):
    pid = request(peer, agreed).json()["providerPid"]
    drain()
    process = Transfer.objects.get(pid=pid)
    ((_, start),) = peer.received
    endpoint, token = messages.endpoint_of(start["dataAddress"])
    assert endpoint == f"{node.data_url}/data/{process.id}" and token
    assert outgoing.claim(node.outgoing, process.id), "the data plane sends it"
    done = message("TransferCompletionMessage", pid, "urn:theirs:t1")
    assert peer.post(f"/transfers/{pid}/completion", done).status_code == 200
    drain()
    shown = crossings.crossing(services.transfer(pid))
    assert shown["state"] == "COMPLETED" and shown["declaration"]["state"] in ("delivered", "receipted")
    assert {entry["kind"] for entry in shown["receipts"]["own"]} == {
        "gate.export.release",
        "gate.export.deliver",
    }


def test_who_says_he_is_done_without_having_fetched_gets_nothing_any_more(peer, agreed, drain, node):
    pid = request(peer, agreed).json()["providerPid"]
    drain()
    peer.post(f"/transfers/{pid}/completion", message("TransferCompletionMessage", pid, "urn:theirs:t1"))
    drain()
    process = Transfer.objects.get(pid=pid)
    assert outgoing.ready(node.outgoing, process.id) is None
    acts = list(Declaration.objects.get().actions.values_list("act", flat=True))
    assert acts[-1] == "abandon" and "deliver" not in acts


def test_after_a_termination_nothing_leaves(peer, agreed, drain, node):
    pid = request(peer, agreed).json()["providerPid"]
    drain()
    peer.post(f"/transfers/{pid}/termination", message("TransferTerminationMessage", pid, "urn:theirs:t1"))
    drain()
    assert outgoing.claim(node.outgoing, Transfer.objects.get(pid=pid).id) is None


def test_what_has_left_counts_as_delivered_even_if_the_receiver_ends_it(peer, agreed, drain, node):
    pid = request(peer, agreed).json()["providerPid"]
    drain()
    assert outgoing.claim(node.outgoing, Transfer.objects.get(pid=pid).id)
    peer.post(f"/transfers/{pid}/termination", message("TransferTerminationMessage", pid, "urn:theirs:t1"))
    drain()
    assert "deliver" in Declaration.objects.get().actions.values_list("act", flat=True)


def test_the_same_request_again_is_declared_once(peer, agreed, drain):
    first, second = request(peer, agreed), request(peer, agreed)
    drain()
    third = request(peer, agreed)
    assert first.json() == second.json() == third.json()
    drain()
    assert Declaration.objects.count() == 1 and peer.kinds() == ["TransferStartMessage"]


def test_what_is_not_released_waits_at_the_gate_and_a_refusal_reaches_the_peer(peer, publish, drain):
    pid = request(peer, agree(peer, publish(facts=FACTS))).json()["providerPid"]
    drain()
    process = Transfer.objects.get(pid=pid)
    assert peer.received == [] and process.state == "REQUESTED" and process.waiting_for.startswith("gate")
    gate.refuse(OFFICER, process.declaration_id, "not for this purpose")
    drain()
    assert peer.kinds() == ["TransferTerminationMessage"]
    assert "border" in peer.received[0][1]["reason"][0] and "purpose" not in str(peer.received[0][1])


def test_what_cannot_be_declared_is_refused_to_the_peer(peer, publish, drain):
    dataset = publish(facts={"no_such_fact": 1})
    request(peer, agree(peer, dataset))
    drain()
    assert peer.kinds() == ["TransferTerminationMessage"] and not Declaration.objects.exists()


def test_requests_without_right_are_refused(peer, make_peer, agreed):
    other = make_peer("mo.test.example")
    assert request(other, agreed).status_code == 400, "somebody else's agreement"
    assert request(peer, agreed, agreementId="urn:none").status_code == 400
    assert request(peer, agreed, format="ftp").status_code == 400
    assert request(peer, agreed, callbackAddress="http://10.0.0.1/").status_code == 400
    address = {"@type": "DataAddress", "endpointType": "HTTP", "endpoint": "http://10.0.0.1/"}
    assert request(peer, agreed, dataAddress=address).status_code == 400
    assert not Transfer.objects.exists()


def test_a_fresh_token_is_given_to_the_receiver_only(peer, make_peer, agreed, drain):
    other = make_peer("mo.test.example")
    pid = request(peer, agreed).json()["providerPid"]
    path = f"/wantong/transfers/{pid}/access"
    assert peer.call("POST", path, {}).status_code == 404, "not released yet"
    drain()
    assert peer.call("POST", path, {}).json()["endpoint"]
    assert other.call("POST", path, {}).status_code == 404
    assert other.call("GET", f"/wantong/transfers/{pid}/receipts").status_code == 404
    assert peer.client.post(path).status_code == 401


def test_who_was_restored_says_that_no_more_receipts_will_come(peer, agreed, drain):
    pid = request(peer, agreed).json()["providerPid"]
    drain()
    path = f"/wantong/transfers/{pid}/receipts"
    assert peer.call("GET", path).json()["final"] is False
    # as a restore leaves one that it has forgotten: ended, and without the gate's papers
    Transfer.objects.filter(pid=pid).update(state="COMPLETED", declaration_id="")
    assert peer.call("GET", path).json()["final"] is True


# --- we are the consumer ----------------------------------------------------------------------------------------


class Provider:
    """The counterparty as provider with a data plane whose every answer a test may bend."""

    def __init__(self, peer, payload=CSV, *, fields=("day", "arrivals"), **waybill):
        self.peer, self.payload, self.fail = peer, payload, []
        self.sent = payload
        chunks = [hashlib.sha256(payload[i : i + 65536]).hexdigest() for i in range(0, len(payload), 65536)]
        self.manifest = {
            "sha256": hashlib.sha256(payload).hexdigest(), "size": len(payload), "chunk_size": 65536, "chunks": chunks,
            "media_type": "text/csv", "filename": "payload.csv",
            "waybill": {
                "agreement_id": "urn:agreement:1", "purpose": "statistics", "fields": list(fields), "kinds": [],
                "route": "no_statutory_formality", "obligations": [], "subject_column": "", "retain_until": None,
                "facts": {"from_area": "hk", "to_area": "gba9", "to_jurisdiction": "CN", "is_personal": False}, **waybill,
            },
        }  # fmt: skip
        peer.script = self.answer

    def answer(self, path, body):
        if not path.startswith("/data/"):
            return None
        if self.fail:
            return self.fail.pop(0)
        if path.endswith("/manifest"):
            return 200, self.manifest
        start = int(re.search(r"bytes=(\d+)-", self.peer.headers["Range"])[1])
        size = self.manifest["size"]
        return 206, self.sent[start:], {"Content-Range": f"bytes {start}-{size - 1}/{size}"}

    def crossing(self, drain, endpoint="/data/x"):
        """Ask for the data and let the provider start it; returns the transfer when all has come to rest."""
        policy = terms.agreement(
            "urn:agreement:1", terms.request(terms.offer("x"), "urn:data:theirs", "statistics"), target="urn:data:theirs",
            assigner=self.peer.participant_id, assignee="gd.test.example", at=timezone.now(),
        )  # fmt: skip
        Agreement.objects.create(
            id="urn:agreement:1",
            role="consumer",
            peer=self.peer.row,
            dataset_id="urn:data:theirs",
            policy=policy,
        )
        process = services.request_transfer(CLERK, "urn:agreement:1")
        drain()
        url = endpoint if endpoint.startswith("http") else self.peer.url + endpoint
        start = message(
            "TransferStartMessage", "urn:theirs:t1", process.pid, dataAddress=messages.data_address(url, "t")
        )
        assert self.peer.post(f"/transfers/{process.pid}/start", start).status_code == 200
        settle(drain)
        process.refresh_from_db()
        return process


def nothing_is_kept(node, process) -> bool:
    assert not ReceivedDataset.objects.exists() and not Holding.objects.exists()
    files = [
        path
        for place in (node.blobs, node.directory / "incoming")
        for path in place.rglob("*")
        if path.is_file()
    ]
    assert files == [], files
    return True


def test_what_arrives_true_goes_through_our_gate_and_may_be_used(peer, drain, node):
    process = Provider(peer).crossing(drain)
    assert process.state == "COMPLETED" and peer.kinds()[-1] == "TransferCompletionMessage"
    received = ReceivedDataset.objects.get()
    assert received.sha256 == hashlib.sha256(CSV).hexdigest()
    assert Path(Holding.objects.get().path).read_bytes() == CSV
    assert not importing.incoming(process).exists()


def test_a_payload_in_many_chunks_with_troubles_on_the_way(peer, drain):
    rows = b"day,arrivals\n" + b"".join(b"2026-01-01,%d\n" % n for n in range(40_000))
    provider = Provider(peer, rows)
    provider.fail = [(503, {}), (200, provider.manifest), (500, b""), (429, b"")]
    process = provider.crossing(drain)
    assert process.state == "COMPLETED" and ReceivedDataset.objects.get().size == len(rows)


def wrong_byte(provider):
    provider.sent = CSV.replace(b"100", b"999")


def wrong_whole(provider):
    provider.manifest["sha256"] = "0" * 64


def ten_gigabytes(provider):
    provider.manifest |= {"size": 10 << 30, "chunk_size": 1 << 20, "chunks": ["0" * 64] * 10240}


def no_manifest(provider):
    provider.fail = [(200, b"<html>")]


def other_papers(provider):
    provider.manifest["waybill"]["agreement_id"] = "urn:agreement:2"


def other_purpose(provider):
    provider.manifest["waybill"]["purpose"] = "advertising"


def redirect(provider):
    provider.fail = [(302, b"")]


def more_columns(provider):
    provider.manifest["waybill"]["fields"] = ["day"]


@pytest.mark.parametrize("bend", [
    wrong_byte, wrong_whole, ten_gigabytes, no_manifest, other_papers, other_purpose, redirect, more_columns,
])  # fmt: skip
def test_a_provider_that_lies_is_told_so_and_nothing_is_kept(peer, drain, node, settings, bend):
    settings.WANTONG_LARGEST_PAYLOAD = 1 << 30
    provider = Provider(peer)
    bend(provider)
    process = provider.crossing(drain)
    assert process.state == "TERMINATED" and process.reason
    assert peer.kinds()[-1] == "TransferTerminationMessage"
    assert nothing_is_kept(node, process)


@pytest.mark.parametrize(
    "endpoint", ["http://127.0.0.1:1/data/x", "http://169.254.169.254/latest", "http://[::1]/x"]
)
def test_we_fetch_only_from_the_pinned_data_plane(peer, drain, node, endpoint):
    process = Provider(peer).crossing(drain, endpoint)
    assert process.state == "TERMINATED" and nothing_is_kept(node, process)


def test_an_expired_token_is_renewed(peer, drain):
    provider = Provider(peer)
    provider.fail = [(401, {})]
    fresh = messages.data_address(peer.url + "/data/x", "fresh")
    before = provider.answer
    peer.script = lambda path, body: (200, fresh) if path.endswith("/access") else before(path, body)
    assert provider.crossing(drain).state == "COMPLETED"
    assert peer.tokens[-2] == "fresh" or "fresh" in peer.tokens


def test_a_payload_that_never_comes_is_given_up(peer, drain, node, monkeypatch):
    monkeypatch.setattr(importing, "MOST_STALLS", 3)
    provider = Provider(peer)
    provider.fail = [(410, {})] * 50
    process = provider.crossing(drain)
    assert process.state == "TERMINATED" and nothing_is_kept(node, process)


def test_a_payload_made_anew_is_fetched_anew(peer, drain):
    provider = Provider(peer)
    old = dict(provider.manifest)
    new = CSV + b"2026-01-03,300\n"
    provider.__init__(peer, new)
    provider.fail = [(200, {**old, "sha256": "1" * 64}), (412, {})]
    process = provider.crossing(drain)
    assert process.state == "COMPLETED" and ReceivedDataset.objects.get().size == len(new)


def test_a_terminated_transfer_stops_and_leaves_nothing(peer, drain, node):
    provider = Provider(peer)

    def die(path, body):
        if path.startswith("/data/") and not path.endswith("manifest"):
            end = message("TransferTerminationMessage", "urn:theirs:t1", Transfer.objects.get().pid)
            peer.post(f"/transfers/{Transfer.objects.get().pid}/termination", end)
            return 500, b""
        return provider.answer(path, body)

    peer.script = die
    process = provider.crossing(drain)
    assert process.state == "TERMINATED" and nothing_is_kept(node, process)


# --- obligations ------------------------------------------------------------------------------------------------


def test_a_withdrawal_is_taken_from_the_sender_only_and_once(make_peer, drain):
    peer, other = make_peer("hk.test.example"), make_peer("mo.test.example")
    tokens = ["t" + hashlib.sha256(str(n).encode()).hexdigest()[:32] for n in range(3)]
    rows = ("who,months\n" + "".join(f"{token},{n}\n" for n, token in enumerate(tokens))).encode()
    provider = Provider(
        peer, rows, fields=("who", "months"), subject_column="who", facts={
            "from_area": "hk", "to_area": "gba9", "to_jurisdiction": "CN", "is_personal": False,
        },
    )  # fmt: skip
    process = provider.crossing(drain)
    assert process.state == "COMPLETED"
    duty = {
        "@type": "WithdrawalObligation",
        "providerPid": "urn:theirs:t1",
        "consumerPid": process.pid,
        "subject": tokens[1],
    }
    assert other.call("POST", "/wantong/obligations", duty).status_code == 404
    assert peer.call("POST", "/wantong/obligations", duty).json() == {"struck": 1}
    assert peer.call("POST", "/wantong/obligations", duty).json() == {"struck": 1}
    assert tokens[1] not in Path(Holding.objects.get().path).read_text()
    for bad in (b"[", b"[]", json.dumps({"@type": "X"}).encode(), b"x" * 70_000):
        assert peer.call("POST", "/wantong/obligations", bad).status_code == 400


def test_a_withdrawal_is_sent_until_it_has_arrived(peer, agreed, drain):
    from wantong.ground.outbox import services as outbox

    pid = request(peer, agreed).json()["providerPid"]
    drain()
    process = Transfer.objects.get(pid=pid)
    answers = iter([(404, {}), (500, {}), (200, {"struck": 1})])
    peer.script = lambda path, body: next(answers) if path.endswith("/obligations") else None
    outbox.publish(
        "gate.withdrawn",
        process.id,
        {"transfer_id": process.id, "direction": "export", "subject": "t1", "receiver": "x"},
    )
    for _ in range(4):
        Event.objects.filter(state="due", topic="gate.withdrawn").update(available_at="2000-01-01T00:00Z")
        drain()
    sent = [body for path, body in peer.received if path.endswith("/obligations")]
    assert len(sent) == 3 and sent[0] == sent[2] and sent[0]["subject"] == "t1"
    assert [m["status"] for m in crossings.crossing(process)["messages"] if m["kind"] == "withdrawal"] == [
        "sent"
    ]


def test_the_card_is_there_for_everyone(node, make_peer, client):
    from wantong.border.trust import cards
    from wantong.ground.log import generate_keys

    generate_keys(node.keys, node.participant_id)
    assert cards.read(client.get("/wantong/card").content).participant_id == node.participant_id
