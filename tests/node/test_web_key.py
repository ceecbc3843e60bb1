"""Who is signed in stays signed in while the key of sessions changes, in a process that runs on."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from django.conf import settings as django_settings
from django.contrib.auth.tokens import default_token_generator
from django.core import signing
from django.test import Client
from django.urls import reverse

from wantong.ground import keyring
from wantong.ground.http import webkey
from wantong.node import middleware
from wantong.portal.services import make_operator

pytestmark = pytest.mark.django_db(transaction=True)
PASSWORD = "a long one for the test of keys"


@pytest.fixture
def running(node, settings):
    """The node with its key, as a process that has just started with it."""
    webkey.make(node.keys)
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = webkey.read(node.keys)
    make_operator("lin", ["declarer"], PASSWORD)
    return node


def change(node, *steps: str) -> str:
    now, begun = datetime.now(UTC), ""
    for step in steps:
        if step == "begin":
            begun = keyring.begin(node.keys, webkey.make, now).begun
        elif step == "switch":
            keyring.switch(node.keys)
        elif step == "finish":
            keyring.finish(node.keys, now)
    return begun


def signed_in(client: Client | None = None) -> Client:
    """A browser with a session that was made by a request."""
    client = client or Client()
    answer = client.post(
        reverse("portal:sign-in", urlconf=None), {"username": "lin", "password": PASSWORD}, follow=True
    )
    assert answer.wsgi_request.user.is_authenticated
    return client


def known(client: Client) -> bool:
    return client.get("/en/", follow=True).wsgi_request.user.is_authenticated


def test_a_session_goes_on_through_all_stages_and_after_under_the_same_id(running):
    lin = signed_in()
    session = lin.cookies[django_settings.SESSION_COOKIE_NAME].value
    old = django_settings.SECRET_KEY
    begun = change(running, "begin")
    for step in ("announced", "switch", "finish"):
        change(running, step)
        assert known(lin), step
    others = django_settings.SECRET_KEY_FALLBACKS
    assert others == [old] and django_settings.SECRET_KEY not in others
    late = signed_in()
    keyring.forget(running.keys, webkey.NAME, begun)
    assert known(lin) and known(late)
    assert django_settings.SECRET_KEY_FALLBACKS == []
    assert lin.cookies[django_settings.SESSION_COOKIE_NAME].value == session


def test_a_session_that_nobody_used_meanwhile_counts_until_the_key_is_removed(running):
    early, idle = signed_in(), signed_in()
    begun = change(running, "begin", "switch", "finish")
    assert known(early)
    keyring.forget(running.keys, webkey.NAME, begun)
    assert known(early) and not known(idle)


def test_a_process_that_starts_in_between_takes_both(running):
    old = django_settings.SECRET_KEY
    change(running, "begin")
    key, others = webkey.read(running.keys)
    assert key == old and len(others) == 1
    change(running, "switch")
    assert webkey.read(running.keys) == (others[0], [old])


def test_what_was_signed_for_a_person_and_what_a_thief_signs(running):
    """Django's signatures, such as those of links to set a password, by the same rule."""
    lin = signed_in()
    user = lin.get("/en/", follow=True).wsgi_request.user
    link, word, stolen = (
        default_token_generator.make_token(user),
        signing.dumps("w"),
        django_settings.SECRET_KEY,
    )
    begun = change(running, "begin", "switch", "finish")
    assert known(lin)
    assert default_token_generator.check_token(user, link) and signing.loads(word) == "w"
    keyring.forget(running.keys, webkey.NAME, begun)
    assert known(lin)
    assert not default_token_generator.check_token(user, link)
    with pytest.raises(signing.BadSignature):
        signing.loads(signing.dumps("w", key=stolen))


def test_requests_at_the_moment_of_the_change_are_all_known(running):
    """A page asks for several things at one time; none of its requests may find the session gone."""
    lin = signed_in()
    cookie = lin.cookies[django_settings.SESSION_COOKIE_NAME].value
    gate = threading.Barrier(5)

    def ask(_: int) -> list[bool]:
        browser = Client()
        browser.cookies[django_settings.SESSION_COOKIE_NAME] = cookie
        gate.wait()
        return [known(browser) for _ in range(6)]

    change(running, "begin")
    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(ask, number) for number in range(4)]
        gate.wait()
        change(running, "switch", "finish")
        assert all(all(one.result()) for one in asked)


def test_settings_that_remember_an_old_key_are_told_again(running):
    lin = signed_in()
    begun = change(running, "begin", "switch", "finish")
    assert known(lin)
    keyring.forget(running.keys, webkey.NAME, begun)
    assert known(lin)
    key = django_settings.SECRET_KEY
    # what a thread that looked it up at the moment of the change would have left
    django_settings.__dict__["SECRET_KEY"] = "old"
    django_settings.__dict__["SECRET_KEY_FALLBACKS"] = ["older"]
    assert known(lin)
    assert key == django_settings.SECRET_KEY and django_settings.SECRET_KEY_FALLBACKS == []


def test_without_a_key_of_its_own_nothing_is_looked_at(node):
    with pytest.raises(middleware.MiddlewareNotUsed):
        middleware.WebKey(lambda request: None)
