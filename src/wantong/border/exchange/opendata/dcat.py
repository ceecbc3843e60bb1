"""Datasets and the catalogue as DCAT-AP 3. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wantong.border.exchange.opendata.codes import codes
from wantong.border.exchange.opendata.graph import Literal, Node, Ref, Value
from wantong.ground.i18n import LANG_ATTRIBUTE, LANGUAGES

EU = "http://publications.europa.eu/resource/authority/"
IANA = "https://www.iana.org/assignments/media-types/"
_FILE_TYPES = {"CSV": "CSV", "JSON": "JSON", "Parquet": "PARQUET", "XLSX": "XLSX", "XLS": "XLS", "XML": "XML", "PDF": "PDF",
               "GeoJSON": "GEOJSON", "HTML": "HTML", "ZIP": "ZIP", "TXT": "TXT"}  # fmt: skip
_LANGUAGES = {"zh-hans": "ZHO", "zh-hant": "ZHO", "en": "ENG", "pt": "POR"}
Properties = list[tuple[str, Value]]


@dataclass(frozen=True)
class Address:
    """Where a node tells of its open data; all ends without a slash."""

    base: str

    def dataset(self, name: str) -> str:
        """What a dataset is called for ever, and where it is looked up."""
        return f"{self.base}/open-data/{name}"

    @property
    def catalogue(self) -> str:
        return f"{self.base}/open-data/catalog"


def dataset(said: Mapping[str, Any], address: Address) -> Node:
    """A dcat:Dataset with its distributions.

    ``said``: the record with ``name issued modified version identifier landing_page distributions`` and, of a harvested one,
    ``upstream`` (address) and ``removed`` (moment); a distribution has ``id url download_url title format media_type size
    sha256 licence issued``.
    """
    iri = address.dataset(said["name"])
    licence = codes("licences")[said["licence"]]
    properties: Properties = [
        *_texts("dct:title", said["title"]),
        *_texts("dct:description", said["description"]),
        ("dct:identifier", Literal(said["identifier"])),
        ("dct:publisher", publisher(said["publisher"], address)),
        *((("dcat:keyword", literal)) for keyword in said["keywords"] for _, literal in _texts("", keyword)),
        *(("dcat:theme", _concept("data-theme", "themes", theme)) for theme in said["themes"]),
        *(
            ("dct:spatial", Node(("dct:Location",), (), codes("places")[place]["uri"]))
            for place in said["places"]
        ),
        (
            "dct:accrualPeriodicity",
            Node(("dct:Frequency",), (), f"{EU}frequency/{codes('cycles')[said['cycle']]['eu']}"),
        ),
        ("dct:accessRights", Node(("dct:RightsStatement",), (), f"{EU}access-right/PUBLIC")),
        *_languages(said["languages"]),
        ("dct:issued", Literal(said["issued"], datatype="xsd:dateTime")),
        ("dct:modified", Literal(said["modified"], datatype="xsd:dateTime")),
        ("dcat:landingPage", Node(("foaf:Document",), (), said["landing_page"])),
    ]
    if said.get("version"):
        properties.append(("dcat:version", Literal(str(said["version"]))))
    properties += _texts("adms:versionNotes", said.get("note") or {})
    if said.get("source_url"):
        properties.append(("foaf:page", Node(("foaf:Document",), (), said["source_url"])))
    if said.get("source"):
        told = Node(("dct:ProvenanceStatement",), tuple(_texts("rdfs:label", said["source"])))
        properties.append(("dct:provenance", told))
    if contact := said.get("contact") or said["publisher"].get("url"):
        # an office and its page, never a person
        card: Properties = [*_texts("vcard:fn", said["publisher"]["name"]), ("vcard:hasURL", Ref(contact))]
        properties.append(("dcat:contactPoint", Node(("vcard:Kind", "vcard:Organization"), tuple(card))))
    if span := said.get("temporal"):
        ends = [
            (f"dcat:{end}Date", Literal(span[end], datatype="xsd:date"))
            for end in ("start", "end")
            if span.get(end)
        ]
        properties.append(("dct:temporal", Node(("dct:PeriodOfTime",), tuple(ends))))
    if said.get("upstream"):
        properties.append(("dct:isReferencedBy", Ref(said["upstream"])))
    if said.get("removed"):
        properties.append(("adms:status", _status("WITHDRAWN")))
    properties += [("dcat:distribution", _distribution(told, iri, licence)) for told in said["distributions"]]
    return Node(("dcat:Dataset",), tuple(properties), iri)


def catalogue(
    names: Mapping[str, str],
    publisher_said: Mapping[str, Any],
    datasets: Sequence[Node],
    address: Address,
    page: Page,
) -> Iterator[Node]:
    """The catalogue of a node, one page of it, and where the other pages are (Hydra)."""
    api = Node(
        ("dcat:DataService",),
        (
            *_texts("dct:title", {lang: f"CKAN Action API – {name}" for lang, name in names.items()}),
            ("dcat:endpointURL", Ref(f"{address.base}/api/3/action")),
            ("dct:conformsTo", Node(("dct:Standard",), (), "https://docs.ckan.org/en/2.11/api/")),
        ),
        f"{address.base}/api/3/action",
    )
    yield Node(
        ("dcat:Catalog",),
        (
            *_texts("dct:title", names),
            *_texts("dct:description", names),
            ("dct:publisher", publisher(publisher_said, address)),
            ("foaf:homepage", Node(("foaf:Document",), (), f"{address.base}/en/open-data")),
            *_languages(LANGUAGES),
            ("dcat:service", api),
            *(("dcat:dataset", Ref(node.iri)) for node in datasets),
        ),
        address.catalogue,
    )
    links = {"first": 1, "last": page.last, "next": page.number + 1, "previous": page.number - 1}
    yield Node(
        ("hydra:PartialCollectionView", "hydra:PagedCollection"),
        (
            ("hydra:totalItems", Literal(str(page.total), datatype="xsd:integer")),
            ("hydra:itemsPerPage", Literal(str(page.size), datatype="xsd:integer")),
            *(
                (f"hydra:{name}", Ref(page.url(number)))
                for name, number in links.items()
                if 1 <= number <= page.last
            ),
        ),
        page.url(page.number),
    )
    yield from datasets


@dataclass(frozen=True)
class Page:
    """Which page of how many datasets; ``prefix`` is the address without the number."""

    number: int
    size: int
    total: int
    prefix: str

    @property
    def last(self) -> int:
        return max(1, -(-self.total // self.size))

    def url(self, number: int) -> str:
        return f"{self.prefix}?page={number}"


def publisher(said: Mapping[str, Any], address: Address) -> Node:
    """A body as foaf:Agent."""
    properties: Properties = list(_texts("foaf:name", said["name"]))
    if said.get("url"):
        properties.append(("foaf:homepage", Ref(said["url"])))
    return Node(("foaf:Agent", "foaf:Organization"), tuple(properties), f"{address.catalogue}#{said['id']}")


def _distribution(said: Mapping[str, Any], dataset_iri: str, licence: Mapping[str, Any]) -> Node:
    properties: Properties = [
        *_texts("dct:title", said["title"]),
        ("dcat:accessURL", Ref(said["url"])),
    ]
    if said.get("download_url"):
        properties.append(("dcat:downloadURL", Ref(said["download_url"])))
    if file_type := _FILE_TYPES.get(said["format"]):
        properties.append(("dct:format", Node(("dct:MediaTypeOrExtent",), (), f"{EU}file-type/{file_type}")))
    if said.get("media_type"):
        properties.append(("dcat:mediaType", Node(("dct:MediaType",), (), IANA + said["media_type"])))
    if said.get("size"):
        properties.append(("dcat:byteSize", Literal(str(said["size"]), datatype="xsd:nonNegativeInteger")))
    if said.get("sha256"):
        algorithm = Node(
            ("spdx:ChecksumAlgorithm",), (), "http://spdx.org/rdf/terms#checksumAlgorithm_sha256"
        )
        value = Literal(said["sha256"], datatype="xsd:hexBinary")
        sum_ = Node(("spdx:Checksum",), (("spdx:algorithm", algorithm), ("spdx:checksumValue", value)))
        properties.append(("spdx:checksum", sum_))
    if licence["url"]:
        told = Node(("dct:LicenseDocument",), tuple(_texts("rdfs:label", licence["name"])), licence["url"])
        properties.append(("dct:license", told))
    if said.get("issued"):
        properties.append(("dct:issued", Literal(said["issued"], datatype="xsd:dateTime")))
    return Node(("dcat:Distribution",), tuple(properties), f"{dataset_iri}#{said['id']}")


def _concept(table: str, codelist: str, code: str) -> Node:
    entry = codes(codelist)[code]
    return Node(
        ("skos:Concept",), tuple(_texts("skos:prefLabel", entry["name"])), f"{EU}{table}/{entry['eu']}"
    )


def _status(code: str) -> Node:
    return Node(("skos:Concept",), (), f"{EU}dataset-status/{code}")


def _languages(codes_of: Sequence[str]) -> Properties:
    uris = dict.fromkeys(_LANGUAGES[code] for code in codes_of)
    return [("dct:language", Node(("dct:LinguisticSystem",), (), f"{EU}language/{uri}")) for uri in uris]


def _texts(name: str, texts: Mapping[str, str]) -> Properties:
    return [(name, Literal(texts[lang], LANG_ATTRIBUTE[lang])) for lang in LANGUAGES if texts.get(lang)]
