"""What claims have of their own about JWTs, which :mod:`wantong.border.trust.jws` reads: signing, and times."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from joserfc import jws as rfc7515
from joserfc.jwk import ECKey

from wantong.border.trust import jws

ALGORITHM = "ES256"
"""What this node signs with, as the protocol's participants all do."""


def sign(key: ECKey, header: Mapping[str, Any], claims: Mapping[str, Any]) -> str:
    """A compact JWT of ``claims`` by ``key`` (:data:`ALGORITHM`)."""
    head = {"alg": ALGORITHM, **header}
    return rfc7515.serialize_compact(head, jws.compact(claims), key, algorithms=[ALGORITHM])


def moment(claims: Mapping[str, Any], name: str) -> datetime | None:
    """The time in a claim, None if it is not there. Raises :class:`~wantong.border.trust.verdict.Refused`."""
    value = jws.seconds(claims, name)
    return None if value is None else datetime.fromtimestamp(value, UTC)
