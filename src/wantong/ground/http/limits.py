"""How much one asker may ask, and how much one request may hold: ``data/limits.yaml``, changed by ``[limits]``.

The web server keeps the limits by address and by size before anything of Django runs
(:class:`~wantong.ground.http.front.Front`); code that learns later who is asking calls :func:`spend`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from importlib import resources
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from math import ceil
from pathlib import Path
from time import monotonic
from typing import Any, ClassVar

from wantong.ground import config, yamlfile
from wantong.ground.http.buckets import Buckets, Rate, take
from wantong.ground.problems import Problem

ADDRESS, PEER, UNPROVEN, SIGN_IN, TIMESTAMP = "address", "peer", "unproven", "sign-in", "timestamp"
"""The limits that :func:`spend` counts against."""
PEER_DATA, PEER_QUERY = "peer-data", "peer-query"
"""Those of one peer at the data plane (:class:`Door`)."""
FILE = "limits"
LONGEST_WAIT = 300.0
Network = IPv4Network | IPv6Network


class TooManyRequests(Problem):
    """An asker has used up what he may ask for now. ``of`` is the kind of limit, ``retry_after`` seconds to wait."""

    slug = "too-many-requests"
    status = 429
    CODES: ClassVar[Mapping[str, str]] = {"of": "limit"}


class Overloaded(Problem):
    """The node has more to do than it can; ``retry_after`` seconds later it may have room."""

    slug = "overloaded"
    status = 503


class BodyTooLarge(Problem):
    """A request holds, or announces, more than the ``allowed`` bytes of its address."""

    slug = "body-too-large"
    status = 413


class BodyTooSlow(Problem):
    """The body of a request did not arrive in time."""

    slug = "body-too-slow"
    status = 408


class BadLimits(ValueError):
    """``[limits]`` says something that is no limit; the text says what."""


@dataclass(frozen=True)
class Body:
    """What requests under ``path`` may hold: ``bytes``, or ``upload`` bytes as ``multipart/form-data``."""

    path: str
    bytes: int
    upload: int = 0


@dataclass(frozen=True)
class Connections:
    """Bounds of connections of one process; see ``data/limits.yaml``."""

    most: int
    head_seconds: float
    head_bytes: int
    idle_seconds: float
    reader_seconds: float


@dataclass(frozen=True)
class Limits:
    """All limits of a node."""

    capacity: Mapping[str, Mapping[str, float]]
    connections: Connections
    bodies: tuple[Body, ...]
    uploads: int
    rates: Mapping[str, Rate]
    trusted_proxies: tuple[Network, ...] = field(default=())
    metrics_from: tuple[Network, ...] = field(default=())

    def body(self, path: str, content_type: str) -> int:
        """How many bytes a request to ``path`` may hold."""
        fits = next(body for body in self.bodies if path.startswith(body.path))
        return fits.upload if fits.upload and content_type.startswith("multipart/form-data") else fits.bytes


def read(changes: Mapping[str, Any] | None = None) -> Limits:
    """The limits of ``data/limits.yaml`` with ``changes`` over them. Raises :class:`BadLimits`."""
    told = _merged(_defaults(), changes or {}, "")
    try:
        limits = Limits(
            capacity=told["capacity"],
            connections=Connections(**told["connections"]),
            bodies=tuple(Body(**body) for body in told["bodies"]),
            uploads=int(told["uploads"]),
            rates={name: Rate(**rate) for name, rate in told["rates"].items()},
            trusted_proxies=tuple(ip_network(text) for text in told["trusted_proxies"]),
            metrics_from=tuple(ip_network(text) for text in told["metrics_from"]),
        )
    except (TypeError, ValueError) as error:
        raise BadLimits(str(error)) from None
    numbers = [
        *(n for rate in limits.rates.values() for n in (rate.rate, rate.burst)),
        *(n for capacity in limits.capacity.values() for n in capacity.values()),
        *vars(limits.connections).values(),
        limits.uploads,
    ]
    if not all(type(number) in (int, float) and number > 0 for number in numbers):
        raise BadLimits("limits are numbers above 0")
    if not limits.bodies or limits.bodies[-1].path != "/":
        raise BadLimits("the last of bodies is that of every path, /")
    return limits


def _merged(known: Mapping[str, Any], changes: Mapping[str, Any], where: str) -> dict[str, Any]:
    if unknown := changes.keys() - known.keys():
        raise BadLimits(f"there is no {where}{sorted(unknown)[0]}")
    merged = dict(known)
    for name, value in changes.items():
        inner = isinstance(known[name], Mapping)
        if inner != isinstance(value, Mapping):
            raise BadLimits(f"{where}{name} is of another shape")
        merged[name] = _merged(known[name], value, f"{where}{name}.") if inner else value
    return merged


@cache
def _defaults() -> Mapping[str, Any]:
    path = Path(str(resources.files("wantong.ground.http") / "data" / "limits.yaml"))
    loaded: Mapping[str, Any] = yamlfile.load(path)
    return loaded


def client_address(direct: str, forwarded: Sequence[str], trusted: Sequence[Network]) -> str:
    """Whose request it is: ``direct``, or, from a trusted proxy, the last address it was forwarded for by nobody we trust.

    ``forwarded`` are the values of ``X-Forwarded-For`` in order. What is no address ends the search: only a liar, or a
    proxy that hides whom it serves, writes such.
    """
    hops = [hop.strip() for value in forwarded for hop in value.split(",")]
    found = direct
    while within(found, trusted) and hops:
        hop = hops.pop()
        try:
            ip_address(hop)
        except ValueError:
            break
        found = hop
    return found


def within(address: str, networks: Sequence[Network]) -> bool:
    """Whether ``address`` (text) is in one of ``networks``; an IPv4 address in IPv6 clothes is the IPv4 address."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped:
        parsed = parsed.ipv4_mapped
    return any(parsed in network for network in networks)


def of_this_machine(address: str) -> bool:
    """Whether a request comes from this machine itself, for whom limits by address are not meant."""
    return address.startswith(("127.", "::1", "::ffff:127."))


def asker(address: str) -> str:
    """Under which name requests from ``address`` are counted: of IPv6 the /64, which is what one household is given."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped:
            return str(parsed.ipv4_mapped)
        return str(IPv6Network((parsed, 64), strict=False))
    return str(parsed)


def seconds_to_wait(header: str | None, now: datetime) -> float | None:
    """What a ``Retry-After`` header asks for (RFC 9110: seconds or a date), at most :data:`LONGEST_WAIT`; None if it says nothing."""
    text = (header or "").strip()
    if text.isdecimal() and len(text) < 10:
        return min(float(text), LONGEST_WAIT)
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return min(max((at - now).total_seconds(), 0.0), LONGEST_WAIT)


# --- this node's ------------------------------------------------------------------------------------------------


def current() -> Limits:
    """The limits of the node this process belongs to."""
    from django.conf import settings

    limits: Limits | None = getattr(settings, "WANTONG_LIMITS", None)
    return limits or _read_defaults()


@cache
def _read_defaults() -> Limits:
    return read()


@cache
def buckets(path: Path) -> Buckets:
    """The buckets in the file ``path``, opened once a process."""
    return Buckets(path)


def spend(of: str, who: str, amount: float = 1.0) -> None:
    """Count one request of ``who`` against the limit ``of`` (:data:`PEER` and its like). Raises :class:`TooManyRequests`.

    An ``amount`` of 0 only looks. Not for addresses of this machine itself (:func:`of_this_machine`).
    """
    if of != PEER:
        if of_this_machine(who):
            return
        who = asker(who)
    _take(buckets(config.current().run / FILE), of, who, current().rates[of], amount)


def _take(table: Buckets, of: str, who: str, rate: Rate, amount: float) -> None:
    if wait := table.take(f"{of} {who}", rate, amount):
        raise TooManyRequests(of=of, retry_after=ceil(wait))


class Door:
    """What callers of one kind of service may ask of a process that is alone in offering it and has no settings of Django's.

    Whom a signature has proven is counted in memory: there are few of them, and it costs a microsecond. Addresses are
    counted in the table that all processes share, where a flood of them costs no memory. ``of`` is the limit of one
    peer. All methods raise :class:`TooManyRequests`.
    """

    def __init__(self, limits: Limits, table: Path, of: str) -> None:
        self._of, self._peer, self._unproven = of, limits.rates[of], limits.rates[UNPROVEN]
        self._path = table
        self._full_at: dict[str, float] = {}

    def proven(self, peer: str) -> None:
        """Count one request of ``peer``, whose signature was checked."""
        now = monotonic()
        self._full_at[peer], wait = take(self._full_at.get(peer, now), self._peer, now)
        if wait:
            raise TooManyRequests(of=self._of, retry_after=ceil(wait))

    def stranger(self, address: str) -> None:
        """Look, before a signature is checked, whether too many bad ones have come from ``address``."""
        self._spend(address, 0)

    def unproven(self, address: str) -> None:
        """Count one request from ``address`` that proved nothing."""
        self._spend(address, 1)

    def _spend(self, address: str, amount: float) -> None:
        if not of_this_machine(address):
            _take(buckets(self._path), UNPROVEN, asker(address), self._unproven, amount)
