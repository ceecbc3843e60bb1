"""The provider's pages in a real browser: four languages, a phone and a desktop, accessible by axe."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from types import SimpleNamespace
from urllib.parse import urlencode

import pytest
from django.contrib.auth.models import Group, User
from tests.border.trust.identity.provider.world import ANA, BO, Person, Service
from tests.browsers import DESK, PHONE, chromium, fits, needs_chromium, opened, shot, violations

from wantong.border.trust.identity.provider import registration
from wantong.ground.i18n import LANG_ATTRIBUTE, LANGUAGES

pytestmark = [pytest.mark.browser, needs_chromium, pytest.mark.django_db(transaction=True)]


@pytest.fixture(scope="module")
def browser() -> Iterator:
    with chromium() as made:
        yield made


def test_pages_of_people_and_of_operators(named, settings, live_server, browser):
    settings.WANTONG = dataclasses.replace(settings.WANTONG, url=live_server.url)
    shop = Service("shop").register(
        policy_uri="https://shop.example/policy", tos_uri="https://shop.example/terms"
    )
    library = Service("library", redirect_uri="https://library.example/back")
    told = {
        "client_name": "Library of Macao",
        "client_name#zh-Hant": "澳門圖書館",
        "client_name#zh-Hans": "澳门图书馆",
    }
    library.register(**told)
    registration.register(ANA, Service().metadata(client_name="Waits"), client_id="waits")
    registration.suspend(BO, "library", "moved")
    registration.resume(BO, "library")
    person = Person()
    person.sign_in()
    user = User.objects.create_user("bo", first_name="Bo")
    user.groups.add(Group.objects.get_or_create(name="approver")[0])
    person.browser.force_login(user)
    site = SimpleNamespace(
        url=live_server.url,
        cookie=settings.SESSION_COOKIE_NAME,
        person=person.browser.session.session_key,
    )
    library.allowed(person, scope="openid profile identity offline_access")
    wish = {
        "userinfo": {"verified_claims": {"verification": {}, "claims": {"birthdate": None}}, "email": None}
    }
    asked = shop.request(
        scope="openid profile offline_access", claims=str(wish).replace("'", '"').replace("None", "null")
    )
    broken = {**asked, "redirect_uri": "https://evil.example/"}
    pages = {
        "consent": f"/oauth/authorize?{urlencode(asked)}",
        "services": "/en/identity/services",
        "logout": "/oauth/logout?client_id=shop",
        "clients": "/en/identity/clients",
        "client": "/en/identity/clients/waits",
        "problem": f"/oauth/authorize?{urlencode(broken)}",
    }
    for lang in LANGUAGES:
        for viewport in (PHONE, DESK):
            context = opened(browser, site, "person", viewport, locale=LANG_ATTRIBUTE[lang])
            page = context.new_page()
            for name, path in pages.items():
                page.goto(live_server.url + path.replace("/en/", f"/{lang}/"))
                where = (name, lang, viewport["width"])
                assert page.evaluate("document.documentElement.lang") == LANG_ATTRIBUTE[lang], name
                assert "⟦" not in page.content(), name
                assert fits(page), where
                shot(page, "-".join(map(str, where)))
                assert violations(page) == [], where
            context.close()
