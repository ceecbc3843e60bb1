"""``wantong assess`` and ``wantong rules`` as they are typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from wantong.border.gate.rules import RuleBase
from wantong.cli import main
from wantong.ground import clock
from wantong.ground.i18n import LANGUAGES

KEYS = {
    "primary_route", "also_permitted", "before", "obligations", "deadlines", "authorities", "citations",
    "assumptions_used", "missing_facts", "rule_ids", "rule_base_version", "transfer_date", "provisional",
}  # fmt: skip
BASE = RuleBase.load()


def wantong(*words: object, stdin: str | None = None) -> Result:
    return CliRunner(env={"WANTONG_LANG": "en"}).invoke(main, [str(w) for w in words], input=stdin)


@pytest.fixture
def facts(tmp_path: Path) -> Path:
    file = tmp_path / "facts.json"
    file.write_text(json.dumps(BASE.cases[0]["facts"]))
    return file


def test_json_has_exactly_the_keys_that_were_promised(facts: Path) -> None:
    done = wantong("assess", facts, "--json")
    assert done.exit_code == 0
    answer = json.loads(done.stdout)
    assert set(answer) == KEYS and answer["primary_route"] == BASE.cases[0]["expected_route"]


@pytest.mark.parametrize("case", BASE.cases[:12], ids=lambda c: c["id"])
@pytest.mark.parametrize("lang", LANGUAGES)
def test_people_are_told_in_their_language(case: dict, lang: str, tmp_path: Path) -> None:
    file = tmp_path / "facts.yaml"
    file.write_text(json.dumps(case["facts"]))
    done = wantong("assess", file, "--lang", lang)
    assert done.exit_code == 0 and "⟦" not in done.output
    assert BASE.label in done.output


def test_standard_input_and_an_explanation() -> None:
    done = wantong("assess", "-", "--json", "--explain", stdin=json.dumps(BASE.cases[0]["facts"]))
    said = json.loads(done.stdout)
    assert set(said) == {"assessment", "why", "also", "routes"}
    assert said["why"]["rule_id"] == said["assessment"]["rule_ids"][0]


def test_another_day_prevails_and_is_said(facts: Path) -> None:
    done = wantong("assess", facts, "--json", "--date", "2024-03-21")
    assert json.loads(done.stdout)["transfer_date"] == "2024-03-21"
    assert json.loads(done.stdout)["missing_facts"] == ["no_rule"]
    assert "the facts say the transfer is on 2026-11-21" in done.stderr
    assert (
        "has no rule for these places and this day" in wantong("assess", facts, "--date", "2024-03-21").output
    )


def test_without_a_day_the_law_of_today_applies_and_that_is_said(facts: Path) -> None:
    undated = {
        name: value for name, value in json.loads(facts.read_text()).items() if name != "transfer_date"
    }
    done = wantong("assess", "-", "--json", stdin=json.dumps(undated))
    assert json.loads(done.stdout)["transfer_date"] == clock.today().isoformat()
    assert f"by the law of today, {clock.today()}" in done.stderr


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("is_persnal: true", "Did you mean is_personal?"),
        ("n_sensitive: -4", "n_sensitive must be between 0 and"),
        ("{from_jurisdiction: CN, from_area: hk}", "held in the Mainland"),
        ("[1]", "must be a YAML or JSON mapping"),
    ],
)
def test_wrong_facts_are_told_and_nothing_is_answered(text: str, words: str, tmp_path: Path) -> None:
    file = tmp_path / "facts.yaml"
    file.write_text(text)
    done = wantong("assess", file)
    assert done.exit_code == 2 and words in done.stderr and done.stdout == ""
    problem = json.loads(wantong("assess", file, "--json").stderr)
    assert problem["type"].startswith("https://wantong.dev/problems/facts-")


def test_a_file_that_is_not_there() -> None:
    assert wantong("assess", "nowhere.yaml").exit_code == 2
    assert wantong("assess", "-", "--rules", "nowhere", stdin="{}").exit_code == 2


def test_check_of_the_packaged_base_passes_even_strictly() -> None:
    done = wantong("rules", "check", "--strict")
    assert done.exit_code == 0 and "0 errors, 0 warnings" in done.output
    assert json.loads(wantong("rules", "check", "--json").stdout)["counts"]["error"] == 0


def test_check_and_diff_of_a_changed_base(tmp_path: Path) -> None:
    import yaml

    changed = dict(BASE.raw)
    changed["rules"] = [r for r in BASE.raw["rules"] if r["id"] != "CN-M05"]
    file = tmp_path / "changed.yaml"
    file.write_text(yaml.safe_dump(changed, allow_unicode=True))
    done = wantong("rules", "check", file, "-q")
    assert done.exit_code == 1 and "gap" in done.output and "note " not in done.output
    done = wantong("rules", "diff", "packaged", file)
    assert done.exit_code == 1 and "- rules CN-M05" in done.output and "answer differently" in done.output
    assert (
        json.loads(wantong("rules", "diff", "packaged", file, "--json").stdout)["changes"][0]["id"]
        == "CN-M05"
    )
    done = wantong("rules", "diff", "packaged", "packaged")
    assert done.exit_code == 0 and "no difference" in done.output
    assert wantong("rules", "diff", "packaged", "nowhere").exit_code == 2
