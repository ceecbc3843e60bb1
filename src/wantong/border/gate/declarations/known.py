"""What was found out about a payload once stays true of its bytes: they are known by their digest and not read again.

A dataset that many ask for is scanned once and not for each of them.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class Known(Generic[T]):
    """Answers by key, the ``most`` that were used last, for any number of threads.

    Only those that are ``good`` are kept, and an exception is none.
    """

    def __init__(self, most: int, good: Callable[[T], bool] = lambda answer: True) -> None:
        self._most, self._good, self._lock = most, good, threading.Lock()
        self._answers: OrderedDict[Hashable, T] = OrderedDict()

    def get(self, key: Hashable, find: Callable[[], T]) -> T:
        """The answer to ``key``; ``find`` gives it if it is not known."""
        with self._lock:
            if key in self._answers:
                self._answers.move_to_end(key)
                return self._answers[key]
        answer = find()
        if not self._good(answer):
            return answer
        with self._lock:
            self._answers[key] = answer
            while len(self._answers) > self._most:
                self._answers.popitem(last=False)
        return answer
