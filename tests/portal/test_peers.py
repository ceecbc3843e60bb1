"""Another node's catalogue on a page: what it offers, in words; asking for it; and peers that are dead or lie."""

from __future__ import annotations

import json
import socket
import threading
import time

import pytest
from django.test import Client
from tests.border.exchange.conftest import make_peer, peer  # noqa: F401 - fixtures
from tests.ground.test_turns import all_taken
from tests.portal import counterparty
from tests.portal.seeded import PASSWORD

from wantong.border.exchange.models import Negotiation, Transfer
from wantong.ground.i18n import LANGUAGES
from wantong.portal.services import make_operator
from wantong.portal.views import peers

pytestmark = pytest.mark.django_db(transaction=True)
BROWSER = {"HTTP_ACCEPT": "text/html,application/xhtml+xml"}
HK = "hk.test.example"


@pytest.fixture
def declarer() -> Client:
    return signed_in("chan", "declarer")


def signed_in(name: str, *roles: str) -> Client:
    make_operator(name, roles, PASSWORD)
    client = Client()
    assert client.login(username=name, password=PASSWORD)
    return client


@pytest.fixture
def offering(peer):  # noqa: F811
    """The peer offers two datasets."""

    def script(path, body):
        if path.endswith("/catalog/request"):
            page = {"@context": counterparty.CONTEXT, "@id": "c", "@type": "Catalog", "participantId": HK}
            return 200, {**page, "dataset": list(counterparty.DATASETS.values())}
        for identifier, told in counterparty.DATASETS.items():
            if path.endswith(f"/catalog/datasets/{identifier.replace(':', '%3A')}"):
                return 200, {"@context": counterparty.CONTEXT, **told}
        return (404, {}) if "/catalog/datasets/" in path else None

    peer.script = script
    return peer


def catalogue(client: Client, lang: str = "en", query: str = ""):
    return client.get(f"/{lang}/peers/{HK}/catalogue{query}", **BROWSER)


def dataset(client: Client, lang: str = "en", identifier: str = "urn:mo:hotel-nights"):
    return client.get(f"/{lang}/peers/{HK}/catalogue/{identifier}", **BROWSER)


def test_a_peer_s_datasets_are_listed_and_searched(offering, declarer):
    body = catalogue(declarer, "zh-hant").content.decode()
    assert "酒店入住統計" in body and "交換生" in body and "48.2" in body
    assert "酒店入住統計" not in catalogue(declarer, "zh-hant", "?q=ESTUDANTES").content.decode()
    told = declarer.get(f"/en/peers/{HK}/catalogue.json").json()
    assert [d["id"] for d in told["datasets"]] == ["urn:mo:hotel-nights", "urn:mo:students"]


@pytest.mark.parametrize("lang", LANGUAGES)
def test_its_terms_are_said_in_words(offering, declarer, lang):
    body = dataset(declarer, lang).content.decode()
    said = {
        "zh-hans": ("仅限下列用途之一：规划、联合科研", "截至 2027-12-31", "仅限字段：month、rooms", "分发"),
        "zh-hant": ("只限下列用途之一：規劃、聯合科研", "截至 2027-12-31", "只限欄位：month、rooms", "分發"),
        "en": ("only for one of these purposes: Planning; Joint research", "until 2027-12-31", "only the fields month; rooms", "distribute"),
        "pt": ("só para uma destas finalidades: Planeamento; Investigação conjunta", "até 2027-12-31", "só os campos month; rooms", "distribuir"),
    }  # fmt: skip
    for text in said[lang]:
        assert text in body, text
    assert "isAnyOf" not in body and "leftOperand" not in body and "⟦" not in body


def test_asking_begins_the_negotiation_a_consumer_begins(offering, declarer):
    answer = declarer.post(
        f"/en/peers/{HK}/catalogue/urn:mo:hotel-nights",
        {"offer": "urn:mo:hotels:research", "purpose": "joint_research", "field": ["rooms", "nonsense"]},
        **BROWSER,
    )
    row = Negotiation.objects.get()
    assert answer.status_code == 302 and answer["Location"] == f"/en/negotiations/{row.pid}"
    assert row.role == "consumer" and row.begun_by == "user:chan" and row.title["pt"] == "Dormidas em hotéis"
    assert row.offer["@id"] == "urn:mo:hotels:research" and row.offer["target"] == "urn:mo:hotel-nights"
    limits = row.offer["permission"][0]["constraint"]
    assert limits[1:] == [
        {"leftOperand": "purpose", "operator": "eq", "rightOperand": "joint_research"},
        {"leftOperand": counterparty.FIELD, "operator": "isAnyOf", "rightOperand": ["rooms"]},
    ]
    page = declarer.get(answer["Location"], **BROWSER).content.decode()
    assert "only the fields rooms" in page and "Hotel nights" in page


def test_an_agreement_is_followed_by_the_data(offering, declarer):
    from wantong.border.exchange.models import Agreement

    row = Negotiation.objects.create(
        pid="urn:uuid:1", role="consumer", peer=offering.row, address=offering.base, begun_by="user:chan",
        dataset_id="urn:mo:students", offer={**counterparty.PLAIN, "target": "urn:mo:students"}, state="FINALIZED",
        agreement_id="urn:a",
    )  # fmt: skip
    Agreement.objects.create(
        id="urn:a",
        negotiation=row,
        role="consumer",
        peer=offering.row,
        dataset_id=row.dataset_id,
        policy=counterparty.PLAIN,
    )
    page = declarer.get("/pt/negotiations/urn:uuid:1", **BROWSER).content.decode()
    assert "Ir buscar os dados" in page
    assert declarer.post("/pt/negotiations/urn:uuid:1", {"act": "fetch"}, **BROWSER).status_code == 302
    asked = Transfer.objects.get()
    assert asked.agreement_id == "urn:a" and asked.begun_by == "user:chan"
    assert asked.id in declarer.get("/pt/negotiations/urn:uuid:1", **BROWSER).content.decode()


def test_an_auditor_reads_and_asks_for_nothing(offering):
    auditor = signed_in("wu", "auditor")
    body = dataset(auditor).content.decode()
    assert "Planning" in body and '<form method="post">' not in body
    answer = auditor.post(f"/en/peers/{HK}/catalogue/urn:mo:students", {"purpose": "x"}, **BROWSER)
    assert answer.status_code == 403 and not Negotiation.objects.exists()


def test_strangers_see_nothing_and_cause_no_calls(offering):
    assert catalogue(Client()).status_code == 302
    assert Client().get(f"/en/peers/{HK}/catalogue.json").status_code == 401
    assert offering.received == []
    strict = Client(enforce_csrf_checks=True)
    make_operator("chan", ["declarer"], PASSWORD)
    assert strict.login(username="chan", password=PASSWORD)
    assert strict.post(f"/en/peers/{HK}/catalogue/urn:mo:students", {}).status_code == 403


def test_who_is_no_peer_and_what_is_no_dataset(offering, declarer):
    assert declarer.get("/en/peers/nobody.example/catalogue", **BROWSER).status_code == 404
    answer = dataset(declarer, "en", "urn:mo:nothing")
    assert answer.status_code == 404 and "There is no such dataset" in answer.content.decode()


def test_a_dead_peer_is_said_in_every_language(peer, declarer):  # noqa: F811
    peer.row.url = "http://127.0.0.1:9"
    peer.row.save()
    words = {"zh-hans": "没有响应", "zh-hant": "沒有回應", "en": "does not answer", "pt": "não responde"}
    for lang in LANGUAGES:
        for answer in (catalogue(declarer, lang), dataset(declarer, lang)):
            assert answer.status_code == 502 and words[lang] in answer.content.decode()


@pytest.mark.parametrize(
    "told",
    [
        (200, b"<html>"), (200, {"@type": "Catalog"}), (500, {}), (302, b""), (200, b"[" * 100_000), (403, {"reason": ["no"]}),
        (200, b"x" * (5 << 20)),
    ],
)  # fmt: skip
def test_a_peer_that_lies_is_a_notice_on_the_page(peer, declarer, told):  # noqa: F811
    peer.script = lambda path, body: told
    for answer in (catalogue(declarer), dataset(declarer)):
        assert answer.status_code == 502
        assert "govuk-error-summary" in answer.content.decode()


def strange(**more):
    """A dataset that fits the protocol's schema and is nonsense everywhere else."""
    return counterparty.described(
        "urn:strange", {}, [{"@id": "o", "@type": "Offer", "permission": [{"action": "odrl:use", **more}]}],
        **{
            "dct:title": 5, "dct:description": {"@value": ["x"]}, "dct:publisher": ["x"], "dcat:theme": {"a": 1},
            "wantong:field": [5, {"name": 3}, {"name": "<script>alert(1)</script>", "title": 7, "type": {}}, {"name": "n" * 9999}],
            "wantong:grade": ["x"], "dct:license": {"javascript": "alert(1)"},
        },
    )  # fmt: skip


def test_nonsense_inside_a_valid_message_breaks_nothing(peer, declarer):  # noqa: F811
    entry = strange(
        constraint=[
            {
                "leftOperand": "https://example.org/x#moon",
                "operator": "eq",
                "rightOperand": {"@value": "<b>"},
            }
        ]
    )
    entry["distribution"][0]["dcat:byteSize"] = 10**400
    page = {"@context": counterparty.CONTEXT, "@id": "c", "@type": "Catalog", "participantId": HK}
    peer.script = lambda path, body: (
        (200, {**page, "dataset": [entry]})
        if path.endswith("request")
        else (200, {"@context": counterparty.CONTEXT, **entry})
    )
    listed, shown = catalogue(declarer), dataset(declarer, "en", "urn:strange")
    assert listed.status_code == shown.status_code == 200
    body = shown.content.decode()
    assert "moon is &lt;b&gt;" in body and "<script>alert" not in body and "n" * 301 not in body


def test_a_catalogue_without_end_ends(peer, declarer, monkeypatch):  # noqa: F811
    page = {"@context": counterparty.CONTEXT, "@id": "c", "@type": "Catalog", "participantId": HK}
    link = {"Link": f'<{peer.base}/catalog/request?more>; rel="next"'}
    entry = next(iter(counterparty.DATASETS.values()))
    peer.script = lambda path, body: (200, {**page, "dataset": [entry] * 30}, link)
    answer = catalogue(declarer)
    assert answer.status_code == 200 and "first 200" in answer.content.decode()
    monkeypatch.setattr(peers, "LARGEST", 100_000)
    answer = catalogue(declarer)
    assert answer.status_code == 502 and "Hotel nights" in answer.content.decode()  # what was read is shown


def test_a_peer_that_drips_costs_no_more_than_the_patience(peer, declarer, monkeypatch):  # noqa: F811
    monkeypatch.setattr(peers, "PATIENCE", 1.0)
    listener = socket.create_server(("127.0.0.1", 0))

    def drip():
        connection, _ = listener.accept()
        connection.recv(1 << 16)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        try:
            while True:
                connection.sendall(b" ")
                time.sleep(0.1)
        except OSError:
            connection.close()

    threading.Thread(target=drip, daemon=True).start()
    peer.row.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    peer.row.save()
    start = time.monotonic()
    with listener:
        answer = catalogue(declarer)
    assert answer.status_code == 502 and time.monotonic() - start < 5


def test_not_all_threads_wait_for_other_nodes(offering, declarer):
    with all_taken(peers._TURNS, peers.AT_ONCE):
        answer = catalogue(declarer)
    assert answer.status_code == 503 and "Try again in" in answer.content.decode()
    assert json.loads(declarer.get(f"/en/peers/{HK}/catalogue.json").content)["problem"] is None


def test_what_is_recorded_of_a_peer_is_shown_and_recorded(offering, declarer):
    said = {
        "zh-hans": "机构类别未登记",
        "zh-hant": "機構類別未登記",
        "en": "has not been recorded",
        "pt": "não está registado",
    }
    for lang, text in said.items():
        body = catalogue(declarer, lang).content.decode()
        assert text in body and "kind-bank" not in body, "who may not record it is not asked to"
    officer = signed_in("ho", "approver")
    url = f"/en/peers/{HK}/catalogue"
    assert "Shenzhen" not in catalogue(officer).content.decode(), "a place within its own jurisdiction"
    wrong = officer.post(url, {"place": "MO", "kind": ["bank"]}, **BROWSER)
    assert wrong.status_code == 422 and "MO" in wrong.content.decode()
    assert officer.post(url, {"place": "HK", "kind": ["bank", "insurer"]}, **BROWSER).status_code == 302
    assert "Hong Kong; bank; insurer" in catalogue(officer).content.decode()
    assert declarer.post(url, {"place": "HK", "kind": []}, **BROWSER).status_code == 403
