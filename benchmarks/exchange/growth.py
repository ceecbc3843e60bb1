"""Double the data, the datasets, the peers: what does it cost? With the slope that each curve should have."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from benchmarks.exchange import bulk, catalogue, ours
from benchmarks.exchange.measuring import used

from wantong.border.exchange import messages
from wantong.border.trust import keys, tokens

ASKS = 60
Pairs = Callable[..., AbstractContextManager[ours.Pair]]


@dataclass(frozen=True)
class Curve:
    """``cost`` at each ``size``. ``expected``: 1 where the cost should double with the size, 0 where it should stay."""

    title: str
    unit: str
    cost_unit: str
    expected: int
    size: Sequence[float]
    cost: Sequence[float]

    @property
    def slope(self) -> float:
        """Of the line through the logarithms: by which power of the size the cost grows."""
        xs, ys = [math.log(x) for x in self.size], [math.log(max(y, 1e-9)) for y in self.cost]
        mx, my = sum(xs) / len(xs), sum(ys) / len(ys)
        spread = sum((x - mx) ** 2 for x in xs)
        return sum((x - mx) * (y - my) for x, y in zip(xs, ys, strict=True)) / spread if spread else 0.0


def data(sizes: Sequence[int], rounds: int) -> Curve:
    """CPU seconds of fetching a payload, verified and durable, by its MiB."""
    costs = []
    for mib in sizes:
        with tempfile.TemporaryDirectory() as scratch, bulk.plane(Path(scratch), mib) as plane:
            costs.append(bulk.measure(plane, Path(scratch), rounds, ways=("verified",))["verified"].cpu)
    return Curve("A payload, verified and durable", "MiB", "CPU s", 1, sizes, costs)


def datasets(sizes: Sequence[int], pairs: Pairs) -> tuple[Curve, Curve]:
    """CPU of a catalogue's page, and of all its pages, by the number of datasets."""
    pages, wholes = [], []
    with tempfile.TemporaryDirectory() as scratch, pairs(Path(scratch), datasets=sizes[0]) as pair:
        for known, size in zip((sizes[0], *sizes), sizes, strict=False):
            pair.grow(known, size)
            found = catalogue.measure(catalogue.OurAsker(pair), (pair.provider.pid,), size, 40)
            pages.append(found.first_cpu_ms)
            wholes.append(found.whole_cpu_s)
    return (
        Curve("A page of the catalogue", "datasets", "CPU ms", 0, sizes, pages),
        Curve("All pages of the catalogue", "datasets", "CPU s", 1, sizes, wholes),
    )


def peers(sizes: Sequence[int], pairs: Pairs) -> Curve:
    """CPU of a signed question to a provider, by how many nodes it recognises; they ask in turn."""
    costs = []
    with tempfile.TemporaryDirectory() as scratch, pairs(Path(scratch)) as pair, httpx.Client() as http:
        url = f"{pair.provider.url}{messages.PATH}/catalog/datasets/{ours.DATASET}"
        key = keys.load(pair.consumer.directory / "keys", keys.PROTOCOL)

        def ask(name: str) -> None:
            token = tokens.sign(
                key,
                issuer=name,
                audience=pair.provider.name,
                request=tokens.Request("GET", url),
                now=datetime.now(UTC),
            )
            ours.good(http.get(url, headers={"Authorization": f"Bearer {token}"}, timeout=60))

        for size in sizes:
            pair.grow(1, 1, size)
            for _ in range(3):
                ask(ours.stranger(0))
            with used(pair.provider.pid) as spent:
                for turn in range(ASKS):
                    ask(ours.stranger(turn % size))
            costs.append(spent.cpu / ASKS * 1000)
    return Curve("A signed question, by recognised nodes", "nodes", "CPU ms", 0, sizes, costs)


def rows(curves: Sequence[Curve]) -> list[dict[str, Any]]:
    return [
        {
            "what": curve.title,
            "from": f"{curve.size[0]:,} {curve.unit}",
            "cost": f"{curve.cost[0]:.3g} {curve.cost_unit}",
            "to": f"{curve.size[-1]:,}",
            "cost then": f"{curve.cost[-1]:.3g}",
            "slope": round(curve.slope, 2),
            "expected": curve.expected,
        }
        for curve in curves
    ]


def plot(curves: Sequence[Curve], path: Path) -> None:
    """Draw every curve with a line of its expected slope through its middle (needs matplotlib)."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams |= {"svg.hashsalt": "wantong", "svg.fonttype": "path", "font.size": 9}
    from matplotlib import pyplot
    from matplotlib.ticker import NullFormatter, ScalarFormatter

    figure, places = pyplot.subplots(
        1, len(curves), figsize=(3.2 * len(curves), 3.1), constrained_layout=True
    )
    for place, curve in zip(places, curves, strict=True):
        middle = len(curve.size) // 2
        line = [curve.cost[middle] * (x / curve.size[middle]) ** curve.expected for x in curve.size]
        place.loglog(curve.size, line, color="#b1b4b6", linewidth=6, alpha=0.6, solid_capstyle="round")
        place.loglog(curve.size, curve.cost, "o-", color="#1d70b8")
        place.set_title(curve.title, fontsize=9)
        place.set_xlabel(curve.unit)
        place.set_ylabel(curve.cost_unit)
        place.set_ylim(min(curve.cost) / 4, max(curve.cost) * 4)
        place.set_xticks(curve.size)
        place.xaxis.set_major_formatter(ScalarFormatter())
        place.xaxis.set_minor_formatter(NullFormatter())
        place.tick_params(axis="x", rotation=45)
        place.annotate(
            f"slope {curve.slope:.2f}, expected {curve.expected}",
            (0.05, 0.92),
            xycoords="axes fraction",
            fontsize=8,
        )
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
    pyplot.close(figure)
