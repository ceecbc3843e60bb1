"""Does an item of the whitelist cover a release? Pure: an item is a plain value here."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date

from wantong.border.gate.classification.masks import PROFILES

MASKS: tuple[str, ...] = PROFILES
"""What may happen to a field on its way out."""

PSEUDONYM = "tokenise"


@dataclass(frozen=True)
class Item:
    """A released item: see :class:`.models.WhitelistItem`. ``fields`` maps a field to its mask."""

    dataset_id: str
    fields: Mapping[str, str]
    purpose: str
    receiver: str
    open: bool
    legal_basis: str
    valid_from: date
    valid_until: date
    approved: bool


def covers(
    item: Item,
    *,
    dataset_id: str,
    fields: Collection[str],
    purpose: str,
    receiver: str,
    on: date,
    personal: bool = True,
) -> bool:
    """Whether ``item`` lets exactly these fields go. Open data covers any receiver, but nothing personal."""
    if not (item.approved and item.dataset_id == dataset_id and item.valid_from <= on <= item.valid_until):
        return False
    if not fields or not set(fields) <= item.fields.keys():
        return False
    return not personal if item.open else (item.purpose, item.receiver) == (purpose, receiver)
