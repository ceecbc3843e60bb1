"""The real browser of the tests: Debian's Chromium, driven by Playwright."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest

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
