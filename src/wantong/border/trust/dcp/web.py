"""The world outside, as the verifier sees it: bounded in time, size and reach, remembered for a while."""

from __future__ import annotations

import json
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from threading import Lock
from typing import Any, Generic, TypeVar
from urllib.parse import urlsplit

from wantong.border.trust.dcp import did, statuslist
from wantong.border.trust.dcp.options import Options
from wantong.border.trust.verdict import Refused
from wantong.ground.http.fetch import Fetcher, FetchFailed, Reply
from wantong.ground.http.reach import Reach

TIMEOUT = 5.0
LARGEST_DOCUMENT = 64 << 10
LARGEST_SCHEMA = 256 << 10
LARGEST_ANSWER = 2 << 20
DOCUMENT_LIFE = 300.0
"""Seconds: so long a key that was taken out of a document may still count."""
FRESH = 15.0
"""Seconds: however many bad signatures come, a document is not fetched again sooner."""
LIST_LIFE = 300.0
"""Seconds: so long a revocation may go unnoticed."""
SCHEMA_LIFE = 3600.0
FAILURE_LIFE = 10.0
"""Seconds for which one that could not be had is not asked for again: a slow one holds up nobody twice."""

Thing = TypeVar("Thing")


class Memory(Generic[Thing]):
    """Things by name, each for some time, at most ``size`` of them; any number of threads."""

    def __init__(self, size: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._size, self._clock, self._lock = size, clock, Lock()
        self._kept: OrderedDict[Any, tuple[float, float, Thing | Refused]] = OrderedDict()

    def get(
        self, name: Any, life: float, make: Callable[[], Thing], *, younger: float | None = None
    ) -> Thing:
        """What is kept under ``name``, or what ``make`` gives, kept for ``life`` seconds; a :class:`.Refused` is kept too.

        ``younger``: what was made that many seconds ago or earlier will not do.
        """
        now = self._clock()
        with self._lock:
            made, until, thing = self._kept.get(name, (0.0, 0.0, None))
        if thing is not None and now < until and (younger is None or now < made + younger):
            if isinstance(thing, Refused):
                raise Refused(thing.code, **thing.params)
            return thing
        try:
            made_now: Thing | Refused = make()
        except Refused as refused:
            made_now = refused
            life = FAILURE_LIFE
        self.put(name, made_now, life)
        if isinstance(made_now, Refused):
            raise made_now
        return made_now

    def peek(self, name: Any) -> Thing | None:
        """What is kept under ``name``, if it is still good."""
        with self._lock:
            _, until, thing = self._kept.get(name, (0.0, 0.0, None))
        return (
            thing if thing is not None and not isinstance(thing, Refused) and self._clock() < until else None
        )

    def put(self, name: Any, thing: Thing | Refused, life: float) -> None:
        now = self._clock()
        with self._lock:
            self._kept[name] = (now, now + life, thing)
            self._kept.move_to_end(name)
            while len(self._kept) > self._size:
                self._kept.popitem(last=False)


class Net:
    """:class:`.verifier.Web` over HTTP. ``introduce(holder, access)`` makes the token with which we ask for what
    ``access`` opens at the credential service of ``holder``."""

    def __init__(self, options: Options, introduce: Callable[[str, str], str]) -> None:
        self._plain = options.plain
        self._introduce = introduce
        self._http = Fetcher(connect=TIMEOUT, reach=Reach.of((), options.networks))
        self._documents: Memory[did.Document] = Memory(200)
        self._lists: Memory[str] = Memory(16)
        self._schemas: Memory[Any] = Memory(50)

    def document(self, name: str, *, fresh: bool = False) -> did.Document:
        url = did.address(name, plain=self._plain)
        return self._documents.get(
            name,
            DOCUMENT_LIFE,
            lambda: did.read(self._get(url, LARGEST_DOCUMENT), name),
            younger=FRESH if fresh else None,
        )

    def presentations(self, holder: str, endpoint: str, access: str, message: Mapping[str, Any]) -> bytes:
        headers = {
            "Authorization": f"Bearer {self._introduce(holder, access)}",
            "Content-Type": "application/json",
            "Accept": "application/json",
        }
        url = self._allowed(f"{endpoint}/presentations/query")
        return self._body(url, "POST", json.dumps(message).encode(), headers, LARGEST_ANSWER)

    def metadata(self, url: str) -> bytes:
        """What an issuer says that it issues. Raises :class:`.Refused`."""
        return self._get(url, LARGEST_SCHEMA)

    def send(self, receiver: str, url: str, message: Mapping[str, Any]) -> None:
        """POST ``message`` in this node's name to ``receiver`` (a DID); any 2xx will do. Raises :class:`.Refused`."""
        headers = {
            "Authorization": f"Bearer {self._introduce(receiver, '')}",
            "Content-Type": "application/json",
            "Accept": "application/json",
        }
        self._body(
            self._allowed(url),
            "POST",
            json.dumps(message).encode(),
            headers,
            LARGEST_SCHEMA,
            (200, 201, 202, 204),
        )

    def status_list(self, url: str) -> str:
        def fetch() -> str:
            text = self._get(url, statuslist.LONGEST).decode("latin-1").strip()
            if text.startswith(("{", "[")):
                raise Refused("status-unsigned")
            return text

        return self._lists.get(url, LIST_LIFE, fetch)

    def schema(self, url: str) -> Any:
        def fetch() -> Any:
            try:
                return json.loads(self._get(url, LARGEST_SCHEMA))
            except (ValueError, RecursionError):
                raise Refused("schema-form", what="JSON") from None

        return self._schemas.get(url, SCHEMA_LIFE, fetch)

    def _get(self, url: str, limit: int) -> bytes:
        headers = {"Accept": "*/*", "Accept-Encoding": "gzip"}
        return self._body(self._allowed(url), "GET", b"", headers, limit)

    def _body(
        self,
        url: str,
        method: str,
        content: bytes,
        headers: Mapping[str, str],
        limit: int,
        good: tuple[int, ...] = (200,),
    ) -> bytes:
        host = urlsplit(url).netloc
        try:
            reply: Reply = self._http.request(
                method, url, content, headers=headers, limit=limit, deadline=TIMEOUT
            )
        except FetchFailed as failure:
            if failure.reason == "forbidden":
                raise Refused("fetch-inside", host=host) from None
            code = "fetch-unreachable" if failure.reason == "address" else f"fetch-{failure.reason}"
            raise Refused(code, host=host, limit=limit, seconds=int(TIMEOUT)) from None
        if reply.status not in good:
            # a redirection too: what it points to is not what was named
            raise Refused("fetch-answer", host=host, answer=reply.status)
        return reply.body

    def _allowed(self, url: str) -> str:
        try:
            parts = urlsplit(url)
            host, _ = parts.hostname, parts.port
        except ValueError:
            raise Refused("fetch-address", url=url) from None
        if (
            not host
            or parts.username
            or not (parts.scheme == "https" or (parts.scheme, host in self._plain) == ("http", True))
        ):
            raise Refused("fetch-address", url=url)
        return url
