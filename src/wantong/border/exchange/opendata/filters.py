"""The part of Solr's query language that clients of CKAN send (``q``, ``fq``, ``sort``). Pure.

``fq``: terms ``field:value``, ``field:"a value"``, ``field:(a OR b)``, ``field:[low TO high]``, each with ``+`` or ``-`` before
it if wished, side by side or joined by AND. ``q``: words, among which such terms may stand.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from wantong.ground.search.index import Choice, Span

# CKAN's names of fields, and ours
FIELDS: Mapping[str, str] = {
    "organization": "organization", "owner_org": "organization", "tags": "tags", "vocab_tags": "tags", "groups": "groups",
    "res_format": "res_format", "license_id": "license_id", "places": "places", "harvest_source": "harvest_source",
    "name": "name", "id": "id",
}  # fmt: skip
MOMENTS: Mapping[str, str] = {"metadata_modified": "modified", "metadata_created": "created"}
SORTS: Mapping[str, str] = {
    "score": "score", "relevance": "score", "name": "name", "title_string": "title", "title": "title",
    "metadata_modified": "modified", "metadata_created": "created",
}  # fmt: skip
# all that is here has this: asked for by clients that know catalogues where it may differ
_ALWAYS = {
    "state": "active",
    "dataset_type": "dataset",
    "type": "dataset",
    "capacity": "public",
    "private": "false",
}
_TOKEN = re.compile(
    r"""\s*(?:(?P<joint>AND|&&)(?=\s)|(?P<or>OR|NOT|\|\|)(?=\s)
    |(?P<sign>[+\-!]?)(?P<field>[A-Za-z_]+):(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|\((?P<group>[^()]*)\)
    |[\[{](?P<low>[^\s\]}]+)\ TO\ (?P<high>[^\s\]}]+)[\]}]|(?P<bare>[^\s()"]+))
    |(?P<word>\S+))""",
    re.VERBOSE,
)


class BadFilter(ValueError):
    """A query in a form that is not understood here."""


@dataclass(frozen=True)
class Asked:
    """What a query asks for: words, values, spans; ``nothing``: something that nothing here has."""

    words: str = ""
    choices: tuple[Choice, ...] = ()
    spans: tuple[Span, ...] = ()
    nothing: bool = False


def parse(text: str, *, words: bool) -> Asked:
    """``words``: whether words may stand beside the terms (``q``) or not (``fq``). Raises :class:`BadFilter`."""
    said: list[str] = []
    choices: list[Choice] = []
    spans: list[Span] = []
    nothing = False
    for match in _TOKEN.finditer(text):
        if match["word"] is not None:
            if match["word"] not in ("*:*", "*"):
                said.append(match["word"])
        elif match["or"]:
            if not words:
                raise BadFilter(f"{match['or']} is understood inside brackets only")
        elif match["field"]:
            field, wanted = match["field"], match["sign"] not in ("-", "!")
            if field in MOMENTS and match["low"]:
                spans.append(Span(MOMENTS[field], _moment(match["low"]), _moment(match["high"]), wanted))
            elif field in FIELDS and not match["low"]:
                choices.append(Choice(FIELDS[field], frozenset(_values(match)), wanted))
            elif field in _ALWAYS and not match["low"]:
                nothing |= bool({_ALWAYS[field], "*"} & set(_values(match))) != wanted
            elif words:
                # as CKAN has it: title:water looks for water
                said += _values(match)
            else:
                raise BadFilter(f"nothing can be filtered by {field}")
    if said and not words:
        raise BadFilter(f"{said[0]} names no field")
    return Asked(" ".join(said), tuple(choices), tuple(spans), nothing)


def sort(text: str) -> list[tuple[str, bool]]:
    """``score desc, metadata_modified desc`` as names of orders with whether they run downwards. Raises :class:`BadFilter`."""
    keys = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, direction = part.partition(" ")
        if name not in SORTS or direction.strip() not in ("", "asc", "desc"):
            raise BadFilter(f"nothing can be sorted by {part!r}")
        keys.append((SORTS[name], direction.strip() == "desc"))
    return keys


def _values(match: re.Match[str]) -> list[str]:
    if match["quoted"] is not None:
        return [re.sub(r"\\(.)", r"\1", match["quoted"])]
    if match["group"] is not None:
        found = re.findall(r'"((?:[^"\\]|\\.)*)"|(\S+)', match["group"])
        return [quoted or bare for quoted, bare in found if bare not in ("OR", "||")]
    return [re.sub(r"\\(.)", r"\1", match["bare"] or "")]


def _moment(text: str) -> float | None:
    if text == "*":
        return None
    try:
        read = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        raise BadFilter(f"{text} is no moment in ISO 8601") from None
    return (read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp()
