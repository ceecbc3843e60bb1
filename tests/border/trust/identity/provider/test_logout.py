"""Signing out: RP-initiated (the modules of its plan), and the services that hear of it (back-channel)."""

from __future__ import annotations

from urllib.parse import parse_qs

import pytest
from django.utils import timezone
from tests.border.trust.identity.provider.modules import covers
from tests.border.trust.identity.provider.world import NOBODYS, URL, Person, Service, follow, signed, unsigned

from wantong.border.trust.identity.accounts import presence
from wantong.border.trust.identity.provider import consents
from wantong.border.trust.identity.provider.models import Grant
from wantong.ground.outbox import services as outbox

BYE = "https://shop.example/bye"


def ask_out(person: Person, **told: str):
    return follow(person, person.browser.get("/oauth/logout", told))


def is_in(person: Person) -> bool:
    return person.browser.get("/en/identity", HTTP_ACCEPT="text/html").status_code == 200


@covers("oidcc-rp-initiated-logout", "oidcc-rp-initiated-logout-discovery-endpoint-verification")
def test_out_and_back(service: Service, person: Person):
    hint = service.log_in(person)["id_token"]
    address = service.http.get("/.well-known/openid-configuration").json()["end_session_endpoint"]
    assert address == f"{URL}/oauth/logout"
    answer = ask_out(person, id_token_hint=hint, post_logout_redirect_uri=BYE, state="s")
    assert answer.headers["Location"] == f"{BYE}?state=s"
    assert service.answered(service.ask(person, prompt="none"))["error"] == "login_required"


@covers("oidcc-rp-initiated-logout-no-state")
def test_without_state(service: Service, person: Person):
    hint = service.log_in(person)["id_token"]
    assert ask_out(person, id_token_hint=hint, post_logout_redirect_uri=BYE).headers["Location"] == BYE
    assert not is_in(person)


@covers(
    "oidcc-rp-initiated-logout-bad-post-logout-redirect-uri",
    "oidcc-rp-initiated-logout-query-added-to-post-logout-redirect-uri",
)
@pytest.mark.parametrize("address", ["https://evil.example/", f"{BYE}?foo=bar", f"{BYE}#x", "//evil.example"])
def test_not_to_another_address(service: Service, person: Person, address: str):
    hint = service.log_in(person)["id_token"]
    answer = ask_out(person, id_token_hint=hint, post_logout_redirect_uri=address)
    assert answer.status_code == 400 and "Location" not in answer.headers and is_in(person)


@covers("oidcc-rp-initiated-logout-modified-id-token-hint", "oidcc-rp-initiated-logout-bad-id-token-hint")
def test_not_with_a_hint_that_is_none(service: Service, person: Person):
    hint = service.log_in(person)["id_token"]
    forged = signed(service.key, {"typ": "JWT"}, unsigned(hint))
    nobodys = f"{NOBODYS}.{hint.split('.')[1]}."
    access = service.log_in(person)["access_token"]
    for text in (forged, nobodys, access, "x"):
        answer = ask_out(person, id_token_hint=text, post_logout_redirect_uri=BYE)
        assert answer.status_code == 400 and is_in(person), text


@covers("oidcc-rp-initiated-logout-no-id-token-hint")
def test_nobody_in_particular_cannot_redirect(service: Service, person: Person):
    assert ask_out(person, post_logout_redirect_uri=BYE).status_code == 400
    assert is_in(person)


@covers(
    "oidcc-rp-initiated-logout-no-params",
    "oidcc-rp-initiated-logout-only-state",
    "oidcc-rp-initiated-logout-no-post-logout-redirect-uri",
)
@pytest.mark.parametrize("told", [{}, {"state": "s"}, {"client_id": "https://shop.example"}])
def test_the_person_is_asked(service: Service, person: Person, told: dict[str, str]):
    page = ask_out(person, **told)
    assert page.status_code == 200 and is_in(person), "a picture on another site signs nobody out"
    stay = person.browser.post("/en/identity/services/sign-out", {**told, "answer": "no"})
    assert stay.status_code == 200 and is_in(person)
    done = person.browser.post("/en/identity/services/sign-out", {**told, "answer": "yes"})
    assert done.status_code == 200 and not is_in(person)
    hint = Person().browser.get("/oauth/logout", told)
    assert hint.status_code == 302, "who is not signed in is told so"


def test_the_session_of_another_browser_is_asked_about(service: Service, person: Person):
    """An ID token that came of another session proves nothing about this one."""
    hint = service.log_in(person)["id_token"]
    elsewhere = Person(account=person.account)
    elsewhere.sign_in()
    assert ask_out(elsewhere, id_token_hint=hint).status_code == 200
    assert is_in(elsewhere)


@covers("oidcc-backchannel-rp-initiated-logout", "oidcc-backchannel-logout-discovery-endpoint-verification")
def test_services_hear_of_it(named, person: Person, published):
    told = named and Person().browser.get("/.well-known/openid-configuration").json()
    assert told["backchannel_logout_supported"] and told["backchannel_logout_session_supported"]
    service = Service(scope="openid").register(backchannel_logout_uri=published.url)
    tokens = service.log_in(person)
    said = unsigned(tokens["id_token"])
    ask_out(person, id_token_hint=tokens["id_token"])
    outbox.drain()
    (body,) = published.brought
    token = parse_qs(body)["logout_token"][0]
    claims = service.claims(token)
    assert {name: claims[name] for name in ("iss", "aud", "sub", "sid")} == {
        "iss": URL, "aud": service.client_id, "sub": said["sub"], "sid": said["sid"]
    }  # fmt: skip
    assert claims["events"] == {"http://schemas.openid.net/event/backchannel-logout": {}}
    assert "nonce" not in claims and claims["jti"] and claims["exp"] - claims["iat"] == 120
    assert service.refresh(tokens["refresh_token"]).json()["error"] == "invalid_grant"
    assert service.get("/oauth/userinfo", tokens["access_token"]).status_code == 401


def test_a_service_that_does_not_listen_is_told_again(named, person: Person, published):
    service = Service(scope="openid").register(backchannel_logout_uri=published.url)
    service.log_in(person)
    published.status = 503
    person.sign_out()
    outbox.drain()
    assert len(published.brought) >= 1
    from wantong.ground.outbox.models import Event

    event = Event.objects.get(topic="provider.logout")
    assert event.state == "due" and event.attempts >= 1


def test_what_goes_on_without_the_person_goes_on(named, person: Person, published):
    service = Service(scope="openid offline_access").register(backchannel_logout_uri=published.url)
    tokens = service.log_in(person)
    person.sign_out()
    outbox.drain()
    assert len(published.brought) == 1, "it is told all the same"
    assert service.refresh(tokens["refresh_token"]).status_code == 200


@pytest.mark.parametrize("state", ["locked", "closed"])
def test_an_account_that_is_closed_renews_nothing(service: Service, person: Person, state: str):
    tokens = service.log_in(person, scope="openid offline_access")
    person.account.state = state
    person.account.save()
    assert service.refresh(tokens["refresh_token"]).json()["error"] == "invalid_grant"


def test_a_session_that_is_ended_from_elsewhere_ends_here_too(service: Service, person: Person):
    tokens = service.log_in(person)
    presence.end_sessions(person.account)
    assert service.get("/oauth/userinfo", tokens["access_token"]).status_code == 401
    assert Grant.objects.get().ended_why == "signed-out"


def test_a_consent_that_is_taken_back_ends_everything(service: Service, person: Person):
    tokens = service.log_in(person, scope="openid profile offline_access")
    page = person.browser.get("/en/identity/services").content.decode()
    assert "Shop" in page and "your name" in page
    assert (
        person.browser.post("/en/identity/services/withdraw", {"client": service.client_id}).status_code
        == 302
    )
    assert service.get("/oauth/userinfo", tokens["access_token"]).status_code == 401
    assert service.refresh(tokens["refresh_token"]).json()["error"] == "invalid_grant"
    assert service.ask(person).status_code == 200, "the person is asked again"
    again = person.browser.post("/en/identity/services/withdraw", {"client": service.client_id})
    assert again.status_code == 404
    assert consents.consents(str(person.account.id)) == []


def test_every_use_is_there_to_be_read(service: Service, person: Person):
    tokens = service.log_in(person, scope="openid profile")
    service.get("/oauth/userinfo", tokens["access_token"])
    service.refresh(tokens["refresh_token"])
    found = consents.uses(str(person.account.id))
    assert [use["what"] for use in found] == ["renewal", "reading", "sign-in"]
    assert "preferred_username" in found[1]["shown"] and "kapok" not in str(found)
    assert all(abs((timezone.now() - use["at"]).total_seconds()) < 60 for use in found)
    assert consents.uses(str(Person().account.id)) == []
