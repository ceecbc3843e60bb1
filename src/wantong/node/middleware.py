"""What every request passes: one structured log line, the keys of sessions, and problems turned into answers."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable

import structlog
from django.conf import settings
from django.contrib.auth import HASH_SESSION_KEY, SESSION_KEY, get_user_model
from django.core.exceptions import MiddlewareNotUsed
from django.db import DataError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils.crypto import constant_time_compare
from django.utils.translation import get_language

from wantong.ground import config, keyring
from wantong.ground.http import webkey
from wantong.ground.problems import Problem

logger = structlog.get_logger("wantong.http")
GetResponse = Callable[[HttpRequest], HttpResponse]


class RequestLog:
    """One line a request, never with query strings or bodies: those may hold personal data."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request.id = uuid.uuid4().hex[:16]  # type: ignore[attr-defined]
        start = time.perf_counter()
        with structlog.contextvars.bound_contextvars(request_id=request.id):  # type: ignore[attr-defined]
            response = self.get_response(request)
            logger.info(
                "request",
                method=request.method,
                path=request.path,
                status=response.status_code,
                ms=round((time.perf_counter() - start) * 1000, 1),
            )
        response["X-Request-Id"] = request.id  # type: ignore[attr-defined]
        response["Content-Security-Policy"] = (
            "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'"
        )
        return response


class WebKey:
    """Before each request: the keys of sessions as they are now, and a session of an old key goes on under the new one.

    Stands between Django's middleware for sessions and the one for who is signed in. Django looks its keys up
    whenever it signs or checks something, so other ones can be put into its settings while it runs.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response
        self._folder = config.current().keys
        if not (self._folder / webkey.NAME).exists():
            raise MiddlewareNotUsed
        self._lock = threading.Lock()
        self._stamp: tuple[int, ...] = ()
        self._key = ""
        self._others: list[str] = []

    def __call__(self, request: HttpRequest) -> HttpResponse:
        # Django's settings remember what somebody looks up; if he did it just when it changed, they remember the old
        if (
            keyring.stamp(self._folder) != self._stamp
            or self._key != settings.SECRET_KEY
            or settings.SECRET_KEY_FALLBACKS is not self._others
        ):
            self._change()
        if self._others and request.session.session_key:
            _carry_over(request)
        return self.get_response(request)

    def _change(self) -> None:
        with self._lock:
            self._stamp = keyring.stamp(self._folder)
            key, others = webkey.read(self._folder)
            # in this order: at every moment all that were good before and are good after can be found
            settings.SECRET_KEY_FALLBACKS = [
                *settings.SECRET_KEY_FALLBACKS,
                settings.SECRET_KEY,
                key,
                *others,
            ]
            settings.SECRET_KEY = self._key = key
            settings.SECRET_KEY_FALLBACKS = self._others = others


def _carry_over(request: HttpRequest) -> None:
    """Let the session of somebody who signed in under an old key stand under the new one.

    Django does that itself, but under another session id: of two requests that a page makes at one moment the second
    would find its session gone.
    """
    held = request.session.get(HASH_SESSION_KEY, "")
    users = get_user_model().objects
    user = users.filter(pk=request.session[SESSION_KEY]).first() if SESSION_KEY in request.session else None
    if user is None or constant_time_compare(held, current := user.get_session_auth_hash()):
        return
    if any(constant_time_compare(held, old) for old in user.get_session_auth_fallback_hash()):
        request.session[HASH_SESSION_KEY] = current


class UnknownAddress(Problem):
    """Nothing of the API answers there."""

    slug = "unknown-address"
    status = 404


class UnstorableText(Problem):
    """Somewhere in the request stands half a character, or a NUL, which PostgreSQL does not keep. Nothing was stored."""

    slug = "unstorable-text"
    status = 422


def _unstorable(error: Exception) -> bool:
    if isinstance(error, UnicodeEncodeError):
        return error.reason == "surrogates not allowed"
    # psycopg says the former before it asks, and the server the latter of JSON
    return isinstance(error, DataError) and any(sign in str(error) for sign in ("NUL (0x00)", "\\u0000"))


class Problems:
    """A :class:`Problem` becomes a page for people and ``application/problem+json`` for programs."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        # an address that leads to no operation at all is answered by Django, with a page
        page = response.headers.get("Content-Type", "").startswith("text/html")
        if response.status_code == 404 and page and request.path.startswith("/api/"):
            return answer(request, UnknownAddress(), page=False)
        return response

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if _unstorable(error):
            logger.warning("request.unstorable", path=request.path)
            error = UnstorableText()
        return answer(request, error) if isinstance(error, Problem) else None


def answer(request: HttpRequest, error: Problem, *, page: bool = True) -> HttpResponse:
    """A problem as the asker reads it; without ``page`` always as a document."""
    lang = get_language() or "en"
    if page and "text/html" in request.headers.get("Accept", ""):
        said = {"problem": error.explain(lang)}
        response = render(request, "wantong/problem.html", said, status=error.status)
    else:
        response = JsonResponse(
            error.to_dict(lang), status=error.status, content_type="application/problem+json"
        )
    for name, value in error.headers.items():
        response[name] = value
    return response
