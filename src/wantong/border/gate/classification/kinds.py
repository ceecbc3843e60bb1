"""The kinds of data the scanner knows, read from ``data/kinds.yaml`` and ``data/columns.yaml``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import yaml

from wantong.border.gate.classification.shapes import Shape

REPORTED = 0.5
"""The least confidence at which something is reported."""


@dataclass(frozen=True)
class Look:
    """A shape of a kind and what it is worth: see the head of ``data/kinds.yaml``."""

    kind: str
    shape: Shape
    check: str
    chance: float
    alone: float
    context: float

    @property
    def needs_context(self) -> bool:
        return self.alone < REPORTED

    @property
    def checked(self) -> bool:
        """Whether a check digit (not a mere form or range) stands behind a pass."""
        return self.check in ("cn-id", "cn-permit", "hkid", "hkid-spaced", "bank-card", "uscc", "mrz")


@dataclass(frozen=True)
class Split:
    """How a kind is accepted when its characters are split or misread: only with its full check."""

    check: str
    alone: float
    context: float


@dataclass(frozen=True, eq=False)
class Kind:
    """One kind of data, with the names people give it and the words that announce it."""

    id: str
    about: str
    names: Mapping[str, str]
    words: Mapping[str, Sequence[str]]
    looks: tuple[Look, ...] = ()
    sensitive: str | None = None
    finder: str | None = None
    split: Split | None = None
    alone: float = 0.0
    context: float = 0.0
    source: str = ""
    exclude: tuple[str, ...] = ()
    values: str | None = None
    needs_person: bool = False
    in_text: tuple[str, ...] = ()

    @property
    def all_words(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(word for words in self.words.values() for word in words))


def load(name: str) -> Any:
    text = (resources.files(__package__) / "data" / name).read_text("utf-8")
    return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506  (both are safe)


@cache
def context_kinds() -> tuple[Kind, ...]:
    """The kinds told by a column's name and contents."""
    return tuple(
        Kind(
            id=name,
            about=entry["about"],
            names=entry["names"],
            words=entry["words"],
            sensitive=entry.get("sensitive"),
            exclude=tuple(str(word) for word in entry.get("not", ())),
            values=entry.get("values"),
            needs_person=entry.get("needs") == "person",
            in_text=tuple(entry.get("in_text", ())),
        )
        for name, entry in load("columns.yaml")["kinds"].items()
    )


@cache
def kind(id: str) -> Kind:
    """The kind of that id. Raises KeyError."""
    return {k.id: k for k in (*context_kinds(), *identifiers())}[id]


@cache
def identifiers() -> tuple[Kind, ...]:
    """The kinds found by their characters, in order of precedence."""
    kinds: list[Kind] = []
    for name, entry in load("kinds.yaml").items():
        looks = tuple(
            Look(
                kind=name,
                shape=Shape(look["form"], look.get("before", "word"), look.get("after", "word")),
                check=look["check"],
                chance=float(look["chance"]),
                alone=float(look["alone"]),
                context=float(look["context"]),
            )
            for look in entry.get("shapes", ())
        )
        split = entry.get("split")
        kinds.append(
            Kind(
                id=name,
                about=entry["about"],
                names=entry["names"],
                words=entry["words"],
                looks=looks,
                sensitive=entry.get("sensitive"),
                finder=entry.get("finder"),
                split=Split(**split) if split else None,
                alone=float(entry.get("alone", 0)),
                context=float(entry.get("context", 0)),
                source=entry["source"],
            )
        )
    return tuple(kinds)


def word_pattern(words: Sequence[str]) -> re.Pattern[str]:
    """Any of ``words``, without case; Latin words only where no letter goes on, Chinese ones anywhere.

    In headers ``_``, ``-``, ``.`` and blanks count as one: ``id_no``, ``id-no``, ``ID No`` are one word.
    """
    parts = []
    for word in sorted(set(words), key=len, reverse=True):
        body = r"[\s_.\-]*".join(re.escape(part) for part in re.split(r"[\s_.\-]+", word))
        latin = word[0].isascii() or (word[0].isalpha() and ord(word[0]) < 0x250)
        parts.append(rf"(?<![A-Za-zÀ-ɏ]){body}(?![A-Za-zÀ-ɏ])" if latin and ord(word[-1]) < 0x250 else body)
    return re.compile("|".join(parts) or r"(?!)", re.IGNORECASE)


_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def header_text(header: str) -> str:
    """A column name as words: ``customerIdNo`` → ``customer Id No``; full-width letters narrowed."""
    narrowed = header.translate({code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)})
    return _CAMEL.sub(" ", narrowed).replace("_", " ").strip()


@cache
def other_words() -> tuple[str, ...]:
    """Words that announce something else than a person's identifier: order, amount, date, reference …"""
    return tuple(word for words in load("columns.yaml")["other"].values() for word in words)
