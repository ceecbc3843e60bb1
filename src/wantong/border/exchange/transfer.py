"""The Transfer Process state machine of the Dataspace Protocol 2025-1 (section "Transfer Process Protocol")."""

from __future__ import annotations

from typing import Final

from wantong.border.exchange.machine import CONSUMER, INITIAL, PROVIDER, Machine

REQUESTED: Final = "REQUESTED"
STARTED: Final = "STARTED"
SUSPENDED: Final = "SUSPENDED"
COMPLETED: Final = "COMPLETED"
TERMINATED: Final = "TERMINATED"

MACHINE: Final = Machine.of(
    (
        (INITIAL, "request", CONSUMER, REQUESTED),
        (REQUESTED, "start", PROVIDER, STARTED),
        (STARTED, "suspension", "both", SUSPENDED),
        (SUSPENDED, "start", "both", STARTED),
        (STARTED, "completion", "both", COMPLETED),
        (REQUESTED, "termination", "both", TERMINATED),
        (STARTED, "termination", "both", TERMINATED),
        (SUSPENDED, "termination", "both", TERMINATED),
    )
)
