"""Negotiations as a counterparty sees them, over HTTP."""

from __future__ import annotations

import json

import pytest

from wantong.border.exchange import schemas, services, terms
from wantong.border.exchange.models import Agreement, Message, Negotiation
from wantong.ground.actors import Actor
from wantong.ground.log.models import LogEntry

pytestmark = pytest.mark.django_db(transaction=True)

OFFICER = Actor("user:officer", "Officer", frozenset({"approver", "declarer"}))
CONTEXT = ["https://w3id.org/dspace/2025/1/context.jsonld"]


def request(peer, dataset, consumer_pid="urn:theirs:1", **more):
    offer = terms.request(dataset.offers.get().policy, dataset.id, "statistics")
    return {"@context": CONTEXT, "@type": "ContractRequestMessage", "consumerPid": consumer_pid, "offer": offer,
            "callbackAddress": peer.base, **more}  # fmt: skip


def message(kind, negotiation_pid, consumer_pid="urn:theirs:1", **more):
    return {
        "@context": CONTEXT,
        "@type": kind,
        "providerPid": negotiation_pid,
        "consumerPid": consumer_pid,
        **more,
    }


def test_an_open_dataset_is_agreed_on_without_asking_anyone(peer, publish, drain):
    dataset = publish()
    answer = peer.post("/negotiations/request", request(peer, dataset))
    assert answer.status_code == 201
    schemas.check(answer.json(), "ContractNegotiation")
    pid = answer.json()["providerPid"]
    assert answer.json()["state"] == "REQUESTED"
    drain()
    ((path, agreed),) = peer.received
    assert path == "/dsp/2025-1/negotiations/urn:theirs:1/agreement"
    schemas.check(agreed, "ContractAgreementMessage")
    assert terms.purpose_of(agreed["agreement"]) == "statistics"
    assert peer.state("negotiations", pid) == "AGREED"
    assert not Agreement.objects.exists(), "nothing is in force before both have signed off"
    verified = peer.post(
        f"/negotiations/{pid}/agreement/verification", message("ContractAgreementVerificationMessage", pid)
    )
    assert verified.status_code == 200
    drain()
    assert peer.kinds()[-1] == "ContractNegotiationEventMessageFINALIZED"
    assert peer.state("negotiations", pid) == "FINALIZED"
    assert Agreement.objects.get().id == agreed["agreement"]["@id"]
    entry = json.loads(LogEntry.objects.get(kind="exchange.agreement").body)
    assert entry["agreement_id"] == agreed["agreement"]["@id"] and entry["consumer"] == "hk.test.example"


def test_what_nobody_has_released_waits_for_a_person(peer, publish, drain):
    dataset = publish(is_open=False)
    pid = peer.post("/negotiations/request", request(peer, dataset)).json()["providerPid"]
    drain()
    assert peer.received == []
    assert Negotiation.objects.get(pid=pid).waiting_for == "agreement"
    services.decide_negotiation(OFFICER, pid, "agree")
    drain()
    assert peer.state("negotiations", pid) == "AGREED"
    with pytest.raises(services.NotNow):
        services.decide_negotiation(OFFICER, pid, "agree")


def test_a_request_that_widens_the_offer_is_not_agreed_to(peer, publish, drain):
    rules = {"permission": [{"action": "use", "constraint": [terms.constraint("spatial", "eq", "GBA")]}]}
    dataset = publish(offers=[terms.offer("urn:offer:gba", rules)])
    wider = request(peer, dataset)
    wider["offer"]["permission"] = [{"action": "use"}]
    peer.post("/negotiations/request", wider)
    drain()
    assert peer.received == [] and Negotiation.objects.get().waiting_for == "agreement"


def test_the_same_request_again_begins_nothing_new(peer, publish, drain):
    dataset = publish()
    asked = request(peer, dataset)
    first = peer.post("/negotiations/request", asked)
    drain()
    second = peer.post("/negotiations/request", asked)
    assert (first.status_code, first.json()) == (second.status_code, second.json())
    drain()
    assert len(peer.received) == 1 and Negotiation.objects.count() == 1


def test_a_message_that_is_sent_again_gets_the_same_answer_and_does_nothing(peer, publish, drain):
    pid = peer.post("/negotiations/request", request(peer, publish())).json()["providerPid"]
    drain()
    verification = message("ContractAgreementVerificationMessage", pid)
    url = f"/negotiations/{pid}/agreement/verification"
    first = peer.post(url, verification, message_id="m-1")
    drain()
    again = peer.post(url, verification, message_id="m-1")
    assert (again.status_code, again.json()) == (first.status_code, first.json()) == (200, again.json())
    assert peer.kinds().count("ContractNegotiationEventMessageFINALIZED") == 1
    other = peer.post(url, {**verification, "extra": 1}, message_id="m-1")
    assert other.status_code == 400, "one id, two messages"
    late = peer.post(url, verification, message_id="m-2")
    assert late.status_code == 400, "a new message that is too late"
    assert Agreement.objects.count() == 1


@pytest.mark.parametrize("make", [
    lambda pid: ("agreement/verification", message("ContractAgreementVerificationMessage", pid)),
    lambda pid: ("events", message("ContractNegotiationEventMessage", pid, eventType="ACCEPTED")),
    lambda pid: ("events", message("ContractNegotiationEventMessage", pid, eventType="FINALIZED")),
    lambda pid: ("termination", message("ContractNegotiationTerminationMessage", pid, consumer_pid="urn:other")),
    lambda pid: ("termination", message("ContractNegotiationTerminationMessage", "urn:other")),
    lambda pid: ("termination", message("ContractNegotiationTerminationMessage", pid, reason=[])),
    lambda pid: ("termination", b"{" * 100_000),
    lambda pid: ("offers", message("ContractNegotiationTerminationMessage", pid)),
])  # fmt: skip
def test_what_does_not_fit_is_refused_in_the_protocols_words_and_changes_nothing(peer, publish, drain, make):
    pid = peer.post("/negotiations/request", request(peer, publish(is_open=False))).json()["providerPid"]
    drain()
    before = Message.objects.count()
    end, wrong = make(pid)
    answer = peer.post(f"/negotiations/{pid}/{end}", wrong)
    assert answer.status_code == 400
    schemas.check(answer.json(), "ContractNegotiationError")
    assert peer.state("negotiations", pid) == "REQUESTED"
    assert Message.objects.count() == before


def test_another_node_cannot_see_or_touch_a_negotiation(make_peer, publish, drain):
    one, two = make_peer("hk.test.example"), make_peer("mo.test.example")
    pid = one.post("/negotiations/request", request(one, publish(is_open=False))).json()["providerPid"]
    unknown = two.call("GET", "/dsp/2025-1/negotiations/urn:uuid:none")
    foreign = two.call("GET", f"/dsp/2025-1/negotiations/{pid}")
    assert unknown.status_code == foreign.status_code == 404 and unknown.json() == foreign.json()
    ended = two.post(
        f"/negotiations/{pid}/termination", message("ContractNegotiationTerminationMessage", pid)
    )
    assert ended.status_code == 404 and one.state("negotiations", pid) == "REQUESTED"


def test_messages_go_only_to_the_node_that_sent_the_request(peer, publish):
    for address in (
        "http://127.0.0.1:1/inside",
        peer.url + ".evil.example/",
        "file:///etc/passwd",
        peer.url + "@evil",
        peer.url.replace("http://", "http://user@") + "/",
        peer.url + "/\\@10.0.0.1/",
        peer.url + "/ @10.0.0.1/",
        "http://[::ffff:127.0.0.1]:" + peer.url.rpartition(":")[2] + "/",
        "http://2130706433:" + peer.url.rpartition(":")[2] + "/",
        "http://169.254.169.254/latest/meta-data/",
    ):
        answer = peer.post("/negotiations/request", request(peer, publish(), callbackAddress=address))
        assert answer.status_code == 400, address
    assert not Negotiation.objects.exists()


def test_an_unknown_offer_or_dataset_is_refused(peer, publish):
    dataset = publish()
    hidden = publish("urn:data:hidden", audience=["mo.test.example"])
    wrong = request(peer, dataset)
    wrong["offer"]["@id"] = "urn:offer:nothing"
    assert peer.post("/negotiations/request", wrong).status_code == 400
    assert peer.post("/negotiations/request", request(peer, hidden)).status_code == 400


def test_our_own_request_goes_all_the_way(peer, drain):
    offer = terms.offer("urn:offer:1")
    mine = services.negotiate(OFFICER, peer.participant_id, "urn:data:theirs", offer, "research", ["day"])
    assert mine.state == "REQUESTED"
    drain()
    ((_, asked),) = peer.received
    schemas.check(asked, "ContractRequestMessage")
    assert terms.fields_of(asked["offer"]) == ["day"]
    mine.refresh_from_db()
    assert (mine.state, mine.counterpart_pid) == ("REQUESTED", "urn:theirs:1")
    agreement = terms.agreement(
        "urn:agreement:1", asked["offer"], target="urn:data:theirs", assigner=peer.participant_id,
        assignee="gd.test.example", at=mine.created_at,
    )  # fmt: skip
    sent = message("ContractAgreementMessage", "urn:theirs:1", mine.pid, agreement=agreement)
    assert peer.post(f"/negotiations/{mine.pid}/agreement", sent).status_code == 200
    drain()
    assert peer.kinds()[-1] == "ContractAgreementVerificationMessage"
    done = message("ContractNegotiationEventMessage", "urn:theirs:1", mine.pid, eventType="FINALIZED")
    assert peer.post(f"/negotiations/{mine.pid}/events", done).status_code == 200
    assert Agreement.objects.get().role == "consumer"


def test_an_agreement_on_something_else_is_not_verified(peer, drain):
    mine = services.negotiate(
        OFFICER, peer.participant_id, "urn:data:theirs", terms.offer("urn:offer:1"), "research"
    )
    drain()
    bad = terms.agreement(
        "urn:agreement:1", terms.offer("x"), target="urn:data:theirs", assigner=peer.participant_id,
        assignee="gd.test.example", at=mine.created_at,
    )  # fmt: skip
    sent = message("ContractAgreementMessage", "urn:theirs:1", mine.pid, agreement=bad)
    assert peer.post(f"/negotiations/{mine.pid}/agreement", sent).status_code == 200
    drain()
    assert peer.kinds()[-1] == "ContractNegotiationTerminationMessage"
    assert peer.state("negotiations", mine.pid) == "TERMINATED" and not Agreement.objects.exists()


def test_a_peer_that_stumbles_gets_the_message_again_under_the_same_id(peer, publish, drain):
    import base64
    import json

    answers = iter([(503, {}), (404, {}), (500, b"<html>"), (200, {})])
    peer.script = lambda path, body: next(answers)
    peer.post("/negotiations/request", request(peer, publish()))
    drain()
    from wantong.ground.outbox.models import Event

    for _ in range(8):
        Event.objects.filter(state="due").update(available_at="2000-01-01T00:00Z")
        drain()
    assert len(peer.received) == 4
    claims = [json.loads(base64.urlsafe_b64decode(t.split(".")[1] + "==")) for t in peer.tokens]
    assert len({c["mid"] for c in claims}) == 1 and len({c["jti"] for c in claims}) == 4
    assert len({str(body) for _, body in peer.received}) == 1


@pytest.mark.parametrize("answer", [(400, {}), (302, {}), (200, b"x" * (5 << 20))])
def test_a_peer_that_refuses_redirects_or_floods_ends_the_negotiation(peer, drain, answer):
    peer.script = lambda path, body: answer
    mine = services.negotiate(OFFICER, peer.participant_id, "urn:data:theirs", terms.offer("urn:offer:1"))
    drain()
    mine.refresh_from_db()
    assert mine.state == "TERMINATED" and mine.reason
    assert len(peer.received) == 1


def test_an_answer_that_arrives_after_the_next_message(peer, drain):
    """The peer's agreement is here before his 201: the process knows both ids from either."""
    mine = services.negotiate(OFFICER, peer.participant_id, "urn:data:theirs", terms.offer("urn:offer:1"))
    seen = []

    def script(path, body):
        if path.endswith("/negotiations/request"):
            agreement = terms.agreement(
                "urn:agreement:1", body["offer"], target="urn:data:theirs", assigner=peer.participant_id,
                assignee="gd.test.example", at=mine.created_at,
            )  # fmt: skip
            sent = message("ContractAgreementMessage", "urn:theirs:1", mine.pid, agreement=agreement)
            seen.append(peer.post(f"/negotiations/{mine.pid}/agreement", sent).status_code)
            return 201, message("ContractNegotiation", "urn:theirs:1", mine.pid, state="REQUESTED")
        return 200, {}

    peer.script = script
    drain()
    assert seen == [200]
    assert peer.kinds()[-1] == "ContractAgreementVerificationMessage"
    assert peer.state("negotiations", mine.pid) == "VERIFIED"
