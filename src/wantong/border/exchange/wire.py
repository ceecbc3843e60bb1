"""Requests to other nodes: signed, bounded in time and size, never redirected."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import httpx

from wantong.border.exchange.problems import PeerMisbehaves, PeerUnreachable
from wantong.border.trust import services as trust
from wantong.border.trust.models import Peer
from wantong.border.trust.tokens import Request
from wantong.ground.http.fetch import Fetcher, FetchFailed
from wantong.ground.http.limits import seconds_to_wait
from wantong.ground.http.reach import Reach
from wantong.ground.outbox import services as outbox

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

    A peer that has said when to come back (429 or 503 with ``Retry-After``) is not asked before: his answer stands.

    Raises PeerUnreachable (also for an answer that is not whole ``within`` so many seconds) and PeerMisbehaves (an
    answer larger than :data:`LARGEST_ANSWER`, or not HTTP).
    """
    if (left := _resting.get((peer.participant_id, peer.url), 0.0) - time.monotonic()) > 0:
        return Answer(503, b"", retry_after=left)
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
        reply = _http(peer.reach).request(
            method, url, body, headers=headers, limit=LARGEST_ANSWER, deadline=within
        )
    except FetchFailed as failure:
        # unreachable is also a peer that was killed in the middle of its answer: it will be asked again
        kind = PeerMisbehaves if failure.reason in ("too-large", "address") else PeerUnreachable
        raise kind(
            peer=peer.participant_id, reason=failure.reason, cause=failure.cause, most=LARGEST_ANSWER
        ) from None
    told = httpx.Response(reply.status, headers=reply.headers)
    links = {name: link["url"] for name, link in told.links.items() if name and "url" in link}
    after = seconds_to_wait(reply.headers.get("retry-after"), datetime.now(UTC))
    if reply.status in (429, 503) and after:
        _resting[peer.participant_id, peer.url] = time.monotonic() + after
    return Answer(reply.status, reply.body, links, after)


def postpone(answer: Answer) -> None:
    """Raise :class:`~wantong.ground.outbox.services.Postponed` if the peer has sent us away for now: nothing was done."""
    if answer.status in (429, 503) and answer.retry_after:
        raise outbox.Postponed(f"answered {answer.status}", timedelta(seconds=answer.retry_after))


# participant id and address → until when (of ``time.monotonic``) he wants to be left alone
_resting: dict[tuple[str, str], float] = {}


@cache
def _http(reach: Reach) -> Fetcher:
    # one a set of networks, so that no connection made for one peer serves another who may not have it
    return Fetcher(connect=CONNECT_TIMEOUT, reach=reach)
