"""The worker process: whatever the outbox says must still happen."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta

import structlog

logger = structlog.get_logger(__name__)

THREADS = 8
# how long to sleep at most; a lost wake-up or an event stored by hand waits this long
LONGEST_SLEEP = 10.0


def main() -> None:
    """Deliver outbox events until SIGTERM; events in flight are finished first."""
    import django

    django.setup()
    from django.conf import settings
    from django.db import connection

    from wantong.border.gate.declarations import outgoing
    from wantong.ground import config, drafts
    from wantong.ground.outbox import services
    from wantong.node import logging

    logging.configure(settings.LOG_LEVEL, "worker")
    run = config.current().run
    run.mkdir(exist_ok=True)
    address = run / "worker.sock"
    address.unlink(missing_ok=True)
    channel = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    channel.bind(str(address))
    stopping = False

    def stop(*_: object) -> None:
        nonlocal stopping
        stopping = True
        services.wake()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole terminal; the supervisor decides
    in_flight: dict[int, Future[int]] = {}
    pool = ThreadPoolExecutor(THREADS, thread_name_prefix="outbox")
    services.release_leases()
    outgoing.sweep(config.current().outgoing)
    drafts.settle_in(config.current().passing)
    drafts.sweep(config.current().blobs)
    drafts.sweep(config.current().open)
    logger.info("worker.started", pid=os.getpid())
    while not stopping:
        (run / "worker.alive").touch()
        in_flight = {key: future for key, future in in_flight.items() if not future.done()}
        started = 0
        try:
            services.look_around()
            for event in services.due(limit=THREADS * 2):
                if event.id not in in_flight and len(in_flight) < THREADS:
                    future = pool.submit(services.deliver_in_thread, event)
                    future.add_done_callback(lambda _: services.wake())
                    in_flight[event.id] = future
                    started += 1
            pause = services.time_to_next()
        except Exception:
            # the database went away; come back when it does
            logger.exception("worker.database")
            connection.close()
            pause = timedelta(seconds=1)
        if started and len(in_flight) < THREADS:
            continue
        seconds = LONGEST_SLEEP if pause is None else min(max(pause.total_seconds(), 0.005), LONGEST_SLEEP)
        channel.settimeout(LONGEST_SLEEP if len(in_flight) >= THREADS else seconds)
        with contextlib.suppress(TimeoutError):
            channel.recv(16)
            channel.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                while channel.recv(16):
                    pass
    pool.shutdown(wait=True)
    logger.info("worker.stopped")


if __name__ == "__main__":
    main()
