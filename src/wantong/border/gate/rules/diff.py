"""What changed between two rule bases, in the law and in its effect: ``wantong rules diff A B``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from wantong.border.gate.rules.assess import engine
from wantong.border.gate.rules.base import RuleBase
from wantong.ground.problems import Problem

SECTIONS = (
    "routes",
    "facts",
    "parameters",
    "authorities",
    "documents",
    "obligations",
    "contradictions",
    "calendars",
)
_REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Change:
    """An entry that one base has and the other lacks, or that reads differently. ``fields``: name → (old, new)."""

    section: str
    id: str
    what: Literal["added", "removed", "changed"]
    fields: Mapping[str, tuple[Any, Any]]

    def to_dict(self) -> dict[str, Any]:
        fields = {name: {"old": old, "new": new} for name, (old, new) in self.fields.items()}
        return {"section": self.section, "id": self.id, "what": self.what, "fields": fields}


@dataclass(frozen=True, slots=True)
class Effect:
    """A worked case whose answer differs. ``parts``: part of the answer → (old, new)."""

    case: str
    title: str
    parts: Mapping[str, tuple[Any, Any]]

    def to_dict(self) -> dict[str, Any]:
        parts = {name: {"old": old, "new": new} for name, (old, new) in self.parts.items()}
        return {"case": self.case, "title": self.title, "parts": parts}


@dataclass(frozen=True, slots=True)
class Difference:
    old: str  # labels: version and digest
    new: str
    changes: tuple[Change, ...]
    effects: tuple[Effect, ...]

    def to_dict(self) -> dict[str, Any]:
        return {
            "old": self.old,
            "new": self.new,
            "changes": [c.to_dict() for c in self.changes],
            "effects": [e.to_dict() for e in self.effects],
        }


def diff(old: RuleBase, new: RuleBase) -> Difference:
    """The changed entries, and the cases of both bases whose answers differ in anything but the version."""
    changes = [
        change
        for section in SECTIONS
        for change in _entries(section, old.raw.get(section, {}), new.raw.get(section, {}))
    ]
    changes += _entries("rules", _rules(old), _rules(new))
    cases = {c["id"]: c for c in (*old.cases, *new.cases)}
    effects = [effect for case in cases.values() if (effect := _effect(case, old, new))]
    return Difference(old.label, new.label, tuple(changes), tuple(effects))


def _rules(base: RuleBase) -> dict[str, Any]:
    return {
        entry["id"]: {name: _spaced(value) for name, value in entry.items() if name != "id"}
        for entry in base.raw["rules"]
    }


def _spaced(value: Any) -> Any:
    return " ".join(value.split()) if isinstance(value, str) else value


def _entries(section: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Change]:
    found = [Change(section, name, "removed", {}) for name in old if name not in new]
    for name, entry in new.items():
        if name not in old:
            found.append(Change(section, name, "added", {}))
        elif old[name] != entry:
            before, after = (e if isinstance(e, dict) else {"text": e} for e in (old[name], entry))
            keys = dict.fromkeys((*before, *after))
            fields = {str(k): (before.get(k), after.get(k)) for k in keys if before.get(k) != after.get(k)}
            found.append(Change(section, name, "changed", fields))
    return found


def _effect(case: Mapping[str, Any], old: RuleBase, new: RuleBase) -> Effect | None:
    before, after = (_answer(case["facts"], base) for base in (old, new))
    parts = {k: (before.get(k), after.get(k)) for k in {**before, **after} if before.get(k) != after.get(k)}
    return Effect(case["id"], case["title"], parts) if parts else None


def _answer(facts: Mapping[str, Any], base: RuleBase) -> dict[str, Any]:
    try:
        answer = engine(base).assess(facts).to_dict()
    except Problem as problem:
        return {"primary_route": _REFUSED, "problem": problem.slug}
    del answer["rule_base_version"]
    return answer
