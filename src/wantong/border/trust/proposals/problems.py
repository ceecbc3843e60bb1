"""What may go wrong between two people."""

from __future__ import annotations

from typing import ClassVar

from wantong.ground.problems import Problem


class UnknownProposal(Problem):
    """No such proposal."""

    slug: ClassVar[str] = "proposal-unknown"
    status: ClassVar[int] = 404


class SameHand(Problem):
    """Who proposes does not approve."""

    slug: ClassVar[str] = "proposal-same-person"
    status: ClassVar[int] = 403


class NotTheirs(Problem):
    """Only who proposed withdraws; another refuses."""

    slug: ClassVar[str] = "proposal-not-theirs"
    status: ClassVar[int] = 403


class Decided(Problem):
    """It has been decided: ``state``."""

    slug: ClassVar[str] = "proposal-decided"
    status: ClassVar[int] = 409


class Waits(Problem):
    """Something else about the same ``subject`` waits already."""

    slug: ClassVar[str] = "proposal-waits"
    status: ClassVar[int] = 409


class ReasonNeeded(Problem):
    """Refusing and withdrawing need a reason."""

    slug: ClassVar[str] = "proposal-no-reason"
    status: ClassVar[int] = 422
