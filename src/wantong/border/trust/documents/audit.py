"""Which residents does a form turn away (证件同等便利)? Every resident with every document he holds tries to fill it in.

The residents are synthetic (``data/residents.yaml``), their numbers well formed (:mod:`.samples`). A field turns somebody
away only if it takes none of the ways in which what he has may be written; if it takes some and not others, that is
noted too, for people copy what stands on the document.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from wantong.border.trust.documents import checking, kinds, samples
from wantong.border.trust.documents.dates import PartialDate
from wantong.border.trust.documents.forms import Field, Form, Option
from wantong.ground import yamlfile
from wantong.ground.i18n import pick, t

SAMPLES = 8
"""Numbers that are tried for a document: a pattern may take some of them only."""


@dataclass(frozen=True)
class Resident:
    """Somebody who tries. ``name`` is by script, in parts (surname, given names); ``bears`` what some documents print."""

    id: str
    names: Mapping[str, str]
    holds: tuple[str, ...]
    name: Mapping[str, Sequence[str]]
    bears: Mapping[str, Sequence[str]]
    born: PartialDate
    phone: tuple[str, str]

    def written(self, kind: str, part: str) -> list[str]:
        """How the name, or a part of it, may be copied from a document."""
        found = []
        for script in self.bears.get(kind, self.name):
            surname, given = self.name[script]
            whole = (
                [surname + given]
                if script == "han"
                else [f"{surname} {given}", f"{surname}, {given}", f"{given} {surname}"]
            )
            found += {"name": [name.strip(" ,") for name in whole], "surname": [surname], "given": [given]}[
                part
            ]
        return [name for name in found if name]


@dataclass(frozen=True)
class Fault:
    """A field in the way. ``code`` is why: words stand in ``documents.audit.why.<code>`` and ``….next.<code>``.

    ``outright``: nothing that the resident has is taken; otherwise some ways of writing it are not.
    """

    field: str
    code: str
    params: Mapping[str, str] = dataclasses.field(default_factory=dict)
    outright: bool = True

    def to_dict(self, lang: str) -> dict[str, Any]:
        params = {name: _worded(name, value, lang) for name, value in self.params.items()}
        return {
            "field": self.field,
            "code": self.code,
            "outright": self.outright,
            "why": t(f"documents.audit.why.{self.code}", lang, field=self.field, **params),
            "next": t(f"documents.audit.next.{self.code}", lang, field=self.field, **params),
        }


@dataclass(frozen=True)
class Row:
    """A resident with a document: what is in the way."""

    resident: Resident
    kind: str
    faults: tuple[Fault, ...]

    @property
    def served(self) -> bool:
        return not any(fault.outright for fault in self.faults)


@dataclass(frozen=True)
class Audit:
    """What came of it, a row for every resident and document."""

    site: str
    rows: tuple[Row, ...]

    @property
    def turned_away(self) -> tuple[Resident, ...]:
        """Residents who get through with none of their documents."""
        everybody = dict.fromkeys(row.resident.id for row in self.rows)
        served = {row.resident.id for row in self.rows if row.served}
        return tuple(residents()[id] for id in everybody if id not in served)

    @property
    def served(self) -> int:
        """With how many documents somebody gets through."""
        return sum(row.served for row in self.rows)

    def to_dict(self, lang: str) -> dict[str, Any]:
        """As JSON, in words."""
        return {
            "site": self.site,
            "said": t(
                "documents.audit.said",
                lang,
                served=self.served,
                of=len(self.rows),
                away=len(self.turned_away),
            ),
            "served": self.served,
            "of": len(self.rows),
            "turned_away": [{"id": one.id, "name": pick(one.names, lang).text} for one in self.turned_away],
            "rows": [
                {
                    "resident": row.resident.id,
                    "resident_name": pick(row.resident.names, lang).text,
                    "kind": row.kind,
                    "kind_name": pick(kinds.kind(row.kind).names, lang).text,
                    "served": row.served,
                    "faults": [fault.to_dict(lang) for fault in row.faults],
                }
                for row in self.rows
            ],
        }


def audit(form: Form) -> Audit:
    """Let everybody try."""
    return Audit(
        form.site,
        tuple(Row(one, kind, _try(form, one, kind)) for one in residents().values() for kind in one.holds),
    )


@cache
def residents() -> Mapping[str, Resident]:
    """Who tries, by id."""
    told = yamlfile.load(Path(__file__).parent / "data" / "residents.yaml")
    return {
        id: Resident(
            id, one["names"], tuple(one["holds"]), one["name"], one.get("bears", {}),
            PartialDate.parse(str(one["born"])), (one["phone"][0], one["phone"][1]),
        )
        for id, one in told.items()
    }  # fmt: skip


def _try(form: Form, who: Resident, kind: str) -> tuple[Fault, ...]:
    """What is in the way of ``who`` with this document, by the choice that leaves least."""
    choices: list[Option | None] = []
    for chooser in form.of("kind"):
        fitting = [option for option in chooser.options if kind in option.kinds]
        if not fitting and chooser.required:
            offered = dict.fromkeys(k for option in chooser.options for k in option.kinds)
            # what else is in the way is told as well, but for the number: which field is his nobody knows
            others = dataclasses.replace(
                form, fields=tuple(one for one in form.fields if one.role != "number")
            )
            missing = Fault(chooser.name, "kind", {"kind": kind, "kinds": " ".join(offered)})
            return missing, *_faults(others, who, kind, None)
        choices += fitting
    tries = [tuple(_faults(form, who, kind, choice)) for choice in choices or [None]]
    return min(tries, key=lambda faults: (sum(fault.outright for fault in faults), len(faults)))


def _faults(form: Form, who: Resident, kind: str, choice: Option | None) -> Iterator[Fault]:
    for one in form.fields:
        if one.when and (choice is None or choice.value not in one.when):
            continue
        if one.role == "number":
            yield from _number(one, who, kind)
        elif one.role in ("name", "surname", "given"):
            yield from _text(
                one, who.written(kind, one.role), "name", {"name": " / ".join(who.written(kind, one.role))}
            )
        elif one.role == "phone":
            code, national = who.phone
            shown = {"phone": f"+{code} {national}"}
            yield from _text(
                one, [national, code + national, f"+{code}{national}", f"00{code}{national}"], "phone", shown
            )
        elif one.role == "birth":
            known = "day" if who.born.day else "month" if who.born.month else "year"
            if one.required and ("year", "month", "day").index(one.precision) > (
                "year",
                "month",
                "day",
            ).index(known):
                yield Fault(one.name, "birth", {"born": str(who.born)})


def _number(one: Field, who: Resident, kind: str) -> Iterator[Fault]:
    born = date(who.born.year, who.born.month or 1, who.born.day or 1)
    random, facts = Random(f"{who.id} {kind}"), kinds.kind(kind)  # noqa: S311 - the same numbers each time
    numbers = [samples.sample(kind, random, born) for _ in range(SAMPLES)]
    wanted = {"kind": kind, "form": facts.forms[0].pattern, "length": str(max(map(len, numbers)))}
    if one.checked_as and not any(
        checking.check(each, number).verdict.passed for each in one.checked_as for number in numbers
    ):
        yield Fault(one.name, "number-check", wanted | {"kinds": " ".join(one.checked_as)})
        return
    bare = [one.takes(facts.bare(number) or number) for number in numbers]
    printed = [one.takes(number) for number in numbers]
    for each in zip(bare, printed, strict=True):
        if all(each):
            yield Fault(one.name, f"number-{each[0]}", wanted)
            return
    if any(printed):
        yield Fault(one.name, "number-writing", wanted | {"shown": numbers[0]}, outright=False)


def _text(one: Field, ways: Sequence[str], what: str, params: Mapping[str, str]) -> Iterator[Fault]:
    if not ways:
        if one.required:
            yield Fault(one.name, f"{what}-none", params)
        return
    why = [one.takes(way) for way in ways]
    if all(why) and one.required:
        yield Fault(one.name, f"{what}-{why[0]}", params)
    elif all(why):
        yield Fault(one.name, f"{what}-{why[0]}", params, outright=False)


def _worded(name: str, value: str, lang: str) -> str:
    """A param for people: kinds of documents by their names."""
    if name not in ("kind", "kinds"):
        return value
    return ("、" if lang.startswith("zh") else ", ").join(
        pick(kinds.kind(id).names, lang).text for id in value.split()
    )
