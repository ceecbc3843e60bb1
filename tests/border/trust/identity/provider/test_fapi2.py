"""FAPI 2.0 Security Profile (final) and Message Signing: the modules of their plans for authorization servers."""

from __future__ import annotations

import itertools
import json
import time
from datetime import timedelta

import pytest
from django.utils import timezone
from joserfc.jwk import ECKey, OctKey, RSAKey
from tests.border.trust.identity.provider.modules import covers
from tests.border.trust.identity.provider.world import (
    NOBODYS,
    URL,
    Person,
    Service,
    b64,
    follow,
    say,
    signed,
    unsigned,
)

from wantong.border.trust.identity.provider.models import AuthorizationRequest, Grant

PROFILE = {
    "require_pushed_authorization_requests": True,
    "dpop_bound_access_tokens": True,
    "rotate_refresh_tokens": False,
}


@pytest.fixture
def service(named, db) -> Service:
    return Service(scope="openid profile offline_access").register(**PROFILE)


@pytest.fixture
def other(named, db) -> Service:
    return Service("https://other.example", redirect_uri="https://other.example/back").register(**PROFILE)


def log_in(service: Service, person: Person, **changes) -> dict:
    told = service.allowed(person, service.pushed(**changes))
    answer = service.redeem(told["code"])
    assert answer.status_code == 200, answer.content
    return answer.json()


@covers(
    "fapi2-security-profile-final-happy-flow", "fapi2-security-profile-final-par-without-duplicate-parameters"
)
def test_two_clients_one_person(service: Service, other: Service, person: Person):
    mine, theirs = (log_in(one, person) for one in (service, other))
    assert service.get("/oauth/userinfo", mine["access_token"]).status_code == 200
    other.nonce = service.nonce
    assert other.get("/oauth/userinfo", mine["access_token"]).status_code == 401, (
        "another's token, another's key"
    )
    assert unsigned(mine["access_token"])["cnf"]["jkt"] == service.possession.thumbprint()
    assert other.get("/oauth/userinfo", theirs["access_token"]).status_code == 200


@covers("fapi2-security-profile-final-user-rejects-authentication")
def test_the_person_says_no(service: Service, person: Person):
    page = service.ask(person, service.pushed())
    told = service.answered(say(person, page, "deny"))
    assert told == {
        "error": "access_denied", "error_description": "The person has said no.", "state": service.sent["state"], "iss": URL
    }  # fmt: skip


@covers(
    "fapi2-security-profile-final-ensure-authorization-request-without-state-success",
    "fapi2-security-profile-final-ensure-authorization-request-without-nonce-success",
)
def test_without_state_and_nonce(service: Service, person: Person):
    told = service.allowed(person, service.pushed(state=None, nonce=None))
    assert "state" not in told
    assert "nonce" not in unsigned(service.redeem(told["code"]).json()["id_token"])


@covers(
    "fapi2-security-profile-final-ensure-authorization-request-with-64-char-nonce-success",
    "fapi2-security-profile-final-ensure-authorization-request-with-long-nonce",
    "fapi2-security-profile-final-ensure-authorization-request-with-long-state",
)
@pytest.mark.parametrize("length", [64, 384, 512])
def test_long_words_come_back_whole(service: Service, person: Person, length: int):
    told = service.allowed(person, service.pushed(state="s" * length, nonce="n" * length))
    assert told["state"] == "s" * length
    assert unsigned(service.redeem(told["code"]).json()["id_token"])["nonce"] == "n" * length
    assert service.push(nonce="n" * 513).json()["error"] == "invalid_request", "not cut off"


@covers("fapi2-security-profile-final-ensure-other-scope-order-succeeds")
def test_another_order_of_scopes(service: Service, person: Person):
    assert set(log_in(service, person, scope="offline_access profile openid")["scope"].split()) == {
        "openid", "profile", "offline_access"
    }  # fmt: skip


@covers("fapi2-security-profile-final-test-claims-parameter-identity-claims")
def test_every_claim_that_is_known_can_be_asked_for_by_name(service: Service, person: Person):
    person.prove()
    names = service.http.get("/.well-known/openid-configuration").json()["claims_supported"]
    wish = ",".join(f'"{name}":null' for name in [*names, "no_such_claim"] if name != "verified_claims")
    tokens = log_in(
        service, person, scope="openid", claims=f'{{"userinfo":{{{wish}}},"id_token":{{{wish}}}}}'
    )
    userinfo = service.get("/oauth/userinfo", tokens["access_token"]).json()
    known = {"sub", "name", "family_name", "birthdate", "preferred_username", "zoneinfo", "updated_at"}
    assert known <= userinfo.keys() and known <= unsigned(tokens["id_token"]).keys()


@covers("fapi2-security-profile-final-access-token-type-header-case-sensitivity")
@pytest.mark.parametrize("scheme", ["DPoP", "dpop", "DPOP"])
def test_the_name_of_a_scheme_has_no_case(service: Service, person: Person, scheme: str):
    token = log_in(service, person)["access_token"]
    assert service.get("/oauth/userinfo", token, Authorization=f"{scheme} {token}").status_code == 200


# --- proofs of possession -----------------------------------------------------------------------------------------


@covers("fapi2-security-profile-final-check-dpop-proof-nbf-exp")
@pytest.mark.parametrize(
    ("more", "good"),
    [({"exp": -60}, False), ({"nbf": 60}, False), ({"exp": 60, "nbf": -60}, True)],
    ids=["expired", "early", "good"],
)
def test_times_in_a_proof(service: Service, person: Person, more: dict[str, int], good: bool):
    times = {name: int(time.time()) + seconds for name, seconds in more.items()}
    told = service.allowed(person, service.pushed())
    form = {"grant_type": "authorization_code", "code": told["code"], "code_verifier": service.verifier}
    answer = service.post("/oauth/token", form, proof=service.proof("POST", "/oauth/token", **times))
    assert answer.status_code == (200 if good else 400), answer.content


@covers(
    "fapi2-security-profile-final-ensure-dpopproof-with-iat-10seconds-before-succeeds",
    "fapi2-security-profile-final-ensure-dpopproof-with-iat-10seconds-after-succeeds",
)
@pytest.mark.parametrize("apart", [-10, 10])
def test_clocks_a_little_apart(service: Service, person: Person, apart: int):
    plain = service.proof
    service.proof = lambda *args, **more: plain(*args, iat=int(time.time()) + apart, **more)  # type: ignore[method-assign]
    assert service.get("/oauth/userinfo", log_in(service, person)["access_token"]).status_code == 200


@covers("fapi2-security-profile-final-ensure-mismatched-dpop-jkt-fails")
def test_another_key_is_announced_than_pushes(service: Service, named):
    answer = service.push(dpop_jkt=ECKey.generate_key("P-256").thumbprint())
    assert answer.json()["error"] == "invalid_dpop_proof"


@covers(
    "fapi2-security-profile-final-ensure-token-endpoint-fails-with-mismatched-dpop-proof-jkt",
    "fapi2-security-profile-final-ensure-token-endpoint-fails-with-mismatched-dpop-jkt",
)
@pytest.mark.parametrize("announced", ["by a proof", "by dpop_jkt"])
def test_a_code_is_bound_to_the_key_that_was_announced(service: Service, person: Person, announced: str):
    if announced == "by dpop_jkt":
        service.dpop = False
        sent = service.pushed(dpop_jkt=service.possession.thumbprint())
        service.dpop = True
    else:
        sent = service.pushed()
    code = service.allowed(person, sent)["code"]
    service.possession = ECKey.generate_key("P-256")
    assert service.redeem(code).json()["error"] == "invalid_dpop_proof"
    assert not Grant.objects.filter(refresh_tokens__isnull=False).exists()


@covers(
    "fapi2-security-profile-final-ensure-dpopproof-at-par-endpoint-binding-success",
    "fapi2-security-profile-final-ensure-dpop-auth-code-binding-success",
)
def test_the_announced_key_gets_the_tokens(service: Service, person: Person):
    assert log_in(service, person)["token_type"] == "DPoP"
    assert log_in(service, person, dpop_jkt=service.possession.thumbprint())["token_type"] == "DPoP"


@covers("fapi2-security-profile-final-ensure-holder-of-key-required")
def test_without_a_key_there_are_no_tokens(service: Service, person: Person):
    code = service.allowed(person, service.pushed())["code"]
    service.dpop = False
    assert service.redeem(code).json()["error"] == "invalid_dpop_proof"


@covers("fapi2-security-profile-final-dpop-negative-tests")
@pytest.mark.parametrize(
    "wrong",
    [
        {"htm": "POST"}, {"htu": f"{URL}/oauth/token"}, {"htu": "https://evil.example/oauth/userinfo"}, {"htm": None}, {"htu": None},
        {"iat": None}, {"jti": None}, {"iat": int(time.time()) - 3600}, {"iat": int(time.time()) + 3600}, {"ath": None}, {"ath": "x"},
        {"nonce": "made-up"}, {"header": {"typ": "JWT"}}, {"header": {"typ": None}}, {"iat": "now"}, {"jti": 7},
        {"header": {"jwk": None}}, {"header": {"jwk": ECKey.generate_key("P-256").as_dict(private=False)}},
    ],
    ids=itertools.count(),  # what they hold is new every time, and workers must agree on names
)  # fmt: skip
def test_proofs_that_prove_nothing(service: Service, person: Person, wrong: dict):
    token = log_in(service, person)["access_token"]
    proof = service.proof("GET", "/oauth/userinfo", token=token, **wrong)
    answer = service.get("/oauth/userinfo", token, DPoP=proof)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("DPoP "), answer.headers
    error = "use_dpop_nonce" if "nonce" in wrong else "invalid_dpop_proof"
    assert f'error="{error}"' in answer.headers["WWW-Authenticate"]


@covers("fapi2-security-profile-final-dpop-negative-tests")
def test_proofs_of_other_kinds(service: Service, person: Person):
    token = log_in(service, person)["access_token"]
    private = service.proof(
        "GET", "/oauth/userinfo", token=token, header={"jwk": service.possession.as_dict(private=True)}
    )
    shared = OctKey.generate_key(256)
    claims = unsigned(private)
    symmetric = signed(shared, {"alg": "HS256", "typ": "dpop+jwt", "jwk": shared.as_dict()}, claims)
    nobodys = ".".join((b64(b'{"alg":"none","typ":"dpop+jwt"}'), private.split(".")[1], ""))
    good = service.proof("GET", "/oauth/userinfo", token=token)
    for proof in (private, symmetric, nobodys, f"{good}, {good}", good[:-8] + "AAAAAAAA", "", "a.b.c"):
        assert service.get("/oauth/userinfo", token, DPoP=proof).status_code == 401, proof
    assert service.get("/oauth/userinfo", token, DPoP=good).status_code == 200
    assert service.get("/oauth/userinfo", token, DPoP=good).status_code == 401, "a second time"
    assert service.get("/oauth/userinfo", token, Authorization=f"Bearer {token}").status_code == 401, (
        "as if unbound"
    )


# --- requests -----------------------------------------------------------------------------------------------------


@covers(
    "fapi2-security-profile-final-ensure-request-object-without-redirect-uri-fails",
    "fapi2-security-profile-final-ensure-redirect-uri-in-authorization-request",
    "fapi2-security-profile-final-ensure-registered-redirect-uri",
    "fapi2-security-profile-final-plain-fapi-tolerate-unregistered-redirect-uri",
)
@pytest.mark.parametrize("address", [None, "https://shop.example/other"])
def test_addresses_that_are_not_registered(service: Service, address: str | None):
    assert service.push(redirect_uri=address).json()["error"] == "invalid_request"


@covers("fapi2-security-profile-final-ensure-unsigned-authorization-request-without-using-par-fails")
def test_requests_have_to_be_pushed(service: Service, person: Person):
    assert service.ask(person).status_code == 400


@covers(
    "fapi2-security-profile-final-ensure-response-type-code-idtoken-fails",
    "fapi2-security-profile-final-ensure-response-type-token-fails",
)
@pytest.mark.parametrize("kind", ["code id_token", "token", "id_token", "none"])
def test_only_codes_go_through_browsers(service: Service, kind: str):
    assert service.push(response_type=kind).json()["error"] == "unsupported_response_type"


@covers("fapi2-security-profile-final-test-essential-acr-sca-claim")
def test_a_demand_for_a_level_that_nobody_knows(service: Service, person: Person):
    wish = '{"id_token":{"acr":{"essential":true,"value":"urn:openbanking:psd2:sca"}}}'
    page = service.ask(person, service.pushed(claims=wish))
    assert page.request["PATH_INFO"] == "/en/identity/sign-in"


@covers("fapi2-security-profile-final-par-ensure-reused-request-uri-prior-to-auth-completion-succeeds")
def test_a_page_may_be_loaded_twice(service: Service, person: Person):
    sent = service.pushed()
    assert service.ask(person, sent).status_code == 200
    assert "code" in service.allowed(person, sent)


@covers("fapi2-security-profile-final-par-attempt-reuse-request_uri")
def test_an_answer_is_given_once(service: Service, person: Person):
    sent = service.pushed()
    page = service.ask(person, sent)
    assert "code" in service.answered(say(person, page, "allow"))
    assert service.ask(person, sent).status_code == 400
    assert say(person, page, "allow").status_code == 404


@covers("fapi2-security-profile-final-par-attempt-to-use-expired-request_uri")
def test_a_pushed_request_grows_old(service: Service, person: Person):
    sent = service.pushed()
    AuthorizationRequest.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert service.ask(person, sent).status_code == 400


@covers("fapi2-security-profile-final-par-attempt-to-use-request_uri-for-different-client")
def test_a_pushed_request_is_its_clients(service: Service, other: Service, person: Person):
    assert other.ask(person, {**service.pushed(), "client_id": other.client_id}).status_code == 400


@covers("fapi2-security-profile-final-par-authorization-request-containing-request_uri-form-param")
def test_a_pushed_request_is_no_reference(service: Service):
    assert (
        service.push(request_uri="urn:ietf:params:oauth:request_uri:x").json()["error"] == "invalid_request"
    )


@covers("fapi2-security-profile-final-par-attempt-invalid-http-method")
@pytest.mark.parametrize("method", ["get", "put", "delete", "patch"])
def test_requests_are_pushed_by_post(service: Service, method: str):
    assert getattr(service.http, method)("/oauth/par").status_code == 405


@covers(
    "fapi2-security-profile-final-par-ensure-pkce-required",
    "fapi2-security-profile-final-par-plain-pkce-rejected",
)
@pytest.mark.parametrize(
    "wrong",
    [
        {"code_challenge": None, "code_challenge_method": None}, {"code_challenge": None}, {"code_challenge_method": None},
        {"code_challenge_method": "plain"}, {"code_challenge": "short"},
    ],
    ids=itertools.count(),  # what they hold is new every time, and workers must agree on names
)  # fmt: skip
def test_without_a_challenge_nothing_goes(service: Service, wrong: dict):
    assert service.push(**wrong).json()["error"] == "invalid_request"


@covers(
    "fapi2-security-profile-final-ensure-pkce-code-verifier-required",
    "fapi2-security-profile-final-incorrect-pkce-code-verifier-rejected",
)
@pytest.mark.parametrize("verifier", [None, "", "x" * 43, "x" * 42, "é" * 50])
def test_a_code_without_its_verifier(service: Service, person: Person, verifier: str | None):
    code = service.allowed(person, service.pushed())["code"]
    assert service.redeem(code, code_verifier=verifier).json()["error"] == "invalid_grant"
    assert service.redeem(code).json()["error"] == "invalid_grant", "and it is spent"


# --- clients ------------------------------------------------------------------------------------------------------


@covers(
    "fapi2-security-profile-final-ensure-client-id-in-token-endpoint",
    "fapi2-security-profile-final-ensure-authorization-code-is-bound-to-client",
)
def test_a_code_is_its_clients(service: Service, other: Service, person: Person):
    code = service.allowed(person, service.pushed())["code"]
    assert service.redeem(code, client_id=other.client_id).json()["error"] == "invalid_client"
    other.verifier = service.verifier
    assert other.redeem(code, redirect_uri=service.redirect_uri).json()["error"] == "invalid_grant"
    assert service.redeem(code).status_code == 200, "nobody else could spend it"


@covers("fapi2-security-profile-final-attempt-reuse-authorization-code-after-one-second")
def test_a_code_is_for_once(service: Service, person: Person):
    code = service.allowed(person, service.pushed())["code"]
    token = service.redeem(code).json()["access_token"]
    assert service.redeem(code).json()["error"] == "invalid_grant"
    assert service.get("/oauth/userinfo", token).status_code == 401


@covers("fapi2-security-profile-final-ensure-token-endpoint-fails-with-expired-auth-code")
def test_a_code_lasts_a_minute(service: Service, person: Person):
    code = service.allowed(person, service.pushed())["code"]
    grant = Grant.objects.get()
    assert grant.code_expires_at - grant.created_at == timedelta(seconds=60)
    Grant.objects.update(code_expires_at=timezone.now())
    assert service.redeem(code).json()["error"] == "invalid_grant"


@covers("fapi2-security-profile-final-ensure-client-assertion-in-token-endpoint")
def test_tokens_are_for_who_has_proven_himself(service: Service, person: Person):
    code = service.allowed(person, service.pushed())["code"]
    nothing = {"client_assertion": "", "client_assertion_type": ""}
    assert service.redeem(code, **nothing).json()["error"] == "invalid_client"
    assert service.redeem(code, **nothing, client_id=service.client_id).json()["error"] == "invalid_client"
    assert service.redeem(code, **nothing, client_id=service.client_id, client_secret="x").status_code == 401


@covers(
    "fapi2-security-profile-final-ensure-signed-client-assertion-with-RS256-fails",
    "fapi2-security-profile-final-ensure-client-assertion-with-exp-is-5-minutes-in-past-fails",
    "fapi2-security-profile-final-ensure-client-assertion-with-wrong-aud-fails",
    "fapi2-security-profile-final-ensure-client-assertion-with-no-sub-fails",
    "fapi2-security-profile-final-par-ensure-jwt-client-assertions-nbf-over-60-seconds-in-the-future-fails",
    "fapi2-security-profile-final-par-test-array-as-audience-fails",
    "fapi2-security-profile-final-par-test-par-endpoint-url-as-audience-fails",
    "fapi2-security-profile-final-par-test-token-endpoint-url-as-audience-fails",
)
@pytest.mark.parametrize(
    "wrong",
    [
        {"exp": -300}, {"exp": 7200}, {"exp": None}, {"aud": "https://other.example"}, {"aud": [URL]}, {"aud": None},
        {"aud": f"{URL}/oauth/par"}, {"aud": f"{URL}/oauth/token"}, {"sub": None}, {"iss": None}, {"sub": "other"}, {"jti": None},
        {"iat": 61, "nbf": 61, "exp": 120}, {"header": {"alg": "none"}}, {"header": {"kid": "unknown"}},
        {"key": ECKey.generate_key("P-256")},
    ],
    ids=itertools.count(),  # what they hold is new every time, and workers must agree on names
)  # fmt: skip
@pytest.mark.parametrize("path", ["/oauth/par", "/oauth/token"])
def test_assertions_that_prove_nothing(service: Service, wrong: dict, path: str):
    now = int(time.time())
    changes = {k: now + v if k in ("exp", "iat", "nbf") and v is not None else v for k, v in wrong.items()}
    if wrong.get("header", {}).get("alg") == "none":
        _, body, _ = service.assertion().split(".")
        text = f"{NOBODYS}.{body}."
    else:
        text = service.assertion(**changes)
    answer = service.post(
        path, {**service.request(), "grant_type": "client_credentials", "client_assertion": text}
    )
    assert answer.status_code == 401 and answer.json()["error"] == "invalid_client", answer.content


@covers("fapi2-security-profile-final-ensure-signed-client-assertion-with-RS256-fails")
def test_an_rsa_key_signs_as_it_should(named, db):
    key = RSAKey.generate_key(2048, {"kid": "r"})
    service = Service(key=key)  # type: ignore[arg-type]
    service.register()
    for algorithm, good in (("PS256", True), ("RS256", False)):
        text = service.assertion(header={"alg": algorithm})
        answer = service.post("/oauth/par", {**service.request(), "client_assertion": text})
        assert (answer.status_code == 201) is good, (algorithm, answer.content)


@covers(
    "fapi2-security-profile-final-par-ensure-jwt-client-assertions-nbf-8-seconds-in-the-future-is-accepted"
)
def test_a_client_whose_clock_is_a_little_fast(service: Service):
    soon = int(time.time()) + 8
    text = service.assertion(iat=soon, nbf=soon)
    assert service.post("/oauth/par", {**service.request(), "client_assertion": text}).status_code == 201


def test_an_assertion_counts_once(service: Service):
    text = service.assertion()
    assert service.post("/oauth/par", {**service.request(), "client_assertion": text}).status_code == 201
    assert service.post("/oauth/par", {**service.request(), "client_assertion": text}).status_code == 401


@covers("fapi2-security-profile-final-refresh-token")
def test_a_refresh_token_is_its_clients_and_stays(service: Service, other: Service, person: Person):
    token = log_in(service, person)["refresh_token"]
    assert other.refresh(token).json()["error"] == "invalid_grant"
    nobody = {"client_assertion": "", "client_assertion_type": "", "client_id": service.client_id}
    assert service.refresh(token, **nobody).json()["error"] == "invalid_client"
    first = service.refresh(token).json()
    assert "refresh_token" not in first, "FAPI 2.0, 5.3.2.1: not rotated where tokens are bound to the sender"
    service.possession = ECKey.generate_key("P-256")
    service.nonce = None
    second = service.refresh(token).json()
    assert unsigned(second["access_token"])["cnf"]["jkt"] == service.possession.thumbprint()


# --- signed requests ----------------------------------------------------------------------------------------------


@covers(
    "fapi2-security-profile-final-ensure-different-nonce-inside-and-outside-request-object",
    "fapi2-security-profile-final-ensure-different-state-inside-and-outside-request-object",
    "fapi2-security-profile-final-state-only-outside-request-object-not-used",
)
def test_what_stands_outside_a_signed_request_does_not_count(service: Service, person: Person):
    sent = service.signed_request(state=None) | {"state": "outside", "nonce": "outside"}
    answer = service.post("/oauth/par", sent)
    told = service.allowed(
        person, {"client_id": service.client_id, "request_uri": answer.json()["request_uri"]}
    )
    assert "state" not in told
    assert unsigned(service.redeem(told["code"]).json()["id_token"])["nonce"] == service.sent["nonce"]
    different = service.pushed()
    told = service.allowed(person, {**different, "state": "outside", "nonce": "outside"})
    assert told["state"] == service.sent["state"]


@covers(
    "fapi2-security-profile-final-ensure-request-object-with-multiple-aud-succeeds",
    "fapi2-security-profile-final-ensure-request-object-with-nbf-8-seconds-in-the-future-is-accepted",
)
def test_signed_requests_that_are_good(service: Service):
    now = int(time.time())
    for right in ({"aud": [URL, "https://other.example"]}, {"nbf": now + 8}, {"resource": [URL]}):
        assert service.post("/oauth/par", service.signed_request(**right)).status_code == 201, right


@covers(
    "fapi2-security-profile-final-ensure-request-object-without-exp-fails",
    "fapi2-security-profile-final-ensure-request-object-without-nbf-fails",
    "fapi2-security-profile-final-ensure-expired-request-object-fails",
    "fapi2-security-profile-final-ensure-request-object-with-bad-aud-fails",
    "fapi2-security-profile-final-ensure-request-object-with-exp-over-60-fails",
    "fapi2-security-profile-final-ensure-request-object-with-nbf-over-60-fails",
    "fapi2-security-profile-final-ensure-signed-request-object-with-RS256-fails",
    "fapi2-security-profile-final-ensure-request-object-with-invalid-signature-fails",
    "fapi2-security-profile-final-ensure-matching-key-in-authorization-request",
    "fapi2-security-profile-final-par-authorization-request-containing-request_uri",
)
@pytest.mark.parametrize(
    "wrong",
    [
        {"exp": None}, {"nbf": None}, {"exp": -60}, {"aud": "https://other.example"}, {"aud": None}, {"exp": 7200},
        {"nbf": -7200, "exp": 60}, {"key": ECKey.generate_key("P-256")}, {"iss": "https://other.example"},
        {"client_id": "https://other.example"}, {"request_uri": "urn:x"}, {"header": {"typ": "dpop+jwt"}},
    ],
    ids=itertools.count(),  # what they hold is new every time, and workers must agree on names
)  # fmt: skip
def test_signed_requests_that_are_not(service: Service, wrong: dict):
    now = int(time.time())
    changes = {k: now + v if k in ("exp", "nbf") and v is not None else v for k, v in wrong.items()}
    sent = {**service.signed_request(**changes), "client_id": service.client_id}
    answer = service.post("/oauth/par", sent)
    assert answer.json()["error"] in ("invalid_request_object", "invalid_request"), answer.content


@covers(
    "fapi2-security-profile-final-ensure-request-object-with-invalid-signature-fails",
    "fapi2-security-profile-final-ensure-request-object-signature-algorithm-is-not-none",
    "fapi2-security-profile-final-ensure-signed-request-object-with-RS256-fails",
)
def test_signed_requests_by_other_ways(service: Service):
    head, body, signature = service.signed_request()["request"].split(".")
    public = json.dumps(service.key.as_dict(private=False)).encode()
    by_public_key = signed(OctKey.import_key(public), {"alg": "HS256"}, unsigned(f"{head}.{body}.x"))
    rsa = signed(RSAKey.generate_key(2048), {"alg": "RS256"}, unsigned(f"{head}.{body}.x"))
    nobodys = f"{NOBODYS}.{body}."
    for text in (f"{head}.{body}.{signature[:-4]}AAAA", by_public_key, rsa, nobodys):
        answer = service.post("/oauth/par", {"client_id": service.client_id, "request": text})
        assert answer.json()["error"] == "invalid_request_object", text


def test_a_signed_request_with_a_name_counts_once(service: Service):
    sent = service.signed_request(jti="once")
    assert service.post("/oauth/par", sent).status_code == 201
    assert service.post("/oauth/par", sent).json()["error"] == "invalid_request_object"


@covers("fapi2-security-profile-final-ensure-unsigned-request-at-par-endpoint-fails")
def test_a_client_may_have_to_sign(named, person: Person):
    service = Service("signer").register(require_signed_request_object=True)
    assert service.push().json()["error"] == "invalid_request"
    assert service.ask(person).status_code == 400
    assert "code" in service.allowed(person, service.signed_request())


def test_a_signed_request_of_another_client_is_not_mine(service: Service, other: Service, person: Person):
    stolen = other.signed_request()["request"]
    assert service.post("/oauth/par", {"client_id": service.client_id, "request": stolen}).json()[
        "error"
    ] == ("invalid_request_object")
    plain = Service("plain").register()
    assert (
        follow(
            person, person.browser.get("/oauth/authorize", {"client_id": "plain", "request": stolen})
        ).status_code
        == 400
    )
    assert plain.client_id == "plain"
