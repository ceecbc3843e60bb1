"""The search index of this process, brought up to what the database says before every answer."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from wantong.border.exchange.opendata.codes import codes
from wantong.border.exchange.opendata.models import Counter, OpenDataset, Resource
from wantong.ground.i18n import LANGUAGES, pick
from wantong.ground.search import Document, Field, Index, document
from wantong.ground.search.folding import fold


@dataclass(frozen=True)
class _Seen:
    epoch: uuid.UUID | None
    revision: int
    index: Index
    publishers: dict[str, dict[str, Any]]


_seen = _Seen(None, 0, Index.of(()), {})
_change = threading.Lock()


def index() -> Index:
    """The index over everything that is published now."""
    return _current().index


def publishers() -> dict[str, dict[str, Any]]:
    """What the last changed dataset of each publisher says of him, by his id."""
    return _current().publishers


def _current() -> _Seen:
    global _seen
    head = Counter.objects.values_list("epoch", "revision").first()
    if head is None:
        return _Seen(None, 0, Index.of(()), {})
    seen = _seen
    if (seen.epoch, seen.revision) == head:
        return seen
    with _change:
        seen = _seen
        if (seen.epoch, seen.revision) == head:
            return seen
        again = seen.epoch != head[0] or seen.revision > head[1]
        rows = OpenDataset.objects.filter(revision__gt=0 if again else seen.revision, revision__lte=head[1])
        kept = {row.pk: row for row in rows.iterator(chunk_size=1000)}
        there = [row for row in kept.values() if row.withdrawn_at is None]
        fresh = list(documents(there))
        if again:
            made = Index.of(fresh)
        else:
            made = seen.index.with_changes(fresh, [str(row.pk) for row in kept.values() if row.withdrawn_at])
        told = {row.organization: row.record["publisher"] for row in there}
        _seen = _Seen(head[0], head[1], made, told if again else seen.publishers | told)
        return _seen


def documents(rows: Iterable[OpenDataset]) -> Iterable[Document]:
    """Datasets as the index knows them."""
    rows = list(rows)
    formats: dict[uuid.UUID, list[str]] = {}
    for at in range(0, len(rows), 500):
        found = Resource.objects.filter(dataset__in=[row.pk for row in rows[at : at + 500]])
        for dataset, format_ in found.values_list("dataset_id", "format"):
            formats.setdefault(dataset, []).append(format_)
    for row in rows:
        said = row.record
        title = said["title"]
        yield Document(
            str(row.pk),
            bytes(row.terms),
            {
                "organization": (row.organization,),
                "tags": tuple(tags(said)),
                **{f"tags.{lang}": tuple(_spoken(said, lang)) for lang in LANGUAGES},
                "groups": tuple(said["themes"]),
                "res_format": tuple(dict.fromkeys(formats.get(row.pk, ()))),
                "license_id": (said["licence"],),
                "places": tuple(said["places"]),
                "harvest_source": (row.source_id,) if row.source_id else (),
                "name": (row.name,),
                "id": (str(row.pk),),
            },
            {
                "name": row.name,
                "title": fold(next((title[lang] for lang in ("en", *LANGUAGES) if title.get(lang)), ""))[:80],
                "modified": row.modified_at.timestamp(),
                "created": row.created_at.timestamp(),
            },
        )


def tags(said: dict[str, object]) -> list[str]:
    """A keyword is a tag in every language it is told in."""
    keywords: list[dict[str, str]] = said["keywords"]  # type: ignore[assignment]
    return list(dict.fromkeys(text for keyword in keywords for text in keyword.values()))


def _spoken(said: dict[str, object], lang: str) -> list[str]:
    """The keywords as a reader of one language is shown them."""
    keywords: list[dict[str, str]] = said["keywords"]  # type: ignore[assignment]
    return list(dict.fromkeys(pick(keyword, lang).text for keyword in keywords))


def terms(name: str, said: dict[str, object], columns: Iterable[dict[str, str]]) -> bytes:
    """What a dataset is found by, and how much each text counts."""
    fields = [Field(name.replace("-", " ").replace("_", " "), 4)]

    def add(texts: object, weight: float) -> None:
        if isinstance(texts, dict):
            fields.extend(Field(text, weight) for text in texts.values() if isinstance(text, str))

    add(said["title"], 8)
    add(said["description"], 2)
    add(said["publisher"]["name"], 3)  # type: ignore[index]
    for keyword in said["keywords"]:  # type: ignore[attr-defined]
        add(keyword, 5)
    for codelist, weight in (("themes", 2), ("places", 2)):
        for code in said[codelist]:  # type: ignore[attr-defined]
            add(codes(codelist)[code]["name"], weight)
    told: dict[str, dict[str, object]] = said["columns"]  # type: ignore[assignment]
    for column in columns:
        fields.append(Field(column["name"].replace("_", " "), 1))
        add((told.get(column["name"]) or {}).get("title"), 1)
    return document(fields)
