"""The Contract Negotiation state machine of the Dataspace Protocol 2025-1.

Source: section "Contract Negotiation Protocol", state machine and message types. Its diagram draws a termination of
the provider only from ACCEPTED and VERIFIED and of the consumer only from AGREED; its text lets either side send one
"at any state", and the conformance kit expects that, so the text is followed.
"""

from __future__ import annotations

from typing import Final

from wantong.border.exchange.machine import CONSUMER, INITIAL, PROVIDER, Machine

REQUESTED: Final = "REQUESTED"
OFFERED: Final = "OFFERED"
ACCEPTED: Final = "ACCEPTED"
AGREED: Final = "AGREED"
VERIFIED: Final = "VERIFIED"
FINALIZED: Final = "FINALIZED"
TERMINATED: Final = "TERMINATED"

MACHINE: Final = Machine.of(
    (
        (INITIAL, "request", CONSUMER, REQUESTED),
        (INITIAL, "offer", PROVIDER, OFFERED),
        (REQUESTED, "offer", PROVIDER, OFFERED),
        (REQUESTED, "agreement", PROVIDER, AGREED),
        (OFFERED, "request", CONSUMER, REQUESTED),
        (OFFERED, "accepted", CONSUMER, ACCEPTED),
        (ACCEPTED, "agreement", PROVIDER, AGREED),
        (AGREED, "verification", CONSUMER, VERIFIED),
        (VERIFIED, "finalized", PROVIDER, FINALIZED),
        (REQUESTED, "termination", "both", TERMINATED),
        (OFFERED, "termination", "both", TERMINATED),
        (ACCEPTED, "termination", "both", TERMINATED),
        (AGREED, "termination", "both", TERMINATED),
        (VERIFIED, "termination", "both", TERMINATED),
    )
)
