"""Acts of this room that take two people."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from wantong.border.trust.identity.accounts.sources import services
from wantong.border.trust.proposals import kinds
from wantong.ground.i18n import LANGUAGES


def _tell(told: Mapping[str, Any]) -> Mapping[str, str]:
    plain = {name: str(told[name]) for name in ("adapter", "issuer", "scheme", "place")}
    names = " / ".join(told["title"][lang] for lang in LANGUAGES if told["title"].get(lang))
    return {**plain, "title": names, "settings": json.dumps(told["settings"], ensure_ascii=False)}


kinds.register(kinds.Kind(services.KIND, services.effect, _tell, services.dropped))
