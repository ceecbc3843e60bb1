"""Identifiers made from the published standards, with check digits of this module's own.

Nothing here comes from the package under test, and where a standard can be written in two ways (weights or
recursion) the way taken is not the one of the reference table: a slip on either side would show.

Sources: GB 11643-1999 with ISO 7064 (MOD 11-2), GB 32100-2015 and GB 11714-1997, ISO/IEC 7812-1 (Luhn),
ICAO Doc 9303 parts 3 to 5, and the published rule of Hong Kong's identity card check digit.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from random import Random

import phonenumbers

# county-level codes of GB/T 2260, some of them retired as on cards still in use
AREAS = [
    "110101",
    "110105",
    "110221",
    "120101",
    "130102",
    "210102",
    "310101",
    "310115",
    "320102",
    "330106",
    "340102",
    "350203",
    "360102",
    "370102",
    "410102",
    "420106",
    "420111",
    "430102",
    "430103",
    "440103",
    "440105",
    "440106",
    "440111",
    "440113",
    "440125",
    "440203",
    "440303",
    "440304",
    "440305",
    "440306",
    "440402",
    "440403",
    "440507",
    "440511",
    "440604",
    "440605",
    "440606",
    "440681",
    "440703",
    "440781",
    "440803",
    "440902",
    "441202",
    "441302",
    "441402",
    "441502",
    "441602",
    "441702",
    "441802",
    "441900",
    "442000",
    "445102",
    "445202",
    "445302",
    "450102",
    "460105",
    "500103",
    "510107",
    "520102",
    "530102",
    "610102",
    "650102",
]
USCC_SET = "0123456789ABCDEFGHJKLMNPQRTUWXY"


def mod_11_2(digits: str) -> str:
    """The check character of ISO 7064 MOD 11-2, by its recursive rule."""
    p = 0
    for digit in digits:
        p = (p + int(digit)) * 2 % 11
    return "0123456789X"[(12 - p) % 11]


def luhn(digits: str) -> str:
    """The digit that completes `digits` to a Luhn-valid number."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        total += int(digit) if place % 2 else sum(divmod(2 * int(digit), 10))
    return str(-total % 10)


def hkid_check(prefix: str, digits: str) -> str:
    """The character that makes the weighted sum of an HKID divisible by eleven."""
    values = [36 if c == " " else ord(c) - 55 for c in prefix.rjust(2)] + [int(d) for d in digits]
    rest = -sum(v * w for v, w in zip(values, range(9, 1, -1), strict=True)) % 11
    return "A" if rest == 10 else str(rest)


def organisation_check(body: str) -> str:
    """GB 11714: check character of an eight-place organisation code."""
    places = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    weights = (3, 7, 9, 10, 5, 8, 4, 2)
    rest = -sum(places.index(c) * w for c, w in zip(body, weights, strict=True)) % 11
    return "X" if rest == 10 else str(rest)


def uscc_check(body: str) -> str:
    """GB 32100: check character over the first seventeen places, by Horner's rule from the right."""
    total = 0
    for c in reversed(body):
        total = (total * 3 + USCC_SET.index(c)) % 31
    return USCC_SET[-total % 31]


def mrz_check(field: str) -> str:
    """ICAO 9303: 7-3-1 over 0-9, A-Z and the filler."""
    total = 0
    for place, c in enumerate(field):
        total += (731 // 10 ** (2 - place % 3) % 10) * (0 if c == "<" else int(c, 36))
    return str(total % 10)


def day(rng: Random, first: int = 1945, last: int = 2003) -> dt.date:
    return dt.date(first, 1, 1) + dt.timedelta(days=rng.randrange((last - first + 1) * 365))


def digits(rng: Random, n: int) -> str:
    return "".join(rng.choice("0123456789") for _ in range(n))


def cn_id(rng: Random, born: dt.date | None = None, area: str | None = None) -> str:
    body = f"{area or rng.choice(AREAS)}{born or day(rng):%Y%m%d}{rng.randrange(1, 999):03}"
    return body + mod_11_2(body)


def cn_id_old(rng: Random) -> str:
    """The fifteen digits issued until 1999: area, birth date without century, sequence, no check digit."""
    return f"{rng.choice(AREAS)}{day(rng, 1930, 1985):%y%m%d}{rng.randrange(1, 999):03}"


def cn_permit(rng: Random) -> str:
    return cn_id(rng, area=rng.choice(["810000", "820000", "830000"]))


def hkid(rng: Random, brackets: str = "()") -> str:
    prefix = (
        rng.choice("ABCDEFGHJKMNPRSVWYZ")
        if rng.random() < 0.9
        else rng.choice(["WX", "XA", "XE", "XG", "EC"])
    )
    number = digits(rng, 6)
    check = hkid_check(prefix, number)
    return f"{prefix}{number}{brackets[:1]}{check}{brackets[1:]}"


def mo_bir(rng: Random) -> str:
    return f"{rng.choice('157')}{digits(rng, 6)}({rng.randrange(10)})"


def uscc(rng: Random) -> str:
    organisation = rng.choice(["MA5", "MA4", "MAC", "MAD"]) + "".join(rng.choice(USCC_SET) for _ in range(5))
    if rng.random() < 0.4:
        organisation = digits(rng, 8)
    area = rng.choice(["440101", "440300", "440400", "110108", "310115", "440106", "440605", "441900"])
    body = (
        rng.choice(["91", "91", "91", "12", "92", "52"])
        + area
        + organisation
        + organisation_check(organisation)
    )
    return body + uscc_check(body)


# issuer identification numbers of cards seen in the three places, with the length of the card
ISSUERS = (
    ("622202", 19), ("621700", 19), ("621661", 19), ("622848", 19), ("621483", 16), ("622588", 16), ("625905", 16),
    ("436742", 16), ("451461", 16), ("552599", 16), ("518710", 16), ("402360", 16), ("356885", 16), ("374623", 15),
    ("622575", 16), ("623094", 19), ("543889", 16), ("454363", 16),
)  # fmt: skip


def bank_card(rng: Random) -> str:
    issuer, length = rng.choice(ISSUERS)
    body = issuer + digits(rng, length - 1 - len(issuer))
    return body + luhn(body)


def groups(number: str, sep: str = " ") -> str:
    return sep.join(number[i : i + 4] for i in range(0, len(number), 4))


def allocated(number: str, region: str) -> bool:
    return phonenumbers.is_valid_number(phonenumbers.parse(number, region))


def phone_cn(rng: Random) -> str:
    while True:
        heads = "130 131 135 136 137 138 139 150 151 152 158 159 166 177 178 180 186 187 188 189 191 198 199"
        number = rng.choice(heads.split()) + digits(rng, 8)
        if allocated(number, "CN"):
            return number


def phone_hk(rng: Random) -> str:
    while True:
        number = rng.choice("56699923") + digits(rng, 7)
        if allocated(number, "HK"):
            return number


def phone_mo(rng: Random) -> str:
    while True:
        number = rng.choice(["6", "6", "28", "62", "66"]) + digits(rng, 8)
        number = number[:8]
        if allocated(number, "MO"):
            return number


def landline(rng: Random) -> str:
    """Seven digits in Zhuhai, eight in the greater cities."""
    head, n = rng.choice(
        [("020-8", 7), ("0755-2", 7), ("0755-8", 7), ("0760-8", 7), ("0756-3", 6), ("010-6", 7)]
    )
    return head + digits(rng, n)


def home_return_permit(rng: Random) -> str:
    return rng.choice("HM") + digits(rng, 8) + rng.choice(["", f"{rng.randrange(1, 6):02}"])


def exit_permit(rng: Random) -> str:
    return "C" + (digits(rng, 8) if rng.random() < 0.5 else rng.choice("ABCDEFGH") + digits(rng, 7))


def passport(rng: Random) -> str:
    heads = [("E", 8), ("EA", 7), ("EJ", 7), ("G", 8), ("K", 8), ("KJ", 7), ("HJ", 7), ("MA", 7), ("MB", 7)]
    head, n = rng.choice(heads)
    return head + digits(rng, n)


def plate_cn(rng: Random) -> str:
    """GA 36-2018: five characters with at most two letters, or for new energy D or F and five digits."""
    tail = list(digits(rng, 5))
    for place in rng.sample(range(5), rng.randrange(3)):
        tail[place] = rng.choice("ABCDEFGHJKLMNPQRSTUVWXYZ")
    if rng.random() < 0.25:
        tail = [rng.choice("DF"), *digits(rng, 5)]
    return rng.choice("粤粤粤京沪湘桂") + rng.choice("ABCDEFGHJK") + "".join(tail)


def plate_cross(rng: Random) -> str:
    return "粤Z" + rng.choice("ABCDEFGH" + "0123456789") + digits(rng, 3) + rng.choice("港港澳")


def plate_hk(rng: Random) -> str:
    letters = "ABCDEFGHJKLMNPRSTUVWXYZ"
    return f"{rng.choice(letters)}{rng.choice(letters)}{rng.choice(['', ' '])}{rng.randrange(100, 9999)}"


def plate_mo(rng: Random) -> str:
    return f"M{rng.choice('ABCDEFGHKLNOPRSTUVXYZ')}-{digits(rng, 2)}-{digits(rng, 2)}"


@dataclass(frozen=True)
class Zone:
    """A machine-readable zone: its lines, and the number and birth date in it."""

    lines: tuple[str, ...]


def mrz_passport(rng: Random, surname: str, given: str) -> Zone:
    """TD3: two lines of 44."""
    state = rng.choice(["CHN", "CHN", "PRT", "GBR"])
    number = (passport(rng) if state == "CHN" else rng.choice("ABC") + digits(rng, 6)).ljust(9, "<")
    born = f"{day(rng):%y%m%d}"
    expires = f"{day(rng, 2027, 2034):%y%m%d}"
    top = f"P<{state}{surname}<<{given.replace(' ', '<')}".ljust(44, "<")[:44]
    personal = "<" * 14
    bottom = f"{number}{mrz_check(number)}{state}{born}{mrz_check(born)}{rng.choice('MF')}{expires}{mrz_check(expires)}"
    bottom += personal + rng.choice("0<")
    bottom += mrz_check(bottom[:10] + bottom[13:20] + bottom[21:43])
    return Zone((top, bottom))


def mrz_card(rng: Random, surname: str, given: str) -> Zone:
    """TD1: three lines of 30."""
    number = (rng.choice(["H", "M", "C"]) + digits(rng, 8)).ljust(9, "<")
    born = f"{day(rng):%y%m%d}"
    expires = f"{day(rng, 2027, 2034):%y%m%d}"
    top = f"I<CHN{number}{mrz_check(number)}".ljust(30, "<")
    middle = f"{born}{mrz_check(born)}{rng.choice('MF')}{expires}{mrz_check(expires)}CHN".ljust(29, "<")
    middle += mrz_check(top[5:30] + middle[:7] + middle[8:15] + middle[18:29])
    return Zone((top, middle, f"{surname}<<{given.replace(' ', '<')}".ljust(30, "<")[:30]))
