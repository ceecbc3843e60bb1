"""The pages in four languages, the work of two people done on them, and the API."""

from __future__ import annotations

import base64
import datetime as dt
import json
import re

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone
from tests.border.trust.lists.test_services import (  # noqa: F401 - fixtures
    OLD,
    TYPE,
    bring,
    ca,
    keys,
    macao,
    person,
    publish,
    root,
    state,
    their_list,
    tick,
    wish,
)  # fmt: skip

from wantong.border.trust.lists import Status, countersigning, proposing, signed, stored
from wantong.border.trust.lists.models import Countersigning, Proposal
from wantong.ground.i18n import LANGUAGES

pytestmark = pytest.mark.django_db
MO = "mo.wantong.example"


def whole(response, lang: str) -> str:
    body = response.content.decode()
    assert response.status_code == 200, body[-3000:]
    assert "⟦" not in body and len(re.findall(r"<h1[ >]", body)) == 1
    assert not re.search(r"<style|\sstyle=|<script(?![^>]*\ssrc=)|\son\w+=", body)
    ids = re.findall(r'\sid="([^"]+)"', body)
    assert len(ids) == len(set(ids)) and set(re.findall(r'\sfor="([^"]+)"', body)) <= set(ids)
    return body


@pytest.fixture
def people() -> dict[str, Client]:
    found = {"nobody": Client()}
    for name, roles in (("lam", ["operator"]), ("lei", ["approver"]), ("wong", ["approver"])):
        user = get_user_model().objects.create_user(name)
        user.groups.set(Group.objects.get_or_create(name=role)[0] for role in roles)
        found[name] = Client()
        found[name].force_login(user)
    return found


@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_page_in_every_language(lang, people, macao):  # noqa: F811
    for path in ("trust/", "trust/check"):
        whole(people["nobody"].get(f"/{lang}/{path}"), lang)
    publish()
    publish(wish(status=Status.SUSPENDED, levels={"loa": "substantial"}, credential_types=("degree",)))
    row = bring(macao, their_list(1, *OLD))
    countersigning.compared(_actor("wong"), row, "seen")
    draft = proposing.propose(_actor("lam"), [wish(policy="1.2.3")], draft=True)
    done = Proposal.objects.filter(state="published").first()
    own = "trust/lists/gd.test.example"
    public = ("trust/", f"{own}/", f"{own}/?number=1", f"{own}/services/post-ca", f"{own}/differences?from=1&to=2",
              f"{own}/differences?to=1", f"trust/lists/{MO}/", f"trust/lists/{MO}/services/mo-ca")  # fmt: skip
    for path in public:
        whole(people["nobody"].get(f"/{lang}/{path}"), lang)
    inside = ("trust/proposals/", f"trust/proposals/{draft.id}", f"trust/proposals/{done.id}",
              f"trust/proposals/{draft.id}/change", f"trust/proposals/{draft.id}/change?service=post-ca",
              f"trust/lists/{MO}/", f"{own}/services/post-ca")  # fmt: skip
    for path in inside:
        whole(people["lam"].get(f"/{lang}/{path}"), lang)
    assert people["nobody"].get(f"/{lang}/trust/proposals/").status_code == 302
    countersigning.countersign(_actor("lei"), row)
    whole(people["lei"].get(f"/{lang}/trust/lists/{MO}/"), lang)
    asked = {"text": person.pem + ca.pem, "service": "ca"}
    whole(people["nobody"].post(f"/{lang}/trust/check", asked), lang)


def _actor(name):
    from wantong.ground.http.auth import actor_of

    return actor_of(get_user_model().objects.get(username=name))


def test_two_people_change_the_list_on_pages(people):
    lam, lei = people["lam"], people["lei"]
    response = lam.post("/en/trust/proposals/new")
    form = {
        "provider_id": "post", "provider_name.en": "Post", "provider_name.zh-hant": "郵政", "service_id": "post-ca",
        "type": "ca", "name.en": "Signing CA", "status": "granted", "since": "2026-01-01", "until": "2030-01-01",
        "root": root.pem, "certificate_type": TYPE, "policy": "2.16.344.8.2.2008.810.2", "levels": "loa=high",
    }  # fmt: skip
    change = response["Location"]
    for missing in ("root", "provider_id", "name.en", "since"):
        told = lam.post(change, {**form, missing: ""})
        assert told.status_code == 422, missing
    upload = SimpleUploadedFile("ca.pem", ca.pem.encode())
    response = lam.post(change, {**form, "signing_ca_file": upload})
    page = response["Location"]
    assert "Signing CA" in lam.get(page).content.decode()
    assert lam.get(f"{change}?service=post-ca").content.decode().count("BEGIN CERTIFICATE") == 2
    later = (timezone.localtime() + dt.timedelta(hours=2)).strftime("%Y-%m-%dT%H:%M")
    assert lam.post(f"{page}/act", {"act": "submit", "effective_at": later}).status_code == 302
    assert lam.post(f"{page}/act", {"act": "approve"}).status_code == 403
    assert lei.post(f"{page}/act", {"act": "approve"}).status_code == 302
    tick()
    assert stored.latest() is None
    tick(2 * 3600)
    told = stored.content(stored.latest()).service("post-ca")[1].now
    assert (told.signing_ca, told.levels["loa"]) == (ca.der, "high")
    assert told.period.since == dt.datetime(2025, 12, 31, 16, tzinfo=dt.UTC)  # a day of the bay


def test_two_people_countersign_on_pages(people, macao):  # noqa: F811
    bring(macao, their_list(1, *OLD))
    act = f"/en/trust/lists/{MO}/act"
    assert people["nobody"].post(act, {"act": "compare", "number": 1}).status_code == 302
    assert people["wong"].post(act, {"act": "compare", "number": 1}).status_code == 302
    assert people["wong"].post(act, {"act": "countersign", "number": 1}).status_code == 409
    assert people["lei"].post(act, {"act": "countersign", "number": 1}).status_code == 302
    assert Countersigning.objects.get().state == "signed"
    assert people["lei"].post(act, {"act": "revoke", "number": 1}).status_code == 422
    assert people["lei"].post(act, {"act": "revoke", "number": 1, "note": "lost"}).status_code == 302
    assert people["lam"].post(act, {"act": "look"}).status_code == 302


def test_why_is_this_not_recognised(people):
    publish()
    asked = {"service": "timestamp", "text": person.pem + ca.pem}
    body = people["nobody"].post("/en/trust/check", asked).content.decode()
    assert "No list that counts here names it" in body and "must ask its own regulator" in body
    asked = {"service": "ca", "text": "", "file": SimpleUploadedFile("c.pem", (person.pem + ca.pem).encode())}
    body = people["nobody"].post("/en/trust/check", asked).content.decode()
    assert "post-ca" in body and "Period of recognition" in body
    assert people["nobody"].post("/en/trust/check", {"service": "ca", "text": "x"}).status_code == 422


def test_what_is_served(people, macao):  # noqa: F811
    client = people["nobody"]
    assert client.get("/trust/list.json").status_code == 404
    publish()
    countersigning.compared(_actor("lam"), row := bring(macao, their_list(1, *OLD)))
    countersigning.countersign(_actor("lei"), row)
    response = client.get("/trust/list.json")
    proof = signed.read(signed.compact(response.content.decode()), signed.LIST)
    assert json.loads(proof.payload)["sequence"] == 1
    assert client.get("/trust/list.json", headers={"If-None-Match": response["ETag"]}).status_code == 304
    assert client.get("/trust/versions/1.json").content == response.content
    assert b"TrustServiceStatusList" in client.get("/trust/versions/1.xml").content
    assert client.get("/trust/versions/2.xml").status_code == 404
    (said,) = client.get("/trust/countersignatures.json").json()["countersignatures"]
    assert said["operator"] == MO and signed.flattened(Countersigning.objects.get().jws) == said["jws"]
    response = client.get("/.well-known/openid-federation")
    assert response["Content-Type"] == "application/entity-statement+jwt"
    said = json.loads(base64.urlsafe_b64decode(response.content.decode().split(".")[1] + "=="))
    assert {"federation_entity", "openid_provider", "openid_credential_issuer"} <= said["metadata"].keys()
    assert client.get("/trust/federation/list").json() == [macao.url]
    assert client.get("/trust/federation/fetch", {"sub": macao.url}).status_code == 200
    assert client.get("/trust/federation/fetch", {"sub": "https://nobody.example"}).status_code == 404
    assert client.get("/trust/federation/fetch").status_code == 400
    assert client.post("/wantong/trust-lists").status_code == 401


def test_over_the_api(people, macao):  # noqa: F811
    lam, lei, nobody = people["lam"], people["lei"], people["nobody"]

    def post(client, path, body):
        return client.post(f"/api/trust/{path}", json.dumps(body), content_type="application/json")

    made = post(lam, "proposals", {"wishes": [wish()], "note": "new"})
    assert made.status_code == 201
    told = lam.get(f"/api/trust/proposals/{made.json()['id']}").json()
    assert told["changes"][0]["kind"] == "added"
    assert post(lei, f"proposals/{made.json()['id']}/approve", {}).status_code == 200
    tick()
    bring(macao, their_list(1, *OLD))
    assert nobody.get(f"/api/trust/lists/{MO}/waiting").json()["changes"][0]["kind"] == "added"
    assert post(lam, f"lists/{MO}/compare", {"number": 1}).status_code == 200
    assert post(lei, f"lists/{MO}/countersign", {"number": 1}).json()["state"] == "signed"
    lists = nobody.get("/api/trust/lists").json()
    assert lists["own"]["sequence"] == 1 and lists["counting"][0]["operator"] == MO
    assert nobody.get("/api/trust/lists/gd.test.example").json()["providers"][0]["id"] == "post"
    asked = {"certificates": person.pem + ca.pem, "service": "ca", "lang": "pt"}
    found = post(nobody, "recognise", asked).json()
    assert found["entry"]["service"] in ("post-ca", "mo-ca") and found["verdict"]["said"]
    assert post(nobody, "recognise", {"certificates": "", "service": "ca"}).status_code == 422
