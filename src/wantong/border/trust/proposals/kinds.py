"""Which acts take two people: each room says its own in a module ``proposed``, found when it is first asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.utils.module_loading import autodiscover_modules

from wantong.ground.actors import Actor

DECIDE = ("operator", "approver")
"""Whoever has one of these roles decides about what another proposed."""

Params = Mapping[str, Any]


def _nothing(params: Params) -> None:
    pass


@dataclass(frozen=True)
class Kind:
    """An act: ``effect`` is what it does, in the transaction of the approval, by whoever approved; ``dropped`` clears
    away after one that came to nothing. ``tell`` says what a person should see before he decides, as fields
    (``proposals.field.<name>``). ``proposals.kind.<id>`` names it."""

    id: str
    effect: Callable[[Actor, Params], Any]
    tell: Callable[[Params], Mapping[str, str]]
    dropped: Callable[[Params], None] = _nothing


_known: dict[str, Kind] = {}


def register(kind: Kind) -> None:
    """Called by a room's module ``proposed``."""
    _known[kind.id] = kind


def get(id: str) -> Kind:
    """Raises KeyError: what is not registered is a mistake of ours, not of an operator."""
    _found()
    return _known[id]


@cache
def _found() -> None:
    autodiscover_modules("proposed")
