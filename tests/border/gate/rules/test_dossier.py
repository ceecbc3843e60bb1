"""The dossier: what stands in it, and that it really prints in four languages."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import typst
from click.testing import CliRunner
from pypdf import PdfReader

from wantong.border.gate.rules import RuleBase, UnknownFacts, assess
from wantong.border.gate.rules.dossier import _DATA, compose, outlines_for, pdf
from wantong.border.gate.rules.texts import texts
from wantong.cli.assess import command
from wantong.ground import fonts, i18n, yamlfile
from wantong.ground.i18n import LANGUAGES

MACAO = {
    "transfer_date": "2026-12-01", "from_jurisdiction": "CN", "to_jurisdiction": "MO", "from_area": "gba9",
    "to_area": "mo", "sender_is_ciio": False, "is_personal": True, "is_important_data": False,
    "n_nonsensitive": 0, "n_sensitive": 3000, "scenario": "other",
}  # fmt: skip
FOLDER = _DATA / "texts"


def outlines(**changes: object) -> set[str]:
    return {outline.id for outline in compose(MACAO | changes, "en").outlines}


def test_the_outline_depends_on_the_route():
    assert outlines() == {"pia_gba"}
    assert outlines(chosen_route="national_standard_contract") == {"pia_six"}
    assert outlines(chosen_route="certification") == {"pia_six"}
    assert outlines(n_sensitive=0) == {"pia"}
    assert outlines(is_important_data=True) >= {"self_assessment"}
    macao = {
        "transfer_date": "2026-12-01",
        "from_jurisdiction": "MO",
        "to_jurisdiction": "CN",
        "is_personal": True,
    }
    for ground, route in (("mo_consent", "notification_only"), ("mo_safeguards", "authority_authorisation")):
        made = compose({**macao, ground: True}, "pt")
        assert made.story.route == route
        assert [o.id for o in made.outlines] == ["mo_file"]
        assert [f.authorities for f in made.filings] == [
            ("Direcção dos Serviços da Protecção de Dados Pessoais (DSPDP) da RAEM",)
        ]


def test_the_outline_is_filled_from_the_facts():
    (outline,) = compose(MACAO, "zh-hans").outlines
    filled = {fact: value for section in outline.sections for fact, value in section.facts}
    assert filled["敏感个人信息人数"] == "3,000"
    assert filled["接收方法域"] == "澳门特别行政区"
    assert filled["处理依据"] == "个人同意"  # assumed, and so printed as what the report must confirm


def test_the_checklist_names_papers_and_authorities():
    made = compose(MACAO, "en")
    papers = {filing.id: filing for filing in made.filings}
    assert set(papers) == {"file_gba_gd", "file_gba_mo"}
    assert papers["file_gba_gd"].authorities == ("Cyberspace Administration of Guangdong Province",)
    assert "Undertaking" in papers["file_gba_gd"].papers
    assert made.story.deadlines[0].dates == (("Guangdong", "15 December 2026"), ("Macao", "16 December 2026"))


def test_the_notice_holds_what_the_answer_asks_for_and_marks_its_blanks():
    (notice,) = compose(MACAO, "zh-hans").notices
    words = "\n".join(notice.paragraphs)
    assert "澳门特别行政区" in words
    assert "2026年12月1日" in words
    assert "敏感个人信息" in words
    assert "单独表示同意" in words
    assert "不满十四周岁" not in words
    assert words.count("〔") == words.count("〕") >= 10
    without = compose(
        MACAO | {"n_sensitive": 0, "legal_basis": "hr", "has_minor_under14": True}, "zh-hans"
    ).notices[0]
    words = "\n".join(without.paragraphs)
    assert "单独表示同意" not in words
    assert "其中的敏感个人信息" not in words
    assert "不满十四周岁" in words


def test_the_notice_follows_the_law_of_the_place_the_data_leaves():
    there = {"transfer_date": "2026-12-01", "is_personal": True, "to_jurisdiction": "CN"}
    assert [n.id for n in compose(there | {"from_jurisdiction": "HK"}, "en").notices] == ["hk"]
    assert [n.id for n in compose(there | {"from_jurisdiction": "MO", "mo_consent": True}, "en").notices] == [
        "mo"
    ]
    assert [n.id for n in compose(MACAO, "en").notices] == ["cn"]


def test_what_is_not_known_stays_a_blank():
    made = compose(
        {
            "from_jurisdiction": "CN",
            "to_jurisdiction": "HK",
            "is_personal": True,
            "transfer_date": "2026-12-01",
        },
        "en",
    )
    assert made.story.route == "needs_info"
    assert all("{" not in p for n in made.notices for p in n.paragraphs)


def test_every_filing_and_outline_can_come_up():
    """Data that no answer reaches would be dead weight: the cases of the rule base reach all of it."""
    reached: set[str] = set()
    for case in RuleBase.load().cases:
        answer = assess(case["facts"])
        reached |= {answer.primary_route, *answer.before}
    data = yamlfile.load(FOLDER / "dossier.yaml")
    assert set(data["filings"]) <= reached
    for outline in data["outlines"].values():
        assert set(outline.get("duties", [])) & reached or set(outline.get("routes", [])) & reached
    for notice in data["notices"].values():
        assert set(notice["duties"]) & reached


def test_the_fuller_outline_stands_for_the_shorter():
    answer = assess(MACAO)
    assert {"pia", "pia_gba"} <= set(answer.before)
    assert len(outlines_for(answer)) == 1


def words_of(content: bytes) -> str:
    return "".join(page.extract_text() for page in PdfReader(io.BytesIO(content)).pages)


@pytest.mark.parametrize("lang", LANGUAGES)
def test_the_text_can_be_taken_out_again(lang):
    made = compose(MACAO, lang)
    found = re.sub(r"\s", "", words_of(pdf(MACAO, lang).content))
    for text in (
        made.story.name, made.story.first, made.story.before[0].text, made.outlines[0].title, made.notices[0].title,
        made.story.articles[0].title, made.story.deadlines[0].dates[0][1],
    ):  # fmt: skip
        assert re.sub(r"\s", "", text) in found, text
    assert made.fingerprint[7:] in found
    assert "⟦" not in found


@pytest.mark.parametrize("lang", LANGUAGES)
def test_the_same_facts_give_the_same_bytes(lang):
    turned = dict(reversed(list(MACAO.items())))
    assert pdf(MACAO, lang) == pdf(turned, lang)
    assert pdf(MACAO | {"n_sensitive": 3001}, lang).filename != pdf(MACAO, lang).filename


def test_it_is_tagged_and_names_its_language():
    reader = PdfReader(io.BytesIO(pdf(MACAO, "zh-hant").content))
    catalogue = reader.trailer["/Root"]
    assert catalogue["/Lang"] == "zh-HK"
    assert catalogue["/MarkInfo"]["/Marked"]
    assert "/StructTreeRoot" in catalogue
    assert "粵港澳大灣區個人信息跨境流動標準合同" in reader.metadata.title


def test_only_our_own_fonts_are_used_and_all_are_embedded():
    fonts = set()
    for page in PdfReader(io.BytesIO(pdf(MACAO, "zh-hans").content)).pages:
        for font in page["/Resources"]["/Font"].values():
            inner = font.get_object()["/DescendantFonts"][0].get_object()
            assert "/FontFile3" in inner["/FontDescriptor"] or "/FontFile2" in inner["/FontDescriptor"]
            fonts.add(re.sub(r"^/\w+\+", "", inner["/BaseFont"]))
    assert {name.split("-")[0] for name in fonts} == {"WantongSans"}


def test_the_fonts_hold_every_character_of_every_text(tmp_path: Path):
    """Set strictly (PDF/UA-1), type with a missing character is an error."""
    messages = [_DATA / "messages" / f"{name}.yaml" for name in ("dossier", "texts")]
    files = [*FOLDER.glob("*.yaml"), *messages]
    characters = sorted({c for file in files for c in file.read_text("utf-8") if c > " "})
    source = tmp_path / "all.typ"
    source.write_text(
        '#set document(title: "all")\n#set text(font: "Wantong Sans", lang: "en")\n'
        f"#text(weight: sys.inputs.weight, {json.dumps(''.join(characters), ensure_ascii=False)})"
    )
    for weight in ("regular", "bold"):
        typst.compile(
            source,
            font_paths=[fonts.FOLDER],
            ignore_system_fonts=True,
            pdf_standards=["ua-1"],
            sys_inputs={"weight": weight},
        )


@pytest.mark.slow
def test_every_answer_of_the_case_book_becomes_a_dossier():
    done = set()
    for case in RuleBase.load().cases:
        key = (case["expected_route"], case["facts"].get("from_jurisdiction"))
        if key in done:
            continue
        done.add(key)
        for lang in LANGUAGES:
            assert b"%PDF-" in pdf(case["facts"], lang).content[:8], case["id"]
    assert len(done) > 15


@pytest.mark.skipif(
    shutil.which("pdftotext") is None, reason="pdftotext (Debian: poppler-utils) is not installed"
)
def test_an_independent_reader_finds_the_words(tmp_path: Path):
    file = tmp_path / "dossier.pdf"
    file.write_bytes(pdf(MACAO, "zh-hans").content)
    told = subprocess.run(
        ["pdftotext", "-layout", file, "-"], capture_output=True, check=True
    ).stdout.decode()
    assert "粤港澳大湾区个人信息跨境流动标准合同" in told
    assert "个人信息保护影响评估" in told


def test_bad_facts_make_no_dossier():
    with pytest.raises(UnknownFacts):
        pdf({"colour": "red"}, "en")


def test_every_label_of_the_dossier_is_used():
    template = (_DATA / "dossier.typ").read_text()
    labels = {
        key.removeprefix("rules.dossier.") for key in i18n.catalogue() if key.startswith("rules.dossier.")
    }
    assert {label for label in labels if not re.search(rf"\bl\.{label}\b", template)} <= {"blank"}
    assert set(re.findall(r"\bl\.(\w+)", template)) <= labels


def test_the_titles_it_prints_are_those_of_the_texts():
    assert compose(MACAO, "pt").story.authorities[1].name == texts().authorities["MO_DSPDP"]["name"]["pt"]


def test_the_command_writes_the_same_dossier(tmp_path: Path):
    facts, target = tmp_path / "facts.json", tmp_path / "dossier.pdf"
    facts.write_text(json.dumps(MACAO))
    done = CliRunner().invoke(command, [str(facts), "--json", "--lang", "pt", "--pdf", str(target)])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["primary_route"] == "gba_standard_contract"
    assert target.read_bytes() == pdf(MACAO, "pt").content
    nowhere = CliRunner().invoke(command, [str(facts), "--pdf", str(tmp_path / "no" / "x.pdf")])
    assert nowhere.exit_code == 1
    assert "no/x.pdf" in nowhere.output
