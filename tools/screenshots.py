#!/usr/bin/env python3
"""Pictures of the main pages, for README and documentation: ``tools/screenshots.py [--bay DIR] [--out DIR]``.

With ``--bay`` the nodes of a running ``wantong up`` are photographed (signed in as the demonstration's operators);
without it a seeded node is started for the purpose. Needs the test requirements and Debian's package chromium.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

from PIL import Image
from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
CHROMIUM_FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
WIDTH, HEIGHT = 1200, 900
LARGEST = 300_000

# name of the picture, language, address below it, part of the page (None: the window), height of the window
SHOTS = (
    ("home", "zh-hans", "", None, HEIGHT),
    ("home", "zh-hant", "", None, HEIGHT),
    ("home", "en", "", None, HEIGHT),
    ("home", "pt", "", None, HEIGHT),
    ("crossings", "zh-hans", "crossings", None, HEIGHT),
    ("crossing", "zh-hans", "crossings/{crossing}", None, 1300),
    ("crossing", "zh-hant", "crossings/{crossing}", None, 1300),
    ("crossing", "en", "crossings/{crossing}", None, 1300),
    ("crossing", "pt", "crossings/{crossing}", None, 1300),
    ("receipt", "en", "crossings/{crossing}", "section[aria-labelledby=receipt]", HEIGHT),
    ("receipt", "zh-hans", "crossings/{crossing}", "section[aria-labelledby=receipt]", HEIGHT),
    ("scan", "zh-hans", "scan", None, HEIGHT),
    ("assess", "en", "assess", None, HEIGHT),
    ("catalogue", "zh-hant", "catalogue", None, HEIGHT),
    ("whitelist", "zh-hans", "whitelist", None, HEIGHT),
    ("log", "pt", "log", None, HEIGHT),
    ("verify", "zh-hant", "verify", None, HEIGHT),
)


@contextmanager
def seeded() -> Iterator[tuple[str, str, str]]:
    """(address, operator, password) of a node made for the pictures."""
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-m", "tests.portal.serve", str(Path(folder) / "node")],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")])},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        try:
            told = json.loads(process.stdout.readline())
            yield told["url"], "lei", told["password"]
        finally:
            process.terminate()
            process.wait(10)


@contextmanager
def running(bay: Path, place: str = "gd") -> Iterator[tuple[str, str, str]]:
    """(address, operator, password) of a node of a running bay."""
    settings = tomllib.loads((bay / place / "node.toml").read_text("utf-8"))
    secrets = json.loads((bay / place / "run" / "demo-operators.json").read_text("utf-8"))
    name = "officer"
    yield settings["url"], name, secrets[name]["password"]


def sign_in(page: Page, url: str, name: str, password: str) -> None:
    page.goto(f"{url}/en/sign-in")
    page.fill("#id_username", name)
    page.fill("#id_password", password)
    page.click("main button")
    page.wait_for_url(f"{url}/en/")


def best_crossing(page: Page, url: str) -> str:
    """The crossing with the longest story among those that have arrived."""
    found = []
    for state in ("receipted", "delivered", "released"):
        listed = page.request.get(f"{url}/en/crossings.json?state={state}").json()["crossings"]
        for crossing in listed:
            told = page.request.get(f"{url}/en/crossings/{crossing['id']}.json").json()
            found.append((crossing["direction"] == "export", len(told["timeline"]), crossing["id"]))
        if found:
            break
    return max(found)[2]


def save(png: bytes, path: Path) -> None:
    """Store a picture with as many colours as fit under the limit."""
    image = Image.open(io.BytesIO(png)).convert("RGB")
    for colours in (256, 128, 64, 32):
        buffer = io.BytesIO()
        image.quantize(colours, dither=Image.Dither.NONE).save(buffer, "PNG", optimize=True)
        if buffer.tell() < LARGEST:
            break
    path.write_bytes(buffer.getvalue())
    print(f"{path.name}  {buffer.tell() // 1000} kB")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bay", type=Path, help="folder of a running bay")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "images")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    node = running(options.bay) if options.bay else seeded()
    with node as (url, name, password), sync_playwright() as playwright:
        urlopen(f"{url}/healthz", timeout=10).close()  # noqa: S310 - the address comes from our own settings
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=CHROMIUM_FLAGS)
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        sign_in(page, url, name, password)
        crossing = best_crossing(page, url)
        for shot, lang, path, part, height in SHOTS:
            page.set_viewport_size({"width": WIDTH, "height": height})
            answer = page.goto(f"{url}/{lang}/{path.format(crossing=crossing)}")
            if answer is None or answer.status != 200:
                raise SystemExit(f"{path}: {answer and answer.status}")
            png = page.locator(part).screenshot() if part else page.screenshot()
            save(png, options.out / f"{shot}-{lang}.png")
        narrow = browser.new_context(
            viewport={"width": 360, "height": 740}, storage_state=page.context.storage_state()
        ).new_page()
        narrow.goto(f"{url}/zh-hant/crossings/{crossing}")
        save(narrow.screenshot(), options.out / "crossing-narrow-zh-hant.png")
        browser.close()


if __name__ == "__main__":
    main()
