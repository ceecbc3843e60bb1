"""The real browser of the tests: Debian's Chromium, driven by Playwright."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest
from playwright.sync_api import Locator, Page

CHROMIUM = shutil.which("chromium")


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
