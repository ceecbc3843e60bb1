"""JAdES: what is written can be read, by others too, and nothing of it can be changed unnoticed."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from asn1crypto.x509 import Certificate
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc import jws
from joserfc.jwk import ECKey
from tests.border.trust.signatures.bench import NOW, bench, issue, stamper

from wantong.border.trust.certificates.authority import Revoked
from wantong.border.trust.signatures import (
    Anchors,
    CannotSign,
    Document,
    Form,
    Level,
    Order,
    check,
    front,
    jades,
    sign,
    worker,
)
from wantong.border.trust.verdict import Refused
from wantong.ground.crypto import Suite

LETTER = Document("letter.txt", "致澳門特別行政區政府".encode(), "text/plain")
LATER = NOW + timedelta(days=1)


def order(level: Level = Level.B, **said: str) -> Order:
    of = bench()
    return Order(NOW, level, stamper(of.stamping), of.material(), said)


def trust(suite: Suite = Suite.ES256, **how: Any) -> Anchors:
    of = bench(suite)
    return Anchors((of.root.certificate,), more=of.material(), **how)


@pytest.mark.parametrize("suite", list(Suite))
@pytest.mark.parametrize("packaging", ["compact", "flattened", "general"])
def test_every_suite_in_every_serialization(suite: Suite, packaging: Any) -> None:
    made = sign([LETTER], Form.JADES, [bench(suite).person], order(), packaging=packaging)
    checked = check(made, trust(suite), LATER)
    assert checked.verdict.passed, list(checked.signatures[0].verdict.explain("en"))
    (judged,) = checked.signatures
    assert judged.signer.name == "陳大文 Chan Tai Man" and judged.found.claimed == NOW
    assert judged.found.level is Level.B and judged.found.covered.whole and judged.proven is None


@pytest.mark.parametrize("level", list(Level)[1:])
def test_levels(level: Level) -> None:
    made = sign([LETTER], Form.JADES, [bench().person], order(level, place="Macau", role="通譯"))
    (judged,) = check(made, Anchors((bench().root.certificate,), more=bench().material()), LATER).signatures
    assert judged.verdict.passed and judged.found.level is level
    assert judged.proven == (None if level is Level.B else NOW)
    assert judged.found.said == {"place": "Macau", "role": "通譯"}


def test_the_worker_reads_the_same() -> None:
    """In a process that has loaded nothing else."""
    made = sign([LETTER], Form.JADES, [bench().person], order(Level.LTA))
    assert worker.read(made) == front.read(made)


def test_what_stands_inside_from_b_lt_on_is_enough() -> None:
    made = sign([LETTER], Form.JADES, [bench().person], order(Level.LT))
    assert check(made, Anchors((bench().root.certificate,)), LATER).verdict.passed
    without = sign([LETTER], Form.JADES, [bench().person], order(Level.T))
    assert check(without, Anchors((bench().root.certificate,)), LATER).verdict.indication == "TRY_LATER"


def test_another_implementation_reads_it() -> None:
    """joserfc, which knows nothing of JAdES, agrees that these are JWS."""
    person = bench().person
    key = ECKey.import_key(person.signer.pem().decode())  # type: ignore[attr-defined]
    registry = jws.JWSRegistry(strict_check_header=False)
    registry.max_header_length = 1 << 16
    compact = sign([LETTER], Form.JADES, [person], order(), packaging="compact").content.decode()
    assert jws.deserialize_compact(compact, key, registry=registry).payload == LETTER.content
    flat = json.loads(sign([LETTER], Form.JADES, [person], order(Level.T)).content)
    assert jws.deserialize_json(flat, key, registry=registry).payload == LETTER.content


def test_for_both_sides_two_signatures() -> None:
    made = sign([LETTER], Form.JADES, [bench().person, bench(Suite.SM2SM3).person], order())
    both = Anchors((bench().root.certificate, bench(Suite.SM2SM3).root.certificate), "none")
    assert check(made, both, LATER).verdict.passed
    # whoever knows only one of the roots can rely upon it in the place that accepts that one
    only = Anchors((bench().root.certificate,), "none")
    assert check(made, only, LATER).verdict.outcome == "indeterminate"
    assert check(made, only, LATER, place="hk").verdict.passed
    there = check(made, only, LATER, place="gd").verdict
    assert there.outcome == "indeterminate" and "SM2SM3" in there.steps[-1].why("en")


def test_detached_by_hash_speaks_of_every_file() -> None:
    files = [LETTER, Document("annex.csv", b"1,2", "text/csv")]
    made = sign(files, Form.JADES, [bench().person], order(), packaging="detached")
    checked = check(made, trust(), LATER, beside=files)
    assert checked.verdict.passed and checked.signatures[0].found.covered.parts == ("letter.txt", "annex.csv")
    altered = [LETTER, replace(files[1], content=b"1,3")]
    assert check(made, trust(), LATER, beside=altered).verdict.indication == "HASH_FAILURE"
    assert (
        check(made, trust(), LATER, beside=files[:1]).signatures[0].verdict.indication
        == "SIGNED_DATA_NOT_FOUND"
    )
    more = [*files, Document("other", b"")]
    assert not check(made, trust(), LATER, beside=more).signatures[0].found.covered.whole


def test_http_headers() -> None:
    body = b'{"amount": 1}'
    digest = "SHA-256=" + base64.b64encode(hashlib.sha256(body).digest()).decode()
    http = jades.Http("post /pay?x=1", (("Host", "bank.example"), ("Digest", digest)), body)
    names = ("(request-target)", "Host", "Digest")
    made = jades.sign([], [bench().person], order(), detached="http", http=http, names=names)
    (found,) = jades.read(made, http=http)
    assert all(step.passed for step in found.steps) and found.covered.whole
    for other in (
        replace(http, target="post /pay?x=2"),
        replace(http, headers=(("Host", "bank.example"), ("Host", "evil.example"), ("Digest", digest))),
        replace(http, body=b'{"amount": 2}'),
        replace(http, headers=(("Host", "bank.example"),)),
    ):
        (found,) = jades.read(made, http=other)
        assert [step.indication for step in found.steps if not step.passed] in (
            ["HASH_FAILURE"],
            ["SIG_CRYPTO_FAILURE"],
        )


def test_a_revoked_signer() -> None:
    of = bench()
    serial = Certificate.load(of.person.leaf).serial_number
    made = sign([LETTER], Form.JADES, [of.person], order(Level.T))
    after = NOW + timedelta(hours=2)

    def verdict(revoked_at: Any) -> Any:
        material = of.material((Revoked(serial, revoked_at),), after)
        return check(made, Anchors((of.root.certificate,), more=material), LATER).signatures[0]

    late = verdict(NOW + timedelta(hours=1))
    assert late.verdict.passed, "signed, and stamped, before the revocation"
    early = verdict(NOW - timedelta(hours=1)).verdict
    assert (early.outcome, early.indication) == ("indeterminate", "REVOKED_NO_POE")


def test_an_expired_signer_is_good_where_a_timestamp_says_that_it_was_before() -> None:
    of = bench()
    short = issue(of.ca, Suite.ES256, "person", "Short", end=NOW + timedelta(hours=1))
    with_time = sign([LETTER], Form.JADES, [short], order(Level.LT))
    without = sign([LETTER], Form.JADES, [short], order())
    assert check(with_time, trust(), LATER).verdict.passed
    verdict = check(without, trust(), LATER).verdict
    assert (verdict.outcome, verdict.indication) == ("indeterminate", "OUT_OF_BOUNDS_NO_POE")


def test_a_timestamp_of_nobody_proves_nothing() -> None:
    stranger = stamper(bench(Suite.ES384, "Stranger").stamping)
    made = sign([LETTER], Form.JADES, [bench().person], Order(NOW, Level.T, stranger))
    (judged,) = check(made, trust(), LATER).signatures
    assert judged.verdict.passed and judged.proven is None
    assert [timed.verdict.indication for timed in judged.timestamps] == ["NO_CERTIFICATE_CHAIN_FOUND"]


def _resigned(change: Any) -> tuple[Any, ...]:
    """A JWS whose header was changed before it was signed."""
    person = bench().person
    outer = json.loads(jades.sign([LETTER], [person], order()))
    header = json.loads(base64.urlsafe_b64decode(outer["protected"] + "=="))
    change(header)
    protected = base64.urlsafe_b64encode(json.dumps(header).encode()).rstrip(b"=")
    signature = person.signer.sign(protected + b"." + outer["payload"].encode())
    outer |= {
        "protected": protected.decode(),
        "signature": base64.urlsafe_b64encode(signature).rstrip(b"=").decode(),
    }
    return jades.read(json.dumps(outer).encode())


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda header: header.update(crit=["exp"], exp=1), "critical-unknown"),
        (lambda header: header.update(crit=[]), "critical-form"),
        (lambda header: header.update(crit=["missing"]), "critical-form"),
        (lambda header: header.update(b64=False), "critical-missing"),
        (lambda header: header.update(alg="none"), "algorithm-unknown"),
        (lambda header: header.update(alg="HS256"), "algorithm-unknown"),
        (lambda header: header.update(alg="RS256"), "signature-wrong"),
        (lambda header: header.update(alg="ES384"), "signature-wrong"),
        (lambda header: header.pop("x5t#S256"), "reference-missing"),
        (lambda header: header.update({"x5t#S256": "AAAA"}), "reference-differs"),
        (lambda header: header.pop("x5c"), "certificate-missing"),
        (lambda header: header.update(x5c=["AAAA"]), "form-certificate"),
    ],
)
def test_what_is_wrong_is_said(change: Any, code: str) -> None:
    (found,) = _resigned(change)
    assert code in [step.code for step in found.steps]


@pytest.mark.parametrize(
    "content",
    [
        b"{}",
        b"[]",
        b"a.b",
        b"...",
        b'{"signatures": []}',
        b'{"payload": "", "signatures": [{"protected": "e30", "signature": 1}]}',
        b'{"payload":"YQ","payload":"Yg","protected":"e30","signature":""}',
        b'{"a":' * 5000,
    ],
)
def test_what_is_no_jws_is_refused(content: bytes) -> None:
    with pytest.raises(Refused):
        jades.read(content)


def test_what_cannot_be_written_is_refused() -> None:
    person = bench().person
    for packaging, level, signers in (
        ("compact", Level.T, [person]),
        ("flattened", Level.B, [person, person]),
        ("", Level.B, []),
    ):
        with pytest.raises(CannotSign):
            sign([LETTER], Form.JADES, signers, order(level), packaging=packaging)  # type: ignore[arg-type]
    with pytest.raises(CannotSign):
        sign([LETTER], Form.JADES, [person], Order(NOW, Level.T))
    with pytest.raises(CannotSign):
        sign([LETTER], Form.JADES, [person], replace(order(Level.LT), material=type(bench().material())()))


COMPACT = sign([LETTER], Form.JADES, [bench().person], order(), packaging="compact").content
FLAT = sign([LETTER], Form.JADES, [bench().person], order(), packaging="flattened").content


@settings(max_examples=150, deadline=None)
@given(st.sampled_from([COMPACT, FLAT]), st.data())
def test_no_byte_can_be_changed_unnoticed(signed: bytes, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(signed) - 1))
    changed = bytearray(signed)
    changed[at] ^= data.draw(st.integers(1, 255))
    checked = check(Document("x", bytes(changed)), trust(revocation="none"), LATER)
    assert not checked.verdict.passed


def countersigned(over: str | None = None, *, attached: bool = True, raw: Any = None) -> Document:
    """The letter signed, and the value of its signature by a notary (TS 119 182-1, 5.3.2)."""
    outer = json.loads(sign([LETTER], Form.JADES, [bench().person], order()).content)
    value = Document("value", jades._unb64(over or outer["signature"]), "application/octet-stream")
    notary = issue(bench().ca, Suite.ES256, "person", "Notary")
    counter = sign([value], Form.JADES, [notary], order(), packaging="compact").content.decode()
    protected, payload, signature = counter.split(".")
    counter = ".".join((protected, payload if attached else "", signature))
    outer["header"] = {"etsiU": [jades._b64(json.dumps({"cSig": raw or counter}).encode()).decode()]}
    return Document("letter.json", json.dumps(outer).encode())


@pytest.mark.parametrize("attached", [True, False])
def test_a_countersignature_is_a_signature_of_its_own(attached: bool) -> None:
    one, two = check(countersigned(attached=attached), trust(), LATER).signatures
    assert one.verdict.passed and two.verdict.passed, list(two.verdict.explain("en"))
    assert (one.found.name, two.found.name, two.found.countersigns) == ("#1", "#1.1", "#1")
    assert two.signer.name == "Notary" and not two.found.covered.whole


@pytest.mark.parametrize("attached", [True, False])
def test_a_countersignature_over_another_signature_fails(attached: bool) -> None:
    """With the value that it is really over beside, the countersignature holds and is still not of this one."""
    told = check(countersigned("A" * 86, attached=attached), trust(), LATER)
    assert told.signatures[0].verdict.passed and told.signatures[1].verdict.outcome == "failed"
    assert told.verdict.outcome == "failed"


@pytest.mark.parametrize("raw", ["x", "a.b.c", {"signatures": [1]}, {"signature": "x", "protected": "y"}])
def test_a_countersignature_that_cannot_be_read_is_told(raw: Any) -> None:
    one, two = check(countersigned(raw=raw), trust(), LATER).signatures
    assert one.verdict.passed and two.verdict.indication == "FORMAT_FAILURE"
