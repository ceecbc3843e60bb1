"""The checks of ``identifiers.py`` for many candidates at once.

A check takes an ``(n, length)`` array of bytes, one candidate a row, and returns ``n`` booleans. Rows come from a
shape, so their classes are known (digits are digits); only what a shape cannot say is checked here.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray

from wantong.border.gate.classification import identifiers as ids

Rows = NDArray[np.uint8]
Flags = NDArray[np.bool_]
Check = Callable[[Rows], Flags]

_ZERO = np.uint8(48)


def number(digits: Rows) -> NDArray[np.int64]:
    """Rows of ASCII digits as integers."""
    value = np.zeros(len(digits), np.int64)
    for column in range(digits.shape[1]):
        value = value * 10 + (digits[:, column] - _ZERO)
    return value


def _weighted(values: NDArray[np.uint8], weights: tuple[int, ...]) -> NDArray[np.int64]:
    return _product(values, np.asarray(weights, np.float32).reshape(-1, 1))[:, 0]


def _product(values: NDArray[np.uint8], weights: NDArray[np.float32]) -> NDArray[np.int64]:
    """``values @ weights`` by BLAS, in float32, which is exact below 2^24.

    A few rows at a time: for more BLAS starts threads, whose waiting costs more than the product.
    """
    product = np.empty((len(values), weights.shape[1]), np.float32)
    for start in range(0, len(values), 512):
        part = slice(start, start + 512)
        np.matmul(values[part].astype(np.float32), weights, out=product[part])
    return product.astype(np.int64)


_MONTH_DAYS = np.array([0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] + [0] * 87, np.int64)
_PROVINCE = np.isin(np.arange(100), list(ids.PROVINCES))
_PERMITS = np.array(sorted(int(area) for area in ids.PERMIT_AREAS))
_HKID_CHECK = np.frombuffer(b"0123456789A", np.uint8)
_WORD = np.zeros(256, np.bool_)
_WORD[48:58] = _WORD[65:91] = _WORD[97:123] = True
_CN_CHECK = np.frombuffer(ids.CN_CHECKS.encode(), np.uint8)


def is_date(year: NDArray[np.int64], month: NDArray[np.int64], day: NDArray[np.int64]) -> Flags:
    """Real dates of the Gregorian calendar within the years of birth that are accepted."""
    leap = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
    longest = _MONTH_DAYS[month] - ((month == 2) & ~leap)
    real: Flags = (year >= ids.EARLIEST_BIRTH) & (year <= ids.LATEST_BIRTH) & (day >= 1) & (day <= longest)
    return real


def _raised(rows: Rows) -> Rows:
    """The rows with lower-case letters raised."""
    lower = rows >= 97
    return np.where(lower, rows - np.uint8(32), rows) if lower.any() else rows


# one product gives the weighted sum and the numbers inside: area, its province, year, month, day of birth
_CITIZEN = np.zeros((17, 6), np.float32)
_CITIZEN[:, 0] = ids.CN_WEIGHTS
for _column, (_start, _end) in enumerate(((0, 6), (0, 2), (6, 10), (10, 12), (12, 14)), 1):
    _CITIZEN[_start:_end, _column] = 10.0 ** np.arange(_end - _start - 1, -1, -1)


def _citizen(rows: Rows) -> tuple[NDArray[np.int64], Flags]:
    """The area of 18-character mainland numbers, and whether date and check character are right."""
    numbers = _product(rows[:, :17] - _ZERO, _CITIZEN)
    right: Flags = _CN_CHECK[numbers[:, 0] % 11] == _raised(rows[:, 17])
    return numbers[:, 1:3], right & is_date(numbers[:, 3], numbers[:, 4], numbers[:, 5])


def cn_id(rows: Rows) -> Flags:
    areas, right = _citizen(rows)
    return _PROVINCE[areas[:, 1]] & right


def cn_id_old(rows: Rows) -> Flags:
    """Fifteen digits: no check digit, so only province and date."""
    year, month, day = (number(rows[:, at : at + 2]) for at in (6, 8, 10))
    return _PROVINCE[number(rows[:, :2])] & is_date(1900 + year, month, day)


def cn_permit(rows: Rows) -> Flags:
    areas, right = _citizen(rows)
    return np.isin(areas[:, 0], _PERMITS) & right


_HKID_FIX = np.arange(256, dtype=np.uint8)
_HKID_FIX[list(b"OIL")] = list(b"011")


def hkid(rows: Rows) -> Flags:
    """HKIDs with or without brackets; noughts and ones misread as letters are put right before the check."""
    rows = _raised(_bare(rows))
    letters = rows.shape[1] - 7
    first = (rows[:, 0] - 55).astype(np.int64) if letters == 2 else np.full(len(rows), 36, np.int64)
    total = 9 * first + 8 * (rows[:, letters - 1].astype(np.int64) - 55)
    digits = _HKID_FIX[rows[:, letters:]]
    total += _weighted(digits[:, :6] - _ZERO, (7, 6, 5, 4, 3, 2))
    check: Flags = _HKID_CHECK[-total % 11] == digits[:, 6]
    return check


def hkid_spaced(rows: Rows) -> Flags:
    """HKIDs with blanks or hyphens anywhere among the digits."""
    passed = np.zeros(len(rows), np.bool_)
    letters = 1 + int(rows[0, 1] >= 65) if len(rows) else 1
    for i, row in enumerate(rows):
        text = row.tobytes().translate(None, b" -")
        if len(text) == letters + 9:
            passed[i] = hkid(np.frombuffer(text, np.uint8).reshape(1, -1))[0]
    return passed


def _bare(rows: Rows) -> Rows:
    """The rows without the columns that hold no letter or digit (a shape has them in the same place)."""
    if not len(rows):
        return rows
    return rows[:, _WORD[rows[0]]]


def mo_bir(rows: Rows) -> Flags:
    first = rows[:, 0]
    known: Flags = (first == 49) | (first == 53) | (first == 55)
    return known


def home_return_permit(rows: Rows) -> Flags:
    first = _raised(rows[:, 0])
    known: Flags = (first == ord("H")) | (first == ord("M"))
    return known


def exit_permit(rows: Rows) -> Flags:
    first, second = _raised(rows[:, 0]), _raised(rows[:, 1])
    digit = second <= 57
    letter = ~digit & (second != ord("I")) & (second != ord("O"))
    known: Flags = ((first == ord("C")) & (digit | letter)) | ((first == ord("W")) & digit)
    return known


def passport(rows: Rows) -> Flags:
    """Shapes of one letter and eight digits, two and seven, or two and eight."""
    first, second = _raised(rows[:, 0]), _raised(rows[:, 1])
    letter = second > 57
    hongkong = (first == ord("H")) | (first == ord("K"))
    known: Flags
    if rows.shape[1] == 10:
        known = hongkong & letter
        return known
    plain = np.isin(first, np.frombuffer(b"EGDSP", np.uint8)) & ~letter
    newer = (first == ord("E")) & letter & (second != ord("I")) & (second != ord("O"))
    known = plain | newer | hongkong | ((first == ord("M")) & letter)
    return known


def luhn(rows: Rows) -> Flags:
    digits = rows - _ZERO
    doubled = digits[:, -2::-2] * 2
    crossed = doubled - np.uint8(9) * (doubled > 9)
    right: Flags = (
        digits[:, -1::-2].sum(axis=1, dtype=np.int64) + crossed.sum(axis=1, dtype=np.int64)
    ) % 10 == 0
    return right


@cache
def _card_prefixes(length: int) -> Flags:
    allowed = np.zeros(10_000, np.bool_)
    for size, low, high in ids.CARD_RANGES:
        if size == length:
            allowed[low : high + 1] = True
    return allowed


def issued_card(rows: Rows) -> Flags:
    """Whether a card's length and first digits are an issuer's."""
    rows = _bare(rows)
    return _card_prefixes(rows.shape[1])[number(rows[:, :4])]


def bank_card(rows: Rows) -> Flags:
    known = issued_card(rows)
    rows = _bare(rows)
    if not known.any():
        return known
    passed = known & luhn(rows)
    for row in np.flatnonzero(passed):  # 4444…: no issuer's
        passed[row] = len(set(rows[row].tobytes())) >= 2
    return passed


_USCC_VALUE = np.full(256, 255, np.uint8)
for _i, _c in enumerate(ids.USCC_ALPHABET.encode()):
    _USCC_VALUE[_c] = _i
_USCC_VALUE[ord("O")], _USCC_VALUE[ord("I")] = 0, 1  # not in the alphabet: misread noughts and ones
_USCC_FIX = np.arange(256, dtype=np.uint8)
_USCC_FIX[ord("O")], _USCC_FIX[ord("I")] = 48, 49
_USCC_SORT = np.zeros((256, 256), np.bool_)
for _first, _seconds in ids.USCC_REGISTRIES.items():
    _USCC_SORT[ord(_first), [ord(_second) for _second in _seconds]] = True
_USCC_AREA = _PROVINCE | (np.arange(100) == 10)
_BASE36 = np.zeros(256, np.uint8)
_BASE36[48:58] = range(10)
_BASE36[65:91] = range(10, 36)


def uscc(rows: Rows) -> Flags:
    passed = np.zeros(len(rows), np.bool_)
    first = _USCC_FIX[rows[:, :2]]
    likely = np.flatnonzero(
        _USCC_SORT[first[:, 0], first[:, 1]]
    )  # most that has eighteen characters is no code
    if not likely.size:
        return passed
    rows = _USCC_FIX[rows[likely]]
    values = _USCC_VALUE[rows]
    fits = (rows[:, 2:8] <= 57).all(axis=1) & (values != 255).all(axis=1)
    fits &= _USCC_AREA[number(np.minimum(rows[:, 2:4], 57))]
    outer = -_weighted(values[:, :17], ids.USCC_WEIGHTS) % 31 == values[:, 17]
    inner = -_weighted(_BASE36[rows[:, 8:16]], ids.ORG_WEIGHTS) % 11
    inner_given = np.where(rows[:, 16] == ord("X"), 10, rows[:, 16].astype(np.int64) - 48)
    passed[likely] = fits & outer & (inner == inner_given)
    return passed


_MRZ_WEIGHTS = (7, 3, 1) * 15


def _mrz_agrees(rows: Rows, start: int, end: int) -> Flags:
    given = rows[:, end]
    right: Flags = (
        _weighted(_BASE36[rows[:, start:end]], _MRZ_WEIGHTS[: end - start]) % 10 == given - _ZERO
    ) & (given <= 57)
    return right


def mrz(rows: Rows) -> Flags:
    length = rows.shape[1]
    birth, expiry, nation = (0, 8, 15) if length == 30 else (13, 21, 10)
    sex = rows[:, birth + 7]
    fits: Flags = np.isin(sex, np.frombuffer(b"MFX<", np.uint8))
    states = rows[:, nation : nation + 3]
    fits &= ((states >= 65) | (states == ord("<"))).all(axis=1) & (rows[:, birth : birth + 4] <= 57).all(
        axis=1
    )
    fits &= (rows[:, birth : birth + 4] >= 48).all(axis=1)
    fits &= _mrz_agrees(rows, birth, birth + 6) & _mrz_agrees(rows, expiry, expiry + 6)
    if length != 30:
        fits &= _mrz_agrees(rows, 0, 9)
    if length == 44:
        empty = (rows[:, 28:43] == ord("<")).all(axis=1)
        fits &= empty | _mrz_agrees(rows, 28, 42)
        joined = np.concatenate([rows[:, :10], rows[:, 13:20], rows[:, 21:43], rows[:, 43:]], axis=1)
        fits &= _mrz_agrees(joined, 0, 39)
    return fits


@cache
def _allocated(region: str, digits: int) -> Flags:
    """By first ``digits`` digits: is the number allocated? The tables decide on no more digits than these."""
    known = {"cn": (ids.is_cn_mobile, 11), "hk": (ids.is_hk_phone, 8), "mo": (ids.is_mo_phone, 8)}
    allocated, length = known[region]
    rest = "0" * (length - digits)
    return np.array([allocated(f"{prefix:0{digits}d}{rest}") for prefix in range(10**digits)], np.bool_)


def _digits(rows: Rows, last: int) -> Rows:
    """The last digits of rows that may hold prefixes and separators."""
    return _bare(rows)[:, -last:]


def phone_cn(rows: Rows) -> Flags:
    return _allocated("cn", 5).take(number(_digits(rows, 11)[:, :5]))


def phone_hk(rows: Rows) -> Flags:
    return _allocated("hk", 4).take(number(_digits(rows, 8)[:, :4]))


def phone_mo(rows: Rows) -> Flags:
    return _allocated("mo", 5).take(number(_digits(rows, 8)[:, :5]))


def phone_local(rows: Rows) -> Flags:
    return phone_hk(rows) | phone_mo(rows)


def one_by_one(test: Callable[[str], bool], encoding: str = "utf-8") -> Check:
    """A check from a scalar one, for rare shapes."""

    def check(rows: Rows) -> Flags:
        texts = (row.tobytes().decode(encoding, "replace") for row in rows)
        return np.fromiter((test(text) for text in texts), np.bool_, len(rows))

    return check


def landline_cn(rows: Rows) -> Flags:
    def bare(text: str) -> str:
        digits = re.sub(r"[() \-]", "", text)
        return "0" + digits[3:] if digits.startswith("+86") else digits

    return one_by_one(lambda text: ids.is_cn_landline(bare(text)))(rows)


def anything(rows: Rows) -> Flags:
    return np.ones(len(rows), np.bool_)


CHECKS: dict[str, Check] = {
    "cn-id": cn_id,
    "cn-id-old": cn_id_old,
    "cn-permit": cn_permit,
    "hkid": hkid,
    "hkid-spaced": hkid_spaced,
    "mo-bir": mo_bir,
    "home-return-permit": home_return_permit,
    "exit-permit": exit_permit,
    "passport": passport,
    "bank-card": bank_card,
    "uscc": uscc,
    "mrz": mrz,
    "phone-cn": phone_cn,
    "phone-hk": phone_hk,
    "phone-mo": phone_mo,
    "phone-local": phone_local,
    "landline-cn": landline_cn,
    "plate": one_by_one(ids.is_plate),
    "anything": anything,
}
"""The checks by the names that ``data/kinds.yaml`` uses."""


def dated(rows: Rows) -> Flags:
    """Whether a mainland number has a province and a birth date, be its check digit right or wrong."""
    fits = _PROVINCE[number(rows[:, :2])] | np.isin(number(rows[:, :6]), _PERMITS)
    return fits & is_date(*(number(rows[:, a:b]) for a, b in ((6, 10), (10, 12), (12, 14))))


SO_FAR: dict[str, tuple[Check, float]] = {
    "cn-id": (dated, 1 / 11),
    "cn-permit": (dated, 1 / 11),
    "bank-card": (issued_card, 1 / 10),
}
"""What a check asks besides its check digit, and how often a candidate that has it passes by chance.

Reference numbers often begin with an area and a date, or with an issuer's digits: among those the check digit alone
must tell.
"""
