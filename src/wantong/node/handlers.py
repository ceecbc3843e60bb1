"""What the node itself does when the outbox says so."""

from __future__ import annotations

from datetime import timedelta

from django.db import transaction

from wantong.border.trust.certificates import pruning
from wantong.border.trust.lists import watching
from wantong.ground.outbox import services as outbox
from wantong.ground.outbox.models import Event, State
from wantong.node import setup

DAILY = "node.daily"
TASKS = (watching.TOPIC, pruning.TOPIC)
"""What is looked at once a day: topics."""
SETTLED = timedelta(minutes=1)
"""After a start: what matters more goes first."""


@outbox.handler("trust.changed")
def trust_changed(event: Event) -> None:
    """Keys of this node or of a peer have changed: the trust file and the card say so."""
    setup.write_trust_file()
    setup.write_card()


def begin_days() -> None:
    """Have the daily looks begin, unless they are under way."""
    if not Event.objects.filter(topic=DAILY, state=State.DUE).exists():
        outbox.publish(DAILY, DAILY, {}, delay=SETTLED)


@outbox.handler(DAILY, timer=True)
def daily(event: Event) -> None:
    """Have everything looked at that is looked at once a day, and come back."""
    with transaction.atomic():
        for topic in TASKS:
            if not Event.objects.filter(topic=topic, state=State.DUE).exists():
                outbox.publish(topic, topic, {})
        if not Event.objects.filter(topic=DAILY, state=State.DUE).exclude(pk=event.pk).exists():
            outbox.publish(DAILY, DAILY, {}, delay=timedelta(days=1))
