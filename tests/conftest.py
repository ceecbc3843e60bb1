"""What every test may use. The database is SQLite, or what WANTONG_TEST_DATABASE names."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pytest
from django.contrib.auth.hashers import ScryptPasswordHasher
from django.test import TransactionTestCase
from hypothesis import HealthCheck, settings
from tests import databases

settings.register_profile(
    "default", max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("thorough", max_examples=2000, deadline=None)
settings.load_profile("default")

# what a password costs whoever guesses it is no test's subject, and a quarter of a second each time
ScryptPasswordHasher.work_factor = 2**4


@pytest.fixture(scope="session")
def tested_database() -> str:
    """The database that this run is about, for tests that give it to nodes of their own; empty means SQLite."""
    return os.environ.get("WANTONG_TEST_DATABASE", "")


def pytest_collection_modifyitems(config, items):
    """What takes longest begins first, so that no worker ends long after the others.

    On another database than SQLite, what cannot reach it is not played again, nor what is looked at in a browser: no
    test meets a database but by these, and how a page looks hangs on none.
    """
    items.sort(key=lambda item: not any(map(item.get_closest_marker, ("processes", "browser"))))
    if not os.environ.get("WANTONG_TEST_DATABASE"):
        return
    kept, left = [], []
    for item in items:
        reaches = item.get_closest_marker("django_db") or {"db", "transactional_db", "tested_database"} & set(
            item.fixturenames
        )
        reaches = reaches and not item.get_closest_marker("browser")
        (kept if reaches else left).append(item)
    items[:] = kept
    config.hook.pytest_deselected(items=left)


@pytest.fixture
def node(tmp_path: Path, settings):
    """A node folder of its own for one test; returns its NodeConfig."""
    config = dataclasses.replace(settings.WANTONG, directory=tmp_path / "node")
    for folder in (config.keys, config.log, config.blobs, config.outgoing, config.run):
        folder.mkdir(parents=True)
    settings.WANTONG = config
    return config


# what Django calls after a test whose transactions were real
TransactionTestCase._fixture_teardown = lambda self: databases.empty()
