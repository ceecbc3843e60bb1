"""What can be wrong in a research project space."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from wantong.ground.problems import Problem


class UnknownProject(Problem):
    """There is no such ``project``, or nothing of that id in it."""

    slug: ClassVar[str] = "unknown-research-project"
    status: ClassVar[int] = 404


class BadProject(Problem):
    """``field`` cannot be so, for ``reason`` (a code)."""

    slug: ClassVar[str] = "bad-research-project"
    status: ClassVar[int] = 422
    CODES: ClassVar[Mapping[str, str]] = {"reason": "research.bad-project"}


class ProjectNotNow(Problem):
    """What was asked for is not possible in ``state``."""

    slug: ClassVar[str] = "research-not-now"
    status: ClassVar[int] = 409


class ReviewsMissing(Problem):
    """Reviews that must stand before data is released do not: ``reviews`` names them with their side."""

    slug: ClassVar[str] = "research-reviews-missing"
    status: ClassVar[int] = 409


class SameResearcher(Problem):
    """Who proposed a release, or has published the dataset, does not decide on it."""

    slug: ClassVar[str] = "research-same-hand"
    status: ClassVar[int] = 403


class BadCrate(Problem):
    """The file is no RO-Crate that can be taken; ``reason`` (a code) says why."""

    slug: ClassVar[str] = "bad-ro-crate"
    status: ClassVar[int] = 422
    CODES: ClassVar[Mapping[str, str]] = {"reason": "research.bad-crate"}
