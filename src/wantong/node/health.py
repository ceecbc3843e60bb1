"""Liveness and readiness, as orchestrators ask for them."""

import time

from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse

from wantong.ground import config


def live(request: HttpRequest) -> JsonResponse:
    """The process answers."""
    return JsonResponse({"status": "ok"})


def ready(request: HttpRequest) -> JsonResponse:
    """The database is migrated, the log folder is there, the worker has shown itself within 30 s; 503 otherwise."""
    checks = {"database": _migrated(), "log": config.current().log.is_dir(), "worker": _worker_age() < 30}
    return JsonResponse(
        {"status": "ok" if all(checks.values()) else "not ready", "checks": checks},
        status=200 if all(checks.values()) else 503,
    )


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
