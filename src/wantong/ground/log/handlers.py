"""The log's part in the outbox: ``log.append`` (recorded, now log it), ``log.witness`` (logged, now have it seen),
``log.mirror`` (another's log has much that we do not have: copy it, so that it can be witnessed)."""

from __future__ import annotations

from datetime import timedelta

import structlog

from wantong.ground.log import services
from wantong.ground.log.note import Note
from wantong.ground.log.problems import LogProblem, RolledBack, Unproven, WitnessFailed
from wantong.ground.outbox.models import Event
from wantong.ground.outbox.services import Retry, backoff, handler, publish

logger = structlog.get_logger(__name__)

# other nodes come back; a checkpoint without witnesses is asked about for ever, but not often
SLOWEST = timedelta(seconds=30)
ROUNDS = 100


@handler("log.append", together=True)
def append(event: Event) -> None:
    """Append all that is recorded and not yet logged."""
    try:
        services.flush()
    except (RolledBack, WitnessFailed) as problem:
        logger.warning("log.unconfirmed", problem=problem.slug, reason=str(problem))
        _ask_again(event, "the restored log is not confirmed")


@handler("log.witness", together=True)
def witness(event: Event) -> None:
    """Have the first ``size`` entries witnessed by enough other nodes."""
    if services.witnessed(event.payload["size"]):
        return
    outcome = services.collect_cosignatures()
    for problem in outcome.failed:
        logger.warning("log.witness_failed", problem=problem.slug, reason=str(problem))
    if services.witnessed(event.payload["size"]):
        return
    waits = [float(problem.params.get("retry_after") or 0) for problem in outcome.failed]
    _ask_again(event, "too few witnesses", timedelta(seconds=max(waits, default=0.0)))


@handler("log.mirror", together=True)
def mirror(event: Event) -> None:
    """Copy another log. One that does not serve what it signed is said and left alone."""
    try:
        services.follow(event.payload["origin"], Note.parse(event.payload["note"].encode()))
    except Unproven as problem:
        logger.error("log.not_what_it_signed", origin=event.payload["origin"], reason=str(problem))
    except (LogProblem, BlockingIOError) as problem:
        raise Retry(str(problem), after=backoff(event.attempts)) from None


def _ask_again(event: Event, reason: str, least: timedelta = timedelta()) -> None:
    """Postpone the event, for ``least`` at least; for ever, if need be. Raises Retry."""
    after = max(min(backoff(event.attempts), SLOWEST), least)
    if event.attempts < ROUNDS:
        raise Retry(reason, after=after)
    # an event is given up after many attempts; this must not be
    publish(event.topic, event.key, event.payload, delay=after)
