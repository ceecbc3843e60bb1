"""Offers and metadata as the standard has them are read; what is not of its form is refused, whatever it is."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwt

from wantong.border.trust.verdict import Refused
from wantong.border.trust.wallet import issuance

ISSUER = "https://issuer.example/university"
OFFER = {
    "credential_issuer": ISSUER,
    "credential_configuration_ids": ["degree"],
    "grants": {
        issuance.PRE_AUTHORISED: {
            "pre-authorized_code": "SplxlOBeZQQYbYS6WxSbIA",
            "tx_code": {"length": 4, "input_mode": "numeric", "description": "from the letter"},
        }
    },
}
METADATA = {
    "credential_issuer": ISSUER,
    "credential_endpoint": f"{ISSUER}/credential",
    "nonce_endpoint": f"{ISSUER}/nonce",
    "batch_credential_issuance": {"batch_size": 3},
    "display": [{"name": "中山大学", "locale": "zh-CN"}, {"name": "University"}],
    "credential_configurations_supported": {
        "degree": {
            "format": "dc+sd-jwt",
            "vct": "https://issuer.example/degree",
            "scope": "degree",
            "cryptographic_binding_methods_supported": ["jwk"],
            "proof_types_supported": {"jwt": {"proof_signing_alg_values_supported": ["ES256"]}},
            "credential_metadata": {"display": [{"name": "學位", "locale": "zh-Hant-HK"}]},
        },
        "old": {"format": "jwt_vc_json"},
    },
}
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def test_an_offer_is_read_from_a_link_by_value_and_by_reference():
    link = f"openid-credential-offer://?credential_offer={quote(json.dumps(OFFER))}"
    offer = issuance.read_uri(link)
    assert offer == issuance.Offer(
        ISSUER,
        ("degree",),
        "SplxlOBeZQQYbYS6WxSbIA",
        issuance.TransactionCode(True, 4, "from the letter"),
    )
    there = "https://issuer.example/offers/1"
    assert issuance.read_uri(f"openid-credential-offer://?credential_offer_uri={quote(there)}") == there


@pytest.mark.parametrize(
    "link",
    [
        "", "javascript:alert(1)", "openid-credential-offer://", "openid-credential-offer://?credential_offer={}",
        "openid-credential-offer://?credential_offer=%7B%7D&credential_offer_uri=https%3A%2F%2Fa",
        "openid-credential-offer://?credential_offer=" + "x" * 20_000, "file:///etc/passwd?credential_offer=%7B%7D",
    ],
)  # fmt: skip
def test_other_links_are_refused(link):
    with pytest.raises(Refused):
        issuance.read_uri(link)


def test_an_issuer_tells_what_a_holder_needs():
    issuer = issuance.read_metadata(json.dumps(METADATA).encode(), ISSUER)
    degree = issuer.configurations["degree"]
    assert (issuer.copies, issuer.display["zh-hans"], degree.display) == (3, "中山大学", {"zh-hant": "學位"})
    assert issuance.chosen(issuance.read_offer(json.dumps(OFFER).encode()), issuer) == [degree]
    with pytest.raises(Refused, match="offer-unable"):
        issuance.chosen(issuance.Offer(ISSUER, ("old", "unknown")), issuer)
    with pytest.raises(Refused, match="issuer-other"):
        issuance.read_metadata(json.dumps(METADATA).encode(), "https://evil.example")


def test_metadata_lies_between_host_and_path():
    assert issuance.well_known("openid-credential-issuer", ISSUER) == (
        "https://issuer.example/.well-known/openid-credential-issuer/university"
    )


@given(st.sampled_from(sorted(METADATA)), JSON)
def test_whatever_stands_in_metadata_is_read_or_refused(name, value):
    told = {**METADATA, name: value}
    try:
        issuer = issuance.read_metadata(json.dumps(told).encode(), ISSUER)
    except Refused:
        return
    assert issuer.identifier == ISSUER and 1 <= issuer.copies <= issuance.MOST_COPIES


@given(st.dictionaries(st.sampled_from([*OFFER, "grants"]), JSON), st.binary(max_size=20))
def test_whatever_stands_in_an_offer_or_an_answer_is_read_or_refused(told, noise):
    for body in (json.dumps({**OFFER, **told}).encode(), noise):
        for reader in (issuance.read_offer, issuance.read_answer):
            try:
                reader(body)
            except Refused as refusal:
                assert refusal.code in ("offer-form", "answer-form")


def test_proofs_are_bound_to_the_request_and_say_no_private_number():
    key = issuance.new_key()
    read = jwt.decode(issuance.proof(key, ISSUER, "n", NOW), key)
    assert read.claims == {"aud": ISSUER, "iat": int(NOW.timestamp()), "nonce": "n"}
    assert read.header["typ"] == issuance.PROOF_TYPE and "d" not in read.header["jwk"]
    read = jwt.decode(issuance.dpop(key, "POST", f"{ISSUER}/token?x=1", NOW, token="t"), key)
    assert read.claims["htu"] == f"{ISSUER}/token" and read.claims["htm"] == "POST"
    assert read.claims["ath"] == "47mKTaMaEn1L3m5DAz9muidMqw636xxw7EFAK_YnPdg"
    assert "d" not in read.header["jwk"]
