"""A small RDF graph and its two forms, JSON-LD and Turtle. Pure; the tests read both back with rdflib and compare."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

PREFIXES: Mapping[str, str] = {
    "adms": "http://www.w3.org/ns/adms#",
    "dcat": "http://www.w3.org/ns/dcat#",
    "dct": "http://purl.org/dc/terms/",
    "foaf": "http://xmlns.com/foaf/0.1/",
    "hydra": "http://www.w3.org/ns/hydra/core#",
    "owl": "http://www.w3.org/2002/07/owl#",
    "rdfs": "http://www.w3.org/2000/01/rdf-schema#",
    "skos": "http://www.w3.org/2004/02/skos/core#",
    "spdx": "http://spdx.org/rdf/terms#",
    "vcard": "http://www.w3.org/2006/vcard/ns#",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
}


class Literal(NamedTuple):
    """A text, with its language or its datatype (``xsd:date``)."""

    text: str
    language: str = ""
    datatype: str = ""


class Ref(NamedTuple):
    """Something named elsewhere."""

    iri: str


@dataclass(frozen=True)
class Node:
    """Something with properties, in the order in which they are told; without ``iri`` it has no name."""

    types: tuple[str, ...]
    properties: tuple[tuple[str, Value], ...]
    iri: str = ""


Value: TypeAlias = Literal | Ref | Node


def jsonld(nodes: Iterable[Node]) -> dict[str, Any]:
    """The nodes as one JSON-LD document; what they hold stands in them."""
    return {"@context": dict(PREFIXES), "@graph": [_object(node) for node in nodes]}


def _object(node: Node) -> dict[str, Any]:
    told: dict[str, Any] = {"@id": node.iri} if node.iri else {}
    told["@type"] = list(node.types)
    for name, value in node.properties:
        told.setdefault(name, []).append(_value(value))
    return told


def _value(value: Value) -> dict[str, Any]:
    if isinstance(value, Node):
        return _object(value)
    if isinstance(value, Ref):
        return {"@id": value.iri}
    if value.language:
        return {"@value": value.text, "@language": value.language}
    return {"@value": value.text, "@type": value.datatype} if value.datatype else {"@value": value.text}


def turtle(nodes: Iterable[Node]) -> str:
    """The nodes as Turtle; a named thing that is told of in several places stands there once."""
    head = "".join(f"@prefix {name}: <{iri}> .\n" for name, iri in PREFIXES.items())
    said: dict[str, None] = {}
    for node in nodes:
        for named in _named(node):
            said.setdefault(f"\n{_subject(named)}{_body(named, 1)} .\n")
    return head + "".join(said)


def _named(node: Node) -> Iterator[Node]:
    if node.iri:
        yield node
    for _, value in node.properties:
        if isinstance(value, Node):
            yield from _named(value)


def _subject(node: Node) -> str:
    return _iri(node.iri)


def _body(node: Node, depth: int) -> str:
    parts = [f" a {', '.join(node.types)}"] if node.types else []
    parts += [f" {name} {_term(value, depth)}" for name, value in node.properties]
    return (" ;\n" + "   " * depth).join(parts)


def _term(value: Value, depth: int) -> str:
    if isinstance(value, Node):
        return _iri(value.iri) if value.iri else f"[{_body(value, depth + 1)} ]"
    if isinstance(value, Ref):
        return _iri(value.iri)
    text = f'"{_escaped(value.text)}"'
    return (
        f"{text}@{value.language}"
        if value.language
        else f"{text}^^{value.datatype}"
        if value.datatype
        else text
    )


_IN_TEXT = re.compile(r'[\x00-\x1f"\\\x7f\ud800-\udfff]')
_IN_IRI = re.compile(r'[\x00-\x20<>"{}|^`\\]')


def _escaped(text: str) -> str:
    return _IN_TEXT.sub(
        lambda found: f"\\u{ord(found[0]):04X}" if not "\ud800" <= found[0] <= "\udfff" else "\ufffd", text
    )


def _iri(iri: str) -> str:
    return "<" + _IN_IRI.sub(lambda found: f"%{ord(found[0]):02X}", iri) + ">"
