"""CAdES: what is signed here openssl verifies, what openssl signs is checked here; and nothing can be changed unnoticed."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from asn1crypto import cms as asn1
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.border.trust.signatures.bench import NOW, bench, issue, stamper

from wantong.border.trust.certificates import asn1 as strict
from wantong.border.trust.certificates import authority
from wantong.border.trust.certificates.authority import Responder, Revoked
from wantong.border.trust.signatures import (
    Anchors,
    CannotSign,
    Checked,
    Document,
    Form,
    Level,
    Material,
    Order,
    Signatory,
    archive,
    cades,
    check,
    cms,
    primitives,
    sign,
    statement,
)
from wantong.border.trust.signatures.timestamps import stamping
from wantong.ground.crypto import Suite, der, pem
from wantong.ground.crypto import x509 as signatures

LETTER = Document("letter.txt", "致澳門特別行政區政府\n".encode(), "text/plain")
LATER = NOW + timedelta(days=1)
OPENSSL = shutil.which("openssl")
needs_openssl = pytest.mark.skipif(OPENSSL is None, reason="no openssl command")


def order(level: Level = Level.B, *, material: Material | None = None, **said: str) -> Order:
    of = bench()
    return Order(NOW, level, stamper(of.stamping), of.material() if material is None else material, said)


def trust(suite: Suite = Suite.ES256, **how: Any) -> Anchors:
    of = bench(suite)
    return Anchors((of.root.certificate,), more=of.material(), **how)


def made(level: Level = Level.B, suite: Suite = Suite.ES256, **more: Any) -> Document:
    return sign([LETTER], Form.CADES, [bench(suite).person], order(level), **more)


def checked(document: Document, by: Anchors | None = None, beside: Document | None = LETTER) -> Checked:
    return check(document, by or trust(), LATER, beside=[beside] if beside else [])


@pytest.mark.parametrize("suite", list(Suite))
@pytest.mark.parametrize("packaging", ["", "enveloping"])
def test_every_suite_beside_and_around(suite: Suite, packaging: Any) -> None:
    document = made(suite=suite, packaging=packaging)
    assert document.name == ("letter.txt.p7m" if packaging else "letter.txt.p7s")
    told = checked(document, trust(suite), None if packaging else LETTER)
    assert told.form is Form.CADES
    assert told.verdict.passed, list(told.signatures[0].verdict.explain("en"))
    (judged,) = told.signatures
    assert judged.signer.name == "陳大文 Chan Tai Man"
    assert judged.found.claimed == NOW
    assert judged.found.level is Level.B


@pytest.mark.parametrize("level", list(Level)[1:])
def test_levels(level: Level) -> None:
    document = sign([LETTER], Form.CADES, [bench().person], order(level, place="Macau", role="通譯"))
    (judged,) = checked(document).signatures
    assert judged.verdict.passed, list(judged.verdict.explain("en"))
    assert judged.found.level is level
    assert judged.proven == (None if level is Level.B else NOW)
    assert judged.found.said == {"place": "Macau", "role": "通譯"}


def test_what_stands_inside_at_b_lt_is_enough() -> None:
    alone = Anchors((bench().root.certificate,))
    assert checked(made(Level.LT), alone).verdict.passed
    assert checked(made(Level.T), alone).verdict.indication == "TRY_LATER"


CERTIFICATES, LISTS, SIGNERS = 0xA0, 0xA1, strict.SET


def parts_of(document: Document) -> dict[int, strict.Value]:
    """What stands in a CMS behind its content, by tag."""
    _, inner = strict.parse(document.content).children()
    return {part.tag: part for part in strict.inner(inner).children()[3:]}


def whole(document: Document, exchanged: dict[int, bytes]) -> Document:
    """The CMS with other parts."""
    kind, inner = strict.parse(document.content).children()
    head, rest = strict.inner(inner).children()[:3], parts_of(document)
    data = (*(one.raw for one in head), *(exchanged.get(tag, one.raw) for tag, one in rest.items()))
    return replace(document, content=der.sequence(kind.raw, der.explicit(0, der.sequence(*data))))


@pytest.mark.parametrize("packaging", ["", "enveloping"])
def test_an_archive_timestamp_covers_all_that_is_beside(packaging: Any) -> None:
    """The certificate's end, and a weak hash, lie after what it proves; whatever it covers cannot be exchanged."""
    document = made(Level.LTA, packaging=packaging)
    beside = None if packaging else LETTER
    (judged,) = checked(document, beside=beside).signatures
    assert [timed.kind for timed in judged.timestamps if timed.verdict.passed] == ["signature", "archive"]
    parts = parts_of(document)
    first, *_ = parts[LISTS].children()
    told = whole(document, {LISTS: der.implicit(1, der.set_of(first.raw))})
    (fewer,) = checked(told, beside=beside).signatures
    assert fewer.verdict.passed, "the material is at hand here"
    archive = next(timed for timed in fewer.timestamps if timed.kind == "archive")
    assert archive.verdict.failure is not None and archive.verdict.failure.code == "archive-index"


def test_two_signers_each_with_an_archive_timestamp() -> None:
    document = sign([LETTER], Form.CADES, [bench().person, bench(Suite.SM2SM3).person], order(Level.LTA))
    both = Anchors((bench().root.certificate, bench(Suite.SM2SM3).root.certificate), "none")
    told = checked(document, both)
    assert [one.found.level for one in told.signatures] == [Level.LTA] * 2
    assert [one.found.name for one in told.signatures] == ["letter.txt.p7s #1", "letter.txt.p7s #2"]
    assert all(timed.verdict.passed for one in told.signatures for timed in one.timestamps)


def countersigned(by: Signatory, over: bytes | None = None) -> Document:
    """What openssl has no command for: somebody signs the signature of the letter (RFC 5652, 11.4)."""
    document = made()
    parts = parts_of(document)
    (signer,) = parts[SIGNERS].children()
    own = signer.children()[-1].content
    value = primitives.digest(by.hash, own if over is None else over)
    theirs = asn1.SignerInfo.load(cms.signer_info(by.hash, value, by))
    attributes = asn1.CMSAttributes(
        [one for one in theirs["signed_attrs"] if one["type"].native != "content_type"]
    )
    theirs["signed_attrs"] = attributes
    theirs["signature"] = signatures.sign(by.signer, attributes.dump())
    certificates = der.set_of(*(one.raw for one in parts[CERTIFICATES].children()), by.leaf)
    signers = der.set_of(archive._with(signer.raw, "1.2.840.113549.1.9.6", theirs.dump()))
    return whole(document, {CERTIFICATES: der.implicit(0, certificates), SIGNERS: signers})


def test_a_countersignature_is_a_signature_of_its_own() -> None:
    notary = issue(bench().ca, Suite.ES256, "person", "Notary")
    one, two = checked(countersigned(notary)).signatures
    assert one.verdict.passed and two.verdict.passed, list(two.verdict.explain("en"))
    assert (one.found.countersigns, two.found.countersigns) == ("", one.found.name)
    assert two.signer.name == "Notary" and not two.found.covered.whole
    told = {line.name: line.text for line in statement.lines(two, "en")}
    assert told["covered"] == f"The signature {one.found.name}, not the document itself"


def test_a_countersignature_over_another_signature_fails() -> None:
    notary = issue(bench().ca, Suite.ES256, "person", "Notary")
    told = checked(countersigned(notary, b"another signature"))
    assert [one.verdict.indication for one in told.signatures] == ["", "HASH_FAILURE"]
    assert told.verdict.outcome == "failed", "nobody is told that all signatures hold"


def test_a_countersignature_does_not_serve_a_place() -> None:
    """A place wants a signature of its kind over the document, not over somebody's signature."""
    notary = bench(Suite.SM2SM3).person
    both = Anchors((bench().root.certificate, bench(Suite.SM2SM3).root.certificate), "none")
    told = check(countersigned(notary), both, LATER, beside=[LETTER], place="gd")
    assert [one.verdict.outcome for one in told.signatures] == ["passed", "indeterminate"]
    assert told.verdict.outcome == "indeterminate"


def test_ocsp_answers_stand_inside_too() -> None:
    """RFC 5940: as other revocation information; the CMS is then of version 5."""
    of = bench()
    until = NOW + timedelta(days=7)

    def good(ca: authority.Authority, certificate: bytes) -> bytes:
        asked = authority.ask(certificate, ca.certificate)
        return authority.respond(Responder.of(ca), asked, lambda _: "good", at=NOW, until=until)

    answers = tuple(good(of.ca, leaf) for leaf in (of.person.leaf, of.stamping.leaf))
    material = Material((of.ca.certificate,), (), (*answers, good(of.root, of.ca.certificate)))
    document = sign([LETTER], Form.CADES, [of.person], order(Level.LT, material=material))
    assert asn1.ContentInfo.load(document.content)["content"]["version"].native == "v5"
    told = checked(document, Anchors((of.root.certificate,)))
    assert told.verdict.passed, list(told.signatures[0].verdict.explain("en"))
    assert told.signatures[0].found.level is Level.LT
    # content inside a CMS of version 5 is read alike
    around = sign(
        [LETTER], Form.CADES, [of.person], order(Level.LT, material=material), packaging="enveloping"
    )
    assert checked(around, Anchors((of.root.certificate,)), None).verdict.passed


def test_revoked_is_said_so() -> None:
    of = bench()
    serial = signatures.parsed(of.person.leaf).serial_number
    revoked = Revoked(serial, NOW - timedelta(days=2), "key_compromise")
    by = Anchors((of.root.certificate,), more=of.material((revoked,)))
    assert checked(made(), by).verdict.indication == "REVOKED_NO_POE"


def test_stamped_by_the_services_core() -> None:
    """The timestamps of this node's own service are what CAdES takes."""
    of = bench()
    service = stamping.Authority(stamping.policies()[0], of.stamping.signer, of.stamping.chain)

    def stamp(hashed: str, value: bytes) -> bytes:
        answer = stamping.answer(
            stamping.ask(value, hashed), [service], lambda _: stamping.Moment(NOW, 12345)
        )
        assert answer.token is not None
        return answer.token

    document = sign([LETTER], Form.CADES, [of.person], replace(order(Level.T), stamper=stamp))
    (judged,) = checked(document).signatures
    assert judged.verdict.passed, list(judged.verdict.explain("en"))
    assert judged.proven == NOW


def test_for_both_sides_two_signers_in_one() -> None:
    document = sign([LETTER], Form.CADES, [bench().person, bench(Suite.SM2SM3).person], order())
    both = Anchors((bench().root.certificate, bench(Suite.SM2SM3).root.certificate), "none")
    told = checked(document, both)
    assert told.verdict.passed
    assert len(told.signatures) == 2
    only = Anchors((bench().root.certificate,), "none")
    assert checked(document, only).verdict.outcome == "indeterminate"
    assert check(document, only, LATER, beside=[LETTER], place="hk").verdict.passed
    assert check(document, only, LATER, beside=[LETTER], place="gd").verdict.outcome == "indeterminate"


def test_another_document_none_and_too_many() -> None:
    document = made()
    assert checked(document, beside=replace(LETTER, content=b"another")).verdict.indication == "HASH_FAILURE"
    assert checked(document, beside=None).verdict.indication == "SIGNED_DATA_NOT_FOUND"
    two = check(document, trust(), LATER, beside=[LETTER, Document("other", b"")])
    assert two.verdict.indication == "SIGNED_DATA_NOT_FOUND"


@pytest.mark.parametrize(
    ("documents", "level", "packaging", "reason"),
    [
        ([LETTER, LETTER], Level.B, "", "documents-not-one"),
        ([LETTER], Level.B, "compact", "packaging"),
    ],
)
def test_what_is_not_signed(documents: list[Document], level: Level, packaging: Any, reason: str) -> None:
    with pytest.raises(CannotSign) as refused:
        sign(documents, Form.CADES, [bench().person], order(level), packaging=packaging)
    assert refused.value.params["reason"] == reason
    assert "⟦" not in refused.value.explain("pt")["detail"]


def test_a_level_without_what_it_needs_is_not_signed() -> None:
    for wanted, reason in (
        (replace(order(Level.T), stamper=None), "no-timestamps"),
        (replace(order(Level.LT), material=Material()), "no-material"),
    ):
        with pytest.raises(CannotSign) as refused:
            sign([LETTER], Form.CADES, [bench().person], wanted)
        assert refused.value.params["reason"] == reason


def test_signatures_of_every_length_are_made_in_their_time() -> None:
    """Where a length ended in 0x80 one took minutes (see wantong.ground.crypto.der): the suite's time limit is the test."""
    of = bench()
    for length in range(256):
        document = sign([LETTER], Form.CADES, [of.person], order(Level.T, place="x" * length))
        (found,) = cades.read(document.content, [LETTER])
        assert all(step.passed for step in found.steps)


WHOLE = made(Level.LT).content


@given(at=st.integers(0, len(WHOLE) - 1), bit=st.integers(0, 7))
@settings(max_examples=60)
def test_no_bit_can_be_changed_into_another_document_or_signer(at: int, bit: int) -> None:
    """Some bits matter to nobody (an unsigned attribute, a certificate beside); none makes another signature pass."""
    altered = bytearray(WHOLE)
    altered[at] ^= 1 << bit
    told = checked(replace(LETTER, name="altered", content=bytes(altered)))
    for judged in told.signatures:
        if judged.verdict.passed and not judged.found.countersigns:
            assert judged.signer.name == "陳大文 Chan Tai Man"
            assert judged.found.claimed == NOW


@given(junk=st.binary(max_size=100))
def test_junk_with_the_head_of_a_cms(junk: bytes) -> None:
    head = b"\x30\x80\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02\xa0"
    assert checked(Document("junk", head + junk)).verdict.outcome == "failed"


def test_a_cms_with_no_signer_is_no_signature() -> None:
    info = asn1.ContentInfo.load(made().content)
    info["content"]["signer_infos"] = []
    assert checked(Document("none", info.dump(force=True))).verdict.indication == "FORMAT_FAILURE"


# ------------------------------------------------------------------------------------------------- the openssl command


def openssl(*arguments: str | Path) -> subprocess.CompletedProcess[bytes]:
    assert OPENSSL is not None
    return subprocess.run([OPENSSL, *map(str, arguments)], capture_output=True)


def files(tmp_path: Path, suite: Suite) -> tuple[Path, Path]:
    content, root = tmp_path / "letter.txt", tmp_path / "root.pem"
    content.write_bytes(LETTER.content)
    root.write_bytes(pem.write("CERTIFICATE", bench(suite).root.certificate))
    return content, root


# openssl 3.0 has no way to tell `cms -verify` the distinguishing identifier of SM2, and cannot use Ed25519 in CMS
THEIRS = [suite for suite in Suite if suite not in (Suite.SM2SM3, Suite.Ed25519)]


@needs_openssl
@pytest.mark.parametrize("suite", THEIRS)
@pytest.mark.parametrize("level", [Level.B, Level.T, Level.LTA])
def test_openssl_verifies_it(tmp_path: Path, suite: Suite, level: Level) -> None:
    content, root = files(tmp_path, suite)
    signature = tmp_path / "letter.p7s"
    signature.write_bytes(made(level, suite).content)
    verify = (
        *("cms", "-verify", "-binary", "-inform", "DER", "-in", signature, "-content", content),
        *("-CAfile", root, "-purpose", "any", "-cades", "-attime", str(int(LATER.timestamp()))),
    )
    done = openssl(*verify)
    assert done.returncode == 0, done.stderr
    assert done.stdout == LETTER.content
    content.write_bytes(b"another")
    assert openssl(*verify).returncode != 0


@needs_openssl
def test_openssl_verifies_what_lies_inside(tmp_path: Path) -> None:
    _, root = files(tmp_path, Suite.ES256)
    signature = tmp_path / "letter.p7m"
    signature.write_bytes(made(packaging="enveloping").content)
    done = openssl(
        *("cms", "-verify", "-binary", "-inform", "DER", "-in", signature, "-CAfile", root),
        *("-purpose", "any", "-cades", "-attime", str(int(LATER.timestamp()))),
    )
    assert done.stdout == LETTER.content, done.stderr


@needs_openssl
@pytest.mark.parametrize("suite", THEIRS)
def test_what_openssl_signs_is_checked_here(tmp_path: Path, suite: Suite) -> None:
    content, _ = files(tmp_path, suite)
    person = bench(suite).person
    key, leaf, above = tmp_path / "key", tmp_path / "leaf", tmp_path / "above"
    target = tmp_path / "theirs.p7s"
    key.write_bytes(person.signer.pem())  # type: ignore[attr-defined]
    leaf.write_bytes(pem.write("CERTIFICATE", person.leaf))
    above.write_bytes(b"".join(pem.write("CERTIFICATE", der) for der in person.chain[1:]))
    done = openssl(
        *("cms", "-sign", "-binary", "-cades", "-in", content, "-signer", leaf, "-inkey", key),
        *("-certfile", above, "-outform", "DER", "-out", target, "-md", suite.hash),
        *(
            ("-keyopt", "rsa_padding_mode:pss", "-keyopt", "rsa_pss_saltlen:32")
            if suite is Suite.PS256
            else ()
        ),
    )
    assert done.returncode == 0, done.stderr
    # it is signed at openssl's own time
    (found,) = cades.read(target.read_bytes(), [LETTER])
    assert all(step.passed for step in found.steps), found.steps
    assert found.leaf == person.leaf
    assert found.level is Level.B
    assert checked(Document("theirs", target.read_bytes())).form is Form.CADES


def test_an_sm2_signature_names_the_algorithms_of_certificates() -> None:
    data = asn1.ContentInfo.load(made(suite=Suite.SM2SM3).content)["content"]
    signer = data["signer_infos"][0]
    assert signer["signature_algorithm"]["algorithm"].dotted == "1.2.156.10197.1.501"
    assert signer["digest_algorithm"]["algorithm"].dotted == "1.2.156.10197.1.401"
