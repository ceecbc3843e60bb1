"""What every question measures with: CPU and memory of whole process trees, quantiles, one table."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TICK = 1 / os.sysconf("SC_CLK_TCK")
MIB = 1 << 20


def tree(*roots: int) -> set[int]:
    """The processes ``roots`` and all that descend from them."""
    below: dict[int, list[int]] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            below.setdefault(_fields(int(folder.name))[1], []).append(int(folder.name))
    found: set[int] = set()
    todo = list(roots)
    while todo:
        pid = todo.pop()
        if pid not in found:
            found.add(pid)
            todo += below.get(pid, [])
    return found


def cpu(pids: Iterable[int]) -> float:
    """CPU seconds that processes, their threads and their ended children have used so far."""
    return sum(_fields(pid)[0] for pid in pids)


def _fields(pid: int) -> tuple[float, int]:
    """CPU seconds and the parent of a process; zeros for one that is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0, 0
    return sum(map(int, fields[11:15])) * TICK, int(fields[1])


def resident(pid: int, *, peak: bool = False) -> float:
    """MiB of memory a process holds now, or held at most."""
    name = "VmHWM:" if peak else "VmRSS:"
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1024


@dataclass
class Used:
    """Wall and CPU seconds of a measured block; CPU never less than one tick of the clock."""

    wall: float = 0.0
    cpu: float = TICK


@contextmanager
def used(*roots: int) -> Iterator[Used]:
    """Measure a block: its wall time, and the CPU time of the process trees under ``roots``.

    The trees are looked up when the block begins and when it ends, so that a process started in it is counted.
    """
    result = Used()
    before = {pid: cpu([pid]) for pid in tree(*roots)}
    begun = time.perf_counter()
    try:
        yield result
    finally:
        result.wall = time.perf_counter() - begun
        result.cpu = max(cpu(tree(*roots)) - sum(before.values()), TICK)


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least ``share`` of ``values`` do not exceed. Raises IndexError for none."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * round(share * 1000) // 1000) - 1)]


def ratio(ours: float, other: float) -> float:
    """``ours`` over ``other``, and nothing (zero) beside nothing."""
    return round(ours / other, 2) if other else 0.0


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as aligned text; the first column to the left, the others to the right."""
    if not rows:
        return "  (nothing)"
    names = list(dict.fromkeys(name for row in rows for name in row))
    cells = [names, *([_text(row.get(name)) for name in names] for row in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(names))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in cells
    )


def _text(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:,}" if isinstance(value, int | float) else str(value)
