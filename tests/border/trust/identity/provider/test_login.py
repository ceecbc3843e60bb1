"""A login as the standards describe it; the modules of the basic, config and dynamic plans for OpenID providers."""

from __future__ import annotations

import time
from urllib.parse import urlencode

import pytest
from django.utils import timezone
from tests.border.trust.identity.provider.modules import covers
from tests.border.trust.identity.provider.world import (
    ANA,
    EVERYTHING,
    URL,
    Person,
    Service,
    b64,
    follow,
    say,
    unsigned,
)

from wantong.border.trust.certificates import holdings
from wantong.border.trust.identity.provider import authorising, registration
from wantong.border.trust.identity.provider.models import Grant, RegisteredClient
from wantong.border.trust.identity.provider.problems import InvalidClientMetadata, InvalidRedirectUri


@covers(
    "oidcc-server",
    "oidcc-idtoken-signature",
    "oidcc-userinfo-get",
    "oidcc-ensure-request-with-valid-pkce-succeeds",
    "oidcc-ensure-client-assertion-with-iss-aud-succeeds",
)
def test_a_whole_login(service: Service, person: Person):
    tokens = service.log_in(person, scope="openid profile")
    assert tokens["token_type"] == "DPoP" and tokens["scope"] == "openid profile"
    said = service.claims(tokens["id_token"])
    assert (said["iss"], said["aud"], said["nonce"]) == (URL, service.client_id, service.sent["nonce"])
    assert said["acr"] == "urn:wantong:acr:substantial" and said["amr"] == ["swk", "user"]
    assert said["at_hash"] and abs(said["iat"] - time.time()) < 5 and said["exp"] > said["iat"]
    answer = service.get("/oauth/userinfo", tokens["access_token"])
    assert answer.status_code == 200 and answer.json()["sub"] == said["sub"]


@covers("oidcc-userinfo-post-header")
def test_userinfo_by_post(service: Service, person: Person):
    tokens = service.log_in(person)
    assert service.get("/oauth/userinfo", tokens["access_token"], method="post").status_code == 200


@covers("oidcc-userinfo-post-body")
def test_userinfo_with_the_token_in_the_body(named, db, person: Person):
    service = Service(dpop=False).register()
    tokens = service.log_in(person)
    form = urlencode({"access_token": tokens["access_token"]})
    answer = service.http.post("/oauth/userinfo", form, content_type="application/x-www-form-urlencoded")
    assert answer.status_code == 200
    bound = Service("bound").register().log_in(person)["access_token"]
    form = urlencode({"access_token": bound})
    answer = service.http.post("/oauth/userinfo", form, content_type="application/x-www-form-urlencoded")
    assert answer.status_code == 401, "a bound token without its key"


@covers("oidcc-response-type-missing")
def test_without_a_response_type(service: Service, person: Person):
    told = service.answered(service.ask(person, response_type=None))
    assert (
        told["error"] == "invalid_request" and told["iss"] == URL and told["state"] == service.sent["state"]
    )


@covers("oidcc-idtoken-unsigned")
@pytest.mark.parametrize("algorithm", ["none", "HS256", "RS256"])
def test_id_tokens_are_signed_one_way_only(named, db, algorithm: str):
    with pytest.raises(InvalidClientMetadata):
        Service().register(id_token_signed_response_alg=algorithm)


@covers("oidcc-ensure-request-without-nonce-succeeds-for-code-flow")
def test_without_a_nonce(service: Service, person: Person):
    assert "nonce" not in unsigned(service.log_in(person, nonce=None)["id_token"])


@covers(
    "oidcc-scope-profile", "oidcc-scope-email", "oidcc-scope-address", "oidcc-scope-phone", "oidcc-scope-all"
)
@pytest.mark.parametrize("scope", ["profile", "email", "address", "phone", "profile email address phone"])
def test_scopes_open_what_is_known_and_nothing_more(service: Service, person: Person, scope: str):
    person.prove()
    tokens = service.log_in(person, scope=f"openid {scope}")
    told = service.get("/oauth/userinfo", tokens["access_token"]).json()
    of_profile = {
        "name", "name#zh-Hant", "family_name", "family_name#zh-Hant", "birthdate", "preferred_username",
        "zoneinfo", "updated_at",
    }  # fmt: skip
    # no account here has an address of any kind, so none is made up
    assert told.keys() == {"sub"} | (of_profile if "profile" in scope else set())
    if "profile" in scope:
        assert told["name"] == "CHAN Tai Man" and told["name#zh-Hant"] == "陳大文"


@covers("oidcc-alternate-happy-flow")
def test_order_says_nothing(service: Service, person: Person):
    sent = dict(reversed(service.request(scope="profile openid").items()))
    told = service.allowed(person, sent)
    assert set(service.redeem(told["code"]).json()["scope"].split()) == {"openid", "profile"}


@covers(
    "oidcc-display-page",
    "oidcc-display-popup",
    "oidcc-claims-locales",
    "oidcc-login-hint",
    "oidcc-ensure-request-with-unknown-parameter-succeeds",
)
@pytest.mark.parametrize(
    "more",
    [{"display": "page"}, {"display": "popup"}, {"claims_locales": "se"}, {"login_hint": "a@b.example"}, {"extra": "foobar"}],
    ids=lambda more: next(iter(more)),
)  # fmt: skip
def test_what_is_not_understood_does_no_harm(service: Service, person: Person, more: dict[str, str]):
    assert "code" in service.allowed(person, **more)


@covers("oidcc-ui-locales")
@pytest.mark.parametrize(
    ("asked", "given"), [("se", "en"), ("zh-HK en", "zh-hant"), ("pt", "pt"), ("zh-CN", "zh-hans")]
)
def test_the_page_speaks_the_language_that_was_asked_for(
    service: Service, person: Person, asked: str, given: str
):
    answer = person.browser.get("/oauth/authorize", service.request(ui_locales=asked))
    assert answer.headers["Location"].startswith(f"/{given}/identity/allow")
    assert follow(person, answer).status_code == 200


@covers("oidcc-prompt-login")
def test_signing_in_again_because_it_was_asked(service: Service, person: Person):
    first = unsigned(service.log_in(person)["id_token"])
    person.sign_in(ago=100)
    answer = service.ask(person, prompt="login")
    assert (
        answer.request["PATH_INFO"] == "/en/identity/sign-in" and "fresh=1" in answer.request["QUERY_STRING"]
    )
    again = authorising.waiting(_handle(answer), timezone.now()).url
    assert follow(person, person.browser.get(again)).request["PATH_INFO"].endswith("sign-in"), "not yet"
    person.sign_in()
    told = service.answered(person.browser.get(again))
    second = unsigned(service.redeem(told["code"]).json()["id_token"])
    assert second["auth_time"] >= first["auth_time"] and second["sub"] == first["sub"]


def _handle(answer) -> str:
    """The request for which somebody was sent to sign in."""
    return answer.request["QUERY_STRING"].partition("request%3D")[2].partition("&")[0]


@covers("oidcc-prompt-none-not-logged-in")
def test_silently_with_nobody_there(service: Service, named, db):
    told = service.answered(service.ask(Person(), prompt="none"))
    assert told["error"] == "login_required"


@covers("oidcc-prompt-none-logged-in", "oidcc-id-token-hint")
@pytest.mark.parametrize("hint", [False, True])
def test_silently_once_it_was_allowed(service: Service, person: Person, hint: bool):
    assert service.answered(service.ask(person, prompt="none"))["error"] == "consent_required"
    first = service.log_in(person)["id_token"]
    more = {"id_token_hint": first} if hint else {}
    told = service.answered(service.ask(person, prompt="none", **more))
    second = unsigned(service.redeem(told["code"]).json()["id_token"])
    assert [second[name] for name in ("sub", "auth_time")] == [
        unsigned(first)[name] for name in ("sub", "auth_time")
    ]


def test_a_hint_at_somebody_else(service: Service, person: Person):
    hint = service.log_in(person)["id_token"]
    other = Person()
    other.sign_in()
    assert (
        service.answered(service.ask(other, prompt="none", id_token_hint=hint))["error"] == "login_required"
    )
    sent_to_sign_in = service.ask(other, id_token_hint=hint)
    other.sign_in()
    told = service.answered(
        other.browser.get(authorising.waiting(_handle(sent_to_sign_in), timezone.now()).url)
    )
    assert told["error"] == "login_required"


@covers("oidcc-max-age-1")
def test_too_old_a_sign_in(service: Service, person: Person):
    person.sign_in(ago=2)
    service.log_in(person)
    answer = service.ask(person, max_age=1)
    assert answer.request["PATH_INFO"] == "/en/identity/sign-in"
    person.sign_in()
    told = service.answered(person.browser.get(authorising.waiting(_handle(answer), timezone.now()).url))
    assert time.time() - unsigned(service.redeem(told["code"]).json()["id_token"])["auth_time"] < 5


@covers("oidcc-max-age-10000")
def test_young_enough_a_sign_in(service: Service, person: Person):
    first = unsigned(service.log_in(person, max_age=15000)["id_token"])
    told = service.answered(service.ask(person, max_age=10000))
    second = unsigned(service.redeem(told["code"]).json()["id_token"])
    assert (second["auth_time"], second["sub"]) == (first["auth_time"], first["sub"])


@covers("oidcc-ensure-request-with-acr-values-succeeds")
def test_a_level_is_told_by_the_name_it_was_asked_under(service: Service, person: Person):
    told = unsigned(service.log_in(person, acr_values="urn:wantong:aal:2")["id_token"])
    assert told["acr"] == "urn:wantong:aal:2"


def test_a_wish_for_more_is_tried_once_and_a_demand_is_refused(service: Service, person: Person):
    wish = service.ask(person, acr_values="urn:wantong:aal:3")
    assert wish.request["PATH_INFO"] == "/en/identity/sign-in" and "aal=3" in wish.request["QUERY_STRING"]
    person.sign_in()
    page = person.browser.get(authorising.waiting(_handle(wish), timezone.now()).url)
    told = service.answered(say(person, page, "allow"))
    assert unsigned(service.redeem(told["code"]).json()["id_token"])["acr"] == "urn:wantong:acr:substantial"
    demand = service.ask(
        person, claims='{"id_token":{"acr":{"essential":true,"values":["urn:wantong:aal:3"]}}}'
    )
    person.sign_in()
    told = service.answered(person.browser.get(authorising.waiting(_handle(demand), timezone.now()).url))
    assert told["error"] == "unmet_authentication_requirements"


@covers("oidcc-codereuse", "oidcc-codereuse-30seconds")
def test_a_code_that_comes_twice_ends_what_came_of_it(service: Service, person: Person):
    told = service.allowed(person)
    tokens = service.redeem(told["code"]).json()
    again = service.redeem(told["code"])
    assert again.status_code == 400 and again.json()["error"] == "invalid_grant"
    assert service.get("/oauth/userinfo", tokens["access_token"]).status_code == 401
    assert service.refresh(tokens["refresh_token"]).json()["error"] == "invalid_grant"
    assert Grant.objects.get().ended_why == "code-reuse"


@covers("oidcc-ensure-registered-redirect-uri", "oidcc-ensure-redirect-uri-in-authorization-request")
@pytest.mark.parametrize("address", ["https://shop.example/other", None])
def test_an_unknown_address_gets_nothing(service: Service, person: Person, address: str | None):
    answer = service.ask(person, redirect_uri=address)
    assert answer.status_code == 400 and "Location" not in answer.headers


@covers("oidcc-redirect-uri-query-OK", "oidcc-redirect-uri-query-added", "oidcc-redirect-uri-query-mismatch")
def test_the_query_of_an_address_belongs_to_it(named, person: Person):
    with_query = Service("with-query", redirect_uri="https://shop.example/back?shop=1").register()
    told = with_query.allowed(person)
    assert told["shop"] == "1" and "code" in told
    assert with_query.ask(person, redirect_uri="https://shop.example/back?shop=2").status_code == 400
    assert (
        Service("without").register().ask(person, redirect_uri="https://shop.example/back?a=b").status_code
        == 400
    )


@covers("oidcc-redirect-uri-regfrag")
@pytest.mark.parametrize(
    "address",
    [
        "https://shop.example/back#fragment", "https://shop.example/back#", "https://user@shop.example/", "http://shop.example/",
        "javascript:alert(1)", "data:text/html,x", "shop:/back", "https://", "https://shop.example/a b", "//shop.example/",
        "https://shop.example\\@evil.example/", "https://例.example/",
    ],
)  # fmt: skip
def test_addresses_that_nobody_may_register(named, db, address: str):
    with pytest.raises(InvalidRedirectUri):
        Service(redirect_uri=address).register()


@covers("oidcc-ensure-post-request-succeeds")
def test_a_request_by_post(service: Service, person: Person):
    answer = person.browser.post("/oauth/authorize", service.request())
    assert service.answered(say(person, follow(person, answer), "allow"))["code"]


@covers("oidcc-claims-essential")
def test_claims_by_name(service: Service, person: Person):
    person.prove()
    tokens = service.log_in(person, scope="openid", claims='{"userinfo":{"name":{"essential":true}}}')
    assert service.get("/oauth/userinfo", tokens["access_token"]).json()["name"] == "CHAN Tai Man"
    tokens = service.log_in(person, scope="openid", claims='{"id_token":{"birthdate":null,"unknown":null}}')
    assert unsigned(tokens["id_token"])["birthdate"] == "1990-02-28"


def test_verified_claims_are_those_of_a_document_with_who_looked_at_it(service: Service, person: Person):
    person.prove()
    wish = '{"userinfo":{"verified_claims":{"verification":{"trust_framework":null},"claims":{"birthdate":null}}}}'
    tokens = service.log_in(person, scope="openid", claims=wish)
    (told,) = service.get("/oauth/userinfo", tokens["access_token"]).json()["verified_claims"]
    assert told["claims"] == {"birthdate": "1990-02-28"}
    assert told["verification"]["evidence"][0]["document_details"] == {"type": "hk-id"}


def test_names_of_claims_are_no_way_round_the_scopes_of_a_client(named, person: Person):
    person.prove()
    service = Service().register(scope="openid")
    tokens = service.log_in(
        person, scope="openid", claims='{"userinfo":{"name":null},"id_token":{"birthdate":null}}'
    )
    assert "birthdate" not in unsigned(tokens["id_token"])
    assert service.get("/oauth/userinfo", tokens["access_token"]).json().keys() == {"sub"}


@covers("oidcc-unsigned-request-object-supported-correctly-or-rejected-as-unsupported")
def test_an_unsigned_request_object(service: Service, person: Person):
    empty = b64(b'{"alg":"none"}') + "." + b64(b'{"client_id":"https://shop.example"}') + "."
    answer = service.ask(person, {"client_id": service.client_id, "request": empty})
    assert answer.status_code == 400 and "Location" not in answer.headers


@covers(
    "oidcc-request-uri-unsigned-supported-correctly-or-rejected-as-unsupported",
    "oidcc-request-uri-unsigned",
    "oidcc-request-uri-signed-rs256",
)
def test_a_request_elsewhere_is_never_fetched(service: Service, person: Person):
    told = service.answered(service.ask(person, request_uri="https://shop.example/request.jwt"))
    assert told["error"] == "request_uri_not_supported"


@covers("oidcc-ensure-request-object-with-redirect-uri")
def test_of_two_addresses_the_signed_one_counts(named, person: Person):
    service = Service().register(redirect_uris=["https://shop.example/back", "https://shop.example/outside"])
    sent = service.signed_request() | {"redirect_uri": "https://shop.example/outside"}
    assert "code" in service.allowed(person, sent)


@covers("oidcc-refresh-token")
def test_refresh_tokens_change_and_the_old_one_ends_them_all(service: Service, person: Person):
    tokens = service.log_in(person, scope="openid profile offline_access")
    other = Service("other").register()
    assert other.refresh(tokens["refresh_token"]).json()["error"] == "invalid_grant"
    second = service.refresh(tokens["refresh_token"]).json()
    assert unsigned(second["id_token"])["sub"] == unsigned(tokens["id_token"])["sub"]
    third = service.refresh(second["refresh_token"], scope="openid").json()
    assert third["scope"] == "openid"
    assert service.refresh(third["refresh_token"], scope="openid email").json()["error"] == "invalid_scope"
    assert service.refresh(tokens["refresh_token"]).json()["error"] == "invalid_grant", "the first again"
    assert service.refresh(third["refresh_token"]).json()["error"] == "invalid_grant", "so the last has ended"
    assert service.get("/oauth/userinfo", third["access_token"]).status_code == 401


@covers("oidcc-refresh-token-rp-key-rotation", "oidcc-registration-jwks-uri")
def test_keys_that_a_client_publishes_may_change(named, person: Person, published):
    service = Service().register(jwks_uri=published.url)
    published.said = {"keys": [service.key.as_dict(private=False)]}
    tokens = service.log_in(person, scope="openid offline_access")
    service.key = Service().key
    published.said = {"keys": [service.key.as_dict(private=False)]}
    RegisteredClient.objects.update(fetched_at=timezone.now() - registration.ASK_AGAIN * 2)
    assert service.refresh(tokens["refresh_token"]).status_code == 200
    assert published.asked == 2


@covers("oidcc-registration-sector-uri", "oidcc-registration-sector-bad")
def test_a_sector_names_its_addresses(named, person: Person, published):
    published.said = ["https://one.example/", "https://two.example/"]
    told = {"redirect_uris": published.said, "sector_identifier_uri": published.url}
    assert Service("sector").register(**told)
    with pytest.raises(InvalidClientMetadata):
        Service("beyond").register(**{**told, "redirect_uris": [*published.said, "https://three.example/"]})
    with pytest.raises(InvalidClientMetadata):
        Service("none").register(redirect_uris=published.said)


@covers("oidcc-registration-policy-uri", "oidcc-registration-tos-uri")
def test_the_page_leads_to_the_services_own_words(named, person: Person):
    service = Service().register(
        policy_uri="https://shop.example/policy", tos_uri="https://shop.example/terms"
    )
    page = service.ask(person).content.decode()
    assert "https://shop.example/policy" in page and "https://shop.example/terms" in page


@covers("oidcc-server-rotate-keys")
def test_another_key_signs_and_the_old_one_can_still_be_read(service: Service, person: Person):
    before = {key["kid"] for key in service.http.get("/oauth/jwks").json()["keys"]}
    old = service.log_in(person)["id_token"]
    holdings.renew("provider", now=timezone.now())
    after = {key["kid"] for key in service.http.get("/oauth/jwks").json()["keys"]}
    assert before < after and len(after) == 2
    new = service.log_in(person)["id_token"]
    assert service.claims(old)["sub"] == service.claims(new)["sub"]
    assert not any("d" in key for key in service.http.get("/oauth/jwks").json()["keys"])


@covers(
    "oidcc-discovery-endpoint-verification", "fapi2-security-profile-final-discovery-end-point-verification"
)
@pytest.mark.parametrize("name", ["openid-configuration", "oauth-authorization-server"])
def test_what_the_node_says_of_itself(named, db, client, name: str):
    told = client.get(f"/.well-known/{name}").json()
    assert told["issuer"] == URL
    endpoints = {
        key: value for key, value in told.items() if value and str(value).startswith(f"{URL}/oauth/")
    }
    assert (
        len(endpoints) == 10 and {"authorization_endpoint", "token_endpoint", "jwks_uri"} <= endpoints.keys()
    )
    for value in endpoints.values():
        assert client.options(value.removeprefix(URL)).status_code != 404, value
    assert told["response_types_supported"] == ["code"] and told["subject_types_supported"] == ["pairwise"]
    assert told["code_challenge_methods_supported"] == ["S256"]
    assert told["authorization_response_iss_parameter_supported"] is True
    assert {"authorization_code", "client_credentials", "refresh_token"} <= set(told["grant_types_supported"])
    for key, value in told.items():
        if key.endswith("alg_values_supported"):
            assert not {"none", "HS256", "RS256"} & set(value), key
    assert set(EVERYTHING.split()) <= set(told["scopes_supported"])


def test_two_services_cannot_join_what_they_know_of_somebody(service: Service, person: Person):
    other = Service("https://clinic.example", redirect_uri="https://clinic.example/back").register()
    sister = Service("https://shop.example/app", redirect_uri="https://shop.example/app/back").register()
    subjects = [unsigned(one.log_in(person)["id_token"])["sub"] for one in (service, other, sister)]
    assert subjects[0] != subjects[1] and subjects[0] == subjects[2], "one host is one sector"
    assert str(person.account.id) not in str(subjects)
    assert str(person.account.id) not in str(unsigned(service.log_in(person)["access_token"]))


def test_an_operator_is_nobody_to_a_service(service: Service, named, client, django_user_model):
    client.force_login(django_user_model.objects.create_user("ana"))
    assert (
        "login_required" in client.get("/oauth/authorize", service.request(prompt="none")).headers["Location"]
    )


def test_a_client_that_asks_who_somebody_is_needs_two_people(named, person: Person):
    service = Service()
    registration.register(ANA, service.metadata(), client_id=service.client_id)
    assert service.ask(person).status_code == 400, "not approved"
