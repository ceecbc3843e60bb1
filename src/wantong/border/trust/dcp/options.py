"""The setting ``WANTONG_DCP``: what an operator may say about claims beside whom he trusts.

- ``networks``: networks (CIDR) inside which DID documents and credential services may lie; none by default. At hosts
  of a loopback network named here, and nowhere else, http is taken for https.
- ``credentials``: a file in place of ``data/credentials.yaml``.
- ``tolerates``: errors of older kits to overlook, by name (:data:`.verifier.TOLERANCES`); none by default.
- ``at_once``: proofs of others that are looked into at one moment; the rest is told to come back.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from django.conf import settings

from wantong.border.trust.dcp import kinds
from wantong.border.trust.dcp.verifier import TOLERANCES

LOOPBACK = frozenset({"127.0.0.1", "localhost"})


@dataclass(frozen=True)
class Options:
    networks: tuple[str, ...] = ()
    credentials: Path = kinds.DEFAULT
    tolerates: frozenset[str] = field(default_factory=frozenset)
    at_once: int = 2

    @property
    def plain(self) -> frozenset[str]:
        """Hosts at which http will do."""
        named = map(ip_network, self.networks)
        return LOOPBACK if any(network.is_loopback for network in named) else frozenset()


def current() -> Options:
    """The setting as it is now. Raises ValueError for a tolerance that does not exist."""
    said: dict[str, Any] = getattr(settings, "WANTONG_DCP", {})
    options = Options(
        tuple(said.get("networks", ())),
        Path(said.get("credentials", kinds.DEFAULT)),
        frozenset(said.get("tolerates", ())),
        int(said.get("at_once", 2)),
    )
    if not options.tolerates <= TOLERANCES:
        raise ValueError(f"WANTONG_DCP tolerates {set(options.tolerates - TOLERANCES)}, which does not exist")
    return options
