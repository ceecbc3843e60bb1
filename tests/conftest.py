"""What every test may use. The database is SQLite, or what WANTONG_TEST_DATABASE names."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pytest
from django.db.backends.sqlite3.base import DatabaseOperations
from hypothesis import HealthCheck, settings

settings.register_profile(
    "default", max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("thorough", max_examples=2000, deadline=None)
settings.load_profile("default")


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


_sql_flush = DatabaseOperations.sql_flush


def _flush_in_spite_of_triggers(self, style, tables, **options):
    """SQLite empties a table between two tests by DELETE, which append-only tables refuse; PostgreSQL truncates."""
    with self.connection.cursor() as cursor:
        triggers = cursor.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
    return [
        *(f"DROP TRIGGER {self.quote_name(name)}" for name, _ in triggers),
        *_sql_flush(self, style, tables, **options),
        *(sql for _, sql in triggers),
    ]


DatabaseOperations.sql_flush = _flush_in_spite_of_triggers
