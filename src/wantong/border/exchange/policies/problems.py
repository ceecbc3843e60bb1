"""What can be wrong with a policy. Texts: ``exchange/data/messages/policies.yaml``."""

from __future__ import annotations

from typing import ClassVar

from wantong.ground.problems import Problem


class MalformedPolicy(Problem):
    """It is no ODRL policy at all; ``reason`` says where."""

    slug: ClassVar[str] = "malformed-policy"
    status: ClassVar[int] = 422
