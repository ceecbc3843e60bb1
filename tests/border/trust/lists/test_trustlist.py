"""What a list says, its canonical form, how one version becomes the next, and its signature."""

from __future__ import annotations

import base64
import datetime as dt
import json
import re
from dataclasses import replace
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.border.trust.lists.authority import certify
from tests.border.trust.lists.test_recognition import NAMED, a_list

from wantong.border.trust.lists import BadList, Period, ServiceType, Status, TrustList, signed
from wantong.border.trust.lists.changes import Wish, apply, compare
from wantong.border.trust.lists.problems import BadSignature, NotFetched
from wantong.ground import canonical, crypto, i18n
from wantong.ground.http import fetch

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


def nested(depth: int) -> dict:
    return {"assertion": "all", "lists": [nested(depth - 1)] if depth else []}


def criteria(**values):
    told = {"assertion": "all", **values}
    return told_of(qualifications=[{"qualifiers": ["a"], "criteria": told}])


def told_of(**values):
    """A list in which the newest state of its service says ``values``, too."""
    return lambda told: told["providers"][0]["services"][0]["history"][0].update(values)


@pytest.mark.parametrize(
    ("change", "field", "reason"),
    [
        (lambda told: told.update(list="wantong-trust-list/2"), "list", "another-kind"),
        (lambda told: told.update(sequence=0), "sequence", "not-number"),
        (lambda told: told.update(sequence=True), "sequence", "not-number"),
        (lambda told: told.update(next_update=told["issued"]), "next_update", "before-issue"),
        (lambda told: told.update(issued="2025-12-01"), "issued", "no-moment"),
        (lambda told: told.update(providers={}), "providers", "not-list"),
        (lambda told: told.update(providers=told["providers"] * 2), "provider.id", "twice"),
        (lambda told: told["providers"][0].update(services=[1]), "service", "not-object"),
        (lambda told: told["providers"][0]["services"][0].update(history=[]), "history", "none"),
        (lambda told: told["providers"][0]["services"][0].update(type="oracle"), "type", "choice"),
        (lambda told: told["operator"].update(name={}), "operator.name", "not-names"),
        (lambda told: told["operator"].update(id="a\x1b"), "operator.id", "not-id"),
        (lambda told: told["operator"].update(uri="a\n"), "uri", "not-text"),
        (told_of(since="2026-01-01T00:00:00Z"), "since", "after-issue"),
        (told_of(period={"since": "2026-01-01T00:00:00Z", "until": ""}), "period.until", "no-moment"),
        (told_of(policy="1.02"), "policy", "not-oid"),
        (told_of(root="not base64"), "root", "not-base64"),
        (told_of(root=""), "signing_ca", "no-root"),
        (told_of(root="", signing_ca=""), "state", "no-anchor"),
        (told_of(entity_id="a"), "entity_id", "no-address"),
        (told_of(extra=1), "state", "unknown-members"),
        (told_of(jwks=[{"kty": "EC", "d": "x"}]), "jwks", "not-public"),
        (told_of(jwks=[{"kty": "EC", "x": 1}]), "jwks", "odd-members"),
        (told_of(levels={"": "a"}), "levels", "not-id"),
        (told_of(qualifications=[{}]), "qualifications", "members"),
        (told_of(qualifications=[{"qualifiers": [], "criteria": {}}]), "qualifiers", "none"),
        (told_of(qualifications=[{"qualifiers": ["a"], "criteria": {}}]), "qualifications", "unreadable"),
        (criteria(assertion="most"), "assertion", "choice"),
        (criteria(unknown=-1), "unknown", "not-number"),
        (criteria(extra=1), "qualifications", "unknown-members"),
        (criteria(key_usage=[{"sign": True}]), "key_usage", "not-bits"),
        (criteria(policies=[["x"]]), "policies", "not-oid"),
        (criteria(lists=[nested(8)]), "qualifications", "too-deep"),
    ],
)
def test_what_no_list_may_say(change, field, reason):
    told = json.loads(a_list().dumps())
    change(told)
    with pytest.raises(BadList) as refused:
        TrustList.loads(canonical.dumps(told))
    assert (refused.value.params["field"], refused.value.params["reason"]) == (field, reason)
    said = {refused.value.explain(lang)["detail"] for lang in i18n.LANGUAGES}
    assert len(said) == len(i18n.LANGUAGES) and not re.search(r"⟦|{|\.\.|\x1b", "".join(said))


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
    with pytest.raises(BadList) as refused:
        Wish.of({"provider": {}}, LATER)
    assert refused.value.params["reason"] == "members"


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ([wish(), wish()], "at-once"),
        ([wish(provider="another")], "another-provider"),
        ([replace(wish(), type=ServiceType.TIMESTAMP)], "another-type"),
    ],
)
def test_changes_that_contradict(bad, reason):
    with pytest.raises(BadList) as refused:
        apply(a_list(), bad, LATER, DUE)
    assert refused.value.params["reason"] == reason and "post-ca" in str(refused.value)


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
    with pytest.raises(BadSignature):
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
    with pytest.raises(BadSignature):
        signed.read(tamper(signed.sign(b"payload", signer, LATER, signed.LIST)), signed.LIST)


@pytest.mark.parametrize("suite", list(crypto.Suite))
def test_another_key_than_the_certificate_s_signs_nothing(suite):
    forger = SimpleNamespace(signer=crypto.generate(suite), chain=signer.chain)
    with pytest.raises(BadSignature):
        signed.read(signed.sign(b"payload", forger, LATER, signed.LIST), signed.LIST)


def test_why_a_list_could_not_be_fetched_is_told():
    for reason in (*fetch.REASONS, "not-found", "answered"):
        refused = NotFetched(url="https://a.example", reason=reason, answer="HTTP 500")
        assert len({refused.explain(lang)["detail"] for lang in i18n.LANGUAGES}) == len(i18n.LANGUAGES)
