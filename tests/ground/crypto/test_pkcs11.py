"""Keys in a module, with SoftHSM for one: they sign as those in files do, and every refusal says what to do."""

from __future__ import annotations

import concurrent.futures
import logging
import multiprocessing

import pytest
from asn1crypto import x509 as asn1
from tests.ground.crypto import softhsm

from wantong.ground import crypto
from wantong.ground.crypto import Suite, pkcs11, x509
from wantong.ground.crypto.pkcs11 import HardwareRefuses
from wantong.ground.i18n import LANGUAGES

KINDS = {
    Suite.ES256: "P-256",
    Suite.ES384: "P-384",
    Suite.Ed25519: "Ed25519",
    Suite.RS256: "RSA",
    Suite.PS256: "RSA",
}


@pytest.fixture(scope="module")
def token(tmp_path_factory):
    token = softhsm.make(tmp_path_factory.mktemp("module"))
    for kind in {*KINDS.values(), "P-521"}:
        softhsm.put(kind, kind)
    return token


@softhsm.needs_module
@pytest.mark.parametrize("suite", KINDS)
def test_a_key_in_a_module_signs_as_one_in_a_file_does(token, suite):
    key = pkcs11.find(token.uri(KINDS[suite]), suite)
    assert isinstance(key, crypto.Signer)
    assert key.suite is suite
    for message in (b"", b"x", bytes(100_000)):
        signature = key.sign(message)
        assert crypto.verify(suite, key.public, message, signature)
        assert not crypto.verify(suite, key.public, message + b".", signature)


@softhsm.needs_module
def test_it_signs_certificate_requests(token):
    key = pkcs11.find(token.uri("P-256"))
    body = x509.requested(x509.request(key, {"common_name": "in a module"}))
    assert body["subject"] == asn1.Name.build({"common_name": "in a module"})


@softhsm.needs_module
def test_many_threads_and_a_forked_child(token):
    key = pkcs11.find(token.uri("P-256"))
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        signatures = list(pool.map(key.sign, [b"x"] * 100))
    assert all(crypto.verify(key.suite, key.public, b"x", signature) for signature in signatures)
    forked = multiprocessing.get_context("fork")
    with forked.Pool(1) as pool:
        assert crypto.verify(key.suite, key.public, b"y", pool.apply(key.sign, (b"y",)))
    # and the child took nothing from its parent
    assert crypto.verify(key.suite, key.public, b"z", key.sign(b"z"))


@softhsm.needs_module
def test_a_session_that_has_died_is_opened_again(token):
    import pkcs11 as client

    key = pkcs11.find(token.uri("P-256"))
    # what a module does that was restarted: it knows no session and nobody is signed in
    client.lib(softhsm.LIBRARY).reinitialize()
    assert crypto.verify(key.suite, key.public, b"x", key.sign(b"x"))


@softhsm.needs_module
@pytest.mark.parametrize(
    ("label", "more", "reason"),
    [
        ("nothing", {}, "no-key"),
        ("P-256", {"token": "another"}, "no-token"),
        ("P-256", {"token": "another", "library": "/nothing.so"}, "no-module"),
        ("P-256", {"token": "another", "library": "/etc/passwd"}, "no-module"),
    ],
)
def test_what_is_not_there(token, label, more, reason):
    with pytest.raises(HardwareRefuses) as refused:
        pkcs11.find(token.uri(label, **more))
    assert refused.value.params["reason"] == reason
    for lang in LANGUAGES:
        said = refused.value.explain(lang)
        assert "⟦" not in "".join(said.values())
        assert softhsm.PIN not in "".join(said.values())


@softhsm.needs_module
def test_keys_of_other_kinds(token):
    with pytest.raises(crypto.BadKey):
        pkcs11.find(token.uri("P-521"))
    with pytest.raises(crypto.BadKey):
        pkcs11.find(token.uri("P-256"), Suite.SM2SM3)
    softhsm.put("twice", "P-256")
    softhsm.put("twice", "P-256")
    with pytest.raises(HardwareRefuses) as refused:
        pkcs11.find(token.uri("twice"))
    assert refused.value.params["reason"] == "many-keys"


@pytest.fixture
def fresh(token, monkeypatch):
    """As a process that has opened no session yet."""
    monkeypatch.setattr(pkcs11, "_open", {})
    monkeypatch.setattr(pkcs11, "_refused", {})


@softhsm.needs_module
def test_a_pin_that_others_could_read_is_not_used(token, tmp_path, fresh):
    pin = tmp_path / "pin"
    with pytest.raises(HardwareRefuses) as refused:
        pkcs11.find(token.uri("P-256", pin=pin))
    assert refused.value.params["reason"] == "no-pin"
    pin.write_text(softhsm.PIN)
    for mode, reason in ((0o640, "pin-exposed"), (0o604, "pin-exposed")):
        pin.chmod(mode)
        with pytest.raises(HardwareRefuses) as refused:
            pkcs11.find(token.uri("P-256", pin=pin))
        assert refused.value.params["reason"] == reason
    pin.chmod(0o400)
    assert pkcs11.find(token.uri("P-256", pin=pin)).suite is Suite.ES256


@softhsm.needs_module
def test_a_wrong_pin_is_tried_once_and_told_nobody(token, tmp_path, fresh, caplog):
    """Modules lock after a few wrong PINs: a node that starts again and again must not lock its own."""
    import os

    caplog.set_level(logging.DEBUG)
    pin = tmp_path / "pin"
    pin.touch(mode=0o600)
    pin.write_text("wrong-3141592")
    for _ in range(5):
        with pytest.raises(HardwareRefuses) as refused:
            pkcs11.find(token.uri("P-256", pin=pin))
        assert refused.value.params["reason"] == "pin-refused"
        assert "3141592" not in repr(refused.value.params) + caplog.text
    assert "PinIncorrect" not in str(refused.value.params["about"]), "it was tried again"
    pin.write_text(softhsm.PIN)
    os.utime(pin, ns=(1, 1))
    assert pkcs11.find(token.uri("P-256", pin=pin)).suite is Suite.ES256


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("", "bad-address"),
        ("file:/x", "bad-address"),
        ("pkcs11:", "bad-address"),
        ("pkcs11:token=a;object=b", "bad-address"),
        ("pkcs11:token=a;object=b?module-path=/m", "bad-address"),
        ("pkcs11:token=a;object=b?module-path=m&pin-source=file:/p", "bad-address"),
        ("pkcs11:token=a;object=b?module-path=/m&pin-source=p", "bad-address"),
        ("pkcs11:token=a?module-path=/m&pin-source=/p", "bad-address"),
        ("pkcs11:object=a?module-path=/m&pin-source=/p", "bad-address"),
        ("pkcs11:token=a;object=b;object=c?module-path=/m&pin-source=/p", "bad-address"),
        ("pkcs11:token=a;object=b;else=c?module-path=/m&pin-source=/p", "bad-address"),
        ("pkcs11:token=a;object=b?module-path=/m&pin-source=|program", "bad-address"),
        ("pkcs11:token=a;object=b?module-path=/m&pin-value=1234", "pin-in-address"),
        ("pkcs11:token=" + "a" * 2000, "bad-address"),
    ],
)
def test_addresses_that_name_no_key(uri, reason):
    with pytest.raises(HardwareRefuses) as refused:
        pkcs11.parse(uri)
    assert refused.value.params["reason"] == reason
    assert "1234" not in repr(refused.value.params)


def test_an_address():
    """The examples of RFC 7512 3 in what is read here: percent-encoding, an id in octets."""
    read = pkcs11.parse(
        "pkcs11:token=The%20Software%20PKCS%2311%20Softtoken;manufacturer=Snake%20Oil,%20Inc.;model=1.0;"
        "object=my-certificate;type=private;id=%69%95%3E%5C%F4%BD%EC%91;serial="
        "?pin-source=file:/etc/token_pin&module-path=/usr/lib/m.so"
    )
    assert read.token == "The Software PKCS#11 Softtoken"
    assert read.label == "my-certificate"
    assert read.id == bytes.fromhex("69953e5cf4bdec91")
    assert (str(read.pin), read.module) == ("/etc/token_pin", "/usr/lib/m.so")
