"""The table ``[claims]`` of ``node.toml``: what an operator may say about claims beside whom he trusts.

- ``networks``: networks (CIDR) inside which DID documents and credential services may lie; none by default. At hosts
  of a loopback network named here, and nowhere else, http is taken for https.
- ``credentials``: a file in place of ``data/credentials.yaml``.
- ``tolerates``: errors of older implementations to overlook, by name (:data:`.verifier.TOLERANCES`); none by default.
- ``at_once``: proofs of others that are looked into at one moment; whoever comes beside is told to come back. Keep it
  below the number of web threads: the others must be able to ask this node for its own credentials meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from wantong.border.trust.dcp import kinds

LOOPBACK = frozenset({"127.0.0.1", "localhost"})


class BadOptions(ValueError):
    """The table says what cannot be; the text says what."""


@dataclass(frozen=True)
class Options:
    """See above."""

    networks: tuple[str, ...] = ()
    credentials: Path = kinds.DEFAULT
    tolerates: frozenset[str] = field(default_factory=frozenset)
    at_once: int = 2

    @property
    def plain(self) -> frozenset[str]:
        """Hosts at which http will do."""
        named = map(ip_network, self.networks)
        return LOOPBACK if any(network.is_loopback for network in named) else frozenset()


def read(table: Mapping[str, Any] | None) -> Options:
    """What ``table`` says, the rest by default. Raises :class:`BadOptions`."""
    from wantong.border.trust.dcp.verifier import TOLERANCES

    said = dict(table or {})
    networks, tolerates = said.pop("networks", []), said.pop("tolerates", [])
    credentials, at_once = Path(said.pop("credentials", kinds.DEFAULT)), said.pop("at_once", 2)
    if said:
        raise BadOptions(f"{', '.join(map(str, said))}: there is no such option")
    try:
        options = Options(
            tuple(str(ip_network(one)) for one in networks), credentials, frozenset(tolerates), int(at_once)
        )
        kinds.load(credentials)
    except (ValueError, TypeError, OSError) as error:
        raise BadOptions(str(error)) from None
    if unknown := options.tolerates - TOLERANCES:
        raise BadOptions(f"tolerates {', '.join(unknown)}, of which nothing is known")
    if options.at_once < 1:
        raise BadOptions("at_once must be at least 1")
    return options


def current() -> Options:
    """Those of the node this process belongs to (setting ``WANTONG_CLAIMS``). Raises :class:`BadOptions`."""
    from django.conf import settings

    said = getattr(settings, "WANTONG_CLAIMS", None)
    return said if isinstance(said, Options) else read(said)
