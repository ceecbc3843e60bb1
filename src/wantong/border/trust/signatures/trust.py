"""Whom to believe: the one place where a certificate's word is taken or not.

:class:`Anchors` believes roots that somebody has named, with no list behind them: the command line without a node, and
tests. A node asks its lists instead (:class:`wantong.border.trust.signatures.services.Lists`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal

from wantong.border.trust.certificates.certificate import TIMESTAMPING
from wantong.border.trust.certificates.path import Demands, Path, validate
from wantong.border.trust.certificates.revocation import Revocation
from wantong.border.trust.signatures.found import Material
from wantong.border.trust.signatures.process import Decision, Service

DEMANDS: Final = {
    "signature": Demands(usage=frozenset(("contentCommitment", "digitalSignature")), form="always"),
    "timestamp": Demands(purposes=frozenset((TIMESTAMPING,)), form="always"),
}
"""What is asked of who signs and of who stamps. The form of certificates is their issuer's business, not the signer's."""


@dataclass(frozen=True)
class Anchors:
    """Roots (DER) that count for everything; ``more`` is evidence beyond what stands in the document."""

    roots: Sequence[bytes]
    revocation: Literal["require", "none"] = "require"
    more: Material = field(default_factory=Material)

    def decide(
        self, leaf: bytes, material: Material, service: Service, at: datetime, now: datetime
    ) -> Decision:
        """By the best path to one of the roots."""
        material |= self.more
        path = validate(
            leaf,
            [certificate for certificate in material.certificates if certificate != leaf],
            self.roots,
            at=at,
            revocation=Revocation(self.revocation, material.crls, material.ocsps, known_at=now),
            demands=DEMANDS[service],
        )
        return Decision(
            path.verdict,
            tuple(certificate.der for certificate in path.chain),
            ended(path),
            {"anchor": path.chain[-1].label} if path.anchored else {},
        )


def ended(path: Path) -> datetime | None:
    """When the leaf expired or was revoked, the earlier."""
    if not path.links:
        return None
    leaf = path.links[0]
    times = [leaf.certificate.not_after]
    if leaf.status is not None and leaf.status.entry is not None:
        times.append(leaf.status.entry.since)
    return min(times)
