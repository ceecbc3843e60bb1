"""The pages of passes in a real browser: a phone shows a code, a gate's camera reads it, with and without a connection."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image
from tests.browsers import (
    ARGUMENTS,
    CHROMIUM,
    DESK,
    PHONE,
    chromium,
    fits,
    needs_chromium,
    opened,
    served,
    shot,
    violations,
)

from wantong.border.trust.passes import codes
from wantong.ground.i18n import LANGUAGES

zxingcpp = pytest.importorskip("zxingcpp")

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300), needs_chromium]


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Iterator[SimpleNamespace]:
    with served("tests.border.trust.passes.serve", tmp_path_factory.mktemp("site") / "node") as site:
        yield site


@pytest.fixture(scope="module")
def browser() -> Iterator:
    with chromium() as browser:
        yield browser


def read(page, where: Path) -> str:
    """What another's reader (zxing-cpp) reads from the whole screen, one of its pixels to one of the page's.

    QR codes only, as the command asks for them.
    """
    page.locator("#pass-code[src]:not([hidden])").scroll_into_view_if_needed()
    page.screenshot(path=where)
    found = zxingcpp.read_barcodes(Image.open(where), formats=zxingcpp.BarcodeFormat.QRCode)
    assert len(found) == 1, "one code on the screen"
    return found[0].text


def decide(site, browser, code: str) -> str:
    """Type the code as a hand-held scanner does; the answer."""
    desk = opened(browser, site, "official", DESK)
    page = desk.new_page()
    page.goto(f"{site.url}/en/passes/gates/hzmb-in-1/reader")
    page.keyboard.type(code)
    page.keyboard.press("Enter")
    answer = page.wait_for_selector("[data-answer]").get_attribute("data-answer")
    reason = page.locator(".wt-check--failed, .wt-check--indeterminate").all_inner_texts()
    assert desk.heard == []
    desk.close()
    return f"{answer} {' '.join(reason)}".strip()


def test_a_phone_shows_a_code_that_is_renewed_and_the_old_one_is_dead(browser, site, tmp_path):
    phone = opened(browser, site, "person", PHONE, reduced_motion="reduce")
    page = phone.new_page()
    page.goto(f"{site.url}/en/passes/")
    page.get_by_role("link", name="Show the code Border crossing").click()
    old = read(page, tmp_path / "code.png")
    assert old.startswith("WT2:") and len(old) == 34
    assert re.fullmatch(r"Renewed in \d+ s", page.inner_text("[role=timer]"))
    assert page.get_attribute("[role=timer]", "aria-live") == "off", "nobody is told every second"
    shown = page.get_attribute("#pass-code", "src")
    page.click("text=New code")
    page.wait_for_function("old => document.getElementById('pass-code').src !== old", arg=shown)
    new = read(page, tmp_path / "code.png")
    assert new != old
    assert "newer code" in decide(site, browser, old)
    assert decide(site, browser, new).startswith("admit")
    assert "has been used" in decide(site, browser, new)
    assert phone.heard == []
    phone.close()


def test_without_a_connection_the_phone_makes_the_code_itself(browser, site, tmp_path):
    phone = opened(browser, site, "person", PHONE, color_scheme="dark")
    page = phone.new_page()
    page.goto(f"{site.url}/en/passes/{site.right}/")
    assert read(page, tmp_path / "code.png").startswith("WT2:"), "also where the night is dark"
    page.click("#pass-enrol")
    page.wait_for_selector("#pass-local:not([hidden])")
    phone.set_offline(True)
    page.click("#pass-local")
    page.wait_for_function(
        "() => document.getElementById('pass-said').textContent.includes('Without a connection')"
    )
    code = read(page, tmp_path / "code.png")
    assert code.startswith("WT1:") and len(code) <= 350
    page.emulate_media(color_scheme="light")
    page.set_viewport_size(DESK)
    assert read(page, tmp_path / "code.png")[:4] == "WT1:"
    phone.set_offline(False)
    assert decide(site, browser, code).startswith("admit")
    assert "opened the gate already" in decide(site, browser, code)
    phone.close()


def test_a_reader_without_its_node_says_so_and_opens_nothing(browser, site):
    """The answer about the one before is taken down at once: with the cable cut, and with a node that never answers."""
    desk = opened(browser, site, "official", DESK)
    page = desk.new_page()
    page.goto(f"{site.url}/en/passes/gates/hzmb-in-1/reader")

    def ask() -> None:
        page.fill("#reader-code", "WT9:X")
        page.keyboard.press("Enter")

    ask()
    page.wait_for_selector("[data-answer]")
    page.route("**/decide*", lambda route: None)  # packets are lost: neither yes nor no
    ask()
    page.wait_for_function("() => !document.querySelector('[data-answer]')")
    page.unroute_all(behavior="ignoreErrors")
    page.route("**/decide*", lambda route: route.abort())
    page.reload()
    ask()
    page.wait_for_function(
        "() => document.getElementById('reader-said').textContent.includes('the gate stays shut')"
    )
    assert page.locator("[data-answer]").count() == 0
    desk.close()


def camera(path: Path, code: str) -> Path:
    """A film of a code held before a camera, slightly turned and grey: what Chromium shows as its camera (MJPEG)."""
    import segno

    segno.make(code, error="l", boost_error=False).save(str(path / "code.png"), scale=6, border=4)
    shown = Image.open(path / "code.png").convert("L").convert("RGB")
    film = path / "camera.mjpeg"
    with film.open("wb") as file:
        for turn in (0, 2, -3, 1) * 8:
            frame = Image.new("RGB", (640, 480), (120, 125, 118))
            turned = shown.resize((400, 400)).rotate(turn, fillcolor=(230, 230, 225), expand=False)
            frame.paste(turned, (110, 40))
            frame.save(file, "JPEG", quality=85)
    return film


def test_the_camera_of_a_gate_reads_both_sorts_of_code(browser, site, tmp_path):
    """Chromium is given films for a camera: a code made by a stranger's device, and an online one that nobody issued."""
    from tests.border.trust.passes.scene import AT, Scene

    nobodys = "WT2:" + codes.base45(hashlib.sha256(b"gd.test.example").digest()[:4] + bytes(16))
    for code, said in (
        (Scene().code(AT), "No key of a recognised issuer"),
        (nobodys, "There is no such code"),
    ):
        film = camera(tmp_path, code)
        filmed = browser.browser_type.launch(
            executable_path=CHROMIUM,
            args=[
                *ARGUMENTS, "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream",
                f"--use-file-for-fake-video-capture={film}",
            ],
        )  # fmt: skip
        desk = opened(filmed, site, "official", DESK, permissions=["camera"])
        page = desk.new_page()
        page.goto(f"{site.url}/en/passes/gates/hzmb-in-1/reader")
        page.click("#reader-camera")
        page.wait_for_selector("[data-answer=refuse]", timeout=60000)
        assert said in page.inner_text("#reader-answer")
        assert desk.heard == []
        filmed.close()


@pytest.mark.parametrize("lang", LANGUAGES)
def test_axe_finds_nothing_on_a_phone_and_on_a_desk(browser, site, lang):
    pages = {
        "person": ("passes/", f"passes/{site.right}/", "documents/", "documents/audit"),
        "official": ("passes/office", "passes/gates", "passes/gates/hzmb-in-1/reader"),
    }
    for viewport in (PHONE, DESK) if lang == "en" else (PHONE,):
        for who, paths in pages.items():
            made = opened(browser, site, who, viewport)
            page = made.new_page()
            for path in paths:
                page.goto(f"{site.url}/{lang}/{path}")
                page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
                assert fits(page), path
                assert violations(page) == [], path
                assert "⟦" not in page.inner_text("body"), path
                shot(
                    page, f"{lang}-{viewport['width']}-{path.replace('/', '_').replace(site.right, 'right')}"
                )
            if who == "official" and viewport is PHONE:
                # an authority is asked, and says yes
                page.goto(f"{site.url}/{lang}/documents/")
                page.select_option("#id_kind", "cn-home-return-permit")
                page.fill("#id_number", "H09876543")
                page.locator("main form button").click()
                page.fill("#id_name", "陈紫荆")
                page.fill("#id_birth", "1991-07-16")
                page.check("#id_agreed")
                assert fits(page) and violations(page) == []
                page.locator("form[aria-labelledby=ask] button").click()
                page.wait_for_selector("form[aria-labelledby=ask]", state="detached")
                assert fits(page) and violations(page) == [] and "⟦" not in page.inner_text("body")
                assert page.locator(".wt-check--passed").count() == 3
            assert made.heard == []
            made.close()


def test_who_has_no_script_has_a_button(browser, site, tmp_path):
    phone = opened(browser, site, "person", PHONE, java_script_enabled=False)
    page = phone.new_page()
    page.goto(f"{site.url}/en/passes/{site.right}/")
    page.click("text=New code")
    picture = page.get_attribute("#pass-code", "src")
    assert picture.startswith("data:image/svg+xml")
    assert read(page, tmp_path / "code.png").startswith("WT2:")
    desk = opened(browser, site, "official", DESK, java_script_enabled=False)
    page = desk.new_page()
    page.goto(f"{site.url}/en/passes/gates/hzmb-in-1/reader")
    page.fill("#reader-code", "WT9:X")
    page.click("text=Decide")
    assert page.get_attribute("[data-answer]", "data-answer") == "refuse"
