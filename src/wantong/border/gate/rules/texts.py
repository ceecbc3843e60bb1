"""What the rule base says to people, in the four languages of the bay.

The rule base holds identifiers and the law; ``data/texts/`` holds the words: questions, names of routes, what an
obligation asks, how an article is cited. :func:`texts` loads them once; everything here is pure.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from wantong.ground import i18n, yamlfile

LanguageMap = Mapping[str, str]
_FOLDER = Path(str(resources.files("wantong.border.gate.rules"))) / "data" / "texts"
_DIGITS = "零一二三四五六七八九"
_ROMAN = {"I": 1, "II": 2, "III": 3, "IV": 4, "V": 5, "VI": 6}
_LOCATOR = re.compile(r"(?P<article>\d+[A-Z]?|[IV]+)?(?P<parts>(?:\(\d+\))*)")
_CJK = ("zh-hans", "zh-hant")


@dataclass(frozen=True, slots=True)
class Topic:
    """A group of questions under one heading, in the order in which they are asked."""

    name: LanguageMap
    facts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FactText:
    """A fact as a question: ``short`` names it in lists, ``values`` label an enum, ``articles`` are citations.

    ``ask``: worth asking although it has a default.
    """

    short: LanguageMap
    question: LanguageMap
    help: LanguageMap
    articles: tuple[str, ...]
    values: Mapping[str, LanguageMap]
    ask: bool


@dataclass(frozen=True, slots=True)
class DocumentText:
    """A legal text: ``original`` names the languages whose title is official, ``places`` where it is law."""

    title: LanguageMap
    short: LanguageMap
    original: tuple[str, ...]
    style: str
    places: frozenset[str]
    items: frozenset[str]


@dataclass(frozen=True)
class Texts:
    """All words of the rule base. Language maps are keyed by ``zh-hans``, ``zh-hant``, ``en``, ``pt``."""

    routes: Mapping[str, Mapping[str, LanguageMap]]  # route → name, meaning, first
    topics: Mapping[str, Topic]
    facts: Mapping[str, FactText]
    obligations: Mapping[str, Mapping[str, LanguageMap]]  # obligation → name, text
    rules: Mapping[str, LanguageMap]
    cautions: Mapping[str, LanguageMap]  # rules of low confidence: what is open, and whom to ask
    authorities: Mapping[str, Mapping[str, Any]]  # authority → name, original, where
    documents: Mapping[str, DocumentText]
    deadlines: Mapping[str, LanguageMap]  # by the text in the rule base
    events: Mapping[str, LanguageMap]
    stages: Mapping[str, LanguageMap]
    units: Mapping[str, LanguageMap]
    places: Mapping[str, LanguageMap]
    citations: Mapping[str, Any]

    def value(self, fact: str, value: bool | int | str | dt.date, lang: str) -> str:
        """How one says that ``fact`` is ``value``: yes or no, the label of an enum, a number, a day."""
        if isinstance(value, bool):
            return i18n.t("rules.yes" if value else "rules.no", lang)
        if isinstance(value, int):
            return number(value, lang)
        if isinstance(value, dt.date):
            return day(value, lang)
        labels = self.facts[fact].values
        if value in labels:
            return labels[value][lang]
        try:
            return day(dt.date.fromisoformat(value), lang)
        except ValueError:
            return value

    def term(self, count: int, unit: str, lang: str) -> str:
        """A term in words, such as ``10 working days``."""
        return self.units[unit][lang].format(n=count)

    def cite(self, citation: str, lang: str) -> str:
        """A citation of the rule base as ``lang`` writes it.

        ``PIPL 38(1)(3)`` becomes 《个人信息保护法》第三十八条第一款第三项. A citation in words comes from the table of
        remarks; one that neither the table nor the grammar knows comes back as it is (see :meth:`knows`).
        """
        said = self._say(citation, lang)
        if said is not None:
            return said
        parts = [self._say(part, lang) or part for part in citation.split("; ")]
        return ("；" if lang in _CJK else "; ").join(parts)

    def between(self, citation: str, *ends: str) -> str:
        """The parts of ``citation`` that are law between the places ``ends``; all of it if they are not known.

        A duty cites the contract with Hong Kong and the one with Macao; between two places only one is law.
        """
        parts = [
            part
            for part in citation.split("; ")
            if (name := self.document_of(part)) is None or self.documents[name].places <= set(ends)
        ]
        return "; ".join(parts) if len(ends) > 1 else citation

    def knows(self, citation: str) -> bool:
        """Whether :meth:`cite` can say all of ``citation`` in words of the language asked for."""
        return self._say(citation, "en") is not None or all(
            self._say(part, "en") is not None for part in citation.split("; ")
        )

    def document_of(self, citation: str) -> str | None:
        """The document a citation begins with, None if it is in words."""
        first = citation.split(" ", 1)[0]
        return first if first in self.documents else None

    def _say(self, citation: str, lang: str) -> str | None:
        remarks = self.citations["remarks"]
        if citation in remarks:
            return str(remarks[citation][lang])
        name, _, rest = citation.partition(" ")
        document = self.documents.get(name)
        if document is None:
            return None
        rest, remark = self._split_remark(rest, lang)
        places = [self._locator(document, part, lang) for part in rest.split(", ")] if rest else []
        if None in places:
            return None
        cjk = lang in _CJK
        text = document.short[lang]
        if places:
            known = [p for p in places if p is not None]
            text += ("、" if cjk else ", ").join(known) if cjk else ", " + ", ".join(known)
        return text + (remark if cjk or not remark else " " + remark)

    def _split_remark(self, rest: str, lang: str) -> tuple[str, str]:
        for words, said in self.citations["remarks"].items():
            for ending in (words, f"({words})"):
                if rest == ending or rest.endswith(" " + ending):
                    return rest[: -len(ending)].rstrip(), str(said[lang])
        return rest, ""

    def _locator(self, document: DocumentText, part: str, lang: str) -> str | None:
        named = self.citations["locators"].get(part)
        if named is not None:
            return str(named[lang])
        first, dash, last = part.partition("-")
        start = self._article(document, first, lang)
        if start is None or not dash:
            return start
        head = first.partition("(")[0]
        # "7(1)-(2)" repeats the article of its beginning; its end is said without it
        end = self._article(document, last, lang, within=head if last.startswith("(") else None, ends=True)
        return None if end is None else f"{start}{self.citations['range'][lang]}{end}"

    def _article(
        self, document: DocumentText, text: str, lang: str, within: str | None = None, ends: bool = False
    ) -> str | None:
        found = _LOCATOR.fullmatch(text)
        if found is None or not (found["article"] or found["parts"]):
            return None
        style = self.citations["styles"][document.style]
        chinese = style["numerals"] == "chinese" and lang in _CJK

        def say(kind: str, number: str) -> str:
            pattern = style[kind][lang]
            if ends and kind in ("article", "item"):
                pattern = style.get("end" if kind == "article" else "end_item", {}).get(lang, pattern)
            return str(pattern).format(n=_chinese(number) if chinese else number)

        words = [say("article", found["article"])] if found["article"] else []
        article = found["article"] or within or ""
        kinds = ["item"] if article in document.items else ["paragraph", "item"]
        numbers = re.findall(r"\((\d+)\)", found["parts"])
        if len(numbers) > len(kinds):
            return None
        words += [say(kind, number) for kind, number in zip(kinds, numbers, strict=False)]
        return str(style["separator"][lang]).join(words)


@cache
def texts() -> Texts:
    """The words of the packaged rule base."""
    data: dict[str, Any] = {}
    for name in (
        "routes", "facts", "obligations", "rules", "authorities", "documents", "deadlines", "citations"
    ):  # fmt: skip
        content = yamlfile.load(_FOLDER / f"{name}.yaml")
        data |= {"citations": content} if name == "citations" else content
    return Texts(
        routes=data["routes"],
        topics={k: Topic(v["name"], tuple(v["facts"])) for k, v in data["topics"].items()},
        facts={
            k: FactText(
                v["short"],
                v["question"],
                v["help"],
                tuple(v.get("article", ())),
                v.get("values", {}),
                v.get("ask", False),
            )
            for k, v in data["facts"].items()
        },
        obligations=data["obligations"],
        rules=data["rules"],
        cautions=data["cautions"],
        authorities=data["authorities"],
        documents={
            k: DocumentText(
                v["title"],
                v["short"],
                tuple(v["original"]),
                v["style"],
                frozenset(v["places"]),
                frozenset(map(str, v.get("items", ()))),
            )
            for k, v in data["documents"].items()
        },
        deadlines=data["deadlines"],
        events=data["events"],
        stages=data["stages"],
        units=data["units"],
        places=data["places"],
        citations=data["citations"],
    )


def number(value: int, lang: str) -> str:
    """An integer with its thousands set apart as ``lang`` does it."""
    return f"{value:,}".replace(",", "\N{NO-BREAK SPACE}") if lang == "pt" else f"{value:,}"


def day(value: dt.date, lang: str) -> str:
    """A day as ``lang`` writes it: 2026年12月1日, 1 December 2026, 1 de Dezembro de 2026."""
    month = i18n.t("rules.months", lang).split()[value.month - 1]
    return i18n.t("rules.day", lang, day=value.day, month=month, year=value.year)


def listing(items: Sequence[str], lang: str) -> str:
    """Several things in one line."""
    return ("、" if lang in _CJK else "; ").join(items)


def _chinese(number: str) -> str:
    """A number up to 999 in Chinese numerals, as laws count their articles; letters are left as they are."""
    value = _ROMAN.get(number) or (int(number) if number.isdigit() else None)
    if value is None or not 0 < value < 1000:
        return number
    hundreds, tens, ones = value // 100, value // 10 % 10, value % 10
    said = f"{_DIGITS[hundreds]}百" if hundreds else ""
    if tens:
        said += "十" if tens == 1 and not hundreds else f"{_DIGITS[tens]}十"
    elif hundreds and ones:
        said += _DIGITS[0]
    return said + (_DIGITS[ones] if ones else "")
