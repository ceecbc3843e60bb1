"""Have this node's own services stand in its own list, as two people at it would."""

from __future__ import annotations

import time
from datetime import timedelta

from django.utils import timezone

from wantong.border.trust.certificates import holdings
from wantong.border.trust.lists import ServiceType, proposing, stored
from wantong.border.trust.lists.changes import Wish
from wantong.border.trust.lists.trustlist import Period, State, Status
from wantong.ground.actors import Actor
from wantong.ground.outbox import services as outbox

FIRST, SECOND = (
    Actor("user:lam", "Lam", frozenset({"operator"})),
    Actor("user:lei", "Lei", frozenset({"approver"})),
)


def listed(*purposes: str, **roots: bytes) -> None:
    """The services of these ``purposes`` (of holdings) are recognised from now on, each by its own certificate.

    Beside them those of others, by a root (DER) for each type.
    """
    now = timezone.now()
    roots |= {purpose: holdings.signer(purpose).chain[-1] for purpose in purposes}
    wishes = [
        Wish(
            "node",
            {"en": "This node"},
            "https://node.example",
            f"node-{purpose}",
            ServiceType(purpose),
            State(
                now,
                Status.GRANTED,
                {"en": purpose},
                Period(now - timedelta(days=1)),
                root=root,
                credential_types=("*",),
            ),
        ).to_dict()
        for purpose, root in roots.items()
    ]
    proposing.approve(SECOND, proposing.propose(FIRST, wishes).id)
    for _ in range(30):
        outbox.drain()
        if stored.latest() is not None:
            return
        time.sleep(0.1)
    raise AssertionError("no version")
