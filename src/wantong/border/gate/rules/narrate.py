"""An answer of the rule base told to people: one language, whole sentences, articles as that language cites them.

The page, the dossier and whoever else shows an answer take it from :func:`narrate`. Pure: the words come from
:mod:`.texts`, the answer from :func:`.explain.explain`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wantong.border.gate.rules.assess import NO_RULE, Due
from wantong.border.gate.rules.base import NEEDS_INFO, RuleBase
from wantong.border.gate.rules.explain import Condition, Explanation, RouteTrace, RuleTrace
from wantong.border.gate.rules.texts import Texts, day, listing, texts
from wantong.ground import i18n


@dataclass(frozen=True, slots=True)
class Article:
    """A citation as printed, with the whole title of the text it is from (empty if the citation is in words)."""

    cited: str
    title: str
    key: str  # as the rule base spells it


@dataclass(frozen=True, slots=True)
class Duty:
    """Something to do before sending, or that travels with the data."""

    id: str
    name: str
    text: str
    article: str


@dataclass(frozen=True, slots=True)
class Deadline:
    """``term`` such as “10 working days from the contract taking effect”; ``dates``: place and last day, if known."""

    text: str
    term: str
    note: str
    dates: tuple[tuple[str, str], ...]
    stages: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Fact:
    """A fact and its value in words. ``name`` is the rule base's."""

    name: str
    short: str
    value: str


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a rule came out as it did: what the fact is, and (for a rule that does not hold) what the rule asks."""

    fact: Fact
    source: str  # given, assumed, missing
    asks: str


@dataclass(frozen=True, slots=True)
class RuleSaid:
    id: str
    title: str
    articles: tuple[str, ...]
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class RouteSaid:
    """A route in words. ``status`` is :class:`.explain.RouteTrace`'s, ``sentence`` says it."""

    route: str
    name: str
    meaning: str
    status: str
    sentence: str
    rules: tuple[RuleSaid, ...]


@dataclass(frozen=True, slots=True)
class Authority:
    id: str
    name: str
    official: str  # the name in the authority's own language, empty if `name` is it
    official_lang: str
    where: str


@dataclass(frozen=True, slots=True)
class Narrative:
    """An answer in ``lang``. ``first`` says what to do now; ``caution`` why it is provisional (empty if it is not)."""

    lang: str
    route: str
    name: str
    meaning: str
    first: str
    provisional: bool
    caution: str
    why: RuleSaid | None
    also_permitted: tuple[RouteSaid, ...]
    before: tuple[Duty, ...]
    obligations: tuple[Duty, ...]
    deadlines: tuple[Deadline, ...]
    authorities: tuple[Authority, ...]
    articles: tuple[Article, ...]
    given: tuple[Fact, ...]
    assumptions: tuple[Fact, ...]
    missing: tuple[Fact, ...]
    others: tuple[RouteSaid, ...]
    direction: str
    day: str
    version: str

    @property
    def decided(self) -> bool:
        return self.route != NEEDS_INFO


def narrate(
    explanation: Explanation, facts: Mapping[str, Any], lang: str, *, base: RuleBase | None = None
) -> Narrative:
    """``explanation`` (of ``facts``) in words of ``lang``, one of ``zh-hans``, ``zh-hant``, ``en``, ``pt``."""
    return _Narrator(base or RuleBase.load(), texts(), lang).narrative(explanation, facts)


def fact_said(name: str, value: Any, lang: str) -> Fact:
    """A fact and its value in words of ``lang``."""
    words = texts()
    return Fact(name, words.facts[name].short[lang], words.value(name, value, lang))


class _Narrator:
    def __init__(self, base: RuleBase, words: Texts, lang: str) -> None:
        self.base, self.words, self.lang = base, words, lang
        self.ends: tuple[str, ...] = ()

    def narrative(self, explanation: Explanation, facts: Mapping[str, Any]) -> Narrative:
        answer, words, lang = explanation.assessment, self.words, self.lang
        route = words.routes[answer.primary_route]
        given = {name: value for name, value in facts.items() if value is not None}
        self.ends = tuple(given[name] for name in ("from_jurisdiction", "to_jurisdiction") if name in given)
        ends = [
            words.value(name, given[name], lang)
            for name in ("from_jurisdiction", "to_jurisdiction")
            if name in given
        ]
        return Narrative(
            lang=lang,
            route=answer.primary_route,
            name=route["name"][lang],
            meaning=route["meaning"][lang],
            first=route["first"][lang],
            provisional=answer.provisional,
            caution=self._caution(answer.rule_ids) if answer.provisional else "",
            why=self._rule(explanation.why) if explanation.why else None,
            also_permitted=tuple(
                self._route(trace)
                for trace in explanation.routes
                if trace.route in answer.also_permitted and trace.route != answer.primary_route
            ),
            before=tuple(map(self.duty, answer.before)),
            obligations=tuple(map(self.duty, answer.obligations)),
            deadlines=tuple(map(self._deadline, answer.deadlines)),
            authorities=tuple(map(self._authority, answer.authorities)),
            articles=tuple(map(self._article, answer.citations)),
            given=tuple(fact_said(name, value, lang) for name, value in self._in_order(given)),
            assumptions=tuple(
                fact_said(name, value, lang)
                for name, value in self._in_order(answer.assumptions_used)
                if name not in given
            ),
            missing=tuple(
                Fact(name, words.facts[name].short[lang], words.facts[name].question[lang])
                for name in answer.missing_facts
                if name != NO_RULE
            ),
            others=tuple(self._route(trace) for trace in explanation.why_not),
            direction=" → ".join(ends),
            day=day(answer.transfer_date, lang) if answer.transfer_date else "",
            version=answer.rule_base_version,
        )

    def duty(self, name: str) -> Duty:
        said = self.words.obligations[name]
        citation = self.words.between(self.base.obligations[name].citation, *self.ends)
        return Duty(
            name, said["name"][self.lang], said["text"][self.lang], self.words.cite(citation, self.lang)
        )

    def _in_order(self, facts: Mapping[str, Any]) -> list[tuple[str, Any]]:
        """``facts`` in the order in which they are asked."""
        asked = [name for topic in self.words.topics.values() for name in topic.facts]
        return [(name, facts[name]) for name in asked if name in facts]

    def _caution(self, rule_ids: Iterable[str]) -> str:
        cautions = [self.words.cautions[r][self.lang] for r in rule_ids if r in self.words.cautions]
        return cautions[0] if cautions else ""  # the deciding rule stands first

    def _article(self, citation: str) -> Article:
        document = self.words.document_of(citation)
        title = self.words.documents[document].title[self.lang] if document else ""
        return Article(self.words.cite(citation, self.lang), title, citation)

    def _authority(self, name: str) -> Authority:
        said = self.words.authorities[name]
        own = said["original"]
        return Authority(
            name,
            said["name"][self.lang],
            said["name"][own] if own != self.lang else "",
            i18n.LANG_ATTRIBUTE[own],
            said["where"][self.lang] if "where" in said else "",
        )

    def _deadline(self, due: Due) -> Deadline:
        words, lang = self.words, self.lang
        term = ""
        amount, unit = (due.months, "months") if due.months is not None else (due.days, due.unit)
        if amount is not None and unit is not None:
            term = words.term(amount, unit, lang)
            if due.event:
                term = words.events[due.event][lang].format(term=term)
        note = ""
        if due.dates and due.reference:
            note = i18n.t("rules.term.if", lang, day=day(due.reference, lang))
        return Deadline(
            text=words.deadlines[due.text][lang],
            term=term,
            note=note,
            dates=tuple(
                (words.places[place][lang], day(last, lang) if last else i18n.t("rules.term.unknown", lang))
                for place, last in due.dates.items()
            ),
            stages=tuple(
                i18n.t(
                    "rules.term.stage",
                    lang,
                    what=words.stages[stage["what"]][lang],
                    term=words.term(stage["days"], stage["unit"], lang),
                )
                for stage in due.stages
            ),
        )

    def _route(self, trace: RouteTrace) -> RouteSaid:
        said = self.words.routes[trace.route]
        current = [rule for rule in trace.rules if rule.in_force] or list(trace.rules)
        if trace.status in ("permitted", "excluded", "overruled"):
            current = [rule for rule in current if rule.holds] or current
        # the rule that fails by least stands first: that is the nearest way to this route
        current.sort(key=lambda rule: len(rule.because))
        return RouteSaid(
            trace.route,
            said["name"][self.lang],
            said["meaning"][self.lang],
            trace.status,
            i18n.t(f"rules.status.{trace.status}", self.lang),
            tuple(self._rule(rule) for rule in current),
        )

    def _rule(self, trace: RuleTrace) -> RuleSaid:
        return RuleSaid(
            trace.rule.id,
            self.words.rules[trace.rule.id][self.lang],
            tuple(self.words.cite(citation, self.lang) for citation in trace.rule.citations),
            tuple(self._reasons(trace.because)),
        )

    def _reasons(self, because: Sequence[Condition]) -> Iterable[Reason]:
        seen: set[str] = set()
        for condition in because:
            reason = self._reason(condition)
            if (key := condition.fact + reason.asks) not in seen:
                seen.add(key)
                yield reason

    def _reason(self, condition: Condition) -> Reason:
        name, lang = condition.fact, self.lang
        value = (
            i18n.t("rules.unknown", lang)
            if condition.value is None
            else self.words.value(name, condition.value, lang)
        )
        asks = "" if condition.holds else self._asks(condition)
        return Reason(Fact(name, self.words.facts[name].short[lang], value), condition.source, asks)

    def _asks(self, condition: Condition) -> str:
        expected = condition.expected if isinstance(condition.expected, tuple) else (condition.expected,)
        values = [self._plain(condition.fact, value) for value in expected]
        operator = {
            "==": "eq",
            "!=": "ne",
            "<": "lt",
            "<=": "le",
            ">": "gt",
            ">=": "ge",
            "in": "in",
            "not in": "ne",
        }
        return i18n.t(
            f"rules.asks.{operator[condition.operator]}", self.lang, value=listing(values, self.lang)
        )

    def _plain(self, name: str, value: bool | int | str | dt.date) -> str:
        return self.words.value(name, value, self.lang)
