"""Cards and request tokens: what is accepted, and every way in which one is not."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from threading import Barrier, Thread

import pytest
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import OctKey, OKPKey

from wantong.border.trust import cards, keys, services, tokens, verifiers
from wantong.border.trust.models import Peer, UsedToken
from wantong.ground.actors import Actor
from wantong.ground.config import NodeConfig
from wantong.ground.http.auth import NotAllowed
from wantong.ground.i18n import LANGUAGES

NOW = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
KEY = OKPKey.generate_key("Ed25519")
REQUEST = tokens.Request("POST", "https://hk.example/dsp/2025-1/catalog/request", b'{"a":1}')


def token(now: datetime = NOW, key: OKPKey = KEY, request: tokens.Request = REQUEST, **more) -> str:
    said = {"issuer": "gd.example", "audience": "hk.example", "request": request, "now": now, **more}
    return tokens.sign(key, **said)


def check(
    text: str, key: OKPKey = KEY, request: tokens.Request = REQUEST, now: datetime = NOW
) -> tokens.Claims:
    return tokens.verify(text, key, audience="hk.example", request=request, now=now)


def test_a_good_token_tells_who_and_which_message():
    claims = check(token(message_id="m-7"))
    assert (claims.issuer, claims.message_id) == ("gd.example", "m-7")
    assert tokens.issuer(token()) == "gd.example"
    assert check(token()).jti != check(token()).jti


def test_the_path_may_be_written_with_or_without_percents():
    written = tokens.Request("GET", "https://hk.example/d/urn%3Ahk%3Apax?a=b%20c")
    seen = tokens.Request("GET", "https://hk.example/d/urn:hk:pax?a=b c")
    assert check(token(request=written), request=seen)


def forged(claims: dict, header: dict | None = None, key=KEY) -> str:
    now = int(NOW.timestamp())
    good = {"iss": "gd.example", "aud": "hk.example", "iat": now, "exp": now + 60, "jti": "j", "htm": "POST",
            "htu": REQUEST.url, "bod": tokens.digest(REQUEST.body)}  # fmt: skip
    good = {name: value for name, value in {**good, **claims}.items() if value is not None}
    return jwt.encode(header or {"alg": "Ed25519"}, good, key, algorithms=["Ed25519", "HS256", "none"])


now = int(NOW.timestamp())
BAD = {
    "another key": token(key=OKPKey.generate_key("Ed25519")),
    "another audience": token(audience="mo.example"),
    "another method": token(request=tokens.Request("GET", REQUEST.url, REQUEST.body)),
    "another address": token(request=tokens.Request("POST", "https://hk.example/other", REQUEST.body)),
    "another body": token(request=tokens.Request("POST", REQUEST.url, b"{}")),
    "too old": token(now=NOW - timedelta(seconds=91)),
    "from the future": token(now=NOW + timedelta(seconds=31)),
    "good for a day": forged({"exp": now + 86400}),
    "ends before it begins": forged({"exp": now - 10}),
    "fractions of a second": forged({"iat": now + 0.5}),
    "true as a time": forged({"iat": True}),
    "no jti": forged({"jti": None}),
    "an endless jti": forged({"jti": "j" * 101}),
    "a list as audience": forged({"aud": ["hk.example"]}),
    "an empty message id": forged({"mid": ""}),
    "symmetric algorithm": forged({}, {"alg": "HS256"}, OctKey.generate_key(256)),
    "nothing": "",
    "no JWT": "a.b.c",
    "no signature": token().rpartition(".")[0] + ".",
}


@pytest.mark.parametrize("text", BAD.values(), ids=BAD.keys())
def test_a_bad_token_is_refused(text):
    with pytest.raises(tokens.BadToken):
        check(text)


def test_clocks_may_stand_half_a_minute_apart():
    assert check(token(now=NOW + timedelta(seconds=29)))
    assert check(token(now=NOW - timedelta(seconds=89)))


@given(st.binary(max_size=60) | st.just(b"." * 5000), st.integers(0, 200))
def test_garbage_in_a_token_is_refused_and_never_crashes(noise, place):
    good = token().encode()
    bad = (good[:place] + noise + good[place + len(noise) + 1 :]).decode("latin-1")
    if bad.encode("latin-1") != good:
        with pytest.raises(tokens.BadToken):
            check(bad)
        with pytest.raises(tokens.BadToken):
            tokens.issuer(noise.decode("latin-1"))


def node_at(path, name="gd.example") -> NodeConfig:
    return NodeConfig(name, "gd", {"en": "Guangdong"}, "https://gd.example", "https://data.gd.example", path)


def card(path, **more) -> bytes:
    made = cards.make(
        node_at(path), KEY, log_vkey="gd.example+00+AA", witness_vkey="gd.example/witness+00+AA"
    )
    return json.dumps({**json.loads(made), **more}).encode() if more else made


def test_a_card_is_read_back_and_has_a_fingerprint(tmp_path):
    read = cards.read(card(tmp_path))
    assert (read.participant_id, read.data_url) == ("gd.example", "https://data.gd.example")
    assert len(cards.fingerprint(read).split()) == 8
    assert "d" not in read.protocol_key, "no private key leaves"


@pytest.mark.parametrize(("change", "reason"), [
    ({"url": "https://evil.example"}, "not-signed"), ({"participant_id": "hk.example"}, "not-signed"),
    ({"signature": "AAAA"}, "not-signed"), ({"signature": "%"}, "unreadable"),
    ({"protocol_key": keys.public(OKPKey.generate_key("Ed25519"))}, "not-signed"),
    ({"card": "wantong-card/9"}, "version"), ({"protocol_key": {"kty": "oct", "k": "AA"}}, "unreadable"),
    ({"name": 1.5}, "unreadable"),
])  # fmt: skip
def test_a_changed_card_is_refused(tmp_path, change, reason):
    with pytest.raises(cards.BadCard) as refused:
        cards.read(card(tmp_path, **change))
    assert refused.value.params["reason"] == reason


@pytest.mark.parametrize(("change", "reason"), [
    ({"jurisdiction": "moon"}, "jurisdiction"), ({"name": {"tlh": "x"}}, "name"),
    ({"participant_id": ""}, "no-text"), ({"data_url": "file:///etc"}, "no-address"),
])  # fmt: skip
def test_a_card_that_is_signed_must_say_what_can_be(tmp_path, change, reason):
    with pytest.raises(cards.BadCard) as refused:
        cards.read(cards.make(replace(node_at(tmp_path), **change), KEY, log_vkey="a", witness_vkey="b"))
    assert refused.value.params["reason"] == reason
    assert not any("⟦" in refused.value.explain(lang)["detail"] for lang in LANGUAGES)


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b"\xff", b"[" * 100_000, b"x" * (65 << 10)])
def test_what_is_no_card_is_refused(data):
    with pytest.raises(cards.BadCard):
        cards.read(data)


def test_keys_are_made_once_and_readable_by_nobody_else(tmp_path):
    keys.generate(tmp_path / "keys")
    first = keys.load(tmp_path / "keys", keys.PROTOCOL).thumbprint()
    keys.generate(tmp_path / "keys")
    assert keys.load(tmp_path / "keys", keys.PROTOCOL).thumbprint() == first
    assert {path.name: oct(path.stat().st_mode & 0o777) for path in (tmp_path / "keys").iterdir()} == {
        "protocol.key": "0o600", "data.key": "0o600",
    }  # fmt: skip


# --- with the database ------------------------------------------------------------------------------------------

database = pytest.mark.django_db(transaction=True)


@pytest.fixture
def pinned(node):
    key = OKPKey.generate_key("Ed25519")
    other = NodeConfig(
        "hk.example", "hk", {"en": "Hong Kong"}, "https://hk.example", "https://d.hk.example", node.directory
    )
    services.pin(cards.make(other, key, log_vkey="l", witness_vkey="w"))
    return key


def signed(key, node, **more) -> str:
    request = tokens.Request("GET", f"{node.url}/x")
    said = {
        "issuer": "hk.example",
        "audience": node.participant_id,
        "request": request,
        "now": datetime.now(UTC),
    }
    return "Bearer " + tokens.sign(key, **{**said, **more})


def accept(header: str, node):
    return verifiers.authenticate(header, tokens.Request("GET", f"{node.url}/x"))


@database
def test_a_pinned_node_is_known_and_its_token_works_once(node, pinned):
    header = signed(pinned, node, message_id="m")
    caller = accept(header, node)
    assert (caller.peer.participant_id, caller.message_id) == ("hk.example", "m")
    with pytest.raises(verifiers.Unauthenticated):
        accept(header, node)


@database
def test_of_many_replays_at_one_moment_one_gets_in(node, pinned):
    header, results, barrier = signed(pinned, node), [], Barrier(6)

    def go():
        barrier.wait()
        try:
            accept(header, node)
            results.append("in")
        except verifiers.Unauthenticated:
            results.append("out")
        finally:
            connection.close()

    threads = [Thread(target=go) for _ in range(6)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert sorted(results) == ["in"] + ["out"] * 5


@database
def test_who_is_not_pinned_or_not_any_more_is_refused(node, pinned):
    with pytest.raises(verifiers.Unauthenticated):
        accept(signed(pinned, node, issuer="stranger.example"), node)
    services.release(services.system("test"), "hk.example")
    with pytest.raises(verifiers.Unauthenticated):
        accept(signed(pinned, node), node)
    with pytest.raises(services.UnknownPeer):
        services.peer("hk.example")


@database
@pytest.mark.parametrize("header", ["", "Basic x", "Bearer", "Bearer " + "x" * 9000, 'Bearer {"a":1}'])
def test_other_headers_are_refused(node, pinned, header):
    with pytest.raises(verifiers.Unauthenticated):
        accept(header, node)


@database
def test_pinning_again_renews_the_keys_and_nobody_pins_himself(node, pinned):
    new = OKPKey.generate_key("Ed25519")
    other = NodeConfig(
        "hk.example",
        "hk",
        {"en": "Hong Kong"},
        "https://new.hk.example",
        "https://d.hk.example",
        node.directory,
    )
    services.pin(cards.make(other, new, log_vkey="l", witness_vkey="w"))
    assert Peer.objects.get().url == "https://new.hk.example"
    assert accept(signed(new, node), node)
    with pytest.raises(verifiers.Unauthenticated):
        accept(signed(pinned, node), node)
    with pytest.raises(services.NotThisNode):
        services.pin(cards.make(node, new, log_vkey="l", witness_vkey="w"))


@database
def test_used_tokens_are_forgotten_when_they_could_not_be_replayed_anyway(node, pinned):
    accept(signed(pinned, node), node)
    assert verifiers.prune(datetime.now(UTC)) == 0
    assert verifiers.prune(datetime.now(UTC) + timedelta(minutes=10)) == 1
    assert not UsedToken.objects.exists()


class Password:
    """A foreign scheme: everybody may say who he is, if he knows the word."""

    def sign(self, peer, request, message_id):
        return f"Word for {peer.participant_id}"

    def verify(self, authorization, request):
        name, _, word = authorization.partition(":")
        if word != "open":
            raise tokens.BadToken("the word is wrong")
        peer = Peer.objects.filter(participant_id=name).first()
        if peer is None:
            raise tokens.BadToken("nobody of that name")
        return verifiers.Caller(peer)


FOREIGN = {
    "jurisdiction": "mo",
    "url": "https://edc.example/dsp/",
    "data_url": "https://edc.example/public",
    "protocol_url": "https://edc.example/dsp/2025-1",
    "scheme": "password",
}


@pytest.fixture
def two_schemes(settings):
    settings.WANTONG_SCHEMES = {**verifiers.SCHEMES, "password": f"{__name__}.Password"}


@database
def test_an_introduced_connector_is_known_by_its_own_scheme_and_no_other(node, pinned, two_schemes):
    edc = services.introduce(services.system("test"), "edc.example", **FOREIGN)
    assert edc.foreign and not Peer.objects.get(participant_id="hk.example").foreign
    assert accept("edc.example:open", node).peer == edc
    assert accept(signed(pinned, node), node).peer.participant_id == "hk.example"
    for header in ("edc.example:shut", "nobody:open", signed(pinned, node, issuer="edc.example")):
        with pytest.raises(verifiers.Unauthenticated):
            accept(header, node)
    request = tokens.Request("GET", "https://edc.example/dsp/x")
    assert services.sign_request(edc, request) == "Word for edc.example"
    services.release(services.system("test"), "edc.example")
    with pytest.raises(verifiers.Unauthenticated):
        accept("edc.example:open", node)


@database
def test_a_weaker_scheme_never_speaks_for_a_node_with_a_card(node, pinned, two_schemes):
    with pytest.raises(verifiers.Unauthenticated):
        accept("hk.example:open", node)
    with pytest.raises(services.KnownByCard):
        services.introduce(services.system("test"), "hk.example", **FOREIGN)
    assert accept(signed(pinned, node), node)


@database
def test_who_cannot_be_introduced(node, pinned, two_schemes):
    for wrong, error in (
        ({"scheme": "pinned-keys"}, verifiers.UnknownScheme),
        ({"scheme": "none"}, verifiers.UnknownScheme),
        ({"data_url": "file:///etc"}, services.BadAddress),
    ):
        with pytest.raises(error):
            services.introduce(services.system("test"), "edc.example", **{**FOREIGN, **wrong})
    with pytest.raises(services.NotThisNode):
        services.introduce(services.system("test"), node.participant_id, **FOREIGN)
    with pytest.raises(NotAllowed):
        services.introduce(Actor("user:x", "X", frozenset({"declarer"})), "edc.example", **FOREIGN)
    assert not Peer.objects.filter(participant_id="edc.example").exists()
