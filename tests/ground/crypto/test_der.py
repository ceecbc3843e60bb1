"""DER from parts, and parts as they were read: where asn1crypto would write anew what somebody else has signed."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest
from asn1crypto import core, x509
from hypothesis import given
from hypothesis import strategies as st

from wantong.ground import crypto
from wantong.ground.crypto import Suite, der
from wantong.ground.crypto import x509 as signatures


class Pair(core.Sequence):
    _fields = [("octets", core.OctetString), ("flag", core.Boolean, {"default": False})]


class Numbers(core.SetOf):
    _child_spec = core.Integer


@given(st.lists(st.integers(), max_size=8))
def test_parts_make_what_asn1crypto_makes(numbers):
    encoded = [core.Integer(number).dump() for number in numbers]
    assert der.set_of(*encoded) == Numbers(numbers).dump()
    assert der.sequence(*encoded) == core.SequenceOf(numbers, spec=core.Integer).dump()
    whole = der.sequence(*encoded)
    assert der.explicit(3, whole) == core.SequenceOf(numbers, spec=core.Integer, explicit=3).dump()
    assert der.implicit(3, whole) == core.SequenceOf(numbers, spec=core.Integer, implicit=3).dump()


@pytest.mark.parametrize("length", [0, 1, 122, 123, 124, 125, 126, 250, 378, 379, 380, 1000])
def test_what_was_read_comes_back_octet_for_octet(length):
    """Also where a length ends in 0x80, and where its maker wrote down a default, which DER leaves out."""
    octets = core.OctetString(b"x" * length).dump()
    for flag in (b"", b"\x01\x01\x00", b"\x01\x01\x01"):
        made = der.sequence(octets, flag)
        read = Pair.load(made)
        assert der.as_read(read) == made
        assert read["octets"].native == b"x" * length
        assert der.as_read(read) == made


def test_asn1crypto_still_does_what_this_is_for():
    """When this fails, the fault is mended there, and what is written of it here can go."""
    made = der.sequence(core.OctetString(b"x" * 122).dump(), b"\x01\x01\x00")
    made = next(
        der.sequence(core.OctetString(b"x" * length).dump(), b"\x01\x01\x00")
        for length in range(110, 140)
        if der.sequence(core.OctetString(b"x" * length).dump(), b"\x01\x01\x00")[:3] == b"\x30\x81\x80"
    )
    assert Pair.load(made).dump() != made


@pytest.mark.parametrize("padding", range(256))
def test_a_certificate_of_any_length_is_checked_by_the_octets_that_were_signed(padding):
    """Its maker writes `critical FALSE`, as some do: 1 in 256 such certificates was found to be forged."""
    key = crypto.generate(Suite.Ed25519)
    name = x509.Name.build({"common_name": "a"})
    extension = der.sequence(
        core.ObjectIdentifier("1.2.3.4").dump(),
        core.Boolean(False).dump(),
        core.OctetString(b"x" * padding).dump(),
    )
    at = datetime(2026, 1, 1, tzinfo=UTC)
    body = der.sequence(
        der.explicit(0, core.Integer(2).dump()),
        core.Integer(1).dump(),
        key.suite.algorithm.dump(),
        name.dump(),
        der.sequence(core.UTCTime(at).dump(), core.UTCTime(at).dump()),
        name.dump(),
        key.public,
        der.explicit(3, der.sequence(extension)),
    )
    assert signatures.signed_by(signatures.signed(key, body), key.public)


def test_flat_is_the_same_value_and_quick_to_write():
    value: core.Asn1Value = core.OctetString(b"x" * 126)

    class Nested(core.Sequence):
        _fields = [("one", core.Any), ("two", core.OctetString)]

    start = time.process_time()
    for _ in range(100):
        value = der.flat(Nested({"one": value, "two": b"x"}))
    value.dump()
    # two to the power of 100 would take longer
    assert time.process_time() - start < 5
