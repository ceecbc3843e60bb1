"""Publishing: what the gate lets through, what a version is, and what happens once more or halfway."""

from __future__ import annotations

import json
import uuid

import pyarrow.parquet as pq
import pytest
from tests.border.exchange.opendata.conftest import ARRIVALS, CLERK, said

from wantong.border.exchange import services as exchange
from wantong.border.exchange.catalogue import Metadata
from wantong.border.exchange.opendata import files, problems, services
from wantong.border.exchange.opendata.models import OpenDataset, Resource, Submission, Version
from wantong.border.exchange.opendata.record import Record
from wantong.ground.actors import Actor
from wantong.ground.http.auth import NotAllowed
from wantong.ground.log.models import LogEntry
from wantong.ground.outbox import services as outbox

pytestmark = pytest.mark.django_db


def test_a_table_is_published_in_three_forms_with_a_log_entry(publish, node):
    version = publish()
    folder = node.open / "macao-arrivals" / "1"
    assert {r["format"] for r in version.resources} == {"CSV", "JSON", "Parquet"}
    assert (folder / "macao-arrivals.csv").read_text().splitlines()[:2] == [
        '"month","visitors"',
        '"2024-01",1000',
    ]
    assert json.loads((folder / "macao-arrivals.json").read_text())[11] == {
        "month": "2024-12",
        "visitors": 12000,
    }
    assert pq.read_table(folder / "macao-arrivals.parquet").column("visitors").to_pylist()[0] == 1000
    assert version.columns == [
        {"name": "month", "type": "yearmonth", "empty": 0},
        {"name": "visitors", "type": "integer", "empty": 0},
    ]
    entry = json.loads(LogEntry.objects.get(id=version.log_entry).body)
    assert entry["kind"] == "opendata.published"
    assert entry["payload"]["sha256"] == version.sha256
    assert [r["sha256"] for r in entry["resources"]] == [r["sha256"] for r in version.resources]


def test_the_same_once_more_is_nothing_new_and_a_change_is_a_version(publish, node):
    first = publish()
    resources = set(Resource.objects.values_list("id", flat=True))
    assert publish().pk == first.pk
    second = publish(ARRIVALS + "2025-01,13000\n", note={"en": "January 2025 added"})
    assert (second.number, second.dataset.version) == (2, 2)
    assert [v.number for v in Version.objects.all()] == [2, 1]
    # a resource keeps its name from version to version, and what was published stays where it was
    assert set(Resource.objects.values_list("id", flat=True)) == resources
    assert (node.open / "macao-arrivals" / "1" / "macao-arrivals.csv").is_file()
    assert LogEntry.objects.filter(kind="opendata.published").count() == 2


PEOPLE = "name,identity card,visits\n陈大文,A123456(3),4\n李小明,C668668(E),2\n黃志強,Z683365(5),9\n"


@pytest.mark.parametrize(
    ("content", "more", "reason"),
    [
        (PEOPLE, {}, "personal"),
        (ARRIVALS, {"description": {"en": "Ask chan.tai.man@gmail.com, tel. +852 9123 4567."}}, "personal"),
        (ARRIVALS, {"declared": "important"}, "graded"),
        (ARRIVALS, {"declared": "core"}, "graded"),
        (ARRIVALS, {"declared": ""}, "undeclared"),
    ],
)
def test_what_is_not_for_everyone_is_refused_with_the_findings(publish, node, content, more, reason):
    with pytest.raises(problems.NotForTheOpen) as refused:
        publish(content, **more)
    assert refused.value.params["reason"] == reason
    assert bool(refused.value.params["findings"]) is (reason == "personal")
    assert not OpenDataset.objects.exists()
    assert not Resource.objects.exists()
    assert not [path for path in node.open.rglob("*") if path.is_file()]
    told = Submission.objects.get()
    assert told.state == "refused"
    assert "A123456" not in json.dumps(told.problem)
    entry = json.loads(LogEntry.objects.get().body)
    assert entry["kind"] == "opendata.refused"
    assert not {"findings", "name"} & entry.keys()


def test_an_unreadable_file_is_refused(publish):
    with pytest.raises((problems.NotForTheOpen, problems.NotATable)):
        publish(b"PK\x03\x04 not a workbook", filename="data.xlsx")
    assert not OpenDataset.objects.exists()


def test_a_description_that_does_not_meet_dcat_names_the_field(publish, monkeypatch):
    from wantong.border.exchange.opendata import dcat

    whole = dcat.dataset

    def without_title(*args):
        node = whole(*args)
        kept = tuple(p for p in node.properties if p[0] != "dct:title")
        return dcat.Node(node.types, kept, node.iri)

    monkeypatch.setattr(services.dcat, "dataset", without_title)
    with pytest.raises(problems.NotDcat) as refused:
        publish()
    assert refused.value.params["field"] == "dct:title"
    assert not OpenDataset.objects.exists()


def test_a_dataset_of_the_catalogue_must_be_marked_open(node, tmp_path):
    path = tmp_path / "arrivals.csv"
    path.write_text(ARRIVALS)
    for name, is_open in (("urn:closed", False), ("urn:open", True)):
        exchange.publish_dataset(CLERK, path, Metadata(title={"en": name}, id=name, is_open=is_open))
    with pytest.raises(problems.NotMarkedOpen):
        services.submit_dataset(CLERK, "urn:closed", Record.of(said()))
    submission = services.submit_dataset(CLERK, "urn:open", Record.of(said()))
    outbox.drain()
    row = OpenDataset.objects.get()
    assert (row.dataset_id, row.version) == ("urn:open", 1)
    submission.refresh_from_db()
    assert submission.state == "published"


def test_who_may_publish(publish, tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(ARRIVALS)
    with pytest.raises(NotAllowed):
        services.submit(Actor("user:x", "X", frozenset({"auditor"})), path, Record.of(said()))


def test_settling_twice_publishes_once(publish, node, tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(ARRIVALS)
    submission = services.submit(CLERK, path, Record.of(said()))
    assert services.settle(submission.id).version == services.settle(submission.id).version
    assert Version.objects.count() == 1


def test_a_commit_that_fails_leaves_nothing_that_the_next_attempt_minds(publish, node, monkeypatch):
    placed = files.place

    def fails(*args):
        placed(*args)
        raise OSError("the disk is full")

    monkeypatch.setattr(services.files, "place", fails)
    with pytest.raises(OSError):
        publish()
    assert not OpenDataset.objects.exists()
    monkeypatch.setattr(services.files, "place", placed)
    outbox.drain()
    assert OpenDataset.objects.get().version == 1
    assert Submission.objects.get().state == "published"


def test_a_withdrawn_dataset_says_so_and_its_files_are_gone(publish, node, client):
    publish()
    services.withdraw(CLERK, "macao-arrivals", "An error in the figures")
    outbox.drain()
    assert not (node.open / "macao-arrivals").exists()
    assert client.get("/open-data/macao-arrivals.ttl").status_code == 410
    assert client.get("/api/3/action/package_show?id=macao-arrivals").status_code == 404
    assert client.get("/api/3/action/package_search?q=visitors").json()["result"]["count"] == 0
    assert LogEntry.objects.filter(kind="opendata.withdrawn").count() == 1
    with pytest.raises(problems.UnknownOpenDataset):
        services.withdraw(CLERK, "macao-arrivals", "twice")
    assert publish().number == 2
    assert client.get("/api/3/action/package_search?q=visitors").json()["result"]["count"] == 1


@pytest.mark.parametrize(
    ("change", "field", "reason"),
    [
        ({"name": "Not A Name"}, "name", "no-name"),
        ({"name": "catalog"}, "name", "reserved"),
        ({"title": {}}, "title", "empty"),
        ({"title": {"de": "x"}}, "title", "not-texts"),
        ({"licence": "mine"}, "licence", "choice"),
        ({"publisher": {"id": "x y", "name": {"en": "X"}}}, "publisher.id", "no-name"),
        ({"themes": ["love"]}, "themes", "not-among"),
        ({"source_url": "javascript:alert(1)"}, "source_url", "no-address"),
        ({"temporal": {"start": "2024-02-30"}}, "temporal", "no-day"),
        ({"temporal": {"start": "2025-01-01", "end": "2024-01-01"}}, "temporal", "ends-first"),
        ({"keywords": [{}]}, "keywords", "empty"),
        ({"nonsense": 1}, "nonsense", "no-field"),
        ({"cycle": 7}, "cycle", "choice"),
    ],
)
def test_a_wrong_record_names_its_field(change, field, reason):
    with pytest.raises(problems.BadRecord) as wrong:
        Record.of(said() | change)
    assert (wrong.value.params["field"], wrong.value.params["reason"]) == (field, reason)


def test_over_http(client, node, django_user_model, settings):
    from django.core.files.uploadedfile import SimpleUploadedFile

    from wantong.ground.http.auth import make_token
    from wantong.portal.services import make_operator

    token = make_token(make_operator("chan", ("declarer",), "correct horse battery"), "test")
    auth = {"HTTP_AUTHORIZATION": f"Bearer {token}", "HTTP_IDEMPOTENCY_KEY": uuid.uuid4().hex}
    form = {"record": json.dumps(said()), "file": SimpleUploadedFile("arrivals.csv", ARRIVALS.encode())}
    answer = client.post("/api/open-data/submissions", form, **auth)
    assert answer.status_code == 202, answer.content
    outbox.drain()
    told = client.get(answer.json()["url"], **auth).json()
    assert (told["state"], told["version"]) == ("published", 1)
    history = client.get("/api/open-data/datasets/macao-arrivals/versions").json()
    assert history[0]["log_entry"] == told["log_entry"]
    assert client.get("/api/open-data/datasets/macao-arrivals/quality").json()["score"] > 50
    assert client.post("/api/open-data/submissions", form).status_code in (401, 403)
