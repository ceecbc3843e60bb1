"""A federation of others read as a trust list: who is named in it, by which keys, since when, and until when."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import ECKey
from joserfc.jws import serialize_compact
from tests.border.trust.lists.test_services import LAM, LEI, keys  # noqa: F401 - a fixture

from wantong.border.trust.lists import ServiceType, Status, countersigning, receiving, services
from wantong.border.trust.lists.federated import Gathered, Read, Unfit, _under, keys_in, read
from wantong.border.trust.lists.models import Countersigning
from wantong.border.trust.lists.problems import BadList, BadSignature, NotFetched, RolledBack
from wantong.border.trust.lists.trustlist import TrustList
from wantong.ground.i18n import LANGUAGES
from wantong.ground.outbox import services as outbox
from wantong.ground.outbox.models import Event
from wantong.portal.services import make_operator

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
ANCHOR, BANK, UNIVERSITY = "https://anchor.example", "https://bank.example", "https://university.example"


def key() -> ECKey:
    made = ECKey.generate_key("P-256")
    return ECKey.import_key({**made.as_dict(private=True), "kid": made.thumbprint()})


@dataclass
class Federation:
    """An anchor and its subordinates; everything in it may be bent before it is signed."""

    anchor: ECKey = field(default_factory=key)
    entities: dict[str, ECKey] = field(default_factory=lambda: {BANK: key(), UNIVERSITY: key()})
    metadata: dict[str, Any] = field(
        default_factory=lambda: {
            BANK: {
                "federation_entity": {"organization_name": "Bank", "organization_name#zh-Hant": "銀行"},
                "openid_provider": {"scopes_supported": ["openid", "email"]},
            },
            UNIVERSITY: {
                "federation_entity": {"organization_name": "University"},
                "openid_credential_issuer": {
                    "credential_configurations_supported": {
                        "d": {"vct": "urn:degree"},
                        "m": {"doctype": "x.mdoc"},
                    },
                },
                "openid_relying_party": {},
            },
        }
    )
    at: datetime = NOW
    lasts: timedelta = timedelta(days=1)
    says: dict[str, Any] = field(default_factory=dict)
    own: dict[str, Any] = field(default_factory=dict)
    home: str = ANCHOR

    def signed(self, by: ECKey, claims: dict[str, Any], typ: str = "entity-statement+jwt") -> str:
        begin = int(self.at.timestamp())
        told = {"iat": begin, "exp": begin + int(self.lasts.total_seconds()), **claims}
        told = {name: value for name, value in told.items() if value is not None}
        return serialize_compact({"alg": "ES256", "typ": typ, "kid": by.kid}, json.dumps(told), by)

    def configuration(self) -> str:
        ends = {f"federation_{verb}_endpoint": f"{self.home}/{verb}" for verb in ("list", "fetch")}
        about = {"federation_entity": {"organization_name": "Anchor", **ends}}
        jwks = {"keys": [self.anchor.as_dict(private=False)]}
        return self.signed(self.anchor, {"iss": self.home, "sub": self.home, "jwks": jwks, "metadata": about})

    def statement(self, subject: str, **claims: Any) -> str:
        jwks = {"keys": [self.entities[subject].as_dict(private=False)]}
        return self.signed(
            self.anchor, {"iss": self.home, "sub": subject, "jwks": jwks, **self.says, **claims}
        )

    def configured(self, subject: str) -> str:
        by = self.entities[subject]
        told = {"iss": subject, "sub": subject, "jwks": {"keys": [by.as_dict(private=False)]}}
        told |= {"authority_hints": [self.home], "metadata": self.metadata[subject]}
        return self.signed(by, {**told, **self.own})

    def gathered(self) -> Gathered:
        return Gathered(
            self.configuration(), tuple((self.statement(one), self.configured(one)) for one in self.entities)
        )

    def pins(self) -> list[dict[str, Any]]:
        return [self.anchor.as_dict(private=False)]


def taken(federation: Federation, before: TrustList | None = None, now: datetime | None = None) -> TrustList:
    return of(federation, before, now).told


def of(
    federation: Federation, before: TrustList | None = None, now: datetime | None = None, made: Any = None
) -> Read:
    data, at = federation.gathered().dumps(), now or federation.at
    return read(data, federation.pins(), at, operator_id="it:anchor", before=before, made=made)


def test_its_subordinates_are_listed_as_what_they_say_they_are():
    federation = Federation()
    told = taken(federation)
    assert (told.uri, told.territory, told.operator_name) == (ANCHOR, "anchor.example", {"en": "Anchor"})
    assert (told.issued, told.next_update) == (NOW, NOW + timedelta(days=1))
    found = {one.id: one for _, one in told.services()}
    bank, university = found[f"{BANK}#identity-provider"], found[f"{UNIVERSITY}#issuer"]
    assert len(found) == 2, "a relying party is no service"
    assert bank.now.name == {"en": "Bank", "zh-hant": "銀行"}
    assert bank.now.jwks[0]["x"] == federation.entities[BANK].as_dict(private=False)["x"]
    assert university.now.credential_types == ("urn:degree", "x.mdoc")


def test_its_own_keys_are_those_of_its_metadata():
    federation, protocol = Federation(), key()
    federation.metadata[BANK]["openid_provider"]["jwks"] = {"keys": [protocol.as_dict(private=False)]}
    [bank] = [one for _, one in taken(federation).services() if one.now.entity_id == BANK]
    assert [one["kid"] for one in bank.now.jwks] == [protocol.kid]


def test_the_same_said_later_is_the_same():
    federation = Federation()
    first = taken(federation)
    federation.at += timedelta(hours=12)
    second = taken(federation, first)
    assert second.content == first.content and second.sequence > first.sequence


def test_who_is_gone_or_changed_keeps_what_it_was():
    federation = Federation()
    first = taken(federation)
    federation.at += timedelta(days=1)
    old = federation.entities[BANK]
    federation.entities = {BANK: key()}
    second = taken(federation, first)
    found = {one.now.entity_id: one for _, one in second.services()}
    assert [one.status for one in found[UNIVERSITY].history] == [Status.WITHDRAWN, Status.GRANTED]
    assert [one.jwks[0]["kid"] for one in found[BANK].history] == [federation.entities[BANK].kid, old.kid]
    assert found[UNIVERSITY].at(NOW + timedelta(hours=1)).status is Status.GRANTED
    federation.at += timedelta(days=1)
    federation.entities[UNIVERSITY] = key()
    third = {one.now.entity_id: one for _, one in taken(federation, second).services()}
    assert [one.status.value for one in third[UNIVERSITY].history] == ["granted", "withdrawn", "granted"]


def test_who_cannot_be_asked_stays_what_it_was():
    federation = Federation()
    first = taken(federation)
    federation.at += timedelta(hours=12)
    silent = Gathered(
        federation.configuration(), tuple((federation.statement(one), "") for one in federation.entities)
    )
    found = read(silent.dumps(), federation.pins(), federation.at, operator_id="it:anchor", before=first)
    assert found.told.content == first.content and dict(found.left) == {BANK: "silent", UNIVERSITY: "silent"}
    assert not list(
        read(silent.dumps(), federation.pins(), federation.at, operator_id="it:anchor").told.services()
    )


def test_who_leaves_is_gone_though_nothing_younger_was_said():
    """An anchor may sign its statements once and hand them out for months: a list with one fewer is another list."""
    federation = Federation(lasts=timedelta(days=90))
    first, later = taken(federation), NOW + timedelta(days=1, microseconds=5)
    del federation.entities[UNIVERSITY]
    second = taken(federation, first, later)
    assert second.sequence > first.sequence and second.issued == NOW + timedelta(days=1)
    found = {one.now.entity_id: one for _, one in second.services()}
    assert found[UNIVERSITY].now.status is Status.WITHDRAWN
    assert found[UNIVERSITY].at(NOW + timedelta(hours=1)).status is Status.GRANTED
    assert taken(federation, second, later + timedelta(hours=12)) == second, "the same is the same"


def test_who_speaks_again_by_an_old_statement_is_listed():
    federation = Federation(lasts=timedelta(days=90))
    silent = Gathered(federation.configuration(), ((federation.statement(BANK), ""),))
    first = read(silent.dumps(), federation.pins(), NOW, operator_id="it:anchor")
    again = of(federation, first.told, NOW + timedelta(hours=12), first.made).told
    assert again.sequence > first.told.sequence and len(list(again.services())) == 2


def test_nobody_is_put_back_by_statements_that_were_overtaken():
    federation = Federation(lasts=timedelta(days=90))
    old, keys_before = federation.gathered(), dict(federation.entities)
    federation.at += timedelta(days=1)
    federation.entities = {BANK: key()}
    young = of(federation)
    with pytest.raises(RolledBack):
        read(
            old.dumps(),
            federation.pins(),
            federation.at,
            operator_id="it:anchor",
            before=young.told,
            made=young.made,
        )
    # the anchor speaks anew, and of the bank an old word is shown
    federation.at += timedelta(days=1)
    mixed = Gathered(federation.configuration(), ((federation.statement(BANK), federation.configured(BANK)),))
    federation.at -= timedelta(days=2)
    replayed = replace(mixed, entities=((mixed.entities[0][0], federation.configured(BANK)),))
    found = read(
        replayed.dumps(), federation.pins(), NOW + timedelta(days=2), operator_id="it:anchor", before=young.told,
        made=json.loads(json.dumps(young.made)),
    )  # fmt: skip
    assert found.left == ((BANK, "older"),) and found.told.content == young.told.content
    assert keys_before[BANK].kid not in str(found.told.to_dict())


LEFT_OUT = {
    "run-out": {"own": {"exp": int(NOW.timestamp()) - 600, "iat": int(NOW.timestamp()) - 900}},
    "times": {"own": {"iat": int(NOW.timestamp()) + 3600}},
    "not-subordinate": {"own": {"authority_hints": ["https://other.example"]}},
    "another-key": {"says": {"jwks": {"keys": [key().as_dict(private=False)]}}},
    "no-service": {"says": {"constraints": {"allowed_entity_types": ["openid_relying_party"]}}},
    "policy": {"says": {"metadata_policy_crit": ["regexp"]}},
    "metadata": {"own": {"metadata": {"openid_provider": "yes"}}},
    "odd-members": {"own": {"jwks": {"keys": [{**key().as_dict(private=False), "kid": "a\0"}]}}},
    "not-public": {"own": {"jwks": {"keys": [{"kty": "oct", "k": "AAAA"}]}}},
}


@pytest.mark.parametrize("why", LEFT_OUT)
def test_one_that_cannot_be_read_is_left_out_and_the_reason_told(why: str):
    found = of(Federation(**LEFT_OUT[why]))
    assert set(dict(found.left).values()) == {why} and not list(found.told.services())


@pytest.mark.parametrize(
    "says",
    [
        {"iss": "https://other.example"}, {"sub": "nobody"}, {"crit": ["novelty"], "novelty": 1}, {"exp": 1}, {"iat": None},
        {"iat": int(NOW.timestamp()) + 3600}, {"sub": None}, {"sub": ANCHOR},
    ],
    ids=str,
)  # fmt: skip
def test_a_statement_that_is_not_the_anchor_s_refuses_the_whole(says: dict[str, Any]):
    with pytest.raises((BadSignature, BadList)):
        of(Federation(says=says))


def test_an_anchor_of_another_key_or_kind_is_refused():
    federation, data = Federation(), Federation().gathered().dumps()
    with pytest.raises(BadSignature) as refused:
        read(data, federation.pins(), NOW, operator_id="it:anchor")
    assert refused.value.params["reason"] == "not-pinned"
    federation.anchor, pins = key(), federation.pins()
    with pytest.raises(BadSignature):
        read(federation.gathered().dumps(), pins, NOW, operator_id="it:anchor")
    other = federation.signed(federation.anchor, {"iss": ANCHOR, "sub": ANCHOR}, typ="JWT")
    with pytest.raises(BadSignature):
        read(Gathered(other, ()).dumps(), federation.pins(), NOW, operator_id="it:anchor")


KNOWN = Federation()
BYTES, PINS = KNOWN.gathered().dumps(), KNOWN.pins()
FIRST = read(BYTES, PINS, NOW, operator_id="it:anchor").told


@given(st.integers(0, len(BYTES) - 1), st.integers(0, 255))
def test_no_byte_can_be_changed_and_say_something_else(at: int, to: int):
    changed = BYTES[:at] + bytes([to]) + BYTES[at + 1 :]
    try:
        found = read(changed, PINS, NOW, operator_id="it:anchor")
    except (BadList, BadSignature):
        return
    # what an entity says of itself may be spoilt: then it is left out, and the others are what they were
    kept = {one.id: one for _, one in found.told.services()}
    assert kept.items() <= {one.id: one for _, one in FIRST.services()}.items()
    assert len(kept) + len(found.left) == 2


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=8), lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8) | st.sampled_from(("federation", "anchor", "entities", "statement", "configuration")), inner, max_size=4), max_leaves=12))  # fmt: skip
def test_whatever_is_no_such_file_is_refused_in_words(told: Any):
    with pytest.raises((BadList, BadSignature)):
        read(json.dumps(told).encode(), PINS, NOW, operator_id="it:anchor")


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(st.characters(), max_size=6) | st.just("\ud800"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(("keys", "kty", "x", "vct", "a")), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@given(ANYTHING, ANYTHING, ANYTHING, ANYTHING)
def test_one_entity_cannot_keep_the_others_out(jwks: Any, kinds: Any, name: Any, whole: Any):
    """Whatever it says of itself under its own key: it is listed or left out, and nobody else is touched."""
    about = {"jwks": jwks, "credential_configurations_supported": {"a": {"vct": kinds}, "b": kinds}}
    spoilt = {
        "openid_credential_issuer": about,
        "federation_entity": {"organization_name": name},
        "other": whole,
    }
    bent = Federation(anchor=KNOWN.anchor, entities=KNOWN.entities)
    bent.metadata = {**KNOWN.metadata, UNIVERSITY: spoilt}
    found = {one.id: one for _, one in taken(bent).services()}
    kept = f"{BANK}#identity-provider"
    assert found[kept] == {one.id: one for _, one in FIRST.services()}[kept]


@pytest.mark.parametrize("allowed", [5, "openid_provider", {"openid_provider": 1}])
def test_what_an_anchor_allows_is_a_list(allowed: Any):
    found = of(Federation(says={"constraints": {"allowed_entity_types": allowed}}))
    assert set(dict(found.left).values()) == {"policy"}


# --- policies (section 6.1.3.1) ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "about", "found"),
    [
        ({"a": {"value": 1}}, {"a": 2}, {"a": 1}),
        ({"a": {"value": None}}, {"a": 2}, {}),
        ({"a": {"add": [2, 3]}}, {"a": [1, 2]}, {"a": [1, 2, 3]}),
        ({"a": {"add": [2]}}, {}, {"a": [2]}),
        ({"a": {"default": 1}}, {}, {"a": 1}),
        ({"a": {"default": 1}}, {"a": 2}, {"a": 2}),
        ({"a": {"one_of": [1, 2]}}, {"a": 2}, {"a": 2}),
        ({"a": {"one_of": [1, 2]}}, {}, {}),
        ({"a": {"one_of": [1, 2]}}, {"a": 3}, None),
        ({"a": {"subset_of": [1, 2]}}, {"a": [2, 3]}, {"a": [2]}),
        ({"a": {"superset_of": [1]}}, {"a": [1, 2]}, {"a": [1, 2]}),
        ({"a": {"superset_of": [1, 3]}}, {"a": [1, 2]}, None),
        ({"a": {"essential": True}}, {}, None),
        ({"a": {"essential": True}}, {"a": 1}, {"a": 1}),
        ({"a": {"default": 1, "essential": True}}, {}, {"a": 1}),
        ({"scope": {"subset_of": ["openid"]}}, {"scope": "openid email"}, {"scope": "openid"}),
        ({"a": "yes"}, {"a": 1}, None),
        ({"a": {"add": ["b"]}}, {"a": "no list"}, None),
        ({"a": {"subset_of": ["b"]}}, {"a": "b"}, None),
        ({"a": {"subset_of": ["b"]}}, {}, {}),
    ],
)
def test_metadata_stand_as_a_policy_lets_them(policy: Any, about: Any, found: Any):
    if found is None:
        with pytest.raises(Unfit):
            _under(policy, about)
    else:
        assert _under(policy, about) == found


def test_a_policy_can_keep_an_entity_out():
    ruled = {"openid_provider": {"scopes_supported": {"superset_of": ["address"]}}}
    assert dict(of(Federation(says={"metadata_policy": ruled})).left) == {BANK: "policy"}


@pytest.mark.parametrize(
    "pins", [b"{}", b'{"keys": []}', b'{"keys": [{"kty": "oct", "k": "AAAA"}]}', b"{", b'{"keys": 1}']
)
def test_what_is_no_set_of_public_keys_is_not_pinned(pins: bytes):
    with pytest.raises(BadList):
        keys_in(pins)
    with pytest.raises(BadList):
        keys_in(json.dumps({"keys": [key().as_dict(private=True)]}).encode())


# --- at a node -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def served() -> Iterator[Federation]:
    """A federation that answers over HTTP: the anchor and its entities at paths of one server."""
    begin = datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=100)
    federation = Federation(at=begin, metadata={}, entities={})

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = urlsplit(self.path)
            subject = parse_qs(asked.query).get("sub", [""])[0]
            one = f"{federation.home}{asked.path.partition('/.well-known')[0]}"
            body = ""
            if asked.path == "/list":
                body = json.dumps(list(federation.entities))
            elif asked.path == "/fetch" and subject in federation.entities:
                body = federation.statement(subject)
            elif asked.path == "/.well-known/openid-federation":
                body = federation.configuration()
            elif one in federation.entities and one in federation.metadata:
                body = federation.configured(one)
            self.send_response(200 if body else 404)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    federation.home = f"http://127.0.0.1:{server.server_port}"
    federation.entities = {f"{federation.home}/bank": key()}
    federation.metadata = {f"{federation.home}/bank": {"openid_provider": {"client_name": "Bank"}}}
    yield federation
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.django_db
def test_a_federation_counts_when_two_people_have_let_it(served: Federation):
    pins, bank = json.dumps({"keys": served.pins()}).encode(), f"{served.home}/bank"
    with pytest.raises(BadList):
        receiving.pin_scheme(LAM, "it:anchor", pins)
    receiving.pin_scheme(LAM, "it:anchor", pins, url=served.home)
    row = receiving.gather("it:anchor")
    assert row is not None and row.form == "fed" and receiving.gather("it:anchor") is None

    def known(at: datetime | None = None) -> bool:
        asked = at or datetime.now(UTC)
        return services.recognise_entity(bank, ServiceType.IDENTITY_PROVIDER, asked).recognised

    assert not known()
    countersigning.compared(LAM, row)
    countersigning.countersign(LEI, row)
    assert known()
    # said again, it needs nobody; said of another, it waits
    served.at += timedelta(seconds=30)
    again = receiving.gather("it:anchor")
    assert again is not None and known() and again.sequence > row.sequence
    served.at += timedelta(seconds=20)
    served.entities = {}
    gone = receiving.gather("it:anchor")
    assert gone is not None and known(), "what two have let count, counts until two look again"
    countersigning.compared(LAM, gone)
    countersigning.countersign(LEI, gone)
    assert not known(served.at + timedelta(seconds=5)) and known(served.at - timedelta(seconds=10))
    assert receiving.take_in(LAM, "it:anchor", gone.original.encode()) is None


@pytest.mark.django_db(transaction=True)
def test_the_worker_asks_every_anchor_in_its_round(served: Federation):
    pins = json.dumps({"keys": served.pins()}).encode()
    receiving.pin_scheme(LAM, "it:anchor", pins, url=served.home)
    outbox.publish("trustlist.round", "trustlist.round", {})
    until = time.monotonic() + 20
    while (
        time.monotonic() < until and not Event.objects.filter(topic="trustlist.gather", state="done").exists()
    ):
        outbox.drain()
        time.sleep(0.1)
    assert receiving.received("it:anchor").form == "fed"


@pytest.mark.django_db
def test_an_anchor_of_another_name_or_that_is_not_there(served: Federation):
    pins = json.dumps({"keys": served.pins()}).encode()
    receiving.pin_scheme(LAM, "it:anchor", pins, url=f"{served.home}/nothing")
    with pytest.raises(NotFetched) as refused:
        receiving.gather("it:anchor")
    assert refused.value.params["reason"] == "not-found"
    receiving.pin_scheme(LAM, "it:anchor", pins, url="https://anchor.example")
    with pytest.raises(BadList) as another:
        receiving.take_in(LAM, "it:anchor", served.gathered().dumps())
    assert another.value.params["reason"] == "another-operator"


@pytest.mark.django_db
def test_an_anchor_cannot_have_inner_addresses_called(served: Federation):
    """Its endpoints and entities are called at public addresses or its own alone."""
    inside = "http://10.0.0.1/bank"
    served.entities[inside], served.metadata[inside] = key(), {"openid_provider": {}}
    receiving.pin_scheme(LAM, "it:anchor", json.dumps({"keys": served.pins()}).encode(), url=served.home)
    row = receiving.gather("it:anchor")
    assert row is not None and inside not in row.payload


@pytest.mark.django_db
def test_people_see_who_is_left_out_and_decide_on_what_they_saw(served: Federation, client: Client):
    silent = f"{served.home}/silent"
    served.entities[silent] = key()
    receiving.pin_scheme(LAM, "it:anchor", json.dumps({"keys": served.pins()}).encode(), url=served.home)
    first = receiving.gather("it:anchor")
    served.at += timedelta(seconds=30)
    served.metadata[silent] = {"openid_provider": {}}
    second = receiving.gather("it:anchor")
    assert first is not None and second is not None and not second.federation["left"]
    pages = {
        lang: client.get(f"/{lang}/trust/lists/it:anchor/?number={first.sequence}").content.decode()
        for lang in LANGUAGES
    }
    assert all(silent in page for page in pages.values()) and "it did not answer" in pages["en"]
    newest = client.get("/en/trust/lists/it:anchor/").content.decode()
    assert (
        "it did not answer" not in newest
        and f'<input type="hidden" name="number" value="{second.sequence}"' not in newest
    )
    differ = client.get(f"/en/trust/lists/it:anchor/differences?to={second.sequence}").content.decode()
    assert f"{silent}#identity-provider" in differ and f"{served.home}/bank#identity-provider" not in differ
    assert served.entities[silent].thumbprint() in differ, "two people compare the keys"
    assert "Named root" not in differ, "what is empty before and after is no difference"
    told = client.get(f"/api/trust/lists/it:anchor/waiting?number={first.sequence}").json()
    assert [(one["entity"], one["reason"]) for one in told["left_out"]] == [(silent, "silent")]
    user = make_operator("lam", ("operator",), "x" * 20)
    client.force_login(user)
    act = "/en/trust/lists/it:anchor/act"
    for number in ("", "99999999999", str(second.sequence + 1)):
        assert client.post(act, {"act": "compare", "number": number}).status_code == 404
    assert client.post(act, {"act": "compare", "number": first.sequence}).status_code in (302, 409, 422)
    assert not Countersigning.objects.filter(received=second).exists(), "never another than was seen"
    assert client.post(act, {"act": "look"}).status_code == 302
    assert Event.objects.filter(topic="trustlist.gather").exists()
