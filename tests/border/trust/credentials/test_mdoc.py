"""mdoc: there and back, the transcript of OpenID4VP, and everything that must be refused."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cbor2 import CBORTag
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from wantong.border.trust import cose, jws
from wantong.border.trust.credentials import mdoc
from wantong.border.trust.verdict import Refused
from wantong.ground import crypto
from wantong.ground.crypto import Suite

NOW = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
ISSUER, DEVICE, STRANGER = (crypto.generate(Suite.ES256) for _ in range(3))
SPACE = "mo.example.permit.1"
SESSION = mdoc.transcript("x509_hash:abc", "nonce", "https://verifier.example/response", bytes(32))


def issued(**more: Any) -> mdoc.IssuerSigned:
    elements = {
        "family_name": "陳",
        "birth_date": mdoc.full_date("1990-02-03"),
        "portrait": b"\xff\xd8",
        "n": 7,
    }
    told = {
        "device": DEVICE.public,
        "signer": ISSUER,
        "chain": (),
        "signed_at": NOW,
        "valid_until": NOW + timedelta(days=30),
        **more,
    }
    return mdoc.issue("mo.example.permit", {SPACE: elements}, **told)


def response(held: mdoc.IssuerSigned | None = None, signer: Any = DEVICE, session: Any = SESSION) -> bytes:
    return mdoc.respond([(held or issued(), signer)], session)


def changed(data: bytes, change: Any) -> bytes:
    told = cose.decode(data)
    change(told)
    return cose.encode(told)


def refused(
    code: str, data: bytes | str, at: datetime = NOW, key: bytes = ISSUER.public, session: Any = SESSION
) -> None:
    with pytest.raises(Refused) as caught:
        mdoc.verify(data, key, at=at, session=session)
    assert caught.value.code == code


def test_the_transcript_of_the_specification() -> None:
    """OpenID4VP 1.0 appendix B.2.6.1, its non-normative example; the key it names gives the thumbprint it names."""
    key = {
        "kty": "EC",
        "crv": "P-256",
        "x": "DxiH5Q4Yx3UrukE2lWCErq8N8bqC9CHLLrAwLz5BmE0",
        "y": "XtLM4-3h5o3HUH0MHVJV0kyq0iBlrBwlh8qEDMZ4-Pc",
    }
    thumb = jws.unb64(jws.thumbprint(key))
    assert thumb.hex() == "4283ec927ae0f208daaa2d026a814f2b22dca52cf85ffa8f3f8626c6bd669047"
    told = mdoc.transcript(
        "x509_san_dns:example.com",
        "exc7gBkxjx1rdc9udRrveKvSsJIq80avlXeLHhGwqtA",
        "https://example.com/response",
        thumb,
    )
    assert cose.encode(told).hex() == (
        "83f6f682714f70656e494434565048616e646f7665725820048bc053c00442af9b8e"
        "ed494cefdd9d95240d254b046b11b68013722aad38ac"
    )


def test_there_and_back() -> None:
    status = {"status_list": {"idx": 3, "uri": "https://gd.example/status/1"}}
    held = mdoc.parse_issued(issued(status=status).text)
    shown = mdoc.select(held, [(SPACE, "birth_date"), (SPACE, "portrait"), ("other", "n")])
    ((mso, claims),) = mdoc.verify(response(shown), ISSUER.public, at=NOW, session=SESSION)
    assert claims == {SPACE: {"birth_date": "1990-02-03", "portrait": "_9g"}}
    assert mso.status == status and mso.doctype == "mo.example.permit" and mso.device == DEVICE.public
    # nothing of what was withheld is in the bytes
    assert b"family_name" not in response(shown)


def test_nobody_else_signed() -> None:
    refused("signature", response(), key=STRANGER.public)
    refused("signature", response(signer=STRANGER))
    for other in (
        mdoc.transcript("x509_hash:abd", "nonce", "https://verifier.example/response", bytes(32)),
        mdoc.transcript("x509_hash:abc", "nonc", "https://verifier.example/response", bytes(32)),
        mdoc.transcript("x509_hash:abc", "nonce", "https://other.example/response", bytes(32)),
        mdoc.transcript("x509_hash:abc", "nonce", "https://verifier.example/response", None),
    ):
        refused("signature", response(session=other))


def test_an_element_that_was_changed() -> None:
    held = issued()
    items = held.namespaces[SPACE]
    body = cose.decode(items[0].encoded)
    swapped = dataclasses.replace(items[0], encoded=cose.encode({**body, "elementValue": "王"}))
    refused("digest", response(dataclasses.replace(held, namespaces={SPACE: (swapped,)})))
    refused("digest", response(dataclasses.replace(held, namespaces={"another": items[:1]})))


def test_an_element_twice() -> None:
    held = issued()
    twice = held.namespaces[SPACE][:1] * 2
    refused("mdoc-form", response(dataclasses.replace(held, namespaces={SPACE: twice})))


def test_the_period() -> None:
    refused("expired", response(), at=NOW + timedelta(days=31))
    refused("early", response(issued(valid_from=NOW + timedelta(hours=1))))


def test_signed_while_the_certificate_was_good() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([])
    leaf = (
        x509.CertificateBuilder(
            name, name, key.public_key(), 7, NOW - dt.timedelta(days=9), NOW - dt.timedelta(days=1)
        )
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.DER)
    )
    mso = mdoc.claimed(issued())
    with pytest.raises(Refused) as caught:
        mdoc.check_period(mso, NOW, leaf=leaf)
    assert caught.value.code == "signed-outside"
    mdoc.check_period(dataclasses.replace(mso, signed_at=NOW - dt.timedelta(days=2)), NOW, leaf=leaf)


def test_the_device_says_no_more_than_it_may() -> None:
    names = cose.encode({SPACE: {"family_name": "王"}})

    def speak(told: Any) -> None:
        signed = cose.sign(DEVICE, mdoc._authentication(SESSION, "mo.example.permit", names), detached=True)
        told["documents"][0]["deviceSigned"] = {
            "nameSpaces": CBORTag(24, names),
            "deviceAuth": {"deviceSignature": signed.items()},
        }

    refused("device-names", changed(response(), speak))


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("mdoc-form", lambda told: told.update(version="2.0")),
        ("mdoc-form", lambda told: told.pop("version")),
        ("device-status", lambda told: told.update(status=10)),
        ("mdoc-form", lambda told: told.update(documents=told["documents"] * 21)),
        ("doctype", lambda told: told["documents"][0].update(docType="other")),
        ("mdoc-form", lambda told: told["documents"][0].pop("deviceSigned")),
        ("mdoc-form", lambda told: told["documents"][0]["deviceSigned"].update(deviceAuth={})),
        ("device-mac", lambda told: told["documents"][0]["deviceSigned"].update(deviceAuth={"deviceMac": [b"", {}, None, b""]})),
        ("mdoc-form", lambda told: told["documents"][0]["issuerSigned"].pop("issuerAuth")),
        ("mdoc-form", lambda told: told["documents"][0]["issuerSigned"].update(nameSpaces=[])),
    ],
)  # fmt: skip
def test_responses_of_a_wrong_form(code: str, change: Any) -> None:
    refused(code, changed(response(), change))


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("mdoc-form", {"version": "2.0"}),
        ("sd-alg", {"digestAlgorithm": "MD5"}),
        ("mdoc-form", {"valueDigests": []}),
        ("mdoc-form", {"validityInfo": {"signed": "x", "validFrom": "x", "validUntil": "x"}}),
        ("key-kind", {"deviceKeyInfo": {"deviceKey": {1: 4}}}),
        ("status-form", {"status": 7}),
    ],
)
def test_security_objects_of_a_wrong_form(code: str, change: dict[str, Any]) -> None:
    held = issued()
    told = cose.enclosed(cose.decode(held.auth.payload or b""))
    auth = cose.sign(ISSUER, cose.encode(cose.enclose({**told, **change})))
    with pytest.raises(Refused) as caught:
        mdoc.check_issued(dataclasses.replace(held, auth=auth), ISSUER.public)
    assert caught.value.code == code


def test_a_short_random_is_refused() -> None:
    held = issued()
    body = {**cose.decode(held.namespaces[SPACE][0].encoded), "random": b"short"}
    told = {**held.items(), "nameSpaces": {SPACE: [cose.enclose(body)]}}
    with pytest.raises(Refused):
        mdoc.parse_issued(cose.encode(told))


@given(st.binary(max_size=300), st.integers(0, 2000))
def test_nothing_but_refused_comes_of_noise(noise: bytes, place: int) -> None:
    good = response()
    cut = place % len(good)
    for data in (noise, good[:cut] + noise + good[cut + len(noise) :], noise.decode("latin-1")):
        with contextlib.suppress(Refused):
            mdoc.verify(data, ISSUER.public, at=NOW, session=SESSION)
