#!/usr/bin/env python3
"""Pictures of the main pages, for README and documentation: ``tools/screenshots.py [--bay DIR] [--out DIR]``.

A bay of three nodes is made in a temporary folder, runs its crossings, and is photographed by its operators; with
``--bay`` the nodes of a running ``wantong up`` are. Pages that ask for something are shown with their answer: a
synthetic table is scanned, a facts file assessed, a registered document carried to Macao and checked there. Needs the test requirements and Debian's package chromium.
"""

from __future__ import annotations

import argparse
import io
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from wantong.node.bay import Bay, BayNode
from wantong.node.demo import scenario
from wantong.node.demo.narration import Crossing, Narrator, Step

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
EXAMPLES = ROOT / "docs" / "examples"
CERTIFICATE = "学位证书\n兹证明某某已修完全部课程，授予工学学士学位。\n（虚构文件，仅供演示）\n"

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
    ("catalogue", "zh-hant", "catalogue", None, HEIGHT),
    ("peer", "en", "peers/hk.wantong.example/catalogue/{dataset}", None, 1300),
    ("whitelist", "zh-hans", "whitelist", None, HEIGHT),
    ("log", "pt", "log", None, HEIGHT),
)


@dataclass(frozen=True)
class Place:
    """A node to be photographed, and who signs in there."""

    url: str
    name: str
    password: str


@contextmanager
def own() -> Iterator[Mapping[str, Place]]:
    """The nodes of a bay of our own that has run its crossings, in English."""
    with tempfile.TemporaryDirectory() as folder:
        bay = Bay(Path(folder))
        bay.make(any_port=True)
        with bay.running():
            narrator = Narrator(Silence())
            scenario.run(bay, narrator, "en")
            if failed := [crossing for crossing in narrator.crossings if not crossing.ok]:
                raise SystemExit(f"crossing {failed[0].id}: {failed[0].problem or failed[0].outcome}")
            yield places(Path(folder))


class Silence:
    """Nobody watches the crossings."""

    def begins(self, crossing: Crossing) -> None:
        print(f"crossing {crossing.id}", flush=True)

    def step(self, crossing: Crossing, step: Step) -> None:
        pass

    def ends(self, crossing: Crossing) -> None:
        pass


@contextmanager
def running(bay: Path) -> Iterator[Mapping[str, Place]]:
    """The nodes of a running bay."""
    yield places(bay)


def places(bay: Path) -> Mapping[str, Place]:
    found = {}
    for place in ("gd", "hk", "mo"):
        node = BayNode(place, bay / place)
        found[place] = Place(node.url, "officer", node.operators()["officer"]["password"])
    return found


def sign_in(page: Page, place: Place) -> None:
    page.goto(f"{place.url}/en/sign-in")
    page.fill("#id_username", place.name)
    page.fill("#id_password", place.password)
    page.click("main button")
    page.wait_for_url(f"{place.url}/en/")


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


def scanned(page: Page, url: str) -> bytes:
    """What the scanner says of a synthetic table."""
    page.set_viewport_size({"width": WIDTH, "height": 1100})
    page.goto(f"{url}/zh-hans/scan")
    page.set_input_files("#id_file", EXAMPLES / "social-insurance.csv")
    page.click("main form button")
    page.wait_for_selector("main table")
    return page.screenshot()


def assessed(page: Page, url: str) -> bytes:
    """The answer to the facts of a clinic in Zhuhai."""
    page.set_viewport_size({"width": WIDTH, "height": 1100})
    page.goto(f"{url}/en/assess")
    page.eval_on_selector_all("details", "all => all.forEach(d => d.open = true)")
    page.set_input_files("input[name=facts]", EXAMPLES / "zhuhai-clinic.yaml")
    page.click("form[enctype] button")
    page.wait_for_selector(".rules-answer")
    return page.screenshot()


def carried(issuer: Page, verifier: Page, here: str, there: str) -> tuple[bytes, bytes]:
    """A certificate is registered in Guangdong and checked in Macao; and what a check of its receipt says."""
    issuer.goto(f"{here}/zh-hans/carried/register")
    paper = {"name": "学位证书.txt", "mimeType": "text/plain", "buffer": CERTIFICATE.encode()}
    issuer.set_input_files("#id_document", paper)
    issuer.fill("#id_kind", "学位证书")
    with issuer.expect_download(timeout=30_000) as download:
        issuer.click("main form button")
    bundle = Path(download.value.path())
    verifier.set_viewport_size({"width": WIDTH, "height": 1100})
    verifier.goto(f"{there}/zh-hant/carried")
    verifier.set_input_files(
        "#id_bundle",
        {"name": "carried.zip", "mimeType": "application/zip", "buffer": bundle.read_bytes()},
    )
    verifier.click("main form button")
    verifier.wait_for_selector(".wt-receipt--good")
    picture = verifier.screenshot()
    with zipfile.ZipFile(bundle) as archive:
        receipt, salt = archive.read("receipt.tlog-proof"), archive.read("salt").decode()
    verifier.goto(f"{there}/zh-hant/verify")
    verifier.eval_on_selector_all("details", "all => all.forEach(d => d.open = true)")
    verifier.set_input_files(
        "#id_receipt", {"name": "receipt.tlog-proof", "mimeType": "text/plain", "buffer": receipt}
    )
    verifier.set_input_files("#id_file", paper)
    verifier.fill("#id_salt", salt)
    verifier.click("main form button")
    verifier.wait_for_selector(".wt-receipt--good")
    return picture, verifier.screenshot()


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
    nodes = running(options.bay) if options.bay else own()
    with nodes as bay, sync_playwright() as playwright:
        url, macao = bay["gd"].url, bay["mo"].url
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=CHROMIUM_FLAGS)
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        sign_in(page, bay["gd"])
        verifier = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        sign_in(verifier, bay["mo"])
        offered = page.request.get(f"{url}/en/peers/hk.wantong.example/catalogue.json").json()["datasets"]
        named = {"crossing": best_crossing(page, url), "dataset": offered[0]["id"]}
        for shot, lang, path, part, height in SHOTS:
            page.set_viewport_size({"width": WIDTH, "height": height})
            answer = page.goto(f"{url}/{lang}/{path.format(**named)}")
            if answer is None or answer.status != 200:
                raise SystemExit(f"{path}: {answer and answer.status}")
            png = page.locator(part).screenshot() if part else page.screenshot()
            save(png, options.out / f"{shot}-{lang}.png")
        narrow = browser.new_context(
            viewport={"width": 360, "height": 740}, storage_state=page.context.storage_state()
        ).new_page()
        narrow.goto(f"{url}/zh-hant/crossings/{named['crossing']}")
        save(narrow.screenshot(), options.out / "crossing-narrow-zh-hant.png")
        save(scanned(page, url), options.out / "scan-zh-hans.png")
        save(assessed(page, url), options.out / "assess-en.png")
        checked, verified = carried(page, verifier, url, macao)
        save(checked, options.out / "carried-zh-hant.png")
        save(verified, options.out / "verify-zh-hant.png")
        browser.close()


if __name__ == "__main__":
    main()
