"""Running a node: three processes under one supervisor."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import structlog

from wantong.node import config, logging, move, setup
from wantong.node.processes import Supervisor


def run(directory: Path) -> None:
    """Bring the node up to date, start web, data plane and worker, and stay until SIGTERM or Ctrl-C.

    SIGHUP: the processes end in order, a move that was asked for is made, and they start with the settings as they
    then are.
    """
    settings = config.load(directory)
    logging.configure(settings.log_level, "node")
    setup.prepare_if_needed(directory)
    logger = structlog.get_logger("wantong.node")

    def notify(event: str, name: str, details: Mapping[str, Any]) -> None:
        logger.info(event, child=name, **details)

    supervisor = Supervisor(
        {"WANTONG_NODE": str(directory.resolve()), "DJANGO_SETTINGS_MODULE": setup.settings_module()},
        notify=notify,
        between=lambda: move.make_asked(directory),
    )
    for name in ("web", "dataplane", "worker"):
        supervisor.add(name, [sys.executable, "-m", f"wantong.node.{name}"])
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: supervisor.request_stop())
    signal.signal(signal.SIGHUP, lambda *_: supervisor.request_reload())
    pid = directory / move.PID
    pid.write_text(str(os.getpid()))
    logger.info("node.starting", url=settings.node.url, participant=settings.node.participant_id)
    try:
        supervisor.run()
    finally:
        pid.unlink(missing_ok=True)
        logger.info("node.stopped")
