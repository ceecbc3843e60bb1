"""The node's key for spaces has changed: every space's own key is sealed anew by the new one, then the old one is removed.

Nothing becomes unreadable, whoever is killed: a space opens with any key of the node, and the old key goes only when a
whole round has found nothing that it alone opens, a while after the switch (somebody may have opened a space with the
old one a moment before), and while no backup is being made.
"""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta

import structlog
from django.db import transaction
from django.utils import timezone

from wantong.border.trust.wallet import services, vault
from wantong.border.trust.wallet.models import Space
from wantong.ground import config, keyring
from wantong.ground.log import services as log
from wantong.ground.outbox import services as outbox
from wantong.ground.outbox.models import Event, State

logger = structlog.get_logger(__name__)

TOPIC = "wallet.reseal"
AT_ONCE = 500
"""Spaces a transaction: a few milliseconds."""
SETTLED = timedelta(seconds=60)
"""Longer than any request: what had read the old key before the switch has ended."""
KEPT = timedelta(days=1)
"""How long the old key stays when nobody is in a hurry."""
NOWHERE = uuid.UUID(int=0)


def begin(begun: str) -> None:
    """The key has been switched in the change that began at ``begun``; once more does nothing."""
    if not Event.objects.filter(topic=TOPIC, key=f"{TOPIC} {begun}", state=State.DUE).exists():
        outbox.publish(TOPIC, f"{TOPIC} {begun}", {"begun": begun, "since": timezone.now().isoformat()})


def hurry() -> int:
    """Remove old keys as soon as nothing needs them; how many of them would have stayed longer."""
    due = [
        event for event in Event.objects.filter(topic=TOPIC, state=State.DUE) if "hurry" not in event.payload
    ]
    for event in due:
        Event.objects.filter(pk=event.pk, state=State.DUE).update(
            payload={**event.payload, "hurry": True}, available_at=timezone.now()
        )
    return len(due)


@transaction.atomic
def some(after: uuid.UUID = NOWHERE) -> tuple[uuid.UUID | None, int]:
    """Seal the next spaces anew: where to go on (None: that was all), and how many were sealed by an old key.

    Raises :class:`~.vault.Unreadable` for a space that no key of this node opens: then none may be removed.
    """
    masters = services.masters()
    rows = list(Space.objects.select_for_update().filter(pk__gt=after).order_by("pk")[:AT_ONCE])
    changed = []
    for space in rows:
        fresh = vault.rewrapped(bytes(space.key), masters, str(space.pk))
        if fresh is not None:
            space.key = fresh
            changed.append(space)
    Space.objects.bulk_update(changed, ["key"])
    return (rows[-1].pk if len(rows) == AT_ONCE else None), len(changed)


@outbox.handler(TOPIC, timer=True)
def reseal(event: Event) -> None:
    """One round over all spaces, then another; the old key goes when one has found nothing to do."""
    after: uuid.UUID | None = NOWHERE
    found = 0
    while after is not None:
        after, changed = some(after)
        found += changed
    if found:
        log.record("wallet.resealed", {"spaces": found}, timezone.now())
        logger.info("wallet.resealed", spaces=found)
    age = timezone.now() - datetime.fromisoformat(event.payload["since"])
    least = SETTLED if event.payload.get("hurry") else KEPT
    if found or age < least:
        raise outbox.Postponed("the old key may still be needed", max(least - age, timedelta(seconds=1)))
    folder = config.current().keys
    try:
        with keyring.removing(folder):
            keyring.forget(folder, services.MASTER, event.payload["begun"])
    except keyring.InUse:
        raise outbox.Postponed("a backup is being made", SETTLED) from None
    logger.info("keys.forgotten", key=services.MASTER, begun=event.payload["begun"])
