"""Two real nodes of ours on loopback: a provider in Hong Kong and a consumer in Guangdong, each the other's witness."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from wantong.node import setup
from wantong.node.bay import DUE, BayNode, free_ports
from wantong.node.processes import die_with_parent

PROVIDER, CONSUMER = "hk", "gd"
DATASET = "urn:bench:passengers"
COLUMNS = ("date", "control_point", "arrivals", "departures")
OPERATORS = {"clerk": ("declarer",), "officer": ("approver",)}


class Node(BayNode):
    """One of the two: its API for its people, and its database for whoever wants to know without asking it."""

    @property
    def name(self) -> str:
        return f"{self.jurisdiction}.bench.example"

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def rows(self, question: str) -> list[dict[str, Any]]:
        """The answer of the node's database."""
        url = self.settings.database
        if url.startswith("sqlite:"):
            file = self.directory / url.removeprefix("sqlite:")
            with contextlib.closing(
                sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=30)
            ) as database:
                database.row_factory = sqlite3.Row
                return [dict(row) for row in database.execute(question)]
        import psycopg
        from psycopg.rows import dict_row

        with psycopg.connect(url, row_factory=dict_row) as connection:
            return list(connection.execute(question))  # type: ignore[arg-type]

    def wait_quiet(self, seconds: float = 120.0) -> None:
        """Return when nothing must happen any more on this node. Raises TimeoutError."""
        deadline = time.monotonic() + seconds
        while self.rows(f"{DUE} LIMIT 1"):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.name} does not come to rest")
            time.sleep(0.05)


@contextlib.contextmanager
def pair(
    folder: Path, *, datasets: int = 1, peers: int = 0, databases: Mapping[str, str] | None = None
) -> Iterator[Pair]:
    """Make two nodes in ``folder``, start them, and stop them in the end.

    The provider offers :data:`DATASET` to everyone, and as many more as make ``datasets``; it recognises ``peers``
    nodes more (:func:`stranger`), who all sign with the consumer's key. ``databases``: a database URL for a place
    instead of SQLite.
    """
    nodes = {place: Node(place, folder / place) for place in (PROVIDER, CONSUMER)}
    taken: set[int] = set()
    for place, node in nodes.items():
        web, data = free_ports(0, taken)
        setup.create(
            node.directory,
            jurisdiction=place,
            participant_id=node.name,
            url=f"http://127.0.0.1:{web}",
            data_url=f"http://127.0.0.1:{data}",
            listen=(f"127.0.0.1:{web}", f"127.0.0.1:{data}"),
            database=(databases or {}).get(place, "sqlite:db.sqlite3"),
        )
        toml = node.directory / "node.toml"
        toml.write_text(toml.read_text().replace('log_level = "info"', 'log_level = "warning"'))
    seeds = [
        subprocess.Popen(
            [sys.executable, __file__, place, str(folder), str(datasets), str(peers)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            preexec_fn=partial(die_with_parent, os.getpid()),
            env={**os.environ, "WANTONG_NODE": str(nodes[place].directory)},
        )
        for place in nodes
    ]
    for seed in seeds:
        output, _ = seed.communicate(timeout=600)
        if seed.returncode:
            raise RuntimeError(output.decode(errors="replace")[-2000:])
    try:
        for node in nodes.values():
            node.start()
        deadline = time.monotonic() + 90
        for node in nodes.values():
            node.wait_ready(deadline)
        with Pair(nodes[PROVIDER], nodes[CONSUMER]) as found:
            found.allow()
            yield found
    finally:
        for node in nodes.values():
            node.stop()


class Pair:
    """The two running nodes, with clients that act for their people."""

    def __init__(self, provider: Node, consumer: Node) -> None:
        self.provider, self.consumer = provider, consumer
        self.clerk, self.officer = provider.client("clerk"), provider.client("officer")
        self.buyer = consumer.client("clerk")

    def __enter__(self) -> Pair:
        return self

    def __exit__(self, *_: object) -> None:
        for client in (self.clerk, self.officer, self.buyer):
            client.close()

    @property
    def pids(self) -> tuple[int, int]:
        """The roots of their process trees."""
        return self.provider.pid, self.consumer.pid

    def allow(self) -> None:
        """Put the dataset on the provider's whitelist, as two people do."""
        item = {
            "dataset_id": DATASET,
            "fields": dict.fromkeys(COLUMNS, "keep"),
            "open": True,
            "legal_basis": "open_data",
            "valid_from": "2026-01-01",
            "valid_until": "2028-01-01",
        }
        listed = good(self.clerk.post("/api/whitelist", json=item))
        good(self.officer.post(f"/api/whitelist/{listed['id']}/approve", json={}))

    def grow(self, known: int, datasets: int, peers: int = 0) -> None:
        """Have the provider offer ``datasets`` instead of ``known`` ones, and recognise ``peers`` strangers."""
        subprocess.run(
            [sys.executable, __file__, "grow", *map(str, (known, datasets, peers))],
            env={**os.environ, "WANTONG_NODE": str(self.provider.directory)},
            check=True,
            timeout=600,
        )

    def offer(self) -> dict[str, Any]:
        """The provider's offer, as the consumer's catalogue shows it."""
        shown = good(self.buyer.get(f"/api/catalogue/{self.provider.name}"))
        found: dict[str, Any] = next(entry for entry in shown if entry["id"] == DATASET)["offers"][0]
        return found

    def wait_quiet(self) -> None:
        """Return when both are at rest; what one does may give the other something to do."""
        for node in (self.provider, self.consumer, self.provider, self.consumer):
            node.wait_quiet()


def good(answer: httpx.Response) -> Any:
    """The body of an answer that is none of a refusal. Raises RuntimeError."""
    if not answer.is_success:
        raise RuntimeError(f"{answer.request.url.path} answered {answer.status_code}: {answer.text[:500]}")
    return answer.json()


def payload(rows: int = 200) -> bytes:
    """A small table without personal data."""
    lines = [",".join(COLUMNS)]
    lines += [
        f"2026-{1 + n % 12:02d}-{1 + n % 28:02d},Lo Wu,{n * 31 % 997},{n * 17 % 991}" for n in range(rows)
    ]
    return "\r\n".join(lines).encode()


def describe(number: int) -> dict[str, Any]:
    """What the catalogue says of the dataset ``number``; as much as an owner usually says."""
    return {
        "id": DATASET if number == 0 else f"{DATASET}:{number:06d}",
        "title": {"en": f"Daily passengers, series {number}", "zh-hant": f"每日旅客人次（第{number}組）"},
        "description": {
            "en": "Arrivals and departures by control point.",
            "zh-hant": "按管制站劃分的出入境人次。",
        },
        "publisher": {"en": "Immigration Department", "zh-hant": "入境事務處"},
        "themes": ["transport"],
        "media_type": "text/csv",
        "filename": "passengers.csv",
        "is_open": True,
        "fields": [{"name": name} for name in COLUMNS],
        "facts": {"is_personal": False, "is_important_data": False, "from_area": "hk", "to_area": "gba9"},
    }


def stranger(number: int) -> str:
    """The name of a node that the provider recognises and that never runs."""
    return f"n{number:05d}.bench.example"


def seed(place: str, folder: Path, datasets: int, peers: int) -> None:
    """In a process of its own: keys, database, trust in the other, operators, and what the provider offers."""
    directory = folder / place
    setup.prepare(directory)
    other = folder / ({PROVIDER, CONSUMER} - {place}).pop() / "card.json"
    deadline = time.monotonic() + 60
    while not other.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    setup.recognise(other.read_bytes())
    from wantong.border.exchange import services
    from wantong.border.exchange.catalogue import Metadata
    from wantong.ground.actors import system
    from wantong.ground.http.auth import make_token
    from wantong.portal.services import make_operator

    operators = {}
    for name, roles in OPERATORS.items():
        password = secrets.token_urlsafe(9)
        operators[name] = {
            "password": password,
            "token": make_token(make_operator(name, roles, password), "bench"),
        }
    setup.write_secret(directory / "run" / "demo-operators.json", json.dumps(operators))
    if place != PROVIDER:
        return
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "passengers.csv"
        path.write_bytes(payload())
        services.publish_dataset(system("bench"), path, Metadata(**describe(0)))
    grow(1, datasets, peers)


def grow(known: int, datasets: int, peers: int) -> None:
    """In a process of the provider's: offer more, so that there are ``datasets``, and recognise ``peers`` strangers."""
    from wantong.border.exchange import catalogue
    from wantong.border.exchange.models import Dataset, Offer
    from wantong.border.trust.models import Peer

    first = Dataset.objects.get(id=DATASET)
    # the others share its payload; one by one each would be read and digested anew
    copies: Sequence[Any] = [
        Dataset(size=first.size, sha256=first.sha256, published_by="system:bench", **describe(number))
        for number in range(known, datasets)
    ]
    Dataset.objects.bulk_create(copies, batch_size=1000)
    Offer.objects.bulk_create(
        [
            Offer(dataset=row, offer_id=f"{row.id}:offer", policy=catalogue.default_offer(row.id))
            for row in copies
        ],
        batch_size=1000,
    )
    consumer = Peer.objects.get(participant_id=f"{CONSUMER}.bench.example")
    Peer.objects.bulk_create(
        (
            Peer(
                participant_id=stranger(number),
                jurisdiction="gd",
                url=f"http://127.0.0.1:1/{number}",
                data_url="http://127.0.0.1:1",
                protocol_key=consumer.protocol_key,
                pinned_by="system:bench",
            )
            for number in range(peers)
        ),
        ignore_conflicts=True,
    )


if __name__ == "__main__":
    if sys.argv[1] == "grow":
        setup.enter(Path(os.environ["WANTONG_NODE"]))
        grow(*map(int, sys.argv[2:]))
    else:
        seed(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
