"""How sure it is who somebody is: three scales that are kept apart, and the one figure that a service asks for.

After NIST SP 800-63-4: ``ial`` is how the person was proven once, ``aal`` how he has just shown that it is he, ``fal`` how
well the word of another system was protected on its way here. Each goes from 0 (nothing is known, or there was no
federation) to 3. What a system's own levels mean here is a judgement of people; it stands as dated data with its reason
(``data/levels.yaml``), and two places that agree otherwise put a file of their own in its place. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import IntEnum
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from wantong.ground import yamlfile

DEFAULT = Path(str(resources.files(__package__) / "data" / "levels.yaml"))
ACR = "urn:wantong:acr:"


class BadTable(ValueError):
    """A file of levels says what cannot be; the text says what."""


class Assurance(IntEnum):
    """The effective level: as in eIDAS, that of the weakest thing it rests on."""

    NONE = 0
    LOW = 1
    SUBSTANTIAL = 2
    HIGH = 3

    @property
    def acr(self) -> str:
        """As published in tokens: ``urn:wantong:acr:substantial``."""
        return ACR + self.name.lower()

    @classmethod
    def of(cls, acr: str) -> Assurance | None:
        """The level that an ``acr`` names, None for one of somebody else."""
        return next((level for level in cls if level.acr == acr), None)


@dataclass(frozen=True)
class Levels:
    """One word on each of the three scales."""

    ial: int
    aal: int
    fal: int


@dataclass(frozen=True)
class Mapped:
    """What the level ``native`` of the system ``scheme`` means here from ``since`` to before ``until``.

    ``judged_by`` is whose judgement that is, ``source`` where the native level is described, ``note`` (by language)
    why it is so.
    """

    scheme: str
    native: str
    levels: Levels
    since: date
    until: date | None
    judged_by: str
    source: str
    note: Mapping[str, str]


@dataclass(frozen=True)
class Limits:
    """After how long a word no longer counts: by level, of proofing and of authentication."""

    proofing: Mapping[int, timedelta]
    authentication: Mapping[int, timedelta]


@dataclass(frozen=True)
class Unreached:
    """A ``level`` (as ``aal3``) that nobody has who signs in at a node itself, and ``why`` (by language)."""

    level: str
    source: str
    why: Mapping[str, str]


@dataclass(frozen=True)
class Table:
    """The judgements and age limits in force."""

    mapped: tuple[Mapped, ...]
    limits: Limits
    unreached: tuple[Unreached, ...] = ()

    def find(self, scheme: str, native: str, on: date) -> Mapped | None:
        """What ``native`` of ``scheme`` means on a day; None if nobody has judged it: then it proves nothing."""
        found = (
            row
            for row in self.mapped
            if (row.scheme, row.native) == (scheme, native)
            and row.since <= on
            and (row.until is None or on < row.until)
        )
        return max(found, key=lambda row: row.since, default=None)

    def levels(self, scheme: str, native: str, on: date) -> Levels:
        """As :meth:`find`; what nobody has judged is 0 on every scale."""
        row = self.find(scheme, native, on)
        return row.levels if row else Levels(0, 0, 0)


def aged(level: int, since: datetime | None, now: datetime, limits: Mapping[int, timedelta]) -> int:
    """What is left of ``level``, reached at ``since``: the highest level not above it whose age limit has not passed.

    A level without a limit lasts. One whose moment is not known, or lies in the future, is not believed.
    """
    if since is None or since > now:
        return 0
    kept = (one for one in range(level, 0, -1) if one not in limits or now - since <= limits[one])
    return next(kept, 0)


def effective(ials: Iterable[int], aal: int, link: int | None = None) -> Assurance:
    """The level of all that a word rests on: the proofing of each account, the link between them, the session.

    Raises ValueError if no account is named.
    """
    proofings = tuple(ials)
    if not proofings:
        raise ValueError("a level is of somebody")
    parts = (*proofings, aal, *(() if link is None else (link,)))
    return Assurance(max(min(*parts, Assurance.HIGH), Assurance.NONE))


@cache
def load(file: Path = DEFAULT) -> Table:
    """The table in ``file``. Raises :class:`BadTable`; OSError if it cannot be read."""
    return read(yamlfile.load(file))


def read(raw: Mapping[str, Any]) -> Table:
    """The table as its file says it. Raises :class:`BadTable`."""
    try:
        limits = Limits(
            **{
                scale: {int(level): timedelta(hours=float(hours)) for level, hours in said.items()}
                for scale, said in raw["limits_hours"].items()
            }
        )
        mapped = tuple(
            Mapped(
                scheme=scheme,
                native=str(row["native"]),
                levels=Levels(**{scale: _level(row[scale]) for scale in ("ial", "aal", "fal")}),
                since=_day(row["since"]),
                until=_day(row["until"]) if row.get("until") else None,
                judged_by=row["judged_by"],
                source=row["source"],
                note=row["note"],
            )
            for scheme, rows in raw["schemes"].items()
            for row in rows
        )
        unreached = tuple(
            Unreached(row["level"], row["source"], row["why"]) for row in raw.get("unreached", ())
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise BadTable(f"{type(error).__name__}: {error}") from None
    for row in mapped:
        if row.until is not None and row.until <= row.since:
            raise BadTable(f"{row.scheme} {row.native} ends before it begins")
    return Table(mapped, limits, unreached)


def _level(value: Any) -> int:
    if type(value) is not int or not 0 <= value <= 3:
        raise BadTable(f"{value!r} is no level from 0 to 3")
    return value


def _day(value: Any) -> date:
    if not isinstance(value, date):
        raise BadTable(f"{value!r} is no day")
    return value
