"""Residents who do not exist, and what each of the three systems knows of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class Resident:
    """One who does not exist. Numbers are well formed; the system that has none of a kind has it blank.

    ``key`` is what is chosen on a simulator's page. ``permit`` is the number of the document behind the account in
    Guangdong, ``permit_code`` its kind there. ``firm``: he signs in there as one of the staff of the firm with this number.
    """

    key: str
    chinese: str
    latin: str
    born: str
    hkid: str = ""
    bir: str = ""
    permit: str = ""
    permit_code: str = "20"
    simplified: str = ""
    firm: str = ""
    level: Literal["2", "3", "4", "5"] = "4"
    systems: tuple[str, ...] = field(default=("guangdong", "iam-smart"))


RESIDENTS = (
    Resident(
        "chan",
        "陳紫荊",
        "CHAN, Tsz King",
        "1991-07-16",
        hkid="Z683365(A)",
        permit="H09876543",
        simplified="陈紫荆",
    ),
    Resident(
        "wong", "黃木棉", "WONG, Muk Min", "1958", hkid="Z713462(3)", permit="H09876544", simplified="黄木棉"
    ),
    Resident(
        "lei",
        "李蓮",
        "LEI, Lin",
        "1984-12-20",
        bir="1987654(3)",
        permit="M09876545",
        simplified="李莲",
        systems=("guangdong", "one-account"),
    ),
    Resident(
        "zhou", "周海燕", "ZHOU, Haiyan", "1979-03-02", permit="H09876546", simplified="周海燕", level="2"
    ),
    Resident(
        "clerk",
        "何志偉",
        "HO, Zhiwei",
        "1988-05-09",
        permit="H09876547",
        simplified="何志伟",
        firm="91449900MA0DEM0130",
        systems=("guangdong",),
    ),
)


def resident(key: str) -> Resident | None:
    """The resident whom somebody has chosen."""
    return next((one for one in RESIDENTS if one.key == key), None)
