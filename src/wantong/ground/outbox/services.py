"""The verbs of the outbox: publish, handle, run what is due."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import structlog
from django.db import close_old_connections, connection, transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.utils import timezone

from wantong.ground import config
from wantong.ground.outbox import waking
from wantong.ground.outbox.models import Event, State

logger = structlog.get_logger(__name__)

Handler = Callable[[Event], None]
HANDLERS: dict[str, Handler] = {}
SOURCES: list[Callable[[], None]] = []

# a handler that has not come back by then is taken for dead, and its event is delivered again
LEASE = timedelta(seconds=120)
FIRST_RETRY = timedelta(milliseconds=400)
LAST_RETRY = timedelta(minutes=5)
# about two days of retries at LAST_RETRY; then a human must look
MAX_ATTEMPTS = 600


class Retry(Exception):
    """Raised by a handler that cannot do its work yet; ``after`` overrides the backoff."""

    def __init__(self, reason: str, after: timedelta | None = None) -> None:
        super().__init__(reason)
        self.after = after


class Postponed(Retry):
    """Raised by a handler that was told when to come back: nothing was tried, so it is no attempt."""


class Permanent(Exception):
    """Raised by a handler whose event can never succeed: it is parked for a human, and later ones go on."""


def handler(topic: str) -> Callable[[Handler], Handler]:
    """Register the one handler of ``topic``. A handler may run twice for one event and must be idempotent."""

    def register(function: Handler) -> Handler:
        if HANDLERS.setdefault(topic, function) is not function:
            raise ValueError(f"topic {topic!r} has a handler already: {HANDLERS[topic]!r}")
        return function

    return register


def publish(topic: str, key: str, payload: dict[str, Any], *, delay: timedelta = timedelta()) -> Event:
    """Store an event in the caller's transaction; the worker is woken when that commits."""
    event = Event.objects.create(topic=topic, key=key, payload=payload, available_at=timezone.now() + delay)
    transaction.on_commit(wake)
    return event


def wake() -> None:
    """Tell this node's worker that there is work."""
    waking.wake(config.current().run)


def source(look: Callable[[], None]) -> Callable[[], None]:
    """Register a look at something outside the database from which work may come; returns it.

    The worker looks each time it is woken, before it asks for what is due: a look must cost next to nothing when
    there is nothing, and :func:`publish` what there is otherwise. It may be called twice for the same.
    """
    SOURCES.append(look)
    return look


def look_around() -> None:
    """Look at every source."""
    for look in SOURCES:
        look()


def due(limit: int = 64) -> list[Event]:
    """What may be delivered now: the first waiting event of each key, if due and not being delivered already."""
    return list(_free_heads().filter(available_at__lte=timezone.now())[:limit])


def time_to_next() -> timedelta | None:
    """How long until an event that nobody is delivering becomes due (zero: now); None if nothing waits."""
    at = _free_heads().order_by("available_at").values_list("available_at", flat=True).first()
    return None if at is None else max(timedelta(), at - timezone.now())


def release_leases() -> None:
    """Forget what a worker that died was delivering. Only the node's single worker may call this, when it starts."""
    Event.objects.filter(state=State.DUE).exclude(leased_until=None).update(leased_until=None)


def _free_heads() -> QuerySet[Event]:
    earlier = Event.objects.filter(key=OuterRef("key"), id__lt=OuterRef("id"), state=State.DUE)
    free = Q(leased_until=None) | Q(leased_until__lte=timezone.now())
    return Event.objects.filter(free, ~Exists(earlier), state=State.DUE)


def run_due(pool: ThreadPoolExecutor | None = None, limit: int = 64) -> int:
    """Deliver what is due now, one event a key; with ``pool``, keys side by side. Returns how many were tried."""
    events = due(limit)
    if pool is None:
        return sum([_deliver(event) for event in events])
    return sum(pool.map(deliver_in_thread, events))


def drain(rounds: int = 1000) -> int:
    """Deliver until nothing is due, ignoring backoff delays up to a second (for tests and one-shot tools)."""
    total = 0
    for _ in range(rounds):
        look_around()
        Event.objects.filter(state=State.DUE, available_at__lte=timezone.now() + timedelta(seconds=1)).update(
            available_at=timezone.now()
        )
        done = run_due()
        if not done:
            return total
        total += done
    raise RuntimeError("the outbox does not come to rest")


def deliver_in_thread(event: Event) -> int:
    """Deliver one event of :func:`due` in a pool's thread; returns 1 if it was tried, 0 if another worker has it."""
    close_old_connections()
    try:
        return _deliver(event)
    finally:
        connection.close()


def _deliver(event: Event) -> int:
    now = timezone.now()
    claimed = Event.objects.filter(
        Q(leased_until=None) | Q(leased_until__lte=now), id=event.id, state=State.DUE
    ).update(leased_until=now + LEASE, attempts=F("attempts") + 1)
    if not claimed:
        return 0
    event.attempts += 1
    log = logger.bind(topic=event.topic, key=event.key, event_id=event.id, attempt=event.attempts)
    try:
        function = HANDLERS.get(event.topic)
        if function is None:
            raise Permanent(f"no handler for topic {event.topic!r}")
        function(event)
    except Permanent as error:
        log.error("outbox.parked", reason=str(error))
        _finish(event, state=State.PARKED, last_error=str(error))
    except Exception as error:
        after = (error.after if isinstance(error, Retry) else None) or backoff(event.attempts)
        if not isinstance(error, Retry):
            log.exception("outbox.failed")
        attempts = event.attempts - isinstance(error, Postponed)
        Event.objects.filter(id=event.id).update(
            state=State.DUE if attempts < MAX_ATTEMPTS else State.PARKED,
            attempts=attempts,
            leased_until=None,
            available_at=timezone.now() + after,
            last_error=repr(error)[:2000],
        )
    else:
        _finish(event, state=State.DONE, last_error="")
    return 1


def backoff(attempts: int) -> timedelta:
    """How long to wait after the given number of failed attempts: doubling from 0.4 s to 5 minutes."""
    return min(FIRST_RETRY * 2 ** min(attempts - 1, 20), LAST_RETRY)


def _finish(event: Event, **values: Any) -> None:
    Event.objects.filter(id=event.id).update(leased_until=None, finished_at=timezone.now(), **values)
