"""A trust list as OpenID Federation 1.0 has it: the node is a trust anchor, its OpenID entities are its subordinates.

The entity configuration says who the node is and where it answers; a subordinate statement says of one entity by which
keys it is known here. Peers whose lists are countersigned are subordinates too, by the keys that sign those. A node names no
superior of its own (``authority_hints``): the three would name each other, and chains would run in circles.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from wantong.border.trust import jws
from wantong.border.trust.lists.trustlist import ServiceType
from wantong.ground.crypto import Signer

ENTITY_STATEMENT: Final = "entity-statement+jwt"
LIFETIME: Final = timedelta(days=1)
TYPES: Final[Mapping[str, ServiceType]] = {
    "openid_provider": ServiceType.IDENTITY_PROVIDER,
    "openid_credential_issuer": ServiceType.ISSUER,
    "openid_credential_verifier": ServiceType.VERIFIER,
    "openid_wallet_provider": ServiceType.WALLET_PROVIDER,
}
"""Entity types (OpenID Federation; OpenID Federation for Wallet Architectures) and the services that they are here."""

METADATA: dict[str, Callable[[], Mapping[str, Any]]] = {}
"""Entity type (``openid_provider``, ``openid_credential_issuer`` …) → what this node says of itself as one."""


def speaks_as(entity_type: str, metadata: Callable[[], Mapping[str, Any]]) -> None:
    """Register what the entity configuration of this node says of it as ``entity_type``."""
    METADATA[entity_type] = metadata


def configuration(
    entity_id: str,
    signer: Signer,
    keys: Sequence[Mapping[str, Any]],
    metadata: Mapping[str, Mapping[str, Any]],
    now: datetime,
) -> str:
    """What an entity says of itself (section 9): its keys, its metadata by entity type."""
    return _statement(
        entity_id, entity_id, signer, now, {"jwks": {"keys": list(keys)}, "metadata": dict(metadata)}
    )


def subordinate(
    issuer: str,
    subject: str,
    signer: Signer,
    keys: Sequence[Mapping[str, Any]],
    now: datetime,
    *,
    until: datetime,
    constraints: Mapping[str, Any] | None = None,
    source: str = "",
) -> str:
    """What an anchor says of an entity (section 8.1.2): the keys by which it is known; it ends at ``until`` at the latest.

    ``source`` is the endpoint where the statement is had.
    """
    said: dict[str, Any] = {"jwks": {"keys": [identified(key) for key in keys]}}
    if constraints:
        said["constraints"] = dict(constraints)
    if source:
        said["source_endpoint"] = source
    return _statement(issuer, subject, signer, now, said, until)


def identified(key: Mapping[str, Any]) -> dict[str, Any]:
    """A JWK with a ``kid``, which federation asks for: its own, or its thumbprint (RFC 7638)."""
    return {**key, "kid": key.get("kid") or jws.thumbprint(key)}


def _statement(
    issuer: str,
    subject: str,
    signer: Signer,
    now: datetime,
    said: Mapping[str, Any],
    until: datetime | None = None,
) -> str:
    end = now + LIFETIME if until is None else min(now + LIFETIME, until)
    head = {"typ": ENTITY_STATEMENT, "kid": identified(jws.jwk(signer.public))["kid"]}
    times = {"iat": int(now.timestamp()), "exp": int(end.timestamp())}
    return jws.sign(signer, head, {"iss": issuer, "sub": subject, **times, **said})
