"""The second person of every act of trust in tests."""

from __future__ import annotations

from wantong.border.trust.proposals import services
from wantong.border.trust.proposals.models import Proposal
from wantong.ground.actors import Actor

SECOND = Actor("user:second", "Second", frozenset({"approver"}))


def agreed(made: Proposal) -> Proposal:
    """Approved by another; what is in effect already stays as it is."""
    return services.approve(SECOND, made.id) if made.state == "proposed" else made
