"""Asking a query service: one call, checked as it comes back. Needs no node and no database.

answer = ask(endpoint, token, subject="…", case="2026-17", purpose="credit-check", fields=("name",))
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from math import ceil
from typing import Any, Final

from wantong.border.exchange.problems import PeerMisbehaves, PeerRefused, PeerUnreachable
from wantong.border.exchange.query import problems
from wantong.border.exchange.query.problems import PeerBusy
from wantong.ground.http.fetch import Fetcher, FetchFailed, Reply
from wantong.ground.http.limits import Overloaded, TooManyRequests, seconds_to_wait
from wantong.ground.http.reach import EVERYWHERE, Reach
from wantong.ground.log.identifiers import uuid7
from wantong.ground.problems import TYPE_BASE, Problem

TIMEOUT: Final = 10.0
LARGEST: Final = 1 << 20
_ENTRY = re.compile(r"[0-9a-f-]{36}")
_SALT = re.compile(r"[0-9a-f]{32,64}")
_KNOWN: Final = {
    kind.slug: kind
    for kind in vars(problems).values()
    if isinstance(kind, type) and issubclass(kind, Problem) and kind is not Problem
}
_PARAMS: Final = {"reason": str, "names": str, "most": int, "retry_after": int, "limit": int}
"""What is taken over of another node's problem, and as what."""


@dataclass(frozen=True)
class Answer:
    """``records``: what was answered; ``entry``: the other node's log entry; ``salt`` (hex) opens its digests;
    ``body``: the bytes that ``payload.salted_sha256`` of the entry is of."""

    records: list[dict[str, str]]
    entry: str
    salt: str
    body: bytes


def ask(
    endpoint: str,
    token: str,
    *,
    subject: str,
    case: str,
    purpose: str,
    fields: Sequence[str],
    peer: str = "",
    reach: Reach = EVERYWHERE,
    timeout: float = TIMEOUT,
) -> Answer:
    """One person's record. An answer with anything in it that was not asked for is refused whole, and nothing is
    called that ``reach`` does not permit. Who is told to come back does, if that is within ``timeout`` seconds.

    Raises PeerUnreachable, PeerMisbehaves, PeerRefused, :class:`~.problems.PeerBusy`, and the problem that the other node names, with ``entry`` and
    ``salt`` among its params if the call is in its log.
    """
    question = {"subject": subject, "case": case, "purpose": purpose, "fields": list(fields)}
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    until = time.monotonic() + timeout
    while True:
        body = json.dumps({**question, "call": uuid7()}, ensure_ascii=False).encode()
        left = until - time.monotonic()
        try:
            reply = _http(reach).request(
                "POST", endpoint, body, headers=headers, limit=LARGEST, deadline=left
            )
        except FetchFailed as failure:
            theirs = failure.reason in ("too-large", "address", "forbidden")
            raise (PeerMisbehaves if theirs else PeerUnreachable)(
                peer=peer, reason=failure.reason, cause=failure.cause, most=LARGEST
            ) from None
        if (wait := _sent_away(reply)) is None:
            break
        if time.monotonic() + wait >= until:
            raise PeerBusy(peer=peer, retry_after=ceil(wait))
        time.sleep(wait)
    entry, salt = reply.headers.get("wantong-entry", ""), reply.headers.get("wantong-salt", "")
    logged = {"entry": entry, "salt": salt} if _ENTRY.fullmatch(entry) and _SALT.fullmatch(salt) else {}
    told = _document(reply)
    if reply.status != 200:
        raise _problem(reply.status, told, logged, peer)
    if not logged or not _is_answer(told, fields):
        raise PeerMisbehaves(peer=peer, reason="not-an-answer")
    return Answer(told["records"], entry, salt, reply.body)


def _sent_away(reply: Reply) -> float | None:
    """In how many seconds to come back, if nothing of the call has been done and it may be made again; else None.

    Not if the agreement's own limit is reached: that is an answer.
    """
    if reply.status not in (429, 503) or _kind(_document(reply)) not in (
        TooManyRequests.slug,
        Overloaded.slug,
    ):
        return None
    wait = seconds_to_wait(reply.headers.get("retry-after"), datetime.now(UTC))
    return max(wait or 1.0, 0.5)


def _document(reply: Reply) -> Any:
    """The JSON of an answer, None if it is none."""
    try:
        return json.loads(reply.body)
    except (ValueError, RecursionError):
        return None


def _kind(told: Any) -> str:
    return str(told.get("type", "")).removeprefix(TYPE_BASE) if isinstance(told, dict) else ""


def _is_answer(told: Any, fields: Sequence[str]) -> bool:
    return (
        isinstance(told, dict)
        and told.keys() == {"records"}
        and isinstance(told["records"], list)
        and bool(told["records"])
        and all(
            isinstance(record, dict)
            and record.keys() == set(fields)
            and all(isinstance(value, str) for value in record.values())
            for record in told["records"]
        )
    )


def _problem(status: int, told: Any, logged: dict[str, str], peer: str) -> Problem:
    kind = _kind(told)
    if kind not in _KNOWN:
        return PeerRefused(peer=peer, answer=status, reason=kind[:60])
    extra: dict[str, Any] = dict(logged)
    for name, expected in _PARAMS.items():
        value = told.get(name)
        if isinstance(value, expected) and not isinstance(value, bool):
            extra[name] = value[:200] if isinstance(value, str) else value
    return _KNOWN[kind](**extra)


@cache
def _http(reach: Reach) -> Fetcher:
    return Fetcher(connect=5.0, reach=reach)
