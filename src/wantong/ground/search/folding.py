"""Text as it is compared: one width, one case, one script, one word for one thing. For search only, never to be shown."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from functools import cache
from importlib import resources


def fold(text: str) -> str:
    """``text`` folded: NFKC, lower case, simplified characters, mainland words, Latin letters without accents.

    >>> fold("澳門 的士") == fold("澳门 出租车")
    True
    >>> fold("População")
    'populacao'
    """
    plain = unicodedata.normalize("NFKC", text).casefold().translate(_characters())
    words, pattern = _words()
    plain = pattern.sub(lambda match: words[match[0]], plain)
    if plain.isascii():
        return plain
    parts = unicodedata.normalize("NFD", plain)
    return unicodedata.normalize("NFC", "".join(c for c in parts if unicodedata.category(c) != "Mn"))


@cache
def _characters() -> Mapping[int, str]:
    return {ord(line[0]): line[1] for line in _lines("t2s.txt")}


@cache
def _words() -> tuple[Mapping[str, str], re.Pattern[str]]:
    words = dict(line.split() for line in _lines("words.txt"))
    longest_first = sorted(words, key=len, reverse=True)
    return words, re.compile("|".join(map(re.escape, longest_first)))


def _lines(name: str) -> list[str]:
    text = (resources.files(__package__) / "data" / name).read_text("utf-8")
    return [line for line in text.splitlines() if line and not line.startswith("#")]
