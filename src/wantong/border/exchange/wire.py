"""Requests to other nodes: signed, bounded in time and size, never redirected."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass, field
from typing import Any

import httpx

from wantong.border.exchange.problems import PeerMisbehaves, PeerUnreachable
from wantong.border.trust import services as trust
from wantong.border.trust.models import Peer
from wantong.border.trust.tokens import Request

CONNECT_TIMEOUT = 5.0
READ_TIMEOUT = 15.0
# a peer that drips one byte a second keeps every read in time: the whole answer must be here by then
TOTAL_TIMEOUT = 30.0
LARGEST_ANSWER = 4 << 20

_local = threading.local()


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


def call(peer: Peer, method: str, url: str, message: Any = None, *, message_id: str | None = None) -> Answer:
    """Send a signed request to ``peer`` and read its answer.

    Raises PeerUnreachable (also for an answer that takes longer than :data:`TOTAL_TIMEOUT`) and PeerMisbehaves (an
    answer larger than :data:`LARGEST_ANSWER`, or not HTTP).
    """
    body = b"" if message is None else json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode()
    headers = {
        "Authorization": trust.sign_request(peer.participant_id, Request(method, url, body), message_id),
        "Accept": "application/json",
        # an answer that grows when it is unpacked could not be bounded by what is read
        "Accept-Encoding": "identity",
    }
    if body:
        headers["Content-Type"] = "application/json"
    deadline = time.monotonic() + TOTAL_TIMEOUT
    try:
        with _client().stream(method, url, content=body, headers=headers) as response:
            received = bytearray()
            for piece in response.iter_raw():
                received += piece
                if len(received) > LARGEST_ANSWER:
                    raise PeerMisbehaves(
                        peer=peer.participant_id, reason=f"the answer is larger than {LARGEST_ANSWER} bytes"
                    )
                if time.monotonic() > deadline:
                    raise PeerUnreachable(peer=peer.participant_id, reason="the answer did not end in time")
            return Answer(
                response.status_code,
                bytes(received),
                {name: link["url"] for name, link in response.links.items() if name and "url" in link},
                _seconds(response.headers.get("Retry-After")),
            )
    except (httpx.TransportError, httpx.InvalidURL) as error:
        if isinstance(error, httpx.RemoteProtocolError | httpx.UnsupportedProtocol | httpx.InvalidURL):
            raise PeerMisbehaves(peer=peer.participant_id, reason=type(error).__name__) from None
        raise PeerUnreachable(peer=peer.participant_id, reason=type(error).__name__) from None


def _client() -> httpx.Client:
    # one a thread: connections are kept alive, and no lock is shared
    if not hasattr(_local, "client"):
        _local.client = httpx.Client(
            timeout=httpx.Timeout(READ_TIMEOUT, connect=CONNECT_TIMEOUT),
            follow_redirects=False,
            trust_env=False,
            limits=httpx.Limits(max_keepalive_connections=4, keepalive_expiry=20),
        )
    client: httpx.Client = _local.client
    return client


def _seconds(header: str | None) -> float | None:
    return min(float(header), 300.0) if header and header.isdigit() else None
