"""What counts once counts once, however many come at the same moment: on SQLite and on PostgreSQL."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from django.db import connection
from django.test import Client as Browser
from django.utils import timezone
from tests.border.trust.identity.provider.world import Person, Service, headers, say

from wantong.border.trust.identity.provider import memory
from wantong.border.trust.identity.provider.models import Grant, Once, RefreshToken, Subject

pytestmark = pytest.mark.django_db(transaction=True)
MANY = 6


def at_once(*acts: Callable[[], Any]) -> list[Any]:
    """What comes of acts that begin together, each on a connection of its own."""
    gate, found = threading.Barrier(len(acts)), [None] * len(acts)

    def run(number: int, act: Callable[[], Any]) -> None:
        gate.wait()
        try:
            found[number] = act()
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(number, act)) for number, act in enumerate(acts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def alike(service: Service) -> Service:
    """The same client on another machine."""
    fields = ("client_id", "redirect_uri", "key", "possession", "nonce", "verifier")
    return Service(**{name: getattr(service, name) for name in fields})


def test_a_code(service: Service, person: Person):
    code = service.allowed(person)["code"]
    service.redeem("learns the nonce")
    answers = at_once(*(partial(alike(service).redeem, code) for _ in range(MANY)))
    assert Counter(answer.status_code for answer in answers) == {200: 1, 400: MANY - 1}
    assert Grant.objects.get().ended_why == "code-reuse"
    (won,) = (answer.json() for answer in answers if answer.status_code == 200)
    assert service.get("/oauth/userinfo", won["access_token"]).status_code == 401


def test_a_refresh_token(service: Service, person: Person):
    token = service.log_in(person)["refresh_token"]
    answers = at_once(*(partial(alike(service).refresh, token) for _ in range(MANY)))
    assert Counter(answer.status_code for answer in answers) == {200: 1, 400: MANY - 1}
    assert RefreshToken.objects.count() == 2
    (won,) = (answer.json() for answer in answers if answer.status_code == 200)
    assert service.refresh(won["refresh_token"]).json()["error"] == "invalid_grant", "the family has ended"


def test_an_answer(service: Service, person: Person):
    page = service.ask(person, service.pushed())
    browsers = [Browser(HTTP_HOST="gd.wantong.example") for _ in range(MANY)]
    for browser in browsers:
        browser.cookies = person.browser.cookies
    people = [Person(account=person.account, browser=browser) for browser in browsers]
    answers = at_once(*(partial(say, one, page, "allow") for one in people))
    assert Counter(answer.status_code for answer in answers) == {303: 1, 404: MANY - 1}
    assert Grant.objects.count() == 1


def test_a_proof_and_an_assertion(service: Service, person: Person):
    token = service.log_in(person)["access_token"]
    proof = service.proof("GET", "/oauth/userinfo", token=token)
    shown = headers({"Authorization": f"DPoP {token}", "DPoP": proof})
    browsers = [Browser(HTTP_HOST="gd.wantong.example") for _ in range(MANY)]
    answers = at_once(*(partial(one.get, "/oauth/userinfo", **shown) for one in browsers))
    assert Counter(answer.status_code for answer in answers) == {200: 1, 401: MANY - 1}
    form = {**service.request(), "client_assertion": service.assertion()}
    answers = at_once(*(partial(alike(service).post, "/oauth/par", form) for _ in range(MANY)))
    assert Counter(answer.status_code for answer in answers) == {201: 1, 401: MANY - 1}


def test_a_name_in_a_sector(service: Service, person: Person):
    service.log_in(person)
    Subject.objects.all().delete()
    Grant.objects.all().delete()
    people = [Person(account=person.account) for _ in range(MANY)]
    for one in people:
        one.sign_in()
    told = at_once(*(partial(alike(service).allowed, one) for one in people))
    assert all("code" in one for one in told)
    assert Subject.objects.count() == 1 and Grant.objects.values("subject").distinct().count() == 1


def test_what_is_remembered_is_forgotten_when_it_would_have_expired(named):
    now = timezone.now().timestamp()
    assert memory.first_time("a", "b", until=now + 60) and not memory.first_time("a", "b", until=now + 60)
    assert memory.first_time("ab", "", until=now - 3600), "parts are apart"
    memory.prune(timezone.now())
    assert Once.objects.count() == 1
