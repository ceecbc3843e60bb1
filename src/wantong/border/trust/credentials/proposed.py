"""Acts of this room that take two people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wantong.border.trust.credentials import opening, types
from wantong.border.trust.proposals import kinds
from wantong.ground.i18n import LANGUAGES


def _tell(told: Mapping[str, Any]) -> Mapping[str, str]:
    type = types.load().get(told["type"])
    return {"title": " / ".join(type.name[lang] for lang in LANGUAGES), "vct": type.vct} if type else {}


kinds.register(kinds.Kind(opening.OPEN, opening.opens, _tell))
