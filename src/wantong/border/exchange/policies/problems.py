"""What can be wrong with a policy. Texts: ``exchange/data/messages/policies.yaml``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from wantong.ground.problems import Problem


class MalformedPolicy(Problem):
    """It is no ODRL policy at all: what stands at ``path`` is not right; ``reason`` (a code) says why."""

    slug: ClassVar[str] = "malformed-policy"
    status: ClassVar[int] = 422
    CODES: ClassVar[Mapping[str, str]] = {"reason": "policy.malformed"}
