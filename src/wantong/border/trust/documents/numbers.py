"""Document numbers of the three places: is this string one? Published rules only, one string at a time, pure.

These are the reference forms; the scanner's vectorised twins (``gate.classification.checks``) take their weights and
alphabets from here, and tests hold them to these functions. They are not the same code because a scan checks a
million candidates in one matrix product, which a function of one string cannot be made of without losing the speed or
the readability.

Sources: GB 11643-1999 (citizen number, ISO 7064 MOD 11-2); GB 32100-2015 and GB 11714-1997 (unified social credit
code and the organisation code inside it); Hong Kong identity card check digit as published by the Immigration
Department's users (A=10 … Z=35, a missing letter 36); Decree-Law 19/99/M art. 12 (Macao BIR form); ICAO Doc 9303-3
(machine readable zone). All functions take the bare number (see :func:`tidy`); none of those that answer with a bool
raises. A valid check never proves identity: it says that a number is well formed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date

PROVINCES: frozenset[int] = frozenset(
    (
        *(11, 12, 13, 14, 15, 21, 22, 23, 31, 32, 33, 34, 35, 36, 37, 41, 42, 43, 44, 45, 46),
        *(50, 51, 52, 53, 54, 61, 62, 63, 64, 65, 71),
    )
)
"""The first two digits of GB/T 2260 area codes."""

PERMIT_AREAS: frozenset[str] = frozenset(("810000", "820000", "830000"))
"""Residence permits of Hong Kong, Macao and Taiwan residents carry these in the place of an area code (2018)."""

CN_WEIGHTS: tuple[int, ...] = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
CN_CHECKS = "10X98765432"
USCC_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
USCC_WEIGHTS: tuple[int, ...] = tuple(pow(3, i, 31) for i in range(17))
ORG_WEIGHTS: tuple[int, ...] = (3, 7, 9, 10, 5, 8, 4, 2)
EARLIEST_BIRTH, LATEST_BIRTH = 1880, 2099
"""Years of birth that are accepted: nobody older lives, and nobody younger is born while this is maintained."""

_FULL_WIDTH = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | {0x3000: 0x20}


def tidy(text: str) -> str:
    """``text`` with full-width characters narrowed, letters raised, and spaces and hyphens left out."""
    return re.sub(r"[\s\-‐-―·]+", "", text.translate(_FULL_WIDTH)).upper()


def birth_date(number: str) -> date | None:
    """The birth date inside an 18-character mainland number, or None if those digits are no date."""
    if not re.fullmatch(r"[0-9]{17}[0-9X]", number):
        return None
    try:
        born = date(int(number[6:10]), int(number[10:12]), int(number[12:14]))
    except ValueError:
        return None
    return born if EARLIEST_BIRTH <= born.year <= LATEST_BIRTH else None


def cn_check_digit(first17: str) -> str:
    """The check character of a mainland number (ISO 7064 MOD 11-2)."""
    return CN_CHECKS[sum(int(c) * w for c, w in zip(first17, CN_WEIGHTS, strict=True)) % 11]


def is_cn_id(number: str) -> bool:
    """Resident identity number (居民身份证): province, real date, check."""
    return (
        birth_date(number) is not None
        and int(number[:2]) in PROVINCES
        and cn_check_digit(number[:17]) == number[17]
    )


def is_cn_permit(number: str) -> bool:
    """Residence permit of Hong Kong, Macao or Taiwan residents (港澳台居民居住证)."""
    return (
        birth_date(number) is not None
        and number[:6] in PERMIT_AREAS
        and cn_check_digit(number[:17]) == number[17]
    )


def is_cn_id_old(number: str) -> bool:
    """Resident identity number of fifteen digits, issued until 1999 (GB 11643-1989): province, real date of 19yy.

    It has no check digit: about one run of fifteen random digits in ninety looks like one.
    """
    if re.fullmatch(r"[0-9]{15}", number) is None or int(number[:2]) not in PROVINCES:
        return False
    try:
        date(1900 + int(number[6:8]), int(number[8:10]), int(number[10:12]))
    except ValueError:
        return False
    return True


def hkid_check_digit(letters: str, digits: str) -> str:
    """The character in brackets of a Hong Kong identity card number."""
    first, second = (
        (36, ord(letters) - 55) if len(letters) == 1 else (ord(letters[0]) - 55, ord(letters[1]) - 55)
    )
    total = 9 * first + 8 * second + sum(int(c) * w for c, w in zip(digits, range(7, 1, -1), strict=True))
    return "0123456789A"[-total % 11]


def is_hkid(number: str) -> bool:
    """Hong Kong identity card number, the check character with or without brackets."""
    parts = re.fullmatch(r"([A-Z]{1,2})([0-9]{6})(?:\(([0-9A])\)|([0-9A]))", number)
    return parts is not None and hkid_check_digit(parts[1], parts[2]) == (parts[3] or parts[4])


def is_mo_bir(number: str) -> bool:
    """Macao resident identity card: form only, no check digit is published. ``1234567(8)`` or ``1234567/8``."""
    return re.fullmatch(r"[157][0-9]{6}(?:\([0-9]\)|/?[0-9])", number) is not None


def is_home_return_permit(number: str) -> bool:
    """Mainland travel permit for Hong Kong and Macao residents (回乡证): form only; 9 characters, older cards 11."""
    return re.fullmatch(r"[HM][0-9]{8}(?:[0-9]{2})?", number) is not None


def is_exit_permit(number: str) -> bool:
    """Exit-entry permit to Hong Kong and Macao (往来港澳通行证): form only."""
    return re.fullmatch(r"C(?:[0-9]|[A-HJ-NP-Z])[0-9]{7}|W[0-9]{8}", number) is not None


def is_passport(number: str) -> bool:
    """Passport of the three places: form only (mainland E, G, D, S, P; Hong Kong H, K; Macao M and a letter)."""
    return (
        re.fullmatch(r"[EGDSP][0-9]{8}|E[A-HJ-NP-Z][0-9]{7}|[HK][A-Z]?[0-9]{8}|[HKM][A-Z][0-9]{7}", number)
        is not None
    )


def mrz_check_digit(field: str) -> int:
    """The check digit of a machine readable field: weights 7 3 1, letters from 10, ``<`` nought."""
    values = (0 if c == "<" else int(c, 36) for c in field)
    return sum(value * (7, 3, 1)[i % 3] for i, value in enumerate(values)) % 10


def is_mrz_line(line: str) -> bool:
    """The line of a machine readable zone that carries the dates: 44 (TD3), 36 (TD2) or 30 characters (TD1)."""
    if re.fullmatch(r"[A-Z0-9<]+", line) is None or len(line) not in (30, 36, 44):
        return False
    birth, expiry = (0, 8) if len(line) == 30 else (13, 21)
    fields = [(birth, birth + 6), (expiry, expiry + 6)] + ([] if len(line) == 30 else [(0, 9)])
    if len(line) == 44:
        fields.append((28, 42))
    if line[birth + 7] not in "MFX<" or not re.fullmatch(
        "[A-Z<]{3}", line[15:18] if birth == 0 else line[10:13]
    ):
        return False

    def agrees(start: int, end: int) -> bool:
        given = line[end]
        if given == "<" and set(line[start:end]) == {"<"}:
            return True  # an empty optional field may leave its check digit out
        return given.isdigit() and mrz_check_digit(line[start:end]) == int(given)

    if len(line) == 44 and not (
        line[43].isdigit() and mrz_check_digit(line[:10] + line[13:20] + line[21:43]) == int(line[43])
    ):
        return False
    return all(agrees(start, end) for start, end in fields) and line[birth : birth + 4].isdigit()


def org_check_digit(first8: str) -> str:
    """The check character of an organisation code (GB 11714)."""
    check = -sum(int(c, 36) * w for c, w in zip(first8, ORG_WEIGHTS, strict=True)) % 11
    return "X" if check == 10 else str(check)


USCC_REGISTRIES: Mapping[str, str] = {
    "1": "1239", "2": "19", "3": "123459", "4": "19", "5": "1239", "6": "129", "7": "129", "8": "19", "9": "123",
    "A": "19", "N": "1239", "Y": "1",
}  # fmt: skip
"""The registering department and the sorts of body it registers: the first two characters (GB 32100-2015, table 1)."""


def uscc_check_digit(first17: str) -> str:
    """The check character of a unified social credit code (GB 32100: weights 3^i modulo 31)."""
    total = sum(USCC_ALPHABET.index(c) * w for c, w in zip(first17, USCC_WEIGHTS, strict=True))
    return USCC_ALPHABET[-total % 31]


def is_uscc(number: str) -> bool:
    """Unified social credit code: department, area, outer check, and the organisation code inside with its own."""
    if re.fullmatch(r"[0-9A-Z]{2}[0-9]{6}[0-9A-HJ-NPQRTUWXY]{10}", number) is None:
        return False
    if number[1] not in USCC_REGISTRIES.get(number[0], "") or int(number[2:4]) not in PROVINCES | {10}:
        return False
    return uscc_check_digit(number[:17]) == number[17] and org_check_digit(number[8:16]) == number[16]
