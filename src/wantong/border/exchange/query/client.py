"""Asking a query service: one call, checked as it comes back. Needs no node and no database.

answer = ask(endpoint, token, subject="…", case="2026-17", purpose="credit-check", fields=("name",))
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from wantong.border.exchange.problems import PeerMisbehaves, PeerRefused, PeerUnreachable
from wantong.border.exchange.query import problems
from wantong.ground.http.fetch import Fetcher, FetchFailed
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
    called that ``reach`` does not permit.

    Raises PeerUnreachable, PeerMisbehaves, PeerRefused, and the problem that the other node names, with ``entry`` and
    ``salt`` among its params if the call is in its log.
    """
    question = {"subject": subject, "case": case, "purpose": purpose, "fields": list(fields), "call": uuid7()}
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    body = json.dumps(question, ensure_ascii=False).encode()
    try:
        reply = _http(reach).request("POST", endpoint, body, headers=headers, limit=LARGEST, deadline=timeout)
    except FetchFailed as failure:
        if failure.reason in ("too-large", "address", "forbidden"):
            raise PeerMisbehaves(peer=peer, reason=failure.cause or failure.reason) from None
        raise PeerUnreachable(peer=peer, reason=failure.cause) from None
    entry, salt = reply.headers.get("wantong-entry", ""), reply.headers.get("wantong-salt", "")
    logged = {"entry": entry, "salt": salt} if _ENTRY.fullmatch(entry) and _SALT.fullmatch(salt) else {}
    try:
        told = json.loads(reply.body)
    except (ValueError, RecursionError):
        told = None
    if reply.status != 200:
        raise _problem(reply.status, told, logged, peer)
    if not logged or not _is_answer(told, fields):
        raise PeerMisbehaves(peer=peer, reason="the answer is not one to what was asked")
    return Answer(told["records"], entry, salt, reply.body)


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
    kind = str(told.get("type", "")).removeprefix(TYPE_BASE) if isinstance(told, dict) else ""
    if kind not in _KNOWN:
        return PeerRefused(peer=peer, answer=status, reason=kind[:60])
    extra: dict[str, Any] = dict(logged)
    for name, expected in (("reason", str), ("retry_after", int), ("limit", int)):
        value = told.get(name)
        if isinstance(value, expected) and not isinstance(value, bool):
            extra[name] = value[:200] if isinstance(value, str) else value
    return _KNOWN[kind](**extra)


@cache
def _http(reach: Reach) -> Fetcher:
    return Fetcher(connect=5.0, reach=reach)
