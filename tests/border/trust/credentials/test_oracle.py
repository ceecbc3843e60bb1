"""Beside polaris-oid4vp 1.0.0, a verifier certified for OpenID4VP 1.0 and HAIP: the same presentations, the same word.

It asks, our wallet's core answers; and presentations that were tampered with are judged by both. Where the two differ,
the difference is named here with its reason, and nothing else may differ.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polaris_oid4vp.sdjwt import verify_presentation
from polaris_oid4vp.verifier import Verifier

from wantong.border.trust import jws
from wantong.border.trust.certificates import authority
from wantong.border.trust.credentials import answering, asking, sdjwt
from wantong.border.trust.verdict import Refused
from wantong.ground import crypto
from wantong.ground.crypto import Suite, pem

NOW = datetime.now(UTC).replace(microsecond=0)
ISSUER, HOLDER, STRANGER = (crypto.generate(Suite.ES256) for _ in range(3))
AUDIENCE, NONCE = "x509_hash:abc", "n-0S6_WzA2MjXyZ0123456"
VCT = "urn:wantong:vct:degree:1"


def credential(**more: Any) -> sdjwt.SdJwt:
    claims = {
        "vct": VCT,
        "iat": int(NOW.timestamp()),
        "exp": int((NOW + timedelta(days=1)).timestamp()),
        "cnf": {"jwk": jws.jwk(HOLDER.public)},
        "name": "陳大文",
        "address": {"city": "珠海", "street": "情侣路"},
        "marks": ["A", "B"],
        **more,
    }
    conceal: list[sdjwt.Path] = [("name",), ("address",), ("address", "street"), ("marks", None)]
    return sdjwt.issue(claims, conceal, signer=ISSUER, header={"typ": sdjwt.TYPE})


def both(text: str, **how: Any) -> tuple[str, str]:
    """What we say and what they say: ``passed``, or why not."""
    nonce, audience = how.get("nonce", NONCE), how.get("audience", AUDIENCE)
    try:
        sdjwt.verify(text, ISSUER.public, at=NOW, audience=audience, nonce=nonce)
        ours = "passed"
    except Refused as error:
        ours = error.code
    verdict = verify_presentation(
        text,
        expected_nonce=nonce,
        expected_audience=audience,
        issuer_jwks=[jws.jwk(ISSUER.public)],
        now=int(NOW.timestamp()),
        max_skew_seconds=300,
    )
    return ours, "passed" if verdict.authentic else str(verdict.code)


def bound(held: sdjwt.SdJwt | None = None, **how: Any) -> str:
    how = {"signer": HOLDER, "audience": AUDIENCE, "nonce": NONCE, "at": NOW, **how}
    return sdjwt.bind(held or credential(), **how).text


@pytest.mark.parametrize(
    ("text", "how"),
    [
        (bound(), {}),
        (bound(sdjwt.select(credential(), [("address", "street")])), {}),
        (bound(sdjwt.select(credential(), [("marks", 1)])), {}),
        (bound(sdjwt.select(credential(), [])), {}),
        (credential().text, {}),
        (bound(nonce="another-nonce-0123456789"), {}),
        (bound(audience="x509_hash:abd"), {}),
        (bound(signer=STRANGER), {}),
        (bound(at=NOW - timedelta(hours=1)), {}),
        (bound(at=NOW + timedelta(hours=1)), {}),
        (bound(credential(exp=int(NOW.timestamp()) - 4000)), {}),
        (bound(credential(nbf=int(NOW.timestamp()) + 4000)), {}),
        (bound(credential(cnf={})), {}),
        (bound()[:-2], {}),
        (bound().replace(".", "", 1), {}),
        ("~".join([*bound().split("~")[:-1], *bound().split("~")[1:2], bound().split("~")[-1]]), {}),
        (bound(), {"nonce": "another-nonce-0123456789"}),
        ("", {}),
        ("a.b.c~", {}),
    ],
)
def test_presentations_are_judged_alike(text: str, how: dict[str, str]) -> None:
    ours, theirs = both(text, **how)
    assert (ours == "passed") == (theirs == "passed"), (ours, theirs)


@settings(max_examples=60)
@given(st.integers(0, 3000), st.sampled_from(["A", "b", "0", "-", "_", ".", "~", ""]))
def test_one_character_changed_is_judged_alike(place: int, character: str) -> None:
    """Whatever is changed, both refuse it; what changes nothing, both accept."""
    text = bound()
    at = place % len(text)
    changed = text[:at] + character + text[at + 1 :]
    ours, theirs = both(changed)
    assert (ours == "passed") == (theirs == "passed") == (changed == text), (ours, theirs, at)


@pytest.fixture(scope="module")
def verifier() -> Verifier:
    begin = NOW - timedelta(days=1)
    ca = authority.root(crypto.generate(Suite.ES256), {"common_name": "Root"}, serial=1, begin=begin)
    key = crypto.generate(Suite.ES256)
    leaf = authority.issue(
        ca, "verifier", key.public, {"common_name": "Employer"}, serial=2, begin=begin,
        names=authority.Names(dns=("employer.example",)),
    )  # fmt: skip
    return Verifier(
        client_cert_pem=pem.write("CERTIFICATE", leaf),
        client_key_pem=key.pem(),
        request_uri="https://employer.example/request",
        response_uri="https://employer.example/response",
        issuer_jwks=[jws.jwk(ISSUER.public)],
        vct_values=(VCT,),
        claims=("name", "vct"),
    )


def asked(verifier: Verifier) -> tuple[Any, asking.Request]:
    """Their request, read by our wallet's core."""
    session, jar = verifier.new_request()
    link = asking.Link(verifier.client_id, "https://employer.example/request")
    return session, asking.read(jar if isinstance(jar, str) else jar.decode(), link, at=datetime.now(UTC))


def test_their_verifier_is_answered_by_our_wallet(verifier: Verifier) -> None:
    _, request = asked(verifier)
    shown = answering.present(request, "dc+sd-jwt", credential().text, [("name",)], HOLDER, datetime.now(UTC))
    (query,) = request.query.credentials
    form = parse_qs(answering.encrypt(request, {query.id: [shown]}).decode())
    status, body, verdict = verifier.handle_direct_post({name: one for name, (one,) in form.items()})
    assert status == 200 and verdict.authentic, (status, body, verdict)
    assert verdict.claims["name"] == "陳大文" and "address" not in verdict.claims
    # once: the answer brought again is no answer
    status, _, again = verifier.handle_direct_post({name: one for name, (one,) in form.items()})
    assert status == 400 and not (again and again.authentic)


def test_their_verifier_is_declined_by_our_wallet(verifier: Verifier) -> None:
    _, request = asked(verifier)
    form = parse_qs(answering.decline(request).decode())
    status, _, verdict = verifier.handle_direct_post({name: one for name, (one,) in form.items()})
    assert status == 200 and not verdict.authentic and verdict.code == "wallet_error"


def test_an_answer_by_somebody_else_is_refused(verifier: Verifier) -> None:
    _, request = asked(verifier)
    shown = answering.present(
        request, "dc+sd-jwt", credential().text, [("name",)], STRANGER, datetime.now(UTC)
    )
    (query,) = request.query.credentials
    form = parse_qs(answering.encrypt(request, {query.id: [shown]}).decode())
    status, _, verdict = verifier.handle_direct_post({name: one for name, (one,) in form.items()})
    assert status == 400 and not verdict.authentic
