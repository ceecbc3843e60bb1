"""ETSI TS 119 612: what is written is read back, by us and by others; what is hostile is refused; a real list is read."""

from __future__ import annotations

import datetime as dt
import gzip
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import signxml
from asn1crypto import x509 as asn1
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree
from pyhanko.sign.validation.qualified import eutl_parse
from signxml.xades import XAdESSigner, XAdESVerifier
from signxml.xades.xades import XAdESSignatureConfiguration
from tests.border.trust.lists.authority import certify
from tests.border.trust.lists.test_recognition import NAMED, START, a_list, validate

from wantong.border.trust.certificates import authority
from wantong.border.trust.lists import (
    Period,
    ServiceType,
    State,
    Status,
    TrustList,
    ts119612,
    xmlsig,
)
from wantong.border.trust.lists.problems import BadList, BadSignature
from wantong.border.trust.lists.qualifications import (
    BITS,
    SHORT,
    Criteria,
    Marks,
    Qualification,
    Qualified,
    meets,
    name_of,
    qualified,
)
from wantong.border.trust.lists.recognition import Effective, recognise, subject_name, subject_of
from wantong.border.trust.lists.trustlist import LARGEST
from wantong.ground import crypto
from wantong.ground.crypto import Suite
from wantong.ground.i18n import LANGUAGES

UTC = dt.UTC
DATA = Path(__file__).parent / "data"
DS = "{http://www.w3.org/2000/09/xmldsig#}"
signer = certify("Hong Kong, trust list")
WITHDRAWN = replace(
    NAMED, since=dt.datetime(2025, 2, 1, tzinfo=UTC), status=Status.WITHDRAWN, levels={"loa": "high"}
)
KEY = {"kty": "EC", "crv": "P-256", "x": "a", "y": "b"}
ENTITY = State(
    START, Status.SUSPENDED, {"pt": "Conta Única"}, Period(START), entity_id="https://op.example", jwks=(KEY,)
)


def written(told: TrustList | None = None, by=signer, **options) -> bytes:
    told = told or a_list(WITHDRAWN, NAMED)
    return ts119612.export(told, by, told.issued, "https://hk.example", **options).encode()


def holding(suite: Suite) -> SimpleNamespace:
    key = crypto.generate(suite)
    begin = dt.datetime(2020, 1, 1, tzinfo=UTC)
    der = authority.self_signed(key, "list", {"common_name": "list"}, serial=1, begin=begin)
    return SimpleNamespace(signer=key, chain=(der,))


@pytest.mark.parametrize(
    "told",
    [
        a_list(),
        a_list(WITHDRAWN, NAMED),
        a_list(ENTITY, type=ServiceType.IDENTITY_PROVIDER),
        a_list(replace(NAMED, signing_ca=b"", credential_types=("degree",)), type=ServiceType.PASS_ISSUER),
        a_list(providers=()),
        a_list(territory="gd"),
    ],
)
def test_what_is_written_is_read_back(told):
    assert ts119612.read(written(told), [signer.der]) == (told, signer.der)


@pytest.mark.parametrize("suite", [Suite.ES256, Suite.ES384, Suite.RS256])
def test_in_every_suite_that_xml_signature_knows(suite):
    by = holding(suite)
    assert ts119612.read(written(by=by), by.chain)[0] == a_list(WITHDRAWN, NAMED)


def test_a_key_that_xml_signature_does_not_know_writes_no_xml():
    if not crypto.sm2.available():
        pytest.skip("this machine's OpenSSL has no SM2")
    by = holding(Suite.SM2SM3)
    assert written(by=by) == b""
    with pytest.raises(xmlsig.NoXmlName):
        xmlsig.sign(etree.Element("root", Id="x"), by, START)


@pytest.mark.parametrize(
    "name",
    ["http://www.w3.org/2000/09/xmldsig#sm2-sm3", "http://www.chinaport.gov.cn/2022/04/xmldsig#sm2-sm3"],
)
def test_names_of_sm2_that_nobody_has_registered_are_refused_by_name(name):
    data = written().replace(b"http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256", name.encode())
    with pytest.raises(xmlsig.NoXmlName) as refused:
        ts119612.read(data, [signer.der])
    for lang in LANGUAGES:
        assert "SM2SM3" in refused.value.explain(lang)["detail"]


def test_the_signature_is_what_the_standard_asks_for():
    root = etree.fromstring(written())
    info = root.find(f"{DS}Signature/{DS}SignedInfo")
    assert info.find(f"{DS}CanonicalizationMethod").get("Algorithm") == xmlsig.EXCLUSIVE
    transforms = [
        [one.get("Algorithm") for one in reference.iter(f"{DS}Transform")]
        for reference in info.iter(f"{DS}Reference")
    ]
    assert transforms == [[xmlsig.ENVELOPED, xmlsig.EXCLUSIVE], [xmlsig.EXCLUSIVE]]


def test_signxml_verifies_it():
    certificate = x509.load_der_x509_certificate(signer.der)
    config = XAdESSignatureConfiguration(expect_references=2)
    assert len(XAdESVerifier().verify(written(), x509_cert=certificate, expect_config=config)) == 2


def test_why_signxml_s_own_exclusive_signature_does_not_hold():
    """The measured trap: it digests the signed properties by the exclusive method, and does not say so by a transform."""
    key = signer.key
    exclusive = signxml.CanonicalizationMethod(xmlsig.EXCLUSIVE)
    made = XAdESSigner(c14n_algorithm=exclusive, signature_algorithm="ecdsa-sha256").sign(
        etree.fromstring(b'<a Id="a"/>'), key=key, cert=[signer.certificate]
    )
    without = [one for one in made.iter(f"{DS}Reference") if one.find(f"{DS}Transforms") is None]
    assert without, "signxml says its transforms now: sign with it and delete xmlsig.sign"
    config = XAdESSignatureConfiguration(expect_references=3)
    with pytest.raises(signxml.InvalidDigest):
        XAdESVerifier().verify(etree.tostring(made), x509_cert=signer.certificate, expect_config=config)


@pytest.mark.skipif(not shutil.which("xmlsec1"), reason="xmlsec1 (package xmlsec1) is not installed")
def test_xmlsec1_verifies_it(tmp_path):
    (tmp_path / "list.xml").write_bytes(written())
    (tmp_path / "signer.pem").write_text(signer.pem)
    ids = ["--id-attr:Id", "TrustServiceStatusList", "--id-attr:Id", "SignedProperties"]
    command = ["xmlsec1", "--verify", *ids, "--trusted-pem", "signer.pem"]
    done = subprocess.run([*command, "list.xml"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "SignedInfo References (ok/all): 2/2" in done.stdout + done.stderr
    (tmp_path / "list.xml").write_bytes(written().replace(b"Signing CA", b"Signing CB"))
    done = subprocess.run([*command, "list.xml"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode != 0


def test_pyhanko_verifies_and_parses_it():
    pointer = ts119612.Pointer("https://mo.example/trust/list.xml", signer.der, {"en": "Macao"}, "mo")
    text = written(pointers=[pointer]).decode()
    certificate = asn1.Certificate.load(signer.der)
    registry, errors = eutl_parse.trust_list_to_registry(text, [certificate])
    assert not errors and registry is not None


# --- what is hostile -------------------------------------------------------------------------------------------------

BOMB = b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
OUTSIDE = b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>'


@pytest.mark.parametrize(
    "tamper",
    [
        lambda data: data.replace(b"Signing CA", b"Signing CB"),
        lambda data: data.replace(b"<TSLSequenceNumber>7<", b"<TSLSequenceNumber>9<"),
        lambda data: data.replace(b"Svcstatus/withdrawn", b"Svcstatus/granted"),
        lambda data: re.sub(rb"<ds:Signature.*</ds:Signature>", b"", data, flags=re.S),
        lambda data: re.sub(rb"(<ds:Signature.*</ds:Signature>)", rb"\1\1", data, flags=re.S),
        lambda data: re.sub(rb"<xades:SigningTime>[^<]*", b"<xades:SigningTime>2020-01-01T00:00:00Z", data),
        lambda data: data.replace(b"?>", b"?>" + BOMB, 1),
        lambda data: data.replace(b"?>", b"?>" + OUTSIDE, 1),
        lambda data: data.decode().encode("utf-16"),
        lambda data: data[:-20],
        lambda data: b"",
        lambda data: b"<a/>",
        lambda data: data + b" " * LARGEST,
        lambda data: b"<a>" * 100_000,
    ],
)
def test_what_was_tampered_with_or_is_hostile_is_refused(tamper):
    with pytest.raises(BadSignature):
        ts119612.read(tamper(written()), [signer.der])


def test_a_list_wrapped_around_a_signed_one_is_refused():
    """The signature holds for what it names, and that is not what would be read."""
    evil = etree.fromstring(written(a_list(NAMED)).replace(b'Id="list-7"', b'Id="list-8"'))
    good = etree.fromstring(written())
    signature = good.find(f"{DS}Signature")
    evil.remove(evil.find(f"{DS}Signature"))
    good.remove(signature)
    evil.append(signature)
    holder = etree.SubElement(signature, f"{DS}Object")
    holder.append(good)
    with pytest.raises(BadSignature):
        ts119612.read(etree.tostring(evil), [signer.der])


def test_somebody_else_s_signature_is_no_use():
    other = certify("other")
    with pytest.raises(BadSignature):
        ts119612.read(written(by=other), [signer.der])
    with pytest.raises(BadSignature):
        ts119612.read(written(), [])
    # the certificate that is pinned, handed in beside the key of another
    both = SimpleNamespace(signer=other.signer, chain=(signer.der,))
    with pytest.raises(BadSignature):
        ts119612.read(written(by=both), [signer.der])


def test_a_signed_document_that_is_no_list():
    root = etree.fromstring(b'<a Id="a"/>')
    with pytest.raises(BadList):
        ts119612.read(xmlsig.sign(root, signer, START), [signer.der])


def test_a_list_that_is_closed():
    root = etree.fromstring(written())
    root.remove(root.find(f"{DS}Signature"))
    due = root.find(".//{*}NextUpdate")
    due.remove(due[0])
    with pytest.raises(BadList) as refused:
        ts119612.read(xmlsig.sign(root, signer, START), [signer.der])
    assert refused.value.params["reason"] == "closed"


# --- a real one ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def estonia() -> tuple[bytes, bytes]:
    pem = (DATA / "ee-68-signer.pem").read_bytes()
    der = x509.load_pem_x509_certificate(pem).public_bytes(serialization.Encoding.DER)
    return gzip.decompress((DATA / "ee-68.xml.gz").read_bytes()), der


def test_a_real_list_is_verified_and_read(estonia):
    data, certificate = estonia
    told, by = ts119612.read(data, [signer.der, certificate], operator_id="eu:ee")
    assert by == certificate
    assert (told.operator_id, told.territory, told.sequence) == ("eu:ee", "EE", 68)
    assert told.next_update == dt.datetime(2025, 12, 12, 12, 57, 48, tzinfo=UTC)
    assert TrustList.loads(told.dumps()) == told
    by_id = {provider.name["en"]: len(provider.services) for provider in told.providers}
    assert sum(by_id.values()) == 49 and "SK ID Solutions AS" in by_id
    kinds = {service.type for _, service in told.services()}
    assert kinds == {ServiceType.CA, ServiceType.TIMESTAMP}
    assert sum(len(service.history) > 1 for _, service in told.services()) > 20


def test_the_signer_of_a_real_list_can_be_pinned_though_its_extensions_contradict_each_other(estonia):
    _, certificate = estonia
    with pytest.raises(ValueError, match="path_length"):
        _ = x509.load_der_x509_certificate(certificate).extensions
    assert subject_name(certificate) and "Estonia" in subject_of(certificate)


def qualifiers(found: Qualified) -> set[str]:
    return {name_of(uri) for uri in found.has}


def test_a_real_list_says_what_of_its_certificates_is_qualified_and_how_that_changed(estonia):
    data, certificate = estonia
    told, _ = ts119612.read(data, [certificate])
    states = [state for _, service in told.services() for state in service.history]
    found = [one for state in states for one in state.qualifications]
    # four stand in states of which two are said to begin at one moment: the newer counts
    assert len(found) == data.count(b"</ns5:QualificationElement>") - 4 == 85
    assert len({name_of(uri) for one in found for uri in one.qualifiers}) == 9
    assert not any(one.criteria.unknown for one in found)
    [esteid] = [
        one
        for _, one in told.services()
        if one.now.name.get("en") == "ESTEID-SK" and one.type is ServiceType.CA
    ]
    assert any(one.qualifications != esteid.now.qualifications for one in esteid.history), (
        "it was not always so"
    )
    signs, signs_in = Marks(bits=frozenset({"nonRepudiation"})), Marks(bits=frozenset({"digitalSignature"}))
    assert qualifiers(qualified(esteid.now.qualifications, signs)) == {
        "QCStatement",
        "QCForESig",
        "QCWithQSCD",
    }
    assert qualifiers(qualified(esteid.now.qualifications, signs_in)) == {"QCWithQSCD"}
    # and again through our own form, signed
    again, _ = ts119612.read(written(told), [signer.der])
    assert [s.qualifications for _, one in again.services() for s in one.history] == [
        s.qualifications for s in states
    ]


CRITERIA = st.recursive(
    st.builds(
        Criteria,
        st.sampled_from(["all", "atLeastOne", "none"]),
        st.lists(st.dictionaries(st.sampled_from(sorted(BITS)), st.booleans(), min_size=1, max_size=3), max_size=2).map(tuple),
        *(st.lists(st.lists(st.sampled_from(["1.2.3", "2.5.4.3"]), min_size=1, max_size=2).map(tuple), max_size=1).map(tuple),) * 3,
        unknown=st.integers(0, 1),
        description=st.sampled_from(["", "說明"]),
    ),
    lambda inner: st.builds(Criteria, st.sampled_from(["all", "none"]), lists=st.lists(inner, min_size=1, max_size=2).map(tuple)),
    max_leaves=4,
)  # fmt: skip


@given(CRITERIA, st.sets(st.sampled_from(sorted(BITS))), st.sets(st.sampled_from(["1.2.3", "2.5.4.3"])))
def test_criteria_come_back_and_what_nobody_can_read_decides_nothing(criteria, bits, oids):
    state = replace(
        NAMED, qualifications=(Qualification((SHORT + "QCStatement", "https://x.example/q"), criteria),)
    )
    told = a_list(state)
    assert TrustList.loads(told.dumps()) == told
    root = etree.Element("root")
    ts119612._qualifications(root, state.qualifications)
    instance = etree.fromstring(f'<a xmlns="{ts119612.TSL}"><ServiceInformationExtensions/></a>')
    instance[0].extend(root)
    assert tuple(ts119612._qualifications_of(instance)) == state.qualifications
    certificate = Marks(frozenset(bits), frozenset(oids), frozenset(oids), frozenset(oids))
    answer = meets(criteria, certificate)
    if answer is not None:
        # whatever the criteria that nobody can read are, it would be the same
        assert {meets(settled(criteria, met), certificate) for met in (True, False)} == {answer}


def settled(criteria: Criteria, met: bool) -> Criteria:
    """The same with what is unknown met, or not."""
    lists = tuple(settled(one, met) for one in criteria.lists)
    decided = Criteria("all" if met else "atLeastOne")
    return replace(criteria, unknown=0, lists=(*lists, *([decided] if criteria.unknown else [])))


def test_what_a_list_says_of_a_certificate_stands_in_the_verdict():
    ca = certify("CA", ca=True)
    person = certify("Chan", ca)
    state = replace(
        NAMED, root=ca.der, signing_ca=b"", certificate_type="", policy="",
        qualifications=(
            Qualification((SHORT + "QCForESig", "https://x.example/q"), Criteria("none", key_usage=({"keyCertSign": True},))),
            Qualification((SHORT + "QCWithQSCD",), Criteria("all", unknown=1)),
            Qualification((SHORT + "NotQualified",), Criteria("all", policies=(("1.2.3",),))),
        ),
    )  # fmt: skip
    found = recognise(
        [Effective(a_list(state), "ab" * 32, own=True)], [person.der], ServiceType.CA, START + dt.timedelta(days=400),
        now=a_list(state).issued + dt.timedelta(days=1), validate=validate,
    )  # fmt: skip
    assert found.recognised and found.qualifiers == (SHORT + "QCForESig", "https://x.example/q")
    assert found.to_dict()["qualifiers"] == list(found.qualifiers)
    said = list(found.verdict.explain("en"))[-3:]
    assert (
        "electronic signatures of persons" in said[0]
        and "https://x.example/q" in said[1]
        and "QCWithQSCD" in said[2]
    )
    for lang in LANGUAGES:
        assert not any("trustlist.step" in line for line in found.verdict.explain(lang))


def test_a_real_list_that_was_tampered_with(estonia):
    data, certificate = estonia
    with pytest.raises(BadSignature):
        ts119612.read(data.replace(b"SK ID Solutions AS", b"XK ID Solutions AS", 1), [certificate])
    with pytest.raises(BadSignature):
        ts119612.read(data, [signer.der])
