"""What people see of claims, and the verbs over the API."""

from __future__ import annotations

import pytest
from django.test import Client
from tests.border.trust.dcp.conftest import OPERATOR
from tests.border.trust.dcp.test_verifying import ask, me, refused
from tests.border.trust.dcp.village import MEMBER

from wantong.border.trust.dcp import issuing, services
from wantong.border.trust.dcp.models import IssuanceRequest
from wantong.ground.http.auth import make_token
from wantong.ground.i18n import LANGUAGES
from wantong.portal.services import make_operator

pytestmark = pytest.mark.django_db


@pytest.fixture
def officer(judge):
    return make_operator("lei", ("approver",), "a password of no use")


@pytest.fixture
def signed_in(officer):
    client = Client()
    client.force_login(officer)
    return client


@pytest.mark.parametrize("lang", LANGUAGES)
def test_a_refusal_is_shown_as_steps_with_reasons_in_every_language(signed_in, holder, issuer, lang):
    ask(holder.token(me()))
    services.withdraw_issuer(OPERATOR, issuer.did, MEMBER)
    assert refused(holder.token(me())) == "vc-issuer"
    refused(holder.token("did:web:mo.example"))
    page = signed_in.get(f"/{lang}/claims").content.decode()
    assert "⟦" not in page and page.count("wt-check--met") == 7 and page.count("wt-check--open") == 2
    told = signed_in.get(f"/{lang}/claims.json").json()
    (peer,) = told["peers"]
    failed = [step for one in peer["verdicts"] for step in one["steps"] if not step["passed"]]
    assert {step["code"] for step in failed} == {"vc-issuer", "token-audience"}
    for step in failed:
        assert step["why"] and step["next"] and step["what"]
    assert peer["roles"] == [] and told["issuers"] == []


def test_what_strangers_say_is_shown_and_not_obeyed(signed_in, holder):
    refused(holder.token("<script>alert(1)</script>"))
    page = signed_in.get("/en/claims").content.decode()
    assert "<script>alert" not in page and "&lt;script&gt;alert" in page


def test_an_accepted_peer_is_shown_with_its_roles_and_an_empty_node_says_so(signed_in, holder):
    ask(holder.token(me()))
    page = signed_in.get("/en/claims").content.decode()
    assert "accepted" in page and "member" in page and "This node holds no credentials." in page


def test_only_people_of_the_node_see_it(judge):
    assert Client().get("/en/claims").status_code == 302
    assert Client().get("/api/claims").status_code == 401
    client = Client()
    client.force_login(make_operator("nobody", (), "a password of no use"))
    assert client.get("/en/claims").status_code == 403


def test_the_verbs_over_the_api(officer, issuer, judge):
    client = Client(headers={"Authorization": f"Bearer {make_token(officer, 'test')}"})

    def post(path: str, body: dict):
        return client.post(f"/api/claims/{path}", body, content_type="application/json")

    assert post("issuers", {"did": "did:web:council.example"}).status_code == 201
    assert {row["did"] for row in client.get("/api/claims").json()["issuers"]} == {
        issuer.did,
        "did:web:council.example",
    }
    assert post("issuers/withdraw", {"did": "did:web:council.example"}).status_code == 200
    assert post("issuers/withdraw", {"did": "did:web:council.example"}).status_code == 404
    problem = post("issuers", {"did": "council.example"})
    assert problem.status_code == 422 and problem.json()["type"].endswith("/bad-did")
    made = IssuanceRequest.objects.create(
        holder=issuer.did, holder_pid="1", wanted=[[MEMBER, "vc20-bssl/jwt"]]
    )
    assert post(f"requests/{made.pid}/word", {"grant": True}).json()["status"] == "ISSUED"
    assert post(f"requests/{made.pid}/word", {"grant": True}).status_code == 409
    assert [row.pid for row in issuing.waiting()] == []
    weak = make_token(make_operator("lin", ("declarer",), "another of no use"), "test")
    answered = Client(headers={"Authorization": f"Bearer {weak}"}).post(
        "/api/claims/issuers", {"did": "did:web:council.example"}, content_type="application/json"
    )
    assert answered.status_code == 403
