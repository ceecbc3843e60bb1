"""Timestamps: every request gets its token or the right refusal, and openssl agrees."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from asn1crypto import cms, core, tsp
from asn1crypto import x509 as asn1
from hypothesis import given
from hypothesis import strategies as st

from wantong.border.trust.certificates import authority
from wantong.border.trust.signatures.timestamps import stamping
from wantong.border.trust.signatures.timestamps.stamping import Authority, Moment, Policy
from wantong.ground import crypto
from wantong.ground.crypto import Suite, pem, x509

NOW = datetime.now(UTC)
OPENSSL = shutil.which("openssl")
needs_openssl = pytest.mark.skipif(OPENSSL is None, reason="no openssl command")
DIGEST = hashlib.sha256(b"a document").digest()


class Status(core.Sequence):
    """TimeStampResp, whose token is optional (asn1crypto has it as required)."""

    _fields = [
        ("status", tsp.PKIStatusInfo),
        ("time_stamp_token", cms.ContentInfo, {"optional": True}),
    ]


def service(suite: Suite, oid: str = "1.2.3.4.1", **more) -> Authority:
    """A timestamp service with a CA above it."""
    root = authority.root(
        crypto.generate(suite), {"common_name": "Root"}, serial=1, begin=NOW - timedelta(days=1)
    )
    key = crypto.generate(suite)
    leaf = authority.issue(
        root, "timestamp", key.public, {"common_name": "時間戳 TSA"}, serial=2, begin=NOW - timedelta(days=1)
    )
    told = {"hashes": frozenset(stamping.SIZES), "accuracy": timedelta(seconds=1), "ordering": True, **more}
    return Authority(Policy(oid, suite, **told), key, (leaf, root.certificate))


SERVICES = {suite: service(suite) for suite in Suite}
by_suite = pytest.mark.parametrize("suite", Suite)


def tell(_policy: Policy) -> Moment:
    return Moment(datetime(2026, 11, 21, 8, 30, 15, 120000, tzinfo=UTC), 4711)


def granted(request: bytes, *authorities: Authority) -> tsp.TSTInfo:
    answer = stamping.answer(request, authorities, tell)
    assert answer.refusal is None, answer.refusal
    return inside(answer.token)


def inside(token: bytes) -> tsp.TSTInfo:
    return cms.ContentInfo.load(token)["content"]["encap_content_info"]["content"].parsed


def refused(request: bytes, *authorities: Authority) -> str:
    def never(_policy: Policy) -> Moment:
        raise AssertionError("a serial number was taken for nothing")

    answer = stamping.answer(request, authorities or (SERVICES[Suite.ES256],), never)
    assert answer.token is None
    status = Status.load(answer.response)["status"]
    assert status["status"].native == "rejection"
    assert status["fail_info"].native == {answer.refusal}
    assert status["status_string"].native
    return answer.refusal


@by_suite
def test_what_a_token_says(suite):
    told = granted(stamping.ask(DIGEST, "sha256", nonce=2**63 + 5, policy="1.2.3.4.1"), SERVICES[suite])
    assert told["version"].native == "v1"
    assert told["policy"].native == "1.2.3.4.1"
    assert told["message_imprint"].native == {
        "hash_algorithm": {"algorithm": "sha256", "parameters": None},
        "hashed_message": DIGEST,
    }
    assert told["serial_number"].native == 4711
    assert told["gen_time"].contents == b"20261121083015.12Z", "RFC 3161: no trailing zero"
    assert told["accuracy"].native == {"seconds": 1, "millis": None, "micros": None}
    assert told["ordering"].native is True
    assert told["nonce"].native == 2**63 + 5
    assert told["tsa"].chosen == asn1.Certificate.load(SERVICES[suite].chain[0]).subject


@by_suite
def test_the_signature_is_over_what_it_says_and_names_its_certificate(suite):
    answer = stamping.answer(stamping.ask(DIGEST, "sha256"), [SERVICES[suite]], tell)
    data = cms.ContentInfo.load(answer.token)["content"]
    assert data["version"].native == "v3"
    signer = data["signer_infos"][0]
    attributes = {one["type"].native: one["values"][0] for one in signer["signed_attrs"]}
    content = data["encap_content_info"]["content"].native and data["encap_content_info"]["content"].contents
    assert attributes["content_type"].native == "tst_info"
    assert attributes["message_digest"].native == crypto.digest(suite.hash, content)
    reference = attributes["signing_certificate_v2"]["certs"][0]
    leaf = SERVICES[suite].chain[0]
    assert reference["cert_hash"].native == crypto.digest(suite.hash, leaf)
    assert reference["issuer_serial"]["serial_number"].native == 2
    assert x509.verify(
        signer["signature_algorithm"],
        x509.public_of(leaf),
        signer["signed_attrs"].untag().dump(),
        signer["signature"].native,
    )


def test_certificates_only_for_who_asks_for_them():
    for wanted, count in ((True, 2), (False, 0)):
        request = stamping.ask(DIGEST, "sha256", certificates=wanted)
        answer = stamping.answer(request, [SERVICES[Suite.ES256]], tell)
        data = cms.ContentInfo.load(answer.token)["content"]
        assert len(data["certificates"].native or ()) == count


@given(st.integers(0, 2**stamping.LARGEST_NONCE - 1))
def test_every_nonce_comes_back(nonce):
    assert (
        granted(stamping.ask(DIGEST, "sha256", nonce=nonce), SERVICES[Suite.ES256])["nonce"].native == nonce
    )


@given(micros=st.integers(1, 10**9))
def test_accuracy_is_what_the_policy_says(micros):
    parts = stamping._accuracy(timedelta(microseconds=micros))
    assert all(1 <= value <= 999 for name, value in parts.items() if name != "seconds")
    scale = {"seconds": 10**6, "millis": 10**3, "micros": 1}
    assert sum(value * scale[name] for name, value in parts.items()) == micros


def test_the_hash_or_the_policy_chooses_who_stamps():
    plain = service(Suite.ES256, "1.2.3.4.1", hashes=frozenset({"sha256"}))
    sm2 = service(Suite.SM2SM3, "1.2.3.4.2", hashes=frozenset({"sm3", "sha256"}))
    sm3 = crypto.digest("sm3", b"a document")
    assert granted(stamping.ask(DIGEST, "sha256"), plain, sm2)["policy"].native == "1.2.3.4.1"
    assert granted(stamping.ask(sm3, "sm3"), plain, sm2)["policy"].native == "1.2.3.4.2"
    wanted = stamping.ask(DIGEST, "sha256", policy="1.2.3.4.2")
    assert granted(wanted, plain, sm2)["policy"].native == "1.2.3.4.2"
    assert refused(stamping.ask(DIGEST, "sha256", policy="1.2.3.4.3"), plain, sm2) == "unaccepted_policy"
    assert refused(stamping.ask(sm3, "sm3", policy="1.2.3.4.1"), plain, sm2) == "bad_alg"


def changed(**fields) -> bytes:
    request = tsp.TimeStampReq.load(stamping.ask(DIGEST, "sha256"))
    for name, value in fields.items():
        request[name] = value
    return request.dump(force=True)


@pytest.mark.parametrize(
    ("request_", "refusal"),
    [
        (b"", "bad_data_format"),
        (b"\x30\x00", "bad_data_format"),
        (stamping.ask(DIGEST, "sha256")[:-1], "bad_data_format"),
        (stamping.ask(DIGEST, "sha256") + b"\0", "bad_data_format"),
        (stamping.ask(DIGEST[:-1], "sha256"), "bad_data_format"),
        (stamping.ask(DIGEST, "sha384"), "bad_data_format"),
        (stamping.ask(b"", "sha256"), "bad_data_format"),
        (stamping.ask(bytes(5000), "sha256"), "bad_data_format"),
        (stamping.ask(DIGEST[:20], "sha1"), "bad_alg"),
        (stamping.ask(DIGEST[:16], "md5"), "bad_alg"),
        (stamping.ask(DIGEST, "1.2.3.4"), "bad_alg"),
        (changed(version="v2"), "bad_request"),
        (
            changed(extensions=[{"extn_id": "1.2.3", "critical": False, "extn_value": b"x"}]),
            "unaccepted_extensions",
        ),
        (changed(nonce=2**2000), "bad_request"),
        (changed(req_policy="1.2.3"), "unaccepted_policy"),
    ],
)
def test_refusals(request_, refusal):
    assert refused(request_) == refusal


def test_when_the_clock_is_not_to_be_believed():
    def unsure(_policy: Policy) -> Moment:
        raise stamping.TimeNotAvailable

    answer = stamping.answer(stamping.ask(DIGEST, "sha256"), [SERVICES[Suite.ES256]], unsure)
    assert answer.refusal == "time_not_available"


@given(st.binary(max_size=150))
def test_junk_is_refused(junk):
    assert refused(junk) in ("bad_data_format", "bad_request", "bad_alg")


@given(at=st.integers(0, 60), octet=st.integers(0, 255))
def test_a_request_with_one_octet_changed_gets_an_answer(at, octet):
    request = bytearray(stamping.ask(DIGEST, "sha256", nonce=7, policy="1.2.3.4.1"))
    request[at % len(request)] = octet
    answer = stamping.answer(bytes(request), [SERVICES[Suite.ES256]], tell)
    assert (answer.token is None) == (answer.refusal is not None)


def test_our_policies_can_be_read():
    found = stamping.policies()
    assert {policy.suite for policy in found} == {Suite.ES256, Suite.SM2SM3}
    assert len({policy.oid for policy in found}) == len(found)
    assert all(policy.hashes <= stamping.SIZES.keys() for policy in found)
    assert "sha256" in found[0].hashes


# ------------------------------------------------------------------------------------------------- the openssl command


def openssl(*arguments: str | Path) -> subprocess.CompletedProcess:
    return subprocess.run([OPENSSL, *map(str, arguments)], capture_output=True, text=True)


@needs_openssl
@pytest.mark.parametrize("certificates", [True, False])
@pytest.mark.parametrize("hashed", ["sha256", "sha512", "sm3"])
@pytest.mark.parametrize("suite", [Suite.ES256, Suite.ES384, Suite.RS256])
def test_openssl_asks_and_believes_the_answer(suite, hashed, certificates, tmp_path):
    document, query, reply = tmp_path / "document", tmp_path / "query", tmp_path / "reply"
    document.write_text("一份文件 a document")
    asked = openssl(
        *("ts", "-query", "-data", document, f"-{hashed}", "-out", query),
        *(["-cert"] if certificates else []),
    )
    assert asked.returncode == 0, asked
    reply.write_bytes(
        stamping.answer(
            query.read_bytes(), [SERVICES[suite]], lambda _: Moment(datetime.now(UTC), 99)
        ).response
    )
    leaf, root = SERVICES[suite].chain
    (tmp_path / "root").write_bytes(pem.write("CERTIFICATE", root))
    (tmp_path / "leaf").write_bytes(pem.write("CERTIFICATE", leaf))
    checked = openssl(
        *("ts", "-verify", "-queryfile", query, "-in", reply, "-CAfile", tmp_path / "root"),
        *(["-untrusted", tmp_path / "leaf"]),
    )
    assert "Verification: OK" in checked.stdout, checked
    shown = openssl("ts", "-reply", "-in", reply, "-text")
    assert "Status: Granted." in shown.stdout
    assert "Accuracy: 0x01 seconds" in shown.stdout
    assert "Ordering: yes" in shown.stdout
    # and of another document it says nothing
    document.write_text("another")
    wrong = openssl("ts", "-verify", "-data", document, "-in", reply, "-CAfile", tmp_path / "root")
    assert "Verification: OK" not in wrong.stdout


@needs_openssl
def test_openssl_reads_a_token_with_sm2(tmp_path):
    """It shows it; `openssl ts` checks by PKCS #7, which knows neither SM2 nor Ed25519 nor RSA-PSS."""
    reply = tmp_path / "reply"
    request = stamping.ask(crypto.digest("sm3", b"x"), "sm3")
    reply.write_bytes(stamping.answer(request, [SERVICES[Suite.SM2SM3]], tell).response)
    shown = openssl("ts", "-reply", "-in", reply, "-text")
    assert "Hash Algorithm: sm3" in shown.stdout
    assert "Status: Granted." in shown.stdout


@needs_openssl
def test_openssl_reads_a_refusal(tmp_path):
    reply = tmp_path / "reply"
    reply.write_bytes(
        stamping.answer(stamping.ask(DIGEST[:20], "sha1"), [SERVICES[Suite.ES256]], tell).response
    )
    shown = openssl("ts", "-reply", "-in", reply, "-text")
    assert "Status: Rejected." in shown.stdout
    assert "unrecognized or unsupported algorithm identifier" in shown.stdout
