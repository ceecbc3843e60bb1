"""DER is read in one way only, and what is read is what an independent parser reads."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from hypothesis import given
from hypothesis import strategies as st
from tests.border.trust.certificates.forge import certificate, extension, name

from wantong.border.trust.certificates import asn1, bundle, names, wire
from wantong.border.trust.certificates.asn1 import Malformed
from wantong.border.trust.certificates.certificate import USAGES, Fault, read
from wantong.border.trust.certificates.names import GeneralName

vectors = pytest.importorskip("cryptography_vectors")
PKITS = sorted((Path(vectors.__file__).parent / "x509" / "PKITS_data" / "certs").glob("*.crt"))


@pytest.mark.parametrize("file", PKITS[::5], ids=lambda file: file.stem)
def test_an_independent_parser_reads_the_same(file):
    der = file.read_bytes()
    theirs = x509.load_der_x509_certificate(der)
    extensions = theirs.extensions
    ours = read(der)
    assert (ours.serial, ours.tbs) == (theirs.serial_number, theirs.tbs_certificate_bytes)
    assert (ours.not_before, ours.not_after) == (theirs.not_valid_before_utc, theirs.not_valid_after_utc)
    assert (
        ours.subject.raw == theirs.subject.public_bytes() and ours.issuer.raw == theirs.issuer.public_bytes()
    )
    assert ours.spki == theirs.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    assert {oid: found.critical for oid, found in ours.extensions.items()} == {
        found.oid.dotted_string: found.critical for found in extensions
    }
    for found in extensions:
        value = found.value
        if isinstance(value, x509.BasicConstraints):
            assert ours.basic == (value.ca, value.path_length)
        elif isinstance(value, x509.KeyUsage):
            said = {
                "digitalSignature": value.digital_signature,
                "contentCommitment": value.content_commitment,
                "keyCertSign": value.key_cert_sign,
                "cRLSign": value.crl_sign,
            }
            assert {usage: USAGES.index(usage) in (ours.usage or ()) for usage in said} == said
        elif isinstance(value, x509.CertificatePolicies):
            assert ours.policies == tuple(one.policy_identifier.dotted_string for one in value)
        elif isinstance(value, x509.SubjectKeyIdentifier):
            assert ours.key_id == value.digest
        elif isinstance(value, x509.NameConstraints):
            assert ours.constraints is not None
            assert len(ours.constraints.permitted) == len(value.permitted_subtrees or ())
            assert len(ours.constraints.excluded) == len(value.excluded_subtrees or ())


@pytest.mark.parametrize(
    ("data", "code"),
    [
        ("", "truncated"),
        ("3080", "length"),  # indefinite
        ("308101ff", "length"),  # padded
        ("300200", "truncated"),
        ("30000000", "trailing"),
        ("1f8100", "tag"),
        ("0101ff", "unexpected"),
    ],
)
def test_lengths_and_ends(data, code):
    with pytest.raises(Malformed) as error:
        asn1.parse(bytes.fromhex(data))
    assert error.value.code == code


@pytest.mark.parametrize(
    ("read_it", "data"),
    [
        (asn1.boolean, "010101"),
        (asn1.integer, "02020001"),
        (asn1.integer, "0202ff80"),
        (asn1.integer, "0200"),
        (asn1.small, "0201ff"),
        (asn1.oid, "06022a80"),
        (asn1.oid, "0603802a01"),
        (asn1.flags, "0302070f"),
        (asn1.flags, "03020000"),
        (asn1.time, "170b3236313132313132303059"),
        (asn1.time, "170d3236313332313132303030305a"),
        (asn1.text, "0c02c328"),
    ],
)
def test_each_value_has_one_form(read_it, data):
    raw = bytes.fromhex(data)
    with pytest.raises(Malformed):
        read_it(asn1.parse(raw, raw[0]))


@given(st.integers(-(2**70), 2**70), st.lists(st.integers(0, 2**40), min_size=1, max_size=6), st.booleans())
def test_what_is_written_is_read_again(number, arcs, flag):
    size = number.bit_length() // 8 + 1
    assert (
        asn1.integer(asn1.parse(asn1.write(asn1.INTEGER, number.to_bytes(size, "big", signed=True)), 2))
        == number
    )
    dotted = ".".join(map(str, (2, *arcs)))
    assert asn1.oid(asn1.parse(asn1.oid_der(dotted), asn1.OID)) == dotted
    assert asn1.boolean(asn1.parse(asn1.write(asn1.BOOLEAN, b"\xff" if flag else b"\0"), 1)) is flag


@given(st.binary(max_size=300))
def test_whatever_the_bytes_are_they_are_a_certificate_or_malformed(data):
    for junk in (data, asn1.write(asn1.SEQUENCE, data), certificate(name("a"), name("b"))[: len(data)]):
        with pytest.raises(Malformed):
            read(junk)


@given(st.integers(0, 2**30), st.integers(0, 255))
def test_a_damaged_certificate_never_does_more_than_fail(where, byte):
    der = bytearray(
        certificate(name("Leaf"), name("Root"), extensions=[extension("2.5.29.17", b"\x30\x02\x82\x00")])
    )
    der[where % len(der)] = byte
    try:
        read(bytes(der))
    except Malformed as error:
        assert error.code


def test_times_of_two_centuries():
    assert asn1.time(asn1.parse(asn1.write(asn1.UTC_TIME, b"491231235959Z"), 0x17)).year == 2049
    assert asn1.time(asn1.parse(asn1.write(asn1.UTC_TIME, b"500101000000Z"), 0x17)).year == 1950
    long = asn1.write(asn1.GENERALIZED_TIME, b"99991231235959Z")
    assert asn1.time(asn1.parse(long, 0x18)) == datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)


def test_an_extension_that_stands_twice_is_a_fault():
    twice = [extension("2.5.29.17", b"\x30\x03\x82\x01a")] * 2
    assert (
        Fault("duplicate-extension", "subjectAltName")
        in read(certificate(name("a"), name("b"), extensions=twice)).faults
    )


@pytest.mark.parametrize("serial", [0, 2**160])
def test_serial_numbers_are_positive_and_short(serial):
    codes = {fault.code for fault in read(certificate(name("a"), name("b"), serial=serial)).faults}
    assert codes & {"serial-not-positive", "serial-too-long"}


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Chan Tai Man", "CHAN  tai man ", True),
        ("陳大文", "陳大文", True),
        ("Ｃhan", "chan", True),  # full width
        ("陳大文", "陈大文", False),  # another character is another name
        ("a", "b", False),
    ],
)
def test_names_are_compared_as_people_read_them(one, other, same):
    assert (names.read_name(name(one)).key == names.read_name(name(other)).key) is same
    assert (names.read_name(name(one)).digest == names.read_name(name(other)).digest) is same


@given(st.lists(st.text(min_size=1, max_size=20), min_size=1, max_size=4))
def test_a_folded_name_is_that_name_again(parts):
    key = names.read_name(name(*parts)).key
    assert names.read_name(wire.name_der(key)).key == key


def dns(text):
    return GeneralName("dns", text)


@pytest.mark.parametrize(
    ("name_", "base", "permitted", "excluded"),
    [
        (dns("a.example.com"), dns("example.com"), True, True),
        (dns("badexample.com"), dns("example.com"), False, False),
        (dns("*.example.com"), dns("example.com"), True, True),
        (dns("*.example.com"), dns("a.example.com"), False, True),
        (dns("*.example.com"), dns("b.a.example.com"), False, False),
        (dns("x"), dns(""), True, True),
        (GeneralName("email", "a@example.com"), GeneralName("email", "example.com"), True, True),
        (GeneralName("email", "a@x.example.com"), GeneralName("email", "example.com"), False, False),
        (GeneralName("email", "a@x.example.com"), GeneralName("email", ".example.com"), True, True),
        (GeneralName("email", "A@example.com"), GeneralName("email", "a@EXAMPLE.com"), False, False),
        (GeneralName("uri", "https://a.example.com/x"), GeneralName("uri", ".example.com"), True, True),
        (GeneralName("uri", "https://example.com"), GeneralName("uri", ".example.com"), False, False),
        (GeneralName("uri", "urn:x"), GeneralName("uri", "example.com"), False, True),
        (GeneralName("uri", "http://192.0.2.1/"), GeneralName("uri", "example.com"), False, True),
        (
            GeneralName("ip", bytes((10, 1, 2, 3))),
            GeneralName("ip", bytes((10, 0, 0, 0, 255, 0, 0, 0))),
            True,
            True,
        ),
        (GeneralName("ip", bytes(16)), GeneralName("ip", bytes(8)), False, False),
    ],
)
def test_what_constraints_allow(name_, base, permitted, excluded):
    assert names.within(name_, base, excluded=False) is permitted
    assert names.within(name_, base, excluded=True) is excluded


def test_bundles():
    one, two = certificate(name("a"), name("b")), certificate(name("b"), name("b"))
    store = asn1.write(0xA0, one, two)
    empty = asn1.write(asn1.SEQUENCE, asn1.oid_der("1.2.840.113549.1.7.1"))
    signed = asn1.write(
        asn1.SEQUENCE,
        asn1.write(asn1.INTEGER, b"\1"),
        asn1.write(asn1.SET),
        empty,
        store,
        asn1.write(asn1.SET),
    )
    p7b = asn1.write(asn1.SEQUENCE, asn1.oid_der("1.2.840.113549.1.7.2"), asn1.write(0xA0, signed))
    assert bundle.split(p7b) == [one, two] == bundle.split(base64.encodebytes(p7b))
    armoured = b"text before\n-----BEGIN PKCS7-----\n" + base64.encodebytes(p7b) + b"-----END PKCS7-----\n"
    assert bundle.split(armoured + armoured) == [one, two]
    trusted = (
        b"-----BEGIN TRUSTED CERTIFICATE-----\n"
        + base64.encodebytes(one + b"\x30\0")
        + (b"-----END TRUSTED CERTIFICATE-----")
    )
    assert bundle.split(trusted) == [one]
    with pytest.raises(Malformed):
        bundle.split(asn1.write(asn1.SEQUENCE, asn1.oid_der("1.2.3"), asn1.write(0xA0, signed)))
