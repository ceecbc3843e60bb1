"""A register's program over HTTP: it entitles, offers, withdraws; another person approves; a retry does it once."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client
from tests.border.trust.credentials.conftest import DEGREE, LIBRARY, LICENCE
from tests.border.trust.credentials.wallet import URL, Wallet, new_key

from wantong.border.trust.credentials.models import Entitlement, Issued, Offer
from wantong.ground.http.auth import make_token
from wantong.ground.log.models import LogEntry


class Program:
    """A program with the token of somebody who has these roles."""

    def __init__(self, name: str, *roles: str) -> None:
        user = User.objects.create_user(name)
        user.groups.set([Group.objects.get_or_create(name=role)[0] for role in roles])
        token = make_token(user, "register")
        self.http = Client(HTTP_HOST=URL.removeprefix("https://"), HTTP_AUTHORIZATION=f"Bearer {token}")

    def post(self, path: str, body: Any = None, **headers: str) -> Any:
        return self.http.post(
            f"/api/credentials/{path}", body or {}, content_type="application/json", headers=headers
        )

    def get(self, path: str) -> Any:
        return self.http.get(f"/api/credentials/{path}")


@pytest.fixture
def register(issuer: Any) -> Program:
    return Program("register", "declarer", "approver")


@pytest.fixture
def chief(issuer: Any) -> Program:
    return Program("chief", "approver")


def test_a_program_entitles_offers_and_takes_back(register: Program, wallet: Wallet) -> None:
    """One person's word is enough for a library card; what was issued is revoked with its record."""
    body = {"type": "library-card", "claims": LIBRARY, "reference": "R000123"}
    made = [register.post("records", body, **{"Idempotency-Key": "1"}) for _ in range(2)]
    assert [one.status_code for one in made] == [201, 201] and made[0].content == made[1].content
    record = made[0].json()
    assert record["state"] == "approved" and record["proposed_by"] == "user:register"
    assert Entitlement.objects.count() == 1
    assert register.post("records", {**body, "claims": {**LIBRARY, "name": "X"}}).status_code == 409

    offer = {"tx_code": "314159", "minutes": 5}
    told = [register.post(f"records/{record['id']}/offers", offer, **{"Idempotency-Key": "2"}) for _ in "12"]
    assert told[0].status_code == 201 and told[0].content == told[1].content
    assert Offer.objects.count() == 1 and b"314159" not in told[0].content
    assert wallet.redeem(wallet.read(told[0].json()["link"]), "271828").status_code == 400
    assert wallet.redeem(wallet.read(told[0].json()["link"]), "314159").status_code == 200
    assert wallet.ask(new_key()).status_code == 200

    (listed,) = register.get("records?reference=R000123&state=approved").json()["items"]
    assert "claims" not in listed and listed["id"] == record["id"]
    whole = register.get(f"records/{record['id']}").json()
    assert whole["claims"] == LIBRARY and [one["state"] for one in whole["issued"]] == ["valid"]
    issued = whole["issued"][0]["id"]
    assert register.post(f"issued/{issued}/suspend", {"reason": "lost"}).json()["state"] == "suspended"
    assert register.post(f"issued/{issued}/resume", {"reason": "found"}).json()["state"] == "valid"
    assert register.post(f"records/{record['id']}/withdraw", {"reason": ""}).status_code == 422
    gone = register.post(f"records/{record['id']}/withdraw", {"reason": "moved away"}).json()
    assert (gone["state"], gone["reason"]) == ("withdrawn", "moved away")
    assert Issued.objects.get().state == "revoked"
    assert register.post(f"issued/{issued}/revoke", {"reason": "again"}).status_code == 409
    assert Counter(LogEntry.objects.filter(kind__regex="^(credential|entitlement)\\.").values_list("kind", flat=True)) == {
        "credential.open": 4, "entitlement.entitle": 1, "entitlement.approve": 1, "credential.offer": 1,
        "credential.issue": 1, "credential.suspend": 1, "credential.resume": 1, "credential.revoke": 1,
        "entitlement.withdraw": 1,
    }  # fmt: skip


def test_a_licence_needs_another_persons_word(register: Program, chief: Program) -> None:
    told = register.post("records", {"type": "business-licence", "claims": LICENCE, "reference": "1"}).json()
    path = f"records/{told['id']}"
    assert (told["state"], told["people"]) == ("proposed", 2)
    assert register.post(f"{path}/offers", {"tx_code": "314159"}).status_code == 409
    refused = register.post(f"{path}/approve")
    assert (refused.status_code, refused.json()["type"].rpartition("/")[2]) == (403, "credential-same-person")
    assert chief.post(f"{path}/approve").json()["decided_by"] == "user:chief"
    other = register.post("records", {"type": "business-licence", "claims": LICENCE, "reference": "2"}).json()
    assert chief.post(f"records/{other['id']}/reject", {"reason": "no"}).json()["state"] == "rejected"


def test_what_a_program_may_not(register: Program, issuer: Any) -> None:
    auditor, nobody = Program("auditor", "auditor"), Client(HTTP_HOST=URL.removeprefix("https://"))
    body = {"type": "degree", "claims": DEGREE}
    assert auditor.post("records", body).status_code == 403 and auditor.get("records").status_code == 200
    assert nobody.post("/api/credentials/records", body, content_type="application/json").status_code == 401
    assert nobody.get("/api/credentials/records").status_code == 401
    for wrong, status in (
        ({"type": "nothing", "claims": {}}, 404),
        ({"type": "data-asset", "claims": {}}, 409),
        ({"type": "degree", "claims": {**DEGREE, "more": 1}}, 422),
        ({"type": "degree", "claims": DEGREE, "reference": "x" * 201}, 422),
        ({"type": "degree"}, 422),
    ):
        assert register.post("records", wrong).status_code == status, wrong
    assert not Entitlement.objects.exists()
    record = register.post("records", body).json()["id"]
    for wrong in (
        {},
        {"tx_code": "12345"},
        {"tx_code": "123456", "formats": []},
        {"tx_code": "123456", "minutes": 0},
    ):
        assert register.post(f"records/{record}/offers", wrong).status_code == 422, wrong


def test_a_program_learns_what_there_is(issuer: Any) -> None:
    told = {
        one["type"]: one
        for one in Client(HTTP_HOST=URL.removeprefix("https://")).get("/api/credentials/types").json()
    }
    assert len(told) == 10 and told["degree"]["open"] and not told["data-asset"]["open"]
    assert told["degree"]["claims"]["required"] and told["business-licence"]["people"] == 2
