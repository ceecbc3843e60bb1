"""The table ``[identity]`` of ``node.toml``: what an operator may say about signing in.

- ``passkeys_from``: the day from which officials sign in with a passkey only. Before it, one who has none is led to make
  one after the password; whoever has one needs it already. Without the option, no day is set.
- ``levels``: a file in place of ``data/levels.yaml``, where two places have agreed otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from wantong.border.trust.identity.accounts import levels

NAMES = frozenset({"passkeys_from", "levels"})


class BadOptions(ValueError):
    """The table says what cannot be; the text says what."""


@dataclass(frozen=True)
class Options:
    """See above."""

    passkeys_from: date | None = None
    levels: Path = levels.DEFAULT

    def password_alone(self, on: date) -> bool:
        """Whether an official without a passkey still gets in with his password on a day."""
        return self.passkeys_from is None or on < self.passkeys_from


def read(table: Mapping[str, Any] | None) -> Options:
    """What ``table`` says, the rest by default. Raises :class:`BadOptions`."""
    said = dict(table or {})
    if unknown := said.keys() - NAMES:
        raise BadOptions(f"{', '.join(sorted(unknown))}: there is no such option")
    day, file = said.get("passkeys_from"), Path(said.get("levels", levels.DEFAULT))
    if day is not None and type(day) is not date:
        raise BadOptions("passkeys_from is a day, such as 2027-01-01")
    try:
        levels.load(file)
    except (levels.BadTable, OSError) as error:
        raise BadOptions(f"levels: {error}") from None
    return Options(day, file)


def current() -> Options:
    """Those of the node this process belongs to (setting ``WANTONG_IDENTITY``). Raises :class:`BadOptions`."""
    from django.conf import settings

    said = getattr(settings, "WANTONG_IDENTITY", None)
    return said if isinstance(said, Options) else read(said)
