"""What a gate goes by, as data: which codes it takes, how fresh they must be, who may pass twice, what holds in degraded mode.

A set of rules is a JSON object, checked by ``data/rules.schema.json``; :data:`PRESETS` are in ``data/rules.yaml``. Rules
are proposed by one person and approved by another before a gate goes by them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Literal

import jsonschema_rs

from wantong.ground import yamlfile
from wantong.ground.problems import Problem

_DATA = Path(__file__).parent / "data"
Answer = Literal["admit", "ask", "refuse"]


class BadRules(Problem):
    """The rules of a gate are not of the form: ``where`` and ``reason``, a stable code."""

    slug = "passes-bad-rules"
    status = 422
    CODES: ClassVar[Mapping[str, str]] = {"reason": "passes.bad-rules"}


@dataclass(frozen=True)
class Band:
    """Up to ``up_to`` (None: however much) the answer is ``answer``."""

    up_to: timedelta | None
    answer: Answer


def by_age(bands: Sequence[Band], age: timedelta | None) -> Answer:
    """The answer for something so old, or so uncertain; None is more than anything."""
    for band in bands:
        if band.up_to is None or (age is not None and age <= band.up_to):
            return band.answer
    return "refuse"


@dataclass(frozen=True)
class Passback:
    """Who may pass again: ``none`` (everybody), ``window`` (not the same way within it), ``alternate`` (out before in)."""

    kind: Literal["none", "window", "alternate"]
    window: timedelta


@dataclass(frozen=True)
class Rules:
    """The rules of a gate; the fields are those of ``data/rules.schema.json``, durations read from seconds."""

    scopes: frozenset[str]
    online: bool
    offline: bool
    one_use: bool
    passback: Passback
    fresh: timedelta
    skew: timedelta
    longest: timedelta
    unreachable: Answer
    status_age: tuple[Band, ...]
    keys_age: tuple[Band, ...]
    clock_error: tuple[Band, ...]

    @property
    def remembers(self) -> timedelta:
        """For how long a gate must remember a passage to keep these rules; ``alternate`` for a day at least."""
        least = self.fresh + 2 * self.skew
        if self.passback.kind == "alternate":
            return max(least, self.passback.window, timedelta(days=1))
        return max(least, self.passback.window if self.passback.kind == "window" else least)


def read(told: Mapping[str, Any]) -> Rules:
    """The rules in a JSON object. Raises :class:`BadRules`."""
    for error in _validator().iter_errors(told):
        where = "/".join(map(str, error.instance_path))
        raise BadRules(where=where or "/", reason="schema", told=error.message[:200])
    degraded = told["degraded"]
    return Rules(
        scopes=frozenset(told["scopes"]),
        online=told["online"],
        offline=told["offline"],
        one_use=told["one_use"],
        passback=Passback(told["passback"]["kind"], timedelta(seconds=told["passback"].get("window", 0))),
        fresh=timedelta(seconds=told["fresh"]),
        skew=timedelta(seconds=told["skew"]),
        longest=timedelta(seconds=told["longest"]),
        unreachable=degraded["unreachable"],
        status_age=_bands(degraded["status_age"]),
        keys_age=_bands(degraded["keys_age"]),
        clock_error=_bands(degraded["clock_error"]),
    )


def _bands(told: Sequence[Mapping[str, Any]]) -> tuple[Band, ...]:
    return tuple(
        Band(None if (most := band.get("up_to")) is None else timedelta(seconds=most), band["answer"])
        for band in told
    )


@cache
def presets() -> Mapping[str, Mapping[str, Any]]:
    """Sets of rules to begin from, by name."""
    found: Mapping[str, Mapping[str, Any]] = yamlfile.load(_DATA / "rules.yaml")
    return found


@cache
def _validator() -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(json.loads((_DATA / "rules.schema.json").read_text("utf-8")))
