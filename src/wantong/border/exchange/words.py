"""What a policy says, in the reader's words: ODRL rules as sentences. Pure.

The common terms of the ODRL vocabulary have words in four languages (``data/messages/odrl.yaml``). A term that has
none is shown as it is written: nothing that was agreed on is left out because nobody has words for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta, timezone
from typing import Any

from wantong.border.exchange import terms
from wantong.border.exchange.policies import values, vocabulary
from wantong.ground import i18n

MOST_LIMITS = 100
DEEPEST = 8
_DURATION = re.compile(
    r"P(?:(?P<years>\d{1,4})Y)?(?:(?P<months>\d{1,4})M)?(?:(?P<weeks>\d{1,4})W)?(?:(?P<days>\d{1,5})D)?"
    r"(?:T(?:(?P<hours>\d{1,5})H)?(?:(?P<minutes>\d{1,5})M)?(?:(?P<seconds>\d{1,6})S)?)?",
    re.ASCII,
)
_BAY = timezone(timedelta(hours=8))
_TOGETHER = ("and", "or", "xone", "andSequence")


@dataclass(frozen=True)
class Clause:
    """One rule of a policy: ``kind`` (permission, prohibition, obligation), what is done, and within what limits."""

    kind: str
    action: str
    limits: tuple[str, ...]
    duties: tuple[str, ...] = ()


def clauses(policy: Mapping[str, Any], lang: str) -> list[Clause]:
    """The rules of an offer or agreement, in the order in which they stand. Whatever it holds, this ends and answers."""
    return [
        Clause(
            kind,
            _action(rule.get("action"), lang),
            tuple(_limits(rule, lang)),
            tuple(
                f"{_action(duty.get('action'), lang)}{_joint(tuple(_limits(duty, lang)), lang)}"
                for name in ("duty", "remedy", "consequence")
                for duty in _rules(rule.get(name))
            ),
        )
        for kind in terms.RULES
        for rule in _rules(policy.get(kind))
    ]


def reasons(why: Iterable[Mapping[str, Any]], lang: str) -> str:
    """The reasons of a decision (the ``why`` of :class:`.problems.TermsUnmet`) as one text."""
    return ("；" if lang.startswith("zh") else "; ").join(
        dict.fromkeys(_reason(one, lang) for one in list(why)[:MOST_LIMITS])
    )


def _reason(why: Mapping[str, Any], lang: str) -> str:
    left, operator, actual = _term(why["left"]), str(why["operator"]), why["actual"]
    known = _actual(left, actual, lang)
    return i18n.t(
        f"policy.why.{why['code']}",
        lang,
        limit=_sentence(left, operator, why["right"], lang)
        if left
        else _word("odrl.operator", operator, lang),
        left=_word("odrl.left", left, lang),
        written=" ".join(filter(None, (left, operator, _values("", why["right"], lang)))),
        actual=known,
        action=_action(actual, lang) if isinstance(actual, str) else "",
        rule=why["rule"],
        constraint=why["constraint"],
    )


def _actual(left: str, value: Any, lang: str) -> str:
    if isinstance(value, Mapping) and "kinds" in value:
        kinds = value["kinds"]
        told = (
            _values(left, kinds, lang)
            if kinds
            else i18n.t("policy.kinds.none" if kinds == [] else "policy.kinds.unknown", lang)
        )
        return f"{value['id']}（{told}）" if lang.startswith("zh") else f"{value['id']} ({told})"
    return "" if value is None else _values(left, value, lang)


def _rules(value: Any) -> list[Mapping[str, Any]]:
    rules = value if isinstance(value, list) else [value]
    return [rule for rule in rules[:MOST_LIMITS] if isinstance(rule, Mapping)]


def _limits(rule: Mapping[str, Any], lang: str) -> Iterator[str]:
    for limit in _rules(rule.get("constraint")):
        yield _limit(limit, lang, DEEPEST)


def _limit(limit: Mapping[str, Any], lang: str, deep: int) -> str:
    for name in _TOGETHER:
        if name in limit:
            inner = _rules(limit[name]) if deep else []
            parts = [_limit(part, lang, deep - 1) for part in inner]
            return i18n.t(f"odrl.together.{name}", lang, limits=_row(parts, lang))
    left, operator = _term(limit.get("leftOperand")), _term(limit.get("operator"))
    right = limit.get("rightOperand", limit.get("rightOperandReference"))
    return _sentence(left, "lteq" if operator == "term-lteq" else operator, right, lang)


def _sentence(left: str, operator: str, value: Any, lang: str) -> str:
    right = _values(left, value, lang)
    whole = f"odrl.limit.{left}.{operator}"
    if right == "1" and f"{whole}.one" in i18n.catalogue():
        whole += ".one"
    if whole in i18n.catalogue():
        return i18n.t(whole, lang, right=right)
    return i18n.t(
        "odrl.limit",
        lang,
        left=_word("odrl.left", left, lang),
        operator=_word("odrl.operator", operator, lang),
        right=right,
    )


def _action(action: Any, lang: str) -> str:
    if isinstance(action, list):
        return _row([_action(one, lang) for one in action[:MOST_LIMITS]], lang)
    if isinstance(action, Mapping):
        return _word("odrl.action", _term(action.get("rdf:value") or action.get("@id")), lang)
    return _word("odrl.action", _term(action), lang)


def _values(left: str, value: Any, lang: str) -> str:
    if isinstance(value, list):
        return _row([_values(left, one, lang) for one in value[:MOST_LIMITS]], lang)
    if isinstance(value, Mapping):
        value = value.get("@value", value.get("@id", ""))
    said = str(value)[:300]
    match left:
        case "purpose":
            return _word("purpose", said, lang)
        case "elapsedTime" | "delayPeriod" | "timeInterval" | "meteredTime":
            return _span(said, lang)
        case "dateTime":
            return _instant(said)
        case "spatial":
            return _word("odrl.place", vocabulary.load().trees["places"].code(said), lang)
        case "delivery":
            return _word("odrl.delivery", said, lang)
        case "recipient":
            return _word("odrl.kind", said, lang)
    return said


def _instant(said: str) -> str:
    """A time with its zone by the bay's clock (all three places are at UTC+8); a date, or one without, as it is written."""
    try:
        ((first, last),) = values.instants(said)
    except (values.NotUnderstood, ValueError):
        return said
    return f"{first.astimezone(_BAY):%Y-%m-%d %H:%M} (UTC+8)" if first == last else said


def _span(said: str, lang: str) -> str:
    """An ISO 8601 duration in words; what is none as it is written."""
    parts = _DURATION.fullmatch(said)
    counts = [(name, int(count)) for name, count in parts.groupdict().items() if count] if parts else []
    spoken = [
        i18n.t(f"odrl.span.{name}.{'one' if count == 1 else 'many'}", lang, count=count)
        for name, count in counts
    ]
    return ("" if lang.startswith("zh") else " ").join(spoken) or said


def _term(value: Any) -> str:
    """A term as it is known: ``odrl:purpose`` and ``http://www.w3.org/ns/odrl/2/purpose`` are one.

    A word of somebody else's vocabulary stays whole: it may mean something else than ours of the same name.
    """
    if isinstance(value, Mapping):
        value = value.get("@id")
    return vocabulary.term(str(value or ""))[:300].removeprefix("https://w3id.org/wantong/")


def _word(family: str, term: str, lang: str) -> str:
    key = f"{family}.{term}"
    return i18n.t(key, lang) if key in i18n.catalogue() else term


def _row(parts: list[str], lang: str) -> str:
    return ("、" if lang.startswith("zh") else "; ").join(parts)


def _joint(limits: tuple[str, ...], lang: str) -> str:
    if not limits:
        return ""
    return f"（{_row(list(limits), lang)}）" if lang.startswith("zh") else f" ({_row(list(limits), lang)})"
