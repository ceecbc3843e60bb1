"""What docs/tasks.md names must exist: test folders, verbs, addresses; and it must be the page that `make docs` writes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import yaml
from django.urls import Resolver404, resolve
from django.utils import translation

from wantong.cli import VERBS

ROOT = Path(__file__).parents[2]


def fronts() -> dict[str, dict]:
    pages = {}
    for page in sorted((ROOT / "docs/capabilities").glob("*.md")):
        text = page.read_text("utf-8")
        assert text.startswith("---\n"), (
            f"{page.name} needs front matter: tasks, systems, pages, api, cli, tests"
        )
        pages[page.name] = yaml.safe_load(text[4:].split("\n---\n", 1)[0])
    return pages


def test_everything_a_capability_page_names_exists():
    for page, front in fronts().items():
        for test in front.get("tests", []):
            assert (ROOT / test).exists(), f"{page}: {test}"
        for verb in front.get("cli", []):
            assert verb.split()[1] in VERBS, f"{page}: {verb}"
        for address in [*front.get("pages", []), *(api.split()[-1] for api in front.get("api", []))]:
            try:
                with translation.override(address.split("/")[1] if address.startswith("/en/") else None):
                    resolve(address)
            except Resolver404:
                raise AssertionError(f"{page}: nothing answers at {address}") from None


def test_the_generated_page_names_every_task():
    page = subprocess.run(
        [sys.executable, ROOT / "tools/tasks.py"], capture_output=True, text=True, check=True
    ).stdout
    plan = yaml.safe_load((ROOT / "docs/plan/tasks.yaml").read_text("utf-8"))
    assert len(plan["tasks"]) == 60
    for task in plan["tasks"]:
        assert f"| {task['id']} {task['zh']}" in page
    assert (ROOT / "docs/tasks.md").read_text("utf-8") == page, "make docs"
