"""Facts as people give them: read from YAML or JSON, checked against the fact table, faults named all at once."""

from __future__ import annotations

import datetime as dt
import difflib
import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import yaml

from wantong.border.gate.rules import grammar
from wantong.border.gate.rules.base import Fact, RuleBase, day_of
from wantong.border.gate.rules.compile import holds
from wantong.ground import i18n
from wantong.ground.problems import Problem

MAX_BYTES = 65_536  # a set of facts is a page of text; anything larger is a mistake or an attack


class FactsProblem(Problem):
    """Facts that cannot be assessed. ``errors`` lists every fault, each ``{"kind", "fact", …}``.

    ``kind`` is one of ``unknown-fact``, ``wrong-type``, ``not-a-value``, ``out-of-range``, ``bad-date``,
    ``contradiction``. Values are never repeated back: a fact file may hold what should not be logged.
    """

    slug: ClassVar[str] = "facts-impossible"
    status: ClassVar[int] = 422

    def __init__(self, errors: Sequence[Mapping[str, Any]]) -> None:
        self.errors = tuple(errors)
        super().__init__(errors=[dict(e) for e in errors])

    def explain(self, lang: str) -> dict[str, str]:
        """As :meth:`Problem.explain`; the detail lists all faults in words."""
        texts = super().explain(lang)
        return texts | {"detail": " ".join([texts["detail"], *(self.describe(e, lang) for e in self.errors)])}

    @staticmethod
    def describe(error: Mapping[str, Any], lang: str) -> str:
        """One fault in one sentence."""
        if error["kind"] == "contradiction":
            sentence = i18n.t(f"facts.contradiction.{error['id']}", lang)
            return i18n.t(
                "facts.error.contradiction", lang, sentence=sentence, facts=", ".join(error["facts"])
            )
        params = {**error, "values": ", ".join(error.get("values", ()))}
        text = i18n.t(f"facts.error.{error['kind']}", lang, **params)
        if error.get("did_you_mean"):
            text += " " + i18n.t("facts.error.did-you-mean", lang, suggestion=error["did_you_mean"])
        return text


class UnknownFacts(FactsProblem):
    """At least one name is not in the fact table."""

    slug: ClassVar[str] = "facts-unknown"


class ContradictoryFacts(FactsProblem):
    """Every single fact is possible, but some cannot be true together."""

    slug: ClassVar[str] = "facts-contradictory"


class UnreadableFacts(Problem):
    """The file is no YAML or JSON mapping of facts."""

    slug: ClassVar[str] = "facts-unreadable"
    status: ClassVar[int] = 400
    CODES: ClassVar[Mapping[str, str]] = {"reason": "rules.unreadable-facts"}


def parse(text: str | bytes) -> dict[str, Any]:
    """The mapping in a YAML or JSON document, unchecked except for its shape.

    A document ``{facts: {…}}`` is taken for its facts. Raises UnreadableFacts, also for a key that stands twice.
    """
    if len(text) > MAX_BYTES:
        raise UnreadableFacts(reason="too-large", most=MAX_BYTES)
    try:
        if isinstance(text, bytes):
            text = text.decode("utf-8-sig")
        content = json.loads(text, object_pairs_hook=_unique) if text.lstrip()[:1] == "{" else _yaml(text)
    except json.JSONDecodeError:
        content = _yaml(text)  # YAML's own flow mappings begin with a brace too
    except (UnicodeDecodeError, RecursionError, ValueError) as error:
        raise UnreadableFacts(reason="unreadable", told=f"{type(error).__name__}: {error}"[:200]) from error
    if isinstance(content, dict) and set(content) == {"facts"} and isinstance(content["facts"], dict):
        content = content["facts"]
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise UnreadableFacts(reason="no-mapping")
    return content


class _UniqueLoader(yaml.SafeLoader):
    """A safe loader that refuses what YAML itself lets pass: one key twice, and aliases (a bomb needs them)."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.events.AliasEvent):
            raise UnreadableFacts(reason="alias")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        return _unique(
            [
                (self.construct_object(k, deep=True), self.construct_object(v, deep=True))
                for k, v in node.value
            ]
        )


def _yaml(text: str | bytes) -> Any:
    try:
        return yaml.load(text, Loader=_UniqueLoader)  # noqa: S506 - it is a SafeLoader
    except (yaml.YAMLError, RecursionError, ValueError, TypeError) as error:
        told = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise UnreadableFacts(reason="unreadable", told=told) from error


def _unique(pairs: Sequence[tuple[Any, Any]]) -> dict[Any, Any]:
    content = dict(pairs)
    if len(content) != len(pairs):
        raise UnreadableFacts(reason="twice")
    return content


def check(facts: Mapping[str, Any], base: RuleBase) -> dict[str, Any]:
    """``facts`` without the unknown ones (null), dates as ``date``.

    Raises UnknownFacts, FactsProblem or ContradictoryFacts, whichever is gravest, listing every fault of all kinds.
    """
    errors: list[dict[str, Any]] = []
    known: dict[str, Any] = {}
    for name, value in facts.items():
        fact = base.facts.get(name)
        if fact is None:
            near = difflib.get_close_matches(str(name).lower(), base.facts, n=1, cutoff=0.6)
            errors.append(
                {"kind": "unknown-fact", "fact": str(name)[:80], "did_you_mean": near[0] if near else None}
            )
        elif value is not None:
            error, value = _check_value(fact, value)
            if error:
                errors.append({"fact": name, **error})
            else:
                known[name] = value
    errors += contradictions(known, base)
    if errors:
        kinds = {e["kind"] for e in errors}
        problem = (
            UnknownFacts if "unknown-fact" in kinds
            else ContradictoryFacts if kinds == {"contradiction"}
            else FactsProblem
        )  # fmt: skip
        raise problem(errors)
    return known


def _check_value(fact: Fact, value: Any) -> tuple[dict[str, Any] | None, Any]:
    match fact.type:
        case "bool":
            if isinstance(value, bool):
                return None, value
        case "int":
            if isinstance(value, int) and not isinstance(value, bool):
                low, high = fact.minimum, fact.maximum
                if (low is not None and value < low) or (high is not None and value > high):
                    return {"kind": "out-of-range", "minimum": low, "maximum": high}, None
                return None, value
        case "enum":
            if isinstance(value, str):
                if value in fact.values:
                    return None, value
                near = difflib.get_close_matches(value.lower(), [v.lower() for v in fact.values], n=1)
                meant = next((v for v in fact.values if near and v.lower() == near[0]), None)
                return {"kind": "not-a-value", "values": list(fact.values), "did_you_mean": meant}, None
        case "date":
            day = day_of(value) if isinstance(value, str) else value
            if isinstance(day, dt.date) and not isinstance(day, dt.datetime):
                return None, day
            return {"kind": "bad-date"}, None
    return {"kind": "wrong-type", "type": fact.type, "values": list(fact.values)}, None


def contradictions(known: Mapping[str, Any], base: RuleBase) -> list[dict[str, Any]]:
    """The contradictions that hold among ``known`` facts; defaults take no part."""
    return [
        {"kind": "contradiction", "id": c.id, "fact": facts[0], "facts": facts}
        for c in base.contradictions
        if evaluate(c.when, known, base) is True
        for facts in [sorted(grammar.facts_in(c.when) & known.keys())]
    ]


def evaluate(
    tree: grammar.Expression, known: Mapping[str, Any], base: RuleBase, on: dt.date | None = None
) -> bool | None:
    """``tree`` in Kleene's logic, walked plainly: the reference that the compiled form is tested against.

    None is unknown. ``on`` is needed only where ``tree`` names a dated parameter.
    """
    match tree:
        case grammar.Atom(fact, operator, value):
            if known.get(fact) is None:
                return None
            values = tuple(_resolve(v, base, on) for v in (value if isinstance(value, tuple) else (value,)))
            return holds(operator, known[fact], values if isinstance(value, tuple) else values[0])
        case grammar.Not(operand):
            inner = evaluate(operand, known, base, on)
            return None if inner is None else not inner
        case grammar.And(operands) | grammar.Or(operands):
            decisive = isinstance(tree, grammar.Or)
            results = [evaluate(o, known, base, on) for o in operands]
            return decisive if decisive in results else None if None in results else not decisive


def _resolve(value: grammar.Value, base: RuleBase, on: dt.date | None) -> Any:
    if isinstance(value, grammar.Parameter):
        return base.parameters[value.name].on(on) if on is not None else None
    return value
