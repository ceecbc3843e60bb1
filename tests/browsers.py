"""The real browser of the tests: Debian's Chromium, driven by Playwright."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from playwright.sync_api import Locator, Page

ROOT = Path(__file__).parents[1]
CHROMIUM = shutil.which("chromium")
AXE = (ROOT / "tests/portal/vendor/axe.min.js").read_text()
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PHONE, DESK = {"width": 360, "height": 740}, {"width": 1200, "height": 900}


def _lacking() -> str:
    """What keeps the browser from running here; empty if nothing does."""
    if CHROMIUM is None:
        return "Chromium is not installed (Debian: chromium)"
    driver = subprocess.run(
        [sys.executable, "-m", "playwright", "--version"], capture_output=True, text=True, check=False
    )
    return (
        "" if driver.returncode == 0 else f"Playwright's driver does not run: {driver.stderr.strip()[-200:]}"
    )


_why = _lacking()
needs_chromium = pytest.mark.skipif(bool(_why), reason=_why)


def follow(page: Page, link: Locator) -> None:
    """Click on what leads to another page, and wait until that page stands: a click by itself does not wait."""
    with page.expect_navigation(wait_until="load"):
        link.click()


@contextmanager
def served(module: str, folder: Path) -> Iterator[SimpleNamespace]:
    """What ``module`` serves (:mod:`tests.serving`) from ``folder``, and what it told of itself."""
    process = subprocess.Popen(
        [sys.executable, "-m", module, str(folder)],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, "the node did not start"
        yield SimpleNamespace(**json.loads(line))
    finally:
        process.terminate()
        process.wait(10)


@contextmanager
def chromium(*arguments: str) -> Iterator[Any]:
    """The browser, without a window."""
    from playwright.sync_api import sync_playwright

    # Playwright keeps an event loop in this thread, in which Django would else ask no database
    with pytest.MonkeyPatch.context() as patch, sync_playwright() as driver:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=[*ARGUMENTS, *arguments])
        yield browser
        browser.close()


def opened(browser: Any, site: SimpleNamespace, who: str = "", viewport: Any = DESK, **options: Any) -> Any:
    """A window of somebody who is signed in (``who``: the name of his session in ``site``); ``heard`` are its errors."""
    made = browser.new_context(viewport=viewport, **options)
    if who:
        made.add_cookies([{"name": site.cookie, "value": getattr(site, who), "url": site.url}])
    made.heard = []
    made.on("console", lambda message: made.heard.append(message.text) if message.type == "error" else None)
    return made


def shot(page: Page, name: str) -> None:
    """A picture for whoever wants to look: WANTONG_PICTURES names the folder."""
    if folder := os.environ.get("WANTONG_PICTURES"):
        page.screenshot(path=f"{folder}/{name}.png", full_page=True)


def axe(page: Page) -> Any:
    """What axe says of a page: ``violations``, and ``incomplete``, what it cannot decide; each a rule and where."""
    page.evaluate(AXE)
    return page.evaluate(
        """async () => {
          const told = await axe.run(document, {resultTypes: ["violations", "incomplete"]});
          const brief = list => list.map(v => [v.id, v.nodes.map(n => n.html.slice(0, 200))]);
          return {violations: brief(told.violations), incomplete: brief(told.incomplete)};
        }"""
    )


def violations(page: Page) -> Any:
    """What axe finds wrong with a page."""
    return axe(page)["violations"]


def fits(page: Page) -> bool:
    """Whether nothing sticks out at the side."""
    return bool(page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"))
