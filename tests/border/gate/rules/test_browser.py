"""The questionnaire in a real browser: a data officer in Zhuhai, in each of the four languages."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page
from tests.browsers import DESK, PHONE, chromium, fits, follow, needs_chromium, shot, violations

from wantong.border.gate.rules.texts import texts
from wantong.ground.i18n import LANGUAGES

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    needs_chromium,
]
# a hospital in Zhuhai sends 3,000 records to a clinic in Macao
ANSWERS = {
    "from_jurisdiction": "CN", "to_jurisdiction": "MO", "transfer_date": "2026-12-01", "is_personal": "yes",
    "is_important_data": "no", "scenario": "other", "sender_is_ciio": "no", "n_sensitive": "3000",
    "n_nonsensitive": "0", "from_area": "gba9", "to_area": "mo",
}  # fmt: skip


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as made:
        yield made


def answer_all(page: Page, lang: str, *, look: bool) -> int:
    """Fill in every form until the answer stands; how many questions that took."""
    count = 0
    for step in range(12):
        if look:
            assert violations(page) == [], f"step {step}"
            shot(page, f"{lang}-{step}")
        asked = page.locator('input[name="asked"]')
        if asked.count() == 0:
            return count
        for fact in [asked.nth(i).get_attribute("value") for i in range(asked.count())]:
            control = page.locator(f'input[name="{fact}"]:not([type=hidden])')
            if control.first.get_attribute("type") == "radio":
                page.locator(f'input[name="{fact}"][value="{ANSWERS[fact]}"]').check()
            else:
                control.fill(ANSWERS[fact])
            count += 1
        follow(page, page.locator("form[method=get] button[type=submit]"))
    raise AssertionError("no answer after twelve steps")


@pytest.mark.parametrize("lang", LANGUAGES)
def test_a_data_officer_in_zhuhai_finds_the_route(browser: Browser, live_server, lang: str):
    page = browser.new_page(viewport=DESK)
    page.goto(f"{live_server.url}/{lang}/assess")
    assert answer_all(page, lang, look=True) < 12
    assert page.locator("h1").inner_text() == texts().routes["gba_standard_contract"]["name"][lang]
    assert page.get_by_text(texts().cite("GBAMO 2", lang)).count() >= 1
    # why not another route: opened by the keyboard
    page.locator("details summary").first.focus()
    page.keyboard.press("Enter")
    assert page.locator("details[open]").count() == 1
    assert violations(page) == []
    # the language is changed and the answer stays
    follow(page, page.locator("nav.wt-languages a").nth(3 if lang != "pt" else 0))
    assert page.locator(".rules-answer--wait").count() == 1
    page.close()


def test_no_javascript_is_needed_and_the_dossier_is_downloaded(browser: Browser, live_server, tmp_path: Path):
    context = browser.new_context(java_script_enabled=False, accept_downloads=True)
    page = context.new_page()
    page.goto(f"{live_server.url}/pt/assess")
    assert answer_all(page, "pt", look=False) < 12
    with page.expect_download() as download:
        page.locator(".rules-downloads .govuk-button").click()
    download.value.save_as(tmp_path / "dossier.pdf")
    assert (tmp_path / "dossier.pdf").read_bytes().startswith(b"%PDF-")
    # one click changes an assumption
    follow(page, page.locator('a[href*="is_state_secret=yes"]'))
    assert page.locator("h1").inner_text() == texts().routes["forbidden"]["name"]["pt"]
    follow(page, page.locator(".govuk-back-link"))
    context.close()


def test_a_facts_file_is_uploaded(browser: Browser, live_server, tmp_path: Path):
    file = tmp_path / "facts.yaml"
    file.write_text(
        "from_jurisdiction: HK\nto_jurisdiction: CN\ntransfer_date: 2026-12-01\nis_personal: true\n"
    )
    page = browser.new_page()
    page.goto(f"{live_server.url}/zh-hant/assess")
    page.locator("#facts-file").set_input_files(file)
    follow(page, page.locator("form[method=post] button[type=submit]").last)
    assert page.locator("h1").inner_text() == texts().routes["no_statutory_formality"]["name"]["zh-hant"]
    shot(page, "zh-hant-upload")
    page.close()


@pytest.mark.parametrize("lang", ["en", "zh-hant"])
def test_it_fits_a_telephone(browser: Browser, live_server, lang: str):
    page = browser.new_page(viewport=PHONE)
    page.goto(f"{live_server.url}/{lang}/assess?asked=is_personal&from_jurisdiction=CN&to_jurisdiction=MO")
    assert violations(page) == []
    assert page.locator(".govuk-error-summary").is_visible()
    assert fits(page)
    shot(page, f"{lang}-phone")
    page.close()
