"""What a list says, its canonical form, how one version becomes the next, and its signature."""

from __future__ import annotations

import base64
import datetime as dt
import json
from dataclasses import replace
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.border.trust.lists.authority import certify
from tests.border.trust.lists.test_recognition import NAMED, a_list

from wantong.border.trust.lists import BadList, Period, ServiceType, Status, TrustList, signed
from wantong.border.trust.lists.changes import Wish, apply, compare
from wantong.ground import canonical, crypto

UTC = dt.UTC
LATER = dt.datetime(2026, 2, 1, tzinfo=UTC)
DUE = dt.datetime(2026, 8, 1, tzinfo=UTC)
signer = certify("List signer")


def wish(state=NAMED, service="post-ca", provider="post") -> Wish:
    return Wish(provider, {"en": "Post"}, "https://post.example", service, ServiceType.CA, state)


def test_its_json_form_is_read_back():
    told = a_list()
    assert TrustList.loads(told.dumps()) == told
    assert told.digest.startswith("sha256:") and told.digest == TrustList.loads(told.dumps()).digest


@pytest.mark.parametrize(
    "change",
    [
        lambda told: told.update(list="wantong-trust-list/2"),
        lambda told: told.update(sequence=0),
        lambda told: told.update(sequence=True),
        lambda told: told.update(next_update=told["issued"]),
        lambda told: told.update(issued="2025-12-01"),
        lambda told: told.update(providers=told["providers"] * 2),
        lambda told: told["providers"][0]["services"][0].update(history=[]),
        lambda told: told["providers"][0]["services"][0].update(type="oracle"),
        lambda told: told["providers"][0]["services"][0]["history"][0].update(since="2026-01-01T00:00:00Z"),
        lambda told: told["providers"][0]["services"][0]["history"][0].update(policy="1.02"),
        lambda told: told["providers"][0]["services"][0]["history"][0].update(root="not base64"),
        lambda told: told["providers"][0]["services"][0]["history"][0].pop("root"),
        lambda told: told["providers"][0]["services"][0]["history"][0].update(extra=1),
        lambda told: told["providers"][0]["services"][0]["history"][0].update(jwks=[{"kty": "EC", "d": "x"}]),
        lambda told: told["operator"].update(name={}),
        lambda told: told["operator"].update(id="a b"),
    ],
)
def test_what_no_list_may_say(change):
    told = json.loads(a_list().dumps())
    change(told)
    with pytest.raises(BadList):
        TrustList.loads(canonical.dumps(told))


def test_only_the_canonical_form_is_read():
    data = a_list().dumps()
    for other in (data + b"\n", b" " + data, data.replace(b'"sequence":7', b'"sequence":7,"sequence":7')):
        with pytest.raises(BadList):
            TrustList.loads(other)


@given(st.binary(max_size=200))
def test_whatever_is_no_list_is_said_to_be_none(data):
    with pytest.raises(BadList):
        TrustList.loads(data)


def test_a_change_adds_a_state_and_keeps_the_past():
    old = a_list()
    new = apply(old, [wish(replace(NAMED, status=Status.WITHDRAWN))], LATER, DUE)
    assert new.sequence == old.sequence + 1
    _, service = new.service("post-ca")
    assert [state.status for state in service.history] == [Status.WITHDRAWN, Status.GRANTED]
    assert service.now.since == LATER and service.history[1] == NAMED
    (change,) = compare(old, new)
    assert (change.kind, change.fields, change.alarming) == ("changed", ("status",), False)


def test_a_new_service_and_a_new_provider():
    new = apply(a_list(), [wish(service="tsa", provider="other")], LATER, DUE)
    assert [(change.kind, change.service_id) for change in compare(a_list(), new)] == [("added", "tsa")]
    assert len(compare(None, new)) == 2


def test_a_change_is_stored_and_read_back():
    one = wish()
    assert Wish.of(json.loads(json.dumps(one.to_dict())), NAMED.since) == one
    with pytest.raises(BadList):
        Wish.of({"provider": {}}, LATER)


@pytest.mark.parametrize(
    "bad",
    [
        [wish(), wish()],
        [wish(provider="another")],
        [replace(wish(), type=ServiceType.TIMESTAMP)],
    ],
)
def test_changes_that_contradict(bad):
    with pytest.raises(BadList):
        apply(a_list(), bad, LATER, DUE)


def test_a_past_that_was_rewritten_is_alarming():
    old = apply(a_list(), [wish(replace(NAMED, status=Status.WITHDRAWN))], LATER, DUE)
    for history, kind in (
        ((replace(NAMED, since=LATER),), "rewritten"),
        ((old.service("post-ca")[1].now, replace(NAMED, period=Period(LATER))), "rewritten"),
    ):
        provider = replace(
            old.providers[0], services=(replace(old.providers[0].services[0], history=history),)
        )
        (change,) = compare(old, replace(old, providers=(provider,), sequence=9))
        assert change.kind == kind and change.alarming
    (change,) = compare(old, replace(old, providers=()))
    assert change.kind == "removed" and change.alarming


@given(st.lists(st.sampled_from(Status), min_size=1, max_size=10))
def test_every_version_continues_the_one_before(statuses):
    versions = [a_list()]
    for n, status in enumerate(statuses):
        at = LATER + dt.timedelta(days=n)
        new = apply(versions[-1], [wish(replace(NAMED, status=status))], at, at + dt.timedelta(days=30))
        assert not any(change.alarming for change in compare(versions[-1], new))
        assert TrustList.loads(new.dumps()) == new
        versions.append(new)
    assert not any(change.alarming for change in compare(versions[0], versions[-1]))


# --- the signature ----------------------------------------------------------------------------------------------


def test_a_signature_is_read_back():
    token = signed.sign(b"payload", signer, LATER, signed.LIST)
    found = signed.read(token, signed.LIST)
    assert (found.payload, found.chain, found.at) == (b"payload", signer.chain, LATER)
    with pytest.raises(signed.BadSignature):
        signed.read(token, signed.COUNTERSIGNATURE)


def part(token: str, n: int, change) -> str:
    parts = token.split(".")
    data = base64.urlsafe_b64decode(parts[n] + "=" * (-len(parts[n]) % 4))
    parts[n] = base64.urlsafe_b64encode(change(data)).rstrip(b"=").decode()
    return ".".join(parts)


def header(**values):
    return lambda data: json.dumps({**json.loads(data), **values}).encode()


@pytest.mark.parametrize(
    "tamper",
    [
        lambda token: part(token, 1, lambda data: data.replace(b"p", b"q")),
        lambda token: part(token, 0, header(sigT="2020-01-01T00:00:00Z")),
        lambda token: part(token, 0, header(x5c=[base64.b64encode(certify("Other").der).decode()])),
        lambda token: part(token, 0, header(alg="none")),
        lambda token: part(token, 0, header(alg="HS256")),
        lambda token: part(token, 0, header(alg="Ed25519")),
        lambda token: part(token, 0, header(crit=["sigT", "b64"], b64=False)),
        lambda token: part(token, 0, header(crit=[])),
        lambda token: part(token, 0, header(x5c=[])),
        lambda token: part(token, 0, lambda _: b"[" * 10000),
        lambda token: part(token, 2, lambda data: data[:-1] + bytes([data[-1] ^ 1])),
        lambda token: token.rsplit(".", 1)[0] + ".",
        lambda token: token + "=",
        lambda token: token.replace(".", "..", 1),
        lambda _: "",
    ],
)
def test_what_was_tampered_with_is_refused(tamper):
    with pytest.raises(signed.BadSignature):
        signed.read(tamper(signed.sign(b"payload", signer, LATER, signed.LIST)), signed.LIST)


@pytest.mark.parametrize("suite", list(crypto.Suite))
def test_another_key_than_the_certificate_s_signs_nothing(suite):
    forger = SimpleNamespace(signer=crypto.generate(suite), chain=signer.chain)
    with pytest.raises(signed.BadSignature):
        signed.read(signed.sign(b"payload", forger, LATER, signed.LIST), signed.LIST)
