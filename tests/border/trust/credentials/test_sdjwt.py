"""SD-JWT (RFC 9901) and SD-JWT VC: published vectors, every rule of the processing list, and what must hold for all."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wantong.border.trust import jws
from wantong.border.trust.credentials import sdjwt
from wantong.border.trust.verdict import Refused
from wantong.ground import crypto
from wantong.ground.crypto import Suite

VECTORS = Path(__file__).parent / "vectors"
NOW = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
ISSUER, HOLDER, STRANGER = (crypto.generate(Suite.ES256) for _ in range(3))
AUDIENCE, NONCE = "https://verifier.example", "n-0S6_WzA2Mj"


def cases(name: str) -> list[Any]:
    told = json.loads((VECTORS / name).read_text("utf-8"))
    return [pytest.param(case, id=case["name"].replace("/", ".")) for case in told["cases"]]


def issued(claims: dict[str, Any], conceal: list[sdjwt.Path], **more: Any) -> sdjwt.SdJwt:
    return sdjwt.issue(claims, conceal, signer=ISSUER, header={"typ": sdjwt.TYPE}, **more)


def credential(**more: Any) -> sdjwt.SdJwt:
    claims = {
        "vct": "https://gd.example/vct/degree/1",
        "cnf": {"jwk": jws.jwk(HOLDER.public)},
        "exp": int((NOW + timedelta(days=1)).timestamp()),
        "name": "陳大文",
        "address": {"city": "珠海", "street": "情侣路"},
        "marks": ["A", "B"],
        **more,
    }
    conceal: list[sdjwt.Path] = [("name",), ("address",), ("address", "street"), ("marks", None)]
    return sdjwt.issue_vc(claims, conceal, signer=ISSUER)


def presented(held: sdjwt.SdJwt | None = None, **how: Any) -> sdjwt.SdJwt:
    how = {"signer": HOLDER, "audience": AUDIENCE, "nonce": NONCE, "at": NOW, **how}
    return sdjwt.bind(held or credential(), **how)


def forged(payload: dict[str, Any], *disclosures: Any) -> sdjwt.SdJwt:
    """What an issuer could sign who does not keep the rules."""
    encoded = tuple(one if isinstance(one, str) else jws.b64(jws.compact(one)) for one in disclosures)
    return sdjwt.SdJwt(jws.peek(jws.sign(ISSUER, {"typ": sdjwt.TYPE}, payload)), encoded)


def digest(disclosure: Any) -> str:
    import hashlib

    return jws.b64(hashlib.sha256(jws.b64(jws.compact(disclosure)).encode()).digest())


def refused(code: str, text: str | sdjwt.SdJwt, **how: Any) -> None:
    with pytest.raises(Refused) as caught:
        sdjwt.verify(text if isinstance(text, str) else text.text, ISSUER.public, at=NOW, **how)
    assert caught.value.code == code


# --- published vectors ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "case",
    [
        *cases("sd-jwt-python.json"),
        *cases("rfc9901-examples.json"),
        *cases("sd-jwt-vc-examples.json"),
    ],
)
def test_specification(case: dict[str, Any]) -> None:
    """Issue, hold back, show: what the verifier sees is what the specification says he does."""
    whole = issued(case["claims"], [tuple(p) for p in case["conceal"]], decoys=2 if case["decoys"] else 0)
    assert sdjwt.unfold(whole).claims == case["claims"]
    if case["disclose"] is not None:
        shown = sdjwt.select(whole, [tuple(p) for p in case["disclose"]], whole=False)
        seen = sdjwt.verify(shown.text, ISSUER.public, at=NOW).claims if "vct" in case["claims"] else None
        seen = seen or sdjwt.unfold(sdjwt.parse(shown.text)).claims
        if case["expect"] is not None:
            assert seen == case["expect"]


def test_an_sd_jwt_made_by_others() -> None:
    told = json.loads((VECTORS / "oid4vp-sd-jwt.json").read_text())
    key = jws.public_key(told["issuer_key"])
    at = datetime.fromtimestamp(1744743400, UTC)
    seen = sdjwt.verify(told["presentation"], key, at=at, audience=told["audience"], nonce=told["nonce"])
    assert seen.claims == told["verified"]
    assert len(sdjwt.verify(told["issuance"], key, at=at).disclosed) == 3
    referenced = json.loads((VECTORS / "status-list.json").read_text())["tokens"]["sd_jwt"]
    assert sdjwt.unfold(sdjwt.parse(referenced)).claims["status"]["status_list"]["idx"] == 0


# --- showing --------------------------------------------------------------------------------------------------------


def test_only_what_was_chosen_is_shown() -> None:
    shown = sdjwt.select(credential(), [("address", "street"), ("marks", 1)])
    claims = sdjwt.verify(presented(shown).text, ISSUER.public, at=NOW, audience=AUDIENCE, nonce=NONCE).claims
    assert claims["address"] == {"city": "珠海", "street": "情侣路"}
    assert claims["marks"] == ["B"]
    assert "name" not in claims and "_sd" not in claims and "_sd_alg" not in claims


def test_a_whole_claim_or_only_itself() -> None:
    assert len(sdjwt.select(credential(), [("address",)]).disclosures) == 2
    assert len(sdjwt.select(credential(), [("address",)], whole=False).disclosures) == 1


def test_what_does_not_exist_cannot_be_concealed() -> None:
    for path in (("nothing",), ("name", "x"), ("marks", 2), ("marks", "x")):
        with pytest.raises(ValueError):
            issued({"name": "x", "marks": ["A", "B"]}, [path])
    with pytest.raises(ValueError, match="reserves"):
        issued({"a": {"...": 1}}, [])


@pytest.mark.parametrize("name", sorted(sdjwt.ALWAYS_SHOWN))
def test_what_must_stand_open_is_never_concealed(name: str) -> None:
    with pytest.raises(ValueError, match="never selectively disclosed"):
        sdjwt.issue_vc({"vct": "x", name: "y"}, [(name,)], signer=ISSUER)


# --- RFC 9901 section 7.1 -------------------------------------------------------------------------------------------


def test_the_issuers_signature() -> None:
    text = credential().text
    refused("jwt-form", text.replace(".", "", 1))
    with pytest.raises(Refused) as caught:
        sdjwt.verify(text, STRANGER.public, at=NOW)
    assert caught.value.code == "signature"
    _head, rest = text.split(".", 1)
    for header in ({"alg": "none"}, {"alg": "HS256"}, {"alg": "ES384"}, {"alg": ["ES256"]}, {}):
        bad = jws.b64(jws.compact({"typ": sdjwt.TYPE, **header}))
        refused("algorithm", f"{bad}.{rest}")
    for header, code in (({"typ": "JWT"}, "typ"), ({"typ": sdjwt.TYPE, "crit": ["x"]}, "critical")):
        bad = jws.b64(jws.compact({"alg": "ES256", **header}))
        refused(code, f"{bad}.{rest}")


def test_the_hash_algorithm() -> None:
    refused("sd-alg", forged({"vct": "x", "_sd_alg": "md5"}))
    refused("sd-alg", forged({"vct": "x", "_sd_alg": 7}))
    for algorithm in ("sha-384", "sha-512"):
        text = issued({"vct": "x", "a": 1}, [("a",)], sd_alg=algorithm).text
        assert sdjwt.verify(text, ISSUER.public, at=NOW).claims["a"] == 1


@pytest.mark.parametrize(
    ("code", "disclosure"),
    [
        ("disclosure-form", ["salt", "name"]),
        ("disclosure-form", ["salt", "name", "value", "more"]),
        ("disclosure-form", {"salt": 1}),
        ("disclosure-form", [1, "name", "value"]),
        ("disclosure-name", ["salt", "_sd", ["x"]]),
        ("disclosure-name", ["salt", "...", "x"]),
        ("disclosure-name", ["salt", 7, "x"]),
        ("disclosure-name", ["salt", "vct", "x"]),
    ],
)
def test_disclosures_of_claims(code: str, disclosure: Any) -> None:
    refused(code, forged({"vct": "x", "_sd": [digest(disclosure)]}, disclosure))


@pytest.mark.parametrize("disclosure", [["salt"], ["salt", "name", "value"]])
def test_disclosures_of_elements(disclosure: Any) -> None:
    refused("disclosure-form", forged({"vct": "x", "a": [{"...": digest(disclosure)}]}, disclosure))


def test_a_disclosure_that_is_no_json() -> None:
    import hashlib

    for bad in (jws.b64(b"["), jws.b64(b"\xff"), "====", "a"):
        named = jws.b64(hashlib.sha256(bad.encode()).digest())
        refused("disclosure-form", forged({"vct": "x", "_sd": [named]}, bad))


def test_one_name_twice_at_one_level() -> None:
    one, two = ["s1", "a", 1], ["s2", "a", 2]
    refused("disclosure-name", forged({"vct": "x", "_sd": [digest(one), digest(two)]}, one, two))


def test_a_digest_stands_once() -> None:
    one = ["s", "a", 1]
    refused("digest-twice", forged({"vct": "x", "_sd": [digest(one), digest(one)]}, one))
    refused("digest-twice", forged({"vct": "x", "_sd": ["d" * 43], "b": {"_sd": ["d" * 43]}}))
    inner = ["s", "b", {"_sd": ["d" * 43]}]
    refused("digest-twice", forged({"vct": "x", "_sd": [digest(inner), "d" * 43]}, inner))


def test_a_disclosure_nobody_asked_for() -> None:
    refused("disclosure-stray", forged({"vct": "x"}, ["s", "a", 1]))
    held = credential()
    street = next(d.encoded for d in sdjwt.unfold(held).disclosed if d.path == ("address", "street"))
    refused("disclosure-stray", dataclasses.replace(held, disclosures=(street,)))
    refused("disclosure-twice", dataclasses.replace(held, disclosures=(street, street)))


@pytest.mark.parametrize(
    "payload",
    [
        {"_sd": "x"},
        {"_sd": [1]},
        {"a": [{"...": 1}]},
        {"a": [{"...": "x", "b": 1}]},
        {"...": "x"},
        {"a": {"_sd_alg": "x"}},
    ],
)
def test_digests_that_are_none(payload: dict[str, Any]) -> None:
    refused("sd-form", forged({"vct": "x", **payload}))


def test_what_stays_hidden_leaves_no_trace() -> None:
    seen = sdjwt.unfold(dataclasses.replace(credential(), disclosures=()))
    assert seen.claims.keys() == {"vct", "cnf", "exp", "marks"}
    assert seen.claims["marks"] == [] and seen.dark == 4


def test_bounds() -> None:
    deep: Any = 1
    for _ in range(40):
        deep = [deep]
    refused("sd-form", forged({"vct": "x", "a": deep}))
    with pytest.raises(Refused):
        sdjwt.parse("a.b.c" + "~" * (sdjwt.MOST_DISCLOSURES + 2))
    with pytest.raises(Refused):
        sdjwt.parse("x" * (jws.LONGEST + 1))
    # JSON nested so deep that a reader would run out of stack
    with pytest.raises(Refused):
        jws.peek(f"{jws.b64(b'{}')}.{jws.b64(b'[' * 100_000)}.")


@pytest.mark.parametrize(
    ("code", "claims"),
    [
        ("expired", {"exp": int(NOW.timestamp()) - 61}),
        ("early", {"nbf": int(NOW.timestamp()) + 120}),
        ("time-form", {"exp": "tomorrow"}),
        ("time-form", {"exp": True}),
        ("time-form", {"nbf": None}),
    ],
)
def test_the_period(code: str, claims: dict[str, Any]) -> None:
    refused(code, forged({"vct": "x", **claims}))


def test_names_twice_in_json() -> None:
    body = b'{"vct":"x","vct":"y"}'
    head = jws.b64(jws.compact({"alg": "ES256", "typ": sdjwt.TYPE}))
    signed = f"{head}.{jws.b64(body)}"
    refused("jwt-form", f"{signed}.{jws.b64(ISSUER.sign(signed.encode()))}~")


# --- SD-JWT VC ------------------------------------------------------------------------------------------------------


def test_a_credential_has_a_type() -> None:
    refused("vct", forged({}))
    refused("vct", forged({"vct": "x", "aka_vcts": []}))
    refused("vct", forged({"vct": "x", "aka_vcts": ["x"]}))
    assert sdjwt.vcts({"vct": "x", "aka_vcts": ["y"]}) == ("x", "y")


def test_what_must_stand_open_is_refused_when_disclosed() -> None:
    one = ["s", "status", {}]
    refused("always-shown", forged({"vct": "x", "_sd": [digest(one)]}, one))
    inner = ["s", "jwk", {}]
    refused("always-shown", forged({"vct": "x", "cnf": {"_sd": [digest(inner)]}}, inner))
    refused("always-shown", forged({"vct": "x", "cnf": {"_sd": ["d" * 43]}}))


# --- key binding (section 7.3) --------------------------------------------------------------------------------------


def test_key_binding() -> None:
    bound = {"audience": AUDIENCE, "nonce": NONCE}
    assert sdjwt.verify(presented().text, ISSUER.public, at=NOW, **bound).claims["name"] == "陳大文"
    refused("kb-missing", credential(), **bound)
    refused("kb-unasked", presented())
    refused("kb-nonce", presented(nonce="other"), **bound)
    refused("kb-audience", presented(audience="https://other.example"), **bound)
    refused("kb-iat", presented(at=NOW - timedelta(minutes=6)), **bound)
    refused("kb-iat", presented(at=NOW + timedelta(minutes=2)), **bound)
    refused("signature", presented(signer=STRANGER), **bound)
    fewer = dataclasses.replace(presented(), disclosures=presented().disclosures[:1])
    refused("kb-hash", sdjwt.SdJwt(credential().jwt, (), presented().kb), **bound)
    assert fewer.kb is not None
    wrong_type = jws.sign(HOLDER, {"typ": "jwt"}, {"aud": AUDIENCE})
    refused("typ", dataclasses.replace(credential(), kb=wrong_type), **bound)
    refused("cnf-missing", presented(issued({"vct": "x"}, [])), **bound)
    refused("cnf-form", presented(issued({"vct": "x", "cnf": {"kid": "1"}}, [])), **bound)
    private = {**jws.jwk(HOLDER.public), "d": "AA"}
    refused("key-private", presented(issued({"vct": "x", "cnf": {"jwk": private}}, [])), **bound)
    refused("expired", presented(more={"exp": 1}), **bound)


def test_taking_a_disclosure_away_breaks_the_binding() -> None:
    whole = presented()
    refused("kb-hash", dataclasses.replace(whole, disclosures=()), audience=AUDIENCE, nonce=NONCE)


# --- for all --------------------------------------------------------------------------------------------------------

names = st.text(min_size=1, max_size=8).filter(lambda n: n not in sdjwt.RESERVED)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 53), 1 << 53) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4),
    max_leaves=12,
)


def all_paths(value: Any, path: sdjwt.Path = ()) -> list[sdjwt.Path]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [p for key, below in inner for p in ((*path, key), *all_paths(below, (*path, key)))]


@given(st.dictionaries(names, values, max_size=5), st.data())
def test_all_disclosed_is_what_was_issued(claims: dict[str, Any], data: st.DataObject) -> None:
    paths = all_paths(claims)
    conceal = data.draw(st.lists(st.sampled_from(paths), unique=True)) if paths else []
    whole = sdjwt.parse(issued(claims, conceal, decoys=data.draw(st.integers(0, 2))).text)
    unfolded = sdjwt.unfold(whole)
    assert unfolded.claims == claims
    assert {one.path for one in unfolded.disclosed} == set(conceal)
    if not conceal:
        return
    chosen = data.draw(st.lists(st.sampled_from(conceal), unique=True))
    shown = sdjwt.unfold(sdjwt.select(whole, chosen, whole=False))
    expected = {p for p in conceal if any(c[: len(p)] == p for c in chosen)}
    assert {one.path for one in shown.disclosed} == expected


@given(st.binary(max_size=200))
def test_nothing_but_refused_comes_of_noise(noise: bytes) -> None:
    for text in (
        noise.decode("latin-1"),
        "a.b.c~" + noise.decode("latin-1"),
        credential().text + noise.decode("latin-1"),
    ):
        with contextlib.suppress(Refused):
            sdjwt.verify(text, ISSUER.public, at=NOW)


@given(st.binary(max_size=64))
def test_base64url_is_read_strictly(data: bytes) -> None:
    text = jws.b64(data)
    assert jws.unb64(text) == data
    for bad in (text + "=", text + "\n", " " + text):
        with pytest.raises(ValueError):
            jws.unb64(bad)


@pytest.mark.parametrize(
    "text", ["A", "AB", "AAB", "AAAAB", "AA==", "A+AA", "A/AA", "A AA", "AA\nA", "é", "AAAé"]
)
def test_what_is_no_base64url(text: str) -> None:
    with pytest.raises(ValueError):
        jws.unb64(text)
