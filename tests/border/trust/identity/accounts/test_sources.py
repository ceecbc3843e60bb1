"""Signing in through other systems: shaped like those of the three places, and liars among them."""

from __future__ import annotations

import datetime as dt
import time

import pytest
from django.test import Client
from django.utils import timezone
from tests.border.trust.identity.accounts.people import Person
from tests.border.trust.identity.accounts.systems import OPERATOR

from wantong.border.trust.identity.accounts import authenticators, levels, presence
from wantong.border.trust.identity.accounts.models import Account, Away, Evidence, SignedIn, Source
from wantong.border.trust.identity.accounts.problems import BadSource, SourceFailed, SourceUnknown
from wantong.border.trust.identity.accounts.sources import iamsmart
from wantong.border.trust.identity.accounts.sources import services as sources
from wantong.ground.actors import Actor
from wantong.ground.http.auth import NotAllowed
from wantong.ground.log.models import LogEntry
from wantong.node.demo import identity as simulators
from wantong.node.demo.identity.residents import resident

pytestmark = pytest.mark.django_db(transaction=False)
HOST = {"HTTP_HOST": "gd.wantong.example"}


@pytest.mark.parametrize(
    ("source", "who", "native", "document"),
    [("guangdong", "chan", "4", "cn-home-return-permit"), ("iam-smart", "chan", "plus", "hk-id"),
     ("iam-smart", "wong", "default", "hk-id"), ("one-account", "lei", "eid", "mo-bir")],
)  # fmt: skip
def test_somebody_signs_in_through_it(systems, person, source, who, native, document):
    answer = person.through(source, who, next="/en/identity/links")
    assert (answer.status_code, answer["Location"]) == (302, "/en/identity/links")
    account = Account.objects.get()
    assert (account.issuer, account.native_level) == (systems.urls[source], native)
    told = Evidence.objects.get()
    assert (told.document, told.verified_by) == (document, systems.urls[source])
    assert "person and document verified together" in person.get("identity").content.decode()


def test_the_second_time_it_is_the_same_account(systems, person):
    for _ in range(2):
        person.through("iam-smart", "chan")
    assert Account.objects.count() == 1 and Evidence.objects.count() == 1


def test_no_number_is_kept_in_clear_and_names_are_kept_as_printed(systems, person):
    person.through("iam-smart", "chan")
    told = Evidence.objects.get()
    assert [name["text"] for name in told.names] == ["陳紫荊", "CHAN, Tsz King"]
    everything = str([vars(told), *map(vars, Account.objects.all())])
    assert "683365" not in everything and len(told.number) == 64
    assert told.birth == "1991-07-16"


def test_a_card_with_the_year_only_stays_so(systems, person):
    person.through("iam-smart", "wong")
    assert Evidence.objects.get().birth == "1958"


def test_what_somebody_typed_in_there_is_no_evidence(systems, person):
    person.through("guangdong", "zhou")
    assert Account.objects.get().native_level == "2" and not Evidence.objects.exists()
    assert "not verified" in person.get("identity").content.decode()


def test_who_changed_his_mind_is_told_so(systems, person):
    answer = person.through("iam-smart", "nobody")
    assert answer.status_code == 502 and "not signed in there" in answer.content.decode()
    assert not person.is_in


def test_an_answer_counts_once_and_only_in_the_browser_that_was_sent(systems, person):
    went = person.client.post("/en/identity/sources/guangdong", {})["Location"]
    back = person.comes_back(went, "chan")
    stranger = Client(**HOST)
    assert (
        "was not sent there" in stranger.get(back).content.decode() or stranger.get(back).status_code == 502
    )
    assert Account.objects.count() == 0
    assert person.client.get(back).status_code == 302
    assert person.client.get(back).status_code == 502
    assert person.client.get("/identity/return/guangdong?code=x").status_code == 502


def test_an_answer_for_one_source_is_none_for_another(systems, person):
    went = person.client.post("/en/identity/sources/guangdong", {})["Location"]
    back = person.comes_back(went, "chan").replace("return/guangdong", "return/iam-smart")
    assert person.client.get(back).status_code == 502
    assert Account.objects.count() == 0


def test_who_takes_too_long_begins_again(systems, person):
    went = person.client.post("/en/identity/sources/guangdong", {})["Location"]
    Away.objects.update(expires_at="2026-01-01T00:00:00Z")
    assert person.client.get(person.comes_back(went, "chan")).status_code == 502


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"iss": "https://evil.example"}, "another system"),
        ({"aud": "somebody"}, "somebody else"),
        ({"aud": ["wantong", "other"]}, "somebody else"),
        ({"azp": "other"}, "somebody else"),
        ({"nonce": "x"}, "another request"),
        ({"exp": 1}, "expired"),
        ({"exp": None}, "expired"),
        ({"exp": "soon"}, "expired"),
        ({"iat": 9999999999}, "expired"),
        ({"sub": ""}, "who you are"),
        ({"sub": 7}, "who you are"),
        ({"sub": "somebody-else"}, "who you are"),
    ],
)
def test_an_identity_token_that_is_not_for_us_now(systems, person, change, reason):
    systems.oneaccount.change = change
    try:
        answer = person.through("one-account", "lei")
    finally:
        systems.oneaccount.change = {}
    assert answer.status_code == 502 and reason in answer.content.decode()
    assert not Account.objects.exists()


def test_who_should_show_again_that_it_is_he_must_have_done_so(systems, person):
    systems.oneaccount.change = {"auth_time": int(time.time()) - 3600}
    try:
        assert person.through("one-account", "lei").status_code == 302
        answer = person.through("one-account", "lei", fresh="1")
    finally:
        systems.oneaccount.change = {}
    assert "sign in once more" in answer.content.decode()


def test_a_content_key_that_ended_is_asked_for_again(systems, person, monkeypatch):
    asked = []
    key = systems.iamsmart.routes[("POST", "/api/v1/security/getKey")]

    def ends_at_once(request):
        asked.append(request)
        answer = key(request)
        if len(asked) == 1:
            systems.iamsmart.end_keys()
        return answer

    monkeypatch.setitem(systems.iamsmart.routes, ("POST", "/api/v1/security/getKey"), ends_at_once)
    assert person.through("iam-smart", "chan").status_code == 302
    assert len(asked) == 2


def test_a_body_that_was_tampered_with_is_not_read():
    cek = iamsmart.Cek(bytes(32))
    import base64
    import json

    sealed = bytearray(base64.b64decode(json.loads(cek.seal({"openID": "x"}))["content"]))
    sealed[-1] ^= 1
    for content in (base64.b64encode(sealed).decode(), "", "!", None, 7):
        with pytest.raises(SourceFailed):
            cek.open(content)


def test_guangdong_s_answers_are_signed(systems, person, monkeypatch):
    theirs = systems.guangdong.routes[("POST", "/api/user_info")]

    def raised(request):
        status, headers, body = theirs(request)
        return status, headers, body.replace(b'"user_level": "2"', b'"user_level": "5"')

    monkeypatch.setitem(systems.guangdong.routes, ("POST", "/api/user_info"), raised)
    answer = person.through("guangdong", "zhou")
    assert answer.status_code == 502 and "signature" in answer.content.decode()


def test_a_source_that_does_not_answer(systems, person, settings):
    Source.objects.filter(name="iam-smart").update(
        settings={"base": "http://127.0.0.1:9", "client_id": "wantong"}
    )
    went = person.client.post("/en/identity/sources/one-account", {})
    assert went.status_code == 302
    Source.objects.filter(name="one-account").update(issuer="http://127.0.0.1:9")
    answer = person.client.post("/en/identity/sources/one-account", {})
    assert answer.status_code == 502


def test_operators_set_sources_up(systems):
    with pytest.raises(NotAllowed):
        sources.retire(Actor("user:x", "x", frozenset({"auditor"})), "guangdong")
    sources.retire(OPERATOR, "guangdong")
    assert "guangdong" not in [one.name for one in sources.listed()]
    with pytest.raises(SourceUnknown):
        sources.get("guangdong")
    assert LogEntry.objects.filter(kind="identity.source").count() == 4
    told = {"issuer": "https://a.example", "title": {"en": "A"}, "secrets": {"client_secret": "s"}}
    fine = {"base": "https://a.example", "client_id": "x"}
    for why, settings, scheme in (
        ("missing", {}, ""),
        ("no-address", {**fine, "base": "file:///etc"}, ""),
        ("unjudged", fine, "mars"),
    ):
        with pytest.raises(BadSource) as refused:
            sources.add(OPERATOR, "a", adapter_name="guangdong", scheme=scheme, settings=settings, **told)
        assert refused.value.params["why"] == why
    with pytest.raises(SourceUnknown):
        sources.add(OPERATOR, "a", adapter_name="mars", settings=fine, **told)
    with pytest.raises(BadSource) as refused:
        sources.add(OPERATOR, "iam-smart", adapter_name="guangdong", settings=fine, **told)
    assert refused.value.params["why"] == "taken"


def test_secrets_are_not_in_the_database(systems, named):
    assert "shared" not in str(list(Source.objects.values()))
    assert (named.keys / "source-guangdong.key").stat().st_mode & 0o777 == 0o600


def test_simulators_start_beside_a_demonstration_only(tmp_path):
    with pytest.raises(simulators.NotADemonstration), simulators.start(tmp_path, lambda *_: []):
        pass


def test_a_locked_account_stays_out(systems, person):
    person.through("iam-smart", "chan")
    Account.objects.update(state="locked")
    other = Person(Client(**HOST))
    assert other.through("iam-smart", "chan").status_code == 403


def test_a_passkey_may_be_added_to_it_and_is_not_the_last_way_in(systems, person):
    person.through("iam-smart", "chan")
    made = person.device.create(person.options("add"))
    assert person.send("passkeys", made, label="telephone").status_code == 302
    account = Account.objects.get()
    authenticators.remove_passkey(account, authenticators.passkeys_of(account)[0].id)


def test_one_of_a_firm_s_staff_signs_in_for_it(systems, person, monkeypatch):
    assert person.through("guangdong", "clerk").status_code == 302
    account = Account.objects.get()
    assert account.kind == "staff" and account.organisation == resident("clerk").firm
    # the same subject does not become a person's, nor another firm's, nor one whose number is none
    for firm in ("", "91350100M000100Y43", "12345"):
        monkeypatch.setattr(systems.guangdong, "firm", firm)
        assert person.through("guangdong", "clerk").status_code == 502
    assert Account.objects.count() == 1


def test_who_is_there_does_or_has_to_do_better(systems, person, rf):
    """``step_up``: nothing, if it will do; else the way to the sign-in page with what is asked for."""
    person.through("one-account", "lei")
    request = rf.get("/")
    request.session = person.client.session
    fine = {
        "next": "/en/log",
        "assurance": levels.Assurance.SUBSTANTIAL,
        "aal": 2,
        "max_age": dt.timedelta(minutes=5),
    }
    assert presence.step_up(request, **fine) is None
    SignedIn.objects.update(authenticated_at=timezone.now() - dt.timedelta(minutes=6))
    assert "fresh=1" in presence.step_up(request, **fine)["Location"]
    SignedIn.objects.update(authenticated_at=timezone.now() - dt.timedelta(hours=25))
    assert presence.present(request).aal == 1
    assert "aal=2" in presence.step_up(request, next="/en/log", aal=2)["Location"]
    wanted = presence.step_up(request, next="/en/log", assurance=levels.Assurance.HIGH)["Location"]
    assert "acr=urn%3Awantong%3Aacr%3Ahigh" in wanted and "next=%2Fen%2Flog" in wanted
    SignedIn.objects.update(seen_at=timezone.now() - dt.timedelta(days=8))
    assert presence.present(request) is None
