"""What can go wrong with certificates; that a chain does not hold is no problem but a verdict."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from wantong.ground.problems import Problem


class BadEvidence(Problem):
    """A revocation list or an OCSP answer that cannot be taken: ``reason``, a stable code."""

    slug: ClassVar[str] = "revocation-evidence-bad"
    status: ClassVar[int] = 422
    CODES: ClassVar[Mapping[str, str]] = {"reason": "certificates.evidence"}


class NoCertificates(Problem):
    """What was handed in holds no certificate that can be looked at: ``reason``, a stable code."""

    slug: ClassVar[str] = "certificates-none"
    status: ClassVar[int] = 422
    CODES: ClassVar[Mapping[str, str]] = {"reason": "certificates.bundle"}
