"""XAdES: read by xmlsec1, and no trick of XML makes something count that was not signed."""

from __future__ import annotations

import base64
import copy
import hashlib
import shutil
import subprocess
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from asn1crypto import pem
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree
from tests.border.trust.signatures.bench import NOW, bench, issue, stamper

from wantong.border.trust.signatures import (
    Anchors,
    CannotSign,
    Document,
    Form,
    Level,
    Order,
    check,
    sign,
    xades,
    xmldsig,
)
from wantong.border.trust.signatures.xmldsig import ds
from wantong.border.trust.verdict import Refused
from wantong.ground.crypto import Suite

DEED = Document(
    "deed.xml",
    '<?xml version="1.0"?>\n<?style x?>\n<!-- c --><d:deed xmlns:d="urn:deed" xmlns="urn:plain" xml:lang="zh">'
    '公證書 <sum Id="sum">100</sum> tail<empty/></d:deed>'.encode(),
    "application/xml",
)
LATER = NOW + timedelta(days=1)
PACKAGINGS = ["enveloped", "enveloping", "detached"]


def order(level: Level = Level.B, **said: str) -> Order:
    return Order(NOW, level, stamper(bench().stamping), bench().material(), said)


def trust(suite: Suite = Suite.ES256) -> Anchors:
    return Anchors((bench(suite).root.certificate,), "none")


def checked(made: Document, packaging: str = "", suite: Suite = Suite.ES256) -> Any:
    return check(made, trust(suite), LATER, beside=[DEED] if packaging == "detached" else [])


@pytest.mark.parametrize("packaging", PACKAGINGS)
@pytest.mark.parametrize("suite", list(Suite))
def test_every_suite_in_every_way(suite: Suite, packaging: Any) -> None:
    made = sign([DEED], Form.XADES, [bench(suite).person], order(), packaging=packaging)
    found = checked(made, packaging, suite)
    assert found.verdict.passed, list(found.signatures[0].verdict.explain("en"))
    assert found.signatures[0].found.covered.whole and found.signatures[0].found.claimed == NOW


@pytest.mark.parametrize("level", list(Level)[1:])
def test_levels(level: Level) -> None:
    made = sign([DEED], Form.XADES, [bench().person], order(level, place="珠海", role="公證員"))
    (judged,) = check(made, Anchors((bench().root.certificate,), more=bench().material()), LATER).signatures
    assert judged.verdict.passed and judged.found.level is level
    assert judged.proven == (None if level is Level.B else NOW)
    assert judged.found.said == {"place": "珠海", "role": "公證員"}


@pytest.mark.skipif(shutil.which("xmlsec1") is None, reason="Debian package xmlsec1 is not installed")
@pytest.mark.parametrize("packaging", [*PACKAGINGS, "two"])
def test_xmlsec_agrees(packaging: Any, tmp_path: Path) -> None:
    """What is signed with exclusive canonicalisation holds for others (signxml 5.2 makes what its own verifier rejects)."""
    people = [bench().person, bench(Suite.SM2SM3).person] if packaging == "two" else [bench().person]
    how = "" if packaging == "two" else packaging
    made = sign([DEED], Form.XADES, people, order(Level.LT), packaging=how)  # type: ignore[arg-type]
    root = tmp_path / "root.pem"
    root.write_bytes(pem.armor("CERTIFICATE", bench().root.certificate))
    (tmp_path / DEED.name).write_bytes(DEED.content)

    def verdict(content: bytes) -> int:
        (tmp_path / "signed.xml").write_bytes(content)
        command = [
            "xmlsec1",
            "--verify",
            "--trusted-pem",
            str(root),
            "--verification-time",
            f"{LATER:%Y-%m-%d %H:%M:%S}",
        ]
        for name in ("SignedProperties", "Object"):
            command += ["--id-attr:Id", name]
        done = subprocess.run(
            [*command, "signed.xml"], cwd=tmp_path, capture_output=True, check=False, timeout=60
        )
        return done.returncode

    assert verdict(made.content) == 0
    moved = b"<other xmlns='urn:elsewhere'>%s</other>" % made.content.partition(b"?>\n")[2]
    if packaging == "enveloping":
        assert verdict(moved) == 0, "exclusive: it holds wherever it is put"
        assert all(step.passed for found in xades.read(moved) for step in found.steps)
    assert verdict(made.content.replace(b"MII", b"MIJ", 1)) != 0


def test_signed_side_by_side() -> None:
    made = sign([DEED], Form.XADES, [bench().person, bench(Suite.SM2SM3).person], order())
    both = Anchors((bench().root.certificate, bench(Suite.SM2SM3).root.certificate), "none")
    assert check(made, both, LATER).verdict.passed
    assert [one.found.covered.whole for one in check(made, both, LATER).signatures] == [True, True]
    assert check(made, trust(), LATER, place="mo").verdict.passed


@pytest.mark.parametrize("packaging", PACKAGINGS)
def test_an_archive_timestamp_covers_all_that_is_beside(packaging: Any) -> None:
    made = sign([DEED], Form.XADES, [bench().person], order(Level.LTA), packaging=packaging)
    (judged,) = checked(made, packaging).signatures
    assert [timed.kind for timed in judged.timestamps if timed.verdict.passed] == ["signature", "archive"]
    root = etree.fromstring(made.content)
    value = next(root.iter(xades.xs("EncapsulatedCRLValue")))
    value.getparent().remove(value)
    (fewer,) = checked(replace(made, content=etree.tostring(root.getroottree())), packaging).signatures
    archive = next(timed for timed in fewer.timestamps if timed.kind == "archive")
    assert archive.verdict.indication == "HASH_FAILURE" and fewer.verdict.passed


def countersigned(target: str = "") -> Any:
    """The deed signed, and its signature by a notary, who signs "#id of the value" unless something else is said."""
    root = tree()
    below = next(root.iter(ds("Signature")))
    notary = issue(bench().ca, Suite.ES256, "person", "Notary")
    above = xades._sign([DEED], notary, order(), "enveloped", etree.fromstring("<a/>"), several=False)
    qualifying = below.find(f"{ds('Object')}/{xades.xs('QualifyingProperties')}")
    own = etree.SubElement(qualifying, xades.xs("UnsignedProperties"))
    own = etree.SubElement(own, xades.xs("UnsignedSignatureProperties"))
    etree.SubElement(own, xades.xs("CounterSignature")).append(above)
    signature = xmldsig.Signature(above)
    reference = signature.info.find(ds("Reference"))
    reference.set("URI", target or f"#{below.find(ds('SignatureValue')).get('Id')}")
    reference.find(ds("Transforms")).remove(reference.find(f"{ds('Transforms')}/{ds('Transform')}"))
    for one in signature.references():
        digest = base64.b64encode(hashlib.sha256(one.data).digest()).decode()
        one.element.find(ds("DigestValue")).text = digest
    value = base64.b64encode(notary.signer.sign(signature.signed())).decode()
    above.find(ds("SignatureValue")).text = value
    return root


def test_a_countersignature_is_a_signature_of_its_own() -> None:
    one, two = verdict(countersigned()).signatures
    assert one.verdict.passed and two.verdict.passed, list(two.verdict.explain("en"))
    assert (one.found.countersigns, two.found.countersigns) == ("", one.found.name)
    assert two.signer.name == "Notary" and not two.found.covered.whole


def test_a_countersignature_over_something_else_fails() -> None:
    """It stands in one signature and signs a part of the document: nobody is told that he countersigned."""
    one, two = verdict(countersigned("#sum")).signatures
    assert one.verdict.passed and two.verdict.indication == "HASH_FAILURE"


def tree(packaging: Any = "enveloped") -> Any:
    made = sign([DEED], Form.XADES, [bench().person], order(), packaging=packaging)
    return etree.fromstring(made.content)


def verdict(root: Any) -> Any:
    return check(replace(DEED, content=etree.tostring(root.getroottree())), trust(), LATER)


def indication(root: Any) -> str:
    return verdict(root).verdict.indication


def test_content_that_was_changed() -> None:
    root = tree()
    root[0].text = "1000"
    assert indication(root) == "HASH_FAILURE"


def test_properties_that_were_changed() -> None:
    root = tree()
    next(root.iter(xades.xs("SigningTime"))).text = "2020-01-01T00:00:00Z"
    assert indication(root) == "HASH_FAILURE"


def test_wrapping_the_signed_part_elsewhere_is_told() -> None:
    """The signed element is moved aside under its identifier and another is put where readers look."""
    root = tree("enveloping")
    forged = copy.deepcopy(root.find(ds("Object")))
    forged.text = base64.b64encode(b"<forged/>").decode()
    outer = etree.Element("outer")
    outer.append(root)
    outer.insert(0, forged)
    assert verdict(outer).signatures[0].verdict.indication == "FORMAT_FAILURE", "the identifier stands twice"
    forged.set("Id", "other")
    assert not verdict(outer).signatures[0].found.covered.whole, "what stands around it was not signed"


def test_properties_of_another_signature_do_not_count() -> None:
    root = tree()
    own = root.find(f".//{xades.xs('QualifyingProperties')}")
    own.getparent().remove(own)
    root.append(own)
    (judged,) = verdict(root).signatures
    assert not judged.verdict.passed and judged.found.claimed is None


@pytest.mark.parametrize(
    "hostile",
    [
        b'<!DOCTYPE a [<!ENTITY x "y">]><a xmlns:ds="http://www.w3.org/2000/09/xmldsig#">&x;</a>',
        b'<!DOCTYPE a SYSTEM "http://example.invalid/x.dtd"><a xmlns:ds="http://www.w3.org/2000/09/xmldsig#"/>',
        b'<a xmlns:ds="http://www.w3.org/2000/09/xmldsig#">',
        b"<a>" * 100_000 + b"http://www.w3.org/2000/09/xmldsig#",
    ],
)
def test_hostile_documents_are_refused(hostile: bytes) -> None:
    with pytest.raises(Refused):
        xades.read(hostile)


@pytest.mark.parametrize(
    "program",
    [
        "<ds:Transform Algorithm='http://www.w3.org/TR/1999/REC-xslt-19991116'/>",
        f"<ds:Transform Algorithm='{xmldsig.XPATH}'><ds:XPath>ancestor-or-self::nothing</ds:XPath></ds:Transform>",
        f"<ds:Transform Algorithm='{xmldsig.XPATH}'><ds:XPath xmlns:x='urn:x'>not(ancestor-or-self::x:Signature)</ds:XPath></ds:Transform>",
        "<ds:Transform Algorithm='urn:what'/>",
    ],
)
def test_programs_are_not_followed(program: str) -> None:
    root = tree()
    transforms = root.find(f".//{ds('Transforms')}")
    transforms.insert(0, etree.fromstring(f"<x xmlns:ds='{xmldsig.DS}'>{program}</x>")[0])
    (judged,) = verdict(root).signatures
    assert (judged.verdict.outcome, judged.verdict.indication) == ("indeterminate", "SIGNED_DATA_NOT_FOUND")


def test_a_part_that_was_signed_is_called_a_part() -> None:
    """A signature over one element says so, and does not speak for the document."""
    person = bench().person
    root = etree.fromstring(DEED.content)
    xades._sign([DEED], person, order(), "enveloped", root, several=False)
    element = next(root.iter(ds("Signature")))
    signature = xmldsig.Signature(element)
    reference = signature.info.find(ds("Reference"))
    reference.set("URI", "#sum")
    found = next(iter(signature.references()))
    reference.find(ds("DigestValue")).text = base64.b64encode(hashlib.sha256(found.data).digest()).decode()
    element.find(ds("SignatureValue")).text = base64.b64encode(
        person.signer.sign(signature.signed())
    ).decode()
    (judged,) = verdict(root).signatures
    assert (
        judged.verdict.passed and not judged.found.covered.whole and judged.found.covered.parts == ("#sum",)
    )


def test_the_inclusive_form_takes_its_context_along() -> None:
    root = etree.fromstring('<a xmlns:p="urn:p" xml:lang="pt" xml:id="i"><b><c/></b></a>')
    inner = root[0][0]
    assert xmldsig.canonical(inner, xmldsig.INCLUSIVE) == b'<c xmlns:p="urn:p" xml:id="i" xml:lang="pt"></c>'
    assert xmldsig.canonical(inner, xmldsig.INCLUSIVE_11) == b'<c xmlns:p="urn:p" xml:lang="pt"></c>'
    assert xmldsig.canonical(inner, xmldsig.EXCLUSIVE) == b"<c></c>"
    assert xmldsig.canonical(inner, xmldsig.EXCLUSIVE, ["p"]) == b'<c xmlns:p="urn:p"></c>'
    assert etree.tostring(root).count(b"xml:lang") == 1, "the document is as it was"
    below = etree.fromstring('<a xmlns="urn:a"><b Id="i"><c> &#13;<d xmlns=""/></c></b>tail</a>')[0]
    for method in (xmldsig.INCLUSIVE, xmldsig.EXCLUSIVE):
        whole = b'<b xmlns="urn:a" Id="i"><c> &#xD;<d xmlns=""></d></c></b>'
        assert xmldsig.canonical(below, method) == whole, "a default namespace from above"


def test_what_cannot_be_written_is_refused() -> None:
    person = bench().person
    for documents, packaging, signers in (
        ([Document("x", b"no xml")], "enveloped", [person]),
        ([DEED, DEED], "enveloped", [person]),
        ([DEED], "enveloping", [person, person]),
        ([DEED], "compact", [person]),
    ):
        with pytest.raises(CannotSign):
            sign(documents, Form.XADES, signers, order(), packaging=packaging)  # type: ignore[arg-type]


SIGNED = {
    how: sign([DEED], Form.XADES, [bench().person], order(), packaging=how).content for how in PACKAGINGS
}  # type: ignore[arg-type]


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(PACKAGINGS), st.data())
def test_no_byte_can_be_changed_unnoticed(packaging: str, data: st.DataObject) -> None:
    """But in the shell of the signature, which says nothing: identifiers nobody points to, blanks, names of prefixes."""
    signed = SIGNED[packaging]
    at = data.draw(st.integers(0, len(signed) - 1))
    changed = bytearray(signed)
    changed[at] ^= data.draw(st.integers(1, 255))
    if check(Document("x.xml", bytes(changed)), trust(), LATER, beside=beside(packaging)).verdict.passed:
        assert meaning(bytes(changed), packaging) == meaning(signed, packaging)


def beside(packaging: str) -> list[Document]:
    return [DEED] if packaging == "detached" else []


def meaning(content: bytes, packaging: str) -> Any:
    """All that a signature says: the bytes that were hashed, who, when, and how much of the document that is."""
    (found,) = xades.read(content, beside(packaging))
    element = next(etree.fromstring(content).iter(ds("Signature")))
    references = xmldsig.Signature(element, beside(packaging)).references()
    return [one.data for one in references], found.leaf, found.claimed, found.said, found.covered
