"""The dashboard's figures: asked, granted, refused, how long it took, by body, by month. Pure."""

from __future__ import annotations

import datetime as dt
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Case:
    """One request as the dashboard sees it. ``had_at``: the first delivery; ``calls``: lookups of a query agreement."""

    dataset_id: str
    owner_body: str
    asker_body: str
    state: str
    sharing: str
    asked_at: dt.datetime
    decided_at: dt.datetime | None = None
    had_at: dt.datetime | None = None
    granted: bool = False
    refusal: str = ""
    deliveries: int = 0
    calls: int = 0
    ratings: tuple[int, ...] = ()


@dataclass(frozen=True)
class Times:
    """How long it took from asking to having, in hours; None where nobody has got anything yet."""

    count: int = 0
    mean: float | None = None
    median: float | None = None
    p90: float | None = None

    def to_dict(self) -> dict[str, Any]:
        return dict(self.__dict__)


@dataclass(frozen=True)
class Figures:
    """All of it. The lists are in the order in which they are shown."""

    asked: int
    granted: int
    refused: int
    open: int
    deliveries: int
    calls: int
    times: Times
    at_once: Times
    months: Sequence[dict[str, Any]] = field(default_factory=list)
    bodies: Sequence[dict[str, Any]] = field(default_factory=list)
    datasets: Sequence[dict[str, Any]] = field(default_factory=list)
    refusals: Sequence[dict[str, Any]] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        return {**self.__dict__, "times": self.times.to_dict(), "at_once": self.at_once.to_dict()}


def figures(cases: Iterable[Case], zone: dt.tzinfo, top: int = 10) -> Figures:
    """The figures of ``cases``; months are those of ``zone``."""
    found = list(cases)
    return Figures(
        asked=len(found),
        granted=sum(case.granted for case in found),
        refused=sum(bool(case.refusal) for case in found),
        open=sum(case.state in ("asked", "endorsed") for case in found),
        deliveries=sum(case.deliveries for case in found),
        calls=sum(case.calls for case in found),
        times=times(found),
        at_once=times(case for case in found if case.sharing == "unconditional"),
        months=_months(found, zone),
        bodies=_bodies(found),
        datasets=_datasets(found)[:top],
        refusals=[
            {"code": code, "count": count}
            for code, count in sorted(
                Counter(case.refusal for case in found if case.refusal).items(), key=lambda x: (-x[1], x[0])
            )
        ],
    )


def times(cases: Iterable[Case]) -> Times:
    """From asking to having, of those who have got something."""
    hours = sorted((case.had_at - case.asked_at) / dt.timedelta(hours=1) for case in cases if case.had_at)
    if not hours:
        return Times()
    return Times(
        len(hours),
        round(sum(hours) / len(hours), 4),
        round(quantile(hours, 0.5), 4),
        round(quantile(hours, 0.9), 4),
    )


def quantile(ordered: Sequence[float], share: float) -> float:
    """The value below which ``share`` of the ``ordered`` values lie, interpolated between neighbours."""
    place = share * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def _months(cases: Sequence[Case], zone: dt.tzinfo) -> list[dict[str, Any]]:
    by_month: dict[str, list[Case]] = {}
    for case in cases:
        by_month.setdefault(case.asked_at.astimezone(zone).strftime("%Y-%m"), []).append(case)
    return [
        {
            "month": month,
            "asked": len(some),
            "granted": sum(case.granted for case in some),
            "refused": sum(bool(case.refusal) for case in some),
            "median_hours": times(some).median,
        }
        for month, some in sorted(by_month.items())
    ]


def _bodies(cases: Sequence[Case]) -> list[dict[str, Any]]:
    codes = sorted({code for case in cases for code in (case.owner_body, case.asker_body) if code})
    rows = [
        {
            "body": code,
            "asks": sum(case.asker_body == code for case in cases),
            "asked_of": sum(case.owner_body == code for case in cases),
            "grants": sum(case.granted for case in cases if case.owner_body == code),
            "refuses": sum(bool(case.refusal) for case in cases if case.owner_body == code),
            "median_hours": times(case for case in cases if case.owner_body == code).median,
        }
        for code in codes
    ]
    return sorted(
        rows, key=lambda row: (-int(row["asks"] or 0) - int(row["asked_of"] or 0), str(row["body"]))
    )


def _datasets(cases: Sequence[Case]) -> list[dict[str, Any]]:
    by_dataset: dict[str, list[Case]] = {}
    for case in cases:
        by_dataset.setdefault(case.dataset_id, []).append(case)
    rows = []
    for name, some in by_dataset.items():
        scores = [score for case in some for score in case.ratings]
        rows.append(
            {
                "dataset_id": name,
                "asked": len(some),
                "granted": sum(case.granted for case in some),
                "deliveries": sum(case.deliveries for case in some),
                "calls": sum(case.calls for case in some),
                "rating": round(sum(scores) / len(scores), 2) if scores else None,
            }
        )
    return sorted(rows, key=lambda row: (-int(row["asked"] or 0), str(row["dataset_id"])))
