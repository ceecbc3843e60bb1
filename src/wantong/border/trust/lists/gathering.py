"""A federation's statements, fetched: from its anchor, and from each immediate subordinate what it says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final
from urllib.parse import urlencode

from wantong.border.trust import jws
from wantong.border.trust.lists.federated import LARGEST_STATEMENT, Gathered
from wantong.border.trust.lists.problems import BadList, NotFetched
from wantong.border.trust.lists.trustlist import LARGEST, MOST_SERVICES
from wantong.border.trust.verdict import Refused
from wantong.ground.http import fetch
from wantong.ground.http.reach import Reach

AT_ONCE: Final = 8
DEADLINE: Final = 10.0
WELL_KNOWN: Final = "/.well-known/openid-federation"


def gather(anchor: str) -> Gathered:
    """Everything that is needed to read the federation of ``anchor``, not yet proven.

    Addresses that the anchor names are called only if they are public ones, or its own. An entity that the anchor lists
    and that cannot be asked comes without its own word; what the anchor itself does not say ends the whole. Raises
    NotFetched, BadList.
    """
    reach = Reach.of([anchor])
    own = _get(anchor.rstrip("/") + WELL_KNOWN, reach)
    if own is None:
        raise NotFetched(url=anchor[:300], reason="not-found")
    about = _told(own).get("metadata")
    entity = about.get("federation_entity") if isinstance(about, Mapping) else None
    if not isinstance(entity, Mapping):
        raise BadList(field="list", reason="missing", what="federation_entity")
    listing, telling = (str(entity.get(f"federation_{verb}_endpoint", "")) for verb in ("list", "fetch"))
    subjects = _list(_get(listing, reach, LARGEST) or "[]")

    def ask(subject: str) -> tuple[str, str] | None:
        joint = "&" if "?" in telling else "?"
        statement = _get(f"{telling}{joint}{urlencode({'sub': subject})}", reach)
        if statement is None:
            return None  # it left while we asked
        try:
            return statement, _get(subject.rstrip("/") + WELL_KNOWN, reach) or ""
        except NotFetched:
            return statement, ""

    with ThreadPoolExecutor(AT_ONCE) as threads:
        found = list(threads.map(ask, subjects))
    return Gathered(own, tuple(one for one in found if one is not None))


def _get(url: str, reach: Reach, limit: int = LARGEST_STATEMENT) -> str | None:
    """The text at an address; None if there is none. Raises NotFetched."""
    try:
        reply = fetch.shared(reach).get(url, limit=limit, deadline=DEADLINE)
    except fetch.FetchFailed as failure:
        raise NotFetched(url=url[:300], reason=failure.reason) from None
    if reply.status in (404, 410):
        return None
    if reply.status != 200:
        raise NotFetched(url=url[:300], reason="answered", answer=f"HTTP {reply.status}")
    return reply.body.decode("utf-8", "replace").strip()


def _told(token: str) -> Mapping[str, Any]:
    try:
        return jws.peek(token, LARGEST_STATEMENT).payload
    except Refused as refused:
        raise BadList(field="list", reason="unreadable", told=refused.code) from None


def _list(text: str) -> list[str]:
    try:
        told = jws.json_value(text)
    except ValueError:
        raise BadList(field="services", reason="not-json") from None
    if not isinstance(told, list) or not all(isinstance(one, str) for one in told):
        raise BadList(field="services", reason="not-list", most=MOST_SERVICES)
    if len(told) > MOST_SERVICES:
        raise BadList(field="services", reason="too-many", most=MOST_SERVICES)
    return sorted(set(told))
