"""Where a connector speaks the Dataspace Protocol: its ``/.well-known/dspace-version``, which is open to everyone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from wantong.border.exchange import messages, schemas
from wantong.border.exchange.problems import PeerMisbehaves, PeerUnreachable
from wantong.ground.http.fetch import Fetcher, FetchFailed
from wantong.ground.http.reach import Reach

LARGEST = 64 << 10
TIMEOUT = 10.0


def protocol_url(peer: str, url: str, networks: Sequence[str] = ()) -> str:
    """The base address of protocol messages of version 2025-1 at the connector under ``url``.

    ``peer`` is its name, for what is said of it; ``networks`` as in :class:`.Reach`. Raises :class:`.PeerUnreachable`, or :class:`.PeerMisbehaves` if it
    tells no versions or not this one.
    """
    try:
        with Fetcher(reach=Reach.of((url,), networks)) as http:
            reply = http.get(f"{url.rstrip('/')}/.well-known/dspace-version", limit=LARGEST, deadline=TIMEOUT)
    except FetchFailed as failure:
        raise PeerUnreachable(peer=peer, reason=failure.reason, cause=failure.cause, most=LARGEST) from None
    try:
        told: dict[str, Any] = json.loads(reply.body) if reply.status == 200 else {}
        schemas.check(told, "Version")
    except (ValueError, RecursionError, schemas.InvalidMessage):
        raise PeerMisbehaves(peer=peer, reason="no-versions", answer=reply.status) from None
    for version in told["protocolVersions"]:
        if version["version"] == messages.VERSION and version.get("binding", "HTTPS") == "HTTPS":
            return f"{url.rstrip('/')}/{str(version['path']).strip('/')}"
    known = ", ".join(str(version["version"]) for version in told["protocolVersions"])
    raise PeerMisbehaves(peer=peer, reason="other-version", known=known[:200], version=messages.VERSION)
