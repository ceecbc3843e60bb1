"""Asking servers that others have named: what may be reached, and why there is no answer.

Whoever shows a link, a status list or a callback chooses where this node goes; so it goes to public addresses over HTTPS,
and to the nodes that its operator has pinned.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cache
from typing import Final
from urllib.parse import urlsplit

from wantong.border.trust.verdict import Refused, Unsure
from wantong.ground import config
from wantong.ground.http import reach
from wantong.ground.http.fetch import Fetcher, FetchFailed, Reply

DEADLINE: Final = 5.0
LARGEST: Final = 2 << 20


class Site:
    """HTTPS to public addresses, and whatever is at ``known`` origins: this node's own, and those of pinned nodes."""

    def __init__(self, known: Collection[str]) -> None:
        self._origins = frozenset(map(origin, known))
        self._http = _fetcher(frozenset(known))

    def get(self, url: str, accept: str = "application/json") -> bytes:
        """The body of a successful GET. Raises :class:`.Refused`, :class:`.Unsure`."""
        reply = self._ask("GET", url, b"", {"Accept": accept, "Accept-Encoding": "gzip"})
        if reply.status != 200:
            raise Refused("site-answer", host=urlsplit(url).netloc, answer=reply.status)
        return reply.body

    def post(self, url: str, content: bytes, headers: Mapping[str, str]) -> Reply:
        """The answer to a POST, whatever it is. Raises :class:`.Refused`, :class:`.Unsure`."""
        return self._ask("POST", url, content, headers)

    def check(self, url: str) -> None:
        """Whether this is an address that may be asked, as far as it tells itself. Raises :class:`.Refused`."""
        # what is not encrypted is asked only where the operator said so: at nodes he knows
        if not reach.plain(url) or (not url.startswith("https://") and origin(url) not in self._origins):
            raise Refused("site-address", url=url)

    def _ask(self, method: str, url: str, content: bytes, headers: Mapping[str, str]) -> Reply:
        self.check(url)
        host = urlsplit(url).netloc
        try:
            return self._http.request(method, url, content, headers=headers, limit=LARGEST, deadline=DEADLINE)
        except FetchFailed as failure:
            if failure.reason in ("forbidden", "address"):
                raise Refused("site-address", url=url) from None
            raise Unsure(f"site-{failure.reason}", host=host) from None


def of_this_node() -> Site:
    """What this node may ask for others: the world, and the nodes it knows."""
    from wantong.border.trust.models import Peer

    return Site([config.current().url, *Peer.objects.filter(active=True).values_list("url", flat=True)])


def origin(url: str) -> str:
    """Scheme, host and port."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


@cache
def _fetcher(known: frozenset[str]) -> Fetcher:
    return Fetcher(connect=DEADLINE, reach=reach.Reach.of(known))
