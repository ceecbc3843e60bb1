"""The pages of signatures in a real browser: a document is checked with its progress shown, and sealed by two people."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.border.trust.signatures.bench import bench
from tests.browsers import DESK, PHONE, chromium, fits, needs_chromium, opened, served, shot, violations

from wantong.border.trust.signatures import Document, Form, Order, sign
from wantong.ground.i18n import LANGUAGES

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300), needs_chromium]


@pytest.fixture(scope="module")
def site(tmp_path_factory: Any) -> Iterator[SimpleNamespace]:
    with served("tests.border.trust.signatures.serve", tmp_path_factory.mktemp("site") / "node") as site:
        yield site


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def letter(tmp_path_factory: Any) -> Path:
    """A letter that a stranger has signed."""
    document = Document("letter.txt", b"To whom it may concern.", "text/plain")
    made = sign([document], Form.JADES, [bench().person], Order(datetime.now(UTC)))
    path: Path = tmp_path_factory.mktemp("letter") / "letter-signed.json"
    path.write_bytes(made.content)
    return path


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("viewport", [PHONE, DESK], ids=["phone", "desk"])
def test_a_document_is_checked_by_anybody(
    browser: Any, site: Any, letter: Path, lang: str, viewport: Any
) -> None:
    context = opened(browser, site, viewport=viewport)
    page = context.new_page()
    page.goto(f"{site.url}/{lang}/check/")
    assert violations(page) == []
    shot(page, f"check-{lang}-{viewport['width']}")
    page.set_input_files("#id_file", str(letter))
    page.click("main button[type=submit]")
    page.wait_for_selector("#signature-1")
    assert "NO_CERTIFICATE_CHAIN_FOUND" in page.inner_text("main")
    assert "陳大文 Chan Tai Man" in page.inner_text("main")
    assert fits(page)
    assert violations(page) == []
    shot(page, f"checked-{lang}-{viewport['width']}")
    assert context.heard == []
    context.close()


def test_sealed_by_another_person(browser: Any, site: Any, tmp_path: Path) -> None:
    clerk = opened(browser, site, "clerk")
    page = clerk.new_page()
    page.goto(f"{site.url}/zh-hans/sign/")
    assert violations(page) == []
    shot(page, "sign")
    page.goto(f"{site.url}/zh-hans/sign/{site.waiting}/")
    assert page.locator("button[value=seal]").count() == 0
    clerk.close()
    head = opened(browser, site, "head", PHONE)
    page = head.new_page()
    page.goto(f"{site.url}/zh-hans/sign/{site.waiting}/")
    assert violations(page) == []
    shot(page, "sealing")
    page.click("button[value=seal]")
    page.wait_for_selector("text=已用印")
    with page.expect_download() as started:
        page.click("text=下载用印文件")
    started.value.save_as(tmp_path / "sealed.json")
    assert len(json.loads((tmp_path / "sealed.json").read_text())["signatures"]) == 2
    assert violations(page) == []
    shot(page, "sealed")
    assert head.heard == []
    head.close()
