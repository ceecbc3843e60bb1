"""Certificates and requests in every suite: made here and checked by openssl, made by openssl and checked here."""

from __future__ import annotations

import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from asn1crypto import algos, core
from asn1crypto import x509 as asn1
from cryptography import x509 as pyca

from wantong.ground import crypto
from wantong.ground.crypto import Suite, pem, x509
from wantong.ground.i18n import LANGUAGES

KEYS = {suite: crypto.generate(suite) for suite in Suite}
OPENSSL = shutil.which("openssl")
needs_openssl = pytest.mark.skipif(OPENSSL is None, reason="no openssl command")
by_suite = pytest.mark.parametrize("suite", Suite)
DISTINGUISHING = {Suite.SM2SM3: ["-vfyopt", "distid:1234567812345678"]}


def openssl(*arguments: str | Path, **more) -> subprocess.CompletedProcess:
    return subprocess.run([OPENSSL, *map(str, arguments)], capture_output=True, **more)


def certificate(key: crypto.Signer, public: bytes, subject: str = "湾通 test root") -> bytes:
    """A certificate for ``public`` by a root whose key is ``key``."""
    body = asn1.TbsCertificate(
        {
            "version": "v3",
            "serial_number": 4711,
            "signature": key.suite.algorithm,
            "issuer": asn1.Name.build({"country_name": "CN", "common_name": "湾通 test root"}),
            "validity": {
                "not_before": asn1.Time({"utc_time": datetime(2026, 1, 1, tzinfo=UTC)}),
                "not_after": asn1.Time({"utc_time": datetime(2046, 1, 1, tzinfo=UTC)}),
            },
            "subject": asn1.Name.build({"country_name": "CN", "common_name": subject}),
            "subject_public_key_info": asn1.PublicKeyInfo.load(public),
            "extensions": [
                {
                    "extn_id": "basic_constraints",
                    "critical": True,
                    "extn_value": asn1.BasicConstraints({"ca": key.public == public}),
                }
            ],
        }
    )
    return x509.certify(key, body)


@by_suite
def test_a_certificate_made_here_is_good_here_and_to_openssl(suite, tmp_path):
    key = KEYS[suite]
    der = certificate(key, key.public)
    assert x509.public_of(der) == key.public
    assert x509.signed_by(der, key.public)
    assert not x509.signed_by(der, crypto.generate(suite).public)
    # cryptography reads what it cannot check
    assert pyca.load_der_x509_certificate(der).serial_number == 4711
    if OPENSSL:
        root, leaf = tmp_path / "root.pem", tmp_path / "leaf.pem"
        root.write_bytes(pem.write("CERTIFICATE", der))
        # the identifier is given to openssl for the certificate in question only, not for the root
        leaf.write_bytes(pem.write("CERTIFICATE", certificate(key, crypto.generate(suite).public, "leaf")))
        checked = openssl("verify", *DISTINGUISHING.get(suite, ()), "-CAfile", root, leaf)
        assert checked.returncode == 0, checked


@by_suite
def test_any_altered_bit_of_the_body_is_found(suite):
    der = certificate(KEYS[suite], KEYS[suite].public)
    at = der.index(b"test root")
    altered = der[:at] + b"tEst root" + der[at + 9 :]
    assert not x509.signed_by(altered, KEYS[suite].public)


def test_the_two_algorithms_of_a_certificate_must_be_one():
    """RFC 5280 4.1.1.2: what is outside the signature may not say otherwise."""
    made = asn1.Certificate.load(certificate(KEYS[Suite.ES256], KEYS[Suite.ES256].public))
    made["signature_algorithm"] = Suite.SM2SM3.algorithm
    assert not x509.signed_by(made.dump(force=True), KEYS[Suite.ES256].public)


@needs_openssl
@pytest.mark.parametrize(
    ("key", "signing"),
    [
        (["EC", "-pkeyopt", "ec_paramgen_curve:SM2"], ["-sm3", "-sigopt", "distid:1234567812345678"]),
        (["EC", "-pkeyopt", "ec_paramgen_curve:P-521"], ["-sha512"]),
        (["EC", "-pkeyopt", "ec_paramgen_curve:brainpoolP256r1"], ["-sha384"]),
        (["RSA", "-pkeyopt", "rsa_keygen_bits:2048"], ["-sha512"]),
        (
            ["RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
            ["-sha384", "-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:20"],
        ),
        (["ED25519"], []),
        (["ED448"], []),
    ],
    ids=lambda words: " ".join(words),
)
def test_certificates_that_openssl_made(key, signing, tmp_path):
    file = tmp_path / "key"
    assert openssl("genpkey", "-algorithm", *key, "-out", file).returncode == 0
    made = openssl("req", "-x509", "-key", file, *signing, "-subj", "/CN=made elsewhere", "-outform", "DER")
    assert made.returncode == 0, made.stderr
    der = made.stdout
    assert x509.signed_by(der, x509.public_of(der))
    assert not x509.signed_by(der[:-1] + bytes([der[-1] ^ 1]), x509.public_of(der))


@by_suite
def test_a_request_is_signed_by_its_key(suite, tmp_path):
    extension = asn1.Extension(
        {"extn_id": "key_usage", "critical": True, "extn_value": asn1.KeyUsage({"digital_signature"})}
    )
    der = x509.request(KEYS[suite], {"country_name": "HK", "common_name": "seal"}, [extension])
    body = x509.requested(der)
    assert body["subject"].native == {"country_name": "HK", "common_name": "seal"}
    assert body["subject_pk_info"].dump() == KEYS[suite].public
    if OPENSSL:
        file = tmp_path / "request.pem"
        file.write_bytes(pem.write("CERTIFICATE REQUEST", der))
        checked = openssl("req", "-verify", "-noout", *DISTINGUISHING.get(suite, ()), "-in", file)
        assert checked.returncode == 0, checked
        assert b"OK" in checked.stderr + checked.stdout


def test_bad_requests():
    good = x509.request(KEYS[Suite.ES256], {"common_name": "a seal"})
    at = good.index(b"a seal")
    own = Suite.ES256.algorithm.dump()
    for bad, reason in (
        (b"", "unreadable"),
        (good[:-1], "unreadable"),
        (good[:at] + b"A" + good[at + 1 :], "not-signed"),
        (b"\x30\x00", "unreadable"),
        (good + b"\0", "unreadable"),
        (good.replace(own, bytes([*own[:-1], own[-1] ^ 0x40])), "algorithm"),
        (good.replace(KEYS[Suite.ES256].public[-64:], bytes(64)), "unreadable-key"),
    ):
        with pytest.raises(crypto.BadRequest) as refused:
            x509.requested(bad)
        assert refused.value.params["reason"] == reason
        assert all("⟦" not in "".join(refused.value.explain(lang).values()) for lang in LANGUAGES)


def test_an_algorithm_that_the_key_cannot_have_signed_with():
    for algorithm, suite in (
        (Suite.SM2SM3.algorithm, Suite.ES256),
        (Suite.ES256.algorithm, Suite.RS256),
        (Suite.RS256.algorithm, Suite.ES256),
        (Suite.Ed25519.algorithm, Suite.ES256),
        (Suite.ES256.algorithm, Suite.Ed25519),
        (algos.SignedDigestAlgorithm({"algorithm": "md5_rsa", "parameters": core.Null()}), Suite.RS256),
        (algos.SignedDigestAlgorithm({"algorithm": "1.2.3.4"}), Suite.RS256),
        (algos.SignedDigestAlgorithm({"algorithm": "1.2.3.4"}), Suite.ES256),
    ):
        with pytest.raises(crypto.UnknownAlgorithm):
            x509.verify(algorithm, KEYS[suite].public, b"x", b"y")


def test_an_sm2_key_signs_with_no_other_algorithm():
    with pytest.raises(crypto.BadKey):
        x509.verify(Suite.ES256.algorithm, KEYS[Suite.SM2SM3].public, b"x", b"y")
    assert not x509.verify(Suite.SM2SM3.algorithm, KEYS[Suite.SM2SM3].public, b"x", b"y")
