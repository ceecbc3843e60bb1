"""A rule base that loads holds together; one that does not says everything that is wrong with it."""

from __future__ import annotations

import copy
import datetime as dt
from pathlib import Path
from typing import Any

import pytest
import yaml

from wantong.border.gate.rules import RuleBase, RuleBaseInvalid, assess, lint
from wantong.border.gate.rules.base import Period
from wantong.border.gate.rules.diff import diff

BASE = RuleBase.load()


def altered(change: Any) -> dict[str, Any]:
    data: dict[str, Any] = copy.deepcopy(dict(BASE.raw))
    change(data)
    return data


def rule(data: dict[str, Any], id: str) -> dict[str, Any]:
    found: dict[str, Any] = next(r for r in data["rules"] if r["id"] == id)
    return found


def test_the_packaged_base_has_the_rules_of_the_first_draft_and_more() -> None:
    assert len(BASE.rules) > 67 and len(BASE.facts) == 51 and len(BASE.cases) > 500
    assert BASE.label.startswith(f"{BASE.version}+sha256.")
    assert RuleBase.load() is BASE


def test_the_digest_tells_any_change_of_the_law_and_no_change_of_spelling(tmp_path: Path) -> None:
    again = RuleBase.from_data(copy.deepcopy(dict(BASE.raw)))
    assert again.digest == BASE.digest
    one_file = tmp_path / "base.yaml"
    one_file.write_text(yaml.safe_dump(dict(BASE.raw), allow_unicode=True), "utf-8")
    assert RuleBase.load(one_file).digest == BASE.digest
    changed = altered(lambda d: d["parameters"]["SPI_HIGH"].update(value=10_001))
    assert RuleBase.from_data(changed).digest != BASE.digest


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda d: rule(d, "CN-E01").update(when="is_persnal == false"), "rule CN-E01: unknown fact is_persnal"),
        (lambda d: rule(d, "CN-E01").update(route="exmpt"), "rule CN-E01: unknown route exmpt"),
        (lambda d: rule(d, "CN-E01").update(route="needs_info"), "rule CN-E01: unknown route needs_info"),
        (lambda d: rule(d, "CN-E01").pop("route"), "rule CN-E01: a rule of kind exempt needs a route"),
        (lambda d: rule(d, "CN-D03").update(route="exempt"), "rule CN-D03: a rule of kind duty has no route"),
        (lambda d: rule(d, "CN-E01").update(kind="law"), "rule CN-E01: unknown kind law"),
        (lambda d: rule(d, "CN-E01").update(confidence="sure"), "rule CN-E01: unknown confidence sure"),
        (lambda d: rule(d, "CN-E01").update({"from": ["GD"]}), "rule CN-E01: unknown place GD"),
        (lambda d: rule(d, "CN-D03").update(before=["tea"]), "rule CN-D03: unknown obligation tea"),
        (lambda d: rule(d, "CN-M01").update(authority=["NASA"]), "rule CN-M01: unknown authority NASA"),
        (lambda d: rule(d, "CN-N02").update(excludes=["CN-D99"]), "rule CN-N02: unknown excluded rule CN-D99"),
        (lambda d: rule(d, "CN-M05")["deadline"].update(days="LATER"), "rule CN-M05: unknown parameter LATER"),
        (lambda d: rule(d, "CN-M05")["deadline"].update(unit="moons"), "rule CN-M05: unknown unit moons"),
        (lambda d: rule(d, "CN-M05")["deadline"].update(places=["tw"]), "rule CN-M05: unknown calendar tw"),
        (lambda d: rule(d, "CN-M04")["in_force"].update({"from": "2024-03-21"}), "rule CN-M04: PI_HIGH has no value on 2024-03-21"),
        (lambda d: rule(d, "CN-M04")["in_force"].update(to="2024-01-01"), "rule CN-M04: ends before it begins"),
        (lambda d: d["rules"].append(rule(d, "CN-M04")), "rule CN-M04 stands twice"),
        (lambda d: d["facts"]["is_core_data"].update(default="no"), "fact is_core_data: 'no' cannot be its default"),
        (lambda d: d["facts"]["contract"].update(default="oral"), "fact contract: 'oral' cannot be its default"),
        (lambda d: d["contradictions"]["to-place-macao"].update(when="to_area = 'hk'"), "contradiction to-place-macao: unexpected '='"),
        (lambda d: d.pop("routes"), "malformed: KeyError: 'routes'"),
        (lambda d: rule(d, "CN-E01")["in_force"].update({"from": "soon"}), "malformed: ValueError"),
    ],
)  # fmt: skip
def test_a_fault_is_told(change: Any, fault: str) -> None:
    with pytest.raises(RuleBaseInvalid) as caught:
        RuleBase.from_data(altered(change))
    assert any(error.startswith(fault) for error in caught.value.errors), caught.value.errors


def test_all_faults_are_told_at_once() -> None:
    def change(data: dict[str, Any]) -> None:
        rule(data, "CN-E01").update(route="exmpt", before=["tea"])
        rule(data, "HK-R01").update(when="1 == 1")

    with pytest.raises(RuleBaseInvalid) as caught:
        RuleBase.from_data(altered(change))
    assert len(caught.value.errors) == 3


def test_a_figure_may_change_on_a_day() -> None:
    def change(data: dict[str, Any]) -> None:
        old = data["parameters"]["SPI_HIGH"]
        data["parameters"]["SPI_HIGH"] = {
            "unit": "persons",
            "values": [
                {**old, "in_force": {"from": "2024-03-22", "to": "2026-12-31"}},
                {**old, "value": 50_000, "in_force": {"from": "2027-01-01", "to": None}},
            ],
        }

    base = RuleBase.from_data(altered(change))
    facts = {
        "from_jurisdiction": "CN", "to_jurisdiction": "OTHER", "from_area": "gd_other", "to_area": "other",
        "sender_is_ciio": False, "is_personal": True, "is_important_data": False, "n_nonsensitive": 0,
        "n_sensitive": 20_000, "scenario": "other",
    }  # fmt: skip
    assert assess(facts, dt.date(2026, 12, 31), base=base).primary_route == "security_assessment"
    assert assess(facts, dt.date(2027, 1, 1), base=base).primary_route == "national_standard_contract"


def test_two_values_on_one_day_are_refused() -> None:
    def change(data: dict[str, Any]) -> None:
        old = data["parameters"]["SPI_HIGH"]
        data["parameters"]["SPI_HIGH"] = {"unit": "persons", "values": [old, {**old, "value": 5}]}

    with pytest.raises(RuleBaseInvalid, match="two values on one day"):
        RuleBase.from_data(altered(change))


@pytest.mark.parametrize("text", ["- a\n- b", "a: [", "rules: 5", ""])
def test_files_that_are_no_rule_base(text: str, tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text(text)
    with pytest.raises(RuleBaseInvalid):
        RuleBase.load(tmp_path / "x.yaml")


def test_a_folder_without_rules_and_a_clash_between_files(tmp_path: Path) -> None:
    with pytest.raises(RuleBaseInvalid, match="holds no rule base"):
        RuleBase.load(tmp_path)
    (tmp_path / "a.yaml").write_text("routes: {exempt: free}")
    (tmp_path / "b.yaml").write_text("routes: {exempt: not free}")
    with pytest.raises(RuleBaseInvalid, match=r"routes\.exempt stands twice"):
        RuleBase.load(tmp_path)


def test_periods() -> None:
    day = dt.date
    closed, opened = Period(day(2024, 1, 1), day(2024, 1, 31)), Period(day(2024, 1, 31))
    assert day(2024, 1, 31) in closed and day(2024, 2, 1) not in closed and day(9999, 12, 31) in opened
    assert closed.overlaps(opened) and opened.overlaps(closed)
    assert not closed.overlaps(Period(day(2024, 2, 1)))


def test_the_packaged_base_has_no_error_and_no_warning() -> None:
    assert [f for f in lint.check(BASE) if f.severity != "note"] == []


@pytest.mark.parametrize(
    ("part", "change", "kind", "subject"),
    [
        (lint.logic, lambda d: rule(d, "CN-E01").update(when="is_personal == true and is_personal == false"), "never-true", "CN-E01"),
        (lint.logic, lambda d: rule(d, "MO-R04").update(priority=1, when="personal_or_household == true"), "unreachable", "MO-R04"),
        (lint.logic, lambda d: rule(d, "CN-C01").update(priority=840), "overlap", "CN-C01"),
        (lint.logic, lambda d: rule(d, "CN-M05").update(when=rule(d, "CN-M05")["when"].replace("n_sensitive > 0", "n_sensitive > 1")), "gap", "CN→OTHER"),
        (lint.sources, lambda d: rule(d, "CN-E01").update(citation=[]), "uncited", "CN-E01"),
        (lint.sources, lambda d: rule(d, "CN-E01").update(citation=["hearsay 3"]), "unknown-document", "CN-E01"),
        (lint.sources, lambda d: d["obligations"]["pia"].update(citation="hearsay"), "unknown-document", "pia"),
        (lint.sources, lambda d: d["parameters"]["SPI_HIGH"].update(citation="hearsay"), "unknown-document", "SPI_HIGH"),
        (lint.sources, lambda d: rule(d, "HK-R01").update(confidence="high"), "overconfident", "HK-R01"),
        (lint.sources, lambda d: rule(d, "CN-N02")["in_force"].update({"from": "2020-01-01"}), "before-its-source", "CN-N02"),
        (lint.sources, lambda d: rule(d, "CN-G01").pop("closes_alternatives"), "open-gate", "CN-G01"),
        (lint.references, lambda d: d["obligations"].update(tea={"text": "Tea", "citation": "PIPL 1"}), "unused-obligation", "tea"),
        (lint.cases, lambda d: d.update(cases=[{"id": "X1", "title": "", "facts": {}, "expected_route": "exempt"}]), "case", "X1"),
        (lint.cases, lambda d: d.update(cases=[{"id": "X2", "title": "", "facts": {"x": 1}, "expected_route": "exempt"}]), "case", "X2"),
        (lint.cases, lambda d: d.update(cases=[BASE.cases[0]]), "untried", "MO-R04"),
    ],
)  # fmt: skip
def test_a_careful_reader_objects(part: Any, change: Any, kind: str, subject: str) -> None:
    findings = list(part(RuleBase.from_data(altered(change))))
    assert (kind, subject) in {(f.kind, f.subject) for f in findings}


def test_the_difference_of_two_bases_in_words_and_in_effect() -> None:
    def change(data: dict[str, Any]) -> None:
        data["parameters"]["SPI_HIGH"]["value"] = 5_000
        data["rules"].remove(rule(data, "HK-O01"))
        data["authorities"]["NEW"] = "a new office"
        data["cases"] = list(BASE.cases)

    found = diff(BASE, RuleBase.from_data(altered(change)))
    changes = {(c.section, c.id): c for c in found.changes}
    assert changes["parameters", "SPI_HIGH"].fields == {"value": (10_000, 5_000)}
    assert changes["rules", "HK-O01"].what == "removed"
    assert changes["authorities", "NEW"].what == "added"
    assert len(changes) == 3
    effects = {e.case: e for e in found.effects}
    assert effects["T027"].parts["primary_route"] == ("national_standard_contract", "security_assessment")
    assert effects["T121"].parts["also_permitted"] == (["gba_standard_contract"], [])
    assert "T001" not in effects


def test_a_base_does_not_differ_from_itself() -> None:
    found = diff(BASE, RuleBase.from_data(copy.deepcopy(dict(BASE.raw))))
    assert found.changes == () and found.effects == ()
