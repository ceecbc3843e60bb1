"""Other catalogues' answers as descriptions of ours. Pure; nothing of what comes in is trusted.

Only what describes a dataset is taken. Names, addresses and numbers of persons who look after it elsewhere are not.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from html import unescape
from importlib import resources
from typing import Any
from urllib.parse import quote, urlencode

from wantong.border.exchange.opendata.codes import codes
from wantong.ground import yamlfile
from wantong.ground.http.reach import plain as plain_url
from wantong.ground.i18n import LANGUAGES
from wantong.ground.plain import stored

KINDS = ("ckan", "gd-open")
LONGEST = 5000
MOST_RESOURCES = 200
MOST_KEYWORDS = 30


class Unreadable(ValueError):
    """An answer that is not what the interface gives."""


@dataclass(frozen=True)
class Terms:
    """What an operator said of a catalogue: its name here, its address, the language its texts are in, whose data."""

    name: str
    url: str
    language: str
    place: str
    licence: str
    title: Mapping[str, str]


@dataclass(frozen=True)
class Link:
    """A file or an interface at its place elsewhere."""

    key: str
    title: str
    format: str
    url: str
    size: int | None = None


@dataclass(frozen=True)
class Found:
    """A dataset elsewhere: ``record`` as of :class:`.record.Record`, and where it was found."""

    upstream_id: str
    modified: str
    url: str
    record: Mapping[str, Any]
    links: tuple[Link, ...]

    @property
    def digest(self) -> str:
        """Changes when anything that is shown does."""
        told = [
            self.record,
            self.url,
            self.modified,
            [(link.key, link.title, link.format, link.url, link.size) for link in self.links],
        ]
        return hashlib.sha256(json.dumps(told, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


@dataclass(frozen=True)
class Request:
    """What to ask: GET, or POST of a form."""

    url: str
    form: Mapping[str, str] | None = None


# --- CKAN -------------------------------------------------------------------------------------------------------


def ckan_page(terms: Terms, start: int, since: str = "") -> Request:
    """The datasets that changed since a moment, the longest unchanged first: what comes in meanwhile comes last."""
    asked = {"rows": str(words()["page"]), "start": str(start), "sort": "metadata_modified asc, name asc"}
    if since:
        asked["fq"] = f"metadata_modified:[{since} TO *]"
    return Request(f"{_action(terms)}/package_search?{urlencode(asked, quote_via=quote)}")


def ckan_names(terms: Terms) -> Request:
    """The names of all datasets: who is not among them is gone."""
    return Request(f"{_action(terms)}/package_list")


def ckan_result(body: bytes) -> Any:
    """What is in the envelope. Raises :class:`Unreadable`."""
    told = _json(body)
    if not isinstance(told, dict) or told.get("success") is not True:
        raise Unreadable("no-ckan")
    return told.get("result")


def ckan_packages(body: bytes) -> list[dict[str, Any]]:
    """The packages of a page. Raises :class:`Unreadable`."""
    result = ckan_result(body)
    if not isinstance(result, dict) or not isinstance(result.get("results"), list):
        raise Unreadable("no-page")
    return [package for package in result["results"] if isinstance(package, dict)]


def ckan_name_list(body: bytes) -> list[str]:
    """All names. Raises :class:`Unreadable`: a list of no names would have everything gone."""
    result = ckan_result(body)
    if not isinstance(result, list) or not result or not all(isinstance(name, str) for name in result):
        raise Unreadable("no-names")
    return result


def from_ckan(package: Mapping[str, Any], terms: Terms) -> Found:
    """A package as we tell it. Raises :class:`Unreadable` if it has no name or no title."""
    name, title = _text(package.get("name"), 200), _maps(package, "title", terms)
    if not name or not title:
        raise Unreadable("nameless")
    organization = package.get("organization") if isinstance(package.get("organization"), Mapping) else {}
    assert isinstance(organization, Mapping)
    told = {str(e.get("key")): e.get("value") for e in _rows(package.get("extras"))} | dict(package)
    cycle = _text(
        told.get("update_frequency") or told.get("frequency") or told.get("data_update_frequency"), 60
    )
    groups = [_text(group.get("name"), 100) for group in _rows(package.get("groups"))]
    tags = [_text(tag.get("display_name") or tag.get("name"), 100) for tag in _rows(package.get("tags"))]
    return Found(
        name,
        _text(package.get("metadata_modified"), 60),
        f"{terms.url}/dataset/{quote(name, safe='')}",
        _record(
            terms,
            name,
            title=title,
            description=_maps(package, "notes", terms) or title,
            publisher=(_text(organization.get("name"), 100), _maps(organization, "title", terms)),
            licence=words()["licences"].get(_text(package.get("license_id"), 60).lower(), terms.licence),
            cycle=words()["cycles"]["ckan"].get(cycle.lower(), "unknown"),
            themes=[words()["themes"]["ckan"].get(group) for group in groups],
            keywords=tags,
            source_url=_text(package.get("url"), 2000),
        ),
        tuple(_links(_rows(package.get("resources")), terms)),
    )


def _links(resources_of: Sequence[Mapping[str, Any]], terms: Terms) -> list[Link]:
    links = []
    for at, resource in enumerate(resources_of[:MOST_RESOURCES]):
        url = _text(resource.get("url"), 2000)
        if not plain_url(url):
            continue
        format_ = _format(_text(resource.get("format"), 40) or url.rpartition(".")[2])
        title = next(iter(_maps(resource, "name", terms).values()), "") or format_
        size = resource.get("size")
        links.append(
            Link(
                _text(resource.get("id"), 100) or str(at),
                title[:300],
                format_,
                url,
                size if type(size) is int and 0 < size < 1 << 62 else None,
            )
        )
    return links


def _action(terms: Terms) -> str:
    return f"{terms.url}/api/3/action"


# --- 开放广东 -----------------------------------------------------------------------------------------------------


def gd_page(terms: Terms, number: int) -> Request:
    """A page of all datasets, the last changed first."""
    form = {"pageNo": str(number), "pageSize": str(words()["page_gd"]), "sortType": "DESC", "classifyId": ""}
    return Request(f"{terms.url}/data/dataSet/findPage", form)


def gd_detail(terms: Terms, res_id: str) -> Request:
    return Request(f"{terms.url}/data/catalog/selectDataCatalogByResId", {"resId": res_id})


def gd_files(terms: Terms, res_id: str) -> Request:
    form = {"resId": res_id, "sourceSuffix": "", "beginDate": "", "endDate": ""}
    return Request(f"{terms.url}/data/dataSet/getFileList", form)


def gd_listed(body: bytes) -> list[dict[str, str]]:
    """``id`` and ``modified`` of a page's datasets (``dataList`` is JSON inside JSON). Raises :class:`Unreadable`."""
    told = _json(body)
    inner = _json(told.get("dataList", "")) if isinstance(told, dict) else None
    if not isinstance(inner, dict) or not isinstance(inner.get("list"), list):
        raise Unreadable("no-page")
    found = []
    for row in inner["list"]:
        if isinstance(row, dict) and (res_id := _text(row.get("resId"), 200)):
            found.append(
                {"id": res_id, "modified": _text(row.get("dataUpdateTime") or row.get("updateDate"), 60)}
            )
    return found


def gd_is_there(detail_body: bytes) -> bool:
    """Whether the platform still tells of a dataset. Raises :class:`Unreadable` for an answer that is none."""
    detail = _json(detail_body)
    return isinstance(detail, dict) and bool(_text(detail.get("resTitle"), 300))


def from_gd(listed: Mapping[str, str], detail_body: bytes, files_body: bytes, terms: Terms) -> Found:
    """A dataset of 开放广东 as we tell it. Raises :class:`Unreadable` if it has no title."""
    detail, files = _json(detail_body), _json(files_body)
    title = _text(detail.get("resTitle"), 300) if isinstance(detail, dict) else ""
    if not title:
        raise Unreadable("nameless")
    place = listed["id"].replace("/", "_")
    links = []
    for at, file in enumerate(_rows(files)[:MOST_RESOURCES]):
        path, name = _text(file.get("fileUrl"), 500), _text(file.get("fileName"), 300)
        if not path:
            continue
        url = f"{terms.url}/downloadFiles/open-file/{quote(place, safe='')}/{quote(path)}"
        suffix = _text(file.get("sourceSuffix"), 20) or path.rpartition(".")[2]
        links.append(Link(_text(file.get("id"), 100) or str(at), name or path, _format(suffix), url))
    office = _text(detail.get("officeName"), 200)
    return Found(
        listed["id"],
        listed["modified"],
        f"{terms.url}/data/dataSet/toDataDetails/{quote(place, safe='')}",
        _record(
            terms,
            place,
            title={terms.language: title},
            description={terms.language: _prose(detail.get("resAbstract")) or title},
            publisher=("", {terms.language: office} if office else {}),
            licence=terms.licence,
            cycle=words()["cycles"]["gd"].get(_text(detail.get("updateCycle"), 20), "unknown"),
            themes=[words()["themes"]["gd"].get(_text(detail.get("subjectName"), 60))],
            keywords=re.split(r"[,，、;；\s]+", _text(detail.get("keyword"), 500)),
            source_url="",
        ),
        tuple(links),
    )


# --- both -------------------------------------------------------------------------------------------------------


@cache
def words() -> Mapping[str, Any]:
    """How other catalogues' words become ours (``data/harvest.yaml``)."""
    found: Mapping[str, Any] = yamlfile.load(
        (resources.files(__package__) / "data" / "harvest.yaml").read_bytes()
    )
    return found


def local_name(terms: Terms, upstream: str) -> str:
    """What it is called here: the catalogue's name and its own, as part of an address; never two the same."""
    ascii_ = unicodedata.normalize("NFKD", upstream).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9_-]+", "-", ascii_).strip("-_")
    whole = f"{terms.name}-{slug}"
    if slug == upstream and len(whole) <= 100:
        return whole
    return f"{whole[:88].rstrip('-_')}-{hashlib.sha256(upstream.encode()).hexdigest()[:10]}"


def _record(
    terms: Terms,
    name: str,
    *,
    title: Mapping[str, str],
    description: Mapping[str, str],
    publisher: tuple[str, Mapping[str, str]],
    licence: str,
    cycle: str,
    themes: Sequence[str | None],
    keywords: Sequence[str],
    source_url: str,
) -> dict[str, Any]:
    body = publisher[1] or terms.title
    slug = publisher[0] or next(iter(body.values()))
    named = local_name(Terms(terms.name, "", "", "", "", {}), slug)[:100] if publisher[1] else terms.name
    return {
        "name": local_name(terms, name),
        "title": dict(title),
        "description": dict(description),
        "publisher": {"id": named, "name": dict(body)},
        "licence": licence if licence in codes("licences") else "notspecified",
        "declared": "",
        "source": dict(terms.title),
        "source_url": source_url if plain_url(source_url) else "",
        "cycle": cycle,
        "themes": list(dict.fromkeys(theme for theme in themes if theme)),
        "keywords": [{terms.language: word} for word in dict.fromkeys(filter(None, keywords))][
            :MOST_KEYWORDS
        ],
        "places": [terms.place] if terms.place else [],
        "languages": [terms.language],
        "columns": {},
        "temporal": {},
        "contact": "",
        "chart": {},
        "note": {},
    }


def _maps(said: Mapping[str, Any], field: str, terms: Terms) -> dict[str, str]:
    """A text in the languages it is told in: ckanext-fluent's ``title_translated``, else the catalogue's language."""
    translated = said.get(f"{field}_translated")
    if isinstance(translated, Mapping):
        tags = {
            **{lang: lang for lang in LANGUAGES},
            "zh_hans_cn": "zh-hans",
            "zh_cn": "zh-hans",
            "zh_hant_tw": "zh-hant",
            "zh_hk": "zh-hant",
            "zh_tw": "zh-hant",
        }
        found = {
            tags[str(key).lower()]: _prose(text)
            for key, text in translated.items()
            if str(key).lower() in tags
        }
        if any(found.values()):
            return {lang: text for lang, text in found.items() if text}
    text = _prose(said.get(field))
    return {terms.language: text} if text else {}


def _prose(value: Any) -> str:
    """A text without markup, on lines."""
    text = value if isinstance(value, str) else ""
    text = unescape(re.sub(r"<[^>]{0,500}>", " ", text))
    return stored(re.sub(r"[ \t\r\f\v]+", " ", text)).strip()[:LONGEST]


def _text(value: Any, most: int) -> str:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        value = str(value)
    return stored(" ".join(value.split()))[:most] if isinstance(value, str) else ""


def _rows(value: Any) -> list[Mapping[str, Any]]:
    return [row for row in value if isinstance(row, Mapping)] if isinstance(value, list) else []


def _format(said: str) -> str:
    known = {
        "CSV",
        "JSON",
        "XLSX",
        "XLS",
        "XML",
        "PDF",
        "HTML",
        "ZIP",
        "TXT",
        "API",
        "KML",
        "KMZ",
        "GML",
        "SHP",
        "RDF",
        "TTL",
        "WMS",
        "WFS",
        "RSS",
    }
    word = re.split(r"[^A-Za-z0-9]", said.strip().lstrip(".").upper())[0]
    special = {"GEOJSON": "GeoJSON", "PARQUET": "Parquet", "EXCEL": "XLSX"}
    return special.get(word, word if word in known else "other")


def _json(body: bytes | str) -> Any:
    try:
        return json.loads(body)
    except (ValueError, TypeError, RecursionError):
        raise Unreadable("not-json") from None
