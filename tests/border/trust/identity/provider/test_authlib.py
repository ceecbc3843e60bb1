"""Authlib, unmodified, as a relying party: metadata, PKCE, private_key_jwt, userinfo, refresh, revocation."""

from __future__ import annotations

import httpx
import pytest
from authlib.integrations.httpx_client import OAuth2Client
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.jwk import KeySet
from tests.border.trust.identity.provider.world import URL, Person, Service, follow, say


class Wire(httpx.BaseTransport):
    """What would go over a network goes to the node in this process."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        kind = request.headers.pop("Content-Type", "application/octet-stream")
        path = request.url.raw_path.decode()
        answer = Service().http.generic(
            request.method, path, request.read(), content_type=kind, headers=dict(request.headers)
        )
        return httpx.Response(answer.status_code, headers=dict(answer.headers), content=answer.content)


@pytest.fixture
def party(named, db) -> OAuth2Client:
    """A service built on Authlib. It knows no DPoP, so its tokens are bound to nothing."""
    service = Service().register()
    session = OAuth2Client(
        service.client_id,
        service.key,
        token_endpoint_auth_method="private_key_jwt",
        revocation_endpoint_auth_method="private_key_jwt",
        scope="openid profile offline_access",
        redirect_uri=service.redirect_uri,
        code_challenge_method="S256",
        transport=Wire(),
    )
    # the audience of an assertion is the issuer (FAPI 2.0)
    session.register_client_auth_method(PrivateKeyJWT(URL, headers={"kid": service.key.kid}, alg="ES256"))
    return session


def test_a_login_by_authlib(party: OAuth2Client, person: Person):
    about = party.request("GET", f"{URL}/.well-known/openid-configuration", withhold_token=True).json()
    verifier = "v" * 50
    address, state = party.create_authorization_url(
        about["authorization_endpoint"], code_verifier=verifier, nonce="n-0S6"
    )
    page = follow(person, person.browser.get(address.removeprefix(URL)))
    back = say(person, page, "allow").headers["Location"]
    token = party.fetch_token(
        about["token_endpoint"], authorization_response=back, code_verifier=verifier, state=state
    )
    keys = KeySet.import_key_set(party.request("GET", about["jwks_uri"], withhold_token=True).json())
    claims = CodeIDToken(
        jwt.decode(token["id_token"], keys, algorithms=["ES256"]).claims,
        {"alg": "ES256"},
        {"iss": {"value": URL}, "aud": {"value": party.client_id}},
        {"nonce": "n-0S6", "access_token": token["access_token"], "client_id": party.client_id},
    )
    claims.validate()
    assert party.get(about["userinfo_endpoint"]).json()["sub"] == claims["sub"]
    first = token["refresh_token"]
    second = party.refresh_token(about["token_endpoint"], refresh_token=first)
    assert second["refresh_token"] != first
    assert party.get(about["userinfo_endpoint"]).status_code == 200
    answer = party.revoke_token(about["revocation_endpoint"], token=second["refresh_token"])
    assert answer.status_code == 200, answer.text
    assert party.get(about["userinfo_endpoint"]).status_code == 401
