"""Reading one protocol message: as JSON alone, and checked by its schema."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from benchmarks.exchange.measuring import ratio

from wantong.border.exchange import schemas

EXAMPLES = Path(__file__).parents[2] / "tests/border/exchange/data/dsp-2025-1"


def measure(count: int) -> list[dict[str, Any]]:
    """Microseconds of CPU a contract request, the least of five rounds."""
    example = (EXAMPLES / "negotiation/contract-request-message.json").read_bytes()
    bare = min(_spent(lambda: json.loads(example), count) for _ in range(5))
    checked = min(_spent(lambda: schemas.parse(example, "ContractRequestMessage"), count) for _ in range(5))
    return [
        {
            "JSON alone µs": round(bare, 1),
            "with its schema µs": round(checked, 1),
            "ratio": ratio(bare, checked),
        }
    ]


def _spent(read: Any, count: int) -> float:
    begun = time.process_time()
    for _ in range(count):
        read()
    return (time.process_time() - begun) / count * 1e6
