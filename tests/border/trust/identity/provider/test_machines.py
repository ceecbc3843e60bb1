"""Machines: tokens of their own, what resource servers may know of tokens, taking them back; and registering clients."""

from __future__ import annotations

import itertools
import json

import pytest
from django.contrib.auth.models import Group
from django.db import IntegrityError, transaction
from django.test import Client as Browser
from joserfc.jwk import ECKey
from tests.border.trust.identity.provider.world import ANA, BO, URL, Person, Service, unsigned

from wantong.border.trust.identity.provider import details, grants, registration, scopes
from wantong.border.trust.identity.provider.access import protect
from wantong.border.trust.identity.provider.grants import Granted
from wantong.border.trust.identity.provider.models import ClientAction, RegisteredClient
from wantong.border.trust.identity.provider.problems import (
    InsufficientScope,
    InvalidAuthorizationDetails,
    InvalidClientMetadata,
    InvalidScope,
    InvalidToken,
    NonceWanted,
    NotInThisState,
    SamePerson,
    UnknownClient,
)
from wantong.ground.actors import Actor
from wantong.ground.http.auth import NotAllowed, make_token
from wantong.ground.log.models import LogEntry

METER = scopes.Scope("meter", {"en": "read the meter"}, machine=True)
TARIFF = scopes.Scope("tariff", {"en": "change the tariff"}, machine=True)


@pytest.fixture(autouse=True)
def meters(monkeypatch):
    """What another part of a node would add."""
    monkeypatch.setattr(scopes, "_MORE", [])
    monkeypatch.setattr(details, "_TYPES", {})
    monkeypatch.setattr(grants, "_KINDS", dict(grants._KINDS))
    scopes.extend(lambda: [METER, TARIFF])


@pytest.fixture
def machine(named, db) -> Service:
    told = {"grant_types": ["client_credentials"], "redirect_uris": [], "scope": "meter openid"}
    return Service("meter-reader").register(**told, resources=["https://grid.example/api"])


def token_of(machine: Service, **more) -> dict:
    answer = machine.post("/oauth/token", {"grant_type": "client_credentials", **more})
    assert answer.status_code == 200, answer.content
    return answer.json()


def test_a_machine_has_a_token_of_its_own(machine: Service, rf):
    told = token_of(machine, scope="meter")
    assert told["token_type"] == "DPoP" and "refresh_token" not in told and "id_token" not in told
    said = unsigned(told["access_token"])
    assert (said["sub"], said["client_id"], said["aud"]) == (machine.client_id, machine.client_id, URL)
    found = protect(_request(rf, machine, told["access_token"]), scope="meter")
    assert found.client_id == machine.client_id and found.account_id is None and found.allows("meter")
    assert found.jkt == machine.possession.thumbprint()


def _request(rf, service: Service, token: str, path: str = "/meters/7", **changes):
    scheme = "DPoP" if service.dpop else "Bearer"
    more = {"HTTP_DPOP": service.proof("GET", path, token=token, **changes)} if service.dpop else {}
    return rf.get(path, HTTP_AUTHORIZATION=f"{scheme} {token}", **more)


def test_a_machine_gets_nothing_that_a_person_allows(machine: Service):
    wish = {"grant_type": "client_credentials", "scope": "openid"}
    assert machine.post("/oauth/token", wish).json()["error"] == "invalid_scope"
    beyond = machine.post("/oauth/token", {"grant_type": "client_credentials", "scope": "tariff"})
    assert beyond.json()["error"] == "invalid_scope"
    token = token_of(machine)["access_token"]
    assert machine.get("/oauth/userinfo", token).status_code == 403


def test_a_door_opens_for_what_a_token_says_and_no_more(machine: Service, rf):
    token = token_of(machine)["access_token"]
    with pytest.raises(InsufficientScope) as refused:
        protect(_request(rf, machine, token), scope=["meter", "tariff"])
    assert 'error="insufficient_scope"' in refused.value.headers["WWW-Authenticate"]
    with pytest.raises(InvalidToken) as refused:
        protect(rf.get("/meters/7"))
    assert "error" not in refused.value.headers["WWW-Authenticate"], "who shows nothing is told nothing"
    machine.nonce = None
    with pytest.raises(NonceWanted) as wanted:
        protect(_request(rf, machine, token), nonce=True)
    machine.nonce = wanted.value.headers["DPoP-Nonce"]
    assert protect(_request(rf, machine, token), nonce=True)


def test_a_token_for_elsewhere_opens_nothing_here(machine: Service, rf):
    elsewhere = token_of(machine, resource="https://grid.example/api")["access_token"]
    assert unsigned(elsewhere)["aud"] == "https://grid.example/api"
    with pytest.raises(InvalidToken):
        protect(_request(rf, machine, elsewhere))
    here = token_of(machine, resource=f"{URL}/meters")["access_token"]
    assert protect(_request(rf, machine, here)).audience == (f"{URL}/meters",)
    wish = {"grant_type": "client_credentials", "resource": "https://bank.example"}
    assert machine.post("/oauth/token", wish).json()["error"] == "invalid_target"
    near = {"grant_type": "client_credentials", "resource": f"{URL}.evil.example"}
    assert machine.post("/oauth/token", near).json()["error"] == "invalid_target"


def test_a_suspended_client_is_out_at_once(machine: Service, rf):
    token = token_of(machine)["access_token"]
    registration.suspend(BO, machine.client_id, "key lost")
    with pytest.raises(InvalidToken):
        protect(_request(rf, machine, token))
    assert machine.post("/oauth/token", {"grant_type": "client_credentials"}).status_code == 401
    registration.resume(ANA, machine.client_id)
    assert protect(_request(rf, machine, token))


def test_an_access_token_is_taken_back(machine: Service, rf):
    token = token_of(machine)["access_token"]
    other = Service("other").register()
    assert other.post("/oauth/revoke", {"token": token}).status_code == 200
    assert protect(_request(rf, machine, token)), "not by another client"
    assert machine.post("/oauth/revoke", {"token": token}).status_code == 200
    with pytest.raises(InvalidToken):
        protect(_request(rf, machine, token))
    for text in (token, "unknown", "a.b.c"):
        assert machine.post("/oauth/revoke", {"token": text}).status_code == 200
    assert machine.post("/oauth/revoke", {}).status_code == 400


def test_a_refresh_token_is_taken_back_with_all_of_its_family(service: Service, person: Person):
    tokens = service.log_in(person)
    assert service.post("/oauth/revoke", {"token": tokens["refresh_token"]}).status_code == 200
    assert service.refresh(tokens["refresh_token"]).json()["error"] == "invalid_grant"
    assert service.get("/oauth/userinfo", tokens["access_token"]).status_code == 401


def test_a_resource_server_asks_about_tokens_for_it_and_no_others(machine: Service, person: Person):
    grid = Service("grid").register(
        introspects=["https://grid.example/api"], grant_types=["client_credentials"], redirect_uris=[]
    )
    for_grid = token_of(machine, resource="https://grid.example/api")["access_token"]
    for_home = token_of(machine)["access_token"]

    def ask(who: Service, token: str) -> dict:
        return who.post("/oauth/introspect", {"token": token}).json()

    told = ask(grid, for_grid)
    assert (
        told["active"]
        and told["scope"] == "meter"
        and told["cnf"] == {"jkt": machine.possession.thumbprint()}
    )
    for text in (for_home, "unknown", for_grid[:-4] + "AAAA"):
        assert ask(grid, text) == {"active": False}
    assert ask(machine, for_grid)["error"] == "unauthorized_client"
    machine.post("/oauth/revoke", {"token": for_grid})
    assert ask(grid, for_grid) == {"active": False}
    shop = Service("shop").register(resources=["https://grid.example/api"])
    of_person = shop.log_in(person, resource="https://grid.example/api")["access_token"]
    told = ask(grid, of_person)
    assert told["active"] and told["acr"] and "grant" not in told and str(person.account.id) not in str(told)


# --- what other parts of the node add -----------------------------------------------------------------------------


def test_other_parts_add_kinds_of_grant(named, db, rf):
    """As issuing credentials does: a code that was handed over on paper, by a wallet that does not say who it is."""
    seen = []

    def by_paper(ask: grants.Ask):
        seen.append(ask)
        return Granted(scope=("meter",), subject="offer-1", refreshable=True, more={"c_nonce": "n"})

    grants.register("urn:example:paper", by_paper, anonymous=True)
    wallet = Service("nobody", public=True)
    answer = wallet.post("/oauth/token", {"grant_type": "urn:example:paper", "code": "7", "client_id": None})
    told = answer.json()
    assert answer.status_code == 200 and told["c_nonce"] == "n" and told["token_type"] == "DPoP", told
    assert (
        seen[0].client is None
        and seen[0].parameters["code"] == "7"
        and seen[0].jkt == wallet.possession.thumbprint()
    )
    found = protect(_request(rf, wallet, told["access_token"]), scope="meter")
    assert found.subject == "offer-1" and found.account_id is None and found.client_id == ""
    grants.register("urn:example:paper", by_paper)
    answer = wallet.post("/oauth/token", {"grant_type": "urn:example:paper", "client_id": None})
    assert answer.json()["error"] == "invalid_client"
    registered = Service("registered", public=True).register()
    assert (
        registered.post("/oauth/token", {"grant_type": "urn:example:paper"}).json()["error"]
        == "unauthorized_client"
    )


def test_other_parts_add_types_of_details(named, person: Person):
    def check(detail):
        if detail.get("amount", 0) > 100:
            raise InvalidAuthorizationDetails("details-form")
        return {"type": "payment", "amount": detail["amount"]}

    details.register(
        details.Type(
            "payment",
            check,
            lambda one, lang: f"pay {one['amount']} patacas",
            lambda one, who: {**one, "by": bool(who)},
        )
    )
    shop = Service().register(authorization_details_types=["payment"])
    wish = json.dumps([{"type": "payment", "amount": 7, "more": "left out"}])
    page = shop.ask(person, authorization_details=wish)
    assert "pay 7 patacas" in page.content.decode()
    tokens = shop.log_in(person, authorization_details=wish)
    assert tokens["authorization_details"] == [{"type": "payment", "amount": 7, "by": True}]
    assert unsigned(tokens["access_token"])["authorization_details"] == [{"type": "payment", "amount": 7}]
    assert shop.refresh(tokens["refresh_token"]).json()["authorization_details"]
    other = shop.ask(person, authorization_details=json.dumps([{"type": "payment", "amount": 8}]))
    assert other.status_code == 200, "another amount is another question"
    for bad in ('[{"type":"loan"}]', '[{"type":"payment","amount":101}]', "[]", "{}", "x", "[1]"):
        assert shop.push(authorization_details=bad).json()["error"] == "invalid_authorization_details", bad
    none = Service("none").register()
    assert none.push(authorization_details=wish).json()["error"] == "invalid_authorization_details"


# --- registering clients ------------------------------------------------------------------------------------------


def test_two_people_for_who_asks_who_somebody_is(named, db):
    row = registration.register(ANA, Service().metadata(), client_id="shop")
    assert row.state == "proposed"
    with pytest.raises(SamePerson):
        registration.approve(ANA, "shop")
    with pytest.raises(NotAllowed):
        registration.approve(Actor("user:cy", roles=frozenset({"declarer"})), "shop")
    assert registration.approve(BO, "shop", "contract 12").approved_by == BO.id
    with pytest.raises(NotInThisState):
        registration.approve(BO, "shop")
    with pytest.raises(IntegrityError), transaction.atomic():
        RegisteredClient.objects.filter(client_id="shop").update(approved_by=ANA.id)
    with pytest.raises(IntegrityError), transaction.atomic():
        RegisteredClient.objects.filter(client_id="shop").update(approved_by=None)
    changed = registration.change(ANA, "shop", Service().metadata(client_name="Shop 2"))
    assert (changed.state, changed.approved_by) == ("proposed", None)
    assert [action.act for action in ClientAction.objects.order_by("id")] == ["register", "approve", "change"]
    kinds = list(LogEntry.objects.filter(kind="identity.client").values_list("body", flat=True))
    assert len(kinds) == 3 and "Shop" not in str(kinds)


def test_one_person_for_who_does_not(named, db):
    told = {"scope": "openid meter"}
    assert registration.register(ANA, Service().metadata(**told), client_id="plain").state == "active"
    with pytest.raises(InvalidClientMetadata):
        registration.register(ANA, Service().metadata(**told), client_id="plain")
    with pytest.raises(NotAllowed):
        registration.register(BO, Service().metadata(**told), client_id="other")
    with pytest.raises(UnknownClient):
        registration.get("nobody")
    with pytest.raises(InvalidScope):
        registration.register(ANA, Service().metadata(scope="openid nosuch"), client_id="x")


@pytest.mark.parametrize(
    "wrong",
    [
        {"token_endpoint_auth_method": "client_secret_basic"}, {"response_types": ["token"]}, {"subject_type": "public"},
        {"redirect_uris": "https://shop.example"}, {"redirect_uris": [7]}, {"client_name": ""}, {"client_name": "a\x00b"},
        {"application_type": "robot"}, {"jwks": {"keys": []}}, {"jwks": {"keys": [{"kty": "oct", "k": "AAAA"}]}},
        {"jwks": {"keys": [ECKey.generate_key("P-256").as_dict(private=True)]}}, {"jwks": "x"}, {"jwks": {"keys": "x"}},
        {"backchannel_logout_uri": "http://shop.example/out"}, {"policy_uri": "javascript:alert(1)"}, {"default_max_age": "x"},
        {"default_max_age": 1.5}, {"require_signed_request_object": "yes"}, {"resources": ["shop"]}, {"jwks_uri": "https://a.example/", "jwks": {"keys": []}},
        {"userinfo_signed_response_alg": "RS256"}, {"request_object_signing_alg": "none"}, {"scope": 7},
        {"token_endpoint_auth_method": "none", "grant_types": ["client_credentials"]},
    ],
    ids=itertools.count(),  # what they hold is new every time, and workers must agree on names
)  # fmt: skip
def test_metadata_that_cannot_be(named, db, wrong: dict):
    with pytest.raises(InvalidClientMetadata):
        registration.register(ANA, Service().metadata(**wrong), client_id="x")
    assert not RegisteredClient.objects.exists()


def test_programs_of_operators_register_clients(named, db, django_user_model):
    user = django_user_model.objects.create_user("ana")
    browser = Browser()

    def send(metadata, token: str):
        headers = {"HTTP_AUTHORIZATION": f"Bearer {token}"}
        return browser.post("/oauth/register", metadata, content_type="application/json", **headers)

    token = make_token(user, "robot")
    metadata = Service().metadata(scope="openid")
    assert send(metadata, token).status_code == 401, "not an operator"
    user.groups.add(Group.objects.get_or_create(name="operator")[0])
    answer = send(metadata, token)
    assert answer.status_code == 201 and answer.json()["client_id"] and answer.json()["state"] == "active"
    assert "client_secret" not in answer.json()
    assert (
        send({**metadata, "redirect_uris": ["http://shop.example/"]}, token).json()["error"]
        == "invalid_redirect_uri"
    )
    assert send({**metadata, "jwks": {}}, token).json()["error"] == "invalid_client_metadata"
    assert send({**metadata, "scope": "nosuch"}, token).json()["error"] == "invalid_client_metadata"
    assert send("[]", token).json()["error"] == "invalid_client_metadata"
    assert send(metadata, "wt_wrong").status_code == 401
