"""Searches of the open-data catalogue and questions to its tables, a second, with 10, 1,000 and 10,000 datasets.

    python benchmarks/opendata.py [--requests 200] [--sizes 10 1000 10000] [--rows 60000] [--json]

Whole requests through Django, over no network: the Action API's package_search with two facets and ten results, the same
with a question in Chinese, the second page of the DCAT catalogue, and datastore_search with a filter on a table of 60,000
rows. Figures are a second of this process's processor time; beside each, its share of the figure at the smallest
catalogue: 1.00 would be flat. The index is loaded once, at the first question; that time stands by itself.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import random
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "src"))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "wantong.node.settings")

WORDS = [
    "passenger",
    "visitor",
    "arrival",
    "daily",
    "monthly",
    "air",
    "quality",
    "population",
    "census",
    "hospital",
    "school",
    "transport",
    "budget",
    "water",
    "energy",
    "housing",
    "land",
    "tourism",
    "road",
    "port",
]
HAN = [
    "旅客",
    "入境",
    "统计",
    "空气",
    "质量",
    "人口",
    "普查",
    "医院",
    "学校",
    "交通",
    "预算",
    "能源",
    "房屋",
    "土地",
    "旅游",
    "公路",
    "港口",
    "香港",
    "澳门",
    "广东",
]
BODIES = 40


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--rows", type=int, default=60_000, help="of the table that is asked")
    parser.add_argument("--sizes", type=int, nargs="+", default=[10, 1_000, 10_000])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = run(Path(folder), options.sizes, options.requests, options.rows)
    if options.json:
        print(json.dumps(figures, ensure_ascii=False, indent=2))
        return
    names = list(figures[0]["per_second"])
    print(f"{'datasets':>9}  {'index loaded':>12}  " + "  ".join(f"{name:>28}" for name in names))
    for one in figures:
        rates = "  ".join(
            f"{one['per_second'][name]:>16,.0f}/s ({one['of_smallest'][name]:>7.2f})" for name in names
        )
        print(f"{one['datasets']:>9,}  {one['index_seconds']:>10.3f} s  {rates}")


def run(folder: Path, sizes: list[int], requests: int, rows: int) -> list[dict[str, Any]]:
    os.environ["WANTONG_TEST_DATABASE"] = f"sqlite:{folder / 'db.sqlite3'}"
    import django

    django.setup()
    from django.conf import settings
    from django.core.management import call_command
    from django.test import Client

    from wantong.border.exchange.opendata import searching
    from wantong.node import logging

    logging.configure("warning", "benchmark")
    settings.WANTONG = dataclasses.replace(settings.WANTONG, directory=folder)
    call_command("migrate", verbosity=0)
    table = a_table(folder, rows)
    client, figures, there = Client(), [], 1
    for size in sizes:
        add(there, size)
        there = size
        start = time.process_time()
        searching.index()
        loaded = time.process_time() - start
        asked: dict[str, Callable[[], Any]] = {
            "package_search, 2 facets": lambda: client.get(
                "/api/3/action/package_search",
                {"q": "passenger arrival", "facet.field": '["organization","tags"]'},
            ),
            "package_search, Chinese": lambda: client.get("/api/3/action/package_search", {"q": "旅客入境"}),
            "catalogue, a page": lambda: client.get("/open-data/catalog.jsonld"),
            "datastore_search, a filter": lambda: client.get(
                "/api/3/action/datastore_search",
                {"resource_id": table, "filters": '{"station": "S7"}', "limit": "20"},
            ),
        }
        rates = {
            name: rate(ask, requests if name != "catalogue, a page" else max(1, requests // 10))
            for name, ask in asked.items()
        }
        figures.append({"datasets": size, "index_seconds": round(loaded, 3), "per_second": rates})
    for one in figures:
        one["of_smallest"] = {
            name: round(one["per_second"][name] / (figures[0]["per_second"][name] or 1), 2)
            for name in one["per_second"]
        }
    return figures


def rate(ask: Callable[[], Any], requests: int) -> float:
    """Requests a second of processor time; where that is counted too coarsely to tell, of the clock's."""
    assert ask().status_code == 200
    cpu, clock = time.process_time(), time.perf_counter()
    for _ in range(requests):
        ask()
    spent = time.process_time() - cpu or time.perf_counter() - clock
    return round(requests / spent, 1)


def a_table(folder: Path, rows: int) -> str:
    """Publish one table as people do; returns the id of its CSV."""
    from wantong.border.exchange.opendata import services
    from wantong.border.exchange.opendata.record import Record
    from wantong.ground.actors import system

    path = folder / "table.csv"
    path.write_text("day,station,value\n" + "".join(f"{n},S{n % 17},{n * 7 % 1000}\n" for n in range(rows)))
    said = {
        "name": "table", "title": {"en": "A table"}, "description": {"en": "Made for this"}, "licence": "cc-zero",
        "publisher": {"id": "body-0", "name": {"en": "Body 0"}}, "declared": "general",
    }  # fmt: skip
    version = services.publish(system("benchmark"), path, Record.of(said))
    return str(version.dataset.resources.first().id)


def add(there: int, size: int) -> None:
    """Descriptions made up from a seed, stored as a harvest would, until there are ``size``."""
    from django.db import transaction

    from wantong.border.exchange.opendata.models import OpenDataset, Resource
    from wantong.border.exchange.opendata.services import next_revision

    rows = list(made(there, size))
    with transaction.atomic():
        revision = next_revision()
        for row in rows:
            row.revision = revision
        OpenDataset.objects.bulk_create(rows, batch_size=500)
        Resource.objects.bulk_create(
            [
                Resource(
                    id=uuid.uuid5(row.id, "csv"), dataset=row, position=0, title={"en": "CSV"}, format="CSV",
                    url="https://data.example/a.csv", issued_at=row.modified_at,
                )
                for row in rows
            ],
            batch_size=500,
        )  # fmt: skip


def made(first: int, last: int) -> Iterator[Any]:
    from django.utils import timezone

    from wantong.border.exchange.opendata import searching
    from wantong.border.exchange.opendata.models import OpenDataset

    chance, now = random.Random(1), timezone.now()
    for n in range(first, last):
        said = {
            "title": {"en": " ".join(chance.choices(WORDS, k=5)), "zh-hans": "".join(chance.choices(HAN, k=4))},
            "description": {"en": " ".join(chance.choices(WORDS, k=30)), "zh-hans": "".join(chance.choices(HAN, k=25))},
            "publisher": {"id": f"body-{n % BODIES}", "name": {"en": f"Body {n % BODIES}"}}, "licence": "cc-zero", "cycle": "daily",
            "themes": ["transport"], "keywords": [{"en": word} for word in chance.sample(WORDS, 3)], "places": ["hk"],
            "languages": ["en"], "columns": {}, "temporal": {}, "source": {}, "source_url": "", "contact": "", "note": {},
        }  # fmt: skip
        name = f"set-{n:05d}"
        yield OpenDataset(
            id=uuid.uuid5(uuid.NAMESPACE_URL, name), name=name, record=said, organization=said["publisher"]["id"], version=1,
            newest=now.date(), published_by="system:benchmark", terms=searching.terms(name, said, ()),
        )  # fmt: skip


if __name__ == "__main__":
    main()
