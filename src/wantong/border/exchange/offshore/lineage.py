"""Where something in a space comes from, and what may therefore be said of it to the gate. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from wantong.ground import yamlfile


@dataclass(frozen=True)
class Item:
    """Something in a space.

    What was admitted has an ``owner`` (participant id), the ``place`` it came from (CN, HK, MO) and the ``facts`` it
    came in under; a result has ``made_of``, the ids of what its job read.
    """

    id: str
    owner: str = ""
    place: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    made_of: tuple[str, ...] = ()


class Mixed(ValueError):
    """There is something behind an item that the space does not hold (``reason`` "unheld"), or that did not come from
    outside ("inside"). ``item`` is its id.
    """

    def __init__(self, reason: str, item: str) -> None:
        super().__init__(f"{item}: {reason}")
        self.reason, self.item = reason, item


def roots(item: str, space: Mapping[str, Item], home: str) -> tuple[Item, ...]:
    """The admitted items behind ``item``, each once, in the order of their ids.

    ``home`` is the place of the node. Raises :class:`Mixed` if anything behind it is not in ``space``, has no origin,
    or comes from ``home``.
    """
    found: dict[str, Item] = {}
    open_, seen = [item], set()
    while open_:
        name = open_.pop()
        if name in seen:
            continue
        seen.add(name)
        here = space.get(name)
        if here is None:
            raise Mixed("unheld", name)
        if here.made_of:
            open_ += here.made_of
            continue
        if not here.owner or not here.place or here.place == home:
            raise Mixed("inside", name)
        found[name] = here
    return tuple(found[name] for name in sorted(found))


def owners(behind: Iterable[Item]) -> frozenset[str]:
    """To whom what has these roots may be returned: to those it came from."""
    return frozenset(item.owner for item in behind)


def facts(behind: Collection[Item]) -> dict[str, Any]:
    """The facts to declare on the way back (``data/facts.yaml``), for roots that :func:`roots` has found.

    A fact that some root leaves open stays open: then the gate asks for it.
    """
    table = _table()
    told: dict[str, Any] = dict(table["fixed"])
    for name in table["any"]:
        values = [item.facts.get(name) for item in behind]
        if True in values:
            told[name] = True
        elif all(value is False for value in values):
            told[name] = False
    for name in table["sum"]:
        counts = [item.facts.get(name) for item in behind]
        if all(isinstance(count, int) and not isinstance(count, bool) for count in counts):
            told[name] = sum(counts)
    for name, before in table["turned"].items():
        areas = {item.facts.get(before) for item in behind}
        if len(areas) == 1 and None not in areas:
            told[name] = areas.pop()
    return told


@cache
def _table() -> Mapping[str, Any]:
    table: Mapping[str, Any] = yamlfile.load(Path(__file__).parent / "data" / "facts.yaml")
    return table
