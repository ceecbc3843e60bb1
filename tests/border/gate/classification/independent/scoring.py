"""What a scan found against what is there, kind by kind."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from wantong.border.gate.classification import scan

from .lookalikes import lookalikes
from .paper import ANYWHERE, Paper
from .registers import registers
from .writings import writings

CHECKED = ("cn-id", "cn-permit", "uscc", "hkid", "mrz", "bank-card")


@dataclass
class Tally:
    """Values there are, values found among them, and values found that are not there."""

    there: int = 0
    found: int = 0
    false: int = 0

    @property
    def recall(self) -> float:
        return self.found / self.there if self.there else 1.0

    @property
    def precision(self) -> float:
        return self.found / (self.found + self.false) if self.found + self.false else 1.0

    def __add__(self, other: Tally) -> Tally:
        return Tally(self.there + other.there, self.found + other.found, self.false + other.false)


@dataclass(frozen=True)
class Slip:
    """One place where the scan and the truth differ."""

    paper: str
    place: str
    column: str | None
    kind: str
    there: int
    found: int


def corpus(seed: int) -> list[Paper]:
    from random import Random

    return registers(Random(seed)) + writings(Random(seed + 1)) + lookalikes(Random(seed + 2))


def same(wanted: str | None, given: str | None) -> bool:
    """A header of two rows may be named by both; the last says which column it is."""
    return wanted in (ANYWHERE, given) or bool(wanted and given and given.endswith(wanted))


def score(papers: Iterable[Paper], folder: Path) -> tuple[dict[str, Tally], list[Slip]]:
    """Scan each paper alone; "cn-id:old" is a `cn-id` of fifteen digits, tallied apart."""
    tallies: defaultdict[str, Tally] = defaultdict(Tally)
    slips: list[Slip] = []
    for paper in papers:
        path = folder / paper.name
        path.write_bytes(paper.data)
        reported = {(f.path.removeprefix(str(path)), f.column, f.kind): f.count for f in scan(path).findings}
        wanted: defaultdict[tuple[str, str | None, str], dict[str, int]] = defaultdict(dict)
        for (place, column, label), n in paper.truth.items():
            wanted[place, column, label.partition(":")[0]][label] = n
        for (place, column, kind), labels in wanted.items():
            hits = [k for k in reported if k[2] == kind and same(place, k[0]) and same(column, k[1])]
            found = left = sum(reported.pop(k) for k in hits)
            for label in sorted(labels):
                taken = min(left, labels[label])
                tallies[label] += Tally(labels[label], taken)
                left -= taken
            fair = bool({(kind, column), (kind, ANYWHERE)} & paper.fair)
            if not fair:
                tallies[kind].false += left
            there = sum(labels.values())
            if there > found or (left and not fair):
                slips.append(Slip(paper.name, place, column, kind, there, found))
        for (place, column, kind), n in reported.items():
            if not {(kind, column or ""), (kind, ANYWHERE)} & paper.fair:
                tallies[kind].false += n
                slips.append(Slip(paper.name, place, column, kind, 0, n))
        path.unlink()
    return dict(tallies), slips


def table(tallies: dict[str, Tally]) -> str:
    lines = [f"{'kind':22}{'there':>7}{'found':>7}{'false':>7}{'recall':>9}{'precision':>11}"]
    for kind in sorted(tallies, key=lambda k: (k not in CHECKED, k)):
        t = tallies[kind]
        lines.append(f"{kind:22}{t.there:7}{t.found:7}{t.false:7}{t.recall:9.4f}{t.precision:11.4f}")
    checked = sum((tallies.get(k, Tally()) for k in CHECKED), Tally())
    lines.append(
        f"{'all with check digit':22}{checked.there:7}{checked.found:7}{checked.false:7}{checked.recall:9.4f}{checked.precision:11.4f}"
    )
    return "\n".join(lines)
