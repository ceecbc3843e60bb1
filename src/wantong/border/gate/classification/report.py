"""What a scan found: findings, grades, questions."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from wantong.border.gate.classification.kinds import Kind
from wantong.ground import i18n
from wantong.ground.plain import stored
from wantong.ground.problems import Problem

Reason = tuple[str, Mapping[str, Any]]
"""A message id and what fills it."""


def explain(reasons: Sequence[Reason], lang: str) -> str:
    """Reasons as one text."""
    joint = "" if lang.startswith("zh") else " "
    return joint.join(i18n.t(key, lang, **params) for key, params in reasons)


@dataclass(frozen=True)
class Finding:
    """One kind of data in one place.

    ``column`` is None in running text; ``count`` is how many were found (cells for kinds told by their column);
    ``confidence`` lies between 0.5 and 1; ``sample`` is masked: it shows the form and never a whole value.
    ``about`` says whose datum it is (``person``, ``organisation``); ``sensitive`` names the class of
    GB/T 45574-2025 that the kind belongs to by itself.
    """

    path: str
    kind: str
    column: str | None
    count: int
    confidence: float
    sample: str
    reasons: tuple[Reason, ...]
    about: str = "person"
    sensitive: str | None = None

    def to_dict(self, lang: str = "en") -> dict[str, Any]:
        """The finding as in ``wantong scan --json``."""
        return {
            "path": stored(self.path),
            "kind": self.kind,
            "column": None if self.column is None else stored(self.column),
            "count": self.count,
            "confidence": round(self.confidence, 3),
            "sample": stored(self.sample),
            "reason": explain(self.reasons, lang),
        }


@dataclass(frozen=True)
class Question:
    """What the data cannot tell and a person must say: a stable ``id``, the fact it decides, where it arose."""

    id: str
    params: Mapping[str, Any] = field(default_factory=dict)
    path: str | None = None
    column: str | None = None
    problem: Problem | None = None

    def to_dict(self, lang: str = "en") -> dict[str, Any]:
        """``text`` is the question as put to a person."""
        if self.problem is not None:
            text = self.problem.explain(lang)["detail"]
        else:
            text = i18n.t(
                f"scan.question.{self.id}", lang, **{k: _named(v, lang) for k, v in self.params.items()}
            )
        place = {"path": self.path, "column": self.column}
        return {"id": self.id, **{k: v and stored(v) for k, v in place.items()}, "text": stored(text)}


def _named(value: Any, lang: str) -> Any:
    """A kind by its name in the language."""
    return i18n.pick(value.names, lang).text if isinstance(value, Kind) else value


@dataclass(frozen=True)
class Report:
    """The whole answer. ``problems`` are what the readers could not read; each also stands among the questions."""

    findings: tuple[Finding, ...]
    grades: Mapping[str, Mapping[str, Any]]
    questions: tuple[Question, ...]
    problems: tuple[Problem, ...] = ()
    bytes_read: int = 0
    records: Mapping[str, int] = field(default_factory=dict)

    @property
    def personal(self) -> bool:
        """Whether anything about people was found."""
        return any(finding.about == "person" for finding in self.findings)

    def to_dict(self, lang: str = "en") -> dict[str, Any]:
        """``{"findings": [...], "grades": {...}, "questions": [...]}``, texts in ``lang``."""
        return {
            "findings": [finding.to_dict(lang) for finding in self.findings],
            "grades": {law: _told(grade, lang) for law, grade in self.grades.items()},
            "questions": [question.to_dict(lang) for question in self.questions],
        }


def _told(grade: Mapping[str, Any], lang: str) -> dict[str, Any]:
    """A grade with its reasons as text."""
    return {key: explain(value, lang) if key == "reason" else value for key, value in grade.items()}


_KEEP = {"name": (1, 0), "address": (6, 0), "email": (1, 0), "birth-date": (4, 0), "mrz": (5, 0)}


def masked(kind: str, text: str) -> str:
    """An example that shows what was found without giving it away: the ends of a number, the first of a name."""
    text = " ".join(text.split())[:80]
    if kind == "email":
        local, _, domain = text.partition("@")
        return f"{local[:1]}***@{re.sub(r'[^.]', '*', domain.rpartition('.')[0])}.{domain.rpartition('.')[2]}"
    if kind == "name":
        return text[:1] + "*" * min(len(text) - 1, 3)
    head, tail = _KEEP.get(kind, (3, 2) if len(text) >= 11 else (1, 1))
    if kind == "phone" and text.startswith("+"):
        head = 4  # the country code says where, not who
    inner = text[head : len(text) - tail]
    hidden = re.sub(r"[^\s()\-/.,+:·]", "*", inner)
    return text[:head] + hidden + (text[len(text) - tail :] if tail else "")
