"""Where a connection may go when somebody else has chosen the address: the public internet, and what an operator allowed.

A name is looked up once; every address that it has is judged, and the connection is made to an address that was
judged, not to the name: what a name server answers a moment later (rebinding) does not matter. How an address is
written does not matter either (decimal, octal, IPv6 with an IPv4 address inside): judged is what would be called.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib import resources
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from pathlib import Path
from urllib.parse import urlsplit

from wantong.ground import yamlfile

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address
Resolver = Callable[[str, int], list[str]]

_LOOPBACK: tuple[Network, ...] = (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128"))
_NAT64 = IPv6Network("64:ff9b::/96")
_6TO4 = IPv6Network("2002::/16")
# the only block from which addresses are given out to the public
_UNICAST = IPv6Network("2000::/3")


class NotPermitted(Exception):
    """An address that nobody allowed; the text is the host."""


@dataclass(frozen=True)
class Reach:
    """Public addresses and those in ``networks``; never those in ``data/never.yaml``. ``everywhere``: no limits at all,
    for addresses that a person at this machine has typed."""

    networks: tuple[Network, ...] = ()
    everywhere: bool = False

    @classmethod
    def of(cls, urls: Iterable[str], networks: Iterable[str] = ()) -> Reach:
        """What an operator allowed who recognised a node at ``urls``, and named ``networks`` (text) beside.

        An address that stands in a URL in figures is what he meant; so is ``localhost``. A name only ever means
        public addresses. Raises ValueError for a network that is none.
        """
        found = [ip_network(text) for text in networks]
        for url in urls:
            with suppress(ValueError):
                host = urlsplit(url).hostname or ""
                found += _LOOPBACK if host == "localhost" else (ip_network(host),)
        return cls(tuple(dict.fromkeys(found)))

    def permits(self, text: str) -> bool:
        """Whether a connection to the address ``text`` may be made."""
        if self.everywhere:
            return True
        try:
            address = inner(ip_address(text.partition("%")[0]))
        except ValueError:
            return False
        if any(address in network for network in never()):
            return False
        if any(address in network for network in self.networks):
            return True
        if isinstance(address, IPv6Address) and address not in _UNICAST:
            return False
        return address.is_global

    def addresses(self, host: str, port: int, resolver: Resolver | None = None) -> list[str]:
        """Every address of ``host`` if all of them are permitted. Raises :class:`NotPermitted`, OSError.

        One that is not permitted spoils the others: an honest name does not mix inside and outside.
        """
        found = (resolver or lookup)(host, port)
        if not found or not all(map(self.permits, found)):
            raise NotPermitted(host)
        return found


EVERYWHERE = Reach(everywhere=True)


def inner(address: Address) -> Address:
    """The IPv4 address inside an IPv6 address that leads to one (mapped, NAT64, 6to4); others as they are."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped:
            return address.ipv4_mapped
        if address in _NAT64:
            return IPv4Address(int(address) & 0xFFFFFFFF)
        if address in _6TO4:
            return IPv4Address(int(address) >> 80 & 0xFFFFFFFF)
    return address


def lookup(host: str, port: int) -> list[str]:
    """The addresses of a name as the system tells them, in its order. Raises OSError."""
    found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


@cache
def never() -> tuple[Network, ...]:
    """The networks of ``data/never.yaml``."""
    path = Path(str(resources.files("wantong.ground.http") / "data" / "never.yaml"))
    return tuple(ip_network(row["network"]) for row in yamlfile.load(path))


def plain(url: str) -> bool:
    """Whether ``url`` is an http(s) address that everybody reads alike: a host, no user, no fragment, nothing unprintable."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return False
    return (
        parts.scheme in ("http", "https")
        and bool(parts.hostname)
        and "@" not in parts.netloc
        and not parts.fragment
        and url.isascii()
        and url.isprintable()
        and not set(url) & set(' \\"<>^`{|}')
    )
