"""Random fact sheets that a person could fill in: possible values, no contradictions."""

from __future__ import annotations

import datetime as dt
import random
from typing import Any

from wantong.border.gate.rules import RuleBase

BASE = RuleBase.load()
FIRST, LAST = (
    dt.date(2024, 3, 22),
    dt.date(2026, 12, 31),
)  # the 2024 Provisions onwards: nothing is unmodelled
PAIRS = [(o, d) for o in ("CN", "HK", "MO") for d in ("CN", "HK", "MO", "OTHER")]
_AREAS = {
    "CN": ("gba9", "gd_other", "cn_other"),
    "HK": ("hk", "other"),
    "MO": ("mo", "other"),
    "OTHER": ("other",),
}
_COUNTS = (
    0,
    0,
    1,
    9_999,
    10_000,
    10_001,
    99_999,
    100_000,
    100_001,
    999_999,
    1_000_000,
    1_000_001,
    20_000_000,
)
_FRAME = frozenset({"transfer_date", "from_jurisdiction", "to_jurisdiction"})


def complete(chance: random.Random, day: dt.date | None = None) -> dict[str, Any]:
    """A value for every fact."""
    origin, destination = chance.choice(PAIRS)
    sheet: dict[str, Any] = {}
    for name, fact in BASE.facts.items():
        if fact.type == "bool":
            # mostly as the default has it, or every second sheet would be forbidden by some gate
            sheet[name] = (
                chance.random() < 0.5 if fact.default is None or chance.random() < 0.15 else fact.default
            )
        elif fact.type == "enum":
            sheet[name] = (
                chance.choice(fact.values) if fact.default is None or chance.random() < 0.3 else fact.default
            )
        elif fact.type == "int":
            sheet[name] = chance.choice(_COUNTS)
    sheet["transfer_date"] = day or FIRST + dt.timedelta(chance.randrange((LAST - FIRST).days + 1))
    sheet["from_jurisdiction"], sheet["to_jurisdiction"] = origin, destination
    sheet["from_area"], sheet["to_area"] = chance.choice(_AREAS[origin]), chance.choice(_AREAS[destination])
    if not sheet["is_personal"]:
        sheet |= {"n_nonsensitive": 0, "n_sensitive": 0, "has_minor_under14": False}
    if sheet["personal_or_household"]:
        sheet |= {"sender_is_state_organ": False, "sender_is_ciio": False}
    sheet["is_public_data"] = sheet["public_data_open"] != "not_public"
    if sheet["from_area"] != "gba9":
        sheet["from_ftz"] = "other" if origin == "CN" and sheet["from_ftz"] != "none" else "none"
    return sheet


def partial(chance: random.Random, sheet: dict[str, Any]) -> dict[str, Any]:
    """Some of the facts of ``sheet``, always with the day and the places."""
    share = chance.random()
    return {name: value for name, value in sheet.items() if name in _FRAME or chance.random() < share}
