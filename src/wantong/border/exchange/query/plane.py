"""The query service on the data plane: ``POST /query/<transfer>``, without a database.

A call is JSON, so that whom it is about never stands in an address::

    {"subject": "…", "case": "…", "purpose": "…", "fields": ["…"], "call": "<UUID of version 7, new for every call>"}

In this order: the token (agreement, transfer, term), how much its holder asks, the call (new, not replayed), purpose and fields, the limits of the
agreement, the person and his consent. Then the call is written to the journal; when that is durable, consent and service
are looked at once more, and only then the answer leaves: ``{"records": [...]}`` with the log entry's id and the salt of
its digests in the headers ``Wantong-Entry`` and ``Wantong-Salt``.

What a person's existence could be told by is decided after everything else, and done alike for all: who is not in the
index is hashed, looked up, counted and logged like who is.
"""

from __future__ import annotations

import asyncio
import json
import mmap
import os
import re
import time
from collections.abc import Awaitable, Callable, MutableMapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

import structlog
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from wantong.border.exchange import access
from wantong.border.exchange.query import entries, records, terms
from wantong.border.exchange.query.journal import Journal, NotDurable, Used, recent
from wantong.border.exchange.query.problems import (
    AlreadyAsked,
    BadQuestion,
    Closed,
    FieldsNotReleased,
    LimitReached,
    NoRecord,
    NotInForce,
    NotLogged,
    TokenRefused,
    TooLarge,
)
from wantong.border.exchange.query.terms import Terms
from wantong.border.gate import keys as gate_keys
from wantong.border.gate.declarations import outgoing
from wantong.border.trust import keys
from wantong.ground.config import NodeConfig
from wantong.ground.http import limits
from wantong.ground.http.limits import Door, Limits
from wantong.ground.log.identifiers import uuid7
from wantong.ground.outbox.waking import wake
from wantong.ground.problems import Problem

logger = structlog.get_logger(__name__)

AUDIENCE: Final = "wantong-query"
LARGEST: Final = 8 << 10
PATIENCE: Final = 10.0
"""Seconds that a question may take to come in."""
FRESH: Final = 30
"""Seconds that the clocks of two nodes may stand apart; for as long a call's id is remembered."""
EVERY: Final = 0.2
"""Seconds between two words to the worker that there are calls to take in."""
_CALL = re.compile(r"[0-9a-f]{12}7[0-9a-f]{3}[89ab][0-9a-f]{15}")
LONGEST: Final = 200
Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]
Receive = Callable[[], Awaitable[Message]]

App = Callable[[Message, Receive, Send], Awaitable[None]]

_UNDER: Final = "/query/"
_PATH: Final = "/query/{transfer:str}"
LOOK: Final = 1.0
"""Seconds after which a token that is remembered is no longer good if its key has been removed."""
# tokens are good for half an hour, and so is their key: what has been checked need not be checked again
_MOST_TOKENS: Final = 4096
_MOST_CUTS: Final = 256


class Plane:
    """The query services of one node: :meth:`before` the data plane's application, ``routes`` in it.

    ``allowed`` is how much a peer may ask, the usual if left out.
    """

    def __init__(self, config: NodeConfig, *, allowed: Limits | None = None) -> None:
        self._config = config
        self._door = Door(allowed or limits.read(), config.run / limits.FILE, limits.PEER_QUERY)
        self._keys = keys.Good(config.keys, keys.DATA)
        self._look_at = 0.0
        self._root = gate_keys.secret(config.keys, "query")
        self._tokens: dict[bytes, access.Access] = {}
        self._services: dict[str, _Service] = {}
        self._journal: Journal | None = None
        self._used: dict[str, Used] = {}
        self._calls = _Calls()
        self._full: dict[str, int] = {}
        self._will_wake = False
        self._random = _Random().take
        self.routes = [Route(_PATH, self.describe, methods=["GET"])]
        self._answering = _Answering(self)

    def before(self, app: App) -> App:
        """``app`` with the calls taken out on their way to it: a call goes through no router and no middleware."""
        answering = self._answering

        async def application(scope: Message, receive: Receive, send: Send) -> None:
            if (
                scope["type"] == "http"
                and scope["method"] == "POST"
                and (path := scope["path"]).startswith(_UNDER)
            ):
                await answering(path[len(_UNDER) :], scope, receive, send)
            else:
                await app(scope, receive, send)

        return application

    async def close(self) -> None:
        """Let what is being written be written."""
        if self._journal is not None:
            journal, self._journal = self._journal, None
            await journal.close()
            wake(self._config.run)

    async def describe(self, request: Request) -> Response:
        """``GET /query/<transfer>``: what may be asked, as the gate's waybill says it, and how much of it is used up."""
        try:
            token = request.headers.get("Authorization", "").encode("latin-1")
            address = request.client.host if request.client else ""
            service = self._open(token, request.path_params["transfer"], time.time(), address)
            self._ready()
        except Problem as problem:
            return _told(problem, request.headers.get("Accept-Language", ""))
        used = self._used.get(service.transfer_id, Used())
        said = {"waybill": service.waybill, "terms": service.terms.to_dict(), "calls": used.total}
        return JSONResponse(said, headers={"Cache-Control": "no-store"})

    async def answer(self, token: bytes, transfer: str, address: str, receive: Receive) -> _Answer:
        """One call, from its token to its answer. Raises Problem; :class:`_Refused` if there is a log entry of it."""
        now = time.time()
        service = self._open(token, transfer, now, address)
        message = await receive()
        body = await _rest(message, receive) if message.get("more_body") else message.get("body", b"")
        if len(body) > LARGEST:
            raise TooLarge(limit=LARGEST)
        subject, case, purpose, asked, call = _question(body)
        cut = service.cut(asked)
        journal = self._journal or self._ready()
        if not self._calls.new(transfer, call, now):
            raise AlreadyAsked()
        day = terms.day_of(now)
        entry_id, salt = uuid7(self._random(8)), self._random(16)
        why, found, answer = "", None, None
        key = records.key_of(service.secret, subject)
        used = self._used.get(transfer)
        if used is None:
            used = self._used[transfer] = Used()
        problem: Problem | None = None
        if not service.terms.begins <= now < service.ends:
            why, problem = "not-in-force", NotInForce()
        elif cut is None or purpose != service.purpose:
            why, problem = "not-released", FieldsNotReleased()
        elif problem := service.limit(used, day, now):
            if self._full.get(transfer) == day:
                raise problem
            # the first of the day is enough in a log that is for ever
            self._full[transfer] = day
            why = "limit"
        else:
            found = service.records.find(key)
            if found is None:
                why = "no-record"
            elif not service.records.permitted(found.place, now):
                why = "no-consent"
            else:
                answer = cut.answer(found.rows)
        commitment = found.commitment if found is not None else records.nobody(service.secret, subject)
        counted = day if problem is None else -1
        if problem is None:
            used.add(day)
        sheet, fields = service.sheet, service.told(asked)
        private = entries.private(
            transfer=transfer, call=call, case=case, commitment=commitment, day=counted, salt=salt, why=why
        )
        entry = sheet.entry(
            entry_id=entry_id,
            time=_written(now),
            subject=entries.subject_of(commitment, entry_id),
            case=entries.case_of(salt, case),
            fields=fields,
            answer=answer,
            salt=salt,
        )
        try:
            await journal.append(f"{entry}\t{private}\n".encode(), transfer, counted)
        except NotDurable as error:
            if problem is None:
                used.give_back(day)
            raise self._lost(error) from None
        if not self._will_wake:
            self._wake_soon()
        if answer is not None and found is not None:
            # while the disk was written to, he may have withdrawn, or the gate taken everything back
            good = service.standing[0]
            if not good or not service.records.permitted(found.place, time.time()):
                instead, salt = uuid7(self._random(8)), self._random(16)
                entry = sheet.entry(
                    entry_id=instead,
                    time=_written(time.time()),
                    subject=entries.subject_of(commitment, instead),
                    case=entries.case_of(salt, case),
                    fields=fields,
                    answer=None,
                    salt=salt,
                )
                private = entries.private(
                    transfer=transfer, call=call, case=case, commitment=commitment, day=-1, salt=salt,
                    why="withdrawn", instead_of=entry_id,
                )  # fmt: skip
                try:
                    await journal.append(f"{entry}\t{private}\n".encode(), transfer, -1)
                except NotDurable as error:
                    raise self._lost(error) from None
                entry_id, answer = instead, None
                problem = None if good else Closed()
        if answer is None:
            raise _Refused(problem or NoRecord(), entry_id, salt)
        return _Answer(answer, entry_id, salt)

    def _open(self, token: bytes, transfer: str, now: float, address: str) -> _Service:
        """The service that ``token`` opens. Raises :class:`TokenRefused`, TooManyRequests, :class:`Closed`."""
        if (moment := time.monotonic()) >= self._look_at:
            self._look_at = moment + LOOK
            self._look()
        opened = self._tokens.get(token)
        if opened is None:
            self._door.stranger(address)
            opened = self._read(token, transfer)
        if opened is None or not opened.now(now):
            # nor is a token of yesterday counted against whom it names: somebody may have picked it up
            self._door.unproven(address)
            raise TokenRefused()
        self._door.proven(opened.receiver)
        if opened.transfer_id != transfer:
            raise TokenRefused()
        service = self._service(transfer)
        if opened.agreement_id != service.agreement_id or opened.receiver != service.receiver:
            raise TokenRefused()
        return service

    def _look(self) -> None:
        """Forget what has been checked if other keys are good now."""
        if self._keys.look():
            self._tokens.clear()

    def _read(self, token: bytes, transfer: str) -> access.Access | None:
        """What a token says that this node has signed; None if it has not."""
        scheme, _, bearer = token.decode("latin-1").partition(" ")
        try:
            if scheme.lower() != "bearer":
                raise access.BadAccess("no bearer token")
            self._look()
            opened = access.read(bearer, self._keys.known, AUDIENCE)
        except access.BadAccess as error:
            logger.warning("query.refused", transfer=transfer[:64], reason=str(error))
            return None
        if len(self._tokens) >= _MOST_TOKENS:
            self._tokens.clear()
        self._tokens[token] = opened
        return opened

    def _service(self, transfer: str) -> _Service:
        """The service as it stands in the node's folder at this moment. Raises :class:`Closed`."""
        known = self._services.get(transfer)
        if known is not None and known.standing[0]:
            return known
        self._services.pop(transfer, None)
        try:
            if not outgoing.is_name(transfer):
                raise Closed()
            service = _Service(self._config, self._root, transfer)
        except (FileNotFoundError, NotADirectoryError):
            raise Closed() from None
        if not service.standing[0]:
            raise Closed()
        self._services[transfer] = service
        return service

    def _ready(self) -> Journal:
        if self._journal is None:
            try:
                self._journal = Journal(self._config.queries)
            except OSError as error:
                logger.error("query.no_journal", reason=str(error))
                raise NotLogged() from None
            self._used = self._journal.used()
            for transfer, call in recent(self._config.queries, time.time() - 2 * FRESH):
                self._calls.new(transfer, call, time.time())
        return self._journal

    def _lost(self, error: NotDurable) -> NotLogged:
        logger.error("query.not_durable", reason=str(error))
        return NotLogged()

    def _wake_soon(self) -> None:
        self._will_wake = True
        asyncio.get_running_loop().call_later(EVERY, self._wake)

    def _wake(self) -> None:
        self._will_wake = False
        wake(self._config.run)


class _Answer:
    __slots__ = ("body", "entry_id", "salt")

    def __init__(self, body: bytes, entry_id: str, salt: bytes) -> None:
        self.body, self.entry_id, self.salt = body, entry_id, salt


class _Refused(Exception):
    """A call that has its entry in the log and no answer."""

    def __init__(self, problem: Problem, entry_id: str, salt: bytes) -> None:
        self.problem, self.entry_id, self.salt = problem, entry_id, salt


class _Service:
    """One open parcel. Raises FileNotFoundError if there is none of this form."""

    def __init__(self, config: NodeConfig, root: bytes, transfer: str) -> None:
        folder = config.outgoing / transfer
        self.transfer_id = transfer
        # first: what is opened after it is of this parcel, or this parcel was taken back meanwhile
        with (folder / outgoing.STANDING).open("rb") as flag:
            self.standing = mmap.mmap(flag.fileno(), 1, access=mmap.ACCESS_READ)
        self.records = records.Records(folder)
        self.waybill: dict[str, Any] = json.loads((folder / outgoing.MANIFEST).read_text("utf-8"))["waybill"]
        said = self.waybill
        self.agreement_id: str = said["agreement_id"]
        self.receiver: str = said["receiver"]
        self.purpose: str = said["purpose"]
        self.columns: list[str] = said["fields"]
        service = said["service"]
        self.terms = Terms(**service["terms"])
        released = terms.end_of_day(datetime.fromisoformat(service["valid_until"]).date())
        self.ends = min(self.terms.ends or released, released)
        self.secret = records.service_secret(root, transfer)
        self.sheet = entries.Sheet(
            agreement_id=self.agreement_id,
            dataset_id=said["dataset_id"],
            purpose=self.purpose,
            receiver=self.receiver,
            sender=said["sender"],
            transfer_id=transfer,
        )
        self._cuts: dict[tuple[str, ...], records.Cut | None] = {}
        self._told: dict[tuple[str, ...], str] = {}

    def cut(self, asked: tuple[str, ...]) -> records.Cut | None:
        """How these fields are cut out of a row; None if not all of them were released. Raises :class:`BadQuestion`."""
        try:
            return self._cuts[asked]
        except KeyError:
            pass
        except TypeError:  # something in it is no text, nor anything that could be a key
            raise BadQuestion(reason="fields") from None
        if not all(type(name) is str for name in asked) or len(set(asked)) != len(asked):
            raise BadQuestion(reason="fields")
        cut = records.Cut(self.columns, asked) if set(asked) <= set(self.columns) else None
        if len(self._cuts) >= _MOST_CUTS:
            self._cuts.clear()
            self._told.clear()
        self._cuts[asked] = cut
        # what was never released is not named in a public log: it could say anything
        self._told[asked] = entries.fields_text([name for name in asked if name in self.columns])
        return cut

    def told(self, asked: tuple[str, ...]) -> str:
        return self._told[asked]

    def limit(self, used: Used, day: int, now: float) -> LimitReached | None:
        """What stands against one more call."""
        if self.terms.total and used.total >= self.terms.total:
            return LimitReached()
        if self.terms.per_day and used.day == day and used.today >= self.terms.per_day:
            return LimitReached(retry_after=int(terms.next_day(day) - now) + 1)
        return None


class _Random:
    """The kernel's random bytes, fetched for many calls at once: each fetch lets other threads in between."""

    def __init__(self) -> None:
        self._bytes, self._at = b"", 0

    def take(self, count: int) -> bytes:
        """So many bytes that nobody has had."""
        if self._at + count > len(self._bytes):
            self._bytes, self._at = os.urandom(4096), 0
        self._at += count
        return self._bytes[self._at - count : self._at]


class _Calls:
    """Which calls have been made: remembered for as long as one could be made again."""

    def __init__(self) -> None:
        self._now: set[tuple[str, str]] = set()
        self._before: set[tuple[str, str]] = set()
        self._until = 0.0

    def new(self, transfer: str, call: str, now: float) -> bool:
        """Whether it is the first of its id, and of this time; from then on it is not."""
        if now >= self._until:
            # nothing is forgotten that is younger than 2 * FRESH, the longest an id can be taken for fresh
            self._before, self._now = (self._now, set()) if now < self._until + 2 * FRESH else (set(), set())
            self._until = now + 2 * FRESH
        if abs(int(call[:12], 16) / 1000 - now) > FRESH:
            return False
        pair = (transfer, call)
        if pair in self._now or pair in self._before:
            return False
        self._now.add(pair)
        return True


class _Answering:
    """The call as an ASGI application: no request and response objects are made for what is a few bytes."""

    def __init__(self, plane: Plane) -> None:
        self._plane = plane

    async def __call__(self, transfer: str, scope: Message, receive: Receive, send: Send) -> None:
        token = length = language = b""
        for name, value in scope["headers"]:
            if name == b"authorization":
                token = value
            elif name == b"content-length":
                length = value
            elif name == b"accept-language":
                language = value
        try:
            if length and (not length.isdigit() or len(length) > 8 or int(length) > LARGEST):
                raise TooLarge(limit=LARGEST)
            address = (scope.get("client") or ("",))[0]
            answer = await self._plane.answer(token, transfer, address, receive)
        except _Refused as refused:
            response = _told(refused.problem, language.decode("latin-1"))
            response.headers["Wantong-Entry"] = refused.entry_id
            response.headers["Wantong-Salt"] = refused.salt.hex()
            await response(scope, receive, send)
            return
        except Problem as problem:
            await _told(problem, language.decode("latin-1"))(scope, receive, send)
            return
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(answer.body)).encode()),
            (b"cache-control", b"no-store"),
            (b"wantong-entry", answer.entry_id.encode()),
            (b"wantong-salt", answer.salt.hex().encode()),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer.body})


def _told(problem: Problem, languages: str) -> Response:
    headers = {"Cache-Control": "no-store", **problem.headers}
    if isinstance(problem, TokenRefused):
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse(
        problem.to_dict(_language(languages)),
        status_code=problem.status,
        headers=headers,
        media_type="application/problem+json",
    )


def _language(header: str) -> str:
    first = header.split(",", 1)[0].split(";", 1)[0].strip().lower()
    if first.startswith("zh"):
        return "zh-hant" if any(part in first for part in ("hant", "hk", "mo", "tw")) else "zh-hans"
    return "pt" if first.startswith("pt") else "en"


async def _rest(message: Message, receive: Receive) -> bytes:
    """A body that comes in pieces. Raises :class:`TooLarge`, :class:`BadQuestion` if it does not come in time."""
    body = bytearray(message.get("body", b""))
    try:
        async with asyncio.timeout(PATIENCE):
            while message.get("more_body"):
                message = await receive()
                body += message.get("body", b"")
                if len(body) > LARGEST:
                    raise TooLarge(limit=LARGEST)
    except TimeoutError:
        raise BadQuestion(reason="slow") from None
    return bytes(body)


_NAMES: Final = frozenset({"subject", "case", "purpose", "fields", "call"})


def _question(body: bytes) -> tuple[str, str, str, tuple[str, ...], str]:
    """Subject, case, purpose, fields, call (32 hex digits) of what is asked. Raises :class:`BadQuestion`."""
    try:
        question = json.loads(body.decode())
    except (ValueError, RecursionError):
        raise BadQuestion(reason="not-json") from None
    if type(question) is not dict or question.keys() != _NAMES:
        raise BadQuestion(reason="members", names=", ".join(sorted(_NAMES)))
    subject, case, purpose, call = (
        question["subject"],
        question["case"],
        question["purpose"],
        question["call"],
    )
    if not (
        type(subject) is type(case) is type(purpose) is type(call) is str
        and 0 < len(subject) <= LONGEST
        and 0 < len(case) <= LONGEST
        and 0 < len(purpose) <= LONGEST
        and (subject + case + purpose).isprintable()
    ):
        raise BadQuestion(reason="text", names="subject, case, purpose, call", most=LONGEST)
    if len(call) == 36:
        call = call.replace("-", "")
    if not _CALL.fullmatch(call):
        raise BadQuestion(reason="call")
    fields = question["fields"]
    if type(fields) is not list or not 0 < len(fields) <= 200:
        raise BadQuestion(reason="fields")
    return subject, case, purpose, tuple(fields), call


@lru_cache(maxsize=4)
def _second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S.")


def _written(now: float) -> str:
    """The time as entries have it."""
    second = int(now)
    return f"{_second(second)}{int((now - second) * 1000):03d}Z"
