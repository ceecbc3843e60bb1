"""What operators and programs do: API and command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.test import Client
from tests.border.trust.identity.accounts.people import URL, Person

from wantong.border.trust.identity.accounts.models import Account, Link
from wantong.ground.http.auth import make_token
from wantong.portal.services import User, make_operator

HOST = {"HTTP_HOST": "gd.wantong.example"}
ROOT = Path(__file__).parents[5]


def api(user: str = "") -> Client:
    if not user:
        return Client(**HOST)
    who = User.objects.filter(username=user).first() or make_operator(
        user, ["operator"], "harbour lotus kapok nine"
    )
    return Client(**HOST, HTTP_AUTHORIZATION=f"Bearer {make_token(who, 'test')}")


def post(client: Client, path: str, **body):
    return client.post(f"/api/identity/{path}", json.dumps(body), content_type="application/json")


@pytest.mark.django_db
def test_what_everybody_may_know(systems):
    told = api().get("/api/identity/levels").json()
    row = next(row for row in told["schemes"] if (row["scheme"], row["native"]) == ("guangdong", "4"))
    assert row["ial"] == 2 and set(row["note"]) == {"zh-hans", "zh-hant", "en", "pt"}
    assert told["acr"]["urn:wantong:acr:high"] == "high"
    listed = api().get("/api/identity/sources").json()
    assert {one["name"] for one in listed} == {"guangdong", "iam-smart", "one-account"}
    assert "secret" not in json.dumps(listed)


@pytest.mark.django_db
def test_who_is_there_sees_his_links_without_the_other_subject(systems, person):
    assert api().get("/api/identity/me").status_code == 401
    person.sits("begin")
    person.through("guangdong", "chan", "link")
    person.through("iam-smart", "chan", "link")
    person.sits("consent", agree="1", shows=["level"])
    told = person.client.get("/api/identity/me").json()
    assert (told["ial"], told["aal"], told["fal"], told["acr"]) == (2, 2, 2, "urn:wantong:acr:substantial")
    assert told["links"][0]["issuer"] == systems.urls["iam-smart"]
    there = Account.objects.get(scheme="iam-smart")
    assert there.subject not in json.dumps(told) and str(there.id) not in json.dumps(told)
    assert Link.objects.count() == 1


@pytest.mark.django_db
def test_recovery_and_locks_over_the_api(named):
    person = Person(Client(**HOST))
    person.register()
    account = str(Account.objects.get().id)
    ho, lei = api("ho"), api("lei")
    asked = post(ho, "recoveries", holder=account, reason="lost")
    assert asked.status_code == 201
    assert post(ho, f"recoveries/{asked.json()['id']}/refuse").status_code == 403
    assert post(lei, f"recoveries/{asked.json()['id']}/refuse").json()["state"] == "refused"
    assert post(lei, "recoveries/nonsense/refuse").status_code == 404
    assert [row["state"] for row in lei.get("/api/identity/recoveries").json()] == ["refused"]
    assert post(ho, f"accounts/{account}/lock", reason="abuse").json()["state"] == "locked"
    assert not person.is_in
    assert post(ho, f"accounts/{account}/unlock", reason="settled").json()["state"] == "active"
    User.objects.get(username="lei").groups.clear()
    assert post(lei, f"accounts/{account}/lock", reason="abuse").status_code == 403


@pytest.mark.processes
def test_the_command_line(tmp_path):
    from wantong.node import setup

    node = tmp_path / "node"
    setup.create(node, jurisdiction="gd", url=URL, participant_id="gd.test.example")

    def wantong(*words: str, fails: bool = False, **typed: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "wantong", *words], env={**os.environ, "PYTHONPATH": str(ROOT / "src"), "WANTONG_LANG": "en"},
            capture_output=True, text=True, check=False, **typed,
        )  # fmt: skip
        assert (done.returncode != 0) == fails, done.stdout + done.stderr
        return done.stdout + done.stderr

    code = (
        "import sys; from pathlib import Path; from wantong.node import setup; node = Path(sys.argv[1]);"
        "setup.prepare(node); setup.enter(node); from django.contrib.auth.models import Group, User;"
        "group = Group.objects.get(name='operator');"
        "[User.objects.create(username=name).groups.add(group) for name in ('ho', 'lei', 'ana')]"
    )
    done = subprocess.run([sys.executable, "-c", code, str(node)], env={**os.environ, "PYTHONPATH": str(ROOT / "src")}, capture_output=True, text=True)  # fmt: skip
    assert done.returncode == 0, done.stderr
    (tmp_path / "settings.json").write_text('{"base": "https://id.example", "client_id": "wantong"}')
    (tmp_path / "secrets.json").write_text('{"client_secret": "s"}')
    add = ("identity", "source", "add", str(node), "gd-id", "guangdong", "https://id.example")
    files = ("--settings", str(tmp_path / "settings.json"), "--secrets", str(tmp_path / "secrets.json"))
    made = wantong(*add, *files, "--title", '{"en": "Guangdong"}', "--as", "ho").split()[0]
    assert "gd-id" in wantong("trust", "waiting", str(node), "--as", "lei")
    wantong("trust", "decide", str(node), made, "approve", "--as", "ho", fails=True)
    wantong("trust", "decide", str(node), made, "refuse", "--as", "lei", fails=True)
    assert "Approved" in wantong("trust", "decide", str(node), made, "approve", "--as", "lei")
    assert "gd-id" in wantong("identity", "source", "show", str(node), "--as", "ho")
    told = wantong("identity", "recovery", "ask", str(node), "ana", "--reason", "lost", "--as", "ho")
    row = next(word for word in told.replace(";", " ").split() if word.count("-") == 4)
    wantong("identity", "recovery", "approve", str(node), row, "--as", "ho", fails=True)
    assert len(wantong("identity", "recovery", "approve", str(node), row, "--as", "lei").strip()) == 23
