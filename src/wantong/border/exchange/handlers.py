"""What the exchange does when the outbox says so. Every handler may run twice for one event."""

from __future__ import annotations

from datetime import timedelta

import structlog

from wantong.border.exchange import (
    enforcement,
    exporting,
    extension,
    importing,
    reconciling,
    renewing,  # noqa: F401 - its handlers
    sending,
    transfer,
)
from wantong.border.exchange.machine import CONSUMER, PROVIDER
from wantong.border.exchange.models import Transfer
from wantong.ground.outbox import services as outbox
from wantong.ground.outbox.models import Event

logger = structlog.get_logger(__name__)

# by then the counterparty has usually logged what the transfer came to
LOGGED = timedelta(milliseconds=600)

outbox.handler("dsp.send")(sending.send)
outbox.handler("exchange.act")(sending.act)


@outbox.handler("exchange.declare")
def declare(event: Event) -> None:
    exporting.declare(event.payload["pid"])


@outbox.handler("exchange.terms")
def watch(event: Event) -> None:
    exporting.watch(event.payload["pid"])


@outbox.handler("exchange.fetch")
def fetch(event: Event) -> None:
    importing.fetch(event.payload["pid"])


@outbox.handler("exchange.ended")
def ended(event: Event) -> None:
    process = Transfer.objects.select_related("peer").get(pid=event.payload["pid"])
    (exporting if process.role == PROVIDER else importing).ended(process)
    if process.state == transfer.COMPLETED and process.declaration_id:
        outbox.publish("exchange.receipts", f"receipts:{process.id}", {"pid": process.pid}, delay=LOGGED)


@outbox.handler("gate.released")
def released(event: Event) -> None:
    side = exporting if event.payload["direction"] == "export" else importing
    side.released(event.payload["transfer_id"])


@outbox.handler("gate.held")
def held(event: Event) -> None:
    side = exporting if event.payload["direction"] == "export" else importing
    side.held(event.payload["transfer_id"])


@outbox.handler("gate.refused")
def refused(event: Event) -> None:
    if event.payload["direction"] == "export":
        # also data of others that was not passed on in the end
        enforcement.give_back(enforcement.onward(event.payload["transfer_id"]))
    process = Transfer.objects.filter(id=event.payload["transfer_id"]).first()
    if process is None:
        return
    exporting.end(process.pid, f"refused at the {process.role}'s border")
    if process.role == CONSUMER:
        importing.discard(process)


@outbox.handler("gate.withdrawn")
def withdrawn(event: Event) -> None:
    """A person in data that has left took his consent back: the receiver must strike him."""
    extension.send_withdrawal(event)


outbox.handler("exchange.void")(reconciling.send_void)
outbox.hold_if(reconciling.waits)


@outbox.handler("exchange.reconcile")
def reconcile(event: Event) -> None:
    """This node has been restored from a backup: ask one peer for what has happened since."""
    try:
        reconciling.reconcile(event.payload["peer"])
    except outbox.Retry as later:
        if event.attempts < 100:
            raise
        # an event is given up after many attempts; this must not be
        outbox.publish(event.topic, event.key, event.payload, delay=timedelta(seconds=30))
        logger.warning("exchange.unreconciled", peer=event.payload["peer"], reason=str(later))


@outbox.handler("exchange.receipts")
def receipts(event: Event) -> None:
    if not extension.collect_receipts(event.payload["pid"]) and event.attempts < 60:
        raise outbox.Retry("the peer's receipts are not all there yet", after=timedelta(seconds=2))
