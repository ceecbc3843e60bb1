"""The masks of single values: redact, partial, tokenise, generalise dates and places."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache
from importlib import resources

from wantong.border.gate.classification.marks import MARK, token
from wantong.ground import yamlfile

REDACTED = MARK * 3

PROFILES = ("keep", "redact", "partial", "tokenise", "generalise", "year", "month", "city", "district")
"""What may be done to a value. ``generalise`` is ``year`` for dates, ``district`` for places, else ``redact``."""

Mask = Callable[[str, str], str]
"""(value, kind or "") → what may be shown of it."""

# characters kept at the beginning and at the end; never more than half of the value in all
_KEPT: Mapping[str, tuple[int, int]] = {
    "name": (1, 0),
    "phone": (3, 2),
    "bank-card": (0, 4),
    "email": (1, 0),
    "address": (0, 0),
    "birth-date": (4, 0),
}


def mask_of(profile: str, key: bytes | None) -> Mask:
    """The mask called ``profile``. Raises KeyError for another name, ValueError for ``tokenise`` without a key."""
    if profile == "tokenise":
        if key is None:
            raise ValueError("tokenise needs a key")
        known: dict[str, str] = {}

        def tokenise(value: str, kind: str) -> str:
            made = known.get(value)
            if made is None:
                made = token(value, key)
                if len(known) < 100_000:
                    known[value] = made
            return made

        return tokenise
    masks: Mapping[str, Mask] = {
        "keep": lambda value, kind: value,
        "redact": lambda value, kind: REDACTED,
        "partial": partial,
        "generalise": generalise,
        "year": lambda value, kind: date_to(value, month=False),
        "month": lambda value, kind: date_to(value, month=True),
        "city": lambda value, kind: place_to(value, district=False),
        "district": lambda value, kind: place_to(value, district=True),
    }
    return masks[profile]


def partial(value: str, kind: str) -> str:
    """The ends of a value: ``138██████00``, ``陈██``, ``a███@███.com``; never more than half of it."""
    value = value.strip()
    if kind == "email" and "@" in value:
        local, _, domain = value.partition("@")
        return f"{local[:1]}{REDACTED}@{REDACTED}.{domain.rpartition('.')[2]}"
    head, tail = _KEPT.get(kind, (1, 1))
    most = len(value) // 2
    if kind == "name":
        most = max(most, 1) if len(value) > 1 else 0
    tail = min(tail, most)
    head = min(head, most - tail)
    return value[:head] + MARK * max(2, min(len(value) - head - tail, 12)) + (value[-tail:] if tail else "")


def generalise(value: str, kind: str) -> str:
    """A date to its year, a place to its district; nothing of anything else."""
    if kind == "birth-date" or _dated(value):
        return date_to(value, month=False)
    return place_to(value, district=True)


_DATE = re.compile(
    r"(?P<y>(?:18|19|20)\d\d)(?:\s*[-/.年]\s*(?P<m>0?[1-9]|1[0-2])(?!\d)|(?P<m2>0[1-9]|1[0-2])(?=\d\d(?!\d)))?"
    r"|(?:0?[1-9]|[12]\d|3[01])[-/. ](?P<m3>0?[1-9]|1[0-2]|[A-Z][a-z]{2,8})[-/. ](?P<y3>(?:18|19|20)\d\d)"
)
_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]


def _dated(value: str) -> re.Match[str] | None:
    return _DATE.match(value.strip())


def date_to(value: str, *, month: bool) -> str:
    """``1990-03-07`` → ``1990-██-██`` or ``1990-03-██``; what is no date is redacted."""
    found = _dated(value)
    if found is None:
        return REDACTED
    year = found["y"] or found["y3"]
    number = found["m"] or found["m2"] or found["m3"]
    if not month or not number:
        return f"{year}-{MARK * 2}-{MARK * 2}"
    if number.isalpha():
        if number[:3].lower() not in _MONTHS:
            return f"{year}-{MARK * 2}-{MARK * 2}"
        number = str(_MONTHS.index(number[:3].lower()) + 1)
    return f"{year}-{int(number):02}-{MARK * 2}"


_MAINLAND = re.compile(
    r"(?P<province>(?:北京|天津|上海|重庆)市?|[㐀-鿿]{2,7}?(?:省|自治区))?"
    r"(?P<city>[㐀-鿿]{2,7}?(?:市|自治州|地区|盟))?"
    r"(?P<district>[㐀-鿿]{1,7}?(?:区|县|旗|市))?"
)


@cache
def _areas() -> tuple[tuple[tuple[str, ...], tuple[tuple[str, str], ...]], ...]:
    """For Hong Kong and Macao: names of the region, and (name, district) longest names first."""
    places = yamlfile.load((resources.files(__package__) / "data" / "places.yaml").read_bytes())
    return tuple(
        (
            tuple(place["region"]),
            tuple(
                sorted(
                    (
                        (name, district)
                        for district, names in place["districts"].items()
                        for name in (district, *names)
                    ),
                    key=lambda pair: -len(pair[0]),
                )
            ),
        )
        for place in places.values()
    )


def place_to(value: str, *, district: bool) -> str:
    """An address to its city or district: ``广东省深圳市南山区█``, ``香港觀塘區█``; what names none is redacted."""
    value = value.strip()
    mainland = _MAINLAND.match(value)
    assert mainland is not None  # every part of it is optional
    for regions, names in _areas():
        region = next((name for name in regions if name in value), None)
        # a mainland address may hold such a name too (广州市天河区香港路)
        if mainland[0] and not (region and value.startswith(region)):
            continue
        found = next((area for name, area in names if name in value), None)
        if found is not None or region is not None:
            return f"{regions[0]}{found if district and found else ''}{MARK}"
    parts = [mainland["province"], mainland["city"], mainland["district"] if district else None]
    kept = "".join(part for part in parts if part)
    return kept + MARK if kept else REDACTED
