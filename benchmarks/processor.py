"""Processor time, for the benchmarks: other work on the machine is not ours."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable

LEAST = 0.2  # seconds: some machines count the processor's time in steps of 10 ms


def spent() -> float:
    """Seconds of the processor that this process and the children it has waited for have used."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def seconds(work: Callable[[], object], rounds: int = 2) -> float:
    """Seconds that one run of ``work`` costs: the cheapest round, each of as many runs as the clock needs to tell."""
    best, runs = float("inf"), 1
    for _ in range(rounds):
        took, start = 0.0, spent()
        while True:
            for _ in range(runs):
                work()
            took = spent() - start
            if took >= LEAST:
                break
            runs, start = runs * 2, spent()
        best = min(best, took / runs)
    return best
