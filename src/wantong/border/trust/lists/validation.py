"""How recognition has a path validated: by :mod:`wantong.border.trust.certificates`, every check of it a step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from wantong.border.trust.certificates import path
from wantong.border.trust.certificates.revocation import Revocation
from wantong.border.trust.lists.recognition import Validate
from wantong.border.trust.verdict import Verdict


@dataclass(frozen=True)
class Found:
    """A path as recognition looks at it; ``whole`` has what is known of every certificate in it."""

    whole: path.Path

    @property
    def chain(self) -> tuple[bytes, ...]:
        """From the leaf to the anchor, or as far as it could be followed; DER."""
        return tuple(one.der for one in self.whole.chain)

    @property
    def verdict(self) -> Verdict:
        return self.whole.verdict


def validating(revocation: Revocation) -> Validate:
    """A validation in this process that rests on this evidence, which says itself whether it must be there."""

    def validate(
        leaf: bytes, intermediates: Sequence[bytes], anchors: Sequence[bytes], at: datetime
    ) -> Found:
        return Found(path.validate(leaf, intermediates, anchors, at=at, revocation=revocation))

    return validate
