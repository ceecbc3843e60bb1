"""Types of ``authorization_details`` (RFC 9396): who has a kind of thing to allow registers how it is asked for.

Nothing is known to the provider itself; a type that nobody has registered is refused.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wantong.border.trust.identity.provider.problems import InvalidAuthorizationDetails

Detail = Mapping[str, Any]
MOST = 20
LONGEST = 8_000


@dataclass(frozen=True)
class Type:
    """One type.

    ``check(detail)`` returns the detail as it will be stored, or raises
    :class:`.InvalidAuthorizationDetails`; ``describe(detail, lang)`` says it to a person, completing "wants to …";
    ``enrich(detail, account_id)`` is what the token response says of it (RFC 9396, 7), by default the same.
    """

    name: str
    check: Callable[[Detail], Detail]
    describe: Callable[[Detail, str], str]
    enrich: Callable[[Detail, str], Detail] = lambda detail, account_id: detail


_TYPES: dict[str, Type] = {}


def register(kind: Type) -> None:
    """Take details of this type from now on; the last registration of a name counts."""
    _TYPES[kind.name] = kind


def names() -> tuple[str, ...]:
    """The types there are."""
    return tuple(_TYPES)


def read(text: str, allowed: Sequence[str] | None = None) -> tuple[Detail, ...]:
    """The parameter ``authorization_details``, checked by type; ``allowed`` are the types of the client, None is all.

    Raises :class:`.InvalidAuthorizationDetails`.
    """
    if not text:
        return ()
    try:
        told = json.loads(text) if len(text) <= LONGEST else None
    except (ValueError, RecursionError):
        told = None
    if (
        not isinstance(told, list)
        or not 0 < len(told) <= MOST
        or not all(isinstance(one, dict) for one in told)
    ):
        raise InvalidAuthorizationDetails("details-form")
    found = []
    for one in told:
        kind = one.get("type")
        if not isinstance(kind, str) or kind not in _TYPES or (allowed is not None and kind not in allowed):
            raise InvalidAuthorizationDetails("details-type", type=kind)
        found.append(_TYPES[kind].check(one))
    return tuple(found)


def described(detail: Detail, lang: str) -> str:
    """A checked detail in words."""
    kind = _TYPES.get(str(detail.get("type")))
    return kind.describe(detail, lang) if kind else str(detail.get("type"))


def enriched(details: Sequence[Detail], account_id: str) -> list[Detail]:
    """What the token response says of them."""
    return [_TYPES[one["type"]].enrich(one, account_id) if one["type"] in _TYPES else one for one in details]
