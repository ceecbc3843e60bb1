"""In Chromium with a virtual authenticator: passkeys, links, and the pages themselves (axe, phone and desktop)."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from tests.border.trust.identity.accounts.serve import PASSWORD
from tests.browsers import (
    DESK,
    PHONE,
    chromium,
    fits,
    follow,
    needs_chromium,
    opened,
    served,
    shot,
    violations,
)

from wantong.ground.i18n import LANGUAGES
from wantong.node.demo.desk import Refused
from wantong.node.demo.identity import scene

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600), needs_chromium]


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Iterator[SimpleNamespace]:
    with served(
        "tests.border.trust.identity.accounts.serve", tmp_path_factory.mktemp("site") / "node"
    ) as site:
        yield site


@pytest.fixture(scope="module")
def browser() -> Iterator:
    with chromium() as made:
        yield made


class Device:
    """A page with a virtual authenticator in it, as a telephone has one."""

    def __init__(self, browser, site: SimpleNamespace, viewport: Any = DESK) -> None:
        self.url = site.url
        self.context = opened(browser, site, viewport=viewport)
        self.page = self.context.new_page()
        self.line = self.context.new_cdp_session(self.page)
        self.line.send("WebAuthn.enable")
        self.id = self.line.send(
            "WebAuthn.addVirtualAuthenticator",
            {
                "options": {
                    "protocol": "ctap2", "transport": "internal", "hasResidentKey": True,
                    "hasUserVerification": True, "isUserVerified": True, "automaticPresenceSimulation": True,
                }
            },
        )["authenticatorId"]  # fmt: skip

    def go(self, path: str, lang: str = "en") -> None:
        self.page.goto(f"{self.url}/{lang}/{path}")

    def press(self, words: str) -> None:
        follow(self.page, self.page.get_by_role("button", name=words))

    def verifies(self, is_so: bool) -> None:
        self.line.send("WebAuthn.setUserVerified", {"authenticatorId": self.id, "isUserVerified": is_so})

    def forget(self) -> None:
        self.context.clear_cookies()

    def clean(self, name: str) -> list:
        """What axe has to say, and that nothing runs out of the screen."""
        assert "⟦" not in self.page.content()
        assert fits(self.page), name
        shot(self.page, f"{name}-{self.page.viewport_size['width']}")
        return [(name, found) for found in violations(self.page)]


@pytest.fixture
def device(browser, site) -> Iterator[Device]:
    made = Device(browser, site)
    yield made
    made.context.close()


def through(device: Device, system: str, who: str) -> None:
    device.press(system)
    follow(device.page, device.page.get_by_role("link", name=who))


def test_a_passkey_is_made_and_used(device):
    device.go("identity/register")
    device.page.fill("#id_label", "kapok")
    device.press("Open the account")
    assert "/identity/codes" in device.page.url
    device.press("Make new codes")
    code = device.page.locator("ol code").first.inner_text()
    device.forget()
    device.go("identity/sign-in?next=/en/identity/passkeys")
    device.press("Sign in with a passkey")
    assert device.page.url.endswith("/en/identity/passkeys") and "on one device" in device.page.content()
    device.forget()
    device.go("identity/recover")
    device.page.fill("#id_code", code.lower())
    device.press("Sign in")
    assert device.page.url.endswith("/identity/passkeys")
    assert not device.context.heard


def test_who_does_not_show_that_it_is_he_stays_out(device):
    device.go("identity/register")
    device.press("Open the account")
    device.forget()
    device.verifies(False)
    device.go("identity/sign-in")
    assert not device.page.locator("[data-failed]").is_visible()
    device.page.get_by_role("button", name="Sign in with a passkey").click()
    device.page.wait_for_selector("[data-failed]", state="visible")
    device.go("identity")
    assert "/sign-in" in device.page.url


def test_an_official_is_led_to_a_passkey_and_needs_it_from_then_on(device):
    def by_password():
        device.go("sign-in")
        device.page.fill("#id_username", "ho")
        device.page.fill("#id_password", PASSWORD)
        follow(device.page, device.page.locator("main form button").last)

    by_password()
    assert "/identity/staff/passkeys?next=" in device.page.url
    device.page.fill("#id_label", "token")
    device.press("Make a passkey")
    device.forget()
    by_password()
    assert "has a passkey" in device.page.content()
    device.press("Sign in with a passkey")
    assert device.page.url == f"{device.url}/en/"


def test_two_accounts_are_linked_in_one_sitting(device):
    device.go("identity/links/new")
    device.press("Begin")
    through(device, "Guangdong", "陳紫荊")
    through(device, "iAM Smart", "陳紫荊")
    device.page.get_by_label("your name as on the document").check()
    device.page.get_by_label("I agree that my accounts").check()
    device.press("Link the accounts")
    assert "in force" in device.page.content()
    device.press("End this link")
    assert "ended" in device.page.content()


@pytest.mark.parametrize(("lang", "viewport"), [*((lang, PHONE) for lang in LANGUAGES), ("zh-hans", DESK)])
def test_the_pages_are_clean(browser, site, lang, viewport):
    device, faults = Device(browser, site, viewport), []
    device.go("identity/links/new", lang)
    faults += device.clean(f"link-begin-{lang}")
    follow(device.page, device.page.locator("main form button").first)
    faults += device.clean(f"link-first-{lang}")
    follow(device.page, device.page.locator("form[action$='guangdong'] button"))
    follow(device.page, device.page.get_by_role("link", name="陳紫荊"))
    follow(device.page, device.page.locator("form[action$='iam-smart'] button"))
    follow(device.page, device.page.get_by_role("link", name="黃木棉"))
    faults += device.clean(f"link-refused-{lang}")
    device.go("identity/links/new", lang)
    follow(device.page, device.page.locator("main form button").last)
    device.go("identity/links/new", lang)
    follow(device.page, device.page.locator("main form button").first)
    follow(device.page, device.page.locator("form[action$='guangdong'] button"))
    follow(device.page, device.page.get_by_role("link", name="陳紫荊"))
    follow(device.page, device.page.locator("form[action$='iam-smart'] button"))
    follow(device.page, device.page.get_by_role("link", name="陳紫荊"))
    faults += device.clean(f"link-both-{lang}")
    device.page.locator("#agree").check()
    follow(device.page, device.page.locator("main form button").first)
    faults += device.clean(f"links-{lang}")
    for path in ("identity", "identity/passkeys", "identity/sessions", "identity/codes"):
        device.go(path, lang)
        faults += device.clean(f"{path.replace('/', '-')}-{lang}")
    follow(device.page, device.page.locator("main form[method=post]:not([action]) button").last)
    faults += device.clean(f"codes-made-{lang}")
    device.go("identity/links", lang)
    follow(device.page, device.page.locator("button.govuk-button--warning"))
    for path in (
        "identity/sign-in?fresh=1&acr=urn:wantong:acr:substantial",
        "identity/register",
        "identity/recover",
        "sign-in",
    ):
        device.go(path, lang)
        faults += device.clean(f"{path.partition('?')[0].replace('/', '-')}-{lang}")
    device.page.fill("#id_username", "lei")
    device.page.fill("#id_password", PASSWORD)
    follow(device.page, device.page.locator("main form button").last)
    faults += device.clean(f"staff-led-{lang}")
    device.go("identity/recoveries", lang)
    device.page.fill("#id_holder", "ho")
    device.page.fill("#id_reason", "token")
    follow(device.page, device.page.locator("main form button").last)
    faults += device.clean(f"recoveries-{lang}")
    device.context.close()
    assert faults == []


def test_the_scene_of_the_demonstration(site):
    made = scene.link(site.url)
    assert (made.level, made.bridge) == (2, "cn-home-return-permit")
    assert made.browser.get("/en/identity/links").status_code == 200
    with pytest.raises(Refused):
        scene.link(site.url)  # one link to each other system
