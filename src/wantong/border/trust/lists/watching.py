"""What of this node ends soon: its services' certificates, its list, what it has countersigned, services on its list.

Looked at every day; at each mark (``endings.yaml``) it is said once, in the worker's log lines and in the log.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import structlog
from django.db import transaction
from django.utils import timezone

from wantong.border.trust.certificates import holdings
from wantong.border.trust.lists import countersigning, ending, publishing, stored
from wantong.border.trust.lists.ending import Ending, Term
from wantong.border.trust.lists.trustlist import Status, moment
from wantong.ground import canonical, config
from wantong.ground.crypto import x509
from wantong.ground.log import services as log
from wantong.ground.log.models import LogEntry
from wantong.ground.outbox import services as outbox
from wantong.ground.outbox.models import Event

logger = structlog.get_logger(__name__)

TOPIC = "trustlist.endings"
KIND = "trust.ending"


def soon(now: datetime) -> tuple[Ending, ...]:
    """Everything of which people are to know that it ends, the next first."""
    return ending.endings(_terms(now), now)


def _terms(now: datetime) -> Iterator[Term]:
    for one in holdings.held():
        yield Term("certificate", f"{one.purpose} ({one.suite.value})", _until(one.chain))
    for one in holdings.following():
        yield Term("next-certificate", f"{one.purpose} ({one.suite.value})", _until(one.chain))
    newest = stored.latest()
    if newest is not None:
        yield Term("own-list", config.current().participant_id, newest.next_update)
        for _, service in publishing.current().services():
            state = service.at(now)
            # what has ended long ago by its own period is history, not news
            if state and state.status is Status.GRANTED and state.period.until and state.period.covers(now):
                yield Term("service", service.id, state.period.until)
    for row in countersigning.countersignatures():
        yield Term("countersigned-list", row.received.operator_id, row.received.next_update)


def _until(chain: tuple[bytes, ...]) -> datetime:
    """A chain counts as long as every certificate in it."""
    until: datetime = min(x509.parsed(der).not_valid_after for der in chain)
    return until


@outbox.handler(TOPIC)
def tell(event: Event) -> None:
    """Say of everything that ends soon that it does, once a mark."""
    now = timezone.now()
    for one in soon(now):
        body = {
            "what": one.term.kind,
            "about": one.term.about,
            "until": moment(one.term.until),
            "mark": one.mark,
        }
        told = canonical.digest(body)
        with transaction.atomic():
            if LogEntry.objects.filter(kind=KIND, body__contains=told).exists():
                continue
            log.record(KIND, {**body, "digest": told}, now)
        say = logger.error if one.urgent else logger.warning
        say("trust.ending", what=one.term.kind, about=one.term.about, until=body["until"], days=one.left)
