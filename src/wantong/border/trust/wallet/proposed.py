"""Acts of this room that take two people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wantong.border.trust.proposals import kinds
from wantong.border.trust.wallet import services
from wantong.border.trust.wallet.models import Space


def _tell(told: Mapping[str, Any]) -> Mapping[str, str]:
    space = Space.objects.filter(pk=told["space"]).select_related("owner").first()
    if space is None:
        return {}
    return {
        "organisation": space.organisation,
        "owner": f"{space.owner.label or space.owner.id} · {space.owner.issuer}",
    }


kinds.register(kinds.Kind(services.ADMIT, services.opens, _tell))
