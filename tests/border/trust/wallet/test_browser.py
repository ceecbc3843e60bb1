"""A space on a phone, a firm's on a desk, and the desk that asks: in a real browser, by axe, in four languages."""

from __future__ import annotations

import re
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from tests.browsers import PHONE, chromium, fits, follow, needs_chromium, opened, served, shot, violations

from wantong.ground.i18n import LANGUAGES

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300), needs_chromium]


@pytest.fixture(scope="module")
def site(tmp_path_factory: Any) -> Iterator[SimpleNamespace]:
    with served("tests.border.trust.wallet.serve", tmp_path_factory.mktemp("site") / "node") as site:
        yield site


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as browser:
        yield browser


def looked_at(page: Any, address: str, name: str) -> None:
    page.goto(address)
    assert violations(page) == [], name
    assert fits(page), name
    assert "⟦" not in page.inner_text("body"), name
    shot(page, name)


def test_a_degree_is_received_on_a_phone_and_two_claims_of_it_are_shown_at_a_desk(
    browser: Any, site: Any
) -> None:
    phone, desk = opened(browser, site, "holder", PHONE), opened(browser, site, "official")
    page = phone.new_page()
    there = f"{site.url}/zh-hant/space/{site.space_holder}"
    page.goto(f"{there}/receive")
    page.fill("#link", site.offer)
    follow(page, page.locator("main form button"))
    assert violations(page) == []
    page.fill("#code", site.code)
    follow(page, page.locator("button[name=take]"))
    assert "學位證書" in page.inner_text("main")

    asking = desk.new_page()
    asking.goto(f"{site.url}/pt/inquiries")
    asking.check("#question-degree")
    follow(asking, asking.locator("main form button"))
    assert violations(asking) == []
    shot(asking, "inquiry-pt")
    link = asking.evaluate("document.querySelector('details .wt-number').textContent")

    page.goto(f"{there}/show")
    page.fill("#link", link)
    follow(page, page.locator("main form button"))
    assert violations(page) == []
    seen = page.inner_text("main")
    assert "工学硕士" in seen and "大湾区示范大学" in seen and "陳大文" not in seen
    shot(page, "show-zh-hant")
    follow(page, page.locator("button[name=present]"))

    asking.wait_for_selector(".wt-check")  # by itself: nobody touched the desk
    told = asking.inner_text("main")
    assert "Autêntico e válido" in told and "工学硕士" in told and "陳大文" not in told
    assert violations(asking) == []
    shot(asking, "answered-pt")

    page.goto(f"{there}/history")
    assert re.search("學位.*級別|級別.*學位", page.inner_text("main"))
    follow(page, page.locator("button[name=withdraw]"))
    asking.reload()
    assert "Retirado pelo titular" in asking.inner_text("main") and "工学硕士" not in asking.inner_text(
        "main"
    )
    assert phone.heard == desk.heard == []
    phone.close()
    desk.close()


@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_page_is_well_made(browser: Any, site: Any, lang: str) -> None:
    phone = opened(browser, site, "holder", PHONE)
    page = phone.new_page()
    for name in ("", "/receive", "/show", "/files", "/history", "/everything"):
        looked_at(
            page,
            f"{site.url}/{lang}/space/{site.space_holder}{name}",
            f"space{name.replace('/', '-')}-{lang}",
        )
    looked_at(page, f"{site.url}/{lang}/identity-services", f"doors-{lang}")
    assert phone.heard == []
    phone.close()
    firm, waits = opened(browser, site, "owner"), opened(browser, site, "waiting", PHONE)
    looked_at(firm.new_page(), f"{site.url}/{lang}/space/{site.space_owner}/people", f"people-{lang}")
    looked_at(waits.new_page(), f"{site.url}/{lang}/space", f"which-{lang}")
    desk = opened(browser, site, "official")
    for name in ("inquiries", "space/firms", "identity-services"):
        looked_at(desk.new_page(), f"{site.url}/{lang}/{name}", f"desk-{name.replace('/', '-')}-{lang}")
    for window in (firm, waits, desk):
        window.close()


def test_a_phone_can_keep_it_and_says_so_when_there_is_no_network(browser: Any, site: Any) -> None:
    phone = opened(browser, site, "holder", PHONE)
    page = phone.new_page()
    page.goto(f"{site.url}/en/space/{site.space_holder}")
    page.evaluate("async () => { await navigator.serviceWorker.ready; }")
    page.reload()
    phone.set_offline(True)
    page.goto(f"{site.url}/en/space/{site.space_holder}/history")
    assert "You are offline" in page.inner_text("body")
    kept = page.evaluate(
        "async () => (await Promise.all((await caches.keys()).map(async name => (await (await caches.open(name)).keys())"
        ".map(request => new URL(request.url).pathname)))).flat()"
    )
    assert kept and all(path.startswith("/static/") for path in kept)
    phone.close()
