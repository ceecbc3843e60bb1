from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.conf import settings
from django.test import override_settings
from tests import databases
from tests.browsers import served
from tests.portal import seeded


@pytest.fixture(scope="module")
def bay(django_db_setup, django_db_blocker, tmp_path_factory) -> Iterator[seeded.Seeded]:
    """One seeded node for all tests of a module; each test begins from it again (its transaction is rolled back)."""
    folder: Path = tmp_path_factory.mktemp("node")
    node = dataclasses.replace(settings.WANTONG, directory=folder)
    with django_db_blocker.unblock(), override_settings(WANTONG=node):
        yield seeded.seed(folder / "payloads")
        databases.empty()


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Iterator[SimpleNamespace]:
    """For browsers: a real node with a database of its own, its ``url``, ``password`` and the ``ids`` of what is in it."""
    with served("tests.portal.serve", tmp_path_factory.mktemp("site") / "node") as site:
        yield site
