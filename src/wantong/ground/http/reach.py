"""Which machines this node calls at somebody else's word: the public internet, and networks an operator has named.

A name in a message or a document may stand for a machine inside the operator's own network, or for this very node.
Names are resolved once, every address must be allowed, and the connection goes to an address that was looked at: an
answer of the name service that changes in between changes nothing.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

_NAT64 = ip_network("64:ff9b::/96")


class Inside(Exception):
    """The name leads to a machine that must not be called at the word of others."""


class Reach:
    """The public internet and ``networks`` (CIDR) beside it."""

    def __init__(self, networks: Iterable[str] = ()) -> None:
        self._networks: tuple[IPv4Network | IPv6Network, ...] = tuple(map(ip_network, networks))

    def addresses(self, host: str, port: int) -> list[str]:
        """The addresses of ``host``, all of them allowed. Raises :class:`Inside`, or OSError if there is none."""
        found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        if not all(self.allows(address) for address in addresses):
            raise Inside(host)
        return addresses

    def allows(self, address: str) -> bool:
        """Whether a machine at ``address`` may be called. Raises ValueError if it is no IP address."""
        ip = ip_address(address.partition("%")[0])
        if any(ip in network for network in self._networks):
            return True
        return all(one.is_global and not one.is_multicast for one in (ip, *_meant(ip)))


def _meant(ip: IPv4Address | IPv6Address) -> list[IPv4Address]:
    """The IPv4 addresses that an IPv6 address stands for."""
    if isinstance(ip, IPv4Address):
        return []
    meant = [ip.ipv4_mapped, ip.sixtofour, *(ip.teredo or ())]
    if ip in _NAT64:
        meant.append(IPv4Address(int(ip) & 0xFFFFFFFF))
    return [one for one in meant if one is not None]
