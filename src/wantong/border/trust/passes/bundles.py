"""What a gate is told, as it travels: JSON with the issuers' keys, their status lists as they signed them, the rules."""

from __future__ import annotations

import base64
import datetime as dt
from collections.abc import Mapping
from typing import Any

from wantong.border.trust.credentials import statuslist
from wantong.border.trust.passes import offline
from wantong.border.trust.passes.gate import Clock, Held, IssuerKey, Known
from wantong.border.trust.verdict import Refused


def read(told: Mapping[str, Any], clock: Clock | None = None) -> Known:
    """What a bundle says. The lists' signatures are checked here, once; a list that is not good is left out.

    Raises KeyError, TypeError, ValueError for what is no bundle.
    """
    keys: dict[bytes, tuple[IssuerKey, ...]] = {}
    for each in told["keys"]:
        key = IssuerKey(
            base64.b64decode(each["public"]), each["issuer"], frozenset(each["scopes"]),
            dt.datetime.fromisoformat(each["not_before"]), dt.datetime.fromisoformat(each["not_after"]),
        )  # fmt: skip
        name = offline.kid(key.public)
        keys[name] = (*keys.get(name, ()), key)
    held = {}
    for each in told["lists"]:
        for name, known in keys.items():
            for key in known:
                if key.issuer == each["issuer"] and (
                    found := _held(base64.b64decode(each["token"]), key.public)
                ):
                    held[name, int(each["number"])] = found
    return Known(keys, dt.datetime.fromisoformat(told["keys_at"]), held, clock)


def _held(token: bytes, public: bytes) -> Held | None:
    try:
        parsed = statuslist.parse(token)
        statuslist.check(parsed, public, uri=parsed.uri, at=parsed.issued_at)
    except Refused:
        return None
    return Held(parsed.listed, parsed.issued_at)
