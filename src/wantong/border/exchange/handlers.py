"""What the exchange does when the outbox says so."""

from __future__ import annotations

from django.db import transaction

from wantong.border.exchange import conduct, sending
from wantong.border.exchange.models import Negotiation
from wantong.border.exchange.processes import FAMILIES, lock
from wantong.ground.outbox import services as outbox
from wantong.ground.outbox.models import Event

outbox.handler("dsp.send")(sending.send)


@outbox.handler("exchange.act")
def act(event: Event) -> None:
    """Let the conduct decide what follows from a new state; an event about an older state is void."""
    with transaction.atomic():
        process = lock(FAMILIES[event.payload["family"]].model, event.payload["pid"])
        if process is None or process.version != event.payload["version"]:
            return
        chosen = conduct.current()
        move = chosen.negotiation(process) if isinstance(process, Negotiation) else chosen.transfer(process)  # type: ignore[arg-type]
        match move:
            case conduct.Send():
                sending.queue(process, move)
            case conduct.Wait(reason):
                process.waiting_for = reason
                process.save(update_fields=["waiting_for", "updated_at"])
            case conduct.Declare():
                outbox.publish("exchange.declare", process.pid, {"pid": process.pid})
            case conduct.Fetch():
                outbox.publish("exchange.fetch", process.pid, {"pid": process.pid})
