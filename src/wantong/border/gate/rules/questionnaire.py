"""The guided questionnaire: what was answered, what to ask next, what the address of every step is.

Pure. The whole state is the query of the address (``?from_jurisdiction=CN&is_personal=yes&…``), in the order in which
the questions were answered: nothing is stored, a step can be bookmarked, and going back is going back. Facts say
nothing about any one person, so an address may be kept and shared.
"""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from wantong.border.gate.rules.base import Fact, RuleBase, day_of
from wantong.border.gate.rules.explain import next_questions
from wantong.border.gate.rules.facts import ContradictoryFacts, FactsProblem, check
from wantong.border.gate.rules.texts import texts
from wantong.ground import i18n

UNKNOWN = "unknown"  # “I do not know yet”: not asked again, and named in the answer
AT_A_TIME = 3
_YES_NO = {"yes": True, "no": False}
_NUMBER = re.compile(r"\d{1,15}")


@dataclass(frozen=True)
class State:
    """The answers given so far.

    ``typed`` holds them as typed, in the order of answering; ``facts`` those that can be, as values; ``unknown`` the
    facts of which the reader said that they do not know; ``faults`` what is wrong with the others.
    """

    typed: Mapping[str, str]
    facts: Mapping[str, Any]
    unknown: frozenset[str]
    faults: Mapping[str, str]
    asked: tuple[str, ...]  # the facts on the form that was just sent
    wanted: tuple[str, ...]  # facts that a link asks for
    further: bool  # whether to go on with questions whose answers are assumed
    shown: bool  # whether the reader wants the answer as soon as there is one

    def query(
        self,
        *,
        without: Iterable[str] = (),
        ask: Iterable[str] = (),
        changes: Mapping[str, Any] | None = None,
        further: bool | None = None,
        shown: bool | None = None,
    ) -> str:
        """The query of another step: some answers dropped or changed, some facts asked for."""
        gone = set(without)
        answers = {name: value for name, value in self.typed.items() if name not in gone}
        answers |= {name: spell(value) for name, value in (changes or {}).items()}
        pairs = [*answers.items(), *(("ask", name) for name in ask)]
        if self.further if further is None else further:
            pairs.append(("more", "yes"))
        if self.shown if shown is None else shown:
            pairs.append(("show", "yes"))
        return urlencode(pairs)


@dataclass(frozen=True, slots=True)
class Choice:
    value: str
    label: str
    chosen: bool


@dataclass(frozen=True, slots=True)
class Question:
    """A question as shown: ``kind`` is ``choice``, ``number`` or ``date``; ``fault`` what is wrong with ``typed``."""

    fact: str
    kind: str
    question: str
    help: str
    articles: tuple[str, ...]
    choices: tuple[Choice, ...]
    typed: str
    fault: str


@dataclass(frozen=True)
class Step:
    """What to show: questions (none: the answer), their topic, how many may follow, and the faults on top."""

    topic: str
    questions: tuple[Question, ...] = ()
    left: int = 0
    optional: bool = False  # whether there is an answer already, resting on what is assumed
    faults: tuple[tuple[str, str], ...] = field(default=())  # fact and sentence


def spell(value: Any) -> str:
    """A fact's value as the address has it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value.isoformat() if isinstance(value, dt.date) else str(value)


def read(pairs: Sequence[tuple[str, str]], lang: str, base: RuleBase | None = None) -> State:
    """The state in a query. Names that are no facts are left out; a value that cannot be becomes a fault."""
    base = base or RuleBase.load()
    typed: dict[str, str] = {}
    facts: dict[str, Any] = {}
    unknown: set[str] = set()
    faults: dict[str, str] = {}
    asked = tuple(dict.fromkeys(value for name, value in pairs if name == "asked" and value in base.facts))
    for name, value in pairs:
        if name not in base.facts or not (value := value.strip()):
            continue
        typed.pop(name, None)  # the last answer counts, and stands last
        typed[name] = value[:80]
    for name, value in typed.items():
        if value == UNKNOWN:
            unknown.add(name)
            continue
        parsed = _parse(base.facts[name], value)
        if parsed is None:
            faults[name] = i18n.t(f"rules.fault.{base.facts[name].type}", lang)
        else:
            facts[name] = parsed
    for name in asked:
        if name not in typed:
            faults[name] = i18n.t("rules.fault.none", lang)
    faults |= _out_of_range(facts, base, lang)
    return State(
        typed=typed,
        facts={name: value for name, value in facts.items() if name not in faults},
        unknown=frozenset(unknown),
        faults=faults,
        asked=asked,
        wanted=tuple(value for name, value in pairs if name == "ask" and value in base.facts),
        further=("more", "yes") in pairs,
        shown=("show", "yes") in pairs,
    )


def step(state: State, lang: str, today: dt.date, base: RuleBase | None = None) -> Step:
    """What to show after ``state``: the questions to ask now, or none when the answer is due."""
    base = base or RuleBase.load()
    contradictions: tuple[tuple[str, str], ...] = ()
    names: tuple[str, ...] = ()
    left, optional = 0, False
    try:
        check(state.facts, base)
    except ContradictoryFacts as problem:
        contradictions = tuple((e["fact"], FactsProblem.describe(e, lang)) for e in problem.errors)
        names = tuple(dict.fromkeys(name for e in problem.errors for name in e["facts"]))
    if state.faults:
        names = tuple(dict.fromkeys((*state.asked, *state.faults)))
    elif not names and state.wanted:
        names = state.wanted
    elif not names:
        names, left, optional = _due(state, base)
    if not names:
        return Step("")
    words = texts()
    order = [name for topic in words.topics.values() for name in topic.facts]
    names = tuple(sorted(names, key=order.index))
    topic = next(t for t in words.topics.values() if names[0] in t.facts)
    return Step(
        topic=topic.name[lang],
        questions=tuple(_question(name, state, lang, today, base) for name in names),
        left=left,
        optional=optional,
        faults=(*state.faults.items(), *contradictions),
    )


def _due(state: State, base: RuleBase) -> tuple[tuple[str, ...], int, bool]:
    """The facts to ask now, of one topic, how many more may be asked after them, and whether they can be passed over."""
    open_ = [q for q in next_questions(state.facts, base=base) if q.fact not in state.unknown]
    order = [name for topic in texts().topics.values() for name in topic.facts]
    required = [q.fact for q in open_ if q.required]
    worth_asking = sorted((q.fact for q in open_ if texts().facts[q.fact].ask), key=order.index)
    now = (
        required
        or (worth_asking if not state.shown else [])
        or ([q.fact for q in open_] if state.further else [])
    )
    if not now:
        return (), 0, False
    topic = next(t for t in texts().topics.values() if now[0] in t.facts)
    group = [name for name in now if name in topic.facts][:AT_A_TIME]
    return tuple(group), len(now) - len(group), not required


def _question(name: str, state: State, lang: str, today: dt.date, base: RuleBase) -> Question:
    fact, words = base.facts[name], texts().facts[name]
    typed = state.typed.get(name, "")
    kind = {"bool": "choice", "enum": "choice", "int": "number", "date": "date"}[fact.type]
    if not typed and kind == "date":
        typed = today.isoformat()
    ends = [state.facts[end] for end in ("from_jurisdiction", "to_jurisdiction") if end in state.facts]
    values: Iterable[Any] = (True, False) if fact.type == "bool" else fact.values
    choices = [
        Choice(spell(value), _label(name, value, lang), spell(value) == typed)
        for value in values
        if _fits(name, value, state, base)
    ]
    if kind != "date" and fact.default is None and name not in ("from_jurisdiction", "to_jurisdiction"):
        choices.append(Choice(UNKNOWN, i18n.t("rules.page.unknown", lang), typed == UNKNOWN))
    return Question(
        fact=name,
        kind=kind,
        question=words.question[lang],
        help=words.help[lang],
        articles=tuple(
            texts().cite(article, lang) for article in words.articles if texts().between(article, *ends)
        ),
        choices=tuple(choices),
        typed="" if typed == UNKNOWN else typed,
        fault=state.faults.get(name, ""),
    )


def _label(name: str, value: Any, lang: str) -> str:
    said = texts().value(name, value, lang)
    return said[:1].upper() + said[1:]


def _fits(name: str, value: Any, state: State, base: RuleBase) -> bool:
    """Whether the answer would not contradict the others; one that was given is always shown."""
    if spell(value) == state.typed.get(name):
        return True
    others = {key: known for key, known in state.facts.items() if key != name}
    try:
        check(others, base)
    except FactsProblem:
        return True  # they contradict each other already, so every answer must stay within reach
    try:
        check({**others, name: value}, base)
    except FactsProblem:
        return False
    return True


def _parse(fact: Fact, value: str) -> bool | int | str | dt.date | None:
    value = unicodedata.normalize("NFKC", value).strip()
    match fact.type:
        case "bool":
            return _YES_NO.get(value)
        case "int":
            bare = re.sub(r"[\s,.'’_]", "", value)  # people set thousands apart in several ways
            return int(bare) if _NUMBER.fullmatch(bare) else None
        case "enum":
            return value if value in fact.values else None
        case "date":
            return day_of(value)


def _out_of_range(facts: Mapping[str, Any], base: RuleBase, lang: str) -> dict[str, str]:
    try:
        check(facts, base)
    except ContradictoryFacts:
        return {}
    except FactsProblem as problem:
        return {
            e["fact"]: FactsProblem.describe(e, lang) for e in problem.errors if e["kind"] != "contradiction"
        }
    return {}
