"""Catalogues elsewhere: read bit by bit, again and again, whatever they do.

The catalogues are made up: they answer in the shape of data.gov.hk's CKAN (and any other's) and of 开放广东's interface,
as public crawlers of it read it. No answer of a real platform is in here.
"""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from wantong.border.exchange.opendata import dcat, describe, harvest, harvesting, problems, shapes
from wantong.border.exchange.opendata.models import HarvestRun, HarvestSource, OpenDataset
from wantong.ground.actors import Actor
from wantong.ground.http.auth import NotAllowed
from wantong.ground.log.models import LogEntry
from wantong.ground.outbox import services as outbox
from wantong.ground.outbox.models import Event

pytestmark = pytest.mark.django_db(transaction=True)
OPERATOR = Actor("user:lei", "Lei", frozenset({"operator"}))


class Catalogue:
    """A made-up catalogue: what it has may be changed, what it answers may be made to fail."""

    def __init__(self) -> None:
        self.packages: dict[str, dict[str, Any]] = {}
        self.datasets: dict[str, dict[str, Any]] = {}
        self.asked: list[tuple[str, dict[str, list[str]]]] = []
        self.agents: set[str] = set()
        self.fail: list[tuple[int, dict[str, str], bytes]] = []
        self.url = ""

    def answer(self, path: str, query: dict[str, list[str]]) -> tuple[int, Any]:
        self.asked.append((path.rpartition("/")[2], query))
        match path.rpartition("/")[2]:
            case "package_search":
                rows, start = int(query["rows"][0]), int(query["start"][0])
                since = query["fq"][0].partition("[")[2].partition(" TO")[0] if "fq" in query else ""
                found = sorted(
                    (p for p in self.packages.values() if p["metadata_modified"] >= since),
                    key=lambda p: (p["metadata_modified"], p["name"]),
                )
                return 200, {
                    "success": True,
                    "result": {"count": len(found), "results": found[start : start + rows]},
                }
            case "package_list":
                return 200, {"success": True, "result": sorted(self.packages)}
            case "findPage":
                at, size = int(query["pageNo"][0]) - 1, int(query["pageSize"][0])
                found = sorted(self.datasets.values(), key=lambda d: d["dataUpdateTime"], reverse=True)
                page = [
                    {k: d[k] for k in ("resId", "resTitle", "dataUpdateTime")}
                    for d in found[at * size : (at + 1) * size]
                ]
                return 200, {"dataList": json.dumps({"list": page}, ensure_ascii=False)}
            case "selectDataCatalogByResId":
                return 200, self.datasets.get(query["resId"][0], {})
            case "getFileList":
                return 200, self.datasets.get(query["resId"][0], {}).get("files", [])
        return 404, {}

    def package(self, name: str, modified: str = "2026-01-01T00:00:00.000000", **more: Any) -> None:
        self.packages[name] = {
            "id": f"id-{name}",
            "name": name,
            "title": f"Title of {name}",
            "notes": "<p>What it &amp; others are</p>",
            "metadata_modified": modified,
            "organization": {"name": "hk-td", "title": "Transport Department"},
            "groups": [{"name": "transport", "title": "Transport"}],
            "tags": [{"name": "traffic", "display_name": "traffic"}],
            "license_id": "",
            "maintainer": "Chan Tai Man",
            "maintainer_email": "tmchan@td.example",
            "update_frequency": "Daily",
            "resources": [
                {"id": "r1", "name": "The table", "format": "CSV", "url": "https://res.data.example/1.csv"},
                {"id": "r2", "name": "bad", "format": "CSV", "url": "javascript:alert(1)"},
            ],
        } | more

    def dataset(self, res_id: str, modified: str = "2026-01-01 10:00", **more: Any) -> None:
        self.datasets[res_id] = {
            "resId": res_id,
            "resTitle": f"数据集 {res_id}",
            "resAbstract": "各地市的统计数据",
            "dataUpdateTime": modified,
            "officeName": "广东省交通运输厅",
            "subjectName": "交通运输",
            "keyword": "交通,公路",
            "updateCycle": "4",
            "files": [{"id": "7", "fileName": "公路.xlsx", "fileUrl": "a b.xlsx", "sourceSuffix": "xlsx"}],
        } | more


@pytest.fixture
def elsewhere():
    made = Catalogue()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self, form: bytes = b""):
            parts = urlsplit(self.path)
            made.agents.add(self.headers["User-Agent"])
            if made.fail:
                status, headers, body = made.fail.pop(0)
            else:
                status, told = made.answer(parts.path, parse_qs(parts.query or form.decode()))
                headers, body = {}, json.dumps(told).encode()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self):
            self.do_GET(self.rfile.read(int(self.headers["Content-Length"])))

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.url = f"http://127.0.0.1:{server.server_port}/en-data"
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield made
    server.shutdown()
    server.server_close()


@pytest.fixture
def small(monkeypatch):
    """Pages of two, no pause."""
    told = {**harvesting.words(), "page": 2, "page_gd": 2, "details": 2, "pause": 0}
    monkeypatch.setattr(harvest, "words", lambda: told)
    monkeypatch.setattr(harvesting, "words", lambda: told)


def name_it(elsewhere: Catalogue, kind: str = "ckan", **more: Any) -> HarvestSource:
    language = "en" if kind == "ckan" else "zh-hans"
    return harvest.register(
        OPERATOR, "there", kind, elsewhere.url, title={"en": "A catalogue there"}, language=language,
        **{"place": "hk", "licence": "data-gov-hk"} | more,
    )  # fmt: skip


def read(elsewhere: Catalogue) -> dict[str, int]:
    elsewhere.asked.clear()
    return harvest.to_the_end(OPERATOR, "there", sleep=lambda seconds: None).counts


def only(counts: dict[str, int], **wanted: int) -> bool:
    return {key: value for key, value in counts.items() if value} == wanted


def test_a_ckan_is_read_page_by_page_then_only_what_changed(node, elsewhere, small):
    for n in range(5):
        elsewhere.package(f"set-{n}", f"2026-01-0{n + 1}T00:00:00.000000")
    name_it(elsewhere)
    assert only(read(elsewhere), seen=5, added=5)
    assert [what for what, _ in elsewhere.asked] == ["package_search"] * 3 + ["package_list"]
    assert all("Wantong/" in agent and "http" in agent for agent in elsewhere.agents)
    row = OpenDataset.objects.get(name="there-set-0")
    said = row.record
    assert (said["title"], said["description"]) == ({"en": "Title of set-0"}, {"en": "What it & others are"})
    assert (said["cycle"], said["themes"], said["places"], said["licence"]) == (
        "daily",
        ["transport"],
        ["hk"],
        "data-gov-hk",
    )
    assert [r.url for r in row.resources.all()] == ["https://res.data.example/1.csv"]
    assert "tmchan" not in json.dumps(said) and "Chan" not in json.dumps(said)
    assert not shapes.faults(
        dcat.dataset(describe.described(row, list(row.resources.all())), describe.address())
    )
    # the next run asks only for what has changed since
    elsewhere.package("set-1", "2026-02-01T00:00:00.000000", title="Another title")
    assert only(read(elsewhere), seen=2, changed=1, unchanged=1)
    assert OpenDataset.objects.get(name="there-set-1").record["title"] == {"en": "Another title"}
    assert json.loads(LogEntry.objects.order_by("recorded_at").last().body)["counts"]["changed"] == 1


def test_gone_elsewhere_is_marked_and_never_lost(node, elsewhere, small, client):
    for n in range(3):
        elsewhere.package(f"set-{n}")
    name_it(elsewhere)
    read(elsewhere)
    gone = elsewhere.packages.pop("set-1")
    assert read(elsewhere)["removed"] == 1
    package = client.get("/api/3/action/package_show?id=there-set-1").json()["result"]
    extras = {extra["key"]: extra["value"] for extra in package["extras"]}
    assert extras["removed_upstream"] and extras["harvest_source"] == "there"
    assert client.get("/api/3/action/package_search?q=set-1").json()["result"]["count"] == 1
    assert "Gone at its source" in client.get("/en/open-data/there-set-1").content.decode()
    assert "WITHDRAWN" in client.get("/open-data/there-set-1.ttl").content.decode()
    elsewhere.packages["set-1"] = gone
    assert read(elsewhere)["returned"] == 1
    assert OpenDataset.objects.get(name="there-set-1").removed_at is None


def test_a_catalogue_that_suddenly_has_nothing_is_not_believed(node, elsewhere):
    for n in range(30):
        elsewhere.package(f"set-{n}")
    name_it(elsewhere)
    read(elsewhere)
    elsewhere.packages = {"other": elsewhere.packages["set-1"] | {"name": "other"}}
    assert read(elsewhere)["removed"] == 0
    assert HarvestRun.objects.first().error == "not-believed 30/31"
    elsewhere.packages.clear()
    with pytest.raises(problems.HarvestFailed):
        read(elsewhere)
    assert not OpenDataset.objects.exclude(removed_at=None).exists()


def test_a_run_goes_on_where_it_was_cut(node, elsewhere, small):
    for n in range(6):
        elsewhere.package(f"set-{n}", f"2026-01-0{n + 1}T00:00:00.000000")
    name_it(elsewhere)
    run = harvest.start(OPERATOR, "there")
    outbox.run_due()
    assert OpenDataset.objects.count() == 2
    elsewhere.fail = [(500, {}, b""), (200, {}, b"<html>"), (200, {}, b'{"success": false}')]
    for _ in range(3):
        Event.objects.update(available_at="2026-01-01T00:00Z")
        outbox.run_due()
    run.refresh_from_db()
    assert run.error and OpenDataset.objects.count() == 2
    elsewhere.asked.clear()
    Event.objects.update(available_at="2026-01-01T00:00Z")
    for _ in range(6):
        outbox.run_due()
    run.refresh_from_db()
    assert run.finished_at and run.counts["added"] == 6 and not run.error
    assert elsewhere.asked[0][1]["start"] == ["2"]
    # the next run waits for its time
    waiting = Event.objects.get(topic="opendata.harvest", state="due")
    assert (waiting.available_at - run.finished_at).total_seconds() > 86_000


def test_who_asks_to_be_left_alone_is(node, elsewhere):
    elsewhere.package("set-0")
    name_it(elsewhere)
    harvest.start(OPERATOR, "there")
    elsewhere.fail = [(429, {"Retry-After": "600"}, b"")]
    outbox.run_due()
    event = Event.objects.get(topic="opendata.harvest", state="due")
    assert (event.available_at - event.created_at).total_seconds() > 590


def test_an_older_timer_is_void_and_a_pause_holds(node, elsewhere):
    elsewhere.package("set-0")
    source = name_it(elsewhere)
    harvest.start(OPERATOR, "there")
    harvest.step("there", source.turn)
    assert not elsewhere.asked
    harvest.pause(OPERATOR, "there")
    outbox.drain()
    assert not elsewhere.asked
    assert only(read(elsewhere), seen=1, added=1)


def test_what_tells_of_people_is_not_shown(node, elsewhere):
    elsewhere.package("ask", notes="Enquiries: Ms Chan, chan.siu.ming@gmail.com, +852 9123 4567")
    elsewhere.package("people", title="Ms Chan Siu Ming, ID card A123456(3), chan.siu.ming@gmail.com")
    elsewhere.package("none", title="")
    name_it(elsewhere)
    assert only(read(elsewhere), seen=2, added=1, refused=2)
    row = OpenDataset.objects.get()
    assert row.record["description"] == row.record["title"] == {"en": "Title of ask"}


def test_guangdongs_interface(node, elsewhere, small, client):
    for n in range(5):
        elsewhere.dataset(f"29000/0130000{n}", f"2026-01-0{n + 1} 10:00")
    name_it(elsewhere, "gd-open", place="gd", licence="gd-open")
    assert only(read(elsewhere), seen=5, added=5)
    row = OpenDataset.objects.get(upstream_id="29000/01300002")
    said = row.record
    assert (said["title"], said["cycle"], said["themes"]) == (
        {"zh-hans": "数据集 29000/01300002"},
        "monthly",
        ["transport"],
    )
    assert said["keywords"] == [{"zh-hans": "交通"}, {"zh-hans": "公路"}]
    resource = row.resources.get()
    assert resource.url == f"{elsewhere.url}/downloadFiles/open-file/29000_01300002/a%20b.xlsx"
    assert row.modified_at.isoformat() == "2026-01-03T02:00:00+00:00"
    # nothing is looked up twice that has not changed
    elsewhere.dataset("29000/01300002", "2026-03-01 10:00", resTitle="新标题")
    gone = elsewhere.datasets.pop("29000/01300004")
    assert only(read(elsewhere), seen=4, changed=1, unchanged=3, removed=1)
    details = [query["resId"][0] for what, query in elsewhere.asked if what == "getFileList"]
    assert details == ["29000/01300002"]
    elsewhere.datasets["29000/01300004"] = gone
    assert read(elsewhere)["returned"] == 1
    found = client.get("/api/3/action/package_search", {"q": "新標題"}).json()["result"]
    assert [package["name"] for package in found["results"]] == [row.name]


def test_pages_that_shift_while_they_are_read_make_nothing_gone(node, elsewhere, small):
    for n in range(6):
        elsewhere.dataset(f"29000/{n}", f"2026-01-0{n + 1} 10:00")
    name_it(elsewhere, "gd-open")
    read(elsewhere)
    # between the first page and the second the first dataset vanishes: the third slips to the first page
    whole = elsewhere.answer

    def shifting(path, query):
        told = whole(path, query)
        if path.endswith("findPage") and query["pageNo"] == ["1"]:
            elsewhere.datasets.pop("29000/5", None)
        return told

    elsewhere.answer = shifting
    counts = read(elsewhere)
    assert counts["removed"] == 0
    assert read(elsewhere)["removed"] == 1


@pytest.mark.parametrize(
    ("change", "field", "reason"),
    [
        ({"kind": "oai"}, "kind", "choice"),
        ({"url": "file:///etc/passwd"}, "url", "no-address"),
        ({"url": "http://user:secret@there.example/"}, "url", "no-address"),
        ({"title": {}}, "title", "no-title"),
        ({"language": "fr"}, "language", "choice"),
        ({"place": "xx"}, "place", "choice"),
        ({"licence": "mine"}, "licence", "choice"),
        ({"name": "A B"}, "name", "no-name"),
    ],
)
def test_a_wrong_source_is_not_named(node, change, field, reason):
    fine = {
        "name": "there",
        "kind": "ckan",
        "url": "https://there.example",
        "title": {"en": "T"},
        "language": "en",
    }
    with pytest.raises(problems.BadSource) as refused:
        harvest.register(OPERATOR, **fine | change)
    assert (refused.value.params["field"], refused.value.params["reason"]) == (field, reason)


def test_an_address_inside_is_not_asked(node, monkeypatch):
    """A name that leads inside is refused, whatever it is asked for."""
    harvest.register(OPERATOR, "in", "ckan", "http://intranet.example", title={"en": "In"}, language="en")
    monkeypatch.setattr("wantong.ground.http.reach.lookup", lambda host, port: ["10.0.0.5"])
    with pytest.raises(problems.HarvestFailed) as failed:
        harvest.to_the_end(OPERATOR, "in", sleep=lambda seconds: None)
    assert failed.value.params["reason"] == "forbidden"
    assert "may not ask" in str(failed.value)


def test_the_trouble_of_a_run_is_told_in_words():
    assert "503" in harvest.failed("there", "answered 503").said("pt")["reason"]
    assert harvest.failed("there", "not-json").said("zh-hans")["reason"] == "不是 JSON"
    assert harvest.failed("there", "what once was written").said("en")["reason"] == "what once was written"


def test_who_may(node, elsewhere):
    name_it(elsewhere)
    for act in (harvest.start, harvest.pause):
        with pytest.raises(NotAllowed):
            act(Actor("user:x", "X", frozenset({"declarer"})), "there")
        with pytest.raises(problems.UnknownSource):
            act(OPERATOR, "nowhere")


def test_the_command(node, elsewhere, monkeypatch):
    from click.testing import CliRunner

    from wantong.cli.harvest import command
    from wantong.node import setup

    monkeypatch.setattr(setup, "enter", lambda directory: None)
    monkeypatch.setenv("WANTONG_LANG", "en")
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    elsewhere.package("set-0")
    run = CliRunner().invoke
    node_option = ["--node", str(node.directory)]
    done = run(command, ["add", "there", elsewhere.url, "--title", "There", "--lang", "en", *node_option])
    assert done.exit_code == 0, done.output
    done = run(command, ["run", "there", *node_option])
    assert "1 seen, 1 new" in done.output, done.output
    told = json.loads(run(command, ["list", *node_option]).output)
    assert (told[0]["datasets"], told[0]["last_run"]["counts"]["added"]) == (1, 1)
    assert run(command, ["pause", "there", *node_option]).exit_code == 0
    assert run(command, ["run", "nowhere", *node_option]).exit_code == 2
