"""The dossier: an answer as a document to file and to hand out (PDF), with what has to be prepared for it.

It holds the answer with its citations, the outline of the assessment that the route asks for, a filing checklist with
authorities and deadlines, the notice to the person with its blanks marked, and the facts and assumptions it rests on.
:func:`compose` says what stands in it (pure, one language), :func:`pdf` sets it in type.

Typst sets the type: it breaks Chinese lines by the rules of Chinese typesetting, takes OpenType fonts with the
letterforms of each region, writes tagged PDF (PDF/UA-1) whose text can be extracted, and gives the same bytes for the
same input. Reportlab does none of the first three. The fonts come with the package, so every machine gives one result.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from wantong.border.gate.rules import typesetting
from wantong.border.gate.rules.assess import Assessment
from wantong.border.gate.rules.base import RuleBase
from wantong.border.gate.rules.explain import explain
from wantong.border.gate.rules.narrate import Narrative, fact_said, narrate
from wantong.border.gate.rules.texts import LanguageMap, texts
from wantong.ground import canonical, i18n, yamlfile

_DATA = Path(str(resources.files("wantong.border.gate.rules"))) / "data"
_LABELS = (
    "title", "note", "answer", "why", "first", "provisional", "also", "before", "obligations", "deadlines", "filing",
    "authorities", "papers", "facts", "given", "assumed", "assumptions", "missing", "others", "sources", "stated",
    "basis", "version", "fingerprint", "day",
)  # fmt: skip
# punctuation is part of a language too
_MARKS = {
    "zh": {"colon": "：", "semicolon": "；", "open": "（", "close": "）"},
    "other": {"colon": ": ", "semicolon": "; ", "open": " (", "close": ")"},
}
_TYPE = {"zh-hans": ("zh", "CN"), "zh-hant": ("zh", "HK"), "en": ("en", "GB"), "pt": ("pt", "PT")}


@dataclass(frozen=True, slots=True)
class Section:
    heading: str
    facts: tuple[tuple[str, str], ...]
    prompts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Outline:
    """The skeleton of an assessment report or of an application, with the known facts filled in."""

    id: str
    title: str
    preface: str
    source: tuple[str, ...]
    sections: tuple[Section, ...]


@dataclass(frozen=True, slots=True)
class Filing:
    """What is handed in, to whom."""

    id: str
    name: str
    authorities: tuple[str, ...]
    papers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Notice:
    """A text for the person; blanks stand in 〔brackets〕."""

    id: str
    title: str
    source: tuple[str, ...]
    paragraphs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Dossier:
    story: Narrative
    outlines: tuple[Outline, ...]
    filings: tuple[Filing, ...]
    notices: tuple[Notice, ...]
    fingerprint: str  # digest of facts, day and rule base: two dossiers with one fingerprint say the same


@dataclass(frozen=True, slots=True)
class Made:
    content: bytes
    filename: str


@dataclass(frozen=True, slots=True)
class OutlineText:
    title: LanguageMap
    source: tuple[str, ...]
    duties: tuple[str, ...]
    routes: tuple[str, ...]
    instead_of: tuple[str, ...]
    preface: LanguageMap
    sections: tuple[Mapping[str, Any], ...]


def outlines_for(answer: Assessment) -> tuple[OutlineText, ...]:
    """The outlines that an answer asks for; the fuller one stands for those it covers."""
    asked = {
        name: outline
        for name, outline in _outlines().items()
        if set(outline.duties) & set(answer.before) or answer.primary_route in outline.routes
    }
    covered = {name for outline in asked.values() for name in outline.instead_of}
    return tuple(outline for name, outline in asked.items() if name not in covered)


def compose(
    facts: Mapping[str, Any], lang: str, *, on: dt.date | None = None, base: RuleBase | None = None
) -> Dossier:
    """The dossier of ``facts`` in ``lang``. Raises as :func:`.assess.assess` does."""
    base = base or RuleBase.load()
    explanation = explain(facts, on, base=base)
    answer = explanation.assessment
    known = {name: value for name, value in facts.items() if value is not None} | (
        {"transfer_date": answer.transfer_date} if answer.transfer_date else {}
    )
    story = narrate(explanation, known, lang, base=base)
    fingerprint = canonical.digest(
        {
            "facts": {
                name: value.isoformat() if isinstance(value, dt.date) else value
                for name, value in known.items()
            },
            "rule_base": base.digest,
        }
    )
    held = {*answer.before, *answer.obligations}
    fill = _fill(known, lang)
    values = {**answer.assumptions_used, **known}
    return Dossier(
        story=story,
        outlines=tuple(_outline(text, values, lang) for text in outlines_for(answer)),
        filings=tuple(
            Filing(
                name,
                texts().obligations[name]["name"][lang]
                if name in texts().obligations
                else texts().routes[name]["name"][lang],
                tuple(
                    texts().authorities[a]["name"][lang] for a in filing["authority"] or answer.authorities
                ),
                tuple(paper[lang] for paper in filing["papers"]),
            )
            for name, filing in _data()["filings"].items()
            if name in answer.before or name == answer.primary_route
        ),
        notices=tuple(
            Notice(
                name,
                notice["title"][lang],
                tuple(texts().cite(source, lang) for source in notice["source"]),
                tuple(
                    paragraph["text"][lang].format(**fill)
                    for paragraph in notice["paragraphs"]
                    if paragraph.get("when") in (None, *held)
                ),
            )
            for name, notice in _data()["notices"].items()
            if set(notice["duties"]) & set(answer.before)
        ),
        fingerprint=fingerprint,
    )


@dataclass(frozen=True, slots=True)
class Sheet:
    """A dossier ready for the type setter: its content as JSON, the date of its law, and the name of the file."""

    content: str
    timestamp: int
    filename: str


def sheet(
    facts: Mapping[str, Any], lang: str, *, on: dt.date | None = None, base: RuleBase | None = None
) -> Sheet:
    """The dossier of ``facts`` as the type setter takes it. Raises as :func:`.assess.assess` does."""
    dossier = compose(facts, lang, on=on, base=base)
    base = base or RuleBase.load()
    language, region = _TYPE[lang]
    payload = {
        "dossier": asdict(dossier),
        "labels": {name: i18n.t(f"rules.dossier.{name}", lang) for name in _LABELS},
        "marks": _MARKS.get(language, _MARKS["other"]),
        "lang": language,
        "region": region,
    }
    route = re.sub(r"[^a-z]+", "-", dossier.story.route)
    return Sheet(
        json.dumps(payload, ensure_ascii=False),
        # a document's date is that of its law; the clock of the machine has no part in it
        int(dt.datetime.combine(base.as_of, dt.time(), dt.UTC).timestamp()),
        f"wantong-{route}-{dossier.fingerprint[7:15]}-{lang}.pdf",
    )


def pdf(
    facts: Mapping[str, Any],
    lang: str,
    *,
    on: dt.date | None = None,
    base: RuleBase | None = None,
    typeset: Callable[[str, int], bytes] = typesetting.compose,
) -> Made:
    """The dossier set in type: PDF/UA-1, the same bytes for the same facts, day, language and rule base.

    ``typeset`` is :func:`.typesetting.typeset` where strangers ask. Raises as :func:`.assess.assess` does, and what
    ``typeset`` raises.
    """
    made = sheet(facts, lang, on=on, base=base)
    return Made(typeset(made.content, made.timestamp), made.filename)


def _outline(text: OutlineText, facts: Mapping[str, Any], lang: str) -> Outline:
    ends = [facts[end] for end in ("from_jurisdiction", "to_jurisdiction") if end in facts]
    identifier = next(name for name, outline in _outlines().items() if outline is text)
    return Outline(
        identifier,
        text.title[lang],
        text.preface[lang],
        tuple(texts().cite(s, lang) for s in text.source if texts().between(s, *ends)),
        tuple(
            Section(
                section["heading"][lang],
                tuple(
                    (said.short, said.value)
                    for name in section.get("facts", ())
                    if name in facts
                    for said in [fact_said(name, facts[name], lang)]
                ),
                tuple(prompt[lang] for prompt in section["prompts"]),
            )
            for section in text.sections
        ),
    )


def _fill(known: Mapping[str, Any], lang: str) -> dict[str, str]:
    """What the blanks of a notice can be filled with; what is not known stays a blank."""
    blank = f"〔{i18n.t('rules.dossier.blank', lang)}〕"
    words = texts()

    def said(name: str) -> str:
        return words.value(name, known[name], lang) if name in known else blank

    scene = blank if known.get("scenario") in (None, "other") else said("scenario")
    return {
        "to": said("to_jurisdiction"),
        "scene": scene,
        "basis": said("legal_basis"),
        "day": said("transfer_date"),
    }


@cache
def _data() -> Mapping[str, Any]:
    content: Mapping[str, Any] = yamlfile.load(_DATA / "texts" / "dossier.yaml")
    return content


@cache
def _outlines() -> Mapping[str, OutlineText]:
    def strings(value: Sequence[str] | None) -> tuple[str, ...]:
        return tuple(value or ())

    return {
        name: OutlineText(
            o["title"], strings(o["source"]), strings(o.get("duties")), strings(o.get("routes")),
            strings(o.get("instead_of")), o["preface"], tuple(o["sections"]),
        )
        for name, o in _data()["outlines"].items()
    }  # fmt: skip
