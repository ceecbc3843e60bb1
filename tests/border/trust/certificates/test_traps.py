"""What well-known validators were measured to let through, and the two suites of others' cases."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.border.trust.certificates.forge import NOW, certificate, extension, name
from tests.border.trust.certificates.test_path import NONE, World, only

from wantong.border.trust.certificates import asn1, authority
from wantong.border.trust.certificates.path import Demands, validate
from wantong.border.trust.certificates.revocation import Revocation

ROOT = Path(__file__).parents[4]


@pytest.fixture(scope="module")
def world():
    return World()


def test_a_revoked_certificate_without_distribution_point_is_revoked(world):
    """pyhanko-certvalidator 0.33 accepts it in `soft-fail` and `hard-fail`, with the list in hand."""
    assert not validate(world.leaf, [], [], at=NOW).chain[0].points
    lists = world.lists(authority.Revoked(3, NOW, "key_compromise"), at=NOW)
    assert world.validate(revocation=Revocation(lists=lists)).verdict.indication == "REVOKED"


def test_constraints_of_the_root_itself_count(world):
    """pyhanko-certvalidator's CertTrustAnchor ignores them unless told otherwise."""
    tree = asn1.write(asn1.SEQUENCE, asn1.write(0x82, b"example.org"))
    constraints = extension("2.5.29.30", asn1.write(asn1.SEQUENCE, asn1.write(0xA0, tree)), critical=True)
    root = certificate(name("Root"), name("Root"), ca=True, extensions=[constraints])
    elsewhere = extension("2.5.29.17", asn1.write(asn1.SEQUENCE, asn1.write(0x82, b"a.example.com")))
    leaf = certificate(name("Leaf"), name("Root"), own=1, extensions=[elsewhere])
    assert only(validate(leaf, [], [root], at=NOW, revocation=NONE)).code == "name-not-permitted"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"serial": 0}, "form-serial-not-positive"),
        ({"extensions": [extension("2.5.29.17", b"\x30\x03\x82\x01a")] * 2}, "form-duplicate-extension"),
        ({"extensions": [extension("1.2.3.4", b"", critical=True)]}, "unknown-critical"),
    ],
)
def test_what_was_wrongly_accepted(changes, code):
    root = certificate(name("Root"), name("Root"), ca=True)
    leaf = certificate(name("Leaf"), name("Root"), own=1, **changes)
    assert only(validate(leaf, [], [root], at=NOW, revocation=NONE)).code == code


def test_the_purpose_is_asked_of_issuers_too(world):
    other = Demands(purposes=frozenset(("1.3.6.1.5.5.7.3.36",)))
    assert world.validate(demands=other).verdict.passed
    only_mail = extension("2.5.29.37", asn1.write(asn1.SEQUENCE, asn1.oid_der("1.3.6.1.5.5.7.3.4")))
    root = certificate(name("Root"), name("Root"), ca=True)
    ca = certificate(name("CA"), name("Root"), own=5, ca=True, extensions=[only_mail])
    leaf = certificate(name("Leaf"), name("CA"), own=1, signer=5)
    assert only(validate(leaf, [ca], [root], at=NOW, revocation=NONE, demands=other)).code == "issuer-purpose"


@pytest.mark.parametrize("suite", ["pkits", "x509-limbo"])
def test_the_suites_of_others(suite):
    told = subprocess.run(
        [sys.executable, str(ROOT / "conformance" / suite / "check.py")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stdout[-2000:] + told.stderr
