"""The quality score of a dataset, by the formula in ``data/quality.yaml``. Pure: today comes in as an argument."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from wantong.border.exchange.opendata.codes import codes, formula


@dataclass(frozen=True)
class Quality:
    """``score`` of 0 to 100 (None if nothing can be told), and the shares it is made of, each 0 to 1 or None."""

    score: int | None
    shares: Mapping[str, float | None]
    version: int

    def to_dict(self) -> dict[str, Any]:
        return {
            "score": self.score,
            "version": self.version,
            "shares": {
                name: None if share is None else round(share, 3) for name, share in self.shares.items()
            },
        }


def quality(
    said: Mapping[str, Any],
    *,
    filled: float | None,
    columns: Iterable[str],
    newest: date,
    formats: Iterable[str],
    on: date,
) -> Quality:
    """The score ``on`` a day.

    ``said``: the record (as a dict); ``filled``: the share of cells with a value, None where there is no table;
    ``columns``: their names; ``newest``: the day of the newest data; ``formats``: those it is offered in.
    """
    by = formula()
    shares = {
        "completeness": filled,
        "metadata": _metadata(by["metadata"], said, list(columns)),
        "freshness": _freshness(by["freshness"], str(said.get("cycle", "unknown")), newest, on),
        "readability": max(
            (by["readability"].get(f, by["readability"]["other"]) for f in formats), default=None
        ),
    }
    told = {name: share for name, share in shares.items() if share is not None}
    weight = sum(by["weights"][name] for name in told)
    score = (
        round(100 * sum(by["weights"][name] * share for name, share in told.items()) / weight)
        if weight
        else None
    )
    return Quality(score, shares, by["version"])


def _metadata(wanted: list[str], said: Mapping[str, Any], columns: list[str]) -> float:
    told = said.get("columns") or {}
    titled = sum(bool((told.get(name) or {}).get("title")) for name in columns)
    worth = [
        titled / len(columns) if name == "column_titles" and columns else float(_tells(said.get(name)))
        for name in wanted
        if name != "column_titles" or columns
    ]
    return sum(worth) / len(worth)


def _tells(value: Any) -> bool:
    return bool(value) and value not in ("unknown", "notspecified")


def _freshness(by: Mapping[str, float], cycle: str, newest: date, on: date) -> float | None:
    days = codes("cycles")[cycle]["days"] if cycle in codes("cycles") else None
    if days is None:
        return None
    # less than a day cannot be told from a date
    age = max((on - newest).days, 0) / max(float(days), 1.0)
    span = by["none_from"] - by["full_until"]
    return min(1.0, max(0.0, (by["none_from"] - age) / span))
