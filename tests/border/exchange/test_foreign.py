"""Connectors of another make: what an Eclipse connector does differently, told by a counterparty of our own.

Each of these was found with the real one (``conformance/edc``).
"""

from __future__ import annotations

import hashlib
import re
import time
from pathlib import Path

import pytest
from tests.border.exchange import test_negotiation as negotiation
from tests.border.exchange.test_download import PAYLOAD, server
from tests.border.exchange.test_transfer import (
    CLERK,
    CSV,
    FACTS,
    OFFICER,
    agree,
    message,
    nothing_is_kept,
    release,
    request,
    settle,
)

from wantong.border.exchange import catalogue, discovery, download, messages, services, terms
from wantong.border.exchange.models import Agreement, Message, ReceivedDataset, Transfer
from wantong.border.exchange.problems import PeerMisbehaves, PeerUnreachable
from wantong.border.gate.declarations import services as gate
from wantong.border.gate.declarations.models import Declaration, Holding
from wantong.border.trust import tokens
from wantong.border.trust.models import Peer
from wantong.border.trust.verifiers import Caller
from wantong.ground.outbox.models import Event

EDC = "https://w3id.org/edc/v0.0.1/ns/"
PERSONS = "name,id_card\n" + "".join(f"李雷,{n}\n" for n in ("11010519491231002X", "440524188001010014"))


class Believe:
    """The scheme of a peer that proves nothing."""

    def sign(self, peer, request, message_id):
        return f"Bearer for-{peer.participant_id}"

    def verify(self, authorization, request):
        name = tokens.issuer(authorization.removeprefix("Bearer "))
        return Caller(Peer.objects.get(participant_id=name))


@pytest.fixture
def foreign(peer, settings):
    """The counterparty as an introduced connector."""
    settings.WANTONG_SCHEMES = {"believe": f"{__name__}.Believe"}
    Peer.objects.filter(pk=peer.row.pk).update(
        protocol_key={}, log_vkey="", witness_vkey="", scheme="believe", protocol_url=peer.url + "/dsp/2025-1"
    )
    peer.row.refresh_from_db()
    assert peer.row.foreign
    return peer


# --- the catalogue ----------------------------------------------------------------------------------------------


def everything(**more):
    return [
        {"@type": "QuerySpec", "limit": 50, "offset": 0, "sortOrder": "ASC", "filterExpression": [], **more}
    ]


def test_a_filter_without_a_condition_only_pages():
    assert catalogue.span([], 50) == (0, 50)
    assert catalogue.span(everything(), 50) == (0, 50)
    assert catalogue.span(everything(offset=7, limit=3), 50) == (7, 3)
    assert catalogue.span(everything(limit=10**6), 50) == (0, 50)


@pytest.mark.parametrize(
    "filters",
    [
        everything(filterExpression=[{"operandLeft": "id", "operator": "=", "operandRight": "x"}]),
        everything(sortField="id"),
        everything(offset=-1),
        everything(limit=0),
        everything(limit=True),
        everything(offset="0"),
        everything() * 2,
        [{"@type": "Other"}],
        ["x"],
    ],
)
def test_a_filter_that_chooses_is_none_of_ours(filters):
    with pytest.raises(ValueError):
        catalogue.span(filters, 50)


@pytest.mark.django_db(transaction=True)
def test_the_catalogue_is_paged_as_an_eclipse_connector_asks(peer, publish):
    for n in range(5):
        publish(f"urn:d:{n}", b"day,arrivals\n%d,1\n" % n)
    asked = {"@context": messages.CONTEXT, "@type": "CatalogRequestMessage"}

    def ids(answer):
        assert answer.status_code == 200, answer.content
        return [entry["@id"] for entry in answer.json().get("dataset", ())]

    asked["@context"] = [messages.CONTEXT]
    whole = peer.post("/catalog/request", {**asked, "filter": everything()})
    assert ids(whole) == [f"urn:d:{n}" for n in range(5)]
    page = {**asked, "filter": everything(offset=1, limit=2)}
    second = peer.post("/catalog/request", page)
    assert ids(second) == ["urn:d:1", "urn:d:2"]
    # who follows the link asks the same question again: the offset is not taken twice
    follow = re.search(r'<[^>]*/dsp/2025-1([^>]*)>; rel="next"', second["Link"])[1]
    assert ids(peer.post(follow, page)) == ["urn:d:3", "urn:d:4"]


@pytest.mark.parametrize(
    ("said", "title"),
    [
        (
            {"dct:title": [{"@language": "pt", "@value": "Passageiros"}]},
            {"pt": "Passageiros"},
        ),
        ({}, {"en": "urn:d"}),
        ({"dct:title": 7}, {"en": "urn:d"}),
    ],
)
def test_a_dataset_without_a_dcat_title_is_called_by_its_id(said, title):
    assert catalogue.read({"@id": "urn:d", "hasPolicy": [], **said})["title"] == title


# --- where it speaks --------------------------------------------------------------------------------------------


def versions(*entries):
    return {"protocolVersions": [{"version": v, "path": p, "binding": "HTTPS"} for v, p in entries]}


@pytest.mark.django_db(transaction=True)
def test_a_connector_is_introduced_by_the_versions_it_tells(make_peer, settings):
    settings.WANTONG_SCHEMES = {"believe": f"{__name__}.Believe"}
    there = make_peer("stand-in")
    there.script = lambda path, body: (200, versions(("v0.8", "/"), ("2025-1", "/2025-1")))
    row = services.introduce(
        OFFICER,
        "edc.example",
        jurisdiction="mo",
        url=there.url + "/protocol/",
        data_url=there.url + "/public",
        scheme="believe",
    )
    assert there.received == [("/protocol/.well-known/dspace-version", None)]
    assert row.protocol_url == f"{there.url}/protocol/2025-1" and row.foreign
    there.script = lambda path, body: (200, {"@context": [messages.CONTEXT], "@type": "Catalog", "@id": "c", "participantId": "edc.example"})  # fmt: skip
    assert list(services.request_catalog("edc.example")) == []
    assert there.received[-1][0] == "/protocol/2025-1/catalog/request"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ((200, versions(("v0.8", "/"))), "other-version"),
        ((404, {}), "no-versions"),
        ((200, b"<html>"), "no-versions"),
        ((200, {"protocolVersions": "2025-1"}), "no-versions"),
        ((200, []), "no-versions"),
        ((302, {}), "no-versions"),
    ],
)
def test_who_does_not_speak_our_version_is_not_introduced(peer, answer, why):
    peer.script = lambda path, body: answer
    with pytest.raises(PeerMisbehaves) as refused:
        discovery.protocol_url("edc.example", peer.url)
    assert refused.value.params["reason"] == why


def test_who_does_not_answer_is_not_introduced():
    with pytest.raises(PeerUnreachable) as refused:
        discovery.protocol_url("edc.example", "http://127.0.0.1:9")
    assert refused.value.params["reason"] == "unreachable" and "ConnectError" in str(refused.value)


# --- the data address -------------------------------------------------------------------------------------------


def theirs(endpoint, token="t"):
    """A data address as an Eclipse connector writes it."""
    said = {"endpoint": endpoint, "authorization": token, "authType": "bearer"}
    return {
        "@type": "DataAddress",
        "endpointType": messages.ENDPOINT_TYPE,
        "endpointProperties": [
            {"@type": "EndpointProperty", "name": EDC + name, "value": value} for name, value in said.items()
        ],
    }


def test_a_data_address_is_understood_and_written_in_both_ways():
    assert messages.endpoint_of(theirs("https://edc.example/public", "x")) == (
        "https://edc.example/public",
        "x",
    )
    ours = messages.data_address("https://us.example/data/1", "y", foreign=True)
    assert messages.endpoint_of(ours) == ("https://us.example/data/1", "y")
    del ours["endpoint"]
    ours["endpointProperties"] = [p for p in ours["endpointProperties"] if p["name"].startswith(EDC)]
    assert messages.endpoint_of(ours) == ("https://us.example/data/1", "y"), "what an Eclipse connector reads"


# --- a payload that nobody announced ----------------------------------------------------------------------------


def get(url, part, deadline=5.0, largest=1 << 30, **more):
    return download.fetch_unannounced(
        url, "token", part, largest=largest, deadline=time.monotonic() + deadline, **more
    )


def whole(body=PAYLOAD, extra="", cut=None, bare=False):
    def answer(connection, asked):
        if bare and "Authorization: token\r\n" not in asked:
            connection.sendall(b"HTTP/1.1 403 F\r\nContent-Length: 0\r\n\r\n")
            return
        head = f"HTTP/1.1 200 O\r\nContent-Type: text/csv; charset=x\r\n{extra}Content-Length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode() + body[:cut])

    return answer


@pytest.mark.parametrize("bare", [False, True])
def test_an_unannounced_payload_is_fetched_with_either_form_of_token(tmp_path, bare):
    with server(whole(bare=bare)) as (url, requests):
        assert get(url + "?a=b", tmp_path / "part") == "text/csv"
    assert (tmp_path / "part").read_bytes() == PAYLOAD
    assert len(requests) == 1 + bare and requests[0].startswith("GET /data/t?a=b ")


def test_without_an_entity_tag_a_cut_payload_is_fetched_from_the_beginning(tmp_path):
    part = tmp_path / "part"
    with server(whole(cut=1000)) as (url, _), pytest.raises(download.Cut):
        get(url, part)
    with server(whole()) as (url, requests):
        assert get(url, part) == "text/csv"
    assert "Range" not in requests[0] and part.read_bytes() == PAYLOAD


@pytest.mark.parametrize("changed", [False, True])
def test_with_an_entity_tag_it_goes_on_unless_it_has_changed(tmp_path, changed):
    part, tag = tmp_path / "part", 'ETag: "v1"\r\n'
    with server(whole(extra=tag, cut=1000)) as (url, _), pytest.raises(download.Cut):
        get(url, part)
    new = PAYLOAD[::-1]

    def rest(connection, asked):
        assert 'Range: bytes=1000-\r\nIf-Range: "v1"' in asked
        head = f"HTTP/1.1 206 P\r\nContent-Type: text/csv\r\nContent-Range: bytes 1000-/x\r\nContent-Length: {len(PAYLOAD) - 1000}\r\n\r\n"
        connection.sendall(head.encode() + PAYLOAD[1000:])

    with server(whole(new, 'ETag: "v2"\r\n') if changed else rest) as (url, _):
        assert get(url, part) == "text/csv"
    assert part.read_bytes() == (new if changed else PAYLOAD)


def test_an_unannounced_payload_is_bounded(tmp_path):
    part = tmp_path / "part"
    with server(whole()) as (url, _):
        with pytest.raises(download.Lie):
            get(url, part, largest=len(PAYLOAD) - 1)
        assert get(url, part, deadline=-1.0) is None
    for status, error in ((401, download.Denied), (410, download.Gone), (302, download.Lie)):
        refusal = (
            f"HTTP/1.1 {status} X\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n".encode()
        )
        with server(lambda c, asked, r=refusal: c.sendall(r)) as (url, _), pytest.raises(error):
            get(url, part)


# --- negotiating ------------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_two_that_are_quicker_than_each_others_answers_come_to_the_same_end(foreign, publish, drain):
    """Eclipse's connector stores that it has verified after our answer; if our word that all is final is there before,
    it answers 409 and verifies once more. It took a refusal for the end, and so did we.
    """
    body = negotiation.request(foreign, publish())
    pid = foreign.post("/negotiations/request", body).json()["providerPid"]
    drain()
    answers = iter([(409, {"reason": ["cannot be finalized"]}), (200, {})])
    foreign.script = lambda path, told: next(answers)
    verification = message("ContractAgreementVerificationMessage", pid, body["consumerPid"])
    url = f"/negotiations/{pid}/agreement/verification"
    assert foreign.post(url, verification).status_code == 200
    drain()
    assert foreign.post(url, verification).status_code == 200
    assert foreign.post(url, {**verification, "more": 1}).status_code == 400, "another one is too late"
    Event.objects.filter(topic="dsp.send", state="due").update(available_at="2000-01-01T00:00Z")
    drain()
    assert foreign.kinds()[-2:] == ["ContractNegotiationEventMessageFINALIZED"] * 2
    assert foreign.state("negotiations", pid) == "FINALIZED" and Agreement.objects.count() == 1
    sent = Message.objects.get(pid=pid, outgoing=True, kind="finalized")
    assert sent.status == Message.Status.SENT


@pytest.mark.django_db(transaction=True)
def test_what_is_refused_for_good_ends_it(foreign, publish, drain):
    pid = foreign.post("/negotiations/request", negotiation.request(foreign, publish())).json()["providerPid"]
    foreign.script = lambda path, told: (409 if path.endswith("/agreement") else 200, {})
    for _ in range(8):
        Event.objects.filter(topic="dsp.send", state="due").update(available_at="2000-01-01T00:00Z")
        drain()
    assert foreign.state("negotiations", pid) == "TERMINATED"
    assert sum(path.endswith("/agreement") for path, _ in foreign.received) == 4


# --- through both gates -----------------------------------------------------------------------------------------


def fetched_from(foreign, drain, rows, endpoint="/data/x"):
    """Ask an introduced connector for ``rows`` and let it start the transfer."""
    policy = terms.agreement(
        "urn:agreement:1", terms.offer("x"), target="passengers", assigner=foreign.participant_id,
        assignee="gd.test.example", at=Declaration._meta.get_field("created_at").default(),
    )  # fmt: skip
    Agreement.objects.create(
        id="urn:agreement:1", role="consumer", peer=foreign.row, dataset_id="passengers", policy=policy
    )
    foreign.script = lambda path, body: (
        (200, rows, {"Content-Type": "text/csv"}) if path.startswith("/data/") else None
    )
    process = services.request_transfer(CLERK, "urn:agreement:1")
    drain()
    start = message("TransferStartMessage", "urn:theirs:t1", process.pid, dataAddress=theirs(foreign.url + endpoint))  # fmt: skip
    assert foreign.post(f"/transfers/{process.pid}/start", start).status_code == 200
    settle(drain)
    process.refresh_from_db()
    return process


@pytest.mark.django_db(transaction=True)
def test_what_a_foreign_connector_sends_goes_through_our_gate(foreign, drain):
    process = fetched_from(foreign, drain, CSV)
    assert process.state == "COMPLETED" and foreign.kinds()[-1] == "TransferCompletionMessage"
    assert foreign.received[0][0] == "/dsp/2025-1/transfers/request"
    assert foreign.tokens[0] == f"for-{foreign.participant_id}"
    assert ReceivedDataset.objects.get().sha256 == hashlib.sha256(CSV).hexdigest()
    assert Path(Holding.objects.get().path).read_bytes() == CSV


@pytest.mark.django_db(transaction=True)
def test_personal_data_without_papers_waits_for_a_person(foreign, drain, node):
    process = fetched_from(foreign, drain, PERSONS.encode())
    held = Declaration.objects.get()
    assert process.state == "STARTED" and held.state == "held", (process.reason, held.state)
    assert [need["id"] for need in held.waiting_for] == ["question:is_personal"]
    assert not Holding.objects.exists() and not ReceivedDataset.objects.exists()
    gate.act(OFFICER, held.id, "explain", "the sender has shown his papers", requirements=["question:is_personal"])  # fmt: skip
    drain()
    process.refresh_from_db()
    assert process.state == "COMPLETED" and Holding.objects.exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:9/data/x", "@evil.example/data/x"])
def test_a_foreign_data_address_lies_at_the_introduced_data_plane(foreign, drain, node, endpoint):
    Peer.objects.filter(pk=foreign.row.pk).update(data_url=foreign.url + "/data")
    process = fetched_from(foreign, drain, CSV, endpoint)
    assert process.state == "TERMINATED" and nothing_is_kept(node, process)


@pytest.mark.django_db(transaction=True)
def test_open_data_goes_to_a_foreign_connector_in_words_it_understands(foreign, publish, drain):
    dataset = publish(facts=FACTS)
    release(dataset)
    pid = request(foreign, agree(foreign, dataset)).json()["providerPid"]
    drain()
    start = foreign.received[-1][1]
    assert start["@type"] == "TransferStartMessage"
    names = {item["name"] for item in start["dataAddress"]["endpointProperties"]}
    assert {EDC + "endpoint", EDC + "authorization", "authorization"} <= names
    assert Transfer.objects.get(pid=pid).state == "STARTED"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("facts", [{**FACTS, "is_personal": True}, {"from_area": "gba9", "to_area": "hk"}])
def test_personal_data_never_goes_to_a_foreign_connector(foreign, publish, drain, facts):
    dataset = publish(facts=facts)
    release(dataset)
    pid = request(foreign, agree(foreign, dataset)).json()["providerPid"]
    drain()
    process = Transfer.objects.get(pid=pid)
    assert process.state == "TERMINATED" and "duties" in process.reason
    assert not Declaration.objects.exists()
