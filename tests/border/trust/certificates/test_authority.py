"""The small CA, in every suite: what it issues, revokes and answers is what openssl and cryptography read in it."""

from __future__ import annotations

import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from asn1crypto import ocsp as asn1
from cryptography import x509
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given
from hypothesis import strategies as st

from wantong.border.trust.certificates import authority
from wantong.border.trust.certificates.authority import Names, Places, Responder, Revoked
from wantong.ground import crypto
from wantong.ground.crypto import Suite, pem
from wantong.ground.crypto import x509 as signatures

# openssl looks at its own clock
NOW = datetime.now(UTC).replace(microsecond=0)
OPENSSL = shutil.which("openssl")
needs_openssl = pytest.mark.skipif(OPENSSL is None, reason="no openssl command")
by_suite = pytest.mark.parametrize("suite", Suite)
DISTINGUISHING = {Suite.SM2SM3: ["-vfyopt", "distid:1234567812345678"]}
PLACES = Places("http://ca.example/a.crl", "http://ca.example/ocsp", "http://ca.example/a.cer")
KEYS = {suite: [crypto.generate(suite) for _ in range(3)] for suite in Suite}


def bay(suite: Suite) -> tuple[authority.Authority, authority.Authority, bytes]:
    """A root, a signing CA and a seal certificate below it."""
    above, middle, leaf = KEYS[suite]
    root = authority.root(above, {"country_name": "MO", "common_name": "合成根 Raiz"}, serial=1, begin=NOW)
    signing = authority.subordinate(
        root,
        middle,
        {"country_name": "MO", "common_name": "Signing"},
        serial=2,
        begin=NOW,
        policies=("2.5.29.32.0",),
        places=PLACES,
    )
    seal = authority.issue(
        signing,
        "seal",
        leaf.public,
        {"country_name": "MO", "organization_name": "Serviço 服務", "common_name": "Seal"},
        serial=3,
        begin=NOW,
        names=Names(dns=("mo.example",), uri=("https://mo.example",)),
        policies=("2.16.344.8.2.2008.810.2.1",),
    )
    return root, signing, seal


def write(path: Path, *certificates: bytes, label: str = "CERTIFICATE") -> Path:
    path.write_bytes(b"".join(pem.write(label, der) for der in certificates))
    return path


def openssl(*arguments: str | Path, **more) -> subprocess.CompletedProcess:
    return subprocess.run([OPENSSL, *map(str, arguments)], capture_output=True, text=True, **more)


@by_suite
def test_what_a_certificate_says(suite):
    root, signing, seal = bay(suite)
    read = x509.load_der_x509_certificate(seal)
    said = {extension.oid._name: extension.value for extension in read.extensions}
    assert said["basicConstraints"].ca is False
    assert said["keyUsage"].digital_signature
    assert said["keyUsage"].content_commitment
    assert not said["keyUsage"].key_cert_sign
    assert said["subjectAltName"].get_values_for_type(x509.DNSName) == ["mo.example"]
    assert [policy.policy_identifier.dotted_string for policy in said["certificatePolicies"]] == [
        "2.16.344.8.2.2008.810.2.1"
    ]
    assert said["cRLDistributionPoints"][0].full_name[0].value == PLACES.crl
    assert {d.access_location.value for d in said["authorityInfoAccess"]} == {PLACES.ocsp, PLACES.issuer}
    above = x509.load_der_x509_certificate(signing.certificate)
    identifier = above.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    assert said["authorityKeyIdentifier"].key_identifier == identifier
    assert above.extensions.get_extension_for_class(x509.BasicConstraints).value.path_length == 0
    assert (read.not_valid_before_utc, read.not_valid_after_utc) == (NOW, NOW + timedelta(days=1095))
    assert signing.chain == (signing.certificate,)
    assert signing.anchor == root.certificate
    assert root.chain == ()


def test_a_timestamp_certificate_is_for_nothing_else():
    """RFC 3161 2.3: exactly one extended use, and critical."""
    _, signing, _ = bay(Suite.ES256)
    der = authority.issue(
        signing, "timestamp", KEYS[Suite.ES256][2].public, {"common_name": "TSA"}, serial=4, begin=NOW
    )
    use = x509.load_der_x509_certificate(der).extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    assert use.critical
    assert list(use.value) == [ExtendedKeyUsageOID.TIME_STAMPING]


@pytest.mark.parametrize("name", authority.profiles())
def test_every_profile_makes_a_certificate_that_can_be_read(name):
    _, signing, _ = bay(Suite.ES256)
    der = authority.issue(
        signing, name, KEYS[Suite.ES256][2].public, {"common_name": name}, serial=5, begin=NOW
    )
    profile = authority.profiles()[name]
    read = x509.load_der_x509_certificate(der).extensions
    assert read.get_extension_for_class(x509.BasicConstraints).value.ca is profile.ca
    uses = read.get_extension_for_class(x509.KeyUsage).value
    # RFC 5280 4.2.1.3: who signs certificates signs nothing else
    assert uses.key_cert_sign is uses.crl_sign is profile.ca
    assert uses.digital_signature is not profile.ca


def test_after_2049_years_are_written_in_full():
    key = KEYS[Suite.ES256][0]
    made = authority.root(
        key,
        {"common_name": "long"},
        serial=1,
        begin=NOW,
        end=datetime(2050, 1, 1, tzinfo=UTC),
    )
    body = signatures.parsed(made.certificate)["tbs_certificate"]["validity"]
    assert (body["not_before"].name, body["not_after"].name) == ("utc_time", "general_time")
    assert x509.load_der_x509_certificate(made.certificate).not_valid_after_utc.year == 2050


@given(st.binary(min_size=8, max_size=19))
def test_serial_numbers_are_positive_and_fit(octets):
    number = authority.serial_number(octets)
    assert number > 0
    assert number.bit_length() < 160


@needs_openssl
@by_suite
def test_openssl_follows_the_path(suite, tmp_path):
    root, signing, seal = bay(suite)
    arguments = (
        *(
            "-x509_strict",
            "-policy",
            "2.16.344.8.2.2008.810.2.1",
            "-CAfile",
            write(tmp_path / "root", root.certificate),
        ),
        *("-untrusted", write(tmp_path / "signing", signing.certificate), write(tmp_path / "seal", seal)),
    )
    if suite is Suite.SM2SM3:
        # openssl gives the identifier only to the certificate in question: so one step at a time
        one = openssl(*("verify", *DISTINGUISHING[suite], "-CAfile", tmp_path / "root", tmp_path / "signing"))
        two = openssl(
            *(
                "verify",
                *DISTINGUISHING[suite],
                "-partial_chain",
                "-trusted",
                tmp_path / "signing",
                tmp_path / "seal",
            )
        )
        assert (one.returncode, two.returncode) == (0, 0), (one, two)
    else:
        checked = openssl("verify", *arguments)
        assert checked.returncode == 0, checked


@by_suite
def test_a_revocation_list(suite):
    _, signing, _ = bay(suite)
    day = timedelta(days=1)
    revoked = [Revoked(3, NOW - day, "key_compromise"), Revoked(2**150, NOW - day)]
    der = authority.revocation_list(signing, revoked, number=7, at=NOW, until=NOW + day)
    read = x509.load_der_x509_crl(der)
    assert {entry.serial_number for entry in read} == {3, 2**150}
    one = read.get_revoked_certificate_by_serial_number(3)
    assert one.revocation_date_utc == NOW - day
    assert one.extensions.get_extension_for_class(x509.CRLReason).value.reason.value == "keyCompromise"
    assert not read.get_revoked_certificate_by_serial_number(2**150).extensions
    assert read.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number == 7
    assert (read.last_update_utc, read.next_update_utc) == (NOW, NOW + day)
    if suite is not Suite.SM2SM3:
        above = x509.load_der_x509_certificate(signing.certificate)
        assert read.is_signature_valid(above.public_key())


def test_a_list_of_nothing_is_a_list():
    _, signing, _ = bay(Suite.SM2SM3)
    der = authority.revocation_list(signing, [], number=1, at=NOW, until=NOW + timedelta(days=1))
    assert list(x509.load_der_x509_crl(der)) == []


@needs_openssl
def test_openssl_heeds_the_revocation_list(tmp_path):
    root, signing, seal = bay(Suite.ES256)
    until = NOW + timedelta(days=1)
    for revoked, expected in (([], 0), ([Revoked(3, NOW, "superseded")], 2)):
        lists = write(
            tmp_path / "crl",
            authority.revocation_list(signing, revoked, number=1, at=NOW, until=until),
            label="X509 CRL",
        )
        checked = openssl(
            *(
                "verify",
                "-crl_check",
                "-CRLfile",
                lists,
                "-CAfile",
                write(tmp_path / "root", root.certificate),
            ),
            *("-untrusted", write(tmp_path / "ca", signing.certificate), write(tmp_path / "leaf", seal)),
        )
        assert checked.returncode == expected, checked
    assert "certificate revoked" in checked.stderr


def standing(serial: int) -> authority.Standing:
    known = {3: "good", 4: Revoked(4, NOW - timedelta(hours=1), "key_compromise")}
    return known.get(serial, "unknown")


@by_suite
@pytest.mark.parametrize("delegated", [False, True])
def test_an_answer_about_a_certificate(suite, delegated):
    _, signing, seal = bay(suite)
    responder = Responder.of(signing)
    if delegated:
        key = KEYS[suite][0]
        own = authority.issue(signing, "ocsp", key.public, {"common_name": "OCSP"}, serial=9, begin=NOW)
        responder = Responder(signing, key, own)
    asked = authority.ask(seal, signing.certificate, nonce=b"once and once only")
    until = NOW + timedelta(hours=8)
    der = authority.respond(responder, asked, standing, at=NOW, until=until)
    read = ocsp.load_der_ocsp_response(der)
    assert read.certificate_status is ocsp.OCSPCertStatus.GOOD
    assert read.serial_number == 3
    assert read.next_update_utc == until
    assert read.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce == b"once and once only"
    assert len(read.certificates) == delegated
    basic = asn1.OCSPResponse.load(der).basic_ocsp_response
    assert signatures.verify(
        basic["signature_algorithm"],
        responder.signer.public,
        basic["tbs_response_data"].dump(),
        basic["signature"].native,
    )


def test_a_revoked_one_an_unknown_one_and_a_strangers():
    _, signing, _ = bay(Suite.ES256)
    _, stranger, _ = bay(Suite.ES384)
    key = KEYS[Suite.ES256][2]

    def status(serial: int, by: authority.Authority) -> ocsp.OCSPResponse:
        der = authority.issue(by, "person", key.public, {"common_name": "p"}, serial=serial, begin=NOW)
        asked = authority.ask(der, by.certificate, hashed="sha256")
        return ocsp.load_der_ocsp_response(
            authority.respond(Responder.of(signing), asked, standing, at=NOW, until=NOW)
        )

    gone = status(4, signing)
    assert gone.certificate_status is ocsp.OCSPCertStatus.REVOKED
    assert gone.revocation_reason is x509.ReasonFlags.key_compromise
    assert gone.revocation_time_utc == NOW - timedelta(hours=1)
    assert status(77, signing).certificate_status is ocsp.OCSPCertStatus.UNKNOWN
    # the same number under another CA is another certificate
    assert status(3, stranger).certificate_status is ocsp.OCSPCertStatus.UNKNOWN


@needs_openssl
def test_openssl_asks_and_understands(tmp_path):
    root, signing, seal = bay(Suite.ES256)
    above = write(tmp_path / "ca", signing.certificate)
    request, response = tmp_path / "request", tmp_path / "response"
    certificates = ("-issuer", above, "-cert", write(tmp_path / "seal", seal))
    assert openssl("ocsp", *certificates, "-reqout", request).returncode == 0
    response.write_bytes(
        authority.respond(
            Responder.of(signing), request.read_bytes(), standing, at=NOW, until=NOW + timedelta(days=1)
        )
    )
    believed = ("-CAfile", write(tmp_path / "root", root.certificate), "-verify_other", above)
    # that it answers this very request, by its nonce …
    answered = openssl("ocsp", "-reqin", request, "-respin", response, *believed)
    assert "Response verify OK" in answered.stderr
    # … and what it says of the certificate: given one, openssl would make up another nonce
    told = openssl("ocsp", *certificates, "-no_nonce", "-respin", response, *believed)
    assert "Response verify OK" in told.stderr
    assert "seal: good" in told.stdout


@given(st.binary(max_size=200))
def test_no_request_is_answered_so(junk):
    _, signing, _ = bay(Suite.ES256)
    der = authority.respond(Responder.of(signing), junk, standing, at=NOW, until=NOW)
    assert asn1.OCSPResponse.load(der)["response_status"].native == "malformed_request"


def test_a_nonce_longer_than_allowed_is_refused():
    """RFC 9654: 1 to 128 octets; more would have the responder sign whatever somebody likes."""
    _, signing, seal = bay(Suite.ES256)
    for nonce, status in ((bytes(128), "successful"), (bytes(129), "malformed_request")):
        asked = authority.ask(seal, signing.certificate, nonce=nonce)
        der = authority.respond(Responder.of(signing), asked, standing, at=NOW, until=NOW)
        assert asn1.OCSPResponse.load(der)["response_status"].native == status
