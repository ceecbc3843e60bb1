"""The verbs of the outbox: publish, handle, run what is due."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import structlog
from django.db import connection, transaction
from django.utils import timezone

from wantong.ground import config
from wantong.ground.outbox import waking
from wantong.ground.outbox.models import Event, State

logger = structlog.get_logger(__name__)

# what a handler returns, if anything, is its last words: called in the transaction that ends the event
Handler = Callable[[Event], Callable[[], None] | None]
HANDLERS: dict[str, Handler] = {}
TOGETHER: set[str] = set()
TIMERS: set[str] = set()
SOURCES: list[Callable[[], None]] = []
HOLDS: list[Callable[[Event], bool]] = []

# a handler that has not come back by then is taken for dead, and its event is delivered again
LEASE = timedelta(seconds=120)
FIRST_RETRY = timedelta(milliseconds=400)
LAST_RETRY = timedelta(minutes=5)
# about two days of retries at LAST_RETRY; then a human must look
MAX_ATTEMPTS = 600

# corrections of a clock by less than this are nobody's business
CLOCK_TOLERANCE = timedelta(seconds=1)
# how long an event that must wait is left alone
HELD = timedelta(seconds=1.5)

# the key of the event that a thread is delivering
_delivering = threading.local()


class Retry(Exception):
    """Raised by a handler that cannot do its work yet; ``after`` overrides the backoff."""

    def __init__(self, reason: str, after: timedelta | None = None) -> None:
        super().__init__(reason)
        self.after = after


class Postponed(Retry):
    """Raised by a handler that was told when to come back: nothing was tried, so it is no attempt."""


class Permanent(Exception):
    """Raised by a handler whose event can never succeed: it is parked for a human, and later ones go on."""


def handler(topic: str, *, together: bool = False, timer: bool = False) -> Callable[[Handler], Handler]:
    """Register the one handler of ``topic``. A handler may run twice for one event and must be idempotent.

    What it returns, if it returns anything, is called in the transaction in which the event ends: what is stored
    there is stored exactly when the event is over. ``together``: it is called once for all events of a key that wait,
    with the newest of them; such a key has events of no other topic. ``timer``: its events wait for their hour, and
    what waits for one is not work left undone (:attr:`Event.timer`).
    """

    def register(function: Handler) -> Handler:
        if HANDLERS.setdefault(topic, function) is not function:
            raise ValueError(f"topic {topic!r} has a handler already: {HANDLERS[topic]!r}")
        if together:
            TOGETHER.add(topic)
        if timer:
            TIMERS.add(topic)
        return function

    return register


def publish(topic: str, key: str, payload: dict[str, Any], *, delay: timedelta = timedelta()) -> Event:
    """Store an event in the caller's transaction; the worker is woken when that commits."""
    now = timezone.now()
    event = Event.objects.create(
        topic=topic,
        key=key,
        payload=payload,
        timer=topic in TIMERS,
        available_at=now + delay,
        scheduled_at=now,
    )
    # the thread that delivers an event looks for the next one of its key by itself
    if delay or key != getattr(_delivering, "key", None):
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


def hold_if(wait: Callable[[Event], bool]) -> None:
    """Register what says of an event that it must wait: it is looked at again in a second, and no attempt counts."""
    HOLDS.append(wait)


def look_around() -> None:
    """Look at every source."""
    for look in SOURCES:
        look()


class Taken(NamedTuple):
    """Events that were leased, and how long until more is due than there is now; None if nothing waits."""

    events: list[Event]
    wait: timedelta | None


def take(limit: int = 64, besides: Collection[int] = ()) -> Taken:
    """Lease what may be delivered now, ``limit`` at most: the first waiting event of each key, if it is due.

    Nobody else gets them for :data:`LEASE`. ``besides``: ids that are being delivered here already.
    """
    now = timezone.now()
    found: list[Event] = []
    wait: timedelta | None = None
    for *event, at in _rows(_HEADS, now, limit + len(besides) + 1):
        if event[0] in besides:
            continue
        available = at if at.tzinfo else at.replace(tzinfo=UTC)  # SQLite knows no zones
        if available > now or len(found) == limit:
            wait = max(available - now, timedelta())
            break
        found.append(_event(*event))
    if not found:
        return Taken([], wait)
    with transaction.atomic():
        return Taken([event for event in found if _lease(event, now)], wait)


def release_leases(events: Collection[int] | None = None) -> None:
    """Forget what a worker that died was delivering, or those ``events`` whose delivery ended without a word.

    Only the node's single worker may call this: for all when it starts, for some when it knows that they are not being
    delivered (their end could not be stored: the database was away, or its disk full).
    """
    leased = Event.objects.filter(state=State.DUE).exclude(leased_until=None)
    (leased if events is None else leased.filter(id__in=events)).update(leased_until=None)


def clock_went_back() -> int:
    """Make due what was put off by a clock that was ahead; returns how many events that were.

    By such a clock a pause of a second ends in an hour. Sooner is always right: a handler whose time has not come says
    so and is asked again.
    """
    now = timezone.now()
    ahead = now + CLOCK_TOLERANCE
    return Event.objects.filter(state=State.DUE, scheduled_at__gt=ahead, available_at__gt=ahead).update(
        available_at=now, scheduled_at=now
    )


def run_due(pool: ThreadPoolExecutor | None = None, limit: int = 64) -> int:
    """Deliver what is due now, one event a key; with ``pool``, keys side by side. Returns how many were tried."""
    events = take(limit).events
    if pool is None:
        for event in events:
            deliver(event)
    else:
        list(pool.map(_deliver_and_close, events))
    return len(events)


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


def deliver(event: Event) -> None:
    """Deliver one leased event and store what came of it."""
    _end(_handle(event))


def deliver_key(event: Event, go_on: Callable[[], bool] = lambda: True) -> Iterator[Event]:
    """Deliver a leased event, and after it those of its key that are due by then; yields each before its delivery.

    One thread goes on with a key instead of handing it back: from one step to the next nobody need be woken.
    ``go_on`` is asked before another event is leased.
    """
    going: Event | None = event
    while going is not None:
        yield going
        going = _end(_handle(going), go_on)


@dataclass(frozen=True)
class _Outcome:
    """What came of a delivery: the columns that tell it, of all events up to the id ``upto`` that it was for, and what
    must be stored with them."""

    event: Event
    upto: int
    values: dict[str, Any]
    finish: Callable[[], None] | None = None


def _handle(event: Event) -> _Outcome:
    """Call the handler of a leased event."""
    newest = _newest(event) if event.topic in TOGETHER else event
    _delivering.key = event.key
    try:
        function = HANDLERS.get(event.topic)
        if function is None:
            raise Permanent(f"no handler for topic {event.topic!r}")
        if any(wait(event) for wait in HOLDS):
            raise Postponed("held", after=HELD)
        finish = function(newest)
    except Exception as error:
        return _failed(event, error)
    finally:
        _delivering.key = None
    return _Outcome(event, newest.id, _over(State.DONE, ""), finish)


def _failed(event: Event, error: Exception) -> _Outcome:
    log = logger.bind(topic=event.topic, key=event.key, event_id=event.id, attempt=event.attempts)
    if isinstance(error, Permanent):
        log.error("outbox.parked", reason=str(error))
        return _Outcome(event, event.id, _over(State.PARKED, str(error)))
    if not isinstance(error, Retry):
        log.error("outbox.failed", exc_info=error)
    attempts = event.attempts - isinstance(error, Postponed)
    if attempts >= MAX_ATTEMPTS:
        return _Outcome(event, event.id, _over(State.PARKED, repr(error)[:2000]))
    after = (error.after if isinstance(error, Retry) else None) or backoff(event.attempts)
    now = timezone.now()
    later = {
        "state": State.DUE,
        "attempts": attempts,
        "leased_until": None,
        "available_at": now + after,
        "scheduled_at": now,
        "last_error": repr(error)[:2000],
    }
    return _Outcome(event, event.id, later)


def _end(outcome: _Outcome, go_on: Callable[[], bool] = lambda: False) -> Event | None:
    """Store what came of a delivery; the next event of the key, leased, if one is due and it may go on at once."""
    event = outcome.event
    _delivering.key = event.key
    try:
        with transaction.atomic():
            if outcome.finish is not None:
                outcome.finish()
            return _store(outcome, go_on)
    except Exception as error:
        if outcome.finish is None:
            raise
        outcome = _failed(event, error)
    finally:
        _delivering.key = None
    with transaction.atomic():
        return _store(outcome, go_on)


def _store(outcome: _Outcome, go_on: Callable[[], bool]) -> Event | None:
    event = outcome.event
    ended = Event.objects.filter(id=event.id)
    if outcome.upto > event.id:
        ended = Event.objects.filter(key=event.key, topic=event.topic, state=State.DUE, id__lte=outcome.upto)
    ended.update(**outcome.values)
    more = outcome.values["state"] != State.DUE and go_on()
    return _next(event.key) if more else None


def _newest(event: Event) -> Event:
    """The newest waiting event of the same key and topic, as an attempt of ``event``."""
    rows = _rows(_NEWEST, event.key, event.topic)
    return _event(rows[0][0], event.topic, event.key, rows[0][1], event.attempts) if rows else event


def _over(state: State, reason: str) -> dict[str, Any]:
    return {"state": state, "leased_until": None, "finished_at": timezone.now(), "last_error": reason}


def _next(key: str) -> Event | None:
    """The first waiting event of ``key``, leased; None if there is none that is due."""
    now = timezone.now()
    events = (_event(*row) for row in _rows(_FIRST, key, now, now))
    return next((event for event in events if _lease(event, now)), None)


def _lease(event: Event, now: datetime) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(_LEASE, _adapted((now + LEASE, event.id, now)))
        leased = bool(cursor.rowcount)
    event.attempts += leased
    return leased


# Written out, for the worker asks after everything that happens, and to build a query takes longer than to answer it.
_HEADS = """
SELECT id, topic, key, payload, attempts, available_at FROM outbox_event AS e
WHERE state = 'due' AND (leased_until IS NULL OR leased_until <= %s)
  AND NOT EXISTS (SELECT 1 FROM outbox_event AS x WHERE x.key = e.key AND x.id < e.id AND x.state = 'due')
ORDER BY available_at, id LIMIT %s
"""
_FIRST = """
SELECT id, topic, key, payload, attempts FROM outbox_event
WHERE id = (SELECT min(id) FROM outbox_event WHERE state = 'due' AND key = %s)
  AND available_at <= %s AND (leased_until IS NULL OR leased_until <= %s)
"""
_NEWEST = """
SELECT id, payload FROM outbox_event WHERE key = %s AND topic = %s AND state = 'due' ORDER BY id DESC LIMIT 1
"""
_LEASE = """
UPDATE outbox_event SET leased_until = %s, attempts = attempts + 1
WHERE id = %s AND state = 'due' AND (leased_until IS NULL OR leased_until <= %s)
"""


def _event(number: int, topic: str, key: str, payload: str, attempts: int) -> Event:
    return Event(id=number, topic=topic, key=key, payload=json.loads(payload), attempts=attempts)


def _rows(sql: str, *values: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, _adapted(values))
        return cursor.fetchall()


def _adapted(values: Iterable[Any]) -> list[Any]:
    """Parameters as this database takes them: times are text to SQLite."""
    adapt = connection.ops.adapt_datetimefield_value
    return [adapt(value) if isinstance(value, datetime) else value for value in values]


def _deliver_and_close(event: Event) -> None:
    """In a pool's thread that may end any time."""
    try:
        deliver(event)
    finally:
        connection.close()


def backoff(attempts: int) -> timedelta:
    """How long to wait after the given number of failed attempts: doubling from 0.4 s to 5 minutes."""
    return min(FIRST_RETRY * 2 ** min(attempts - 1, 20), LAST_RETRY)
