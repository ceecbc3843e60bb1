"""Datasets in DCAT 3 terms, as the Dataspace Protocol's catalogue carries them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from wantong.border.exchange import messages, terms
from wantong.border.exchange.schemas import InvalidMessage, check
from wantong.ground.i18n import LANG_ATTRIBUTE, LANGUAGES

LONGEST_ID = 200
LONGEST_TEXT = 5000
MOST_FIELDS = 2000
MOST_THEMES = 100
LONGEST_LABEL = 300


@dataclass(frozen=True)
class Metadata:
    """What an owner says about a dataset he publishes.

    Texts are language maps (``zh-hans zh-hant en pt``; at least one for the title). ``fields`` are its columns,
    ``{"name", "title"?, "type"?}``. ``is_open``: any recognised node may have it without asking. ``audience``: the
    participant ids that may know of it, or ``role:…`` for all whose credentials make them that, empty for all.
    ``facts`` are for the gate. ``offers`` replaces the plain offer that is made otherwise. An ``id`` is made when none
    is given.
    """

    title: Mapping[str, str]
    id: str = ""
    description: Mapping[str, str] = field(default_factory=dict)
    publisher: Mapping[str, str] = field(default_factory=dict)
    themes: Sequence[str] = ()
    fields: Sequence[Mapping[str, Any]] = ()
    grade: str = ""
    licence: str = ""
    update_cycle: str = ""
    media_type: str = "application/octet-stream"
    filename: str = ""
    is_open: bool = False
    audience: Sequence[str] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    subject_column: str = ""
    offers: Sequence[Mapping[str, Any]] = ()

    def faults(self) -> list[dict[str, Any]]:
        """What cannot be so, each as the params of a :class:`~.problems.BadMetadata`; empty if all is well."""
        found: list[dict[str, Any]] = []
        for name in ("title", "description", "publisher"):
            texts = getattr(self, name)
            if not isinstance(texts, Mapping) or not set(texts) <= set(LANGUAGES):
                found.append({"reason": "language-map", "field": name, "choices": ", ".join(LANGUAGES)})
            elif not all(isinstance(text, str) and len(text) <= LONGEST_TEXT for text in texts.values()):
                found.append({"reason": "text", "field": name, "most": LONGEST_TEXT})
        if not found and not any(self.title.values()):
            found.append({"reason": "no-title"})
        if len(self.fields) > MOST_FIELDS:
            found.append({"reason": "fields", "most": MOST_FIELDS})
        names = [column.get("name") for column in self.fields if isinstance(column, Mapping)]
        named = [name for name in names if isinstance(name, str) and name]
        if len(set(named)) < len(self.fields):
            found.append({"reason": "field-names"})
        elif self.subject_column and self.subject_column not in names:
            found.append({"reason": "subject-column"})
        if len(self.id) > LONGEST_ID or any(ord(char) <= 32 for char in self.id):
            found.append({"reason": "id", "most": LONGEST_ID})
        if not 3 <= len(self.media_type) <= 120 or "/" not in self.media_type:
            found.append({"reason": "media-type"})
        for offered in self.offers:
            try:
                check(offered, "Offer")
            except InvalidMessage as error:
                found.append({"reason": "not-an-offer", "told": error.reasons[0]})
        return found


def dataset(
    row: Any,
    offers: Iterable[Mapping[str, Any]],
    service: Mapping[str, Any],
    *,
    root: bool,
    formats: Sequence[str] = (messages.PULL,),
) -> messages.Message:
    """A dcat:Dataset from a row that has the fields of :class:`Metadata` and size, sha256, published_at.

    ``formats``: in which forms it may be had, the file first; only the file has a size and a digest.
    """
    described: messages.Message = {
        "@id": row.id,
        "@type": "Dataset",
        "dct:title": _tagged(row.title),
        "dct:description": _tagged(row.description),
        "dct:publisher": {"@type": "foaf:Agent", "foaf:name": _tagged(row.publisher)}
        if row.publisher
        else None,
        "dcat:theme": list(row.themes),
        "dct:license": row.licence,
        "dct:accrualPeriodicity": row.update_cycle,
        "dct:issued": row.published_at.isoformat(),
        "wantong:grade": row.grade,
        "wantong:field": list(row.fields),
        "hasPolicy": list(offers),
        "distribution": [
            {
                "@type": "Distribution",
                "format": messages.PULL,
                "accessService": dict(service),
                "dcat:mediaType": row.media_type,
                "dcat:byteSize": row.size,
                "dct:title": row.filename,
                "spdx:checksum": {
                    "spdx:algorithm": "spdx:checksumAlgorithm_sha256",
                    "spdx:checksumValue": row.sha256,
                },
            },
            *(
                {"@type": "Distribution", "format": name, "accessService": dict(service)}
                for name in formats
                if name != messages.PULL
            ),
        ],
    }
    kept = {name: value for name, value in described.items() if value not in (None, "", [], {})}
    return {"@context": [messages.CONTEXT], **kept} if root else kept


def catalog(
    identifier: str, participant_id: str, service: Mapping[str, Any], datasets: Sequence[messages.Message]
) -> messages.Message:
    """One page of a catalogue. An empty one has no ``dataset``: the protocol forbids empty lists."""
    page: messages.Message = {
        "@context": [messages.CONTEXT],
        "@id": identifier,
        "@type": "Catalog",
        "participantId": participant_id,
        "service": [dict(service)],
    }
    return page | ({"dataset": list(datasets)} if datasets else {})


def span(filters: Sequence[Any], most: int) -> tuple[int, int]:
    """Offset and length of the page that ``filters`` ask for, of at most ``most``. Raises ValueError for any that choose.

    The protocol leaves filters to each catalogue. This one has none, but connectors of the EDC family never ask
    without one: theirs (a ``QuerySpec``) has no condition, only an offset and a limit.
    """
    if not filters:
        return 0, most
    asked = filters[0] if len(filters) == 1 else None
    if not isinstance(asked, Mapping) or asked.get("@type") != "QuerySpec":
        raise ValueError("a filter")
    if not set(asked) <= {"@type", "offset", "limit", "sortOrder", "filterExpression"} or asked.get(
        "filterExpression"
    ):
        raise ValueError("a filter with a condition, or an order of its own")
    offset, limit = asked.get("offset", 0), asked.get("limit", most)
    if type(offset) is not int or type(limit) is not int or not 0 <= offset < 1 << 31 or limit < 1:
        raise ValueError("offset and limit are not counts")
    return offset, min(limit, most)


def service(base: str) -> messages.Message:
    """The data service behind every distribution of this node."""
    return {"@id": f"{base}#service", "@type": "DataService", "endpointURL": base}


def default_offer(dataset_id: str) -> terms.Policy:
    """The offer of a dataset whose owner has written none."""
    return terms.offer(f"{dataset_id}:offer")


def read(entry: Mapping[str, Any]) -> dict[str, Any]:
    """A peer's dataset (schema-checked) as plain values: id, title, offers, and what else it tells.

    Where it has no title in DCAT terms, as with connectors of another make, its id is the title.
    """
    distribution = next((d for d in entry.get("distribution", ()) if isinstance(d, Mapping)), {})
    size = distribution.get("dcat:byteSize")
    return {
        "id": str(entry["@id"]),
        "title": _untagged(entry.get("dct:title")) or {"en": str(entry["@id"])},
        "description": _untagged(entry.get("dct:description")),
        "publisher": _untagged((entry.get("dct:publisher") or {}).get("foaf:name"))
        if isinstance(entry.get("dct:publisher"), Mapping)
        else {},
        "themes": [_short(theme) for theme in _list(entry.get("dcat:theme"))[:MOST_THEMES]],
        "fields": [
            {
                "name": _short(column["name"]),
                "title": _column_title(column),
                "type": _short(column.get("type")),
            }
            for column in _list(entry.get("wantong:field"))[:MOST_FIELDS]
            if isinstance(column, Mapping) and isinstance(column.get("name"), str) and column["name"]
        ],
        "grade": _short(entry.get("wantong:grade")),
        "licence": _short(entry.get("dct:license")),
        "media_type": _short(distribution.get("dcat:mediaType")),
        # JSON knows no bounds for numbers, and True is one to Python
        "size": size if type(size) is int and 0 <= size < 1 << 63 else None,
        "offers": list(entry["hasPolicy"]),
    }


def _short(value: Any) -> str:
    """A text of a peer, cut to what a label may be; empty for anything else."""
    return value[:LONGEST_LABEL] if isinstance(value, str) else ""


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _column_title(column: Mapping[str, Any]) -> dict[str, str]:
    """The title of a column: a language map as we write it, or a text."""
    title = column.get("title")
    texts = title if isinstance(title, Mapping) else {"en": title}
    return {lang: _short(texts.get(lang)) for lang in LANGUAGES if _short(texts.get(lang))}


def _tagged(texts: Mapping[str, str]) -> list[dict[str, str]]:
    return [
        {"@language": LANG_ATTRIBUTE[lang], "@value": texts[lang]} for lang in LANGUAGES if texts.get(lang)
    ]


def _untagged(value: Any) -> dict[str, str]:
    if isinstance(value, str):
        return {"en": value[:LONGEST_TEXT]}
    if isinstance(value, Mapping):
        value = [value]
    codes = {tag.lower(): lang for lang, tag in LANG_ATTRIBUTE.items()}
    return {
        codes[str(item.get("@language", "en")).lower()]: str(item.get("@value", ""))[:LONGEST_TEXT]
        for item in (value if isinstance(value, list) else ())
        if isinstance(item, Mapping) and str(item.get("@language", "en")).lower() in codes
    }
