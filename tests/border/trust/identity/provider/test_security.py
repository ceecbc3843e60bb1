"""Attacks by the names that RFC 9700 and RFC 6819 give them, and what must not be seen in logs."""

from __future__ import annotations

import ast
import inspect
import itertools
import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, urlsplit

import pytest
import structlog
from django.apps import apps
from django.core.cache import cache
from django.test import Client as Browser
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import ECKey
from tests.border.trust.identity.provider.world import URL, Person, Service, follow, handle_on, say, unsigned

from wantong.border.trust.identity.provider import (
    access,
    authorising,
    clients,
    consents,
    dpop,
    granting,
    jose,
    nonces,
    proving,
    telling,
)
from wantong.border.trust.identity.provider.clients import Client
from wantong.border.trust.identity.provider.problems import InvalidDpopProof, InvalidRedirectUri, UseDpopNonce
from wantong.border.trust.verdict import Refused
from wantong.ground.http import limits
from wantong.ground.log.models import LogEntry


def test_code_injection(service: Service, person: Person):
    """A code that was stolen from one browser is put into the answer to another: the verifier there does not fit."""
    stolen = service.allowed(person)["code"]
    thief = Person()
    thief.sign_in()
    service.ask(thief)  # another request, another verifier
    assert service.redeem(stolen).json()["error"] == "invalid_grant"


def test_mix_up(service: Service, person: Person):
    """Every answer says whose it is (RFC 9207), errors too, and metadata says that it does."""
    for told in (service.allowed(person), service.answered(service.ask(person, response_type="token"))):
        assert told["iss"] == URL


@pytest.mark.parametrize(
    "address",
    [
        "https://shop.example/back/", "https://shop.example/back?", "https://shop.example/back#", "https://shop.example/back#x",
        "https://user@shop.example/back", "https://shop.example@evil.example/back", "https://shop.example:443/back",
        "https://shop.example.evil.example/back", "HTTPS://shop.example/back", "https://shop.example/BACK", "//shop.example/back",
        "https://shop.example/back%2f..", "https://shop.example/other/../back", "https://shop.example\\@evil.example/back", "/back",
        "javascript:alert(1)", "https://shop.example/back\n",
    ],
    ids=itertools.count(),  # what they hold is new every time, and workers must agree on names
)  # fmt: skip
def test_open_redirect(service: Service, person: Person, address: str):
    answer = service.ask(person, redirect_uri=address)
    assert answer.status_code == 400 and "Location" not in answer.headers
    assert "evil.example" not in answer.headers.get("Content-Security-Policy", "")


def test_a_native_app_listens_at_any_port_and_nothing_else_differs():
    app = Client(
        "app",
        {"en": "App"},
        application_type="native",
        redirect_uris=("http://127.0.0.1/back", "org.app:/back"),
    )
    assert app.redirects_to("http://127.0.0.1:49152/back") and app.redirects_to("org.app:/back")
    for other in (
        "http://127.0.0.1:49152/other", "https://127.0.0.1:49152/back", "http://localhost:49152/back", "http://127.0.0.1:x/back",
        "http://127.0.0.1:49152/back?x", "http://u@127.0.0.1:49152/back", "http://127.0.0.1:49152/back#x", "org.app:/other",
    ):  # fmt: skip
        assert not app.redirects_to(other), other
    web = Client("web", {"en": "Web"}, redirect_uris=("http://127.0.0.1/back",))
    assert not web.redirects_to("http://127.0.0.1:49152/back")


def test_parameters_that_stand_twice(service: Service, person: Person):
    query = "&".join(f"{name}={value}" for name, value in service.request().items())
    answer = follow(
        person, person.browser.get(f"/oauth/authorize?{query}&redirect_uri=https://evil.example/")
    )
    assert answer.status_code == 400 and "Location" not in answer.headers
    assert (
        service.post("/oauth/token", {"grant_type": ["authorization_code", "refresh_token"]}).status_code
        == 400
    )


def test_consent_is_not_given_by_another_site(service: Service, person: Person):
    page = service.ask(person)
    strict = Browser(HTTP_HOST="gd.wantong.example", enforce_csrf_checks=True)
    strict.cookies = person.browser.cookies
    form = {"request": handle_on(page), "answer": "allow"}
    assert strict.post("/en/identity/allow", form).status_code == 403
    assert (
        page.headers["X-Frame-Options"] == "DENY"
        and "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]
    )


def test_a_request_that_one_person_opened_another_can_only_allow_for_himself(
    service: Service, person: Person
):
    page = service.ask(person)
    other = Person()
    assert say(other, page, "allow").status_code in (302, 303), "sent to sign in"
    assert say(other, page, "deny").headers["Location"].startswith("/"), "nor can a stranger refuse it"


def test_tokens_of_one_kind_are_none_of_another(service: Service, person: Person):
    tokens = service.log_in(person)
    for text in (tokens["id_token"], tokens["refresh_token"]):
        assert service.get("/oauth/userinfo", text).status_code == 401
    assert service.refresh(tokens["access_token"]).json()["error"] == "invalid_grant"
    assert service.ask(person, id_token_hint=tokens["access_token"]).status_code == 400


def test_code_and_refresh_tokens_are_kept_as_digests(service: Service, person: Person):
    told = service.allowed(person, service.pushed())
    tokens = service.redeem(told["code"]).json()
    rows = [
        json.dumps(list(model.objects.values()), default=str)
        for model in apps.get_app_config("provider").get_models()
    ]
    for secret in (told["code"], tokens["refresh_token"], tokens["access_token"], service.verifier):
        assert not any(secret in row for row in rows)


def test_nothing_secret_and_nobody_in_logs(service: Service, person: Person, capsys):
    with structlog.testing.capture_logs() as lines:
        sent = service.pushed()
        told = service.allowed(person, sent)
        tokens = service.redeem(told["code"]).json()
        service.redeem(told["code"])
        service.refresh("wrong")
        service.get("/oauth/userinfo", tokens["access_token"])
    seen = json.dumps(lines, default=str) + json.dumps(list(LogEntry.objects.values_list("body", flat=True)))
    secrets = [
        told["code"], told["state"], tokens["access_token"], tokens["refresh_token"], tokens["id_token"], service.verifier,
        sent["request_uri"].rpartition(":")[2], str(person.account.id), unsigned(tokens["id_token"])["sub"],
    ]  # fmt: skip
    assert "provider.refused" in seen and "identity.consent.given" in str(
        LogEntry.objects.values_list("kind")
    )
    for secret in secrets:
        assert secret not in seen
    assert "no-store" in service.refresh("wrong").headers["Cache-Control"]


def test_who_proves_nothing_too_often_waits(service: Service, named, settings):
    cache.clear()
    settings.WANTONG_LIMITS = limits.read({"rates": {"unproven": {"rate": 0.01, "burst": 3}}})
    for _ in range(3):
        assert service.post("/oauth/token", {"client_assertion": "x"}, **{"X-None": "1"}).status_code == 401
    service.http.defaults["REMOTE_ADDR"] = "203.0.113.9"
    answers = [service.post("/oauth/token", {"client_assertion": "x"}).status_code for _ in range(5)]
    assert answers[-1] == 429 and 401 in answers, answers
    good = service.post("/oauth/par", service.request())
    assert good.status_code == 429, "from there nobody, for a while"
    assert int(good.headers["Retry-After"]) > 0
    service.http.defaults["REMOTE_ADDR"] = "203.0.113.10"
    assert service.post("/oauth/par", service.request()).status_code == 201


def test_secrets_are_compared_in_constant_time():
    """Where something that a caller must know is compared, it is by ``hmac.compare_digest`` or by digest in the database."""
    secret = {"jkt", "ath", "code_challenge", "dpop_jkt"}
    for module in (access, proving, authorising, granting, consents, telling, dpop, nonces):
        for node in ast.walk(ast.parse(inspect.getsource(module))):
            if isinstance(node, ast.Compare) and any(isinstance(op, ast.Eq | ast.NotEq) for op in node.ops):
                names = {
                    getattr(part, "attr", getattr(part, "id", "")) for part in (node.left, *node.comparators)
                }
                assert not names & secret, (module.__name__, ast.unparse(node))


# --- the pure core -----------------------------------------------------------------------------------------------


@given(st.text(max_size=300))
def test_any_text_is_a_jwt_or_is_not(text: str):
    try:
        token = jose.peek(text)
    except Refused:
        return
    assert isinstance(token.header, dict) and isinstance(token.payload, dict)


@given(st.dictionaries(st.text(max_size=5), st.none() | st.integers() | st.text(max_size=5), max_size=4))
def test_any_key_is_usable_or_is_not(told: dict):
    for kty in ("EC", "OKP", "RSA", "oct"):
        with pytest.raises(Refused):
            jose.public_key({"kty": kty, **told})


@given(st.text(max_size=60))
def test_any_address_is_registered_or_is_not(text: str):
    """Whatever passes has https, loopback, or a scheme with a dot; and no user, no fragment."""
    for prefix in ("", "https://", "http://localhost", "org.app:"):
        address = prefix + text
        with suppress(InvalidRedirectUri):
            clients.check_redirect(address, native=True)
            parts = urlsplit(address)
            assert "#" not in address and "@" not in parts.netloc and address.isascii()
            assert parts.scheme == "https" or parts.hostname in clients.LOOPBACK or "." in parts.scheme


@pytest.mark.parametrize(
    ("told", "asked", "same"),
    [
        ("https://a.example/token", "https://a.example/token", True),
        ("https://A.example:443/token?x=1#y", "https://a.example/token", True),
        ("https://a.example", "https://a.example/", True),
        ("https://a.example/%74oken", "https://a.example/token", True),
        ("https://a.example:8443/token", "https://a.example/token", False),
        ("http://a.example/token", "https://a.example/token", False),
        ("https://a.example/Token", "https://a.example/token", False),
        ("https://u@a.example/token", "https://a.example/token", False),
        ("https://a.example:x/token", "https://a.example/token", False),
        ("", "https://a.example/token", False),
    ],
)
def test_addresses_in_proofs(told: str, asked: str, same: bool):
    key, now = ECKey.generate_key("P-256"), datetime.now(UTC)
    proof = Service(possession=key).proof("POST", "", htu=told)

    def check():
        return dpop.check(proof, method="POST", url=asked, now=now, fresh=lambda _: True, nonce_wanted=False)

    if same:
        assert check().jkt == key.thumbprint()
    else:
        with pytest.raises(InvalidDpopProof):
            check()
    with pytest.raises((UseDpopNonce, InvalidDpopProof)):
        dpop.check(proof, method="POST", url=asked, now=now, fresh=lambda _: True, nonce_wanted=True)


def test_nonces_last_as_long_as_they_say():
    now = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
    nonce = nonces.make(b"s", "dpop", now)
    assert nonces.good(nonce, b"s", "dpop", now + timedelta(seconds=nonces.SPAN))
    assert not nonces.good(nonce, b"s", "dpop", now + timedelta(seconds=2 * nonces.SPAN))
    assert not nonces.good(nonce, b"t", "dpop", now) and not nonces.good(nonce, b"s", "other", now)
    assert not nonces.good("é" * 20, b"s", "dpop", now)


def test_answers_keep_the_query_of_their_address(service: Service, person: Person):
    told = authorising._back("https://a.example/b?x=1&y=%26", {"code": "c", "state": "a&b=c", "none": None})
    assert dict(parse_qsl(urlsplit(told).query)) == {"x": "1", "y": "&", "code": "c", "state": "a&b=c"}
