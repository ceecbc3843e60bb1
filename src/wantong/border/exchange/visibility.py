"""Which datasets a node may know of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db.models import Exists, OuterRef, Q

from wantong.border.exchange.models import Audience, Dataset

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from wantong.border.trust.models import Peer


def visible(peer: Peer) -> QuerySet[Dataset]:
    """The published datasets that are for everyone or name ``peer``."""
    named = Audience.objects.filter(dataset=OuterRef("pk"))
    mine = named.filter(participant_id=peer.participant_id)
    return Dataset.objects.filter(Q(Exists(mine)) | ~Exists(named), withdrawn_at=None)
