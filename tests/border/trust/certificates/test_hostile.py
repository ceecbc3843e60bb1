"""Whatever a stranger hands in ends within two seconds and 256 MiB, is never passed, and says why."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from tests.border.trust.certificates.forge import NOW, certificate, extension, name

from wantong.border.trust.certificates import asn1, worker
from wantong.border.trust.certificates.path import Limits
from wantong.border.trust.certificates.revocation import Revocation

NONE = Revocation("none")
ROOT = certificate(name("Root"), name("Root"), ca=True)
LEAF = certificate(name("Leaf"), name("Root"), own=1)


@pytest.fixture(scope="module")
def pool():
    pool = worker.Pool(1)
    yield pool
    pool.close()


def sequence(*parts: bytes) -> bytes:
    return asn1.write(asn1.SEQUENCE, *parts)


def cross_certified(names: int):
    """Issuers that all certify each other, and none of them by a root."""
    made = [
        certificate(name(f"CA {a}"), name(f"CA {b}"), own=10 + a, signer=10 + b, ca=True)
        for a in range(names)
        for b in range(names)
        if a != b
    ]
    return certificate(name("Leaf"), name("CA 0"), own=1, signer=10), made[:31]


def one_name_many_keys():
    made = [
        certificate(name("CA"), name("CA"), own=10 + a, signer=10 + a * 7 % 31, ca=True, serial=a + 1)
        for a in range(31)
    ]
    return certificate(name("Leaf"), name("CA"), own=1, signer=10), made


def one_name_one_key():
    made = [certificate(name("CA"), name("CA"), own=10, signer=10, ca=True, serial=a + 1) for a in range(31)]
    return certificate(name("Leaf"), name("CA"), own=1, signer=10), made


def mapped_policies():
    """Each certificate has many policies and maps each to all: the tree of RFC 5280 has 40^12 leaves."""
    oids = [asn1.oid_der(f"1.2.3.{n}") for n in range(40)]
    policies = extension("2.5.29.32", sequence(*(sequence(oid) for oid in oids)))
    mapping = extension("2.5.29.33", sequence(*(sequence(a, b) for a in oids for b in oids)), critical=True)
    require = extension("2.5.29.36", sequence(asn1.write(0x80, b"\x00")), critical=True)
    chain = [
        certificate(
            name(f"CA {n}"),
            name(f"CA {n - 1}") if n else name("Root"),
            own=10 + n,
            signer=9 + n if n else 0,
            ca=True,
            extensions=[policies, mapping, require],
        )
        for n in range(11)
    ]
    other = extension("2.5.29.32", sequence(sequence(asn1.oid_der("1.2.4"))))
    return certificate(name("Leaf"), name("CA 10"), own=1, signer=20, extensions=[other]), chain


def many_constraints():
    trees = (sequence(asn1.write(0x82, f"x{n}.example.com".encode())) for n in range(2500))
    constraints = extension("2.5.29.30", sequence(asn1.write(0xA1, *trees)), critical=True)
    ca = certificate(name("CA"), name("Root"), own=10, ca=True, extensions=[constraints])
    names = (asn1.write(0x82, f"y{n}.example.com".encode()) for n in range(2500))
    alternatives = extension("2.5.29.17", sequence(*names))
    return certificate(name("Leaf"), name("CA"), own=1, signer=10, extensions=[alternatives]), [ca]


def diamonds():
    """Ten levels, three certificates of one issuer at each: 59,049 ways up, and no root at their end."""
    made = [
        certificate(name(f"CA {n}"), name(f"CA {n + 1}"), own=10 + n, signer=11 + n, ca=True, serial=m + 1)
        for n in range(10)
        for m in range(3)
    ]
    return certificate(name("Leaf"), name("CA 0"), own=1, signer=10), made


RSA = sequence(asn1.oid_der("1.2.840.113549.1.1.1"), b"\x05\x00")
RSA_SHA256 = sequence(asn1.oid_der("1.2.840.113549.1.1.11"), b"\x05\x00")


def slow_key(bits: int, exponent_bits: int):
    """An RSA key that takes long to check with; nobody has to have the private half."""
    numbers = ((1 << bits) - 1, (1 << exponent_bits) - 1)
    key = sequence(*(asn1.write(asn1.INTEGER, n.to_bytes(n.bit_length() // 8 + 1, "big")) for n in numbers))
    public = sequence(RSA, asn1.write(asn1.BIT_STRING, b"\0", key))
    cas = [
        certificate(name("CA"), name("Root"), ca=True, public=public, serial=n + 1)
        for n in range(min(31, 900_000 // bits * 8))
    ]
    signature = (1 << bits - 2).to_bytes(bits // 8, "big")
    return certificate(name("Leaf"), name("CA"), own=1, algorithm=RSA_SHA256, signature=signature), cas


def largest_real_key():
    """The largest RSA key that is checked at all, in as many certificates as may be offered, none of which fits."""
    private = rsa.generate_private_key(65537, 2048)
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    public = private.public_key().public_bytes(serialization.Encoding.DER, form)
    cas = [certificate(name("CA"), name("Root"), ca=True, public=public, serial=n + 1) for n in range(31)]
    return certificate(name("Leaf"), name("CA"), own=1), cas


def nested(depth: int):
    """Values inside values, in an extension that is read and in a name."""
    deep = b""
    for _ in range(depth):
        deep = asn1.write(0xA4, deep) if len(deep) < 30_000 else deep
    alternatives = extension("2.5.29.17", sequence(deep))
    return certificate(name("Leaf"), name("Root"), own=1, extensions=[alternatives]), []


def long_names():
    many = name(*(f"{n} ﷺ" for n in range(1500)))
    cas = [certificate(many, many, own=10 + n, signer=11 + n, ca=True, serial=n + 1) for n in range(10)]
    return certificate(name("Leaf"), many, own=1, signer=10), cas


def many_extensions():
    made = [extension(f"1.3.6.1.4.1.55738.{n}", b"\x05\x00", critical=True) for n in range(2500)]
    return certificate(name("Leaf"), name("Root"), own=1, extensions=made), []


def many_alternatives_each():
    """As much text as fits into all certificates that may be offered."""
    names = extension(
        "2.5.29.17", sequence(*(asn1.write(0x82, f"{n}.example".encode()) for n in range(2400)))
    )
    chain = [
        certificate(
            name(f"CA {n}"), name(f"CA {n - 1}"), own=10 + n, signer=9 + n, ca=True, extensions=[names]
        )
        for n in range(20)
    ]
    return certificate(name("Leaf"), name("CA 19"), own=1, signer=29), chain


HOSTILE = {
    "cross-certified": lambda: cross_certified(6),
    "one-name-many-keys": one_name_many_keys,
    "one-name-one-key": one_name_one_key,
    "mapped-policies": mapped_policies,
    "many-constraints": many_constraints,
    "diamonds": diamonds,
    "huge-key": lambda: slow_key(200_000, 17),
    "large-key": lambda: slow_key(8192, 64),
    "slow-exponent": lambda: slow_key(3072, 3071),
    "many-keys-none-fits": largest_real_key,
    "nested": lambda: nested(10_000),
    "long-names": long_names,
    "many-extensions": many_extensions,
    "much-text": many_alternatives_each,
    "too-many": lambda: (LEAF, [ROOT] * 500),
    "too-large": lambda: (LEAF, [bytes(10_000_000)]),
    "zeros": lambda: (bytes(60_000), [bytes(60_000)]),
    "empty": lambda: (b"", [b""] * 31),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_chain_ends_in_time_and_memory(pool, kind):
    leaf, chain = HOSTILE[kind]()
    pool.run("read", {"certificates": []})  # a worker is there: its start is not the chain's
    begun = time.monotonic()
    found = worker.validate(leaf, chain, [ROOT], at=NOW, revocation=NONE, within=pool)
    assert time.monotonic() - begun < 2.0
    assert not found.verdict.passed
    assert found.verdict.steps and all("⟦" not in line for line in found.verdict.explain("zh-hant"))
    assert peak(pool) < worker.MEMORY


def peak(pool) -> int:
    """The most memory, in bytes, that the worker has had so far; 0 if it had to go."""
    idle = pool._idle.queue[0]
    if idle is None:
        return 0
    status = Path(f"/proc/{idle._process.pid}/status").read_text()
    return int(status.split("VmPeak:")[1].split()[0]) * 1024


def test_an_honest_chain_passes_after_all_of_that(pool):
    found = worker.validate(LEAF, [], [ROOT], at=NOW, revocation=NONE, within=pool)
    assert found.verdict.passed, list(found.verdict.explain("en"))


def test_what_is_slow_beyond_the_bounds_is_killed():
    """With the bounds lifted the same chain would run for long: then the worker goes, and the answer has a name."""
    pool = worker.Pool(1, seconds=0.3)
    loose = Limits(edges=10**9, signatures=10**9, attempts=10**9, depth=31)
    leaf, chain = diamonds()
    try:
        worker.validate(LEAF, [], [ROOT], at=NOW, revocation=NONE, within=pool)
        begun = time.monotonic()
        found = worker.validate(leaf, chain, [ROOT], at=NOW, revocation=NONE, limits=loose, within=pool)
        assert time.monotonic() - begun < 2.0
        (step,) = found.verdict.steps
        assert (step.code, step.params["bound"]) == ("too-much-work", "seconds")
        assert worker.validate(LEAF, [], [ROOT], at=NOW, revocation=NONE, within=pool).verdict.passed
    finally:
        pool.close()


def test_what_takes_too_much_memory_is_killed():
    pool = worker.Pool(1, seconds=30, memory=72 * 2**20)
    loose = Limits(size=10**9, total=10**9)
    try:
        found = worker.validate(
            bytes(20_000_000), [], [ROOT], at=NOW, revocation=NONE, limits=loose, within=pool
        )
        (step,) = found.verdict.steps
        assert (step.code, step.params["bound"]) == ("too-much-work", "memory")
        assert worker.validate(LEAF, [], [ROOT], at=NOW, revocation=NONE, within=pool).verdict.passed
    finally:
        pool.close()
