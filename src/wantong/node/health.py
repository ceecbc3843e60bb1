"""Liveness and readiness, as orchestrators ask for them."""

import time
from collections.abc import Mapping
from typing import Any

from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse

from wantong.ground import config


def live(request: HttpRequest) -> JsonResponse:
    """The process answers."""
    return JsonResponse({"status": "ok"})


def ready(request: HttpRequest) -> JsonResponse:
    """As :func:`readiness`, for servers that have no front of ours."""
    status, said = readiness()
    return JsonResponse(said, status=status)


def readiness() -> tuple[int, Mapping[str, Any]]:
    """The database is migrated, the log folder is there, the worker has shown itself within 30 s; 503 otherwise."""
    checks = {"database": _migrated(), "log": config.current().log.is_dir(), "worker": _worker_age() < 30}
    good = all(checks.values())
    return 200 if good else 503, {"status": "ok" if good else "not ready", "checks": checks}


def readiness_apart() -> tuple[int, Mapping[str, Any]]:
    """:func:`readiness` outside of any request: its connection is not kept."""
    try:
        return readiness()
    finally:
        connection.close()


def _migrated() -> bool:
    try:
        executor = MigrationExecutor(connection)
        return not executor.migration_plan(executor.loader.graph.leaf_nodes())
    except Exception:
        return False


def _worker_age() -> float:
    try:
        return time.time() - (config.current().run / "worker.alive").stat().st_mtime
    except OSError:
        return float("inf")
