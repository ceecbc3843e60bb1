"""One run, one table a question: how soon, how dear, how flat the exchange is, beside Eclipse EDC and bare limits.

    python -m benchmarks.exchange [negotiation catalogue bulk messages idle growth] [--small] [--no-edc] [--postgresql URL]
                                  [--plot FOLDER] [--json]

Without names: every question. EDC (two connectors from Maven Central, in memory) takes part where Java and Maven are;
with ``--postgresql`` (a server where databases may be made, such as ``tools/with-postgresql`` starts) also on
PostgreSQL, as two nodes of ours do then. CPU is that of all processes of both sides.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import sys
import tempfile
import uuid
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "wantong.node.settings")

from benchmarks.exchange import bulk, catalogue, edc, growth, idle, limit, negotiation, ours, reading
from benchmarks.exchange.measuring import ratio, resident, table

# iteration-wait-millis of EDC's state machines; it is 1000 as they come
TUNED = 10
Result = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("questions", nargs="*", metavar="QUESTION")
    parser.add_argument("--small", action="store_true", help="only try everything out")
    parser.add_argument("--no-edc", action="store_true")
    parser.add_argument("--postgresql", default=os.environ.get("WANTONG_TEST_DATABASE", ""))
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found: dict[str, Result] = {}
    with contextlib.ExitStack() as stack:
        options.pairs = partial(nodes, stack) if options.small else ours.pair
        for name in options.questions or QUESTIONS:
            with tempfile.TemporaryDirectory(prefix="wantong-bench-") as scratch:
                found[name] = QUESTIONS[name](options, Path(scratch))
            if options.json:
                continue
            print(f"\n{name}: {QUESTIONS[name].__doc__}\n{table(found[name]['rows'])}", flush=True)
            for line in found[name].get("notes", ()):
                print(f"  {line}", flush=True)
    if options.json:
        print(json.dumps(found, ensure_ascii=False, indent=2))


@contextlib.contextmanager
def nodes(stack: contextlib.ExitStack, folder: Path, **_: Any) -> Iterator[ours.Pair]:
    """To try everything out: one pair for all questions, which runs until ``stack`` ends."""
    if not _tried:
        place = stack.enter_context(tempfile.TemporaryDirectory(prefix="wantong-bench-"))
        _tried.append(stack.enter_context(ours.pair(Path(place), datasets=SMALL, peers=2)))
    yield _tried[0]


SMALL = 60
_tried: list[ours.Pair] = []


def _negotiation(options: argparse.Namespace, folder: Path) -> Result:
    """from a known catalogue entry to the first byte of the data, gate and log included in ours"""
    warm, counts = (1, ((2, 1), (4, 4))) if options.small else (6, ((30, 1), (96, 16)))
    rows: list[dict[str, Any]] = []
    with options.pairs(folder / "sqlite") as pair:
        mine = _crossings(partial(negotiation.ours, pair), warm, counts)
    _show(rows, [negotiation.row("Wantong, SQLite", at_once, one) for at_once, one in mine.items()])
    with limit.pair(folder) as running:
        bare = _crossings(partial(limit.crossings, running), warm, counts)
    name = "limit: the same messages, signed and durable, and nothing else"
    _show(rows, [negotiation.row(name, at_once, one, mine[at_once]) for at_once, one in bare.items()])
    if options.postgresql:
        with (
            _databases(options.postgresql) as urls,
            ours.pair(
                folder / "postgresql", databases=dict(zip((ours.PROVIDER, ours.CONSUMER), urls, strict=True))
            ) as pair,
        ):
            others = _crossings(partial(negotiation.ours, pair), warm, counts)
        name = "Wantong, PostgreSQL (its CPU not counted)"
        _show(rows, [negotiation.row(name, at_once, one) for at_once, one in others.items()])
    for name, wait, sql in _connectors(options):
        archives = edc.archives(sql=sql)
        if archives is None:
            continue
        with contextlib.ExitStack() as stack:
            databases = None
            if sql:
                urls = stack.enter_context(_databases(options.postgresql))
                databases = {
                    place: _jdbc(url) for place, url in zip((edc.PROVIDER, edc.CONSUMER), urls, strict=True)
                }
            pair = stack.enter_context(
                edc.pair(folder / name, archives, wait=wait, content=ours.payload(), databases=databases)
            )
            few = tuple((min(n, 10), a) if wait is None and a == 1 else (n, a) for n, a in counts)
            theirs = _crossings(partial(negotiation.of_edc, pair), warm * 2, few)
        _show(rows, [negotiation.row(name, at_once, one, mine[at_once]) for at_once, one in theirs.items()])
    return {"rows": rows}


def _show(rows: list[dict[str, Any]], more: list[dict[str, Any]]) -> None:
    """Add lines to a table, and say them at once: a peer takes minutes, and the next one may not start."""
    rows += more
    for line in more:
        print(", ".join(f"{name} {value}" for name, value in line.items()), file=sys.stderr, flush=True)


def _crossings(cross: Any, warm: int, counts: Any) -> dict[int, negotiation.Measured]:
    cross(warm, min(warm, 2))
    return {at_once: cross(count, at_once) for count, at_once in counts}


def _connectors(options: argparse.Namespace) -> list[tuple[str, int | None, bool]]:
    """Name, wait and whether on PostgreSQL, of every EDC that takes part."""
    if options.no_edc:
        return []
    stores = [("in memory", False), *([("PostgreSQL", True)] if options.postgresql else [])]
    waits = [(f"{TUNED} ms", TUNED)] if options.small else [("as it comes", None), (f"{TUNED} ms", TUNED)]
    return [
        (f"EDC {edc.VERSION}, {store}, {wait}", millis, sql)
        for (store, sql), (wait, millis) in itertools.product(stores, waits)
    ]


def _catalogue(options: argparse.Namespace, folder: Path) -> Result:
    """the protocol's catalogue request at the provider, fifty a page"""
    sizes, rounds = ((SMALL,), 3) if options.small else ((10, 1_000, 10_000), 40)
    archives = None if options.no_edc else edc.archives()
    rows, pages = [], []
    for size in sizes:
        with options.pairs(folder / f"ours-{size}", datasets=size) as pair:
            mine = catalogue.measure(catalogue.OurAsker(pair), (pair.provider.pid,), size, rounds)
        rows += catalogue.rows("Wantong", [mine])
        pages.append(mine.first_cpu_ms)
        if archives is None:
            continue
        with edc.pair(folder / f"edc-{size}", archives, wait=None, content=b"x", datasets=size) as other:
            theirs = catalogue.measure(catalogue.EdcAsker(other), (other.provider.pid,), size, rounds)
        (line,) = catalogue.rows(f"EDC {edc.VERSION}, in memory", [theirs])
        rows.append(line | {"ours sooner (all)": ratio(theirs.whole_s, mine.whole_s)})
    middle = len(sizes) // 2
    note = f"a page at {sizes[-1]:,} datasets costs {ratio(pages[-1], pages[middle])} of one at {sizes[middle]:,}"
    return {"rows": rows, "notes": [note]}


def _bulk(options: argparse.Namespace, folder: Path) -> Result:
    """a payload over loopback beside a raw socket copy, and beside SHA-256 alone"""
    mib, rounds = (2, 1) if options.small else (1024, 5)
    with bulk.plane(folder, mib) as plane:
        on_disk = bulk.measure(plane, folder, rounds)
        notes = []
        memory = Path("/dev/shm")
        rows = bulk.rows(on_disk, mib)
        if memory.is_dir() and os.statvfs(memory).f_bavail * os.statvfs(memory).f_frsize > 2 * mib << 20:
            with tempfile.TemporaryDirectory(dir=memory) as scratch:
                in_memory = bulk.measure(
                    plane, Path(scratch), rounds, ways=("raw", "hash", "write", "verified")
                )
            (line,) = (row for row in bulk.rows(in_memory, mib) if row["what"].startswith("fetched"))
            rows.append(line | {"what": "the same, where no disk is waited for"})
        resumed = bulk.resume(plane, folder)
        notes += [
            f"cut after {resumed.cut_at:,} bytes: {resumed.kept:,} kept, {resumed.sent_twice:,} sent twice",
            f"data plane: {resident(plane.pid):.0f} MiB of memory after all this, {resident(plane.pid, peak=True):.0f} at most",
        ]
    return {"rows": rows, "notes": notes, "resumed": vars(resumed)}


def _idle(options: argparse.Namespace, folder: Path) -> Result:
    """CPU of a node that has nothing to do, all its processes"""
    with options.pairs(folder) as pair:
        pair.wait_quiet()
        found = idle.measure(pair.consumer.pid, 2 if options.small else 60)
    rows = [{"process": name, "% of a core": round(share * 100, 3)} for name, share in found.shares.items()]
    rows.append({"process": "all", "% of a core": round(found.share * 100, 3)})
    return {"rows": rows, "notes": [f"over {found.seconds:.0f} s; {found.resident:.0f} MiB of memory"]}


def _growth(options: argparse.Namespace, folder: Path) -> Result:
    """double the data, the datasets, the peers"""
    if options.small:
        curves = [
            growth.data((1, 2), 1),
            *growth.datasets((SMALL,), options.pairs),
            growth.peers((2,), options.pairs),
        ]
    else:
        curves = [
            growth.data((64, 128, 256, 512, 1024), 3),
            *growth.datasets((625, 1250, 2500, 5000, 10_000), options.pairs),
            growth.peers((8, 16, 32, 64, 128, 256), options.pairs),
        ]
    if options.plot:
        for ending in ("svg", "png"):
            growth.plot(curves, options.plot / f"exchange-growth.{ending}")
    return {"rows": growth.rows(curves), "curves": [vars(curve) for curve in curves]}


def _messages(options: argparse.Namespace, folder: Path) -> Result:
    """reading a contract request"""
    return {"rows": reading.measure(100 if options.small else 20_000)}


QUESTIONS = {
    "negotiation": _negotiation,
    "catalogue": _catalogue,
    "bulk": _bulk,
    "messages": _messages,
    "idle": _idle,
    "growth": _growth,
}


@contextlib.contextmanager
def _databases(server: str) -> Iterator[tuple[str, str]]:
    """Two new databases, deleted in the end."""
    import psycopg

    names = [f"bench_{uuid.uuid4().hex[:8]}" for _ in range(2)]
    with psycopg.connect(server, autocommit=True) as connection:
        for name in names:
            connection.execute(f"CREATE DATABASE {name}")
        try:
            first, second = (urlsplit(server)._replace(path=f"/{name}").geturl() for name in names)
            yield first, second
        finally:
            for name in names:
                connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def _jdbc(url: str) -> str:
    parts = urlsplit(url)
    return f"jdbc:postgresql://{parts.hostname}:{parts.port}{parts.path}?user={parts.username}&password={parts.password or ''}"


if __name__ == "__main__":
    sys.exit(main())
