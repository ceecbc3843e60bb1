"""The ready questions of ``data/questions.yaml``. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from wantong.ground import yamlfile


@dataclass(frozen=True)
class Question:
    """What may be asked by one name: in DCQL, what for (by language), and how many days the answer is kept."""

    id: str
    name: Mapping[str, str]
    purpose: Mapping[str, str]
    query: Mapping[str, Any]
    keep: int


@cache
def load() -> Mapping[str, Question]:
    """All of them, by name."""
    told = yamlfile.load(Path(str(resources.files(__package__))) / "data" / "questions.yaml")
    return {
        id: Question(id, one["name"], one["purpose"], one["query"], one["keep"]) for id, one in told.items()
    }
