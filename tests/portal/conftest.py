from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import call_command
from django.test import override_settings
from tests.portal import seeded


@pytest.fixture(scope="module")
def bay(django_db_setup, django_db_blocker, tmp_path_factory) -> Iterator[seeded.Seeded]:
    """One seeded node for all tests of a module; each test begins from it again (its transaction is rolled back)."""
    folder: Path = tmp_path_factory.mktemp("node")
    node = dataclasses.replace(settings.WANTONG, directory=folder)
    with django_db_blocker.unblock(), override_settings(WANTONG=node):
        yield seeded.seed(folder / "payloads")
        call_command("flush", interactive=False, verbosity=0)


@dataclass
class Site:
    """A seeded node that runs in a process of its own: its address and the ids of what is in it."""

    url: str
    ids: dict[str, str]
    password: str


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Iterator[Site]:
    """For browsers: a real node with a database of its own."""
    root = Path(__file__).parents[2]
    folder = tmp_path_factory.mktemp("site")
    path = os.pathsep.join([str(root / "src"), str(root)])
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.portal.serve", str(folder / "node")],
        cwd=root,
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stdin=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert line, "the node did not start"
        yield Site(**json.loads(line))
    finally:
        process.terminate()
        process.wait(10)
