from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from wantong.border.exchange.opendata import services
from wantong.border.exchange.opendata.models import Version
from wantong.border.exchange.opendata.record import Record
from wantong.ground.actors import Actor

CLERK = Actor("user:chan", "Chan", frozenset({"declarer"}))
ARRIVALS = "month,visitors\n" + "".join(f"2024-{m:02d},{1000 * m}\n" for m in range(1, 13))


def said(name: str = "macao-arrivals", **more: Any) -> dict[str, Any]:
    """A record that lacks nothing."""
    return {
        "name": name,
        "title": {"en": "Visitor arrivals", "zh-hant": "旅客入境人次", "pt": "Chegadas de visitantes"},
        "description": {"en": "Visitors who came to Macao, by month.", "zh-hant": "按月統計的澳門入境旅客。"},
        "publisher": {"id": "dsec", "name": {"en": "Statistics Service", "zh-hant": "統計暨普查局"}, "url": "https://dsec.example/"},
        "licence": "cc-by-4.0",
        "declared": "general",
        "source": {"en": "Arrival cards"},
        "source_url": "https://dsec.example/arrivals",
        "cycle": "monthly",
        "themes": ["transport"],
        "keywords": [{"en": "tourism", "zh-hant": "旅遊", "pt": "turismo"}],
        "places": ["mo"],
        "languages": ["en"],
        "temporal": {"start": "2024-01-01", "end": "2024-12-31"},
        "columns": {"visitors": {"title": {"en": "Visitors", "zh-hant": "人次"}}},
    } | more  # fmt: skip


@pytest.fixture
def publish(node, tmp_path: Path) -> Callable[..., Version]:
    """Publish a table: ``publish(csv, name=…, …)``."""

    def do(content: str | bytes = ARRIVALS, *, filename: str = "data.csv", **more: Any) -> Version:
        path = tmp_path / filename
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return services.publish(CLERK, path, Record.of(said(**more)))

    return do
