"""The gate over HTTP: a clerk and an officer carry a consignment through with nothing but the API."""

from __future__ import annotations

import datetime as dt
import json

import pytest
from django.contrib.auth.models import Group, User
from django.utils import timezone
from tests.border.gate.scene import COLUMNS, HK, PURPOSE, facts, resident, residents

from wantong.border.gate.consent.record import open_record
from wantong.border.gate.declarations import pictures
from wantong.border.gate.declarations.models import Declaration
from wantong.ground.actors import Actor
from wantong.ground.http.auth import make_token
from wantong.ground.i18n import LANGUAGES
from wantong.ground.outbox import services as outbox

pytestmark = pytest.mark.django_db(transaction=True)


class Caller:
    """A program with an operator's token."""

    def __init__(self, client, name, *roles):
        user = User.objects.create_user(name)
        user.groups.set([Group.objects.get_or_create(name=role)[0] for role in roles])
        self.client, self.header = client, {"HTTP_AUTHORIZATION": f"Bearer {make_token(user, 'test')}"}

    def get(self, path):
        return self.client.get(f"/api{path}", **self.header)

    def post(self, path, body=None, **more):
        if more:
            return self.client.post(f"/api{path}", more, **self.header)
        return self.client.post(
            f"/api{path}", json.dumps(body or {}), content_type="application/json", **self.header
        )


@pytest.fixture
def clerk(client):
    return Caller(client, "clerk", "declarer")


@pytest.fixture
def officer(client):
    return Caller(client, "officer", "approver")


def papers(**more):
    return json.dumps(
        {
            "dataset_id": "social-insurance",
            "title": "社会保险参保记录",
            "fields": COLUMNS,
            "facts": facts(n_sensitive=1),
            "purpose": PURPOSE,
            "receiver": HK,
            "subject_column": COLUMNS[0],
            "transfer_id": "over-http",
            **more,
        }
    )


def declare(caller, path, **more):
    with path.open("rb") as payload:
        return caller.post("/declarations", papers=papers(**more), payload=payload)


def test_a_consignment_goes_through_over_http(told, clerk, officer, tmp_path, client):
    path = residents(tmp_path / "r.csv", 4)
    answer = declare(clerk, path)
    assert answer.status_code == 201, answer.content
    identifier = answer.json()["id"]
    assert declare(clerk, path).json()["id"] == identifier, "the same again"
    outbox.drain()

    today = timezone.localdate()
    item = clerk.post(
        "/whitelist",
        {
            "dataset_id": "social-insurance",
            "fields": {COLUMNS[0]: "tokenise", **dict.fromkeys(COLUMNS[1:], "partial")},
            "purpose": PURPOSE,
            "receiver": HK,
            "legal_basis": "consent",
            "valid_from": today.isoformat(),
            "valid_until": (today + dt.timedelta(days=30)).isoformat(),
        },
    )
    assert item.status_code == 201, item.content
    assert clerk.post(f"/whitelist/{item.json()['id']}/approve").status_code == 403
    assert officer.post(f"/whitelist/{item.json()['id']}/approve").json()["state"] == "approved"
    granted = clerk.post(
        "/consents",
        {
            "identifiers": [resident(0), resident(1)],
            "dataset_id": "social-insurance",
            "purpose": PURPOSE,
            "receiver": HK,
            "fields": COLUMNS,
            "valid_until": (timezone.now() + dt.timedelta(days=30)).isoformat(),
        },
    )
    assert granted.status_code == 201, granted.content
    outbox.drain()

    [mine] = officer.get("/declarations/waiting-for-me").json()
    assert mine["id"] == identifier
    assert clerk.get("/declarations/waiting-for-me").json() == []
    needs = officer.get(f"/declarations/{identifier}?lang=zh-hans").json()["needs"]
    assert all(need["may_act"] for need in needs) and "⟦" not in str(needs)
    act = {
        "act": "confirm",
        "requirements": [need["id"] for need in needs],
        "document": {"title": "备案回执", "number": "2026-1"},
    }
    assert clerk.post(f"/declarations/{identifier}/act", act).status_code == 403
    assert officer.post(f"/declarations/{identifier}/act", act).status_code == 200
    outbox.drain()
    one = officer.get(f"/declarations/{identifier}").json()
    assert one["state"] == "released" and one["deliverable"]["rows"] == 2
    assert "path" not in one and str(tmp_path) not in json.dumps(one)

    [consent, _] = granted.json()["consents"]
    record = clerk.get(f"/consents/{consent}").json()
    assert record["uses"][0]["fate"] == "prepared"
    assert open_record(record["records"][0]["jws"], client.get("/api/consents/key").json())
    assert clerk.post(f"/consents/{consent}/withdraw").json()["uses"][0]["fate"] == "stopped"
    found = officer.post("/consents/of-person", {"identifier": resident(1)}).json()["consents"]
    assert len(found) == 1 and resident(1) not in json.dumps(found)
    assert officer.post("/consents/forget", {"identifier": resident(1)}).json() == {"known": True}
    counted = officer.get("/person-counts/gd.test.example").json()
    assert counted["sensitive"] == 0 and counted["warnings"] == []
    assert officer.get("/declarations?state=waiting").json()["total"] in (0, 1)


def test_bad_requests_are_problems_and_leave_nothing(told, clerk, tmp_path, client, node):
    path = residents(tmp_path / "r.csv", 3)
    for more, slug in [
        ({"transfer_id": "../x"}, "consignment-bad"),
        ({"fields": ["nowhere"]}, "columns-missing"),
        ({"facts": facts(no_such_fact=True)}, "facts-unknown"),
        ({"retain_until": "2020-01-01"}, "consignment-bad"),
        ({"retain_until": "2026-13-45"}, "consignment-bad"),
        ({"title": None}, "consignment-bad"),
    ]:
        answer = declare(clerk, path, **more)
        assert answer.status_code in (409, 422), answer.content
        assert answer.json()["type"].endswith(slug), answer.content
    with path.open("rb") as payload:
        assert clerk.post("/declarations", papers="[1", payload=payload).status_code == 400
    assert not Declaration.objects.exists() and not list((node.directory / "declared").iterdir())
    assert clerk.get("/declarations/no-such").status_code == 404
    assert clerk.get("/whitelist/no-such").status_code == 404
    assert clerk.get("/consents/no-such").status_code == 404
    assert client.get("/api/declarations").status_code == 401


@pytest.mark.parametrize("lang", LANGUAGES)
def test_what_pages_show_is_said_in_every_language(told, clerk, tmp_path, lang):
    identifier = declare(clerk, residents(tmp_path / "r.csv", 3), facts=facts(n_sensitive=12_000)).json()[
        "id"
    ]
    outbox.drain()
    viewer = Actor("user:x", roles=frozenset({"approver"}))
    picture = pictures.picture(identifier, viewer, lang)
    said = [
        picture.state_text,
        *(need.text for need in picture.needs),
        *(s.text + s.reason for s in picture.timeline),
    ]
    assert all(said) and "⟦" not in "".join(said)
    assert {"confirm", "approve"} <= set(picture.possible)
