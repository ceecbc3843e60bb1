"""The worker process: whatever the outbox says must still happen."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from wantong.ground.outbox.models import Event

logger = structlog.get_logger(__name__)

THREADS = 8
# how long to sleep at most; a lost wake-up or an event stored by hand waits this long
LONGEST_SLEEP = timedelta(seconds=10)
# seconds between two signs of life; `/readyz` misses one after thirty
SHOW_LIFE = 5.0


class Desk:
    """The threads that deliver: each takes an event, goes on with its key as long as that has more to do, and then with
    whatever else is due."""

    def __init__(self, threads: int, go_on: Callable[[], bool]) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="outbox")
        self._go_on = go_on
        self._lock = threading.Lock()
        self._free = threads
        self._called = False  # while nobody was free
        self._until = 0.0  # when hand_out will be called at the latest, by time.monotonic
        self._delivering: dict[int, int] = {}  # thread → event
        self._lost: set[int] = set()  # events of which nobody could store what came of them
        self._ahead = _lead()  # the most since hand_out was called

    def hand_out(self) -> timedelta:
        """Give threads what is due; how long until more is, if nobody calls before."""
        from wantong.ground.outbox import services

        self._catch_up()
        with self._lock:
            free, delivering = self._free, list(self._delivering.values())
            self._called = not free
        pause = LONGEST_SLEEP
        # until it is known when more is due: a thread that finds something sooner meanwhile calls
        self._until = time.monotonic() + pause.total_seconds()
        if free:
            taken = services.take(free, delivering)
            for event in taken.events:
                with self._lock:
                    self._free -= 1
                self._pool.submit(self._deliver, event)
            if taken.wait is not None:
                pause = min(taken.wait, LONGEST_SLEEP)
        self._until = time.monotonic() + pause.total_seconds()
        return pause

    def _catch_up(self) -> None:
        """Free what would wait for a lease that nobody holds, or for an hour that a wrong clock has named."""
        from wantong.ground.outbox import services

        with self._lock:
            lost = set(self._lost)
        if lost:
            services.release_leases(lost)
            with self._lock:
                self._lost -= lost
        with self._lock:
            before, self._ahead = self._ahead, _lead()
        if before - self._ahead > services.CLOCK_TOLERANCE.total_seconds():
            logger.warning("worker.clock_went_back", events=services.clock_went_back())

    def _deliver(self, event: Event) -> None:
        from django.db import close_old_connections, connection

        from wantong.ground.outbox import services

        thread = threading.get_ident()
        at = event.id
        following: Event | None = event
        try:
            close_old_connections()
            while following is not None:
                for going in services.deliver_key(following, self._go_on):
                    at = self._delivering[thread] = going.id
                    self._look_at_the_clock()
                self._look_at_the_clock()
                following = self._another() if self._go_on() else None
        except Exception:
            # what came of it is not stored: it comes again as soon as something can be stored
            logger.exception("worker.database")
            with self._lock:
                self._lost.add(at)
                self._called = True
            connection.close()
        finally:
            with self._lock:
                self._delivering.pop(thread, None)
                self._free += 1
                called, self._called = self._called, False
            if called:
                services.wake()

    def _look_at_the_clock(self) -> None:
        """Remember how far ahead it was: what has just been put off was put off by it."""
        with self._lock:
            self._ahead = max(self._ahead, _lead())

    def _another(self) -> Event | None:
        """An event for a thread that is done with its key."""
        from wantong.ground.outbox import services

        with self._lock:
            # what it delivered last is over, or put off: then that is the next thing due, maybe
            self._delivering.pop(threading.get_ident(), None)
            delivering = list(self._delivering.values())
        taken = services.take(1, delivering)
        if taken.wait is not None and time.monotonic() + taken.wait.total_seconds() < self._until:
            services.wake()
        return taken.events[0] if taken.events else None

    def close(self) -> None:
        """Return when what is being delivered has been."""
        self._pool.shutdown(wait=True)


def main() -> None:
    """Deliver outbox events until SIGTERM; events in flight are finished first."""
    import django

    from wantong.node import garbage

    with garbage.off():
        django.setup()
        from django.conf import settings
        from django.db import connection

        from wantong.border.gate.declarations import outgoing
        from wantong.ground import config, drafts
        from wantong.ground.outbox import services
        from wantong.node import handlers, logging

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
    desk = Desk(THREADS, lambda: not stopping)
    services.release_leases()
    services.clock_went_back()
    handlers.begin_days()
    outgoing.sweep(config.current().outgoing)
    drafts.settle_in(config.current().passing)
    drafts.sweep(config.current().blobs)
    drafts.sweep(config.current().open)
    logger.info("worker.started", pid=os.getpid())
    shown = 0.0
    while not stopping:
        if time.monotonic() - shown > SHOW_LIFE:
            (run / "worker.alive").touch()
            shown = time.monotonic()
        try:
            services.look_around()
            pause = desk.hand_out()
        except Exception:
            # the database went away; come back when it does
            logger.exception("worker.database")
            connection.close()
            pause = timedelta(seconds=1)
        channel.settimeout(max(pause.total_seconds(), 0.005))
        with contextlib.suppress(TimeoutError):
            channel.recv(16)
            channel.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                while channel.recv(16):
                    pass
    desk.close()
    logger.info("worker.stopped")


def _lead() -> float:
    """By how much the wall clock leads the one that nobody can set."""
    return time.time() - time.monotonic()


if __name__ == "__main__":
    main()
