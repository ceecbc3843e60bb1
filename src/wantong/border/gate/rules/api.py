"""The rule base over HTTP: assess facts, ask what to ask next, make the dossier, read the rules.

Open to everyone: nothing is stored, and facts say nothing about any one person. Bad facts are answered with
``application/problem+json`` (RFC 9457) that names every fault.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, HttpResponse
from ninja import Router, Schema

from wantong.border.gate.rules import pages
from wantong.border.gate.rules.assess import assess
from wantong.border.gate.rules.base import Rule, RuleBase, day_of
from wantong.border.gate.rules.explain import explain, next_questions
from wantong.border.gate.rules.facts import MAX_BYTES, UnreadableFacts
from wantong.border.gate.rules.texts import LanguageMap, texts
from wantong.ground import clock, i18n

router = Router(tags=["rules"], auth=None)


class Facts(Schema):
    """``facts`` by their names in the rule base (null: not known); ``date`` overrides ``transfer_date``.

    Without either, the law of today applies.
    """

    facts: dict[str, Any]
    date: dt.date | None = None
    lang: str = "en"


class DueOut(Schema):
    rule_id: str
    text: str
    days: int | None
    months: int | None
    unit: str | None
    reference_date: dt.date | None
    dates: dict[str, dt.date | None]
    stages: list[dict[str, Any]]


class AssessmentOut(Schema):
    """The answer. ``deadlines`` have ``from`` besides the keys listed: the event a term runs from."""

    primary_route: str
    also_permitted: list[str]
    before: list[str]
    obligations: list[str]
    deadlines: list[DueOut]
    authorities: list[str]
    citations: list[str]
    assumptions_used: dict[str, bool | int | str]
    missing_facts: list[str]
    rule_ids: list[str]
    rule_base_version: str
    transfer_date: dt.date | None
    provisional: bool


@dataclass(frozen=True, slots=True)
class Asked:
    facts: Mapping[str, Any]
    on: dt.date | None
    lang: str


# The body is read by hand, so that JSON that cannot be read is a problem like every other; this documents it.
_BODY: dict[str, Any] = {
    "requestBody": {"required": True, "content": {"application/json": {"schema": Facts.model_json_schema()}}},
}
_ANSWER = {
    **_BODY,
    "responses": {
        200: {
            "description": "The assessment",
            "content": {
                "application/json": {"schema": AssessmentOut.model_json_schema(ref_template="#/x/{model}")}
            },
        },
        422: {
            "description": "Facts that cannot be, named one by one",
            "content": {"application/problem+json": {}},
        },
    },
}


@router.post("/assess", openapi_extra=_ANSWER)
def assess_facts(request: HttpRequest) -> HttpResponse:
    """On what route may this data leave, by the law of that day? Exactly the keys of the assessment."""
    asked = _asked(request)
    return _json(assess(asked.facts, asked.on).to_dict())


@router.post("/assess/explain", openapi_extra=_BODY)
def explain_facts(request: HttpRequest) -> HttpResponse:
    """The assessment with its reasons: every rule that was tried, and why it came out as it did."""
    asked = _asked(request)
    return _json(explain(asked.facts, asked.on).to_dict())


@router.post("/assess/next", openapi_extra=_BODY)
def next_facts(request: HttpRequest) -> HttpResponse:
    """What to ask next: the facts that could still change the answer, the most decisive first, in words of ``lang``.

    ``required``: no answer without it. ``ask``: ask it, although there is a default to go on with.
    """
    asked = _asked(request)
    words, lang = texts(), asked.lang
    return _json(
        {
            "questions": [
                {
                    "fact": q.fact,
                    "type": q.type,
                    "question": words.facts[q.fact].question[lang],
                    "help": words.facts[q.fact].help[lang],
                    "articles": [words.cite(article, lang) for article in words.facts[q.fact].articles],
                    "values": [
                        {"value": value, "label": words.value(q.fact, value, lang)} for value in q.values
                    ],
                    "default": q.default,
                    "required": q.required,
                    "ask": q.required or words.facts[q.fact].ask,
                    "affects": q.affects,
                    "rules": list(q.rules),
                }
                for q in next_questions(asked.facts, asked.on)
            ]
        }
    )


@router.post("/assess.pdf", openapi_extra=_BODY)
def dossier(request: HttpRequest) -> HttpResponse:
    """The dossier in ``lang``: answer, checklists, outline of the assessment, notice to the person."""
    asked = _asked(request)
    return pages.pdf_response(asked.facts, asked.lang, asked.on)


@router.get("/rules")
def rules(request: HttpRequest, on: dt.date | None = None) -> dict[str, Any]:
    """The rule base: version, digest and every rule (``on``: only those in force that day)."""
    base = RuleBase.load()
    return {
        "title": base.title,
        "version": base.version,
        "label": base.label,
        "digest": base.digest,
        "as_of": base.as_of.isoformat(),
        "rules": [_rule(rule) for rule in base.rules if on is None or on in rule.period],
    }


def _rule(rule: Rule) -> dict[str, Any]:
    title: LanguageMap = texts().rules[rule.id]
    return {
        "id": rule.id,
        "title": dict(title),
        "kind": rule.kind,
        "from": sorted(rule.origins),
        "to": sorted(rule.destinations),
        "when": rule.source,
        "route": rule.route,
        "before": list(rule.before),
        "obligations": list(rule.obligations),
        "citations": list(rule.citations),
        "authorities": list(rule.authorities),
        "in_force": {
            "from": rule.period.start.isoformat(),
            "to": rule.period.end.isoformat() if rule.period.end else None,
        },
        "confidence": rule.confidence,
        "note": rule.note,
    }


def _asked(request: HttpRequest) -> Asked:
    """The body of a request. Raises UnreadableFacts; the facts in it are checked by whoever uses them."""
    if int(request.headers.get("Content-Length") or 0) > MAX_BYTES:
        raise UnreadableFacts(reason="too-large", most=MAX_BYTES)
    try:
        body = json.loads(request.body)
    except (ValueError, RecursionError) as error:
        raise UnreadableFacts(reason="not-json") from error
    if not isinstance(body, dict) or not isinstance(body.get("facts"), dict):
        raise UnreadableFacts(reason="no-facts")
    if unknown := sorted(set(body) - {"facts", "date", "lang"}):
        raise UnreadableFacts(reason="unknown-members", members=", ".join(unknown)[:100])
    on = None
    if body.get("date") is not None:
        on = day_of(body["date"]) if isinstance(body["date"], str) else None
        if on is None:
            raise UnreadableFacts(reason="no-day", member="date")
    if on is None and body["facts"].get("transfer_date") is None:
        on = clock.today()
    lang = body.get("lang", "en")
    if lang not in i18n.LANGUAGES:
        raise UnreadableFacts(reason="choice", member="lang", choices=", ".join(i18n.LANGUAGES))
    return Asked(body["facts"], on, lang)


def _json(content: Mapping[str, Any]) -> HttpResponse:
    return HttpResponse(json.dumps(content, ensure_ascii=False), content_type="application/json")
