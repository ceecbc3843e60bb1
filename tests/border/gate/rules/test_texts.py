"""Every word the rule base can say stands in all four languages, and articles are cited as each language does."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from wantong.border.gate.rules import RuleBase, assess
from wantong.border.gate.rules.texts import _FOLDER, _chinese, day, number, texts
from wantong.ground import yamlfile
from wantong.ground.i18n import LANGUAGES

BASE = RuleBase.load()
TEXTS = texts()


def language_maps(value: Any, path: str = "") -> Iterator[tuple[str, Mapping[str, str]]]:
    if isinstance(value, list):
        for at, inner in enumerate(value):
            yield from language_maps(inner, f"{path}/{at}")
    elif isinstance(value, dict):
        if set(value) & set(LANGUAGES) and not value.keys() <= {
            "en",
            "pt",
        }:  # `end` patterns are for two only
            yield path, value
        else:
            for key, inner in value.items():
                yield from language_maps(inner, f"{path}/{key}")


@pytest.mark.parametrize("file", sorted(_FOLDER.glob("*.yaml")), ids=lambda f: f.stem)
def test_every_text_stands_in_all_four_languages(file):
    maps = list(language_maps(yamlfile.load(file)))
    assert maps
    for path, texts_ in maps:
        assert set(texts_) == set(LANGUAGES), path
        assert all(isinstance(t, str) for t in texts_.values()), path
        assert all(t or path.endswith("separator") for t in texts_.values()), path


@pytest.mark.parametrize(
    ("of_base", "of_texts"),
    [
        (BASE.routes, TEXTS.routes),
        (BASE.facts, TEXTS.facts),
        (BASE.obligations, TEXTS.obligations),
        (BASE.by_id, TEXTS.rules),
        (BASE.authorities, TEXTS.authorities),
        (BASE.documents, TEXTS.documents),
        (BASE.calendars, TEXTS.places),
    ],
    ids=["routes", "facts", "obligations", "rules", "authorities", "documents", "places"],
)
def test_texts_cover_the_rule_base_and_nothing_else(of_base, of_texts):
    assert set(of_texts) == set(of_base)


def test_every_value_of_every_fact_has_a_label():
    for name, fact in BASE.facts.items():
        assert set(TEXTS.facts[name].values) == set(fact.values), name


def test_every_fact_is_asked_under_exactly_one_topic():
    asked = [name for topic in TEXTS.topics.values() for name in topic.facts]
    assert sorted(asked) == sorted(BASE.facts)


def test_every_citation_can_be_said():
    citations = [c for rule in BASE.rules for c in rule.citations]
    citations += [o.citation for o in BASE.obligations.values()]
    citations += [a for fact in TEXTS.facts.values() for a in fact.articles]
    dossier = yamlfile.load(_FOLDER / "dossier.yaml")
    for part in ("outlines", "notices"):
        citations += [source for entry in dossier[part].values() for source in entry["source"]]
    assert [c for c in citations if not TEXTS.knows(c)] == []


def test_every_deadline_has_its_wording():
    for rule in BASE.rules:
        if rule.deadline is not None:
            assert rule.deadline.text in TEXTS.deadlines, rule.id
            assert rule.deadline.event is None or rule.deadline.event in TEXTS.events, rule.id
            assert rule.deadline.unit is None or rule.deadline.unit in TEXTS.units, rule.id
            assert all(stage["what"] in TEXTS.stages for stage in rule.deadline.stages), rule.id


def test_every_rule_of_low_confidence_says_what_is_open():
    assert set(TEXTS.cautions) == {rule.id for rule in BASE.rules if rule.confidence == "low"}


# characters written otherwise in the other script: a text put into the wrong language shows at once
SIMPLIFIED_ONLY = re.compile("[个门务关处实对应标区过这报专备办证险发转单义规约]")
TRADITIONAL_ONLY = re.compile("[個門務關處實對應標區過這報專備辦證險發轉單義規約]")


@pytest.mark.parametrize("file", sorted(_FOLDER.glob("*.yaml")), ids=lambda f: f.stem)
def test_each_chinese_text_is_in_its_own_script(file):
    for path, maps in language_maps(yamlfile.load(file)):
        assert not TRADITIONAL_ONLY.search(maps["zh-hans"]), path
        assert not SIMPLIFIED_ONLY.search(maps["zh-hant"]), path
        assert not re.search("[\u4e00-\u9fff]", maps["en"] + maps["pt"]), path


@pytest.mark.parametrize(
    ("citation", "said"),
    [
        ("PIPL 38(1)(3)", {"zh-hans": "《个人信息保护法》第三十八条第一款第三项", "en": "PIPL, art. 38, para. 1, item 3"}),
        ("PIPL 55(4)", {"zh-hans": "《个人信息保护法》第五十五条第四项", "en": "PIPL, art. 55, item 4"}),
        ("PROV 7(1)-(2)", {"zh-hans": "《促进和规范数据跨境流动规定》第七条第一项至第二项"}),
        ("MO8 20(1)", {"pt": "Lei n.º 8/2005, art. 20.º, n.º 1", "zh-hant": "第8/2005號法律第二十條第一款"}),
        ("MO8 19-20", {"pt": "Lei n.º 8/2005, art. 19.º a 20.º", "en": "Macao Law 8/2005, art. 19–20"}),
        ("PDPO 35J-35K", {"en": "PDPO, s. 35J–35K", "zh-hant": "《個人資料（私隱）條例》第35J條至第35K條"}),
        ("PDPO Sch. 1 DPP3", {"en": "PDPO, Schedule 1, DPP 3"}),
        ("PDPO 33 not in operation", {"zh-hant": "《個人資料（私隱）條例》第33條（尚未實施）"}),
        ("SCCG2 I(2)", {"zh-hans": "《个人信息出境标准合同备案指南（第二版）》第一部分第（二）项"}),
        ("PIPL 39, 14; QA2607", {"en": "PIPL, art. 39, art. 14; CAC Q&A, July 2026"}),
        ("an unknown book 3", {"en": "an unknown book 3"}),
    ],
)  # fmt: skip
def test_cites_as_the_language_does(citation, said):
    assert {lang: TEXTS.cite(citation, lang) for lang in said} == said


@pytest.mark.parametrize(
    ("arabic", "chinese"),
    [("1", "一"), ("10", "十"), ("12", "十二"), ("20", "二十"), ("72", "七十二"), ("100", "一百"), ("105", "一百零五"),
     ("110", "一百一十"), ("35J", "35J"), ("III", "三")],
)  # fmt: skip
def test_counts_articles_in_chinese(arabic, chinese):
    assert _chinese(arabic) == chinese


def test_says_values_as_people_do():
    assert TEXTS.value("is_personal", True, "pt") == "sim"
    assert TEXTS.value("to_jurisdiction", "MO", "zh-hant") == "澳門特別行政區"
    assert TEXTS.value("n_sensitive", 12000, "en") == number(12000, "en") == "12,000"
    assert number(12000, "pt") == "12\N{NO-BREAK SPACE}000"
    assert TEXTS.value("transfer_date", "2026-12-01", "pt") == "1 de Dezembro de 2026"
    assert day(dt.date(2026, 12, 1), "zh-hans") == "2026年12月1日"
    assert day(dt.date(2026, 12, 1), "en") == "1 December 2026"
    assert TEXTS.term(10, "working_days", "zh-hans") == "10个工作日"


def test_cites_only_what_is_law_between_the_two_places():
    both = "GBAHK 5 (by a secondary index); GBAMO 5 (by a secondary index); PIPL 39; standard contracts"
    assert TEXTS.between(both, "CN", "MO") == "GBAMO 5 (by a secondary index); PIPL 39; standard contracts"
    assert TEXTS.between(both, "HK", "CN").startswith("GBAHK 5")
    assert TEXTS.between("PDPO 2", "CN", "MO") == ""
    assert TEXTS.between(both) == TEXTS.between(both, "CN") == both


def test_no_duty_of_any_answer_loses_all_its_articles():
    for case in BASE.cases:
        ends = case["facts"]["from_jurisdiction"], case["facts"]["to_jurisdiction"]
        answer = assess(case["facts"])
        for name in (*answer.before, *answer.obligations):
            assert TEXTS.between(BASE.obligations[name].citation, *ends), (case["id"], name)
