"""What the outbox has the wallet do: collect credentials that were not ready."""

from __future__ import annotations

import uuid
from datetime import timedelta

from django.utils import timezone

from wantong.border.trust.verdict import Refused, Unsure
from wantong.border.trust.wallet import resealing, services, taking  # noqa: F401 - resealing has its own handler
from wantong.border.trust.wallet.problems import NoPower, UnknownSpace
from wantong.ground.outbox.models import Event
from wantong.ground.outbox.services import Retry, handler

LONGEST = timedelta(hours=1)


@handler("wallet.collect")
def collect(event: Event) -> None:
    """Ask the issuer until the credential is there, for as long as :data:`.taking.PATIENCE`: the longer it takes, the more
    rarely."""
    told, item = event.payload, uuid.UUID(event.payload["item"])
    try:
        entered = services.enter(uuid.UUID(told["by"]), uuid.UUID(told["space"]), "receive")
        taking.collect(entered, item)
    except (UnknownSpace, NoPower):
        return  # deleted since, or whoever asked may not any more
    except Unsure as unsure:
        # an event comes to its handler without what only this needs
        event.refresh_from_db(fields=("created_at",))
        waited = timezone.now() - event.created_at
        if waited > taking.PATIENCE:
            taking.give_up(entered, item, unsure)
            return
        after = min(max(waited / 20, taking.AGAIN), LONGEST)
        raise Retry("the issuer is not ready", after=after) from None
    except Refused as refusal:
        taking.give_up(entered, item, refusal)
