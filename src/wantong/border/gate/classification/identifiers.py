"""Every identifier of the three places: is this string one? Published rules only, one string at a time.

The numbers of documents are ``trust.documents.numbers``, re-exported here; telephones, bank cards, plates and addresses
follow. These are the reference forms: exact, readable, pure. The scanner uses their vectorised twins in ``checks.py``,
which tests hold to these. A valid check never proves identity: it says that a number is well formed.

Sources: as said there; ISO/IEC 7812-1 (Luhn); ITU-T E.164 with the allocation tables of ``phonenumbers``.
All functions take the bare identifier (see :func:`tidy`) and return a bool; none raises.
"""

from __future__ import annotations

import re
from functools import cache

import phonenumbers
from phonenumbers import PhoneMetadata

from wantong.border.trust.documents.numbers import *  # noqa: F403  (one module of identifiers for the scanner)
from wantong.border.trust.documents.numbers import tidy


def is_luhn(number: str) -> bool:
    """The Luhn check of ISO/IEC 7812-1."""
    if not number.isascii() or not number.isdigit():
        return False
    return sum(sum(divmod(int(c) * (1 + i % 2), 10)) for i, c in enumerate(reversed(number))) % 10 == 0


# issuer ranges by length: (length, lowest and highest first four digits); ISO/IEC 7812 registry as published by
# UnionPay (62; the mainland's older 955-958 debit ranges), Visa, Mastercard, Amex, JCB, Diners, Discover
CARD_RANGES: tuple[tuple[int, int, int], ...] = (
    *((n, 6200, 6299) for n in (16, 17, 18, 19)),
    *(
        (16, low, high)
        for low, high in ((4000, 4999), (5100, 5599), (2221, 2720), (3528, 3589), (6011, 6011), (6440, 6599))
    ),
    (13, 4000, 4999),
    (19, 4000, 4999),
    (19, 9550, 9589),
    (15, 3400, 3499),
    (15, 3700, 3799),
    (14, 3000, 3059),
    (14, 3600, 3699),
    (14, 3800, 3999),
    (16, 6040, 6050),
    (19, 6030, 6050),
    (16, 9400, 9409),
    (19, 6210, 6299),
)


def is_bank_card(number: str) -> bool:
    """Bank card: Luhn, and a length and prefix that issuers use."""
    if not is_luhn(number) or len(set(number)) < 2:
        return False
    first = int(number[:4])
    return any(len(number) == length and low <= first <= high for length, low, high in CARD_RANGES)


@cache
def _national(region: str, kinds: tuple[str, ...]) -> re.Pattern[str]:
    """The allocation pattern of a place, from the tables of ``phonenumbers``."""
    metadata = PhoneMetadata.metadata_for_region(region)
    assert metadata is not None
    parts = (getattr(metadata, kind) for kind in kinds)
    return re.compile("|".join(f"(?:{part.national_number_pattern})" for part in parts if part))


def is_cn_mobile(number: str) -> bool:
    """Mainland mobile number, 11 digits without prefix, in an allocated range."""
    return _national("CN", ("mobile",)).fullmatch(number) is not None


def is_cn_landline(number: str) -> bool:
    """Mainland landline with area code and its leading 0, in an allocated range."""
    return (
        re.fullmatch(r"0[0-9]{9,11}", number) is not None
        and _national("CN", ("fixed_line",)).fullmatch(number[1:]) is not None
        and len(number) >= 11
    )


def is_hk_phone(number: str) -> bool:
    """Hong Kong fixed, mobile or company (30…) number, 8 digits, in an allocated range."""
    return _national("HK", ("fixed_line", "mobile", "uan")).fullmatch(number) is not None


def is_mo_phone(number: str) -> bool:
    """Macao fixed or mobile number, 8 digits, in an allocated range."""
    return _national("MO", ("fixed_line", "mobile")).fullmatch(number) is not None


def is_phone(number: str) -> bool:
    """A number of one of the three places, with its country code or, for mainland mobiles and landlines, without."""
    bare = re.sub(r"[\s()\-]", "", number)
    if bare.startswith(("+", "00")):
        bare = bare.lstrip("+0")
        try:
            return phonenumbers.is_valid_number(phonenumbers.parse("+" + bare)) and bare[:2] in ("86", "85")
        except phonenumbers.NumberParseException:
            return False
    return is_cn_mobile(bare) or is_cn_landline(bare)


PLATE_PROVINCES = "京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼"


def is_plate(text: str) -> bool:
    """A mainland plate (GA 36: five characters, six for new energy), or a cross-boundary 粤Z····港/澳. No check exists."""
    bare = tidy(text)
    if re.fullmatch(r"[粤粵]Z[0-9A-HJ-NP-Z]{4}[港澳]", bare):
        return True
    if not re.fullmatch(
        rf"[{PLATE_PROVINCES}][A-HJ-Z](?:[0-9A-HJ-NP-Z]{{4}}[0-9A-HJ-NP-Z学警挂]|[0-9A-HJ-NP-Z]{{6}})", bare
    ):
        return False
    return sum(c.isdigit() for c in bare[2:]) >= 2


_EMAIL = re.compile(
    r"[A-Za-z0-9](?:[A-Za-z0-9._%+'-]{0,62}[A-Za-z0-9_+-])?@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.){1,6}[A-Za-z]{2,18}"
)


def is_email(text: str) -> bool:
    """An address as people have them: dotted local part, a domain with a letters-only top level."""
    return _EMAIL.fullmatch(text) is not None and ".." not in text
