"""The audit of forms: what turns whom away, told by field and reason; forms of strangers do no harm."""

from __future__ import annotations

import contextlib
import json
import time
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from wantong.border.trust.documents import audit, forms, kinds
from wantong.border.trust.documents.audit import residents
from wantong.cli import document
from wantong.ground.i18n import LANGUAGES, catalogue

EXAMPLES = Path(__file__).parents[4] / "docs/examples"
ALL = [{"value": kind, "kinds": [kind]} for kind in kinds.kinds()]


def form(*fields, options=ALL) -> forms.Form:
    return forms.from_dict(
        {"site": "x", "fields": [{"name": "kind", "role": "kind", "options": options}, *fields]}
    )


def faults(made: forms.Form) -> dict[tuple[str, str], list[str]]:
    return {(row.resident.id, row.kind): [one.code for one in row.faults] for row in audit.audit(made).rows}


def test_an_open_form_takes_everybody():
    made = audit.audit(
        form({"name": "no", "role": "number"}, {"name": "n", "role": "name"}, {"name": "p", "role": "phone"})
    )
    assert made.served == len(made.rows) and not made.turned_away
    assert all(not row.faults for row in made.rows)


def test_everybody_is_synthetic_and_every_document_is_somebodys():
    held = {kind for one in residents().values() for kind in one.holds}
    people = {kind.id for kind in kinds.kinds().values() if kind.holder == "person"}
    assert held == people - {"mrz"}


def test_a_form_for_resident_cards_only():
    told = faults(form(
        {"name": "no", "role": "number", "pattern": r"\d{17}[\dXx]", "max_length": 18, "checked_as": ["cn-resident-id"]},
    ))  # fmt: skip
    assert told["cn-resident", "cn-resident-id"] == []
    assert told["hk-resident", "cn-residence-permit"] == ["number-check"], "the trap: 810000 is an area too"
    assert told["hk-resident", "hk-id"] == ["number-check"]


@pytest.mark.parametrize(
    ("field", "who", "code"),
    [
        ({"role": "number", "pattern": r"\d{17}[\dXx]"}, ("hk-resident", "hk-id"), "number-pattern"),
        ({"role": "number", "max_length": 8}, ("mo-resident", "cn-home-return-permit"), "number-length"),
        ({"role": "number", "min_length": 15}, ("mo-resident", "mo-bir"), "number-length"),
        ({"role": "number", "pattern": "[A-Z0-9]+"}, ("hk-resident", "hk-id"), "number-writing"),
        ({"role": "name", "pattern": r"[\u4e00-\u9fa5]{2,4}"}, ("cn-minority", "cn-resident-id"), "name-pattern"),
        ({"role": "name", "pattern": r"\p{Script=Han}+"}, ("mo-resident-portuguese", "mo-bir"), "name-pattern"),
        ({"role": "name", "pattern": "[A-Za-z ]+"}, ("hk-resident-foreign", "hk-id"), "name-pattern"),
        ({"role": "name", "max_length": 10}, ("mo-resident-portuguese", "mo-bir"), "name-length"),
        ({"role": "surname", "min_length": 1}, ("cn-minority", "cn-resident-id"), "name-none"),
        ({"role": "given", "pattern": "[A-Z ]+"}, ("mo-resident-portuguese", "mo-bir"), "name-pattern"),
        ({"role": "phone", "pattern": r"1[3-9]\d{9}"}, ("hk-resident", "hk-id"), "phone-pattern"),
        ({"role": "phone", "min_length": 13, "max_length": 13}, ("mo-resident", "mo-bir"), None),
        ({"role": "birth", "precision": "day"}, ("hk-resident-year", "hk-id"), "birth"),
        ({"role": "birth", "precision": "year"}, ("hk-resident-year", "hk-id"), None),
        ({"role": "birth", "precision": "day", "required": False}, ("hk-resident-year", "hk-id"), None),
        ({"role": "other", "pattern": "never"}, ("hk-resident", "hk-id"), None),
    ],
)  # fmt: skip
def test_each_trap_is_told_by_field_and_reason(field, who, code):
    row = next(
        row for row in audit.audit(form({"name": "f", **field})).rows if (row.resident.id, row.kind) == who
    )
    assert [fault.code for fault in row.faults] == ([code] if code else [])
    assert row.served == (code in (None, "number-writing"))
    for lang in LANGUAGES:
        for fault in row.faults:
            told = fault.to_dict(lang)
            assert "⟦" not in told["why"] + told["next"] and "{" not in told["why"]


def test_a_missing_choice_and_what_else_is_in_the_way():
    told = faults(form({"name": "n", "role": "name", "pattern": r"[\u4e00-\u9fa5]+"}, options=ALL[:1]))
    assert told["hk-resident", "hk-id"] == ["kind"]
    assert told["hk-resident-foreign", "hk-id"] == ["kind", "name-pattern"]


def test_of_several_choices_the_best_counts_and_fields_hang_on_them():
    made = forms.from_dict({
        "site": "x",
        "fields": [
            {"name": "kind", "role": "kind", "options": [
                {"value": "id", "kinds": ["hk-id", "cn-resident-id"]}, {"value": "other", "kinds": ["hk-id"]},
            ]},
            {"name": "id", "role": "number", "pattern": r"\d{18}", "when": ["id"]},
            {"name": "free", "role": "number", "when": ["other"]},
        ],
    })  # fmt: skip
    assert faults(made)["hk-resident", "hk-id"] == []


def test_a_page_is_read_by_its_attributes_and_labels():
    made = forms.read((EXAMPLES / "ticket-form.html").read_text("utf-8"), "page.html")
    assert {field.name: field.role for field in made.fields} == {
        "doctype": "kind", "id_number": "number", "name": "name", "mobile": "phone",
    }  # fmt: skip
    told = {option.value: option.kinds for option in next(made.of("kind")).options}
    assert (
        told["hkid"] == ("hk-id",)
        and told["prc"] == ("cn-residence-permit",)
        and told["id"] == ("cn-resident-id",)
    )
    assert made.site == "Library card" and next(made.of("number")).max_length == 18


def test_the_description_and_its_schema_agree():
    made = forms.read((EXAMPLES / "ticket-form.yaml").read_text("utf-8"))
    found = audit.audit(made)
    assert found.served == 2 and len(found.turned_away) == 6
    moon = {"name": "a", "role": "kind", "options": [{"value": "1", "kinds": ["moon-id"]}]}
    for reason, bad in (
        *(("schema", one) for one in ({}, {"site": "x", "fields": []}, 1, None, [])),
        ("schema", {"site": "x", "fields": [{"name": "a", "role": "soul"}]}),
        ("no-kind", {"site": "x", "fields": [moon]}),
        ("no-pattern", {"site": "x", "fields": [{"name": "a", "role": "number", "pattern": "("}]}),
    ):
        with pytest.raises(forms.BadForm) as refused:
            forms.from_dict(bad)
        assert refused.value.params["reason"] == reason
    for reason, text in (
        ("unreadable", "a: ["),
        ("no-field", "<p>nothing</p>"),
        ("not-html", "<!-- -->"),
        ("too-large", "x" * (forms.LARGEST + 1)),
        ("unreadable", "!!python/object:os.system x"),
        ("not-object", "a: 2020-01-01"),
    ):
        with pytest.raises(forms.BadForm) as refused:
            forms.read(text)
        assert refused.value.params["reason"] == reason
        assert not any("⟦" in refused.value.explain(lang)["detail"] for lang in LANGUAGES)


@pytest.mark.parametrize("pattern", ["(a+)+b", "(a|aa)+$", "((a{99}){99}){99}", "(?=(.*)*x)y", r"(\w+\s?)+!"])
def test_a_pattern_that_would_take_for_ever_takes_no_time(pattern):
    started = time.process_time()
    with contextlib.suppress(forms.BadForm):
        audit.audit(form({"name": "n", "role": "name", "pattern": pattern}))
    assert time.process_time() - started < 5


@given(st.text(max_size=200))
def test_any_page_is_read_or_refused(text):
    with contextlib.suppress(forms.BadForm):
        audit.audit(forms.from_html("<input name=number " + text))


def test_every_reason_has_words():
    for code in ("kind", "birth", "number-check", "number-writing", "name-none", *(
        f"{what}-{why}" for what in ("number", "name", "phone") for why in ("length", "pattern", "unreadable")
    )):  # fmt: skip
        for part in ("why", "next"):
            assert set(catalogue()[f"documents.audit.{part}.{code}"]) == set(LANGUAGES), code


def test_the_command():
    run = CliRunner().invoke
    done = run(document.command, ["audit", str(EXAMPLES / "ticket-form.yaml"), "--lang", "zh-hant"])
    assert done.exit_code == 1 and "6 類居民無一證件可用" in done.output
    assert run(document.command, ["audit", __file__, "--lang", "en"]).exit_code == 2
    done = run(document.command, ["check", "hk-id", "--json"], input="A123456(3)\n")
    assert done.exit_code == 0 and json.loads(done.output)["well_formed"] is True
    assert run(document.command, ["check", "hk-id", "A123456(4)"]).exit_code == 1
    assert run(document.command, ["check", "moon-id", "1"]).exit_code == 2
    assert "hk-id" in run(document.command, ["kinds"]).output


def test_the_api_and_the_pages(client):
    page = (EXAMPLES / "ticket-form.html").read_text("utf-8")
    told = client.post(
        "/api/documents/audit", {"html": page, "lang": "pt"}, content_type="application/json"
    ).json()
    assert (told["served"], told["of"]) == (14, 17)
    assert (
        client.post("/api/documents/audit", {"form": {}}, content_type="application/json").status_code == 422
    )
    assert client.get("/api/documents/form-schema").json()["title"]
    for lang in LANGUAGES:
        good = client.post(f"/{lang}/documents/", {"kind": "hk-id", "number": "A123456(3)"})
        assert good.status_code == 200 and "⟦" not in good.content.decode()
        assert "A123456" not in good.content.decode(), "a number is not shown again"
        assert client.post(f"/{lang}/documents/", {"kind": "hk-id"}).status_code == 422
        assert client.post(f"/{lang}/documents/audit", {"text": page}).status_code == 200
        assert client.post(f"/{lang}/documents/audit", {"text": "a: ["}).status_code == 422


def test_every_kind_of_document_of_people_is_tried_by_somebody():
    """But the machine readable zone, which is a part of one."""
    held = {kind for resident in residents().values() for kind in resident.holds}
    assert held == {kind.id for kind in kinds.kinds().values() if kind.holder == "person"} - {"mrz"}
