"""After a restore: what two nodes share comes to one end on both sides, and nothing is delivered twice."""

from __future__ import annotations

import json
import re
from itertools import product
from urllib.parse import parse_qs, urlsplit

import pytest
from django.utils import timezone
from tests.border.exchange.test_transfer import (
    CLERK,
    CONTEXT,
    FACTS,
    Provider,
    agree,
    message,
    release,
    request,
    settle,
)

from wantong.border.exchange import messages, processes, reconciling, services, terms
from wantong.border.exchange.machine import CONSUMER, PROVIDER, other
from wantong.border.exchange.models import Agreement, Negotiation, ReceivedDataset, Transfer
from wantong.border.exchange.reconciliation import MACHINES, Rule, Side, decide
from wantong.border.gate.declarations import outgoing
from wantong.border.gate.declarations.models import Declaration
from wantong.ground.log import services as log
from wantong.ground.log.models import LogEntry
from wantong.ground.outbox.models import Event

PID = "urn:uuid:11111111-1111-4111-8111-111111111111"


# --- the rules --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", MACHINES)
def test_every_rule_leads_to_one_end_and_nobody_waits_for_ever(family):
    machine = MACHINES[family]
    states = sorted(machine.states - {""})
    sendings = ["", *sorted({kind for _, kind, _ in machine.table})]
    for role, own, theirs, mine, his in product(
        (PROVIDER, CONSUMER), [None, *states], states, sendings, sendings
    ):
        rule = decide(family, role, own and Side(own, mine), Side(theirs, his))
        match rule:
            case Rule.KEEP if own in machine.final:
                pass
            case Rule.KEEP:
                # the same, or one message away from it, which is being sent
                steps = {(theirs, mine, role): own, (own, his, other(role)): theirs}
                assert own == theirs or any(machine.table.get(step) == end for step, end in steps.items())
            case Rule.FOLLOW:
                assert theirs in machine.final
            case Rule.FETCH:
                assert (family, role, theirs) == ("transfers", CONSUMER, "STARTED")
                assert own in (None, "REQUESTED"), "what is fetched was not here"
            case Rule.END:
                assert theirs not in machine.final, "the peer can still be told"
            case _:
                raise AssertionError(rule)


def test_an_agreement_that_cannot_be_proven_is_taken_back():
    for own in (None, Side("REQUESTED"), Side("VERIFIED")):
        there = Side("FINALIZED")
        assert decide("negotiations", PROVIDER, own, there, proven=False) is Rule.VOID
        assert decide("negotiations", PROVIDER, own, there, proven=True) is Rule.FOLLOW


def test_a_transfer_whose_payload_is_gone_is_ended():
    own = Side("STARTED")
    assert decide("transfers", PROVIDER, own, Side("STARTED"), parcel=False) is Rule.END
    assert decide("transfers", PROVIDER, own, Side("STARTED")) is Rule.KEEP


# --- a restored node --------------------------------------------------------------------------------------------


@pytest.fixture
def told(peer):
    """What the peer says that he shares with this node; a list to be filled."""
    entries: list[dict] = []
    before = peer.script

    def script(path, body):
        if path.startswith("/wantong/processes"):
            query = parse_qs(urlsplit(path).query, keep_blank_values=True)
            at = int(query["after"][0] or 0)
            more = {"next": str(at + 1)} if at + 1 < len(entries) else {}
            return 200, {"processes": entries[at : at + 1], **more}
        return before(path, body) if before else None

    peer.script = script
    return entries


def entry(family, role, state, pid="urn:theirs:1", own=PID, **more):
    """An entry of the list; ``role`` is the peer's."""
    return {
        "family": family, "pid": pid, "counterpartPid": own, "role": role, "state": state, "sending": "",
        "reason": "", "createdAt": timezone.now().isoformat(), **more,
    }  # fmt: skip


def agreed_entry(peer, dataset_id, role, **more):
    """A negotiation that is over, with its agreement; ``role`` is the peer's."""
    parties = ("gd.test.example", peer.participant_id)
    assigner, assignee = parties if role == CONSUMER else parties[::-1]
    offer = terms.request(terms.offer("urn:offer:x"), dataset_id, "statistics")
    policy = terms.agreement(
        "urn:agreement:1", offer, target=dataset_id, assigner=assigner, assignee=assignee, at=timezone.now()
    )
    return entry(
        "negotiations", role, "FINALIZED", datasetId=dataset_id, title={"en": "X"}, offer=offer,
        agreement=policy, **more,
    )  # fmt: skip


def back(drain):
    """The node has been restored, runs again and comes to rest."""
    reconciling.begin(timezone.now())
    settle(drain)
    assert reconciling.pending() == frozenset()


def rules():
    rows = LogEntry.objects.filter(kind="exchange.reconciled").order_by("id")
    return [(body["family"], body["was"], body["is"], body["rule"]) for body in map(_body, rows)]


def _body(row):
    return json.loads(row.body)


pytestmark = pytest.mark.django_db(transaction=True)


def test_an_agreement_that_this_node_once_logged_is_in_force_again(peer, publish, drain, told):
    dataset = publish(is_open=False)
    told.append(agreed_entry(peer, dataset.id, CONSUMER))
    agreement = told[0]["agreement"]
    body = {"agreement_id": agreement["@id"], "terms": {"sha256": processes.terms_digest(agreement)}}
    log.record("exchange.agreement", body, timezone.now())
    back(drain)
    found = Agreement.objects.get()
    assert (found.id, found.policy, found.role) == ("urn:agreement:1", agreement, PROVIDER)
    assert Negotiation.objects.get(pid=PID).state == "FINALIZED"
    assert rules() == [("negotiations", "unknown", "FINALIZED", "follow")]
    assert LogEntry.objects.filter(kind="exchange.agreement").count() == 1, "it is not agreed a second time"
    back(drain)
    assert len(rules()) == 1, "asked again, nothing is to be done"


def test_terms_that_the_log_denies_are_not_taken_from_a_peer(peer, publish, drain, told):
    dataset = publish(is_open=False)
    told.append(agreed_entry(peer, dataset.id, CONSUMER))
    log.record(
        "exchange.agreement",
        {"agreement_id": "urn:agreement:1", "terms": {"sha256": "0" * 64}},
        timezone.now(),
    )
    back(drain)
    assert not Agreement.objects.exists()
    assert Negotiation.objects.get(pid=PID).state == "TERMINATED"
    assert "/wantong/negotiations/urn:theirs:1/void" in [path for path, _ in peer.received]


def test_what_would_be_agreed_to_without_asking_is_agreed_to(peer, publish, drain, told):
    told.append(agreed_entry(peer, publish().id, CONSUMER))
    told[0]["offer"] |= {"@id": "offer:urn:data:passengers"}
    told[0]["offer"] = terms.request(services.Offer.objects.get().policy, "urn:data:passengers", "statistics")
    told[0]["agreement"] = terms.agreement(
        "urn:agreement:1", told[0]["offer"], target="urn:data:passengers", assigner="gd.test.example",
        assignee=peer.participant_id, at=timezone.now(),
    )  # fmt: skip
    back(drain)
    assert Agreement.objects.get().role == PROVIDER
    assert LogEntry.objects.filter(kind="exchange.agreement").count() == 1


def test_a_right_that_another_gives_is_kept(peer, drain, told):
    told.append(agreed_entry(peer, "urn:data:theirs", PROVIDER))
    back(drain)
    assert Agreement.objects.get().role == CONSUMER


@pytest.mark.parametrize("state", ["REQUESTED", "OFFERED", "AGREED", "VERIFIED"])
def test_a_negotiation_that_was_under_way_is_ended_on_both_sides(peer, publish, drain, told, state):
    told.append(agreed_entry(peer, publish().id, CONSUMER) | {"state": state})
    back(drain)
    assert Negotiation.objects.get(pid=PID).state == "TERMINATED"
    assert peer.kinds() == ["ContractNegotiationTerminationMessage"]
    assert "backup" in peer.received[-1][1]["reason"][0]


def test_what_was_delivered_after_the_backup_does_not_leave_again(peer, publish, drain, node, told):
    dataset = publish(facts=FACTS)
    release(dataset)
    pid = request(peer, agree(peer, dataset)).json()["providerPid"]
    drain()
    process = Transfer.objects.get(pid=pid)
    assert process.state == "STARTED" and outgoing.ready(node.outgoing, process.id)
    # this is where the backup was made; then it was fetched, and that stands in the log that came back
    before = log.record("gate.export.deliver", {"transfer_id": process.id}, timezone.now())
    told.append(entry("transfers", CONSUMER, "COMPLETED", "urn:theirs:t1", pid))
    back(drain)
    process.refresh_from_db()
    assert process.state == "COMPLETED"
    assert not outgoing.ready(node.outgoing, process.id)
    delivered = Declaration.objects.get().actions.get(act="deliver")
    assert delivered.log_entry == before.id, "one delivery, one entry"
    assert LogEntry.objects.filter(kind="gate.export.deliver").count() == 1
    assert "TransferTerminationMessage" not in peer.kinds()


def test_what_the_backup_has_not_yet_released_is_not_released_again(peer, publish, drain, node, told):
    dataset = publish(facts=FACTS)
    pid = request(peer, agree(peer, dataset)).json()["providerPid"]
    drain()
    assert Transfer.objects.get(pid=pid).waiting_for.startswith("gate")
    told.append(entry("transfers", CONSUMER, "COMPLETED", "urn:theirs:t1", pid))
    release(dataset)  # the gate would let it go now
    back(drain)
    process = Transfer.objects.get(pid=pid)
    assert process.state == "COMPLETED" and not outgoing.ready(node.outgoing, process.id)
    assert Declaration.objects.get().state == "refused"
    assert peer.kinds() == []


def test_a_payload_that_still_waits_there_is_fetched(peer, drain, told):
    Provider(peer)
    address = messages.data_address(peer.url + "/data/x", "fresh")
    before = peer.script
    peer.script = lambda path, body: (200, address) if path.endswith("/access") else before(path, body)
    _listen(peer, told)
    told.append(agreed_entry(peer, "urn:data:theirs", PROVIDER))
    told.append(
        entry(
            "transfers",
            PROVIDER,
            "STARTED",
            "urn:theirs:t1",
            PID.replace("1", "2"),
            agreementId="urn:agreement:1",
            format=messages.PULL,
        )
    )
    back(drain)
    process = Transfer.objects.get()
    assert process.state == "COMPLETED" and ReceivedDataset.objects.count() == 1
    assert peer.kinds() == ["TransferCompletionMessage"]
    assert ("transfers", "unknown", "STARTED", "fetch") in rules()


def test_data_that_is_lost_is_not_called_here(peer, drain, told):
    told.append(agreed_entry(peer, "urn:data:theirs", PROVIDER))
    told.append(
        entry(
            "transfers",
            PROVIDER,
            "COMPLETED",
            "urn:theirs:t1",
            PID.replace("1", "2"),
            agreementId="urn:agreement:1",
            format=messages.PULL,
        )
    )
    back(drain)
    process = Transfer.objects.get()
    assert process.state == "COMPLETED" and "lost" in process.reason
    assert not ReceivedDataset.objects.exists()
    again = services.request_transfer(CLERK, "urn:agreement:1")
    drain()
    again.refresh_from_db()
    assert again.state == "REQUESTED", "it may be asked for again, and the gates decide anew"


def test_nothing_is_done_about_what_is_shared_until_the_peer_has_been_asked(peer, publish, drain, told):
    dataset = publish(facts=FACTS)
    release(dataset)
    pid = request(peer, agree(peer, dataset)).json()["providerPid"]
    answers = peer.script
    peer.script = lambda path, body: (503, {}) if path.startswith("/wantong") else answers(path, body)
    reconciling.begin(timezone.now())
    drain()
    assert Transfer.objects.get(pid=pid).state == "REQUESTED" and not Declaration.objects.exists()
    end = message("TransferTerminationMessage", pid, "urn:theirs:t1")
    assert peer.post(f"/transfers/{pid}/termination", end).status_code == 503
    assert request(peer, Agreement.objects.get()).status_code == 503
    waiting = Event.objects.filter(state="due", topic="exchange.declare").values_list("attempts", flat=True)
    assert set(waiting) == {0}, "waiting is no attempt"
    peer.script = answers
    told.append(entry("transfers", CONSUMER, "REQUESTED", "urn:theirs:t1", pid))
    settle(drain)
    assert Transfer.objects.get(pid=pid).state == "STARTED"
    assert peer.post(f"/transfers/{pid}/termination", end).status_code == 200


def test_what_a_peer_does_not_list_is_asked_for_by_the_protocol(peer, publish, drain, told):
    publish(is_open=False)
    body = {
        "@context": CONTEXT, "@type": "ContractRequestMessage", "consumerPid": "urn:theirs:1",
        "offer": {**services.Offer.objects.get().policy, "@type": "Offer", "target": "urn:data:passengers"},
        "callbackAddress": peer.base,
    }  # fmt: skip
    pid = peer.post("/negotiations/request", body).json()["providerPid"]
    drain()
    asked = peer.script
    peer.script = lambda path, body: (404, {}) if "/negotiations/urn:theirs:1" in path else asked(path, body)
    back(drain)  # he lists nothing, and by name he does not know it either
    assert Negotiation.objects.get(pid=pid).state == "TERMINATED"


@pytest.mark.parametrize(
    "nonsense",
    [
        {"role": "king"}, {"state": "HAPPY"}, {"pid": ""}, {"family": "wars"}, {"counterpartPid": 7},
        {"counterpartPid": "../../etc"}, {"offer": None}, {"agreement": {"@id": "x"}}, {"createdAt": "today"},
        {"title": ["x"]},
    ],
)  # fmt: skip
def test_nonsense_of_a_peer_brings_nothing_into_force(peer, drain, told, nonsense):
    told.append(agreed_entry(peer, "urn:data:theirs", PROVIDER) | nonsense)
    back(drain)
    taken = Agreement.objects.exists()
    assert taken == ("title" in nonsense), "a title may be missing, everything else is needed"


# --- a node that is asked ---------------------------------------------------------------------------------------


def test_a_peer_is_told_of_what_is_shared_with_him_alone(peer, make_peer, publish, monkeypatch):
    monkeypatch.setattr(reconciling, "PAGE", 3)
    dataset = publish(facts=FACTS)
    agreement = agree(peer, dataset)
    for number in range(7):
        request(peer, agreement, consumerPid=f"urn:theirs:{number}")
    seen, after = [], ""
    since = timezone.now().isoformat().replace("+", "%2B")
    while True:
        page = peer.call("GET", f"/wantong/processes?since={since}&after={after.replace(' ', '%20')}").json()
        assert len(page["processes"]) <= 3
        seen += page["processes"]
        after = page.get("next", "")
        if not after:
            break
    assert [e["pid"] for e in seen] == sorted(Transfer.objects.values_list("pid", flat=True))
    assert {e["counterpartPid"] for e in seen} == {f"urn:theirs:{n}" for n in range(7)}
    stranger = make_peer("mo.test.example")
    assert stranger.call("GET", f"/wantong/processes?since={since}").json() == {"processes": []}
    assert stranger.call("GET", "/wantong/processes?since=yesterday").status_code == 400
    assert peer.client.get(f"/wantong/processes?since={since}").status_code == 401


def test_an_agreement_that_its_provider_takes_back_cannot_be_used(peer, make_peer, drain, told):
    told.append(agreed_entry(peer, "urn:data:theirs", PROVIDER))
    back(drain)
    other_peer = make_peer("mo.test.example")
    assert other_peer.call("POST", f"/wantong/negotiations/{PID}/void", {}).status_code == 404
    assert Negotiation.objects.get(pid=PID).state == "FINALIZED"
    assert peer.call("POST", f"/wantong/negotiations/{PID}/void", {}).status_code == 200
    assert peer.call("POST", f"/wantong/negotiations/{PID}/void", {}).status_code == 200
    assert Negotiation.objects.get(pid=PID).state == "TERMINATED"
    with pytest.raises(services.UnknownProcess):
        services.request_transfer(CLERK, "urn:agreement:1")


def _listen(peer, told):
    """Put the list of shared processes before whatever the peer answers by now."""
    before = peer.script

    def script(path, body):
        if found := re.match(r"/wantong/processes\?.*after=(\d*)", path):
            at = int(found[1] or 0)
            more = {"next": str(at + 1)} if at + 1 < len(told) else {}
            return 200, {"processes": told[at : at + 1], **more}
        return before(path, body)

    peer.script = script
