"""By what the index of revocations finds the evidence for a certificate: digests of names and keys, and a number."""

from __future__ import annotations

import hashlib
from typing import Any

from wantong.border.trust.certificates.asn1 import Malformed
from wantong.border.trust.certificates.certificate import Certificate, Point, read
from wantong.border.trust.certificates.names import Name


def wanted(der: bytes) -> dict[str, Any] | None:
    """What to look for, as JSON; None if ``der`` is no certificate.

    ``issuers`` are digests of the names whose lists may speak of it: its issuer's, and those its points name.
    """
    try:
        certificate = read(der)
    except Malformed:
        return None
    points = (*certificate.points, *certificate.freshest)
    issuers = {certificate.issuer.digest.hex()}
    issuers |= {n.value.digest.hex() for p in points for n in p.issuers if isinstance(n.value, Name)}
    return {
        "issuer": certificate.issuer.digest.hex(),
        "issuers": sorted(issuers),
        "issuer_der": certificate.issuer.raw.hex(),
        "issuer_raw": hashlib.sha256(certificate.issuer.raw).hexdigest(),
        "serial": f"{certificate.serial:x}",
    }


def addresses(points: tuple[Point, ...]) -> list[str]:
    """Where lists are said to be, http(s) only."""
    return [
        str(name.value)
        for point in points
        for name in point.names
        if name.kind == "uri" and str(name.value).startswith(("http://", "https://"))
    ]


def places(certificate: Certificate) -> dict[str, list[str]]:
    """Addresses of lists, deltas and OCSP responders that a certificate names."""
    return {
        "list": addresses(certificate.points),
        "delta": addresses(certificate.freshest),
        "answer": list(certificate.addresses("ocsp")),
    }
