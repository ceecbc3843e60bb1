"""The code lists of sharing, its formula and the published figures, from ``data/``. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

from wantong.ground import yamlfile

DATA: Final = Path(__file__).parent / "data"

UNCONDITIONAL: Final = "unconditional"
CONDITIONAL: Final = "conditional"
NOT_SHARED: Final = "none"
FILE: Final = "file"
SUBSCRIPTION: Final = "subscription"
QUERY: Final = "query"


@cache
def load(name: str) -> Any:
    """``data/<name>.yaml``."""
    return yamlfile.load(DATA / f"{name}.yaml")


def types() -> Sequence[str]:
    """How data may be shared."""
    return tuple(load("codes")["types"])


def type_of(name: str) -> Mapping[str, Any]:
    """What holds for a way of sharing: ``personal``, ``people``, ``ground`` (see the file)."""
    found: Mapping[str, Any] = load("codes")["types"][name]
    return found


def refusals(*, by_people: bool = False) -> Sequence[str]:
    """Why a request may be refused; ``by_people``: only what a person may say."""
    found: Mapping[str, Any] = load("codes")["refusals"]
    return tuple(code for code, more in found.items() if not (by_people and more.get("node")))


def deliveries() -> Sequence[str]:
    """How data may be delivered."""
    return tuple(load("codes")["deliveries"])


def answers() -> Sequence[str]:
    """What may become of a report."""
    return tuple(load("codes")["answers"])


def days_of(cycle: str) -> int | None:
    """The longest length of an update cycle in days; None if it is not one of the list."""
    found: int | None = load("codes")["cycles"].get(cycle)
    return found


def cycles() -> Sequence[str]:
    """The update cycles that freshness can be measured against."""
    return tuple(load("codes")["cycles"])
