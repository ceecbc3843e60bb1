"""A verdict passes only if every step did, survives being stored, and says itself in four languages."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wantong.border.trust.verdict import INDICATIONS, MARKS, Refused, Step, Steps, Unsure, Verdict
from wantong.ground.i18n import LANGUAGES, catalogue, t

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
OUTCOMES = st.sampled_from([None, Refused("a", indication="REVOKED"), Unsure("b", indication="TRY_LATER")])


def test_nothing_looked_at_is_nothing_passed():
    assert Steps("trust").verdict(NOW).outcome == "indeterminate"


@given(st.lists(OUTCOMES, min_size=1))
def test_the_worst_step_decides(endings):
    steps = Steps("trust")
    for ending in endings:
        with steps.take("one", go_on=True):
            if ending:
                raise ending
    told = steps.verdict(NOW)
    found = {type(ending) for ending in endings}
    expected = "failed" if Refused in found else "indeterminate" if Unsure in found else "passed"
    assert (told.outcome, told.passed) == (expected, found == {type(None)})
    assert told.indication == {"failed": "REVOKED", "indeterminate": "TRY_LATER", "passed": ""}[expected]
    assert Verdict.from_dict(json.loads(json.dumps(told.to_dict()))) == told
    assert Verdict.from_dict(json.loads(json.dumps(told.to_dict("pt")))) == told


def test_a_step_that_is_refused_ends_the_looking_unless_it_may_go_on():
    steps = Steps("trust")
    with pytest.raises(Refused), steps.take("first", "x"):
        raise Refused("why")
    with steps.take("second", go_on=True):
        raise Unsure("why")
    assert [step.outcome for step in steps.taken] == ["failed", "indeterminate"]


def test_a_fault_of_ours_is_no_step():
    steps = Steps("trust")
    with pytest.raises(ZeroDivisionError), steps.take("first", go_on=True):
        1 / 0  # noqa: B018
    assert steps.taken == []


def test_what_strangers_wrote_is_printed_short_and_plain():
    steps = Steps("trust")
    with steps.take("first", "\x1b[31m" + "x" * 1000, go_on=True):
        raise Refused("why", subject="\u202eevil\n")
    (step,) = steps.taken
    assert "\x1b" not in step.about and len(step.about) == 200 and "\n" not in step.params["subject"]


def test_every_outcome_and_indication_has_words_in_four_languages():
    for key in (
        *(f"trust.indication.{name}" for name in INDICATIONS),
        *(f"trust.{part}.{outcome}" for outcome in MARKS for part in ("verdict", "step")),
    ):
        assert set(catalogue()[key]) == set(LANGUAGES), key
    assert {key for key in catalogue() if re.match(r"trust\.indication\.", key)} == {
        f"trust.indication.{name}" for name in INDICATIONS
    }


def test_moments_are_told_in_the_time_of_the_bay():
    steps = Steps("trustlist")
    with steps.take("countersignature", at=datetime(2026, 3, 31, 23, 4, 5, tzinfo=UTC)):
        pass
    (step,) = steps.taken
    assert step.params == {"at": "2026-03-31 23:04:05+00:00"}
    for lang, written in {
        "en": "1 April 2026, 07:04:05",
        "zh-hans": "2026年4月1日 07:04:05",
        "pt": "1 de Abril de 2026, 07:04:05",
    }.items():
        assert written in step.what(lang)
    assert "9999-12-31T23:59:59Z" in Step(
        "trustlist", "countersignature", params={"at": "9999-12-31T23:59:59Z"}
    ).what("en")


@pytest.mark.parametrize("lang", LANGUAGES)
def test_the_page_says_each_step_and_its_reason(lang):
    from django.template import Context, Template
    from django.utils.translation import override

    told = Verdict(
        "failed", NOW, (Step("dcp", "once"), Step("dcp", "token", "failed", "", "jwt-form")), "FORMAT_FAILURE"
    )
    with override(lang):
        page = Template("{% load trust %}{% verdict told %}").render(Context({"told": told}))
    for text in (
        t("trust.indication.FORMAT_FAILURE", lang),
        *(part for step in told.steps for part in (step.what(lang), step.why(lang))),
    ):
        assert text in page.replace("&#x27;", "'").replace("&quot;", '"')
    assert page.count("wt-check--failed") == page.count("wt-check--passed") == 1
