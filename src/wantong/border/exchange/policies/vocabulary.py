"""The words of policies as data: left operands, actions, areas, purposes, kinds of body. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from wantong.ground import yamlfile

DATA = Path(__file__).parent / "data"
NAMESPACE: Final = "http://www.w3.org/ns/odrl/2/"
PROFILES: Final = frozenset(
    {
        "https://w3id.org/dspace/2025/1/odrl-profile.jsonld",
        "http://www.w3.org/ns/odrl/2/core",
    }
)
"""Profiles whose words these are."""

_PREFIXES: Final = (
    ("odrl:", ""),
    (NAMESPACE, ""),
    ("https://www.w3.org/ns/odrl/2/", ""),
    ("http://creativecommons.org/ns#", "cc:"),
)


def term(value: object) -> str:
    """The one spelling of a word of ODRL: ``odrl:purpose`` and its whole IRI are ``purpose``.

    A word of any other vocabulary stays as it is written, for what it means there is not known here.
    """
    if isinstance(value, Mapping):
        value = value.get("@id", "")
    text = value if isinstance(value, str) else ""
    for prefix, short in _PREFIXES:
        if text.startswith(prefix):
            return short + text.removeprefix(prefix)
    return text


@dataclass(frozen=True)
class Tree:
    """Codes and what they lie in. ``broader``: code → itself and all it lies in; ``narrower`` the other way round."""

    broader: Mapping[str, frozenset[str]]
    narrower: Mapping[str, frozenset[str]]
    same_as: Mapping[str, str]

    @staticmethod
    def of(within: Mapping[str, Iterable[str]], same_as: Mapping[str, str]) -> Tree:
        """From ``code → what it lies in directly``. Raises KeyError for a code that is not there."""
        broader: dict[str, frozenset[str]] = {}

        def climb(code: str) -> frozenset[str]:
            if code not in broader:
                broader[code] = frozenset({code}).union(*(climb(above) for above in within[code]))
            return broader[code]

        for code in within:
            climb(code)
        narrower = {
            code: frozenset(below for below, above in broader.items() if code in above) for code in broader
        }
        return Tree(broader, narrower, dict(same_as))

    def code(self, text: str) -> str:
        """The code for ``text``, which may be another spelling of it."""
        return self.same_as.get(text, text)

    def lies_in(self, one: str, another: str) -> bool | None:
        """Whether ``one`` lies in ``another``; None if that cannot be said.

        It cannot where ``another`` is a part of ``one`` or overlaps it (somebody in Guangdong may be in the Bay Area),
        nor where either is not in the tree.
        """
        one, another = self.code(one), self.code(another)
        if one == another:
            return True
        above = self.broader.get(one)
        if above is None or another not in self.broader:
            return None
        if another in above:
            return True
        return None if self.narrower[one] & self.narrower[another] else False


@dataclass(frozen=True)
class Operand:
    """A left operand. ``type`` is how it is compared, ``given`` who knows its value, ``tree`` its code list."""

    name: str
    type: str
    given: str
    meaning: str
    tree: str = ""
    how: str = ""
    source: str = "https://www.w3.org/TR/odrl-vocab/#constraintLeftOperandCommon"


@dataclass(frozen=True)
class Vocabulary:
    """All words that are understood. ``actions``: action → itself and all that include it."""

    operands: Mapping[str, Operand]
    actions: Mapping[str, frozenset[str]]
    trees: Mapping[str, Tree]

    def covers(self, ruled: str, asked: str) -> bool:
        """Whether a rule on the action ``ruled`` is one on ``asked`` too."""
        return ruled == asked or ruled in self.actions.get(asked, ())


@cache
def load() -> Vocabulary:
    """The vocabulary of ``data/``."""
    operands = {
        name: Operand(name=name, **entry) for name, entry in yamlfile.load(DATA / "operands.yaml").items()
    }
    trees = {name: Tree.of(**yamlfile.load(DATA / f"{name}.yaml")) for name in _TREES}
    return Vocabulary(operands, _actions(yamlfile.load(DATA / "actions.yaml")), trees)


_TREES: Final = ("places", "purposes", "receivers")


def _actions(told: Mapping[str, Any]) -> dict[str, frozenset[str]]:
    above: dict[str, str] = {
        action: including for including, actions in told["included_in"].items() for action in actions
    }
    same: Mapping[str, str] = told["same_as"]
    words = {*above, *told["included_in"], *same, *same.values(), *told["alone"]}
    # deprecated and current term are one action: whoever rules on either rules on both
    twins = {word: {word, same.get(word, word)} for word in words}
    for old, new in same.items():
        twins[new].add(old)

    def climb(word: str) -> set[str]:
        found = set(twins[word])
        for twin in twins[word]:
            if twin in above:
                found |= climb(above[twin])
        return found

    return {word: frozenset(climb(word)) for word in words}
