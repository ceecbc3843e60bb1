"""Token status lists: the draft's vectors, both tokens, and every way in which a list says nothing."""

from __future__ import annotations

import contextlib
import json
import zlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wantong.border.trust import cose, jws
from wantong.border.trust.credentials import statuslist as sl
from wantong.border.trust.verdict import Refused, Unsure
from wantong.ground import crypto
from wantong.ground.crypto import Suite

TOLD = json.loads((Path(__file__).parent / "vectors/status-list.json").read_text())
KEY, STRANGER = crypto.generate(Suite.ES256), crypto.generate(Suite.ES256)
NOW = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
URI = "https://gd.example/status/1"
# the key of the draft's examples (src/util.py)
EXAMPLE_KEY = {
    "kty": "EC",
    "crv": "P-256",
    "x": "I3HWm_0Ds1dPMI-IWmf4mBmH-YaeAVbPVu7vB27CxXo",
    "y": "6N_d5Elj9bs1htgV3okJKIdbHEpkgTmAluYKJemzn1M",
}


@pytest.mark.parametrize("vector", TOLD["lists"], ids=lambda v: f"{v['bits']}-{v.get('size', 'short')}")
def test_the_drafts_vectors(vector: dict[str, Any]) -> None:
    read = sl.from_json(vector["json"])
    also = sl.from_cbor(cose.decode(bytes.fromhex(vector["cbor"])))
    assert (read.bits, read.array) == (also.bits, also.array) and read.bits == vector["bits"]
    if "array" in vector:
        assert read.array.hex() == vector["array"]
        return
    made = sl.make(vector["size"], vector["bits"], vector["statuses"])
    assert made.array == read.array and made.size == 1 << 20
    assert all(read.status(index) == status for index, status in vector["statuses"])


def test_tokens_made_by_others() -> None:
    key = jws.public_key(EXAMPLE_KEY)
    at = datetime.fromtimestamp(1686920200, UTC)
    for token in (TOLD["tokens"]["jwt"], bytes.fromhex(TOLD["tokens"]["cwt"])):
        read = sl.parse(token)
        sl.check(read, key, uri="https://example.com/statuslists/1", at=at)
        assert read.listed.array.hex() == "b9a3"
        assert read.ttl == timedelta(seconds=43200)


def issued(kind: str, **how: Any) -> str | bytes:
    listed = how.pop("listed", sl.make(1 << 20, 1, [(5, 1)], "https://gd.example/status"))
    make = sl.issue_jwt if kind == "jwt" else sl.issue_cwt
    return make(listed, **{"uri": URI, "at": NOW, "signer": KEY, "ttl": timedelta(seconds=30), **how})


@pytest.mark.parametrize("kind", ["jwt", "cwt"])
def test_there_and_back(kind: str) -> None:
    read = sl.parse(issued(kind, expires_at=NOW + timedelta(hours=1)))
    sl.check(read, KEY.public, uri=URI, at=NOW)
    assert read.listed.status(5) == 1 and read.listed.status(4) == 0
    assert read.listed.aggregation == "https://gd.example/status"
    assert sl.keep_until(read, NOW, timedelta(hours=9)) == NOW + timedelta(seconds=30)


@pytest.mark.parametrize("kind", ["jwt", "cwt"])
def test_a_list_that_says_nothing(kind: str) -> None:
    def refusal(token: str | bytes, key: bytes = KEY.public, uri: str = URI, at: datetime = NOW) -> Refused:
        with pytest.raises(Refused) as caught:
            sl.check(sl.parse(token), key, uri=uri, at=at)
        return caught.value

    assert refusal(issued(kind), STRANGER.public).code == "signature"
    assert refusal(issued(kind), uri=URI + "0").code == "status-subject"
    stale = refusal(issued(kind, expires_at=NOW), at=NOW + timedelta(minutes=2))
    assert isinstance(stale, Unsure) and stale.code == "status-stale"
    assert isinstance(refusal(issued(kind), at=NOW - timedelta(minutes=2)), Unsure)
    with pytest.raises(Refused) as caught:
        sl.parse(issued(kind)).listed.status(1 << 20)
    assert caught.value.code == "status-range"


def test_a_list_larger_than_any_is_not_inflated() -> None:
    bomb = zlib.compress(bytes(sl.LARGEST + 1), 9)
    for packed in (bomb, bomb[:100], zlib.compress(b"x") + b"y", b"", b"noise"):
        with pytest.raises(Refused):
            sl.unpack(packed)


@pytest.mark.parametrize(
    "claims",
    [
        {"sub": URI, "iat": 1, "status_list": {"bits": 3, "lst": ""}},
        {"sub": URI, "iat": 1, "status_list": {"bits": True, "lst": "eNrbuRgAAhcBXQ"}},
        {"sub": URI, "iat": 1, "status_list": {"bits": 1, "lst": "*"}},
        {"sub": URI, "iat": 1, "status_list": "x"},
        {"sub": 1, "iat": 1, "status_list": {"bits": 1, "lst": "eNrbuRgAAhcBXQ"}},
        {"sub": URI, "status_list": {"bits": 1, "lst": "eNrbuRgAAhcBXQ"}},
        {"sub": URI, "iat": 1, "ttl": 0, "status_list": {"bits": 1, "lst": "eNrbuRgAAhcBXQ"}},
        {"sub": URI, "iat": 1, "exp": "x", "status_list": {"bits": 1, "lst": "eNrbuRgAAhcBXQ"}},
    ],
)
def test_tokens_of_a_wrong_form(claims: dict[str, Any]) -> None:
    with pytest.raises(Refused) as caught:
        sl.parse(jws.sign(KEY, {"typ": sl.JWT_TYPE}, claims))
    assert caught.value.code == "status-form"


def test_types_of_tokens() -> None:
    for token in (jws.sign(KEY, {"typ": "JWT"}, {}), cose.sign(KEY, cose.encode({})).encode()):
        with pytest.raises(Refused) as caught:
            sl.parse(token)
        assert caught.value.code == "typ"


def test_where_a_credential_says_its_status_stands() -> None:
    at = sl.Reference(URI, 7)
    assert sl.reference({"status": sl.claim(at)}) == at
    assert sl.reference({}) is None
    for status, code in (
        ({"status_list": {"idx": -1, "uri": URI}}, "status-form"),
        ({"status_list": {"idx": True, "uri": URI}}, "status-form"),
        ({"status_list": {"idx": 1}}, "status-form"),
        ({}, "status-form"),
        (None, "status-form"),
        ({"crl": "x"}, "status-unknown"),
    ):
        with pytest.raises(Refused) as caught:
            sl.reference({"status": status})
        assert caught.value.code == code


def test_what_a_status_means() -> None:
    sl.judge(sl.VALID)
    for status, code in ((sl.INVALID, "revoked"), (sl.SUSPENDED, "suspended"), (9, "status-own")):
        with pytest.raises(Refused) as caught:
            sl.judge(status)
        assert caught.value.code == code


@given(st.sampled_from(sl.BITS), st.data())
def test_every_status_is_read_back(bits: int, data: st.DataObject) -> None:
    statuses = data.draw(st.dictionaries(st.integers(0, 99), st.integers(0, (1 << bits) - 1)))
    read = sl.from_json(sl.to_json(sl.make(100, bits, statuses.items())))
    assert [read.status(index) for index in range(100)] == [statuses.get(index, 0) for index in range(100)]


@given(st.binary(max_size=300))
def test_nothing_but_refused_comes_of_noise(noise: bytes) -> None:
    for token in (noise, noise.decode("latin-1"), b"\xd2\x84" + noise):
        with contextlib.suppress(Refused):
            sl.parse(token)
