"""How to cite a dataset: GB/T 7714—2015 for Chinese readers, DataCite's recommended form, BibTeX. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from wantong.ground import i18n


def citations(said: Mapping[str, Any], lang: str, on: date) -> dict[str, str]:
    """``gbt7714``, ``datacite`` and ``bibtex`` of a dataset, looked up ``on`` a day.

    ``said`` has ``name title publisher version modified identifier node`` (language maps where texts are). The Chinese
    standard's form takes the Chinese texts where there are any, the others the reader's.
    """
    chinese = lang if lang.startswith("zh") else "zh-hans"
    year = said["modified"][:4]
    parts = {
        "who": i18n.pick(said["publisher"]["name"], chinese).text,
        "title": i18n.pick(said["title"], chinese).text,
        "node": i18n.pick(said["node"], chinese).text,
        "version": said["version"],
        "day": said["modified"][:10],
        "year": year,
        "today": on.isoformat(),
        "url": said["identifier"],
    }
    told = parts | {
        "who": i18n.pick(said["publisher"]["name"], lang).text,
        "title": i18n.pick(said["title"], lang).text,
        "node": i18n.pick(said["node"], lang).text,
    }
    return {
        "gbt7714": "{who}. {title}[DS/OL]. 第{version}版. {node}, {day}[{today}]. {url}.".format(**parts),
        "datacite": "{who} ({year}). {title} (Version {version}) [Data set]. {node}. {url}".format(**told),
        "bibtex": "@misc{{{key},\n  author = {{{{{who}}}}},\n  title = {{{title}}},\n  year = {{{year}}},\n"
        "  version = {{{version}}},\n  publisher = {{{node}}},\n  url = {{{url}}}\n}}".format(
            key=said["name"], **{name: _bibtex(str(value)) for name, value in told.items()}
        ),
    }


def _bibtex(text: str) -> str:
    return "".join(f"\\{char}" if char in "&%$#_{}" else char for char in text)
