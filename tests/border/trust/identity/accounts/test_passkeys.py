"""Passkeys: what signs somebody in, and everything that must not."""

from __future__ import annotations

import json

import pytest
from django.test import Client
from tests.border.trust.identity.accounts.authenticator import UP, UV, Authenticator
from tests.border.trust.identity.accounts.people import URL, Person

from wantong.border.trust.identity.accounts import passkeys
from wantong.border.trust.identity.accounts.models import (
    Account,
    Challenge,
    Happened,
    SignedIn,
)
from wantong.border.trust.identity.accounts.models import (
    Authenticator as Stored,
)
from wantong.border.trust.identity.accounts.problems import NoPasskeysHere, PasskeyRefused

pytestmark = pytest.mark.django_db


def another(person: Person) -> Person:
    """The same person at another browser."""
    return Person(Client(HTTP_HOST="gd.wantong.example"), person.device)


def reason(response) -> str:
    assert response.status_code == 422
    return response.content.decode()


def test_an_account_is_opened_and_entered_again(person):
    assert person.register().status_code == 302
    assert person.is_in
    account = Account.objects.get()
    assert (account.issuer, account.scheme, account.native_level) == ("gd.test.example", "local", "self")
    person.client.post("/en/identity/sign-out")
    assert not person.is_in
    assert person.sign_in().status_code == 302
    assert person.is_in


def test_a_page_is_led_back_to_only_at_this_node(person):
    person.register()
    there = another(person)
    for wanted, led in (
        ("/en/log", "/en/log"),
        ("https://evil.example/", "/en/identity"),
        ("//evil.example", "/en/identity"),
    ):
        answer = there.device.get(there.options("sign-in"))
        assert there.send("sign-in", answer, next=wanted)["Location"] == led


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"origin": "https://gd.wantong.example.evil.example"}, "given to another site"),
        ({"origin": "http://gd.wantong.example"}, "given to another site"),
        ({"type": "webauthn.create"}, "answer to another question"),
        ({"crossOrigin": True}, "inside a page"),
        ({"topOrigin": "https://evil.example"}, "inside a page"),
        ({"challenge": "AAAA"}, "asked too long ago"),
        ({"challenge": 7}, "asked too long ago"),
        ({"flags": UP}, "has not checked"),
        ({"flags": UV}, "has not checked"),
    ],
)
def test_what_a_browser_says_must_be_of_this_page(person, changes, why):
    person.register()
    there = another(person)
    assert why in reason(there.sign_in(**changes))
    assert not there.is_in


def test_a_challenge_is_answered_once(person):
    person.register()
    there = another(person)
    answer = there.device.get(there.options("sign-in"))
    assert there.send("sign-in", answer).status_code == 302
    there.client.post("/en/identity/sign-out")
    assert "asked too long ago" in reason(there.send("sign-in", answer))


def test_a_challenge_is_gone_even_if_the_answer_was_wrong(person):
    person.register()
    there = another(person)
    options = there.options("sign-in")
    assert "another site" in reason(there.sign_in(options, origin="https://evil.example"))
    assert "asked too long ago" in reason(there.sign_in(options))


def test_a_challenge_of_another_session_is_worth_nothing(person):
    """Somebody lets his victim sign the challenge of his own browser."""
    person.register()
    thief, victim = another(person), another(person)
    stolen = victim.device.get(thief.options("sign-in"))
    assert "another browser" in reason(victim.send("sign-in", stolen))
    answer = victim.device.get(victim.options("sign-in"))
    assert "another browser" in reason(thief.send("sign-in", answer))
    assert not thief.is_in and not victim.is_in


def test_a_challenge_serves_its_purpose_only(person):
    person.register()
    there = another(person)
    for purpose in ("register", "staff"):
        options = {**there.options(purpose), "rpId": "gd.wantong.example"}
        assert "asked too long ago" in reason(there.sign_in(options))


def test_a_challenge_ends(person):
    person.register()
    there = another(person)
    options = there.options("sign-in")
    Challenge.objects.update(expires_at="2026-01-01T00:00:00Z")
    assert "asked too long ago" in reason(there.sign_in(options))
    there.options("sign-in")
    assert Challenge.objects.count() == 1  # old ones are swept away


def test_a_copied_key_ends_with_all_sessions(person):
    person.register()
    copy = another(person)
    copy.device = Authenticator(
        URL,
        counter=person.device.counter,
        key=person.device.key,
        id=person.device.id,
        handle=person.device.handle,
    )
    assert copy.sign_in().status_code == 302
    assert "copy of this passkey" in reason(person.sign_in())
    assert not copy.is_in and not person.is_in
    assert Stored.objects.get().ended_why == "cloned"
    assert Happened.objects.filter(what="passkey-cloned").exists()
    # and it stays so
    assert "does not know" in reason(copy.sign_in())


def test_a_forged_counter_does_not_end_somebody_else_s_key(person):
    person.register()
    forger = another(person)
    forger.device = Authenticator(URL, counts=False, id=person.device.id, handle=person.device.handle)
    assert "signature" in reason(forger.sign_in())
    assert Stored.objects.get().ended_at is None
    assert person.is_in


def test_a_key_that_does_not_count_signs_in_again_and_again(person):
    person.device.counts = False
    person.register()
    for _ in range(3):
        assert another(person).sign_in().status_code == 302


def test_the_handle_must_be_the_holder_s(person):
    person.register()
    person.device.handle = b"somebody else"
    assert "somebody else" in reason(another(person).sign_in())


def test_a_key_is_registered_once(person):
    person.register()
    there = another(person)
    answer = there.device.create(there.options("register"))
    assert "registered already" in reason(there.send("register", answer))
    assert Account.objects.count() == 1


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "[]",
        "null",
        "{}",
        '{"id": "x"}',
        "[" * 100_000,
        '{"id":"x","response":{"clientDataJSON":"e30"}}',
        '{"id":"x","response":{"clientDataJSON":"!"}}',
    ],
)
def test_nonsense_is_refused(person, answer):
    assert person.client.post("/en/identity/sign-in", {"credential": answer}).status_code == 422


def test_a_truncated_answer_is_refused(person):
    person.register()
    answer = person.device.get(person.options("sign-in"))
    for part in ("authenticatorData", "signature"):
        cut = {**answer, "response": {**answer["response"], part: answer["response"][part][:8]}}
        party = passkeys.relying_party(URL, "x")
        with pytest.raises(PasskeyRefused):
            passkeys.asserted(
                party,
                passkeys.challenge_of(cut),
                cut,
                public_key=bytes(Stored.objects.get().public_key),
                sign_count=0,
                handle=person.device.handle,
            )


def test_a_second_passkey_and_the_last_that_stays(person):
    person.register()
    first = Stored.objects.get()
    answer = person.client.post("/en/identity/passkeys", {"remove": first.id})
    assert answer.status_code == 409
    second = Authenticator(URL)
    made = second.create(person.options("add"))
    assert person.send("passkeys", made, label="telephone").status_code == 302
    assert person.client.post("/en/identity/passkeys", {"remove": first.id}).status_code == 302
    assert "does not know" in reason(another(person).sign_in())
    assert Person(Client(HTTP_HOST="gd.wantong.example"), second).sign_in().status_code == 302


def test_a_passkey_is_added_to_one_s_own_account_only(person):
    person.register()
    other = Person(Client(HTTP_HOST="gd.wantong.example"))
    other.register()
    stolen = Authenticator(URL).create(person.options("add"))
    assert "another browser" in reason(other.send("passkeys", stolen))
    assert (
        other.client.post("/en/identity/passkeys", {"remove": Stored.objects.first().id}).status_code == 404
    )
    assert Client().post("/en/identity/challenge/add").status_code == 401


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8000", "https://[::1]", "https://192.0.2.1", "http://gd.example", "https://"]
)
def test_an_address_that_is_no_name_has_no_passkeys(url):
    with pytest.raises(NoPasskeysHere):
        passkeys.relying_party(url, "x")


def test_localhost_may_be_plain():
    assert passkeys.relying_party("http://localhost:8001", "x").origin == "http://localhost:8001"


def test_a_planted_session_is_worth_nothing(person):
    """Session fixation: what the browser had before it signed in is no longer its session."""
    person.options("sign-in")
    planted = person.client.cookies["session_gd"].value
    person.register()
    attacker = Client(HTTP_HOST="gd.wantong.example")
    attacker.cookies["session_gd"] = planted
    assert attacker.get("/en/identity", HTTP_ACCEPT="text/html").status_code == 302
    assert person.client.cookies["session_gd"].value != planted


def test_sessions_end_one_by_one_and_all_at_once(person):
    person.register()
    browsers = [another(person) for _ in range(3)]
    for browser in browsers:
        browser.sign_in()
    listed = person.get("identity/sessions").content.decode()
    assert listed.count('name="end"') == 4 and "Firefox, Android" in listed
    rows = SignedIn.objects.order_by("started_at")
    person.client.post("/en/identity/sessions", {"end": rows[1].id})
    assert [browser.is_in for browser in browsers] == [False, True, True]
    person.client.post("/en/identity/sessions", {})
    assert [browser.is_in for browser in browsers] == [False, False, False]
    assert person.is_in


def test_somebody_else_s_session_cannot_be_ended(person):
    person.register()
    other = Person(Client(HTTP_HOST="gd.wantong.example"))
    other.register()
    assert other.client.post("/en/identity/sessions", {"end": SignedIn.objects.last().id}).status_code in (
        302,
        404,
    )
    assert person.is_in


def test_a_second_person_in_the_same_browser_replaces_the_first(person):
    person.register()
    second = Person(person.client)
    second.register("other")
    assert [row.ended_why for row in SignedIn.objects.order_by("started_at")] == ["replaced", ""]
    assert "other" in person.get("identity").content.decode()


def test_recovery_codes_let_in_once_and_new_ones_end_the_old(person):
    person.register()
    page = person.client.post("/en/identity/codes")
    made = page.context["made"]
    assert len(made) == len(set(made)) == 10
    lost = Person(Client(HTTP_HOST="gd.wantong.example"))
    typed = made[0].lower().replace("-", " ")
    assert lost.client.post("/en/identity/recover", {"code": typed}).status_code == 302
    assert lost.is_in
    again = Client(HTTP_HOST="gd.wantong.example").post("/en/identity/recover", {"code": made[0]})
    assert again.status_code == 422
    # a code is one factor: whoever asks for two sends its holder to sign in again
    assert "one factor" in lost.get("identity").content.decode()
    person.client.post("/en/identity/codes")
    assert Client().post("/en/identity/recover", {"code": made[1]}).status_code == 422


def test_a_locked_account_lets_nobody_in(person):
    person.register()
    Account.objects.update(state="locked")
    assert not person.is_in
    answer = another(person).sign_in()
    assert answer.status_code == 403 and "locked or closed" in answer.content.decode()


def test_the_options_ask_for_what_the_node_checks(person):
    made = person.options("register", label="kapok")
    assert made["attestation"] == "none" and made["rp"]["id"] == "gd.wantong.example"
    selection = made["authenticatorSelection"]
    assert (selection["residentKey"], selection["userVerification"]) == ("required", "required")
    assert json.dumps(made).count("kapok") >= 1
