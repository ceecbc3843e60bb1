"""The 65 cases of the Dataspace Protocol conformance kit 1.0.1, told as scripts and played here without Java.

Each case is a list of steps of the counterparty: ``request`` … send that message and expect success; ``!kind`` send
it and expect a refusal that is not 404; ``<Type`` the node has sent this message by itself; ``=STATE`` the node,
asked, is in that state. The case ids are those of the kit (dsp-tck, Apache-2.0); the kit itself, with Java, is run
by ``make conformance``.
"""

from __future__ import annotations

import pytest
from tests.border.exchange.scripted import seed

from wantong.border.exchange import conduct, schemas, services, terms
from wantong.border.exchange.messages import TYPES
from wantong.border.exchange.models import Negotiation, Transfer
from wantong.ground.actors import Actor

pytestmark = pytest.mark.django_db(transaction=True)

OFFICER = Actor("user:officer", "Officer", frozenset({"approver", "declarer"}))
CONTEXT = ["https://w3id.org/dspace/2025/1/context.jsonld"]

PROVIDER_NEGOTIATIONS = {
    "0101": "request <offer =OFFERED termination =TERMINATED",
    "0102": "request <offer =OFFERED counter <termination =TERMINATED",
    "0103": "request <offer =OFFERED accepted <agreement =AGREED verification <finalized =FINALIZED",
    "0104": "request <agreement =AGREED verification <finalized =FINALIZED",
    "0201": "request <termination =TERMINATED",
    "0202": "request termination =TERMINATED",
    "0203": "request <agreement =AGREED termination =TERMINATED",
    "0204": "request <offer =OFFERED termination =TERMINATED",
    "0205": "request <offer <termination =TERMINATED",
    "0206": "request <offer accepted <termination =TERMINATED",
    "0207": "request <agreement verification <termination =TERMINATED",
    "0301": "request <agreement verification <finalized =FINALIZED !termination =FINALIZED",
    "0302": "request <offer =OFFERED !verification =OFFERED",
    "0303": "request <offer accepted =ACCEPTED !verification =ACCEPTED",
    "0304": "request <offer =OFFERED counter =REQUESTED !counter =REQUESTED",
}
CONSUMER_NEGOTIATIONS = {
    "0101": "<request offer <accepted =ACCEPTED agreement <verification =VERIFIED finalized =FINALIZED",
    "0102": "<request offer <request =REQUESTED termination =TERMINATED",
    "0103": "<request offer <termination =TERMINATED",
    "0104": "<request agreement <verification =VERIFIED finalized =FINALIZED",
    "0201": "<request =REQUESTED termination =TERMINATED",
    "0202": "<request <termination =TERMINATED",
    "0203": "<request agreement <termination =TERMINATED",
    "0204": "<request offer =OFFERED termination =TERMINATED",
    "0205": "<request offer <accepted termination =TERMINATED",
    "0206": "<request agreement <verification =VERIFIED termination =TERMINATED",
    "0301": "<request =REQUESTED !finalized =REQUESTED",
    "0302": "<request offer =OFFERED !agreement =OFFERED",
    "0303": "<request offer =OFFERED !finalized =OFFERED",
    "0304": "<request offer <accepted =ACCEPTED !finalized =ACCEPTED",
    "0305": "<request offer <accepted =ACCEPTED !offer =ACCEPTED",
    "0306": "<request offer <accepted agreement =AGREED !finalized =AGREED",
}
PROVIDER_TRANSFERS = {
    "0101": "request <start <termination =TERMINATED",
    "0102": "request <start <completion =COMPLETED",
    "0103": "request <start <suspension <termination =TERMINATED",
    "0104": "request <start <suspension <start <completion =COMPLETED",
    "0105": "request <termination =TERMINATED",
    "0201": "request <start =STARTED termination =TERMINATED",
    "0202": "request <start =STARTED completion =COMPLETED",
    "0203": "request <start =STARTED suspension =SUSPENDED termination =TERMINATED",
    "0205": "request =REQUESTED termination =TERMINATED",
    "0301": "request =REQUESTED !completion =REQUESTED",
    "0302": "request =REQUESTED !suspension =REQUESTED",
    "0303": "request <start =STARTED suspension =SUSPENDED !completion =SUSPENDED",
    "0304": "request <start =STARTED termination =TERMINATED !start =TERMINATED",
    "0305": "request <start =STARTED termination =TERMINATED !suspension =TERMINATED",
    "0306": "request <start =STARTED termination =TERMINATED !completion =TERMINATED",
}
CONSUMER_TRANSFERS = {
    "0101": "<request start =STARTED termination =TERMINATED",
    "0102": "<request start =STARTED completion =COMPLETED",
    "0103": "<request start =STARTED suspension =SUSPENDED termination =TERMINATED",
    "0104": "<request start =STARTED suspension =SUSPENDED start =STARTED completion =COMPLETED",
    "0105": "<request termination =TERMINATED",
    "0201": "<request start <termination =TERMINATED",
    "0202": "<request start <completion =COMPLETED",
    "0203": "<request start <suspension <termination =TERMINATED",
    "0205": "<request <termination =TERMINATED",
    "0301": "<request =REQUESTED !completion =REQUESTED",
    "0302": "<request =REQUESTED !suspension =REQUESTED",
    "0303": "<request start suspension =SUSPENDED !completion =SUSPENDED",
    "0304": "<request start termination =TERMINATED !start =TERMINATED",
    "0305": "<request start termination =TERMINATED !suspension =TERMINATED",
    "0306": "<request start termination =TERMINATED !completion =TERMINATED",
}
CASES = [
    (f"{prefix}{number}", family, role, steps)
    for prefix, family, role, cases in (
        ("ACN", "negotiations", "provider", PROVIDER_NEGOTIATIONS),
        ("ACNC", "negotiations", "consumer", CONSUMER_NEGOTIATIONS),
        ("ATP", "transfers", "provider", PROVIDER_TRANSFERS),
        ("ATPC", "transfers", "consumer", CONSUMER_TRANSFERS),
    )
    for number, steps in cases.items()
]


def test_no_case_is_forgotten():
    assert len(CASES) + len(("CAT:01-01", "CAT:01-02", "CAT:01-03", "MET:01-01")) == 65


class Play:
    """One case: what the counterparty knows while it is played."""

    def __init__(self, peer, name, family, role, drain):
        self.peer, self.name, self.family, self.role, self.drain = peer, name, family, role, drain
        self.heard = 0
        self.ours, self.theirs = "", "urn:tck:1"
        self.offer = terms.request(terms.offer(f"CD123:{name}:456"), name, "")

    def run(self, steps: str) -> None:
        if self.role == "consumer":
            self.trigger()
        for step in steps.split():
            self.drain()
            if step[0] == "<":
                self.hear(step[1:])
            elif step[0] == "=":
                assert self.peer.state(self.family, self.ours) == step[1:], step
            else:
                self.say(step.lstrip("!"), refused=step[0] == "!")
        self.drain()
        assert self.heard == len(self.peer.received), "the node has said more than the script asks for"

    def trigger(self) -> None:
        if self.family == "negotiations":
            row = services.negotiate(
                OFFICER, self.peer.participant_id, self.name, terms.offer(f"offer{self.name}")
            )
        else:
            row = services.request_transfer(OFFICER, self.name)
        self.ours, self.theirs = row.pid, "urn:theirs:1" if self.family == "negotiations" else "urn:theirs:t1"

    def hear(self, kind: str) -> None:
        path, message = self.peer.received[self.heard]
        self.heard += 1
        schemas.check(message, TYPES[self.family, kind])
        assert message["@type"] == TYPES[self.family, kind]
        if message["@type"] == "ContractNegotiationEventMessage":
            assert message["eventType"] == kind.upper()
        if kind == "request":
            assert ("callbackAddress" in message) != ("providerPid" in message) or self.family == "transfers"
            assert path.endswith("/request")
        else:
            assert self.theirs in path

    def say(self, kind: str, *, refused: bool) -> None:
        message, path = self.message("request" if kind == "counter" else kind, first=kind == "request")
        schemas.check(message, message["@type"])
        answer = self.peer.post(path, message)
        if refused:
            assert 400 <= answer.status_code < 500 and answer.status_code != 404, answer.content
            schemas.check(
                answer.json(),
                {"negotiations": "ContractNegotiationError", "transfers": "TransferError"}[self.family],
            )
        elif kind == "request":
            assert answer.status_code == 201, answer.content
            schemas.check(
                answer.json(),
                {"negotiations": "ContractNegotiation", "transfers": "TransferProcess"}[self.family],
            )
            self.ours = answer.json()["providerPid"]
            assert answer.json()["state"] == "REQUESTED"
        else:
            assert answer.status_code == 200, answer.content

    def message(self, kind: str, *, first: bool):
        body = {"@context": CONTEXT, "@type": TYPES[self.family, kind]}
        provider, consumer = (self.ours, self.theirs) if self.role == "provider" else (self.theirs, self.ours)
        body |= {"consumerPid": consumer} if first else {"providerPid": provider, "consumerPid": consumer}
        end = {
            "offer": "offers",
            "verification": "agreement/verification",
            "accepted": "events",
            "finalized": "events",
        }
        path = (
            f"/{self.family}/{end.get(kind, kind)}"
            if first
            else f"/{self.family}/{self.ours}/{end.get(kind, kind)}"
        )
        if kind in ("accepted", "finalized"):
            body["eventType"] = kind.upper()
        if kind in ("request", "offer") and self.family == "negotiations":
            body["offer"] = self.offer
            if self.role == "consumer":
                body["offer"] = {**self.offer, "target": self.name}
        if kind == "agreement":
            body["agreement"] = {
                "@id": "urn:agreement:1", "@type": "Agreement", "target": self.name, "assigner": "TCK",
                "assignee": "CUT", "timestamp": "2026-01-01T00:00:00Z", "permission": [{"action": "use"}],
            }  # fmt: skip
        if kind == "request" and self.family == "transfers":
            body |= {"agreementId": self.name, "format": "HttpData-PULL"}
        if kind == "start" and self.role == "consumer":
            body["dataAddress"] = {
                "@type": "DataAddress",
                "endpointType": "HTTP",
                "endpoint": "http://example.com",
            }
        if first:
            body["callbackAddress"] = self.peer.base
        return body, path


@pytest.fixture
def scripted(settings):
    settings.WANTONG_CONDUCT = "tests.border.exchange.scripted.Scripted"
    conduct._conduct.cache_clear()
    yield
    conduct._conduct.cache_clear()


@pytest.mark.parametrize(("name", "family", "role", "steps"), CASES, ids=[case[0] for case in CASES])
def test_case(peer, scripted, drain, name, family, role, steps):
    seed(name, peer.row)
    Play(peer, name, family, role, drain).run(steps)
    assert (Negotiation if family == "negotiations" else Transfer).objects.count() == 1


def test_catalogue_dataset_and_metadata(peer, client):
    seed("CAT0101", peer.row)
    asked = {"@context": CONTEXT, "@type": "CatalogRequestMessage"}
    catalog = peer.post("/catalog/request", asked).json()
    schemas.check(catalog, "Catalog")
    assert [entry["@id"] for entry in catalog["dataset"]] == ["CAT0101"]
    found = peer.call("GET", "/dsp/2025-1/catalog/datasets/CAT0101")
    schemas.check(found.json(), "Dataset")
    missing = peer.call("GET", "/dsp/2025-1/catalog/datasets/CAT0103")
    assert missing.status_code == 404
    schemas.check(missing.json(), "CatalogError")
    versions = client.get("/.well-known/dspace-version").json()
    schemas.check(versions, "Version")
    assert [entry["version"] for entry in versions["protocolVersions"]] == ["2025-1"]
