"""The pure parts: names and documents, lists, messages, words; and that noise never does more than be refused."""

from __future__ import annotations

import base64
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import ECKey, OKPKey, RSAKey

import wantong.border.trust.dcp as package
from wantong.border.trust import jws
from wantong.border.trust.dcp import (
    credentials,
    did,
    jose,
    kinds,
    messages,
    options,
    selfissued,
    statuslist,
    verdict,
    web,
)
from wantong.border.trust.verdict import Refused, Steps
from wantong.ground.i18n import LANGUAGES, catalogue

NOW = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
KEY = ECKey.generate_key("P-256")
OWN, OTHER = "did:web:gd.example", "did:web:hk.example"


def code(error: pytest.ExceptionInfo[Refused]) -> str:
    return error.value.code


# --- DIDs -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "url"), [
    ("did:web:gd.example", "https://gd.example/.well-known/did.json"),
    ("did:web:gd.example:body:health", "https://gd.example/body/health/did.json"),
    ("did:web:gd.example%3A8443", "https://gd.example:8443/.well-known/did.json"),
    ("did:web:127.0.0.1%3A8000:x", "http://127.0.0.1:8000/x/did.json"),
    ("did:web:xn--55qx5d.example", "https://xn--55qx5d.example/.well-known/did.json"),
])  # fmt: skip
def test_a_did_leads_to_an_address_and_back(name, url):
    assert did.address(name, plain={"127.0.0.1"}) == url
    assert did.name(url.removesuffix("/.well-known/did.json").removesuffix("/did.json")) == name


@pytest.mark.parametrize("name", [
    "", "did:web:", "did:key:z6Mk", "did:web:gd.example:", "did:web:gd.example::x", "web:gd.example", "did:web:-x.example",
    "did:web:gd.example:..:x", "did:web:gd.example:%2e%2e", "did:web:gd.example:a/b", "did:web:user@gd.example",
    "did:web:gd.example%2Fx", "did:web:gd.example%3A0", "did:web:gd.example%3A99999", "did:web:gd.example%3A",
    "did:web:gd.example%3A80%3A80", "did:web:gd.example#key", "did:web:gd.example?x", "did:web:[::1]", "did:web:a b",
    "did:web:gd.example\nx", "did:web:" + "a" * 200, "did:web:gd.example:x#y", "did:web:gd..example",
])  # fmt: skip
def test_what_is_no_did_web_leads_nowhere(name):
    with pytest.raises(Refused) as error:
        did.address(name)
    assert code(error) == "did-form"


def read(**changes) -> did.Document:
    told = {**did.document(OWN, [KEY], {did.CREDENTIAL_SERVICE: "https://gd.example/dcp/"}), **changes}
    return did.read(json.dumps(told).encode(), OWN)


def method(jwk: dict, **more) -> dict:
    return {"id": f"{OWN}#k", "type": "JsonWebKey", "controller": OWN, "publicKeyJwk": jwk, **more}


def test_our_own_document_reads_back():
    document = read()
    assert document.services == {"CredentialService": "https://gd.example/dcp"}
    found = did.method(document, f"{OWN}#{KEY.thumbprint()}", did.ASSERTION)
    assert found == did.method(document, f"#{KEY.thumbprint()}", did.AUTHENTICATION)
    assert found.key.thumbprint() == KEY.thumbprint()


def test_a_retired_key_proves_what_it_signed_and_signs_nothing_new():
    old = ECKey.generate_key("P-256")
    document = did.read(json.dumps(did.document(OWN, [KEY], {}, [old])).encode(), OWN)
    assert did.method(document, f"#{old.thumbprint()}", did.ASSERTION)
    for relationship in (did.INVOCATION, did.AUTHENTICATION):
        with pytest.raises(Refused) as error:
            did.method(document, f"#{old.thumbprint()}", relationship)
        assert code(error) == "key-relationship"


def test_a_document_speaks_for_itself_alone():
    public = KEY.as_dict(private=False)
    for entry in (method(public, controller=OTHER), method(public, id=f"{OTHER}#k"), method(public, id=7)):
        assert not read(verificationMethod=[entry]).methods
    with pytest.raises(Refused) as error:
        did.read(json.dumps(did.document(OTHER, [KEY], {})).encode(), OWN)
    assert code(error) == "doc-id"
    other = ECKey.generate_key("P-256").as_dict(private=False)
    with pytest.raises(Refused) as error:  # two keys under one name: whoever looks sees another
        read(verificationMethod=[method(public), method(other)])
    assert code(error) == "doc-form"


def test_keys_of_other_kinds_are_used_or_passed_over():
    for key, usable in (
        (ECKey.generate_key("P-384"), ("ES384",)),
        (OKPKey.generate_key("Ed25519"), ("EdDSA", "Ed25519")),
        (RSAKey.generate_key(2048), ("PS256", "RS256")),
        (ECKey.generate_key("secp256k1"), ()),
        (OKPKey.generate_key("X25519"), ()),
    ):
        (found,) = read(verificationMethod=[method(key.as_dict(private=False))]).methods.values()
        assert jws.usable(found.key) == usable
    for jwk in ({"kty": "oct", "k": "AA"}, {"kty": ["EC"]}, RSAKey.generate_key(1024).as_dict(private=False)):
        assert not read(verificationMethod=[method(jwk)]).methods
    with pytest.raises(Refused):
        read(verificationMethod=[method({"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"})])


def test_a_key_that_stands_where_it_is_used_is_for_that_use_alone():
    key = ECKey.generate_key("P-256").as_dict(private=False)
    document = read(
        verificationMethod=[], capabilityInvocation=[], assertionMethod=[], authentication=[method(key)]
    )
    assert did.method(document, "#k", did.AUTHENTICATION)
    with pytest.raises(Refused):
        did.method(document, "#k", did.INVOCATION)


# --- lists ----------------------------------------------------------------------------------------------------------


@given(st.sets(st.integers(0, 8 * statuslist.SMALLEST - 1), max_size=40), st.booleans())
def test_a_packed_list_says_what_was_put_in(revoked, multibase):
    bits = statuslist.unpack(statuslist.pack(revoked, multibase=multibase))
    for index in {*revoked, 0, 1, 77_777}:
        entry = credentials.Status("BitstringStatusListEntry", "revocation", index, "")
        try:
            statuslist.check(bits, entry)
            assert index not in revoked
        except Refused as error:
            assert index in revoked and error.code == "revoked"


def test_only_what_ends_a_credential_matters_and_what_nobody_knows_does():
    def status(type: str, purpose: str) -> credentials.Status:
        return credentials.Status(type, purpose, 1, "https://x.example/l")

    listed = [
        status("BitstringStatusListEntry", purpose)
        for purpose in ("revocation", "suspension", "refresh", "message", "?")
    ] + [status("Unknown", "refresh")]
    assert [s.purpose for s in statuslist.matters(listed)] == ["revocation", "suspension", "?", "refresh"]


# --- credentials, presentations, tokens -----------------------------------------------------------------------------


@pytest.mark.parametrize("profile", credentials.PROFILES)
def test_a_credential_reads_back_with_the_narrower_of_its_times(profile):
    text = credentials.issue(
        KEY,
        issuer=OWN,
        subject={"id": OTHER, "n": 1},
        type="T",
        now=NOW,
        lifetime=timedelta(days=1),
        profile=profile,
    )
    read = credentials.read(text, profile)
    assert (read.kinds, read.issuer, read.subject["n"], read.valid_from) == (("T",), OWN, 1, NOW)
    assert read.valid_until == NOW + timedelta(days=1)
    later = jose.sign(KEY, {}, {**jws.peek(text, 9999).payload, "exp": int(NOW.timestamp()) + 60})
    assert credentials.read(later, profile).valid_until == NOW + timedelta(seconds=60)
    with pytest.raises(Refused) as error:
        credentials.read(text, credentials.PROFILES[profile == credentials.VC11])
    assert code(error) == "vc-profile"


def test_an_issuer_that_is_an_object_is_known_by_its_id():
    text = credentials.issue(
        KEY, issuer=OWN, subject={"id": OTHER}, type="T", now=NOW, lifetime=timedelta(days=1)
    )
    claims = {**jws.peek(text, 9999).payload, "issuer": {"id": OWN, "name": "Guangdong"}}
    assert credentials.read(jose.sign(KEY, {}, claims)).issuer == OWN


READERS = (
    lambda text: selfissued.read(text, audience=OTHER, now=NOW),
    credentials.read,
    credentials.read_presentation,
    lambda text: did.read(text.encode("utf-8", "replace"), OWN),
    lambda text: messages.read_response(text.encode("utf-8", "replace")),
    statuslist.unpack,
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(st.text(max_size=200), st.sampled_from(READERS))
def test_noise_is_refused_and_never_crashes(text, reader):
    with pytest.raises(Refused):
        reader(text)


GOOD = {
    "token": selfissued.sign(KEY, issuer=OWN, audience=OTHER, now=NOW, access="x"),
    "vc": credentials.issue(KEY, issuer=OWN, subject={"id": OTHER}, type="T", now=NOW, lifetime=timedelta(days=1),
                            status={"type": "BitstringStatusListEntry", "statusPurpose": "revocation",
                                    "statusListIndex": "1", "statusListCredential": "https://x.example"}),
    "vc11": credentials.issue(KEY, issuer=OWN, subject={"id": OTHER}, type="T", now=NOW, lifetime=timedelta(days=1),
                              profile=credentials.VC11),
}  # fmt: skip
GOOD |= {
    "vp": credentials.present(KEY, holder=OTHER, audience=OWN, credentials=[GOOD["vc"]], profile=credentials.VC20, now=NOW),
    "vp11": credentials.present(KEY, holder=OTHER, audience=OWN, credentials=[GOOD["vc11"]], profile=credentials.VC11, now=NOW),
}  # fmt: skip


@given(st.data())
def test_a_member_replaced_by_anything_is_read_or_refused_and_never_crashes(data):
    kind = data.draw(st.sampled_from(sorted(GOOD)))
    claims = json.loads(json.dumps(jws.peek(GOOD[kind], 99_999).payload))
    place = claims
    while True:
        name = data.draw(st.sampled_from(sorted(place)))
        if not isinstance(place[name], dict) or data.draw(st.booleans()):
            break
        place = place[name]
    place[name] = data.draw(JSON)
    part = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    head, _, tail = GOOD[kind].split(".")
    reader = READERS[0] if kind == "token" else READERS[1] if kind.startswith("vc") else READERS[2]
    try:
        reader(f"{head}.{part}.{tail}")
    except Refused as error:
        assert all(isinstance(value, str) and value.isprintable() for value in error.params.values())


@given(st.data())
def test_a_document_with_a_member_replaced_is_read_or_refused_and_never_crashes(data):
    told = did.document(OWN, [KEY], {did.CREDENTIAL_SERVICE: "https://gd.example/dcp"})
    place: dict | list = told
    while True:
        name = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        if not isinstance(place[name], dict | list) or not place[name] or data.draw(st.booleans()):
            break
        place = place[name]
    place[name] = data.draw(JSON)
    try:
        document = did.read(json.dumps(told).encode(), OWN)
        did.method(document, None, did.ASSERTION)
    except Refused:
        pass


# --- messages -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("text", "wish"), [
    ("org.eclipse.dspace.dcp.vc.type:Member", messages.Scope(type="Member")),
    ("org.eclipse.dspace.dcp.vc.type:Member:read", messages.Scope(type="Member")),
    ("org.eclipse.dspace.dcp.vc.id:urn:uuid:8247b87d", messages.Scope(id="urn:uuid:8247b87d")),
    ("org.eclipse.dspace.dcp.vc.type:", None),
    ("org.example:Member", None),
])  # fmt: skip
def test_scopes(text, wish):
    assert messages.scope(text) == wish


# --- words ----------------------------------------------------------------------------------------------------------


def test_every_reason_has_words_in_four_languages():
    sources = "".join(path.read_text("utf-8") for path in Path(package.__file__).parent.glob("*.py"))
    reasons = set(re.findall(r'Refused\(\s*"([a-z0-9-]+)"', sources))
    reasons |= {"fetch-unreachable", "fetch-slow", "fetch-too-large"}
    reasons |= {"jwt-form", "jwt-long", "jwt-time", "critical", "algorithm", "signature"}  # of trust/jws.py
    texts = {key: said for key, said in catalogue().items() if key.startswith("dcp.")}
    assert {f"dcp.why.{reason}" for reason in reasons} == {key for key in texts if key.startswith("dcp.why.")}
    for family in ("step", "next"):
        assert {f"dcp.{family}.{name}" for name in verdict.STEPS} == {
            key for key in texts if key.startswith(f"dcp.{family}.")
        }
    for key, said in texts.items():
        assert set(said) == set(LANGUAGES), key
        assert len({frozenset(re.findall(r"{(\w+)}", text)) for text in said.values()}) == 1, key


def test_a_verdict_survives_the_table_it_is_kept_in():
    steps = Steps(verdict.TOPIC)
    with steps.take(verdict.TOKEN):
        pass
    with pytest.raises(Refused), steps.take(verdict.CREDENTIAL, "Member"):
        raise Refused("vc-expired", expired="a\x1b[31mb")
    shown = verdict.Shown(("Member",), OTHER, NOW, {"n": 1})
    told = verdict.Verdict(OWN, NOW, tuple(steps.taken), (shown,))
    again = verdict.from_dict(json.loads(json.dumps(told.to_dict())))
    assert again == told and not again.proven
    assert list(again.explain("pt"))[1].startswith("✗ A credencial Member") and "\x1b" not in "".join(
        again.explain("en")
    )


# --- options and memory ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("table", [
    {"network": []}, {"networks": ["inside"]}, {"tolerates": ["everything"]}, {"at_once": 0}, {"at_once": "x"},
    {"credentials": "/nowhere.yaml"}, {"networks": 7},
])  # fmt: skip
def test_options_that_cannot_be_are_not_taken(table):
    with pytest.raises(options.BadOptions):
        options.read(table)


def test_a_file_of_the_operators_own_says_which_credentials_there_are(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("LicenceCredential: {confers: licensee, required: true}\n")
    assert kinds.load(options.read({"credentials": str(file)}).credentials)["LicenceCredential"].required
    bad = tmp_path / "bad.yaml"
    bad.write_text("LicenceCredential: {requires: true}\n")
    with pytest.raises(options.BadOptions):
        options.read({"credentials": str(bad)})


def test_http_is_for_a_loopback_that_was_named():
    assert options.read({}).plain == frozenset() == options.read({"networks": ["10.0.0.0/8"]}).plain
    assert options.read({"networks": ["127.0.0.0/8"]}).plain == {"127.0.0.1", "localhost"}


def test_memory_is_bounded_and_keeps_failures_for_a_moment():
    clock, made = [0.0], []
    memory = web.Memory(2, lambda: clock[0])

    def make(name):
        made.append(name)
        if name == "bad":
            raise Refused("fetch-slow", host="x")
        return name

    for name in ("a", "a", "b", "c", "a"):
        assert memory.get(name, 100, lambda name=name: make(name)) == name
    assert made == ["a", "b", "c", "a"], "the oldest of three made room"
    for _ in range(3):
        with pytest.raises(Refused):
            memory.get("bad", 100, lambda: make("bad"))
    assert made.count("bad") == 1
    clock[0] = web.FAILURE_LIFE + 1
    with pytest.raises(Refused):
        memory.get("bad", 100, lambda: make("bad"))
    assert made.count("bad") == 2
    assert memory.peek("a") == "a" and memory.peek("nothing") is None
    clock[0] = 200
    assert memory.peek("a") is None
