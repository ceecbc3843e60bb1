"""Which roots a node recognises is said on a floor above, by its trust lists; here is the place where they say it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime

Provider = Callable[[datetime], Iterable[bytes]]
_PROVIDERS: list[Provider] = []


def provider(recognised: Provider) -> Provider:
    """Register what says which certificates (DER) are recognised at a moment; returns it."""
    if recognised not in _PROVIDERS:
        _PROVIDERS.append(recognised)
    return recognised


def at(moment: datetime) -> tuple[bytes, ...]:
    """All roots (DER) that are recognised at ``moment``, each once."""
    return tuple(dict.fromkeys(der for recognised in _PROVIDERS for der in recognised(moment)))
