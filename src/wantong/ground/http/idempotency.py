"""A retried request does the thing once (draft-ietf-httpapi-idempotency-key-header-07).

A program that may have to repeat a POST sends ``Idempotency-Key: <something of its own>``. What the request does and
the answer to it are stored in one transaction: after a crash there are both or neither, and the repetition gets the
first answer. The same key with another request is refused (422).

That transaction is open while the view works, so a view must not wait for anybody in it: on SQLite it would keep every
other writer waiting too. A view that asks other nodes, or reads for long, says so (:func:`begins_itself`) and calls
:func:`begin` when that is behind it. Until then its key is only reserved, by a row of its own short transaction::

    nobody ── reserve ──▶ reserved ── begin … answer ──▶ answered
                 ▲            │
                 └────────────┘  it failed, its process was killed (:func:`forget_reservations`), or RESERVED has passed;
                                 if that cannot be stored (the disk is full), the process remembers it

A second request with the key meanwhile is told to come back (409). Who lost his reservation by being slow has his
writes rolled back with it: only one answers.
"""

from __future__ import annotations

import hashlib
import secrets
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack
from contextvars import ContextVar
from datetime import timedelta

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import Resolver404, resolve
from django.utils import timezone

from wantong.ground.http.models import Answered
from wantong.ground.problems import Problem

KEPT = timedelta(days=2)
# longer than any view waits for another node; a process that is killed and comes back does not wait for it
RESERVED = timedelta(seconds=60)
COME_BACK = 1  # seconds
# holders who failed and could not even say so: their reservations stand for nothing
_failed_unsaid: deque[str] = deque(maxlen=1000)

_BEGIN_THEMSELVES: set[str] = set()
_begin: ContextVar[Callable[[], None] | None] = ContextVar("begin", default=None)


class KeyReused(Problem):
    """An Idempotency-Key came back with another request."""

    slug = "idempotency-key-reused"
    status = 422


class BeingAnswered(Problem):
    """The first request with this Idempotency-Key is still at work."""

    slug = "idempotency-being-answered"
    status = 409


def begins_itself(url_name: str) -> str:
    """Note that the POST endpoint of this URL name waits or reads for long and calls :func:`begin`; returns the name."""
    _BEGIN_THEMSELVES.add(url_name)
    return url_name


def begin() -> None:
    """From here on what this request writes is one transaction with its answer; without a key, nothing happens.

    For code that has waited for others and now writes. Afterwards it must not wait any more.
    """
    if start := _begin.get():
        start()


def forget_reservations() -> None:
    """Forget what a web process that died was answering. Only the node's single one may call this, when it starts."""
    Answered.objects.filter(status=0).delete()


class Idempotency:
    """Middleware for POST requests under ``/api/``."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        key = request.headers.get("Idempotency-Key", "")
        if request.method != "POST" or not key or not request.path.startswith("/api/"):
            return self.get_response(request)
        who = request.headers.get("Authorization", "") or request.COOKIES.get(
            settings.SESSION_COOKIE_NAME, ""
        )
        mine = _sha256(who.encode(), key.encode())
        # an upload is not read into memory for this; its length must do
        upload = (request.content_type or "").startswith("multipart/")
        body = request.headers.get("Content-Length", "").encode() if upload else request.body
        asked = _sha256(request.method.encode(), request.get_full_path().encode(), body)
        if _begins_itself(request):
            return self._reserved(request, mine, asked)
        try:
            with transaction.atomic():
                return self._once(request, mine, asked)
        except IntegrityError:
            # the same request is being answered at this moment; by now it has been
            known = Answered.objects.filter(key=mine).first()
            if known is None:
                raise
            return _again(known, asked)

    def _once(self, request: HttpRequest, key: str, asked: str) -> HttpResponse:
        known = Answered.objects.filter(key=key).first()
        if known is not None:
            return _again(known, asked)
        row = Answered.objects.create(key=key, request=asked)
        response = self.get_response(request)
        if _failed(response):
            transaction.set_rollback(True)
            return response
        Answered.objects.filter(pk=row.pk).update(**_content(response))
        Answered.objects.filter(at__lt=timezone.now() - KEPT).delete()
        return response

    def _reserved(self, request: HttpRequest, key: str, asked: str) -> HttpResponse:
        holder = secrets.token_hex(16)
        known = _reserve(key, asked, holder)
        if known is not None:
            return _again(known, asked)
        try:
            return self._held(request, key, holder)
        except BaseException:
            _failed_unsaid.append(holder)
            raise

    def _held(self, request: HttpRequest, key: str, holder: str) -> HttpResponse:
        mine = Answered.objects.filter(key=key, holder=holder, status=0)
        with ExitStack() as stack:
            begun = False

            def start() -> None:
                nonlocal begun
                if not begun:
                    begun = True
                    stack.enter_context(transaction.atomic())

            token = _begin.set(start)
            try:
                response = self.get_response(request)
            finally:
                _begin.reset(token)
            start()
            if not _failed(response):
                if mine.update(**_content(response)):
                    return response
                response = _come_back()
            transaction.set_rollback(True)
        mine.delete()
        return response


def _reserve(key: str, asked: str, holder: str) -> Answered | None:
    """Make the key ours until it is answered: None; or what is known of it, if it is not to be had."""
    now = timezone.now()
    terms = {"request": asked, "holder": holder, "reserved_until": now + RESERVED}
    try:
        with transaction.atomic():
            Answered.objects.create(key=key, **terms)
            return None
    except IntegrityError:
        free = Q(reserved_until=None) | Q(reserved_until__lte=now) | Q(holder__in=list(_failed_unsaid))
        if Answered.objects.filter(free, key=key, status=0, request=asked).update(**terms):
            return None
        # it may have failed and vanished in between: whoever asks again finds it free
        return Answered.objects.filter(key=key).first() or Answered(key=key, request=asked)


def _again(known: Answered, asked: str) -> HttpResponse:
    if known.request != asked:
        return _told(KeyReused())
    if not known.status:
        return _come_back()
    return HttpResponse(bytes(known.body), status=known.status, content_type=known.content_type)


def _come_back() -> HttpResponse:
    response = _told(BeingAnswered())
    response["Retry-After"] = str(COME_BACK)
    return response


def _told(problem: Problem) -> HttpResponse:
    return JsonResponse(problem.to_dict(), status=problem.status, content_type="application/problem+json")


def _failed(response: HttpResponse) -> bool:
    return response.status_code >= 500 or response.streaming


def _content(response: HttpResponse) -> dict[str, object]:
    return {
        "status": response.status_code,
        "body": response.content,
        "content_type": response.headers.get("Content-Type", ""),
        "reserved_until": None,
    }


def _begins_itself(request: HttpRequest) -> bool:
    try:
        return resolve(request.path_info).url_name in _BEGIN_THEMSELVES
    except Resolver404:
        return False


def _sha256(*parts: bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()
