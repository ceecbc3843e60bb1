"""What an owner says of a dataset he opens. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import date
from typing import Any
from urllib.parse import urlsplit

from wantong.border.exchange.opendata.codes import codes
from wantong.border.exchange.opendata.problems import BadRecord
from wantong.ground.i18n import LANGUAGES

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{1,99}")
# addresses beside the datasets'
RESERVED = frozenset({"catalog", "sources", "submissions"})
LONGEST_TEXT = 5000
MOST = 50
GRADES = ("general", "important", "core")


@dataclass(frozen=True)
class Record:
    """The description of a dataset. Texts are language maps (``zh-hans zh-hant en pt``), at least one language each.

    ``name`` is part of the address and stays for ever. ``publisher``: ``{"id", "name", "url"?}``. ``licence``, ``cycle``,
    ``themes``, ``places`` are ids of the code lists. ``keywords`` are language maps. ``columns`` tells of columns by name:
    ``{"title"?, "description"?, "unit"?}``. ``temporal`` is ``{"start"?, "end"?}`` in ISO dates. ``declared`` is the owner's
    word on GB/T 43697: only ``general`` data are published. ``chart``: ``{"x", "y", "series"?, "aggregate"?}`` where the
    default would not do. ``note`` says what is new in this version.
    """

    name: str
    title: Mapping[str, str]
    description: Mapping[str, str]
    publisher: Mapping[str, Any]
    licence: str
    declared: str = ""
    source: Mapping[str, str] = field(default_factory=dict)
    source_url: str = ""
    cycle: str = "unknown"
    themes: Sequence[str] = ()
    keywords: Sequence[Mapping[str, str]] = ()
    places: Sequence[str] = ()
    languages: Sequence[str] = ()
    columns: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    temporal: Mapping[str, str] = field(default_factory=dict)
    contact: str = ""
    chart: Mapping[str, Any] = field(default_factory=dict)
    note: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, said: Any) -> Record:
        """From JSON. Raises :class:`BadRecord` that names the field."""
        if not isinstance(said, Mapping):
            raise BadRecord(field="", reason="not-object")
        known = {f.name for f in fields(cls)}
        if unknown := sorted(set(map(str, said)) - known):
            raise BadRecord(field=unknown[0][:100], reason="no-field")
        for name in ("name", "title", "description", "publisher", "licence"):
            if name not in said:
                raise BadRecord(field=name, reason="missing", what=name)
        record = cls(**said)
        for fault in record.faults():
            raise fault
        return record

    def to_dict(self) -> dict[str, Any]:
        """As :meth:`of` takes it."""
        return asdict(self)

    def faults(self) -> Iterator[BadRecord]:
        """What cannot be so."""
        if not isinstance(self.name, str) or not NAME.fullmatch(self.name):
            yield BadRecord(field="name", reason="no-name", most=100)
        elif self.name in RESERVED:
            yield BadRecord(field="name", reason="reserved")
        for name in ("title", "description", "source", "note"):
            yield from _map(name, getattr(self, name), needed=name in ("title", "description"))
        yield from self._publisher()
        for name, codelist in (("licence", "licences"), ("cycle", "cycles")):
            if getattr(self, name) not in codes(codelist):
                yield BadRecord(field=name, reason="choice", choices=", ".join(codes(codelist)))
        for name in ("themes", "places", "languages", "keywords"):
            if not isinstance(getattr(self, name), (list, tuple)) or len(getattr(self, name)) > MOST:
                yield BadRecord(field=name, reason="not-list", most=MOST)
                return
        for name in ("themes", "places"):
            if any(value not in codes(name) for value in getattr(self, name)):
                yield BadRecord(field=name, reason="not-among", choices=", ".join(codes(name)))
        if any(value not in LANGUAGES for value in self.languages):
            yield BadRecord(field="languages", reason="not-among", choices=", ".join(LANGUAGES))
        for keyword in self.keywords:
            yield from _map("keywords", keyword, needed=True, longest=100)
        for name in ("source_url", "contact"):
            if getattr(self, name) and not _web(getattr(self, name)):
                yield BadRecord(field=name, reason="no-address")
        if self.declared not in ("", *GRADES):
            yield BadRecord(field="declared", reason="choice", choices=", ".join(GRADES))
        yield from self._columns()
        if not isinstance(self.temporal, Mapping) or not set(self.temporal) <= {"start", "end"}:
            yield BadRecord(field="temporal", reason="members", members="start, end")
        elif not all(_day(value) for value in self.temporal.values()):
            yield BadRecord(field="temporal", reason="no-day")
        elif self.temporal.get("start", "") > self.temporal.get("end", "9"):
            yield BadRecord(field="temporal", reason="ends-first")
        if not isinstance(self.chart, Mapping) or not set(self.chart) <= {"x", "y", "series", "aggregate"}:
            yield BadRecord(field="chart", reason="members", members="x, y, series, aggregate")

    def _publisher(self) -> Iterator[BadRecord]:
        said = self.publisher
        if not isinstance(said, Mapping) or not set(said) <= {"id", "name", "url"}:
            yield BadRecord(field="publisher", reason="members", members="id, name, url")
            return
        if not NAME.fullmatch(str(said.get("id", ""))):
            yield BadRecord(field="publisher.id", reason="no-name", most=100)
        yield from _map("publisher.name", said.get("name", {}), needed=True)
        if said.get("url") and not _web(said["url"]):
            yield BadRecord(field="publisher.url", reason="no-address")

    def _columns(self) -> Iterator[BadRecord]:
        if not isinstance(self.columns, Mapping) or not all(
            isinstance(c, Mapping) for c in self.columns.values()
        ):
            yield BadRecord(field="columns", reason="no-objects")
            return
        for column in self.columns.values():
            yield from _map("columns.title", column.get("title", {}))
            yield from _map("columns.description", column.get("description", {}))


def _map(name: str, texts: Any, *, needed: bool = False, longest: int = LONGEST_TEXT) -> Iterator[BadRecord]:
    if (
        not isinstance(texts, Mapping)
        or not set(texts) <= set(LANGUAGES)
        or not all(isinstance(text, str) and len(text) <= longest for text in texts.values())
    ):
        yield BadRecord(field=name, reason="not-texts", most=longest, languages=", ".join(LANGUAGES))
    elif needed and not any(text.strip() for text in texts.values()):
        yield BadRecord(field=name, reason="empty")


def _web(address: Any) -> bool:
    if not isinstance(address, str) or len(address) > 2000 or any(ord(c) <= 32 for c in address):
        return False
    parts = urlsplit(address)
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def _day(text: Any) -> bool:
    try:
        date.fromisoformat(text)
    except (TypeError, ValueError):
        return False
    return len(text) == 10
