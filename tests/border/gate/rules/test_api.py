"""The rule base over HTTP."""

from __future__ import annotations

import json

import pytest
from django.test import Client

from wantong.border.gate.rules import RuleBase, assess
from wantong.ground import clock

FACTS = {
    "from_jurisdiction": "CN", "to_jurisdiction": "HK", "transfer_date": "2026-12-01", "is_personal": True,
    "is_important_data": False, "scenario": "other", "sender_is_ciio": False, "n_sensitive": 0,
    "n_nonsensitive": 50_000,
}  # fmt: skip
KEYS = {
    "primary_route", "also_permitted", "before", "obligations", "deadlines", "authorities", "citations",
    "assumptions_used", "missing_facts", "rule_ids", "rule_base_version", "transfer_date", "provisional",
}  # fmt: skip


def post(client: Client, path: str, body: object):
    content = body if isinstance(body, (bytes, str)) else json.dumps(body)
    return client.post(f"/api{path}", content, content_type="application/json")


def test_assesses_with_exactly_the_agreed_keys(client: Client):
    answer = post(client, "/assess", {"facts": FACTS}).json()
    assert set(answer) == KEYS
    assert answer == assess(FACTS).to_dict()
    assert answer["primary_route"] == "exempt"


def test_a_date_chooses_the_law_of_that_day(client: Client):
    middle = FACTS | {"n_nonsensitive": 500_000, "chosen_route": "certification"}
    now = post(client, "/assess", {"facts": middle}).json()
    before = post(client, "/assess", {"facts": middle, "date": "2025-12-31"}).json()
    assert (now["primary_route"], before["primary_route"]) == ("certification", "national_standard_contract")


@pytest.mark.parametrize("facts", [{}, {"transfer_date": None}])
def test_without_a_day_the_law_of_today_applies(client: Client, facts: dict):
    undated = {name: value for name, value in FACTS.items() if name != "transfer_date"} | facts
    answer = post(client, "/assess", {"facts": undated}).json()
    assert answer == assess(undated, clock.today()).to_dict()
    assert answer["primary_route"] == "exempt"


def test_explains_why_and_why_not(client: Client):
    told = post(client, "/assess/explain", {"facts": FACTS}).json()
    assert told["assessment"]["primary_route"] == told["routes"][0]["route"] == "exempt"
    assert told["why"]["rule_id"] == "CN-E07"


@pytest.mark.parametrize(
    ("body", "status", "slug"),
    [
        (b"{", 400, "facts-unreadable"),
        (b"[" * 100_000, 400, "facts-unreadable"),
        ([], 400, "facts-unreadable"),
        ({"facts": []}, 400, "facts-unreadable"),
        ({"facts": FACTS, "fact": {}}, 400, "facts-unreadable"),
        ({"facts": FACTS, "date": "tomorrow"}, 400, "facts-unreadable"),
        ({"facts": FACTS, "date": 5}, 400, "facts-unreadable"),
        ({"facts": FACTS, "lang": "fr"}, 400, "facts-unreadable"),
        ({"facts": FACTS | {"colour": "red"}}, 422, "facts-unknown"),
        ({"facts": FACTS | {"n_sensitive": -1}}, 422, "facts-impossible"),
        ({"facts": FACTS | {"n_sensitive": "3000"}}, 422, "facts-impossible"),
        ({"facts": FACTS | {"to_area": "gba9"}}, 422, "facts-contradictory"),
    ],
)
@pytest.mark.parametrize("path", ["/assess", "/assess/next", "/assess.pdf"])
def test_bad_facts_are_a_problem(client: Client, path, body, status, slug):
    response = post(client, path, body)
    assert response.status_code == status
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.json()["type"].endswith(f"/{slug}")


def test_asks_next_until_the_answer_stands(client: Client):
    facts: dict[str, object] = {}
    answers = FACTS | {"from_area": "gba9", "to_area": "hk"}
    for _ in range(12):
        questions = post(client, "/assess/next", {"facts": facts, "lang": "pt"}).json()["questions"]
        required = [q for q in questions if q["required"]]
        if not required:
            break
        assert required[0]["question"].endswith("?")
        facts[required[0]["fact"]] = answers[required[0]["fact"]]
    assert post(client, "/assess", {"facts": facts}).json()["primary_route"] == "exempt"
    assert len(facts) <= 11


def test_a_question_comes_with_its_labels_and_articles(client: Client):
    (question,) = [
        q
        for q in post(client, "/assess/next", {"facts": FACTS, "lang": "zh-hans"}).json()["questions"]
        if q["fact"] == "legal_basis"
    ]
    assert {"value": "consent", "label": "个人同意"} in question["values"]
    assert "《个人信息保护法》第十三条" in question["articles"]
    assert question["default"] == "consent"
    assert not question["required"]


def test_the_dossier_comes_in_the_language_asked_for(client: Client):
    response = post(client, "/assess.pdf", {"facts": FACTS, "lang": "zh-hant"})
    assert response.headers["Content-Language"] == "zh-Hant"
    assert response.content.startswith(b"%PDF-")


def test_the_rule_base_can_be_read(client: Client):
    base = RuleBase.load()
    told = client.get("/api/rules").json()
    assert (told["version"], told["digest"], len(told["rules"])) == (
        base.version,
        base.digest,
        len(base.rules),
    )
    then = client.get("/api/rules?on=2023-01-01").json()["rules"]
    assert 0 < len(then) < len(told["rules"])
    assert all(rule["in_force"]["from"] <= "2023-01-01" for rule in then)
