"""Other people's clients against ours: ckanapi over HTTP, rdflib, DuckDB reading Parquet by ranges."""

from __future__ import annotations

import json
import random
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime

import ckanapi
import duckdb
import httpx
import pyarrow.parquet as pq
import pytest
import uvicorn
from fsspec.implementations.http import HTTPFileSystem
from rdflib import DCAT, DCTERMS, RDF, Graph, Namespace, URIRef
from rdflib.compare import isomorphic
from starlette.applications import Starlette
from tests.border.exchange.opendata.conftest import ARRIVALS

from wantong.border.exchange.opendata import datastore, downloads, services, tables
from wantong.ground import config

pytestmark = pytest.mark.django_db(transaction=True)
HYDRA = Namespace("http://www.w3.org/ns/hydra/core#")


# --- ckanapi ----------------------------------------------------------------------------------------------------


@pytest.fixture
def three(publish):
    """Three datasets of two publishers."""
    publish()
    publish(
        ARRIVALS.replace("visitors", "passengers"),
        name="hk-passengers",
        title={"en": "Passenger traffic", "zh-hant": "旅客流量"},
        description={"en": "Passengers at control points"},
        publisher={"id": "immd", "name": {"en": "Immigration Department", "zh-hant": "入境事務處"}},
        places=["hk"],
        columns={},
        licence="data-gov-hk",
    )
    publish(
        "city,people\n广州市,18\n深圳市,17\n",
        name="gd-census",
        title={"zh-hans": "广东人口普查", "pt": "População de Guangdong"},
        description={"zh-hans": "各市人口"},
        publisher={"id": "dsec", "name": {"en": "Statistics Service", "zh-hant": "統計暨普查局"}},
        places=["gd"],
        themes=["society"],
        keywords=[{"en": "census"}],
        columns={},
    )


@pytest.fixture(params=[False, True], ids=["post", "get"])
def remote(request, live_server, three) -> Iterator[ckanapi.RemoteCKAN]:
    with ckanapi.RemoteCKAN(live_server.url, get_only=request.param) as client:
        yield client


def test_ckanapi_reads_the_catalogue(remote):
    act = remote.action
    assert act.site_read() is True
    assert act.status_show()["ckan_version"]
    assert act.package_list() == ["gd-census", "hk-passengers", "macao-arrivals"]
    assert act.package_list(limit=1, offset=1) == ["hk-passengers"]
    package = act.package_show(id="macao-arrivals")
    assert act.package_show(id=package["id"])["name"] == "macao-arrivals"
    assert package["title_translated"] == {
        "en": "Visitor arrivals",
        "zh-Hant": "旅客入境人次",
        "pt": "Chegadas de visitantes",
    }
    assert (package["license_id"], package["isopen"], package["num_resources"]) == ("cc-by-4.0", True, 3)
    resource = act.resource_show(id=package["resources"][0]["id"])
    assert (resource["format"], resource["package_id"]) == ("CSV", package["id"])
    assert act.organization_list() == ["dsec", "immd"]
    assert act.organization_show(id="dsec")["package_count"] == 2
    assert act.group_list() == ["society", "transport"]
    assert "tourism" in act.tag_list()
    assert {"cc-by-4.0", "data-gov-hk"} <= {licence["id"] for licence in act.license_list()}


def test_ckanapi_searches(remote):
    act = remote.action
    found = act.package_search(q="passengers", **{"facet.field": ["organization", "res_format"]})
    assert [package["name"] for package in found["results"]] == ["hk-passengers"]
    assert found["facets"] == {"organization": {"immd": 1}, "res_format": {"CSV": 1, "JSON": 1, "Parquet": 1}}
    assert found["search_facets"]["organization"]["items"][0]["display_name"] == "Immigration Department"
    names = lambda **asked: [p["name"] for p in act.package_search(**asked)["results"]]  # noqa: E731
    assert names(q="澳门") == names(q="澳門") == ["macao-arrivals"]
    assert names(q="populacao") == names(q="população") == ["gd-census"]
    assert set(names(fq="organization:dsec")) == {"gd-census", "macao-arrivals"}
    assert names(fq="organization:dsec -groups:transport") == ["gd-census"]
    assert names(fq='license_id:(cc-zero OR "data-gov-hk")') == ["hk-passengers"]
    assert names(fq="metadata_modified:[2000-01-01T00:00:00Z TO 2001-01-01T00:00:00Z]") == []
    assert len(names(fq="metadata_modified:[2000-01-01T00:00:00Z TO *]")) == 3
    assert names(sort="name asc", rows=1, start=1) == ["hk-passengers"]
    assert names(q="*:*", sort="name desc")[0] == "macao-arrivals"
    assert act.package_search(q="visitors", rows=0)["count"] == 1


def test_ckanapi_asks_the_table(remote):
    act = remote.action
    resource = act.package_show(id="macao-arrivals")["resources"][0]["id"]
    # a GET has no objects: there ckanapi sends what it is given, so it is given text
    filters = json.dumps({"visitors": [3000, "12000"]})
    found = act.datastore_search(resource_id=resource, filters=filters, sort="visitors desc")
    assert [row["month"] for row in found["records"]] == ["2024-12", "2024-03"]
    assert found["records"][0]["_id"] == 12
    found = act.datastore_search(resource_id=resource, q="2024-1", fields=["month"], limit=2, offset=1)
    assert (found["records"], found["total"]) == ([{"month": "2024-11"}, {"month": "2024-12"}], 3)


def test_ckanapi_knows_our_errors(remote):
    act = remote.action
    for wrong in (
        lambda: act.package_show(id="nothing"),
        lambda: act.resource_show(id="nothing"),
        lambda: act.datastore_search(resource_id="0d5bd4e4-5a6a-4d1e-8f3c-111111111111"),
        lambda: act.organization_show(id="nothing"),
    ):
        with pytest.raises(ckanapi.NotFound):
            wrong()
    resource = act.package_show(id="macao-arrivals")["resources"][0]["id"]
    for wrong in (
        lambda: act.package_show(),
        lambda: act.package_search(rows="many"),
        lambda: act.datastore_search(resource_id=resource, filters={"nothing": 1}),
        lambda: act.datastore_search(resource_id=resource, sort="nothing desc"),
    ):
        with pytest.raises(ckanapi.ValidationError):
            wrong()
    with pytest.raises(ckanapi.errors.SearchError):
        act.package_search(**{"facet.field": ["nothing"]})
    with pytest.raises((ckanapi.errors.SearchQueryError, ckanapi.CKANAPIError)):
        act.package_search(fq="nothing:1")
    with pytest.raises(ckanapi.CKANAPIError):
        act.package_create(name="x")


def test_the_envelope_and_what_is_no_question(client, publish):
    publish()
    answer = client.get("/api/3/action/package_show?id=macao-arrivals")
    assert answer.json()["success"] is True and "help_show?name=package_show" in answer.json()["help"]
    assert answer["Access-Control-Allow-Origin"] == "*"

    def post(body):
        return client.post("/api/action/package_list", body, content_type="application/json")

    assert post("{").status_code == 400
    assert post("[1]").status_code == 400
    assert post("").json()["result"] == ["macao-arrivals"]
    assert client.put("/api/3/action/package_list").status_code == 405
    missing = client.get("/api/3/action/package_show")
    assert (missing.status_code, missing.json()["error"]) == (
        409,
        {"__type": "Validation Error", "id": ["Missing value"]},
    )


# --- DCAT -------------------------------------------------------------------------------------------------------


def test_both_forms_of_a_dataset_are_one_graph(client, three):
    turtle = Graph().parse(data=client.get("/open-data/macao-arrivals.ttl").content.decode(), format="turtle")
    jsonld = Graph().parse(
        data=client.get("/open-data/macao-arrivals.jsonld").content.decode(), format="json-ld"
    )
    assert len(turtle) > 60 and isomorphic(turtle, jsonld)
    name = URIRef(services.identifier("macao-arrivals"))
    assert (name, RDF.type, DCAT.Dataset) in turtle
    assert {str(t.language) for t in turtle.objects(name, DCTERMS.title)} == {"en", "zh-Hant", "pt"}
    for distribution in turtle.objects(name, DCAT.distribution):
        assert turtle.value(distribution, DCTERMS.license) == URIRef(
            "https://creativecommons.org/licenses/by/4.0/"
        )
    for accept, kind in (("text/turtle", "text/turtle"), ("application/ld+json", "application/ld+json")):
        assert client.get("/open-data/macao-arrivals", headers={"Accept": accept})["Content-Type"].startswith(
            kind
        )
    page = client.get("/open-data/macao-arrivals", headers={"Accept": "text/html", "Accept-Language": "pt"})
    assert (page.status_code, page["Location"]) == (303, "/pt/open-data/macao-arrivals")


def test_the_catalogue_is_read_page_by_page(client, three, monkeypatch):
    from wantong.border.exchange.opendata import views

    monkeypatch.setattr(views, "PER_PAGE", 2)
    found, url, pages = set(), "/open-data/catalog.ttl", 0
    while url:
        graph = Graph().parse(data=client.get(url).content.decode(), format="turtle")
        found |= set(graph.subjects(RDF.type, DCAT.Dataset))
        total = graph.value(None, HYDRA.totalItems) or next(graph.objects(None, HYDRA.totalItems))
        assert int(total) == 3
        following = next(graph.objects(None, HYDRA.next), None)
        url = str(following).removeprefix(config.current().url) if following else ""
        pages += 1
    assert (pages, len(found)) == (2, 3)


# --- downloads --------------------------------------------------------------------------------------------------


@dataclass
class Plane:
    """The data plane's open part under a real server, and the requests that came."""

    url: str
    asked: list[tuple[str, str]] = field(default_factory=list)


@pytest.fixture
def plane(node) -> Iterator[Plane]:
    app = Starlette(routes=downloads.routes(node))
    made = Plane("")

    async def heard(scope, receive, send):
        if scope["type"] == "http":
            ranges = [value.decode() for name, value in scope["headers"] if name == b"range"]
            made.asked.append((scope["method"], ranges[0] if ranges else ""))
        await app(scope, receive, send)

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        made.url = f"http://127.0.0.1:{listener.getsockname()[1]}/open"
        server = uvicorn.Server(uvicorn.Config(heard, log_config=None, lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield made
        server.should_exit = True
        thread.join()


_chance = random.Random(1)
ROWS = [[_chance.getrandbits(40) for _ in range(12)] for _ in range(30_000)]
LONG = ",".join(f"c{n}" for n in range(12)) + "\n" + "\n".join(",".join(map(str, row)) for row in ROWS) + "\n"
HALF = 1 << 39


class Http(HTTPFileSystem):
    """fsspec's, with the one thing that DuckDB asks for and it lacks."""

    def modified(self, path):
        return parsedate_to_datetime(httpx.head(path).headers["Last-Modified"])


def test_duckdb_reads_our_parquet_by_ranges(publish, plane, node):
    publish(LONG, columns={})
    size = (node.open / "macao-arrivals" / "1" / "macao-arrivals.parquet").stat().st_size
    url = f"{plane.url}/macao-arrivals/1/macao-arrivals.parquet"
    connection = duckdb.connect()
    # DuckDB's own httpfs is a download of its own; fsspec gives it HTTP by ranges all the same
    connection.register_filesystem(Http(skip_instance_cache=True))
    asked = f"SELECT count(*), sum(c3) FROM read_parquet('{url}') WHERE c3 > {HALF}"
    wanted = [row[3] for row in ROWS if row[3] > HALF]
    assert connection.execute(asked).fetchone() == (len(wanted), sum(wanted))
    ranges = [
        what.removeprefix("bytes=").split("-") for method, what in plane.asked if method == "GET" and what
    ]
    # parts of the file and not the whole: how much more than the column is DuckDB's choice
    assert 0 < sum(int(last) - int(first) + 1 for first, last in ranges) < size


def test_a_download_by_the_book(publish, plane, node):
    version = publish(LONG, columns={})
    told = {r["filename"]: r for r in version.resources}
    url, name = f"{plane.url}/macao-arrivals/1/macao-arrivals.csv", "macao-arrivals.csv"
    content = (node.open / "macao-arrivals" / "1" / name).read_bytes()
    with httpx.Client() as http:
        plain = http.get(url, headers={"Accept-Encoding": "identity"})
        assert plain.content == content and plain.headers["ETag"] == f'"{told[name]["sha256"]}"'
        assert (
            "immutable" in plain.headers["Cache-Control"]
            and plain.headers["Access-Control-Allow-Origin"] == "*"
        )
        packed = http.get(url, headers={"Accept-Encoding": "gzip"})
        assert packed.headers["Content-Encoding"] == "gzip" and packed.content == content
        assert int(packed.headers["Content-Length"]) < len(content) / 2
        assert packed.headers["ETag"] != plain.headers["ETag"] and "Accept-Encoding" in packed.headers["Vary"]
        head = http.head(url, headers={"Accept-Encoding": "identity"})
        assert (head.status_code, head.content, head.headers["Content-Length"]) == (
            200,
            b"",
            str(len(content)),
        )
        part = http.get(url, headers={"Range": "bytes=10-19"})
        assert (part.status_code, part.content) == (206, content[10:20])
        assert part.headers["Content-Range"] == f"bytes 10-19/{len(content)}"
        assert http.get(url, headers={"Range": "bytes=-5"}).content == content[-5:]
        assert http.get(url, headers={"Range": f"bytes={len(content)}-"}).status_code == 416
        changed = http.get(
            url, headers={"Range": "bytes=0-1", "If-Range": '"other"', "Accept-Encoding": "identity"}
        )
        assert (changed.status_code, changed.content) == (200, content)
        known = http.get(url, headers={"If-None-Match": plain.headers["ETag"], "Accept-Encoding": "identity"})
        assert (known.status_code, known.content) == (304, b"")
        for wrong in (
            "macao-arrivals/2/x.csv",
            "macao-arrivals/1/manifest.json",
            "macao-arrivals/1/..%2Fmanifest.json",
            "..%2Fblobs/1/x",
            "x/1/x",
        ):
            assert http.get(f"{plane.url}/{wrong}").status_code in (404, 405), wrong


def test_nothing_that_is_not_open_is_served(publish, plane, node):
    """Blobs of the exchange lie beside; no address leads to them."""
    version = publish()
    secret = node.blobs / "ab" / ("ab" * 32)
    secret.parent.mkdir(parents=True, exist_ok=True)
    secret.write_text("closed")
    (node.open / "macao-arrivals" / "1" / "extra.csv").write_text("not in the manifest")
    for path in (
        "macao-arrivals/1/extra.csv",
        f"{'ab' * 32}/1/blob",
        f"blobs/1/{version.sha256}",
        "macao-arrivals/1/macao-arrivals.csv.gz",
    ):
        assert httpx.get(f"{plane.url}/{path}").status_code == 404, path


# --- tables of any size stay in memory only so long ---------------------------------------------------------------


def test_tables_leave_memory_in_their_turn(tmp_path):
    paths = []
    for n in range(4):
        table = tables.read(_csv(tmp_path / f"{n}.csv", n))
        tables.write(table, "parquet", tmp_path / f"{n}.parquet")
        paths.append(tmp_path / f"{n}.parquet")
    kept = datastore.Tables(most=pq.read_table(paths[0]).nbytes * 5)
    for path in paths:
        assert datastore.search(kept.get(path), {"limit": 1})["total"] == 1000
    assert len(kept._kept) < 4
    assert datastore.search(kept.get(paths[0]), {"filters": {"n": 7}})["records"] == [
        {"_id": 8, "n": 7, "file": 0}
    ]


def _csv(path, number: int):
    path.write_text("n,file\n" + "".join(f"{n},{number}\n" for n in range(1000)))
    return path
