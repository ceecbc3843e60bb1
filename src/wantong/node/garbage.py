"""What a process of a node tells Python's garbage collector."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def off() -> Iterator[None]:
    """For loading modules: what is loaded stays, and looking through it again and again is a tenth of a start."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def settle() -> None:
    """Have the collector look only at what is made from here on, and not after every few requests.

    A full collection of a server's modules takes tens of milliseconds, in which nobody is answered; what requests leave
    behind is mostly freed without it.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
