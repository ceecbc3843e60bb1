"""Requests to other nodes: signed, bounded in time and size, never redirected."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import httpx

from wantong.border.exchange.problems import PeerMisbehaves, PeerUnreachable
from wantong.border.trust import services as trust
from wantong.border.trust.models import Peer
from wantong.border.trust.tokens import Request
from wantong.ground.http.fetch import Fetcher, FetchFailed

CONNECT_TIMEOUT = 5.0
TOTAL_TIMEOUT = 30.0  # seconds until the whole answer must be here
LARGEST_ANSWER = 4 << 20


@dataclass(frozen=True)
class Answer:
    """What a peer answered. ``links`` are the targets of its ``Link`` header by relation."""

    status: int
    body: bytes
    links: dict[str, str] = field(default_factory=dict)
    retry_after: float | None = None

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    def json(self) -> Any:
        """The body as JSON, None if it is none."""
        try:
            return json.loads(self.body) if self.body else None
        except (ValueError, RecursionError):
            return None


def call(
    peer: Peer,
    method: str,
    url: str,
    message: Any = None,
    *,
    message_id: str | None = None,
    within: float = TOTAL_TIMEOUT,
) -> Answer:
    """Send a signed request to ``peer`` and read its answer.

    Raises PeerUnreachable (also for an answer that is not whole ``within`` so many seconds) and PeerMisbehaves (an
    answer larger than :data:`LARGEST_ANSWER`, or not HTTP).
    """
    body = b""
    if message is not None:
        # one form for one message, whichever database it has been through
        body = json.dumps(message, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()
    headers = {
        "Authorization": trust.sign_request(peer, Request(method, url, body), message_id),
        "Accept": "application/json",
    }
    if body:
        headers["Content-Type"] = "application/json"
    try:
        reply = _http().request(method, url, body, headers=headers, limit=LARGEST_ANSWER, deadline=within)
    except FetchFailed as failure:
        if failure.reason == "too-large":
            why = f"the answer is larger than {LARGEST_ANSWER} bytes"
            raise PeerMisbehaves(peer=peer.participant_id, reason=why) from None
        if failure.reason == "address":
            raise PeerMisbehaves(peer=peer.participant_id, reason=failure.cause) from None
        # also a peer that was killed in the middle of its answer: it will be asked again
        raise PeerUnreachable(peer=peer.participant_id, reason=failure.cause) from None
    told = httpx.Response(reply.status, headers=reply.headers)
    links = {name: link["url"] for name, link in told.links.items() if name and "url" in link}
    return Answer(reply.status, reply.body, links, _seconds(told.headers.get("Retry-After")))


@cache
def _http() -> Fetcher:
    return Fetcher(connect=CONNECT_TIMEOUT)


def _seconds(header: str | None) -> float | None:
    return min(float(header), 300.0) if header and header.isdigit() else None
