"""An operator's desk: the calls that a person's browser or a program makes at a node, with patience.

Every act carries an Idempotency-Key and is repeated when the node does not answer, so that a node may be killed at
any moment and the work is done once.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import httpx

from wantong.node.bay import BayNode

T = TypeVar("T")
PATIENCE = 60.0
PAUSE = 0.05


class GaveUp(Exception):
    """What should have happened did not within a minute; says what the world looked like."""


class Refused(Exception):
    """The node answered with a problem."""


class Desk:
    """One operator at one node."""

    def __init__(self, node: BayNode, operator: str) -> None:
        self.node, self.operator = node, operator
        self.participant_id = node.settings.node.participant_id
        self._client = node.client(operator)

    def get(self, path: str, **query: Any) -> Any:
        """The JSON at ``/api`` + ``path``."""
        return self._ask(lambda: self._client.get(f"/api{path}", params=query)).json()

    def text(self, path: str) -> str:
        """The body at ``/api`` + ``path``."""
        return self._ask(lambda: self._client.get(f"/api{path}")).text

    def act(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """POST, once, however often it has to be repeated."""
        key = _key()
        return self._ask(lambda: self._client.post(f"/api{path}", json=dict(body or {}), headers=key)).json()

    def upload(self, path: str, name: str, file: Path, **fields: str) -> Any:
        """POST a file under the form field ``name`` with others beside it; once, however often it has to be repeated."""
        key = _key()

        def send() -> httpx.Response:
            with file.open("rb") as content:
                files = {name: (file.name, content)}
                return self._client.post(f"/api{path}", data=fields, files=files, headers=key)

        return self._ask(send).json()

    def publish(self, path: Path, metadata: Mapping[str, Any]) -> Any:
        """Offer a file."""
        return self.upload("/datasets", "file", path, metadata=json.dumps(metadata))

    def patiently(self, path: str) -> bytes:
        """The body at ``path`` as soon as there is one (a receipt: when both other nodes have witnessed it)."""

        def fetch() -> bytes | None:
            answer = self._client.get(path)
            return answer.content if answer.status_code == 200 else None

        return until(lambda: quietly(fetch), f"an answer at {path}")

    def receipt(self, log_entry: str, target: Path) -> Path:
        """Fetch the receipt of a log entry."""
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(self.patiently(f"/log/receipts/{log_entry}"))
        return target

    def _ask(self, request: Callable[[], httpx.Response]) -> httpx.Response:
        def once() -> httpx.Response | None:
            answer = request()
            # a node that says when to come back has not refused
            later = answer.status_code >= 500 or "Retry-After" in answer.headers
            return None if later else answer

        answer = until(lambda: quietly(once), f"an answer of {self.node.url}")
        if answer.status_code >= 400:
            raise Refused(f"{answer.request.method} {answer.request.url.path}: {answer.text[:600]}")
        return answer


def _key() -> dict[str, str]:
    return {"Idempotency-Key": uuid.uuid4().hex}


def quietly(call: Callable[[], T]) -> T | None:
    """The result, or None while the node cannot be reached."""
    try:
        return call()
    except httpx.TransportError:
        return None


def until(look: Callable[[], T | None], what: str, seconds: float = PATIENCE) -> T:
    """Look again and again until there is something. Raises :class:`GaveUp`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if seen := look():
            return seen
        time.sleep(PAUSE)
    raise GaveUp(what)
