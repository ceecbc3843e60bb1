"""The kinds of documents as values: what ``data/kinds.yaml`` says."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any, Literal

from wantong.border.trust.documents.numbers import tidy
from wantong.ground import yamlfile
from wantong.ground.problems import Problem

_DATA = Path(__file__).parent / "data"


class UnknownKind(Problem):
    """There is no such kind of document."""

    slug = "documents-unknown-kind"
    status = 422


@dataclass(frozen=True)
class Kind:
    """One kind of document; the fields are those of ``data/kinds.yaml``.

    ``names`` and ``authority_names`` are language maps. ``forms`` are patterns of the bare number, the current one
    first.
    """

    id: str
    place: Literal["cn", "hk", "mo", "icao"]
    holder: Literal["person", "organisation"]
    names: Mapping[str, str]
    forms: tuple[re.Pattern[str], ...]
    checks: tuple[str, ...]
    reads: tuple[str, ...]
    proves: tuple[str, ...]
    authority: str
    authority_names: Mapping[str, str]
    source: str
    checked: date
    confidence: Literal["high", "medium", "low"]
    lifelong: int | None
    written: tuple[re.Pattern[str], str, str] | None

    def bare(self, number: str) -> str | None:
        """The canonical form of ``number``: bare, raised, without brackets; None if it has no form of this kind."""
        text = tidy(number)
        if self.written:
            pattern, template, _ = self.written
            found = pattern.fullmatch(text)
            text = found.expand(template) if found else text
        return text if any(form.fullmatch(text) for form in self.forms) else None

    def shown(self, bare: str) -> str:
        """A canonical number as the document prints it."""
        found = self.written and self.written[0].fullmatch(bare)
        return found.expand(self.written[2]) if found and self.written else bare

    def lasting(self, bare: str) -> str:
        """The part of a canonical number that stays when the document is renewed: what two readings are matched by."""
        return bare[: self.lifelong] if self.lifelong else bare


@cache
def kinds() -> Mapping[str, Kind]:
    """All kinds, by id, in the order of the file."""
    authorities = yamlfile.load(_DATA / "authorities.yaml")
    return {id: _kind(id, told, authorities) for id, told in yamlfile.load(_DATA / "kinds.yaml").items()}


def kind(id: str) -> Kind:
    """The kind with this id. Raises :class:`UnknownKind`."""
    try:
        return kinds()[id]
    except KeyError:
        raise UnknownKind(kind=id[:40], known=", ".join(kinds())) from None


def _kind(id: str, told: Mapping[str, Any], authorities: Mapping[str, Mapping[str, Any]]) -> Kind:
    written = told.get("written")
    return Kind(
        id=id,
        place=told["place"],
        holder=told["holder"],
        names=told["names"],
        forms=tuple(map(re.compile, told["forms"])),
        checks=tuple(told["checks"]),
        reads=tuple(told["reads"]),
        proves=tuple(told["proves"]),
        authority=told["authority"],
        authority_names=authorities[told["authority"]]["names"],
        source=told["source"],
        checked=told["checked"],
        confidence=told["confidence"],
        lifelong=told.get("lifelong"),
        written=(re.compile(written["pattern"]), written["bare"], written["shown"]) if written else None,
    )
