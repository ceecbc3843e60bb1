"""Acts of this room that take two people."""

from __future__ import annotations

from wantong.border.trust.identity.provider import registration
from wantong.border.trust.proposals import kinds

kinds.register(
    kinds.Kind(registration.ATTESTER, registration.believe, lambda told: {"keys": ", ".join(told["keys"])})
)
