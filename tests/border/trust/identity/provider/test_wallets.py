"""Attested wallets: draft-ietf-oauth-attestation-based-client-auth, as OpenID4VCI 1.0 and HAIP use it."""

from __future__ import annotations

import itertools
import secrets
import time
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from joserfc.jwk import ECKey
from tests.border.trust.identity.provider.world import (
    ANA,
    BO,
    NOBODYS,
    URL,
    Person,
    Service,
    signed,
    unsigned,
)
from tests.border.trust.people import agreed

from wantong.border.trust import jws
from wantong.border.trust.certificates import holdings
from wantong.border.trust.identity.provider import registration
from wantong.border.trust.identity.provider.models import Attester
from wantong.border.trust.lists import ServiceType, proposing, stored
from wantong.border.trust.lists import services as lists
from wantong.border.trust.lists.changes import Wish
from wantong.border.trust.lists.trustlist import Period, State, Status
from wantong.ground import crypto
from wantong.ground.outbox import services as outbox

MAKER = ECKey.generate_key("P-256", {"kid": "maker"})


@dataclass
class Wallet(Service):
    """One installation of a wallet, whose maker vouches for its key."""

    client_id: str = "https://wallet.example"
    redirect_uri: str = "https://wallet.example/back"
    scope: str = "openid"
    instance: ECKey = field(default_factory=lambda: ECKey.generate_key("P-256"))
    challenge: str | None = None
    attests: dict[str, Any] = field(default_factory=dict)
    proves: dict[str, Any] = field(default_factory=dict)
    combined: bool = False

    def register(self, **changes: Any) -> Wallet:
        method = {"token_endpoint_auth_method": "attest_jwt_client_auth"}
        super().register(**{**method, "scope": "openid", **changes})
        return self

    def attestation(self) -> str:
        told = {
            "iss": "https://maker.example", "sub": self.client_id, "exp": int(time.time()) + 3600,
            "cnf": {"jwk": self.instance.as_dict(private=False)}, **self.attests,
        }  # fmt: skip
        key, header = told.pop("key", MAKER), told.pop("header", {})
        told = {name: value for name, value in told.items() if value is not None}
        return signed(key, {"typ": "oauth-client-attestation+jwt", "kid": "maker", **header}, told)

    def possession_proof(self) -> str:
        told = {
            "aud": URL,
            "jti": secrets.token_hex(8),
            "iat": int(time.time()),
            "challenge": self.challenge,
            **self.proves,
        }
        key, header = told.pop("key", self.instance), told.pop("header", {})
        told = {name: value for name, value in told.items() if value is not None}
        return signed(key, {"typ": "oauth-client-attestation-pop+jwt", **header}, told)

    def post(self, path: str, data: dict[str, Any], **more: Any) -> Any:
        more.setdefault("OAuth-Client-Attestation", self.attestation())
        if not self.combined:
            more.setdefault("OAuth-Client-Attestation-PoP", self.possession_proof())
        nobody = {"client_assertion": None, "client_assertion_type": None}
        answer = super().post(path, {"client_id": self.client_id, **data, **nobody}, **more)
        if answer.status_code == 400 and answer.json()["error"] == "use_attestation_challenge":
            self.challenge = answer.headers["OAuth-Client-Attestation-Challenge"]
        return answer


@pytest.fixture
def wallet(named, db) -> Wallet:
    agreed(registration.attester(ANA, "maker", {"keys": [MAKER.as_dict(private=False)]}))
    # the first proof of a wallet would be spent on learning the nonce
    made = Wallet()
    learned = made.http.post(
        "/oauth/par",
        "a=b",
        content_type="application/x-www-form-urlencoded",
        HTTP_DPOP=made.proof("POST", "/oauth/par"),
    )
    made.nonce = learned.headers["DPoP-Nonce"]
    return made


def test_a_wallet_logs_in(wallet: Wallet, person: Person):
    wallet.register()
    told = wallet.allowed(person, wallet.pushed())
    tokens = wallet.redeem(told["code"]).json()
    assert (
        tokens["token_type"] == "DPoP" and unsigned(tokens["access_token"])["client_id"] == wallet.client_id
    )
    assert wallet.refresh(tokens["refresh_token"]).status_code == 200


def test_a_refresh_token_belongs_to_one_installation(wallet: Wallet, person: Person):
    wallet.register()
    token = wallet.redeem(wallet.allowed(person, wallet.pushed())["code"]).json()["refresh_token"]
    mine, wallet.instance = wallet.instance, ECKey.generate_key("P-256")
    assert wallet.refresh(token).json()["error"] == "invalid_grant"
    wallet.instance = mine
    assert wallet.refresh(token).status_code == 200, "whoever else had it could not end it either"


def test_one_proof_for_both(wallet: Wallet, person: Person):
    wallet.register(token_endpoint_auth_method="attest_jwt_client_auth_dpop")
    wallet.combined, wallet.possession = True, wallet.instance
    assert wallet.push().status_code == 201
    wallet.possession = ECKey.generate_key("P-256")
    assert wallet.push().json()["error"] == "invalid_client"


def test_a_challenge_that_is_used_has_to_be_fresh(wallet: Wallet):
    wallet.register()
    wallet.challenge = wallet.http.post("/oauth/challenge").json()["attestation_challenge"]
    assert wallet.push().status_code == 201
    wallet.challenge = "old"
    assert wallet.push().json()["error"] == "use_attestation_challenge"
    assert wallet.push().status_code == 201, "it has learned the new one"


@pytest.mark.parametrize(
    ("attests", "proves"),
    [
        ({"key": ECKey.generate_key("P-256")}, {}), ({"sub": "https://other.example"}, {}), ({"sub": None}, {}), ({"exp": -60}, {}),
        ({"exp": None}, {}), ({"cnf": None}, {}), ({"cnf": {"jwk": MAKER.as_dict(private=True)}}, {}), ({"iat": 600}, {}),
        ({"nbf": 600}, {}), ({"header": {"typ": "JWT"}}, {}),
        ({}, {"key": MAKER}), ({}, {"aud": "https://other.example"}), ({}, {"aud": None}), ({}, {"jti": None}), ({}, {"iat": -3600}),
        ({}, {"iat": None}), ({}, {"iat": 600}), ({}, {"iss": "https://other.example"}), ({}, {"header": {"typ": "JWT"}}),
        ({}, {"exp": -60}), ({}, {"nbf": 600}),
    ],
    ids=itertools.count(),  # what they hold is new every time, and workers must agree on names
)  # fmt: skip
def test_what_proves_nothing(wallet: Wallet, attests: dict, proves: dict):
    """A time is in seconds from now: from when the test runs, which may be long after it was collected."""
    wallet.register()
    now = int(time.time())
    wallet.attests, wallet.proves = (
        {name: now + value if isinstance(value, int) else value for name, value in told.items()}
        for told in (attests, proves)
    )
    answer = wallet.push()
    assert answer.json()["error"] in ("invalid_client", "use_fresh_attestation"), answer.content
    assert answer.status_code in (400, 401)


def test_what_nobody_signed_and_what_comes_twice(wallet: Wallet):
    wallet.register()
    nobodys = f"{NOBODYS}.{wallet.attestation().split('.')[1]}."
    assert (
        wallet.post("/oauth/par", wallet.request(), **{"OAuth-Client-Attestation": nobodys}).status_code
        == 401
    )
    proof = {"OAuth-Client-Attestation-PoP": wallet.possession_proof()}
    assert wallet.post("/oauth/par", wallet.request(), **proof).status_code == 201
    assert wallet.post("/oauth/par", wallet.request(), **proof).status_code == 401
    assert (
        Service.post(wallet, "/oauth/par", {**wallet.request(), "client_assertion": None}).status_code == 401
    )
    both = {"client_assertion": wallet.assertion()}
    answer = Service.post(
        wallet,
        "/oauth/par",
        {**wallet.request(), **both},
        **{"OAuth-Client-Attestation": wallet.attestation()},
    )
    assert answer.json()["error"] == "invalid_request"


def test_a_maker_in_whom_nobody_believes_any_more(wallet: Wallet):
    wallet.register()
    assert wallet.push().status_code == 201
    Attester.objects.update(withdrawn_at="2026-01-01T00:00:00Z")
    assert wallet.push().json()["error"] == "invalid_client"
    confidential = Service("plain").register()
    wallet.client_id = confidential.client_id
    Attester.objects.update(withdrawn_at=None)
    assert wallet.push().json()["error"] == "invalid_client", "registered for another way"


def test_a_maker_in_the_trust_list(named, db):
    """Its certificate goes with the attestation, and no operator has entered a key."""
    maker = holdings.signer("issuer")
    wallet = Wallet().register()
    wallet.dpop = False
    header = {"typ": "oauth-client-attestation+jwt", "x5c": jws.x5c(maker.chain)}

    def push(key=maker.signer):
        text = jws.sign(key, header, unsigned(wallet.attestation()))
        return wallet.post("/oauth/par", wallet.request(), **{"OAuth-Client-Attestation": text})

    assert push().json()["error"] == "invalid_client", "in no list yet"
    now = timezone.now()
    state = State(
        now, Status.GRANTED, {"en": "Wallets"}, Period(now - timedelta(days=1)), root=maker.chain[-1]
    )
    wish = Wish("node", {"en": "Node"}, URL, "wallets", ServiceType.WALLET_PROVIDER, state).to_dict()
    proposing.approve(BO, proposing.propose(ANA, [wish]).id)
    while stored.latest() is None:  # one version a second
        time.sleep(0.1)
        outbox.drain()
    found = lists.recognise(maker.chain, ServiceType.WALLET_PROVIDER, timezone.now())
    assert found.verdict.passed, found.verdict.explain("en")
    answer = push()
    assert answer.status_code == 201, answer.content
    assert push(crypto.generate(crypto.Suite.ES256)).json()["error"] == "invalid_client", (
        "another key than in the certificate"
    )
    header["x5c"] = ["AAAA"]
    assert push().json()["error"] == "invalid_client"
