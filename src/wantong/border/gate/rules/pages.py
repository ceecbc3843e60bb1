"""The questionnaire as pages: questions, then the answer; the same as JSON and as a dossier in PDF."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import get_language
from django.views.decorators.http import require_POST, require_safe

from wantong.border.gate.rules import dossier, questionnaire, typesetting
from wantong.border.gate.rules.base import RuleBase
from wantong.border.gate.rules.explain import explain
from wantong.border.gate.rules.facts import MAX_BYTES, UnreadableFacts, check, parse
from wantong.border.gate.rules.narrate import Fact, narrate
from wantong.ground import i18n
from wantong.ground.problems import Problem

MAX_QUERY = 8_000  # all facts answered are about 1,800 characters
# how an answer is coloured; the words carry the meaning
TONES = {
    "not_a_transfer": "good",
    "exempt": "good",
    "ftz_list_exempt": "good",
    "no_statutory_formality": "good",
    "gba_standard_contract": "wait",
    "national_standard_contract": "wait",
    "certification": "wait",
    "notification_only": "wait",
    "security_assessment": "stop",
    "competent_authority_approval": "stop",
    "authority_authorisation": "stop",
    "forbidden": "bad",
    "needs_info": "quiet",
}


@require_safe
def assess(request: HttpRequest) -> HttpResponse:
    """The next questions, or the answer. The query is the whole state."""
    lang = _language()
    state = _state(request, lang)
    today = timezone.localdate()
    step = questionnaire.step(state, lang, today)
    context: dict[str, Any] = {
        "step": step,
        "asking": [question.fact for question in step.questions],
        "state": state,
        "given": _answers(state, lang),
        "back": _back(state),
        "start": reverse("rules:assess"),
        "answer_now": state.query(shown=True, further=False) if step.optional else "",
        "lang_attribute": i18n.LANG_ATTRIBUTE[lang],
    }
    if step.questions:
        return render(request, "rules/ask.html", context, status=422 if step.faults else 200)
    explanation = explain(state.facts)
    story = narrate(explanation, state.facts, lang)
    query = urlencode({name: questionnaire.spell(value) for name, value in state.facts.items()})
    return render(
        request,
        "rules/answer.html",
        {
            **context,
            "story": story,
            "tone": TONES[story.route],
            "assumptions": [_assumption(fact, state) for fact in story.assumptions],
            "missing": [(fact, state.query(without=[fact.name], ask=[fact.name])) for fact in story.missing],
            "others": [route for route in story.others if route.rules],
            "unreachable": [route.name for route in story.others if not route.rules],
            "further": state.query(further=True) if not state.further else "",
            "outlines": [outline.title[lang] for outline in dossier.outlines_for(explanation.assessment)],
            "pdf": f"{reverse('rules:assess-pdf')}?{query}",
            "json": f"{reverse('rules:assess-json')}?{query}",
        },
    )


@require_safe
def as_json(request: HttpRequest) -> HttpResponse:
    """The assessment of the facts in the query, with the keys of :meth:`.assess.Assessment.to_dict`."""
    return JsonResponse(
        explain(_facts(request)).assessment.to_dict(), json_dumps_params={"ensure_ascii": False}
    )


@require_safe
def as_pdf(request: HttpRequest) -> HttpResponse:
    """The dossier of the facts in the query, in the language of the address."""
    return pdf_response(_facts(request), _language())


@require_POST
def upload(request: HttpRequest) -> HttpResponse:
    """A facts file (YAML or JSON): read, checked, and turned into the address of its answer."""
    lang = _language()
    file = request.FILES.get("facts")
    try:
        if file is None:
            raise UnreadableFacts(reason="no-file")
        if (file.size or 0) > MAX_BYTES:
            raise UnreadableFacts(reason="too-large", most=MAX_BYTES)
        known = check(parse(file.read()), RuleBase.load())
    except Problem as problem:
        context = {"problem": problem.explain(lang), "start": reverse("rules:assess")}
        return render(request, "rules/refused.html", context, status=problem.status)
    query = urlencode({name: questionnaire.spell(value) for name, value in known.items()} | {"show": "yes"})
    return HttpResponseRedirect(f"{reverse('rules:assess')}?{query}")


def pdf_response(facts: Mapping[str, Any], lang: str, on: dt.date | None = None) -> HttpResponse:
    """The dossier as a download. Raises TypesettingBusy, TypesettingFailed."""
    made = dossier.pdf(facts, lang, on=on, typeset=typesetting.typeset)
    response = HttpResponse(made.content, content_type="application/pdf")
    response["Content-Disposition"] = f'attachment; filename="{made.filename}"'
    response["Content-Language"] = i18n.LANG_ATTRIBUTE[lang]
    return response


def _language() -> str:
    code = get_language() or "en"
    return code if code in i18n.LANGUAGES else "en"


def _state(request: HttpRequest, lang: str) -> questionnaire.State:
    pairs = parse_qsl(request.META.get("QUERY_STRING", "")[:MAX_QUERY], max_num_fields=None)
    return questionnaire.read(pairs, lang)


def _facts(request: HttpRequest) -> Mapping[str, Any]:
    """The facts of a query, strictly: a name or value that cannot be is a problem, as in a facts file."""
    query = request.META.get("QUERY_STRING", "")
    if len(query) > MAX_QUERY:
        # what was cut off would have changed the answer
        raise UnreadableFacts(reason="too-long", most=MAX_QUERY)
    pairs = parse_qsl(query)
    state = questionnaire.read(pairs, _language())
    steps = {"asked", "ask", "more", "show"}  # what the questionnaire adds for itself
    given = {name: value for name, value in pairs if name not in steps and value != questionnaire.UNKNOWN}
    return check({**given, **state.facts}, RuleBase.load())


def _answers(state: questionnaire.State, lang: str) -> list[tuple[Fact, str]]:
    """What was answered, in the order of answering, each with the address that asks it again."""
    words = questionnaire.texts()
    answers = []
    for name, typed in state.typed.items():
        value = (
            i18n.t("rules.page.unknown", lang)
            if name in state.unknown
            else words.value(name, state.facts[name], lang)
            if name in state.facts
            else typed
        )
        answers.append((Fact(name, words.facts[name].short[lang], value), state.query(ask=[name])))
    return answers


def _back(state: questionnaire.State) -> str | None:
    """The query of the step before: without the last form's answers, or the last answer."""
    last = [name for name in state.asked if name in state.typed] or list(state.typed)[-1:]
    return state.query(without=last, ask=last) if last else None


def _assumption(fact: Fact, state: questionnaire.State) -> dict[str, Any]:
    """An assumption and the one click that changes it: a yes becomes a no at once, anything else is asked."""
    default = RuleBase.load().facts[fact.name].default
    if isinstance(default, bool):
        return {"fact": fact, "query": state.query(changes={fact.name: not default}), "turns": not default}
    return {"fact": fact, "query": state.query(ask=[fact.name]), "turns": None}
