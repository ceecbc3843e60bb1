"""The questionnaire as a browser sees it, without JavaScript."""

from __future__ import annotations

import json
import re
from html import unescape
from html.parser import HTMLParser
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from tests.ground.test_turns import all_taken

from wantong.border.gate.rules import RuleBase, assess, dossier, typesetting
from wantong.border.gate.rules.pages import TONES
from wantong.ground.i18n import LANG_ATTRIBUTE, LANGUAGES

BROWSER = {"HTTP_ACCEPT": "text/html"}
# a hospital in Zhuhai sends 3,000 records to a clinic in Macao
ZHUHAI = {
    "from_jurisdiction": "CN", "to_jurisdiction": "MO", "transfer_date": "2026-12-01", "is_personal": "yes",
    "is_important_data": "no", "scenario": "other", "sender_is_ciio": "no", "n_sensitive": "3000",
    "n_nonsensitive": "0", "from_area": "gba9", "to_area": "mo",
}  # fmt: skip
ASSESS = "/en/assess"


class Form(HTMLParser):
    """The questionnaire's form: hidden fields, and what it asks."""

    def __init__(self, body: str) -> None:
        super().__init__()
        self.hidden: list[tuple[str, str]] = []
        self.choices: dict[str, list[str]] = {}
        self.feed(body[: body.find("</form>", body.find('method="get"'))])

    def handle_starttag(self, tag, attrs):
        a = dict(attrs)
        if tag != "input" or a.get("name") in (None, "csrfmiddlewaretoken"):
            return
        if a["type"] == "hidden":
            self.hidden.append((a["name"], a["value"]))
        else:
            self.choices.setdefault(a["name"], []).append(a.get("value", ""))

    @property
    def asked(self) -> list[str]:
        return [value for name, value in self.hidden if name == "asked"]


def walk(client: Client, answers: dict[str, str], path: str = ASSESS) -> tuple[list[list[str]], str, str]:
    """Answer forms until there is an answer: the groups asked, the last page, its query."""
    groups, query = [], ""
    for _ in range(30):
        body = client.get(f"{path}?{query}", **BROWSER).content.decode()
        form = Form(body)
        if not form.asked:
            return groups, body, query
        groups.append(form.asked)
        query = urlencode([*form.hidden, *((name, answers[name]) for name in form.asked)])
    raise AssertionError("the questionnaire does not end")


def links(body: str, text: str) -> list[str]:
    pattern = rf'href="\?([^"]*)"[^>]*>\s*{re.escape(text)}'
    return [unescape(found) for found in re.findall(pattern, body)]


def test_a_data_officer_in_zhuhai_learns_the_route_in_under_twelve_answers(client: Client):
    groups, body, _ = walk(client, ZHUHAI)
    asked = [name for group in groups for name in group]
    assert groups[0] == ["from_jurisdiction", "to_jurisdiction", "transfer_date"]
    assert len(asked) < 12
    assert len(asked) == len(set(asked))
    assert "Greater Bay Area standard contract" in body
    assert "GBA Guidelines (Mainland, Macao), art. 2" in body
    assert "15 December 2026" in body  # ten Guangdong working days from 1 December
    assert "Direcção dos Serviços da Protecção de Dados Pessoais" in body


def test_the_answer_on_assumptions_is_one_click_away(client: Client):
    body = client.get(
        f"{ASSESS}?from_jurisdiction=MO&to_jurisdiction=HK&transfer_date=2026-12-01&is_personal=yes",
        **BROWSER,
    ).content.decode()
    assert "mo_consent" in Form(body).asked
    (now,) = links(body, "Show the answer on what is assumed")
    body = client.get(f"{ASSESS}?{now}", **BROWSER).content.decode()
    assert "Must not be sent" in body
    consent = next(q for q in links(body, "Make it yes") if "mo_consent=yes" in q)
    assert (
        "Notification to the Macao authority" in client.get(f"{ASSESS}?{consent}", **BROWSER).content.decode()
    )


def test_only_what_still_matters_is_asked(client: Client):
    answers = ZHUHAI | {"is_personal": "no"}
    groups, body, _ = walk(client, answers)
    assert [name for group in groups for name in group] == [
        "from_jurisdiction", "to_jurisdiction", "transfer_date", "is_personal", "is_important_data",
    ]  # fmt: skip
    assert "Exempt from the three formalities" in body


MACAO = {
    "from_jurisdiction": "MO", "to_jurisdiction": "HK", "transfer_date": "2026-12-01", "is_personal": "yes",
    "mo_consent": "no", "mo_derogation": "none", "mo_safeguards": "no", "mo_authorised": "no",
    "mo_sensitive_without_basis": "no", "contract": "none", "hk_new_purpose": "no", "hk_direct_marketing_provision": "no",
    "to_area": "gba9", "from_area": "mo",
}  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "route"),
    [
        ({}, "Must not be sent"),
        ({"mo_consent": "yes"}, "Notification to the Macao authority"),
        ({"mo_derogation": "vital_interest"}, "Notification to the Macao authority"),
        ({"mo_safeguards": "yes"}, "Authorisation of the Macao authority"),
        ({"to_jurisdiction": "CN", "contract": "gba_cn_mo"}, "Greater Bay Area standard contract"),
        ({"from_jurisdiction": "HK", "to_jurisdiction": "MO", "from_area": "hk"}, "No statutory formality"),
        ({"from_jurisdiction": "HK", "to_jurisdiction": "MO", "hk_new_purpose": "yes", "hk_prescribed_consent": "no"}, "Must not be sent"),
    ],
)  # fmt: skip
def test_what_the_regions_law_turns_on_is_asked_before_the_answer(client: Client, changes, route):
    groups, body, _ = walk(client, MACAO | changes)
    assert f'<h1 class="govuk-heading-l">{route}</h1>' in body
    assert sum(map(len, groups)) < 12
    if changes.get("mo_consent") == "yes":
        assert not any("mo_derogation" in group for group in groups[3:])


@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_step_is_wholly_in_the_language(client: Client, lang):
    query = ""
    for _ in range(8):
        body = client.get(f"/{lang}/assess?{query}", **BROWSER).content.decode()
        assert f'<html lang="{LANG_ATTRIBUTE[lang]}"' in body
        assert "⟦" not in body
        assert not re.search(r"<style|\sstyle=|<script(?![^>]*\ssrc=)|\son\w+=", body)
        form = Form(body)
        if not form.asked:
            break
        query = urlencode([*form.hidden, *((name, ZHUHAI[name]) for name in form.asked)])
    assert "rules-answer" in body


@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_answer_of_the_case_book_can_be_shown(client: Client, lang):
    """One case a route, so that no text of any answer is missing."""
    seen = set()
    for case in RuleBase.load().cases:
        if (route := case["expected_route"]) in seen or assess(case["facts"]).missing_facts:
            continue
        seen.add(route)
        query = urlencode(
            {
                k: {True: "yes", False: "no"}.get(v, v) if isinstance(v, bool) else v
                for k, v in case["facts"].items()
            }
        )
        response = client.get(f"/{lang}/assess?{query}&show=yes", **BROWSER)
        assert response.status_code == 200, case["id"]
        body = response.content.decode()
        assert f"rules-answer--{TONES[route]}" in body, case["id"]
        assert "⟦" not in body, case["id"]
    assert len(seen) >= 11


def test_an_assumption_is_changed_with_one_click(client: Client):
    _, body, _ = walk(client, ZHUHAI)
    secret = next(q for q in links(body, "Make it yes") if "is_state_secret=yes" in q)
    assert "Must not be sent" in client.get(f"{ASSESS}?{secret}", **BROWSER).content.decode()
    sector = next(q for q in links(body, "Change") if "ask=sender_sector" in q)
    assert Form(client.get(f"{ASSESS}?{sector}", **BROWSER).content.decode()).asked == ["sender_sector"]


def test_an_answer_is_changed_and_the_others_stay(client: Client):
    _, body, _ = walk(client, ZHUHAI)
    change = next(q for q in links(body, "Change") if "ask=n_sensitive" in q)
    form = Form(client.get(f"{ASSESS}?{change}", **BROWSER).content.decode())
    assert form.asked == ["n_sensitive"]
    assert form.choices["n_sensitive"] == ["3000"]
    query = urlencode([*form.hidden, ("n_sensitive", "12,000")])
    body = client.get(f"{ASSESS}?{query}", **BROWSER).content.decode()
    assert "Provisional" in body
    assert "Guangdong CAC to confirm in writing" in body


def test_back_leads_through_the_steps(client: Client):
    _, body, _ = walk(client, ZHUHAI)
    for _ in range(20):
        back = links(body, "Back")
        if not back:
            break
        body = client.get(f"{ASSESS}?{back[0]}", **BROWSER).content.decode()
        assert Form(body).asked
    assert "upload-title" in body


def test_what_is_not_known_is_said_and_not_asked_again(client: Client):
    answers = ZHUHAI | {"sender_is_ciio": "unknown", "is_important_data": "unknown"}
    _, body, _ = walk(client, answers)
    assert "A deciding fact is missing" in body
    assert len(links(body, "Answer it now")) >= 2


def test_an_answer_left_out_is_asked_for(client: Client):
    response = client.get(f"{ASSESS}?asked=is_personal&from_jurisdiction=CN&to_jurisdiction=MO", **BROWSER)
    assert response.status_code == 422
    assert 'href="#is_personal"' in response.content.decode()


@pytest.mark.parametrize(
    ("fact", "value", "said"),
    [("n_sensitive", "many", "whole number"), ("n_sensitive", "-3", "whole number"), ("transfer_date", "2026-02-30", "real date"),
     ("to_jurisdiction", "Atlantis", "listed answers"), ("is_personal", "perhaps", "yes or no")],
)  # fmt: skip
def test_an_impossible_answer_is_explained(client: Client, fact, value, said):
    response = client.get(f"{ASSESS}?{urlencode(ZHUHAI | {fact: value})}", **BROWSER)
    assert response.status_code == 422
    assert said in response.content.decode()
    assert Form(response.content.decode()).asked == [fact]


def test_answers_that_contradict_each_other_are_asked_again(client: Client):
    query = urlencode(ZHUHAI | {"is_personal": "no"})
    response = client.get(f"{ASSESS}?{query}", **BROWSER)
    assert response.status_code == 422
    assert set(Form(response.content.decode()).asked) == {"is_personal", "n_sensitive", "n_nonsensitive"}


def test_an_answer_that_would_contradict_is_not_offered(client: Client):
    body = client.get(
        f"{ASSESS}?from_jurisdiction=CN&to_jurisdiction=MO&ask=to_area", **BROWSER
    ).content.decode()
    assert Form(body).choices["to_area"] == ["mo", "other", "unknown"]


def test_markup_in_an_answer_stays_text(client: Client):
    body = client.get(
        f"{ASSESS}?n_sensitive=<script>x</script>&to_jurisdiction=%22><b>", **BROWSER
    ).content.decode()
    assert "<script>x" not in body
    assert '"><b>' not in body


def test_a_very_long_address_is_refused_or_cut(client: Client):
    assert client.get(f"{ASSESS}?{'x=1&' * 20000}", **BROWSER).status_code in (200, 400)


def test_the_page_is_json_by_its_extension(client: Client):
    answer = client.get(f"/en/assess.json?{urlencode(ZHUHAI)}&asked=to_area&more=yes").json()
    typed = {k: {"yes": True, "no": False}.get(v, v) for k, v in ZHUHAI.items()} | {
        "n_sensitive": 3000,
        "n_nonsensitive": 0,
    }
    assert answer == assess(typed).to_dict()


def test_json_of_impossible_facts_is_a_problem(client: Client):
    response = client.get("/pt/assess.json?colour=red")
    assert response.status_code == 422
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.json()["type"].endswith("/facts-unknown")


def test_a_facts_file_leads_to_its_answer(client: Client):
    file = SimpleUploadedFile(
        "facts.yaml",
        b"from_jurisdiction: CN\nto_jurisdiction: HK\ntransfer_date: 2026-12-01\nis_personal: false\nis_important_data: false\n",
    )
    response = client.post("/en/assess/upload", {"facts": file}, **BROWSER)
    assert response.status_code == 302
    assert parse_qs(urlsplit(response["Location"]).query)["is_personal"] == ["no"]
    assert "Exempt" in client.get(response["Location"], **BROWSER).content.decode()


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"\xff\xfe\x00", 400),
        (b"colour: red", 422),
        (b"- a\n- b", 400),
        (b"x: 1\n" * 20000, 400),
        (b"is_personal: 7", 422),
    ],
    ids=["bytes", "unknown", "list", "huge", "type"],
)
def test_a_facts_file_that_cannot_be_read_is_refused(client: Client, content, status):
    response = client.post(
        "/zh-hans/assess/upload", {"facts": SimpleUploadedFile("f.yaml", content)}, **BROWSER
    )
    assert response.status_code == status
    assert "重新开始" in response.content.decode()


def test_nothing_uploaded_is_refused(client: Client):
    assert client.post("/en/assess/upload", {}, **BROWSER).status_code == 400


def test_the_dossier_is_downloaded(client: Client):
    response = client.get(f"/pt/assess.pdf?{urlencode(ZHUHAI)}")
    assert response.headers["Content-Type"] == "application/pdf"
    assert response.headers["Content-Disposition"].endswith('-pt.pdf"')
    assert response.content.startswith(b"%PDF-")


def test_a_dossier_that_finds_no_place_is_told_when_to_come_back(client: Client, monkeypatch):
    monkeypatch.setattr(typesetting._TURNS, "_patience", 0.05)
    with all_taken(typesetting._TURNS, typesetting.AT_ONCE):
        response = client.get(f"/zh-hant/assess.pdf?{urlencode(ZHUHAI)}", **BROWSER)
        api = client.post(
            "/api/assess.pdf", json.dumps({"facts": {"is_personal": False}}), content_type="application/json"
        )
    assert response.status_code == api.status_code == 429
    assert response.headers["Retry-After"] == api.headers["Retry-After"] == str(typesetting.RETRY_AFTER)
    assert "秒後再試" in response.content.decode()
    assert client.get(f"/en/assess.pdf?{urlencode(ZHUHAI)}").status_code == 200  # the places are free again


def test_a_dossier_that_takes_too_long_is_killed_and_gives_its_place_back(client: Client, monkeypatch):
    monkeypatch.setattr(typesetting, "LONGEST", 0.01)
    for _ in range(typesetting.AT_ONCE + 1):
        response = client.get(f"/en/assess.pdf?{urlencode(ZHUHAI)}")
        assert response.status_code == 503
        assert response.json()["type"].endswith("/dossier-failed")
    monkeypatch.undo()
    assert client.get(f"/en/assess.pdf?{urlencode(ZHUHAI)}").status_code == 200


def test_a_dossier_never_grows_beyond_its_bounds(client: Client, monkeypatch):
    for bound in ("LARGEST_SHEET", "LARGEST_PDF"):
        with monkeypatch.context() as patch:
            patch.setattr(typesetting, bound, 1000)
            assert client.get(f"/en/assess.pdf?{urlencode(ZHUHAI)}").status_code == 503


def test_the_process_of_its_own_sets_the_same_bytes():
    made = dossier.sheet({"from_jurisdiction": "CN", "to_jurisdiction": "HK", "is_personal": True}, "zh-hans")
    assert typesetting.typeset(made.content, made.timestamp) == typesetting.compose(
        made.content, made.timestamp
    )


def test_a_query_that_would_be_cut_off_is_refused(client: Client):
    response = client.get(f"/en/assess.pdf?{urlencode(ZHUHAI)}&{'x' * 9000}")
    assert response.status_code == 400
