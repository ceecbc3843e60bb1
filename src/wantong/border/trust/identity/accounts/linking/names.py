"""Names as documents write them, and the keys by which they can be compared. Pure.

A name is kept exactly as the document has it: code points, script, order, language. What is derived are *keys*, only to
find what may be the same: Chinese is folded to simplified characters, which is many to one (後裔 and 后裔), Latin letters
lose their accents and order. So equal keys make a candidate and nothing more. Romanisations of Cantonese and of Macao
are the holder's, never computed; Hanyu Pinyin is a rule (GB/T 28039-2011), so candidates of it are, with the readings
that characters have as surnames (``data/surnames.yaml``).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from importlib import resources
from itertools import islice, product
from pathlib import Path
from typing import Any, Literal

from wantong.ground import yamlfile

SURNAMES = Path(str(resources.files(__package__) / "data" / "surnames.yaml"))
MOST_READINGS = 64
LONGEST = 200
Order = Literal["family-given", "given-family", "unknown"]
_SELECTORS = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]")
_BETWEEN = re.compile(r"[\s·・•‧.,'’ʼ\-‐-―]+")
_HAN = re.compile("[\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")


@dataclass(frozen=True)
class Name:
    """One form of a name: ``text`` as printed, ``script`` (ISO 15924), ``language`` (BCP 47), ``order``.

    ``family`` is the surname as printed, if the document sets it apart. Raises ValueError for an empty or endless one.
    """

    text: str
    script: str
    language: str
    order: Order = "unknown"
    family: str = ""

    def __post_init__(self) -> None:
        if not self.text.strip() or len(self.text) > LONGEST:
            raise ValueError("a name has one to two hundred characters")

    def to_dict(self) -> dict[str, str]:
        """As JSON; ``Name(**told)`` reads it back."""
        return asdict(self)


def keys(name: Name) -> frozenset[str]:
    """The keys of a name as it is written; those of two names that have one in common may be the same person's."""
    return frozenset((f"han:{folded(name.text)}",)) if _HAN.search(name.text) else _latin_keys(name)


def readings(name: Name) -> frozenset[str]:
    """The keys of a Chinese name as it may be read in Pinyin: a weaker likeness, between two scripts."""
    return frozenset(f"latn:{one}" for one in pinyin(name.text))


def written_alike(ours: Iterable[Name], theirs: Iterable[Name]) -> bool:
    """Whether one of ``ours`` is written as one of ``theirs``, but for folding."""
    return bool(_all(keys, ours) & _all(keys, theirs))


def read_alike(ours: Iterable[Name], theirs: Iterable[Name]) -> bool:
    """Whether one of ``ours`` may be read as one of ``theirs`` is written, or the other way round."""
    ours, theirs = tuple(ours), tuple(theirs)
    return bool(_all(readings, ours) & _all(keys, theirs) or _all(keys, ours) & _all(readings, theirs))


def _all(of: Callable[[Name], frozenset[str]], names: Iterable[Name]) -> frozenset[str]:
    return frozenset().union(*map(of, names))


def folded(text: str) -> str:
    """Chinese text for comparison: compatibility forms, variation selectors and traditional forms undone."""
    plain = _SELECTORS.sub("", unicodedata.normalize("NFKC", text))
    return str(_converter().convert(_BETWEEN.sub("", plain)))


def romanised(text: str) -> tuple[str, ...]:
    """Latin letters as machine readable zones have them (ICAO Doc 9303-3): no accents, capitals, in words."""
    plain = unicodedata.normalize("NFKD", text).translate(_ICAO).upper()
    letters = "".join(one for one in plain if not unicodedata.combining(one))
    return tuple(filter(None, (re.sub("[^A-Z0-9]", "", word) for word in _BETWEEN.split(letters))))


def pinyin(text: str) -> tuple[str, ...]:
    """How a Chinese name may stand in Hanyu Pinyin on a mainland document: ``SHANXIAOMING``; not all readings of long ones."""
    plain = folded(text)
    if not plain or len(plain) > 8 or not all(_HAN.match(one) for one in plain):
        return ()
    surname = next((plain[:size] for size in (2, 1) if plain[:size] in surnames()), "")
    parts: list[tuple[str, ...]] = [surnames()[surname]] if surname else []
    parts += [_readings(one) for one in plain[len(surname) :]]
    return tuple(islice(dict.fromkeys("".join(one) for one in product(*parts)), MOST_READINGS))


@cache
def surnames() -> Mapping[str, tuple[str, ...]]:
    """Surnames (simplified) that are read otherwise than the character, or in more than one way: capital pinyin."""
    told = yamlfile.load(SURNAMES)["surnames"]
    return {name: tuple(row["readings"]) for name, row in told.items()}


def _latin_keys(name: Name) -> frozenset[str]:
    words = romanised(name.text)
    found = {"words:" + " ".join(sorted(words))} if len(words) > 1 else set()
    family = romanised(name.family)
    if family and words[: len(family)] == family:
        rest = words[len(family) :]
    elif family and words[-len(family) :] == family:
        rest = words[: -len(family)]
    else:
        family, rest = ((), words) if name.order != "given-family" else (words[-1:], words[:-1])
    if joined := "".join((*family, *rest)):
        found.add(f"latn:{joined}")
    return frozenset(found)


# letters that come apart into none: ICAO Doc 9303-3, section 6.A
_ICAO = str.maketrans(
    {
        "ß": "SS",
        "Æ": "AE",
        "æ": "AE",
        "Œ": "OE",
        "œ": "OE",
        "Ø": "OE",
        "ø": "OE",
        "Đ": "D",
        "đ": "D",
        "ı": "I",
        "Ł": "L",
        "ł": "L",
    }
)


@cache
def _readings(character: str) -> tuple[str, ...]:
    from pypinyin import Style, pinyin

    told = pinyin(character, style=Style.NORMAL, heteronym=True, v_to_u=True, errors="ignore")
    # passports write ü as YU (Ministry of Public Security, 2012)
    return tuple(one.replace("ü", "yu").upper() for one in (told[0] if told else ()))


@cache
def _converter() -> Any:
    from opencc import OpenCC

    return OpenCC("t2s")
