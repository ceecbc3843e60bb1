"""The pages of credentials in a real browser: nothing that axe finds, nothing that runs out of a phone's screen."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth.models import Group
from playwright.sync_api import Browser, Page
from tests.border.trust.credentials.conftest import CLERK, LIBRARY, LICENCE
from tests.border.trust.credentials.wallet import Wallet, new_key
from tests.border.trust.identity.provider.world import Person
from tests.browsers import DESK, PHONE, chromium, fits, needs_chromium, opened, shot, violations

from wantong.border.trust.credentials import offers, register
from wantong.ground.i18n import LANGUAGES

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True), needs_chromium]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as made:
        yield made


def look(page: Page, name: str) -> None:
    assert violations(page) == []
    assert fits(page), f"{name} runs out of the screen"
    shot(page, name)


@pytest.mark.parametrize(("lang", "phone"), [(lang, lang in ("zh-hant", "pt")) for lang in LANGUAGES])
def test_pages(
    browser: Browser,
    live_server: Any,
    issuer: Any,
    settings: Any,
    django_user_model: Any,
    lang: str,
    phone: bool,
) -> None:
    from django.test import Client

    person = Person()
    person.sign_in()
    card = register.entitle(
        CLERK, "library-card", LIBRARY, account=str(person.account.id), reference="R000123"
    )
    register.entitle(CLERK, "business-licence", LICENCE, reference="B-1")
    wallet = Wallet()
    wallet.redeem(wallet.read(offers.offer(CLERK, card.pk, tx_code=False).link))
    assert wallet.ask(new_key()).status_code == 200
    user = django_user_model.objects.create_user("che", password="x")
    user.groups.set([Group.objects.get_or_create(name=role)[0] for role in ("approver", "operator")])
    official = Client()
    official.force_login(user)

    site = SimpleNamespace(
        url=live_server.url,
        cookie=settings.SESSION_COOKIE_NAME,
        official=official.session.session_key,
        person=person.browser.session.session_key,
    )
    size = PHONE if phone else DESK
    page = opened(browser, site, "official", size).new_page()
    for name, path in (
        ("home", ""),
        ("type", "kinds/degree"),
        ("entitle", "records/new/social-insurance"),
        ("record", f"records/{card.pk}"),
    ):
        page.goto(f"{live_server.url}/{lang}/credentials/{path}")
        look(page, f"{lang}-{name}")
    page.locator('button[name=act][value="offer"]').click()
    page.locator("svg.wt-qr").wait_for()
    look(page, f"{lang}-offer")

    page = opened(browser, site, "person", size).new_page()
    page.goto(f"{live_server.url}/{lang}/credentials/mine")
    look(page, f"{lang}-mine")
    page.locator("section form button").first.click()
    page.locator("svg.wt-qr").wait_for()
    look(page, f"{lang}-mine-offer")
