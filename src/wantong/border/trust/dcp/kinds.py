"""The types of credential a node knows, as data: which are required, and what each makes of its holder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from wantong.ground import yamlfile

DEFAULT = Path(__file__).parent / "data" / "credentials.yaml"


@dataclass(frozen=True)
class Kind:
    """A type of credential: the role it ``confers``, and whether everybody must show one."""

    type: str
    confers: str
    required: bool
    title: Mapping[str, str]


@cache
def load(path: Path = DEFAULT) -> Mapping[str, Kind]:
    """Type → what is known of it. Raises ValueError for a file that says something else."""
    kinds = {}
    for type, told in (yamlfile.load(path) or {}).items():
        if (
            not isinstance(told, dict)
            or not set(told) <= {"confers", "required", "title"}
            or "confers" not in told
        ):
            raise ValueError(f"{path}: {type} must say what it confers, and may say required and title")
        kinds[type] = Kind(
            type, told["confers"], bool(told.get("required")), told.get("title") or {"en": type}
        )
    return kinds


def roles(types: Mapping[str, Kind], shown: set[str]) -> frozenset[str]:
    """What the credentials of types ``shown`` make of their holder."""
    return frozenset(kind.confers for type, kind in types.items() if type in shown)
