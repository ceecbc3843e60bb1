"""The rule base: law as data, dated, cited, versioned by digest.

A rule base is a folder of YAML files (or one file) whose top-level keys are merged: ``meta``, ``engine``,
``routes``, ``facts``, ``parameters``, ``authorities``, ``documents``, ``obligations``, ``contradictions``,
``rules``, ``calendars``, ``cases``. Everything is checked while it is read: a rule base that loads has no unknown
name, no wrong type, no reference to nothing, and every figure a rule uses is in force whenever the rule is.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property, lru_cache
from importlib import resources
from pathlib import Path
from typing import Any, ClassVar, Literal

import yaml

from wantong.border.gate.rules import grammar
from wantong.border.gate.rules.calendars import Calendar
from wantong.ground import canonical, yamlfile
from wantong.ground.problems import Problem

Kind = Literal["gate", "exempt", "mandatory", "route", "default", "option", "duty"]
DECIDING: frozenset[str] = frozenset({"gate", "exempt", "mandatory", "route", "default"})
KINDS: frozenset[str] = DECIDING | {"option", "duty"}
CONFIDENCE: tuple[str, ...] = ("high", "medium", "low")
UNITS: frozenset[str] = frozenset({"working_days", "days", "months"})
NEEDS_INFO = "needs_info"
_CASES = "cases"
_BESIDE = frozenset({"messages", "texts", _CASES})
_PACKAGED = Path(str(resources.files("wantong.border.gate.rules"))) / "data"


class RuleBaseInvalid(Problem):
    """The rule base does not hold together. ``errors`` lists every fault found, not only the first."""

    slug: ClassVar[str] = "rule-base-invalid"
    status: ClassVar[int] = 500

    def __init__(self, errors: Sequence[str]) -> None:
        self.errors = tuple(errors)
        super().__init__(errors=list(errors), summary="; ".join(errors))


@dataclass(frozen=True, slots=True)
class Period:
    """A stretch of days, first and last included; ``end`` None means until further notice."""

    start: dt.date
    end: dt.date | None = None

    def __contains__(self, day: dt.date) -> bool:
        return self.start <= day and (self.end is None or day <= self.end)

    def overlaps(self, other: Period) -> bool:
        return (self.end is None or other.start <= self.end) and (
            other.end is None or self.start <= other.end
        )


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing a person can be asked. ``default`` None means that nothing may be assumed."""

    name: str
    type: Literal["date", "enum", "bool", "int"]
    meaning: str
    values: tuple[str, ...] = ()
    default: bool | int | str | None = None
    minimum: int | None = None
    maximum: int | None = None


@dataclass(frozen=True, slots=True)
class Dated:
    """A figure with the days on which it holds and the text that sets it."""

    value: int
    period: Period
    citation: str


@dataclass(frozen=True, slots=True)
class Parameter:
    name: str
    unit: str
    values: tuple[Dated, ...]

    def on(self, day: dt.date) -> int | None:
        """The figure in force on ``day``, None if there is none."""
        return next((dated.value for dated in self.values if day in dated.period), None)


@dataclass(frozen=True, slots=True)
class Document:
    """A legal text or official page: ``seen`` grades how well its wording was read."""

    id: str
    title: str
    in_force: dt.date | None
    seen: str
    where: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Obligation:
    id: str
    text: str
    citation: str


@dataclass(frozen=True, slots=True)
class Contradiction:
    id: str
    when: grammar.Expression
    source: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Deadline:
    """A term: ``amount`` of ``unit`` counted from ``event``, kept at ``places``; a bare text if it is no single term.

    ``amount`` is a number or the name of a dated parameter.
    """

    text: str
    amount: int | str | None = None
    unit: str | None = None
    event: str | None = None
    places: tuple[str, ...] = ()
    stages: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Rule:
    """One article turned into a condition and what follows from it."""

    id: str
    title: str
    origins: frozenset[str]
    destinations: frozenset[str]
    kind: Kind
    priority: int
    when: grammar.Expression
    source: str
    route: str | None
    before: tuple[str, ...]
    obligations: tuple[str, ...]
    deadline: Deadline | None
    citations: tuple[str, ...]
    authorities: tuple[str, ...]
    period: Period
    confidence: str
    closes_alternatives: bool = False
    excludes: frozenset[str] = frozenset()
    note: str = ""

    @property
    def decides(self) -> bool:
        return self.kind in DECIDING


@dataclass(frozen=True, eq=False)
class RuleBase:
    """A checked rule base. Build one with :meth:`load`; it never changes afterwards."""

    title: str
    version: str
    as_of: dt.date
    digest: str  # sha256:<hex> over the canonical JSON of everything that can change an answer
    routes: Mapping[str, str]
    facts: Mapping[str, Fact]
    parameters: Mapping[str, Parameter]
    authorities: Mapping[str, str]
    documents: Mapping[str, Document]
    obligations: Mapping[str, Obligation]
    contradictions: tuple[Contradiction, ...]
    rules: tuple[Rule, ...]  # deciding rules by falling priority, then options and duties as written
    calendars: Mapping[str, Calendar]
    raw: Mapping[str, Any] = field(repr=False, default_factory=dict)
    source_path: Path | None = None

    @staticmethod
    def load(path: Path | str | None = None) -> RuleBase:
        """The rule base in ``path`` (a folder or a file), by default the one that ships with Wantong.

        Raises RuleBaseInvalid, listing every fault, and OSError if ``path`` cannot be read.
        """
        return _packaged() if path is None else RuleBase.from_data(read(Path(path)), Path(path))

    @staticmethod
    def from_data(data: Mapping[str, Any], source: Path | None = None) -> RuleBase:
        """The rule base in ``data`` (merged top-level keys, as :func:`read` returns them). Raises RuleBaseInvalid."""
        return replace(_Builder(data).build(), source_path=source)

    @cached_property
    def cases(self) -> tuple[Mapping[str, Any], ...]:
        """The worked cases beside the rules, read when first asked for: no answer needs them."""
        data = self.raw
        folder = self.source_path / _CASES if self.source_path is not None else None
        if folder is not None and folder.is_dir():
            data = read(folder)
        return tuple(data.get("cases", data.get("test_cases", ())))

    @cached_property
    def label(self) -> str:
        """The version with the beginning of the digest as build metadata: ``1.0.0+sha256.0123456789ab``."""
        return f"{self.version}+{self.digest.replace(':', '.')[:19]}"

    @cached_property
    def by_id(self) -> Mapping[str, Rule]:
        return {rule.id: rule for rule in self.rules}

    @cached_property
    def boundaries(self) -> tuple[dt.date, ...]:
        """The days on which some rule or parameter begins to hold or has just ceased to, rising."""
        periods = [r.period for r in self.rules]
        periods += [dated.period for p in self.parameters.values() for dated in p.values]
        days = {p.start for p in periods}
        days |= {p.end + dt.timedelta(days=1) for p in periods if p.end is not None and p.end < dt.date.max}
        return tuple(sorted(days))

    def in_force(self, on: dt.date, origin: str, destination: str) -> tuple[Rule, ...]:
        """The rules for data going from ``origin`` to ``destination`` on that day, in the order they are tried."""
        return tuple(
            r for r in self.rules if on in r.period and origin in r.origins and destination in r.destinations
        )


@lru_cache(maxsize=4096)
def day_of(text: str) -> dt.date | None:
    """The day an ISO 8601 text names, None if it names none."""
    try:
        return dt.date.fromisoformat(text) if len(text) == 10 else None
    except ValueError:
        return None


@cache
def _packaged() -> RuleBase:
    return RuleBase.from_data(read(_PACKAGED), _PACKAGED)


def read(path: Path) -> dict[str, Any]:
    """The top-level keys of one YAML file, or of all of a folder merged. Raises RuleBaseInvalid on a clash."""
    files = [path] if path.is_file() else sorted(path.glob("**/*.yaml"))
    merged: dict[str, Any] = {}
    errors: list[str] = []
    if not files:
        errors.append(f"{path} holds no rule base")
    for file in files:
        if _BESIDE & set(file.relative_to(path).parts[:-1]):
            continue  # translations and cases live beside the law and are no part of it
        try:
            content = yamlfile.load(file)
        except yaml.YAMLError as error:
            errors.append(f"{file.name}: {error}")
            continue
        if not isinstance(content, dict):
            errors.append(f"{file.name}: not a mapping")
            continue
        for key, value in content.items():
            have = merged.setdefault(key, type(value)())
            if isinstance(have, list) and isinstance(value, list):
                have.extend(value)
            elif isinstance(have, dict) and isinstance(value, dict):
                errors += [f"{file.name}: {key}.{name} stands twice" for name in value if name in have]
                have.update(value)
            else:
                errors.append(f"{file.name}: {key} stands twice with different shapes")
    if errors:
        raise RuleBaseInvalid(errors)
    return merged


class _Builder:
    """Reads each section into its dataclasses and collects every fault on the way."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        self.data = data
        self.errors: list[str] = []

    def build(self) -> RuleBase:
        try:
            base = self._build()
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            self.errors.append(f"malformed: {type(error).__name__}: {error}")
            raise RuleBaseInvalid(self.errors) from error
        if self.errors:
            raise RuleBaseInvalid(self.errors)
        return base

    def _build(self) -> RuleBase:
        data = self.data
        meta = data["meta"]
        self.routes = dict(data["routes"])
        self.facts = {name: self._fact(name, f) for name, f in data["facts"].items()}
        self.parameters = {name: self._parameter(name, p) for name, p in data["parameters"].items()}
        self.authorities = dict(data["authorities"])
        documents = {
            i: Document(i, d["title"], self._day(d.get("in_force")), d["seen"], d["where"], d.get("note", ""))
            for i, d in data["documents"].items()
        }
        self.obligations = {
            i: Obligation(i, o["text"], o["citation"]) for i, o in data["obligations"].items()
        }
        self.calendars = {
            place: Calendar.from_data(place, c) for place, c in data.get("calendars", {}).items()
        }
        contradictions = tuple(
            Contradiction(i, self._parse(f"contradiction {i}", c["when"]), c["when"], c["meaning"])
            for i, c in data.get("contradictions", {}).items()
        )
        rules = [self._rule(r) for r in data["rules"]]
        self._check_rules(rules)
        # a stable sort: rules of one priority keep the order of the file
        rules.sort(key=lambda r: (not r.decides, -r.priority))
        deciding = {k: v for k, v in data.items() if k not in ("cases", "test_cases", "bases")}
        return RuleBase(
            title=meta["title"],
            version=str(meta["version"]),
            as_of=dt.date.fromisoformat(str(meta["as_of"])),
            digest=canonical.digest(_jsonable(deciding)),
            routes=self.routes,
            facts=self.facts,
            parameters=self.parameters,
            authorities=self.authorities,
            documents=documents,
            obligations=self.obligations,
            contradictions=contradictions,
            rules=tuple(rules),
            calendars=self.calendars,
            raw=data,
        )

    def _fact(self, name: str, entry: Mapping[str, Any]) -> Fact:
        kind = entry["type"]
        if kind not in ("date", "enum", "bool", "int"):
            self.errors.append(f"fact {name}: unknown type {kind}")
        values = tuple(entry.get("values", ()))
        default = entry.get("default")
        fits = {
            "enum": default in values,
            "bool": isinstance(default, bool),
            "int": isinstance(default, int) and not isinstance(default, bool),
        }
        if default is not None and not fits.get(kind, False):
            self.errors.append(f"fact {name}: {default!r} cannot be its default")
        return Fact(name, kind, entry["meaning"], values, default, entry.get("minimum"), entry.get("maximum"))

    def _parameter(self, name: str, entry: Mapping[str, Any]) -> Parameter:
        values = tuple(
            Dated(int(v["value"]), self._period(f"parameter {name}", v["in_force"]), v["citation"])
            for v in entry.get("values", [entry])
        )
        for i, one in enumerate(values):
            if any(one.period.overlaps(other.period) for other in values[i + 1 :]):
                self.errors.append(f"parameter {name}: two values on one day")
        return Parameter(name, entry["unit"], values)

    def _day(self, value: Any) -> dt.date | None:
        return None if value is None else dt.date.fromisoformat(str(value))

    def _period(self, whose: str, entry: Mapping[str, Any]) -> Period:
        period = Period(dt.date.fromisoformat(str(entry["from"])), self._day(entry.get("to")))
        if period.end is not None and period.end < period.start:
            self.errors.append(f"{whose}: ends before it begins")
        return period

    def _parse(self, whose: str, source: str) -> grammar.Expression:
        try:
            return grammar.parse(source, self.facts, set(self.parameters))
        except grammar.ExpressionError as error:
            self.errors.append(f"{whose}: {error}")
            return grammar.Or(())

    def _deadline(self, whose: str, entry: Mapping[str, Any] | None) -> Deadline | None:
        if entry is None:
            return None
        unit, amount = entry.get("unit"), entry.get("days")
        if "months" in entry:
            unit, amount = "months", entry["months"]
        if unit is not None and unit not in UNITS:
            self.errors.append(f"{whose}: unknown unit {unit}")
        if isinstance(amount, str) and amount not in self.parameters:
            self.errors.append(f"{whose}: unknown parameter {amount}")
        places = tuple(entry.get("places", ()))
        self._known(whose, "calendar", places, self.calendars)
        return Deadline(
            entry["text"], amount, unit, entry.get("from"), places, tuple(entry.get("stages", ()))
        )

    def _rule(self, entry: Mapping[str, Any]) -> Rule:
        whose = f"rule {entry['id']}"
        kind = entry["kind"]
        if kind not in KINDS:
            self.errors.append(f"{whose}: unknown kind {kind}")
        route = entry.get("route", entry.get("outcome", {}).get("route"))
        if (route is None) != (kind == "duty"):
            self.errors.append(
                f"{whose}: a rule of kind {kind} {'needs a' if route is None else 'has no'} route"
            )
        elif route is not None and (route not in self.routes or route == NEEDS_INFO):
            self.errors.append(f"{whose}: unknown route {route}")
        if entry["confidence"] not in CONFIDENCE:
            self.errors.append(f"{whose}: unknown confidence {entry['confidence']}")
        origins = frozenset(entry.get("jurisdiction_from", entry.get("from", ())))
        destinations = frozenset(entry.get("jurisdiction_to", entry.get("to", ())))
        self._known(whose, "place", origins, self.facts["from_jurisdiction"].values)
        self._known(whose, "place", destinations, self.facts["to_jurisdiction"].values)
        before, obligations = tuple(entry.get("before", ())), tuple(entry.get("obligations", ()))
        self._known(whose, "obligation", (*before, *obligations), self.obligations)
        authorities = tuple(entry.get("authority", ()))
        self._known(whose, "authority", authorities, self.authorities)
        return Rule(
            id=entry["id"],
            title=entry["title"],
            origins=origins,
            destinations=destinations,
            kind=kind,
            priority=entry.get("priority", 0),
            when=self._parse(whose, entry["when"]),
            source=" ".join(entry["when"].split()),
            route=route,
            before=before,
            obligations=obligations,
            deadline=self._deadline(whose, entry.get("deadline")),
            citations=tuple(entry["citation"]),
            authorities=authorities,
            period=self._period(whose, entry["in_force"]),
            confidence=entry["confidence"],
            closes_alternatives=entry.get("closes_alternatives", False),
            excludes=frozenset(entry.get("excludes", ())),
            note=entry.get("note", ""),
        )

    def _known(self, whose: str, what: str, names: Iterable[str], known: Iterable[str]) -> None:
        self.errors += [f"{whose}: unknown {what} {name}" for name in sorted(set(names) - set(known))]

    def _check_rules(self, rules: Sequence[Rule]) -> None:
        ids = [r.id for r in rules]
        self.errors += [f"rule {i} stands twice" for i in sorted({i for i in ids if ids.count(i) > 1})]
        for rule in rules:
            self._known(f"rule {rule.id}", "excluded rule", rule.excludes, ids)
            for name in sorted(_parameters_of(rule)):
                # a rule must never be in force on a day on which a figure it needs is not
                for day in self._breaks(rule, self.parameters[name]):
                    self.errors.append(f"rule {rule.id}: {name} has no value on {day}")

    @staticmethod
    def _breaks(rule: Rule, parameter: Parameter) -> Iterator[dt.date]:
        ends = (d.period.end for d in parameter.values)
        days = {rule.period.start, *(e + dt.timedelta(days=1) for e in ends if e is not None)}
        yield from sorted(day for day in days if day in rule.period and parameter.on(day) is None)


def _parameters_of(rule: Rule) -> set[str]:
    names = {rule.deadline.amount} if rule.deadline and isinstance(rule.deadline.amount, str) else set()
    for atom in grammar.atoms(rule.when):
        values = atom.value if isinstance(atom.value, tuple) else (atom.value,)
        names |= {v.name for v in values if isinstance(v, grammar.Parameter)}
    return names


def _jsonable(value: Any) -> Any:
    """``value`` with dates (which unquoted YAML makes) as ISO text, so that it has a canonical form."""
    if isinstance(value, Mapping):
        return {str(k): _jsonable(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_jsonable(v) for v in value]
    return value.isoformat() if isinstance(value, dt.date) else value
