"""COSE_Sign1: there and back, and what is refused."""

from __future__ import annotations

import contextlib

import cbor2
import pytest
from cbor2 import CBORTag
from hypothesis import given
from hypothesis import strategies as st

from wantong.border.trust import cose
from wantong.border.trust.verdict import Refused
from wantong.ground import crypto
from wantong.ground.crypto import Suite

KEYS = {suite: crypto.generate(suite) for suite in (Suite.ES256, Suite.ES384, Suite.Ed25519)}
ES256 = KEYS[Suite.ES256]


def code(message: cose.Sign1, key: bytes, **how: bytes) -> str:
    with pytest.raises(Refused) as caught:
        cose.prove(message, key, **how)
    return caught.value.code


@pytest.mark.parametrize("suite", KEYS)
@pytest.mark.parametrize("detached", [False, True])
def test_there_and_back(suite: Suite, detached: bool) -> None:
    key = KEYS[suite]
    made = cose.sign(key, b"payload", protected={cose.KID: b"1"}, external=b"aad", detached=detached)
    read = cose.parse(made.encode(), tag=True)
    given = {"payload": b"payload"} if detached else {}
    assert cose.prove(read, key.public, external=b"aad", **given) == b"payload"
    assert read.header[cose.KID] == b"1"
    assert code(read, key.public, **given) == "signature"
    assert cose.public_key(cose.cose_key(key.public)) == key.public


def test_a_compressed_point_is_read() -> None:
    key = cose.cose_key(ES256.public)
    assert cose.public_key({**key, -3: bool(key[-3][-1] & 1)}) == ES256.public


def test_what_is_refused() -> None:
    made = cose.sign(ES256, b"x")
    other = cose.Sign1(made.protected, {cose.ALG: -7}, made.payload, made.signature)
    assert code(other, ES256.public) == "critical"
    assert code(cose.sign(ES256, b"x", protected={cose.CRIT: [1]}), ES256.public) == "critical"
    assert code(made, KEYS[Suite.ES384].public) == "algorithm"
    assert code(cose.Sign1(b"", {}, b"x", b"y"), ES256.public) == "algorithm"
    assert code(cose.Sign1(cose.encode([1]), {}, b"x", b"y"), ES256.public) == "cose-form"
    assert code(cose.sign(ES256, b"x", detached=True), ES256.public) == "cose-form"
    assert code(made, ES256.public, payload=b"x") == "cose-form"
    for bad in ({1: 2, -1: 1, -2: b"x", -3: b"y"}, {1: 4}, None, {1: 2, -1: 1, -2: bytes(32), -3: bytes(32)}):
        with pytest.raises(Refused):
            cose.public_key(bad)
    with pytest.raises(Refused) as caught:
        cose.public_key({**cose.cose_key(ES256.public), -4: b"d"})
    assert caught.value.code == "key-private"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x01\x01",  # two items
        b"\xa2\x01\x01\x01\x02",  # a key twice
        b"\x81" * 100 + b"\x01",
        b"\x9b" + b"\xff" * 8,  # an array of 2**64 - 1 elements
        b"\x5b\x0f" + b"\xff" * 7,
        bytes(cose.LARGEST + 1),
    ],
)
def test_cbor_that_is_refused(data: bytes) -> None:
    with pytest.raises(Refused) as caught:
        cose.decode(data)
    assert caught.value.code == "cbor-form"


@pytest.mark.parametrize("tag", [0, 2, 25, 28, 29, 35, 100, 258, 1004, 55799])
def test_nothing_is_made_of_tags(tag: int) -> None:
    assert cose.decode(cbor2.dumps(CBORTag(tag, 0))) == CBORTag(tag, 0)


def test_tags() -> None:
    made = cose.sign(ES256, b"x")
    assert cose.parse(made.encode(tagged=False), tag=False) == cose.parse(made.encode())
    for bytes_, tag in ((made.encode(), False), (made.encode(tagged=False), True)):
        with pytest.raises(Refused):
            cose.parse(bytes_, tag=tag)
    assert cose.enclosed(cose.enclose({"a": 1})) == {"a": 1}


@given(st.binary(max_size=200))
def test_nothing_but_refused_comes_of_noise(noise: bytes) -> None:
    for data in (noise, b"\xd2\x84" + noise):
        with contextlib.suppress(Refused):
            cose.prove(cose.parse(data), ES256.public)
