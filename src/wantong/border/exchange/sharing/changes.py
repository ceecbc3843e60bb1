"""What differs between two versions of a table with a key, and how the receiver puts it together again. Pure.

A change set holds the rows that are new or different, whole, and of the removed ones only salted digests of their keys: the
receiver, who has the rows, finds them; nobody else learns a key from it.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

Row = Mapping[str, str]
Key = tuple[str, ...]


class NotAKey(Exception):
    """Two rows of one version have the same key, or a row has none."""


@dataclass(frozen=True)
class Changes:
    """``rows`` are new (``added`` of them) or different; ``removed`` the keys that are gone; ``total`` the rows there are now."""

    rows: Sequence[Row]
    added: int
    removed: Sequence[Key]
    total: int

    @property
    def changed(self) -> int:
        """How many rows are different."""
        return len(self.rows) - self.added


def index(rows: Iterable[Row], key: Sequence[str], fields: Sequence[str]) -> dict[Key, dict[str, str]]:
    """Rows by their key, cut down to ``fields``. Raises :class:`NotAKey`."""
    found: dict[Key, dict[str, str]] = {}
    for row in rows:
        name = tuple(row.get(part, "") for part in key)
        if name in found or not all(name):
            raise NotAKey
        found[name] = {column: row.get(column, "") for column in fields}
    return found


def compare(old: Mapping[Key, Row], new: Mapping[Key, Row]) -> Changes:
    """From ``old`` to ``new``, both as :func:`index` makes them; in the order of ``new``."""
    rows = [row for name, row in new.items() if old.get(name) != row]
    added = sum(name not in old for name in new)
    return Changes(rows, added, sorted(old.keys() - new.keys()), len(new))


def merge(
    before: Mapping[Key, Row], rows: Mapping[Key, Row], removed: Iterable[str], salt: bytes
) -> dict[Key, Row]:
    """``before`` with ``rows`` put in and the rows taken out whose keys' digests are ``removed``."""
    gone = set(removed)
    kept = {name: row for name, row in before.items() if not gone or digest(salt, name) not in gone}
    return {**kept, **rows}


def digest(salt: bytes, key: Key) -> str:
    """What stands for a key in a message: HMAC-SHA256 under the salt of the request, 64 hex digits."""
    return hmac.digest(salt, "\x1f".join(key).encode(), hashlib.sha256).hex()


def state(rows: Mapping[Key, Row]) -> str:
    """One digest for a whole table, whatever the order of its rows: the receiver's must equal the owner's."""
    whole = hashlib.sha256()
    for name in sorted(rows):
        row = "\x1e".join(f"{column}\x1f{value}" for column, value in sorted(rows[name].items()))
        whole.update(hashlib.sha256("\x1d".join(("\x1f".join(name), row)).encode()).digest())
    return whole.hexdigest()
