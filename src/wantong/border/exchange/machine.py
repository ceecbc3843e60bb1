"""A protocol state machine as a table: which message, from whom, takes a process from which state to which."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

PROVIDER: Final = "provider"
CONSUMER: Final = "consumer"
# the state of a process that this node has begun and the other has not heard of
INITIAL: Final = ""


class IllegalTransition(Exception):
    """``sender`` may not send ``kind`` while the process is in ``state``."""

    def __init__(self, state: str, kind: str, sender: str) -> None:
        super().__init__(f"a {kind} message of the {sender} is not possible in state {state or 'INITIAL'}")
        self.state, self.kind, self.sender = state, kind, sender


@dataclass(frozen=True)
class Machine:
    """``table``: (state, message kind, sender) → next state. A state from which nothing leads on is final."""

    table: Mapping[tuple[str, str, str], str]

    @staticmethod
    def of(rows: Iterable[tuple[str, str, str, str]]) -> Machine:
        """From rows (state, message kind, sender or ``both``, next state)."""
        table = {}
        for state, kind, senders, after in rows:
            for sender in (PROVIDER, CONSUMER) if senders == "both" else (senders,):
                table[state, kind, sender] = after
        return Machine(table)

    @property
    def states(self) -> frozenset[str]:
        return frozenset({state for state, _, _ in self.table} | set(self.table.values()))

    @property
    def final(self) -> frozenset[str]:
        return self.states - {state for state, _, _ in self.table}

    def advance(self, state: str, kind: str, sender: str) -> str:
        """The state after ``sender``'s message. Raises :class:`IllegalTransition`."""
        try:
            return self.table[state, kind, sender]
        except KeyError:
            raise IllegalTransition(state, kind, sender) from None


def other(role: str) -> str:
    """The counterparty's role."""
    return CONSUMER if role == PROVIDER else PROVIDER
