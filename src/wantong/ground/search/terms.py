"""Texts and questions as terms.

Latin words give themselves and their stems (English and Portuguese; a question may be in either). Chinese gives single
characters and pairs of neighbours: no dictionary decides where a word ends, so nothing is missed because a segmenter
was wrong. A term is the first eight bytes of BLAKE2b over its text.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from wantong.ground.search.folding import fold

TERM = np.dtype([("term", "<u8"), ("weight", "<f4")])
# of the pairs of a run of Chinese characters so many must be there: words in another order are still found
ENOUGH = 0.6
MOST_NEEDS = 40
_RUN = re.compile(r"[\u3400-\u9fff\U00020000-\U0003ffff]+|[a-z0-9]+")
# endings of folded words and what takes their place: first of the plural, then of the word; a stem has three letters or more
_Endings = tuple[tuple[tuple[str, str], ...], tuple[tuple[str, str], ...]]
_ENGLISH: _Endings = (
    (("sses", "ss"), ("ies", "y"), ("xes", "x"), ("ches", "ch"), ("shes", "sh"), ("ss", "ss"), ("us", "us"), ("s", "")),
    (("ation", "at"), ("ating", "at"), ("ated", "at"), ("ingly", ""), ("edly", ""), ("ally", "al"), ("ing", ""),
     ("ed", ""), ("ly", ""), ("y", "i"), ("e", "")),
)  # fmt: skip
_PORTUGUESE: _Endings = (
    (("oes", "ao"), ("aes", "ao"), ("ais", "al"), ("eis", "el"), ("ois", "ol"), ("uis", "ul"), ("ns", "m"), ("res", "r"),
     ("zes", "z"), ("ses", "s"), ("s", "")),
    (("mente", ""), ("a", ""), ("o", ""), ("e", "")),
)  # fmt: skip


class Field(NamedTuple):
    """A text of a document and how much a word in it counts."""

    text: str
    weight: float = 1.0


class Need(NamedTuple):
    """A part of a question: ``at_least`` so many of ``groups`` must be found, each by any of its terms."""

    groups: tuple[tuple[int, ...], ...]
    at_least: int


@dataclass(frozen=True)
class Document:
    """What an index knows of a document.

    ``key`` names it; ``terms`` are of :func:`document`; ``facets`` are values by which hits are counted and chosen;
    ``order`` are numbers or texts by which hits may be sorted.
    """

    key: str
    terms: bytes
    facets: Mapping[str, tuple[str, ...]]
    order: Mapping[str, float | str]


def document(fields: Iterable[Field]) -> bytes:
    """The terms of a document with their weights, packed (:data:`TERM`), in the order of the terms."""
    weights: dict[int, float] = {}
    for text, weight in fields:
        counts: dict[int, int] = {}
        for term in _terms(text):
            counts[term] = counts.get(term, 0) + 1
        for term, count in counts.items():
            weights[term] = weights.get(term, 0.0) + weight * (1 + math.log(count))
    return np.array(sorted(weights.items()), dtype=TERM).tobytes()


@lru_cache(maxsize=2048)
def question(text: str) -> tuple[Need, ...]:
    """What a document must have to answer ``text``: every word, and enough of every run of Chinese characters."""
    needs = []
    for run in _runs(text):
        if run.isascii():
            needs.append(Need((tuple(_hash(form) for form in _forms(run)),), 1))
        else:
            parts = [run] if len(run) == 1 else [run[i : i + 2] for i in range(len(run) - 1)]
            groups = tuple((_hash(part),) for part in dict.fromkeys(parts))
            needs.append(Need(groups, len(groups) if len(groups) < 3 else math.ceil(len(groups) * ENOUGH)))
    return tuple(dict.fromkeys(needs))[:MOST_NEEDS]


def _terms(text: str) -> Iterator[int]:
    for run in _runs(text):
        if run.isascii():
            yield from (_hash(form) for form in _forms(run))
        else:
            yield from (_hash(character) for character in run)
            yield from (_hash(run[i : i + 2]) for i in range(len(run) - 1))


def _runs(text: str) -> list[str]:
    return _RUN.findall(fold(text))


@lru_cache(maxsize=65536)
def _forms(word: str) -> tuple[str, ...]:
    """A word and its stems; stems are marked, so that a stem is only found by a stem."""
    return tuple(dict.fromkeys((word, f"en:{_stem(word, _ENGLISH)}", f"pt:{_stem(word, _PORTUGUESE)}")))


def _stem(word: str, endings: _Endings) -> str:
    if word.isdigit():
        return word
    for kind in endings:
        for ending, instead in kind:
            if word.endswith(ending) and len(word) - len(ending) + len(instead) >= 3:
                word = word[: len(word) - len(ending)] + instead
                break
    return word


@lru_cache(maxsize=262144)
def _hash(term: str) -> int:
    return int.from_bytes(hashlib.blake2b(term.encode(), digest_size=8).digest(), "little")
