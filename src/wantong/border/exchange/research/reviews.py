"""Which reviews a release needs, and which of them stand. Pure; the table is ``data/reviews.yaml``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from wantong.ground import yamlfile

Side = Literal["ours", "theirs"]


@dataclass(frozen=True)
class Needed:
    """A review that one side must have made: ``name`` in the table, ``side`` as seen from here."""

    name: str
    side: Side


def kinds() -> tuple[str, ...]:
    """The kinds of data that a project may hold."""
    return tuple(_table()["kinds"])


def names() -> tuple[str, ...]:
    """All reviews."""
    return tuple(_table()["reviews"])


def wants_number(name: str) -> bool:
    """Whether the paper of this review must carry a number. Raises KeyError."""
    return bool(_table()["reviews"][name]["number"])


def source(name: str, place: str) -> Mapping[str, str]:
    """What the review rests on where the institution is (CN, HK, MO): a language map, empty if nothing is known."""
    found: Mapping[str, str] = _table()["reviews"][name]["source"].get(place, {})
    return found


def needed(kind: str, owner: Side, places: Mapping[Side, str]) -> tuple[Needed, ...]:
    """The reviews that data of ``kind`` needs before it is released; ``owner`` is whose data it is.

    ``places`` says where each side is. Raises KeyError for a kind that is not in the table: it is never waved through.
    """
    if kind not in kinds():
        raise KeyError(kind)
    found = []
    sides: tuple[Side, ...] = ("ours", "theirs")
    for name, review in _table()["reviews"].items():
        if kind not in review["for"]:
            continue
        for side in sides:
            if review["at"] == "owner" and side != owner:
                continue
            if places[side] in review.get("place", [places[side]]):
                found.append(Needed(name, side))
    return tuple(found)


def standing(made: Iterable[tuple[str, Side, bool]]) -> frozenset[Needed]:
    """The reviews that stand after all that were ``made``, oldest first: (name, side, whether it approved)."""
    last: dict[Needed, bool] = {}
    for name, side, approved in made:
        last[Needed(name, side)] = approved
    return frozenset(review for review, approved in last.items() if approved)


@cache
def _table() -> Mapping[str, Any]:
    table: Mapping[str, Any] = yamlfile.load(Path(__file__).parent / "data" / "reviews.yaml")
    return table
