"""What can go wrong with the whitelist."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from wantong.ground.problems import Problem


class UnknownItem(Problem):
    """There is no such item."""

    slug: ClassVar[str] = "whitelist-unknown-item"
    status: ClassVar[int] = 404


class BadItem(Problem):
    """``field`` of a proposed item cannot be as it is: ``reason``."""

    slug: ClassVar[str] = "whitelist-bad-item"
    status: ClassVar[int] = 422
    CODES: ClassVar[Mapping[str, str]] = {"reason": "gate.bad-item"}


class SamePerson(Problem):
    """Who proposed an item may not approve it."""

    slug: ClassVar[str] = "whitelist-same-person"
    status: ClassVar[int] = 403


class NotInThisState(Problem):
    """``act`` is not possible while the item is ``state``."""

    slug: ClassVar[str] = "whitelist-not-in-this-state"
    status: ClassVar[int] = 409
