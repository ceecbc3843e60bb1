"""A few at a time: what is dear waits for its turn, and no longer than it has patience."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from wantong.ground.problems import Problem


class Turns:
    """``at_once`` places for the threads of a process; who waits ``patience`` seconds in vain raises ``full()``."""

    def __init__(self, at_once: int, patience: float, full: Callable[[], Problem]) -> None:
        self._places = threading.BoundedSemaphore(at_once)
        self._patience = patience
        self._full = full

    @contextmanager
    def turn(self) -> Iterator[None]:
        """One place, for as long as the block takes."""
        if not self._places.acquire(timeout=self._patience):
            raise self._full()
        try:
            yield
        finally:
            self._places.release()
