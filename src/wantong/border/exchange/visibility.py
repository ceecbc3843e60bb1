"""Which datasets a node may know of.

An audience names participants, or those who act as something: ``role:public-body`` is every node whose credentials say
so (:func:`wantong.border.trust.dcp.services.standing`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db.models import Exists, OuterRef, Q

from wantong.border.exchange.models import Audience, Dataset
from wantong.border.trust.dcp.services import standing

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from wantong.border.trust.models import Peer


def visible(peer: Peer) -> QuerySet[Dataset]:
    """The published datasets that are for everyone, or name ``peer`` or something as which it acts now."""
    named = Audience.objects.filter(dataset=OuterRef("pk"))
    mine = named.filter(
        participant_id__in=[peer.participant_id, *(f"role:{r}" for r in standing(peer).roles)]
    )
    return Dataset.objects.filter(Q(Exists(mine)) | ~Exists(named), withdrawn_at=None)
