"""Synthetic numbers, well formed and nobody's: to try forms and programs with.

Serial parts come from a given random generator. Whether a number made here was ever given to somebody cannot be
known; nothing but its form says anything about a person.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Mapping
from datetime import date
from random import Random

from wantong.border.trust.documents import numbers

BORN = date(1990, 3, 7)


def _digits(random: Random, count: int) -> str:
    return "".join(random.choices(string.digits, k=count))


def _citizen(area: str) -> Callable[[Random, date], str]:
    def make(random: Random, born: date) -> str:
        first = f"{area}{born:%Y%m%d}{_digits(random, 3)}"
        return first + numbers.cn_check_digit(first)

    return make


def _hkid(random: Random, _: date) -> str:
    letter, digits = random.choice("ABCDEFGKRVYZ"), _digits(random, 6)
    return f"{letter}{digits}({numbers.hkid_check_digit(letter, digits)})"


def _uscc(random: Random, _: date) -> str:
    organisation = "MA" + "".join(random.choices(numbers.USCC_ALPHABET, k=6))
    first = f"91440300{organisation}{numbers.org_check_digit(organisation)}"
    return first + numbers.uscc_check_digit(first)


def mrz(number: str, nationality: str, born: date, *, name: str = "CHAN<<TAI<MAN") -> str:
    """A passport's zone (TD3): two lines of 44 characters."""
    field = f"{number:<9}".replace(" ", "<")
    check = str(numbers.mrz_check_digit(field))
    birth, expiry = f"{born:%y%m%d}", "320101"
    dated = birth + str(numbers.mrz_check_digit(birth)), expiry + str(numbers.mrz_check_digit(expiry))
    optional = "<" * 14 + "0"
    composite = numbers.mrz_check_digit(field + check + dated[0] + dated[1] + optional)
    return (
        f"{'P<' + nationality + name:<44}".replace(" ", "<")
        + f"\n{field}{check}{nationality}{dated[0]}F{dated[1]}{optional}{composite}"
    )


MAKERS: Mapping[str, Callable[[Random, date], str]] = {
    "cn-resident-id": _citizen("440301"),
    "cn-residence-permit": _citizen("810000"),
    "cn-home-return-permit": lambda random, _: random.choice("HM") + _digits(random, 8),
    "cn-home-return-permit-foreign": lambda random, _: random.choice("HM") + "A" + _digits(random, 7),
    "cn-eep": lambda random, _: "C" + random.choice("ABCDEFGHJK") + _digits(random, 7),
    "hk-id": _hkid,
    "mo-bir": lambda random, _: f"{random.choice('157')}{_digits(random, 6)}({_digits(random, 1)})",
    "cn-passport": lambda random, _: "E" + random.choice("ABCDEFGHJK") + _digits(random, 7),
    "hk-passport": lambda random, _: "H" + _digits(random, 8),
    "mo-passport": lambda random, _: "MA" + _digits(random, 7),
    "mrz": lambda random, born: mrz("H" + _digits(random, 8), "CHN", born),
    "cn-uscc": _uscc,
    "hk-brn": lambda random, _: _digits(random, 8),
    "hk-cr": lambda random, _: _digits(random, 7),
}
"""By kind: what a document of it bears, as it prints it."""


def sample(kind: str, random: Random, born: date = BORN) -> str:
    """A well-formed number of the kind, as the document prints it. Raises KeyError for an unknown kind."""
    return MAKERS[kind](random, born)
