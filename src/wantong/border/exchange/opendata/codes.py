"""Code lists as data: licences, update cycles, subjects, places."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

from wantong.ground import yamlfile

Entry = Mapping[str, Any]


@cache
def codes(name: str) -> Mapping[str, Entry]:
    """The list ``licences``, ``cycles``, ``themes`` or ``places``: id → its entry (``name`` is a language map)."""
    rows = yamlfile.load((resources.files(__package__) / "data" / f"{name}.yaml").read_bytes())
    return {row["id"]: row for row in rows}


@cache
def formula() -> Mapping[str, Any]:
    """How the quality score is made (``data/quality.yaml``)."""
    found: Mapping[str, Any] = yamlfile.load(
        (resources.files(__package__) / "data" / "quality.yaml").read_bytes()
    )
    return found
