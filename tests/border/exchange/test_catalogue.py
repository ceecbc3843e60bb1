"""The catalogue: what is published, who sees it, page by page; and how we read another's."""

from __future__ import annotations

import json

import pytest

from wantong.border.exchange import blobs, schemas, services
from wantong.border.exchange.dsp import PAGE
from wantong.border.exchange.models import Dataset, Offer
from wantong.border.exchange.problems import (
    BadMetadata,
    DatasetTaken,
    PeerMisbehaves,
    PeerRefused,
    PeerUnreachable,
    UnknownDataset,
)
from wantong.border.trust.services import UnknownPeer
from wantong.ground.actors import Actor
from wantong.ground.http.auth import NotAllowed

pytestmark = pytest.mark.django_db(transaction=True)

CONTEXT = ["https://w3id.org/dspace/2025/1/context.jsonld"]
ASK = {"@context": CONTEXT, "@type": "CatalogRequestMessage"}
OWNER = Actor("user:owner", "Owner", frozenset({"declarer"}))


def ids(page):
    return [entry["@id"] for entry in page.get("dataset", ())]


def many(count):
    rows = [
        Dataset(id=f"urn:{n:05d}", title={"en": str(n)}, media_type="text/csv", filename="x", size=1, sha256="0" * 64, published_by="t")
        for n in range(count)
    ]  # fmt: skip
    Dataset.objects.bulk_create(rows)
    Offer.objects.bulk_create(
        Offer(
            dataset=row,
            offer_id=f"{row.id}:o",
            policy={"@id": f"{row.id}:o", "@type": "Offer", "permission": [{"action": "use"}]},
        )
        for row in rows
    )


def test_a_dataset_is_described_in_dcat_terms(peer, publish, node):
    row = publish(
        publisher={"zh-hant": "入境事務處"}, themes=["transport"], licence="CC-BY-4.0", update_cycle="daily"
    )
    page = peer.post("/catalog/request", ASK).json()
    schemas.check(page, "Catalog")
    (entry,) = page["dataset"]
    (distribution,) = entry["distribution"]
    assert {"@language": "zh-Hant", "@value": "旅客"} in entry["dct:title"]
    assert distribution["spdx:checksum"]["spdx:checksumValue"] == row.sha256
    assert blobs.path(node.blobs, row.sha256).exists()
    assert "facts" not in json.dumps(page), "what the owner tells his gate is his own business"
    one = peer.call("GET", f"/dsp/2025-1/catalog/datasets/{row.id}").json()
    schemas.check(one, "Dataset")
    assert one["@id"] == entry["@id"]


def test_pages_follow_each_other_both_ways(peer):
    many(2 * PAGE + 7)
    seen, path, pages = [], "/dsp/2025-1/catalog/request", 0
    while path:
        answer = peer.call("POST", path, ASK)
        schemas.check(answer.json(), "Catalog")
        seen += ids(answer.json())
        pages += 1
        links = dict(reversed(link.split("; rel=")) for link in answer.get("Link", "").split(", ") if link)
        following = links.get('"next"')
        path = following.strip("<>").removeprefix("http://127.0.0.1:1") if following else None
        previous = links.get('"previous"')
    assert pages == 3 and len(seen) == len(set(seen)) == 2 * PAGE + 7
    back = peer.call("POST", previous.strip("<>").removeprefix("http://127.0.0.1:1"), ASK)
    assert ids(back.json()) == seen[PAGE : 2 * PAGE]


def test_an_empty_catalogue_is_a_catalogue(peer):
    schemas.check(peer.post("/catalog/request", ASK).json(), "Catalog")


def test_a_filter_is_refused_as_the_protocol_asks(peer):
    answer = peer.post("/catalog/request", {**ASK, "filter": [{"a": 1}]})
    assert answer.status_code == 400
    schemas.check(answer.json(), "CatalogError")
    assert peer.post("/catalog/request", {**ASK, "filter": []}).status_code == 200


def test_who_is_not_meant_sees_nothing_of_it(make_peer, publish):
    hk, mo = make_peer("hk.test.example"), make_peer("mo.test.example")
    publish("urn:data:all")
    publish("urn:data:macao", audience=["mo.test.example"])
    assert ids(hk.post("/catalog/request", ASK).json()) == ["urn:data:all"]
    assert ids(mo.post("/catalog/request", ASK).json()) == ["urn:data:all", "urn:data:macao"]
    hidden = hk.call("GET", "/dsp/2025-1/catalog/datasets/urn:data:macao")
    missing = hk.call("GET", "/dsp/2025-1/catalog/datasets/urn:data:none")
    assert hidden.status_code == missing.status_code == 404 and hidden.json() == missing.json()


def test_publishing_twice_is_publishing_once_and_nothing_changes_in_silence(publish):
    first = publish()
    assert publish().published_at == first.published_at
    with pytest.raises(DatasetTaken):
        publish(content=b"other")
    with pytest.raises(DatasetTaken):
        publish(licence="other")
    services.withdraw_dataset(OWNER, first.id)
    with pytest.raises(DatasetTaken):
        publish()
    with pytest.raises(UnknownDataset):
        services.withdraw_dataset(OWNER, first.id)


def test_who_may_not_publish_does_not(publish, tmp_path):
    (tmp_path / "x").write_bytes(b"x")
    with pytest.raises(NotAllowed):
        services.publish_dataset(Actor("user:guest"), tmp_path / "x", services.Metadata(title={"en": "x"}))
    with pytest.raises(BadMetadata) as refused:
        publish("a b", subject_column="nothing")
    assert refused.value.params["reason"] == "subject-column"
    assert [more["reason"] for more in refused.value.params["more"]] == ["id"]
    assert refused.value.explain("zh-hans")["detail"] == (
        "subject_column 不是其中的字段；标识不得含空格，最多 200 个字符。未发布任何内容。"
    )
    assert not Dataset.objects.exists()


def described(n):
    return {
        "@id": f"urn:theirs:{n}", "@type": "Dataset", "dct:title": [{"@language": "pt", "@value": f"Dados {n}"}],
        "hasPolicy": [{"@id": "urn:o", "@type": "Offer", "permission": [{"action": "use"}]}],
        "distribution": [{"@type": "Distribution", "format": "HttpData-PULL", "accessService": "urn:s"}],
    }  # fmt: skip


def test_we_read_a_peers_catalogue_to_its_end(peer):
    def script(path, body):
        page = {
            "@context": CONTEXT,
            "@id": "c",
            "@type": "Catalog",
            "participantId": "hk",
            "dataset": [described(path[-1])],
        }
        return (
            200,
            page,
            {} if path.endswith("2") else {"Link": f'<{peer.base}/catalog/request?after=2>; rel="next"'},
        )

    peer.script = script
    assert [entry["title"] for entry in services.request_catalog(peer.participant_id)] == [
        {"pt": "Dados t"},
        {"pt": "Dados 2"},
    ]


@pytest.mark.parametrize(("answer", "error"), [
    ((200, b"<html>"), PeerMisbehaves), ((200, {"@type": "Catalog"}), PeerMisbehaves), ((500, {}), PeerRefused),
    ((302, b""), PeerRefused), ((200, b"[" * 100_000), PeerMisbehaves), ((200, b"x" * (5 << 20)), PeerMisbehaves),
    ((403, {"reason": ["not you"]}), PeerRefused),
])  # fmt: skip
def test_a_peer_whose_catalogue_is_none(peer, answer, error):
    peer.script = lambda path, body: answer
    with pytest.raises(error):
        list(services.request_catalog(peer.participant_id))


def test_a_next_page_elsewhere_is_not_followed(peer):
    page = {"@context": CONTEXT, "@id": "c", "@type": "Catalog", "participantId": "hk"}
    peer.script = lambda path, body: (200, page, {"Link": '<http://10.0.0.1/x>; rel="next"'})
    with pytest.raises(PeerMisbehaves) as refused:
        list(services.request_catalog(peer.participant_id))
    assert len(peer.received) == 1 and refused.value.params["reason"] == "page-elsewhere"


@pytest.mark.parametrize(
    "told", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{"], ids=["before", "during"]
)
def test_a_peer_that_dies_before_or_during_his_answer_is_asked_again(peer, told):
    """Killed at that moment he looks like a liar, but the message may not have arrived: it must not be given up."""
    import socket
    import threading

    from wantong.border.exchange import wire

    listener = socket.create_server(("127.0.0.1", 0))

    def die():
        connection, _ = listener.accept()
        connection.recv(1 << 16)
        connection.sendall(told)
        connection.close()

    threading.Thread(target=die, daemon=True).start()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with listener, pytest.raises(PeerUnreachable):
        wire.call(peer.row, "GET", f"{url}/dsp/2025-1/catalog/datasets/x")


def test_a_peer_that_drips_his_answer_is_left(peer, monkeypatch):
    import socket
    import threading
    import time

    from wantong.border.exchange import wire

    monkeypatch.setattr(wire, "TOTAL_TIMEOUT", 0.6)
    listener = socket.create_server(("127.0.0.1", 0))

    def drip():
        connection, _ = listener.accept()
        for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n" + b"A: b\r\n" * 100:
            try:
                connection.sendall(bytes([byte]))
            except OSError:
                return
            time.sleep(0.02)

    threading.Thread(target=drip, daemon=True).start()
    peer.row.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    peer.row.save()
    begun = time.monotonic()
    with pytest.raises(PeerUnreachable):
        list(services.request_catalog(peer.participant_id))
    assert time.monotonic() - begun < 3
    listener.close()


def test_unknown_peers_are_named(node):
    with pytest.raises(UnknownPeer):
        list(services.request_catalog("nobody.example"))


def test_without_a_good_token_nothing_is_told(peer, publish, client):
    publish()
    asked = json.dumps(ASK)
    for answer in (
        client.post("/dsp/2025-1/catalog/request", asked, content_type="application/json"),
        peer.post("/catalog/request", ASK, token="x.y.z"),
    ):
        assert answer.status_code == 401
        schemas.check(answer.json(), "CatalogError")
    assert client.get("/dsp/2025-1/catalog/request").status_code == 405
    big = client.post("/dsp/2025-1/catalog/request", b"x" * ((1 << 20) + 1), content_type="application/json")
    assert big.status_code == 413
